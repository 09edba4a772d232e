/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving back addresses, which matter only where they are limited (`ulimit -v`, RLIMIT_DATA): whole segments in which
 * nothing lives, and the parts of the map of segments that this process can never need.
 *
 * A segment is first emptied of free slices under the pool's lock, so that nobody can be given one, then unmapped
 * without it. Its struct stays in the pool's table with length 0 ("vacant") and serves the next one, for a struct
 * na_segment is never returned. Called when an allocation is about to fail, never in the normal course of things.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "os/limit.h"
#include "os/os.h"
#include "pool/bits.h"
#include "pool/pool.h"

static struct na_segment_ref *ref_of(struct na_pool *pool, uint32_t index)
{
	return &pool->table[index >> NA_TABLE_SHIFT][index & ((1u << NA_TABLE_SHIFT) - 1)];
}

/* Takes all slices of a segment that has nothing in use and nothing kept; its length, or 0. */
static size_t close_segment(struct na_pool *pool, uint32_t index, struct na_segment **out)
{
	struct na_segment *segment = NULL;
	size_t length = 0;

	na_lock(&pool->lock);
	if (index < pool->segments) {
		uint32_t slices;

		*out = segment = ref_of(pool, index)->segment;
		slices = (uint32_t)(segment->length / NA_SLICE);
		if (slices && na_bits_count(segment->free, 0, slices) == slices &&
		    na_bits_count(segment->dirty, 0, slices) == 0) {
			length = segment->length;
			na_bits_put(segment->free, 0, slices, false);
			pool->out_slices += slices;
		}
	} else {
		*out = NULL;
	}
	na_unlock(&pool->lock);
	return length;
}

#define SPARE_UNIT ((size_t)2 << 20)

/* A growing block's mapping with more than SPARE_UNIT behind what it has committed. Marks it as busy: it may be freed
 * meanwhile, but not grow, nor be handed out again. Under the lock. */
static struct na_segment *next_with_spare(struct na_segment *list, size_t *keep)
{
	for (struct na_segment *s = list; s; s = s->next) {
		/* Until it is a block what it has committed is still to be written down. */
		if (s->busy || s->hugetlb || na_span_kind(&s->span[0]) != NA_SPAN_HUGE)
			continue;
		*keep = (s->committed + SPARE_UNIT - 1) & ~(SPARE_UNIT - 1);
		if (*keep >= s->length)
			continue;
		s->busy = NA_BUSY;
		return s;
	}
	return NULL;
}

/* Cuts off the addresses that growing blocks have to spare. */
static uint64_t cut_spare(struct na_pool *pool)
{
	uint64_t bytes = 0;

	for (;;) {
		struct na_segment *s;
		uintptr_t spare;
		size_t keep = 0;
		int rc;

		na_lock(&pool->lock);
		s = next_with_spare(pool->huge_live, &keep);
		na_unlock(&pool->lock);
		if (!s)
			return bytes;
		/* The map has an entry for each 32 MiB: those that nothing of the block is left in. */
		spare = (s->base + keep + NA_SEGMENT - 1) & ~(NA_SEGMENT - 1);
		na_map_clear_range(spare, s->base + s->length);
		rc = na_os.unmap((void *)(s->base + keep), s->length - keep);
		if (rc < 0)
			na_map_set(s);
		na_lock(&pool->lock);
		if (rc == 0) {
			bytes += s->length - keep;
			pool->reserved -= s->length - keep;
			s->length = keep;
			na_segment_seal(s);
		}
		s->busy = 0;
		na_unlock(&pool->lock);
		if (rc < 0) /* vm.max_map_count, say */
			return bytes;
	}
}

uint64_t na_pool_release(struct na_pool *pool)
{
	uint64_t bytes = cut_spare(pool);

	for (uint32_t i = 0;; i++) {
		struct na_segment *segment;
		size_t length = close_segment(pool, i, &segment);
		int rc;

		if (!segment)
			return bytes;
		if (!length)
			continue;
		na_map_clear(segment); /* before another thread's mapping may come to lie there */
		rc = na_os.unmap((void *)segment->base, length);
		if (rc < 0)
			na_map_set(segment);
		na_lock(&pool->lock);
		pool->out_slices -= length / NA_SLICE;
		if (rc < 0) {
			na_bits_put(segment->free, 0, (uint32_t)(length / NA_SLICE), true);
		} else {
			segment->length = 0;
			na_segment_seal(segment);
			segment->next = pool->vacant;
			pool->vacant = segment;
			pool->reserved -= length;
			bytes += length;
		}
		na_unlock(&pool->lock);
	}
}

struct na_segment *na_pool_take_vacant(struct na_pool *pool)
{
	struct na_segment *segment;

	na_lock(&pool->lock);
	segment = pool->vacant;
	if (segment) {
		pool->vacant = segment->next;
		segment->next = NULL;
	}
	na_unlock(&pool->lock);
	return segment;
}

void na_pool_give_vacant(struct na_pool *pool, struct na_segment *segment)
{
	na_lock(&pool->lock);
	segment->next = pool->vacant;
	pool->vacant = segment;
	na_unlock(&pool->lock);
}

void na_pool_open_vacant(struct na_pool *pool, struct na_segment *segment, void *base, size_t length)
{
	na_lock(&pool->lock);
	segment->base = (uintptr_t)base;
	segment->length = length;
	na_segment_seal(segment);
	na_bits_put(segment->free, 0, (uint32_t)(length / NA_SLICE), true);
	ref_of(pool, segment->index)->max_free = NA_SLICES;
	ref_of(pool, segment->index)->max_dirty = 0;
	pool->reserved += length;
	na_map_set(segment);
	na_unlock(&pool->lock);
}

/* ---- the map ---- */

#define TIGHT	     ((uint64_t)4 << 30) /* address limits below this make 32 MiB of map worth saving */
#define PAGE_ENTRIES (NA_PAGE / sizeof(uintptr_t))
#define MAP_PAGES    (NA_MAP_ENTRIES / PAGE_ENTRIES) /* one for each 16 GiB */
#define AROUND	     16 /* pages of the map kept on both sides of what we know to be in use */

/* One bit a page of the map that is gone; written once, before there are threads. */
static uint64_t gone[MAP_PAGES / 64];
static _Atomic bool slim;

bool na_map_covers(uintptr_t at, size_t length)
{
	size_t first = at >> NA_SEGMENT_SHIFT, last = (at + (length ? length - 1 : 0)) >> NA_SEGMENT_SHIFT;

	if (!atomic_load_explicit(&slim, memory_order_relaxed))
		return true;
	for (size_t page = first / PAGE_ENTRIES; page <= last / PAGE_ENTRIES && page < MAP_PAGES; page++)
		if (gone[page / 64] >> (page % 64) & 1)
			return false;
	return true;
}

int na_map_reserve(size_t length, size_t alignment, void **out)
{
	int rc = na_os_map_aligned(length, alignment, out);

	if (rc == 0 && !na_map_covers((uintptr_t)*out, length)) {
		na_os.unmap(*out, length);
		rc = -ENOMEM;
	}
	return rc;
}

static void keep_around(uintptr_t at)
{
	size_t page = (at >> NA_SEGMENT_SHIFT) / PAGE_ENTRIES;

	for (size_t i = page > AROUND ? page - AROUND : 0; i < MAP_PAGES && i <= page + AROUND; i++)
		gone[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static uintptr_t page_start(size_t page)
{
	return (uintptr_t)&na_map.entry[page * PAGE_ENTRIES];
}

/* Pages `from` to `to` of the map; what shares a page of memory with others stays. */
static void give_up(size_t from, size_t to)
{
	uintptr_t low = (page_start(from) + NA_PAGE - 1) & ~(NA_PAGE - 1), high = page_start(to) & ~(NA_PAGE - 1);

	if (low < high && na_os.unmap((void *)low, high - low) == 0)
		return;
	for (size_t i = from; i < to; i++)
		gone[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

void na_map_slim(void)
{
	uint64_t bound;
	void *probe;

	if (na_limits_address_room(&bound) == NA_LIMIT_NONE || bound >= TIGHT || na_os.map(NULL, NA_PAGE, &probe) < 0)
		return;
	na_os.unmap(probe, NA_PAGE);
	memset(gone, 0xff, sizeof(gone));
	keep_around(0);			 /* programs that are not position-independent, and Valgrind's memory */
	keep_around((uintptr_t)probe);	 /* all that the system maps, downwards from there */
	keep_around((uintptr_t)&na_map); /* ourselves */
	keep_around((uintptr_t)__builtin_frame_address(0)); /* the stack */
	keep_around((uintptr_t)sbrk(0));
	for (size_t from = 0, to; from < MAP_PAGES; from = to) {
		bool keep = !(gone[from / 64] >> (from % 64) & 1);

		for (to = from + 1; to < MAP_PAGES && keep == !(gone[to / 64] >> (to % 64) & 1); to++)
			;
		if (!keep)
			give_up(from, to);
	}
	atomic_store_explicit(&slim, true, memory_order_relaxed);
}
