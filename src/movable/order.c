/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks in the order that the program gives. It may read the blocks to find the next one, so each is moved as soon as it is named; a barrier for
 * each would be most of the time, so pins are fenced meanwhile (na_movable_fence_pins()), and the barrier is one for all.
 *
 * The mover's lock is held throughout, but the program's function is called with it: it may pin and unpin, which takes no such lock. (A pin of a
 * compressed block may want memory, and what makes room tries the lock.)
 *
 * New handles: their entries lie one after the other, in pages of the table that had been given back, or that are new. The old entry ends only after the copy was
 * made, and before anybody can know of the new one.
 */
#include <errno.h>
#include <string.h>

#include "movable/parts.h"
#include "os/os.h"

#define RANGE	   4096 /* fresh entries at a time */
#define TRIM_SHARE 4	/* of the table: after so many new handles it is looked for pages that are free again */

struct order {
	uint64_t fresh, fresh_end; /* entries that are the caller's, one after the other, and used nowhere */
	uint64_t generation;	   /* of their handles */
	bool renew;
};

static uint64_t renewed; /* entries that orders have taken since they last trimmed the table; the mover's lock */

/* From a free list, this node's first, in no order: where nothing else is left, a new handle is still what the caller asked for. */
static uint64_t any_entry(uint64_t *generation)
{
	uint32_t here = (uint32_t)(na_movable_here() - na_movable_spaces);
	uint64_t index = 0;

	for (uint32_t i = 0; i < na_pool_count && !index; i++) {
		struct na_movable_space *space = &na_movable_spaces[(here + i) % na_pool_count];

		na_lock(&space->lock);
		index = na_movable_take_entry(space);
		na_unlock(&space->lock);
	}
	if (index)
		*generation =
			na_where_generation(atomic_load_explicit(&na_movable_at(index)->where, memory_order_relaxed));
	return index;
}

static void more_entries(struct order *o)
{
	uint64_t count = NA_TABLE_PAGE;

	o->fresh = na_movable_take_purged(&o->generation);
	if (!o->fresh) {
		o->fresh = na_movable_fresh(count = RANGE);
		o->generation = 1;
	}
	renewed += o->fresh ? count : 0;
	if (!o->fresh) {
		o->fresh = any_entry(&o->generation);
		count = 1;
	}
	o->fresh_end = o->fresh ? o->fresh + count : 0;
}

static uint64_t next_entry(struct order *o)
{
	if (o->fresh == o->fresh_end)
		more_entries(o);
	return o->fresh ? o->fresh++ : 0;
}

/* What earlier orders have left free is to be had again before the table grows on, though the program asks for no whole pass: 10 ns an entry of the table, for each
 * fourth of it that was renewed. */
static void trim_if_due(void)
{
	bool due;

	na_movable_lock();
	due = renewed > na_movable_top() / TRIM_SHARE;
	renewed = due ? 0 : renewed;
	na_movable_unlock();
	if (due)
		na_movable_trim_table();
}

/* What was not used of the last range. */
static void give_rest(struct order *o)
{
	struct na_movable_space *space = na_movable_here();

	na_lock(&space->lock);
	for (uint64_t i = o->fresh_end; i-- > o->fresh;) {
		atomic_store_explicit(&na_movable_at(i)->where, na_where(o->generation, 0, NA_MOVABLE_FREE),
				      memory_order_release);
		na_movable_give_entry(space, i);
	}
	na_unlock(&space->lock);
}

/* A taken block gets a new place and a new handle. 1; 0: it was pinned; -ENOMEM. */
static int renew(struct order *o, const struct na_movable_block *b, memory_handle_t *kept)
{
	struct na_movable_space *space = na_movable_chunk_of((uintptr_t)b->at, b->size)->space;
	struct na_movable_entry *old = na_movable_entry(b->handle), *e;
	uint64_t where = b->word, index = next_entry(o), generation = na_where_generation(where);
	memory_handle_t handle = na_handle(o->generation, index);
	uint64_t about;
	uintptr_t at;

	if (!index || na_movable_place(space, b->size, true, &at) < 0) {
		o->fresh -= index != 0;
		na_movable_give_back(b);
		return -ENOMEM;
	}
	na_movable_copy((void *)at, b->at, b->size);
	na_movable_settle_header(at, b->size, handle);
	generation = generation < NA_GENERATION_LAST ? generation + 1 : 0;
	if (!atomic_compare_exchange_strong_explicit(&old->where, &where, na_where(generation, 0, NA_MOVABLE_FREE),
						     memory_order_seq_cst, memory_order_relaxed)) {
		na_movable_retire(at, b->size);
		o->fresh--;
		return 0;
	}
	e = na_movable_at(index);
	about = atomic_load_explicit(na_about_of(old), memory_order_relaxed) & (NA_ABOUT_SIZE | NA_ABOUT_NOTED);
	if (about)
		atomic_store_explicit(na_about_of(e), na_about_folded(about), memory_order_relaxed);
	atomic_store_explicit(&e->where, na_where(o->generation, at, NA_MOVABLE_HERE), memory_order_release);
	*kept = handle;
	na_movable_retire((uintptr_t)b->at, b->size);
	if (b->noted && na_movable_hooks.forget) {
		na_about_put(e, NA_ABOUT_NOTED, 0);
		na_movable_hooks.forget(b->handle);
	}
	na_lock(&space->lock);
	na_movable_give_entry(space, na_movable_index(b->handle));
	na_unlock(&space->lock);
	na_movable_count(&na_movable_counters.moves, 1);
	na_movable_count(&na_movable_counters.moved_bytes, b->size);
	return 1;
}

/* 1: laid out; 0: it stays; -errno. */
static int lay(struct order *o, memory_handle_t *kept, size_t *bytes)
{
	struct na_movable_block b;
	uint64_t copied = 0, refused = 0;
	int rc = na_movable_look(*kept, &b);

	if (rc < 0)
		return rc == -EALREADY ? 0 : rc;
	*bytes = b.size;
	if (b.size >= NA_MOVABLE_SOLO_FROM)
		return 0;
	if (!o->renew)
		return na_movable_move(&b, 1, &copied, &refused);
	rc = na_movable_take(&b, 1);
	if (rc <= 0)
		na_movable_count(&na_movable_counters.refused, 1);
	return rc <= 0 ? rc : renew(o, &b, kept);
}

/* Fresh chunks, so that the order begins at the front of one. */
static void close_all(void)
{
	for (uint32_t i = 0; i < na_pool_count; i++) {
		na_lock(&na_movable_spaces[i].lock);
		na_movable_close(&na_movable_spaces[i], &na_movable_spaces[i].dest);
		na_unlock(&na_movable_spaces[i].lock);
	}
}

static int run(struct order *o, const compaction_order_t *order, compaction_result_t *out, memory_handle_t *wrong)
{
	memory_handle_t *kept;
	int rc = 0;

	while (rc >= 0) {
		size_t bytes = 0;

		na_movable_set_in_order(true);
		kept = order->next(order->closure);
		na_movable_set_in_order(false);
		if (!kept)
			break;
		rc = lay(o, kept, &bytes);
		*wrong = rc == -EINVAL ? *kept : 0;
		out->blocks += rc == 1;
		out->bytes += rc == 1 ? bytes : 0;
		out->left += rc == 0;
		if (na_movable_has_empty())
			na_movable_drain();
	}
	return rc < 0 ? rc : 0;
}

int na_movable_order(const compaction_order_t *order, compaction_result_t *out, memory_handle_t *wrong)
{
	struct order o = { .renew = order->renew_handles };
	uint64_t begin;
	int rc = na_movable_in_order() ? -EDEADLK : na_movable_start();

	memset(out, 0, sizeof(*out));
	*wrong = 0;
	if (rc < 0)
		return rc;
	if (o.renew)
		trim_if_due();
	na_movable_lock();
	begin = na_os_now_ns();
	rc = na_movable_fence_pins();
	if (rc == 0) {
		close_all();
		rc = run(&o, order, out, wrong);
		na_movable_unfence_pins();
	}
	give_rest(&o);
	na_movable_count(&na_movable_counters.ns, na_os_now_ns() - begin);
	na_movable_unlock();
	return rc;
}
