/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mover: whoever holds its lock may take blocks that nobody has pinned, read them, and put them elsewhere. A batch of up to
 * NA_MOVABLE_BATCH blocks costs one barrier and one look at all slots.
 *
 * A pin never waits for a mover: it makes the block HERE again by itself, and the mover's publishing fails. So a copy may be of bytes that change
 * under it, and is thrown away then.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "movable/parts.h"
#include "os/os.h"

#define YIELDS 1000

/* Whoever has let go of the lock while a block is half done: nobody else takes that one, or the word that tells whether it is still as it was would come again. */
struct breath {
	memory_handle_t handle;
	struct breath *next;
};

static struct na_lock mover;
static struct breath *at_rest; /* under it: on the stacks of those who have let go of it */
static bool orphaned;
static _Atomic uint32_t waiting; /* relaxed: a hint */
static _Atomic uint8_t epoch;	 /* relaxed: a clock */

/* The program's next() runs with the lock held: what comes back to us from there has it already, and leaves it so. */
static __thread bool in_order;

bool na_movable_in_order(void)
{
	return in_order;
}

void na_movable_set_in_order(bool on)
{
	in_order = on;
}

void na_movable_lock(void)
{
	if (in_order || na_trylock(&mover))
		return;
	atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed);
	na_lock(&mover);
	atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed);
}

bool na_movable_trylock(void)
{
	return na_trylock(&mover);
}

/* Whoever empties a chunk meanwhile leaves it in the list: looked for before the lock is released, and once more after, for
 * what came between the two and found it taken. */
void na_movable_unlock(void)
{
	if (in_order)
		return;
	do {
		na_movable_drain();
		na_unlock(&mover);
	} while (na_movable_has_empty() && na_movable_trylock());
}

void na_movable_lock_after_fork(bool child)
{
	if (child) {
		orphaned |= at_rest != NULL;
		at_rest = NULL;
		atomic_store_explicit(&waiting, 0, memory_order_relaxed);
		na_lock_reset(&mover);
		if (in_order) /* the order goes on in the child, too */
			na_trylock(&mover);
	} else if (!in_order) {
		na_unlock(&mover);
	}
}

void na_movable_add_epochs(uint8_t n)
{
	atomic_fetch_add_explicit(&epoch, n, memory_order_relaxed);
}

static void describe(struct na_movable_entry *e, uint64_t index, uint64_t where, struct na_movable_block *out)
{
	uint64_t about = atomic_load_explicit(na_about_of(e), memory_order_relaxed);

	*out = (struct na_movable_block){ .handle = na_handle(na_where_generation(where), index),
					  .at = (void *)na_where_payload(where),
					  .size = na_movable_size(about, na_where_payload(where)),
					  .age = (uint8_t)(atomic_load_explicit(&epoch, memory_order_relaxed) -
							   (about >> NA_ABOUT_STAMP_SHIFT)),
					  .noted = about & NA_ABOUT_NOTED,
					  .word = where };
}

/* Marks a block as not pinned from now on, and when. */
static void watch(struct na_movable_entry *e, uint64_t where)
{
	na_about_put(e, UINT64_C(0xff) << NA_ABOUT_STAMP_SHIFT,
		     (uint64_t)atomic_load_explicit(&epoch, memory_order_relaxed) << NA_ABOUT_STAMP_SHIFT);
	atomic_compare_exchange_strong_explicit(&e->where, &where, na_where_with(where, NA_MOVABLE_WATCHED),
						memory_order_seq_cst,
						memory_order_relaxed); /* fails if it was released */
}

/* The header is only read where it decides: it is another line of memory. */
static bool is_smaller(const struct na_movable_entry *e, uint64_t where, size_t least)
{
	uint64_t about = atomic_load_explicit(na_about_of(e), memory_order_relaxed);

	return !(about & NA_ABOUT_SIZE) && least >= NA_ABOUT_SIZE_FROM
		       ? true
		       : na_movable_size(about, na_where_payload(where)) < least;
}

int na_movable_next_cold(uint64_t *cursor, uint64_t most, uint8_t age, size_t least, struct na_movable_block *out)
{
	uint64_t end = na_movable_top(), i = *cursor ? *cursor : 1;

	for (; i < end && most; i++, most--) {
		struct na_movable_entry *e = na_movable_at(i);
		uint64_t where = atomic_load_explicit(&e->where, memory_order_acquire);

		if (na_where_state(where) == NA_MOVABLE_FREE || /* or never used */
		    na_where_state(where) == NA_MOVABLE_IMAGE || is_smaller(e, where, least))
			continue;
		if (na_where_state(where) == NA_MOVABLE_HERE) {
			watch(e, where);
		} else if (na_where_state(where) == NA_MOVABLE_WATCHED) {
			describe(e, i, where, out);
			if (out->age < age)
				continue;
			*cursor = i + 1;
			return 1;
		}
	}
	*cursor = i < end ? i : 0;
	return i < end ? 0 : -ENOENT;
}

int na_movable_look(memory_handle_t handle, struct na_movable_block *out)
{
	struct na_movable_entry *e = na_movable_entry(handle);
	uint64_t where = e ? atomic_load_explicit(&e->where, memory_order_acquire) : 0;

	if (!e || na_where_generation(where) != na_handle_generation(handle) ||
	    na_where_state(where) == NA_MOVABLE_FREE)
		return -EINVAL;
	if (na_where_state(where) == NA_MOVABLE_IMAGE)
		return -EALREADY;
	describe(e, na_movable_index(handle), where, out);
	return 0;
}

static uint64_t taken(uint64_t where)
{
	return na_where_with(where, NA_MOVABLE_TAKEN);
}

void na_movable_give_back(const struct na_movable_block *b)
{
	struct na_movable_entry *e = na_movable_entry(b->handle);
	uint64_t where = taken(b->word), before = b->word;

	if (na_where_state(before) == NA_MOVABLE_TAKEN)
		before = na_where_with(before, NA_MOVABLE_WATCHED);
	atomic_compare_exchange_strong_explicit(&e->where, &where, before, memory_order_seq_cst, memory_order_relaxed);
}

bool na_movable_is_at_rest(memory_handle_t handle)
{
	const struct breath *o = at_rest;

	while (o && o->handle != handle)
		o = o->next;
	return o != NULL;
}

bool na_movable_is_taken(struct na_movable_block *b)
{
	bool is = atomic_load_explicit(&na_movable_entry(b->handle)->where, memory_order_acquire) == b->word &&
		  !na_movable_is_at_rest(
			  b->handle); /* of several that were taken at once this one was not, and another has it now */

	if (!is)
		b->word = 0;
	return is;
}

bool na_movable_breathe(struct na_movable_block *b)
{
	struct breath me = { b->handle, NULL }, **o = &at_rest;

	if (atomic_load_explicit(&waiting, memory_order_relaxed) == 0)
		return true;
	me.next = at_rest;
	at_rest = &me;
	na_movable_unlock();
	for (int i = 0; i < YIELDS && atomic_load_explicit(&waiting, memory_order_relaxed); i++)
		sched_yield();
	na_movable_lock();
	while (*o != &me)
		o = &(*o)->next;
	*o = me.next;
	return na_movable_is_taken(b);
}

bool na_movable_somebody_breathes(void)
{
	return at_rest || orphaned;
}

/* After this, `word` is what publishing expects, but for the state that it shall have again: that is told by `age`. */
int na_movable_take(struct na_movable_block *blocks, size_t n)
{
	int count = 0, rc;

	for (size_t i = 0; i < n; i++) {
		struct na_movable_entry *e = na_movable_entry(blocks[i].handle);
		uint64_t where = blocks[i].word;

		if (na_movable_is_at_rest(blocks[i].handle) ||
		    !atomic_compare_exchange_strong_explicit(&e->where, &where, taken(where), memory_order_seq_cst,
							     memory_order_relaxed))
			blocks[i].at = NULL; /* another's, or pinned or released since it was looked at */
	}
	rc = na_movable_barrier();
	if (rc == 0)
		na_movable_scan(blocks, n);
	for (size_t i = 0; i < n; i++) {
		struct na_movable_entry *e = na_movable_entry(blocks[i].handle);

		if (!blocks[i].at)
			continue;
		if (rc < 0) {
			na_movable_give_back(&blocks[i]);
			blocks[i].at = NULL;
		} else if (atomic_load_explicit(&e->where, memory_order_relaxed) != taken(blocks[i].word)) {
			blocks[i].at = NULL;
		} else {
			blocks[i].word = taken(blocks[i].word);
			count++;
		}
	}
	return rc < 0 ? rc : count;
}

int na_movable_publish_image(const struct na_movable_block *b, uint64_t image, bool note)
{
	struct na_movable_entry *e = na_movable_entry(b->handle);
	uint64_t where = b->word;
	struct na_movable_space *space;
	bool done;

	/* An image changes under its stripe's lock alone: so it is the block's own `about` that gets the note. */
	/* Tried only: this thread may hold it, because the block that it restores found no memory, and we are making room. */
	if (!na_trylock(na_movable_stripe(b->handle))) {
		na_movable_give_back(b);
		return -EAGAIN;
	}
	done = atomic_compare_exchange_strong_explicit(&e->where, &where,
						       na_where(na_where_generation(where), image, NA_MOVABLE_IMAGE),
						       memory_order_seq_cst, memory_order_relaxed);
	if (done) /* whose bytes are elsewhere has no header */
		na_about_put(e, NA_ABOUT_NOTED | NA_ABOUT_SIZE, (note ? NA_ABOUT_NOTED : 0) | b->size);
	na_unlock(na_movable_stripe(b->handle));
	if (!done)
		return -EAGAIN;
	space = na_movable_retire((uintptr_t)b->at, b->size);
	na_lock(&space->lock); /* one block, at any moment: see na_movable_figures() */
	na_movable_count(&na_movable_counters.images, 1);
	na_movable_count(&na_movable_counters.image_bytes, b->size);
	space->blocks--;
	space->bytes -= b->size;
	na_unlock(&space->lock);
	return 0;
}

/* One block that is taken; 1: it lies elsewhere now, 0: it was wanted meanwhile. */
static int move_one(const struct na_movable_block *b, enum na_movable_state then)
{
	struct na_movable_space *space = na_movable_chunk_of((uintptr_t)b->at, b->size)->space;
	struct na_movable_entry *e = na_movable_entry(b->handle);
	uint64_t where = b->word;
	uintptr_t at;
	int rc = na_movable_place(space, b->size, true, &at);

	if (rc < 0)
		return rc;
	na_movable_copy((void *)at, b->at, b->size);
	na_movable_settle_header(at, b->size, b->handle);
	if (!atomic_compare_exchange_strong_explicit(&e->where, &where, na_where(na_where_generation(where), at, then),
						     memory_order_seq_cst, memory_order_relaxed)) {
		na_movable_retire(at, b->size);
		return 0;
	}
	na_movable_retire((uintptr_t)b->at, b->size);
	return 1;
}

int na_movable_move(struct na_movable_block *blocks, size_t n, uint64_t *bytes, uint64_t *refused)
{
	bool watched[NA_MOVABLE_BATCH];
	uint64_t copied = 0;
	int moved = 0, rc;

	for (size_t i = 0; i < n; i++)
		watched[i] = na_where_state(blocks[i].word) == NA_MOVABLE_WATCHED;
	rc = na_movable_take(blocks, n);
	for (size_t i = 0; i < n && rc >= 0; i++) {
		if (!blocks[i].at)
			continue;
		rc = move_one(&blocks[i], watched[i] ? NA_MOVABLE_WATCHED : NA_MOVABLE_HERE);
		if (rc == 1) {
			moved++;
			copied += blocks[i].size;
		}
	}
	for (size_t i = 0; i < n && rc < 0; i++) /* no memory: the rest stays */
		if (blocks[i].at)
			na_movable_give_back(&blocks[i]);
	*refused += n - (size_t)moved;
	*bytes += copied;
	na_movable_count(&na_movable_counters.moves, (uint64_t)moved);
	na_movable_count(&na_movable_counters.moved_bytes, copied);
	na_movable_count(&na_movable_counters.refused, n - (size_t)moved);
	return rc < 0 ? rc : moved;
}
