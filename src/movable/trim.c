/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages of the table of which every entry is free go back to the system; what stays is a number, the highest generation among them, with which
 * the page's entries begin anew when they are wanted. A stale handle reads zeros there, which are an entry that no handle has.
 *
 * Free entries are linked through themselves, so to take 512 of them out, all lists are taken off their spaces, walked under the mover's lock, and what
 * is left of them is put back; who allocates meanwhile takes entries that were never used. Memory is given back with no lock held: nobody has those
 * entries then, until na_movable_page_purged() says that they are to be had.
 */
#include <string.h>

#include "movable/parts.h"
#include "os/os.h"

struct page {
	uint32_t free;	     /* entries that were found in a list */
	uint32_t generation; /* the highest of them */
};

static uint64_t where_of(uint64_t index)
{
	return atomic_load_explicit(&na_movable_at(index)->where, memory_order_relaxed);
}

static uint64_t next_of(uint64_t index)
{
	return na_where_payload(where_of(index)) >> 4;
}

static uint64_t detach(struct na_movable_space *space)
{
	uint64_t first;

	na_lock(&space->lock);
	first = space->free_entry;
	space->free_entry = 0;
	na_unlock(&space->lock);
	return first;
}

static void count(struct page *pages, uint64_t n, uint64_t index)
{
	for (; index; index = next_of(index)) {
		struct page *p = &pages[index / NA_TABLE_PAGE];
		uint32_t generation = (uint32_t)na_where_generation(where_of(index));

		if (index / NA_TABLE_PAGE >= n)
			continue;
		p->free++;
		p->generation = generation > p->generation ? generation : p->generation;
	}
}

static bool goes(const struct page *pages, uint64_t n, uint64_t index)
{
	return index / NA_TABLE_PAGE < n && pages[index / NA_TABLE_PAGE].free == NA_TABLE_PAGE;
}

/* Only what changes is written: most pages of a table at rest stay as they are. */
static void link_to(uint64_t index, uint64_t next)
{
	if (next_of(index) != next)
		atomic_store_explicit(&na_movable_at(index)->where,
				      na_where(na_where_generation(where_of(index)), next << 4, NA_MOVABLE_FREE),
				      memory_order_release);
}

/* Those of the list that stay, in front of what has come to the space meanwhile. */
static void attach(struct na_movable_space *space, const struct page *pages, uint64_t n, uint64_t index)
{
	uint64_t first = 0, last = 0, next;

	for (; index; index = next) {
		next = next_of(index);
		if (goes(pages, n, index))
			continue;
		if (last)
			link_to(last, index);
		else
			first = index;
		last = index;
	}
	if (!first)
		return;
	na_lock(&space->lock);
	link_to(last, space->free_entry);
	space->free_entry = first;
	na_unlock(&space->lock);
}

static void take_out(struct page *pages, uint64_t n)
{
	uint64_t first[NA_MAX_POOLS];

	na_movable_lock();
	for (uint32_t i = 0; i < na_pool_count; i++) {
		first[i] = detach(&na_movable_spaces[i]);
		count(pages, n, first[i]);
	}
	for (uint32_t i = 0; i < na_pool_count; i++)
		attach(&na_movable_spaces[i], pages, n, first[i]);
	na_movable_unlock();
}

/* Neighbours in one call. What the kernel does not take stays with nobody's entries all the same, and is used again as it is. */
static uint64_t give_back(const struct page *pages, uint64_t n)
{
	uint64_t bytes = 0;

	for (uint64_t i = 0, end; i < n; i = end) {
		for (end = i; end < n && pages[end].free == NA_TABLE_PAGE; end++)
			;
		if (end == i) {
			end++;
			continue;
		}
		if (na_os.purge(na_movable_at(i * NA_TABLE_PAGE), (size_t)(end - i) * NA_PAGE) == 0)
			bytes += (end - i) * NA_PAGE;
		na_os.purge((void *)na_about_of(na_movable_at(i * NA_TABLE_PAGE)), (size_t)(end - i) * NA_PAGE);
		for (uint64_t k = i; k < end; k++)
			na_movable_page_purged(k, pages[k].generation);
	}
	return bytes;
}

uint64_t na_movable_trim_table(void)
{
	uint64_t n = na_movable_opened() ? na_movable_top() / NA_TABLE_PAGE : 0, bytes;
	size_t room = (n * sizeof(struct page) + NA_PAGE - 1) & ~(NA_PAGE - 1);
	void *pages;

	if (!n || na_os.map(NULL, room, &pages) < 0)
		return 0;
	take_out(pages, n);
	bytes = give_back(pages, n);
	na_os.unmap(pages, room);
	return bytes;
}
