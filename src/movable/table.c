/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of entries: one reservation of addresses, opened from the front, each time as much again, so that a handle's offset leads to
 * its entry by one addition, and a mask is all that keeps any handle within it. Behind it a second one as large, of what else there is to say of blocks. Entry
 * 0 is never used. And the two ways in which a pin and the mover agree: the kernel's barrier, or a fence in each pin; which of them is in force shows in
 * numarena_movable_table.mask, which is 0 while pins shall take the long way: entry 0 is nobody's.
 *
 * The table's lock is held for some stores; nothing is called under it.
 */
#include <errno.h>

#include "movable/parts.h"
#include "os/limit.h"
#include "os/os.h"

#define MOST_BYTES  ((size_t)4 << 30) /* of addresses, twice: 2^29 entries */
#define LIMIT_SHARE 64		      /* of a limit of addresses (ulimit -v), at most */
#define LEAST_BYTES ((size_t)1 << 20)
#define STEP	    ((size_t)1 << 20)
#define ENTRY	    sizeof(struct na_movable_entry)
#define RANGE	    512 /* entries that a space takes at a time */

_Static_assert(sizeof(struct na_movable_entry) == 8, "a handle's offset is 8 times the index");

static const uint64_t none; /* stands for the table until there is one: a pin of whatever finds that it is no block */

/* mask: release with the opening of entries, relaxed by pins, which got the handle by other means. Its 0 pairs with the barrier of
 * na_movable_fence_pins(). */
struct numarena_movable_table numarena_movable_table = { .entries = (const char *)&none };
_Atomic uint64_t *na_movable_abouts;
struct na_movable_hooks na_movable_hooks;

static struct na_lock lock;
static _Atomic int started;	 /* release: 1 the table is there, -1 it could not be had */
static size_t reserved;		 /* bytes; constant once started */
static _Atomic uint64_t opened;	 /* entries; written under lock, release; acquire: they may be touched */
static _Atomic uint64_t top = 1; /* under lock, release; acquire: the first that nobody has had */
static uint32_t *floors; /* of a page that was given back: the generation of its next handles, else 0; under lock */
static _Atomic uint64_t purged; /* such pages; written under lock; relaxed: a hint */
static uint64_t purged_from;	/* the first such page is not before it; under lock */
static uint32_t fences;		/* under lock */
static bool symmetric;		/* constant once started: the kernel has no barrier for us, all pins are fenced */

static void publish_mask(void)
{
	uint64_t mask = fences ? 0 : atomic_load_explicit(&opened, memory_order_relaxed) * ENTRY - 1;

	__atomic_store_n(&numarena_movable_table.mask, mask, __ATOMIC_RELEASE);
}

/* Both tables from `at` on, and a page more: a handle with one of its lowest bits set leads between two entries, whose halves are no
 * block's; so what follows the last is there, and is as an entry's before its first use (zeros would be a block of ~0). */
static int open_more(size_t at, size_t bytes)
{
	char *entries = (char *)(uintptr_t)numarena_movable_table.entries;
	uint64_t none_yet = 0;
	int rc = na_os.protect(entries + at, bytes + NA_PAGE, true);

	if (rc == 0)
		rc = na_os.protect((char *)(uintptr_t)na_movable_abouts + at, bytes, true);
	if (rc == 0) /* unless another thread was faster by so much that it is a block's */
		atomic_compare_exchange_strong_explicit(
			&((struct na_movable_entry *)(void *)(entries + at + bytes))->where, &none_yet,
			na_where(1, 0, NA_MOVABLE_FREE), memory_order_relaxed, memory_order_relaxed);
	return rc;
}

static size_t floor_bytes(void)
{
	return (reserved / NA_PAGE * sizeof(*floors) + NA_PAGE - 1) & ~(NA_PAGE - 1);
}

/* Of both tables, the page between them, and the floors. */
static size_t all_bytes(void)
{
	return 2 * reserved + NA_PAGE + floor_bytes();
}

/* Under the lock of its own: so that one thread maps, and others wait. */
static int start(void)
{
	uint64_t limit = NA_LIMIT_NONE;
	void *p = NULL;
	int rc = -ENOMEM;

	na_limits_address_room(&limit);
	for (reserved = MOST_BYTES; reserved > LEAST_BYTES && 2 * reserved > limit / LIMIT_SHARE;)
		reserved /= 2;
	for (; rc < 0 && reserved >= LEAST_BYTES; reserved /= 2) {
		rc = na_os.reserve(all_bytes(), &p);
		if (rc == 0)
			break;
	}
	if (rc < 0)
		return -ENOMEM;
	numarena_movable_table.entries = p;
	na_movable_abouts = (_Atomic uint64_t *)((uintptr_t)p + reserved + NA_PAGE);
	floors = (uint32_t *)((uintptr_t)p + 2 * reserved + NA_PAGE);
	if (na_os.protect(floors, floor_bytes(), true) < 0 || open_more(0, STEP) < 0) {
		numarena_movable_table.entries = (const char *)&none;
		na_os.unmap(p, all_bytes());
		return -ENOMEM;
	}
	symmetric = na_os.barrier() < 0;
	fences = symmetric;
	((struct na_movable_entry *)p)->where = na_where(0, 0, NA_MOVABLE_FREE); /* no handle's */
	na_lock(&lock);
	atomic_store_explicit(&opened, STEP / ENTRY, memory_order_release);
	publish_mask();
	na_unlock(&lock);
	return 0;
}

/* Held while mapping: nobody else can be in here under a lock of another library's, for the first movable block is not allocated
 * in a hook. */
static struct na_lock starting;
_Atomic bool na_movable_begun;

int na_movable_start(void)
{
	int rc = 0;

	if (atomic_load_explicit(&started, memory_order_acquire) == 1)
		return 0;
	na_pools_boot();
	atomic_store_explicit(&na_movable_begun, true, memory_order_seq_cst);
	na_lock(&starting);
	if (atomic_load_explicit(&started, memory_order_relaxed) != 1) {
		rc = start();
		if (rc == 0)
			atomic_store_explicit(&started, 1, memory_order_release);
	}
	na_unlock(&starting);
	return rc;
}

uint64_t na_movable_opened(void)
{
	return atomic_load_explicit(&opened, memory_order_acquire);
}

uint64_t na_movable_top(void)
{
	return atomic_load_explicit(&top, memory_order_acquire);
}

/* What is not touched of the second table is not there, and cannot be told: it is counted in half. */
uint64_t na_movable_metadata(void)
{
	return (na_movable_opened() ? na_movable_top() - na_movable_pages_purged() * NA_TABLE_PAGE : 0) * ENTRY * 3 /
		       2 +
	       atomic_load_explicit(&na_movable_arena.mapped, memory_order_relaxed);
}

struct na_movable_entry *na_movable_at(uint64_t index)
{
	return (struct na_movable_entry *)(uintptr_t)numarena_movable_table.entries + index;
}

struct na_movable_entry *na_movable_entry(memory_handle_t handle)
{
	uint64_t index = na_movable_index(handle);

	/* (The eleven bits above the low half mean nothing, here as on the short way.) */
	if (handle & (UINT64_C(7) << NA_STATE_SHIFT | 7) || index == 0 || index >= na_movable_opened())
		return NULL;
	return na_movable_at(index);
}

uint64_t na_movable_fresh(uint64_t count)
{
	for (;;) {
		uint64_t end = atomic_load_explicit(&opened, memory_order_acquire), index = 0, first;
		size_t at = (size_t)end * ENTRY;

		na_lock(&lock);
		first = atomic_load_explicit(&top, memory_order_relaxed);
		if (first + count <= atomic_load_explicit(&opened, memory_order_relaxed) &&
		    first + count < NA_HEADER_TRANSIT) {
			index = first;
			atomic_store_explicit(&top, first + count, memory_order_release);
		}
		na_unlock(&lock);
		if (index)
			return index;
		/* As much again. By two threads at once it is opened twice, which is no harm. */
		if (2 * at > reserved || open_more(at, at) < 0)
			return 0;
		na_lock(&lock);
		if (atomic_load_explicit(&opened, memory_order_relaxed) < 2 * end)
			atomic_store_explicit(&opened, 2 * end, memory_order_release);
		publish_mask();
		na_unlock(&lock);
	}
}

void na_movable_page_purged(uint64_t page, uint64_t generation)
{
	na_lock(&lock);
	floors[page] = (uint32_t)generation;
	atomic_fetch_add_explicit(&purged, 1, memory_order_relaxed);
	if (page < purged_from)
		purged_from = page;
	na_unlock(&lock);
}

uint64_t na_movable_pages_purged(void)
{
	return atomic_load_explicit(&purged, memory_order_relaxed);
}

uint64_t na_movable_take_purged(uint64_t *generation)
{
	uint64_t page = 0;

	if (!na_movable_pages_purged())
		return 0;
	na_lock(&lock);
	if (na_movable_pages_purged()) {
		for (page = purged_from; !floors[page]; page++)
			;
		*generation = floors[page];
		floors[page] = 0;
		purged_from = page + 1;
		atomic_fetch_sub_explicit(&purged, 1, memory_order_relaxed);
	}
	na_unlock(&lock);
	return page * NA_TABLE_PAGE;
}

/* All of a page that had been given back. Handles of before are of lower generations. */
static void give_page(struct na_movable_space *space, uint64_t first, uint64_t generation)
{
	na_lock(&space->lock);
	for (uint64_t i = first + NA_TABLE_PAGE; i-- > first;) {
		atomic_store_explicit(&na_movable_at(i)->where, na_where(generation, 0, NA_MOVABLE_FREE),
				      memory_order_release);
		na_movable_give_entry(space, i);
	}
	na_unlock(&space->lock);
}

int na_movable_more(struct na_movable_space *space)
{
	uint64_t generation, first = na_movable_take_purged(&generation), count = RANGE;

	if (first) {
		give_page(space, first, generation);
		return 0;
	}
	first = na_movable_fresh(RANGE);
	if (!first) {
		count = 1;
		first = na_movable_fresh(1);
	}
	if (!first)
		return -ENOMEM;
	na_lock(&space->lock);
	if (space->fresh == space->fresh_end) {
		space->fresh = first;
		space->fresh_end = first + count;
		count = 0;
	}
	for (uint64_t i = first; i < first + count; i++) { /* another thread was first: they go to the free ones */
		atomic_store_explicit(&na_movable_at(i)->where, na_where(1, 0, NA_MOVABLE_FREE), memory_order_release);
		na_movable_give_entry(space, i);
	}
	na_unlock(&space->lock);
	return 0;
}

uint64_t na_movable_take_entry(struct na_movable_space *space)
{
	uint64_t index = space->free_entry;

	if (index) {
		space->free_entry =
			na_where_payload(atomic_load_explicit(&na_movable_at(index)->where, memory_order_relaxed)) >> 4;
	} else if (space->fresh < space->fresh_end) {
		index = space->fresh++;
		atomic_store_explicit(&na_movable_at(index)->where, na_where(1, 0, NA_MOVABLE_FREE),
				      memory_order_release);
	}
	return index;
}

void na_movable_give_entry(struct na_movable_space *space, uint64_t index)
{
	struct na_movable_entry *e = na_movable_at(index);
	uint64_t generation = na_where_generation(atomic_load_explicit(&e->where, memory_order_relaxed));

	if (atomic_load_explicit(na_about_of(e), memory_order_relaxed))
		atomic_store_explicit(na_about_of(e), 0, memory_order_relaxed);
	if (generation == 0) /* worn out */
		return;
	atomic_store_explicit(&e->where, na_where(generation, space->free_entry << 4, NA_MOVABLE_FREE),
			      memory_order_release);
	space->free_entry = index;
}

int na_movable_barrier(void)
{
	bool fenced;

	atomic_thread_fence(memory_order_seq_cst);
	na_lock(&lock);
	fenced = fences > 0;
	na_unlock(&lock);
	return fenced ? 0 : na_os.barrier();
}

int na_movable_fence_pins(void)
{
	int rc = 0;

	na_lock(&lock);
	fences++;
	publish_mask();
	na_unlock(&lock);
	if (!symmetric)
		rc = na_os.barrier();
	if (rc < 0)
		na_movable_unfence_pins();
	return rc;
}

void na_movable_unfence_pins(void)
{
	na_lock(&lock);
	fences--;
	publish_mask();
	na_unlock(&lock);
}

uint64_t na_about_folded(uint64_t about)
{
	uint64_t x = about & ((UINT64_C(1) << NA_ABOUT_FOLD_SHIFT) - 1);

	x ^= x >> 30;
	x ^= x >> 15;
	x ^= x >> 5 ^ x >> 10;
	return (about & ((UINT64_C(1) << NA_ABOUT_FOLD_SHIFT) - 1)) | (~x & 31) << NA_ABOUT_FOLD_SHIFT;
}

uint64_t na_about_make(size_t size)
{
	return size >= NA_ABOUT_SIZE_FROM ? na_about_folded(size) : 0;
}

void na_about_put(struct na_movable_entry *entry, uint64_t clear, uint64_t set)
{
	uint64_t about = atomic_load_explicit(na_about_of(entry), memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(na_about_of(entry), &about,
						      na_about_folded((about & ~clear) | set), memory_order_seq_cst,
						      memory_order_relaxed))
		;
}

void na_movable_table_before_fork(void)
{
	na_lock(&starting);
	na_lock(&lock);
}

void na_movable_table_after_fork(bool child)
{
	if (child) {
		na_lock_reset(&lock);
		na_lock_reset(&starting);
	} else {
		na_unlock(&lock);
		na_unlock(&starting);
	}
}
