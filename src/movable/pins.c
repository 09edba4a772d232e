/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pins: the long way of the two functions that movable.h has inline, and the mover's look at all of them.
 *
 * A pin is a handle in a slot of its thread, or one in the count of the entry (shared pins, and what finds no free slot). The short way
 * tries the one slot that the handle's index leads to; here all are tried.
 *
 * Order. A pin: store slot, load `where`. The mover: CAS `where` to TAKEN, barrier, load slots. One of the two sees the other: if the load of
 * `where` came before the barrier on its processor, so did the store of the slot, and the mover finds it; else it sees TAKEN. Long-way pins have a
 * seq_cst fence of their own between the two, which pairs with the fence in na_movable_barrier(). A count is raised by a seq_cst
 * compare-and-swap before `where` is loaded, and loaded by the mover (seq_cst) after its CAS. tests/unit/movable/test_protocol.c tries all
 * interleavings.
 *
 * Slots are written release and read acquire: what a thread did with a block comes before what the mover does with it.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "movable/parts.h"

static struct na_pins nobody = { .slots = { .slot = { [0 ... NUMARENA_PIN_SLOTS - 1] =
							      UINT64_MAX } } }; /* full of no handle */

__thread struct numarena_pins *numarena_pins_here = &nobody.slots;

static _Atomic(struct na_pins *) all; /* seq_cst push, acquire walk: never shorter */
static pthread_key_t key;
static _Atomic int key_state; /* 0; 1 being made; 2 there is one (release, acquire) */

struct na_lock na_movable_stripes[NA_STRIPES];
struct na_movable_counters na_movable_counters;

static uint64_t slot_of(const struct na_pins *pins, unsigned int i)
{
	return __atomic_load_n(&pins->slots.slot[i], __ATOMIC_ACQUIRE);
}

static void put_slot(struct na_pins *pins, unsigned int i, uint64_t handle)
{
	__atomic_store_n(&pins->slots.slot[i], handle, __ATOMIC_RELEASE);
}

/* Raises the count; -EBUSY at most. */
static int count_up(struct na_movable_entry *e)
{
	uint64_t about = atomic_load_explicit(na_about_of(e), memory_order_relaxed);

	do {
		if ((about >> NA_ABOUT_COUNT_SHIFT & NA_ABOUT_COUNT_MOST) == NA_ABOUT_COUNT_MOST)
			return -EBUSY;
	} while (!atomic_compare_exchange_weak_explicit(na_about_of(e), &about,
							na_about_folded(about + (UINT64_C(1) << NA_ABOUT_COUNT_SHIFT)),
							memory_order_seq_cst, memory_order_relaxed));
	return 0;
}

/* Release: what the pin's holder did comes before the mover's load of the count. */
static int count_down(struct na_movable_entry *e)
{
	uint64_t about = atomic_load_explicit(na_about_of(e), memory_order_relaxed);

	do {
		if ((about >> NA_ABOUT_COUNT_SHIFT & NA_ABOUT_COUNT_MOST) == 0)
			return -EINVAL;
	} while (!atomic_compare_exchange_weak_explicit(na_about_of(e), &about,
							na_about_folded(about - (UINT64_C(1) << NA_ABOUT_COUNT_SHIFT)),
							memory_order_seq_cst, memory_order_relaxed));
	return 0;
}

/* What the thread has pinned becomes shared, the count first: the mover that finds the slot empty finds the count. Where the count is at
 * its most it stays so for ever. */
static void leave(struct na_pins *pins)
{
	for (unsigned int i = 0; i < NUMARENA_PIN_SLOTS; i++) {
		uint64_t handle = slot_of(pins, i);
		struct na_movable_entry *e = handle ? na_movable_entry(handle) : NULL;

		if (e)
			count_up(e);
		put_slot(pins, i, 0);
	}
	pins->astray = false;
	atomic_store_explicit(&pins->taken, false, memory_order_release);
}

static void thread_exit(void *pins)
{
	numarena_pins_here = &nobody.slots;
	leave(pins);
}

static bool watch(struct na_pins *pins)
{
	int expected = 0;

	if (atomic_compare_exchange_strong_explicit(&key_state, &expected, 1, memory_order_acquire,
						    memory_order_relaxed) &&
	    pthread_key_create(&key, thread_exit) == 0)
		atomic_store_explicit(&key_state, 2, memory_order_release);
	return atomic_load_explicit(&key_state, memory_order_acquire) == 2 && pthread_setspecific(key, pins) == 0;
}

static struct na_pins *reuse(void)
{
	for (struct na_pins *p = atomic_load_explicit(&all, memory_order_acquire); p; p = p->next) {
		bool expected = false;

		if (!atomic_load_explicit(&p->taken, memory_order_relaxed) &&
		    atomic_compare_exchange_strong_explicit(&p->taken, &expected, true, memory_order_acquire,
							    memory_order_relaxed))
			return p;
	}
	return NULL;
}

/* The thread's slots; NULL without memory, or without a key that would tell of its end: then its pins are counted. */
static struct na_pins *here(void)
{
	struct na_pins *p = (struct na_pins *)numarena_pins_here;

	if (p != &nobody)
		return p;
	p = reuse();
	if (!p) {
		p = na_arena_take(&na_movable_arena, sizeof(*p), NULL);
		if (!p)
			return NULL;
		memset(p, 0, sizeof(*p));
		p->taken = true;
		p->next = atomic_load_explicit(&all, memory_order_relaxed);
		while (!atomic_compare_exchange_weak_explicit(&all, &p->next, p, memory_order_seq_cst,
							      memory_order_relaxed))
			;
	}
	if (!watch(p)) {
		atomic_store_explicit(&p->taken, false, memory_order_release);
		return NULL;
	}
	numarena_pins_here = &p->slots;
	return p;
}

/* Under the stripe's lock. 0 if the block is in memory now. */
static int restore_locked(struct na_movable_entry *e, memory_handle_t handle, uint64_t where)
{
	size_t size = atomic_load_explicit(na_about_of(e), memory_order_relaxed) & NA_ABOUT_SIZE;
	struct na_movable_space *space;
	uintptr_t at;
	int rc;

	if (!na_movable_hooks.restore)
		return -EBADMSG;
	rc = na_movable_place(na_movable_here(), size, false, &at);
	if (rc < 0)
		return rc;
	rc = na_movable_hooks.restore(handle, na_where_payload(where), (void *)at, size);
	if (rc < 0) {
		na_movable_retire(at, size);
		return rc;
	}
	na_movable_settle_header(at, size, handle);
	space = na_movable_chunk_of(at, size)->space;
	na_lock(&space->lock);
	space->blocks++;
	space->bytes += size;
	atomic_fetch_sub_explicit(&na_movable_counters.images, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&na_movable_counters.image_bytes, size, memory_order_relaxed);
	na_unlock(&space->lock);
	/* Nobody else changes an IMAGE without the stripe's lock. */
	atomic_store_explicit(&e->where, na_where(na_where_generation(where), at, NA_MOVABLE_HERE),
			      memory_order_release);
	return 0;
}

static int restore(struct na_movable_entry *e, memory_handle_t handle)
{
	uint64_t where;
	int rc = 0;

	na_lock(na_movable_stripe(handle));
	where = atomic_load_explicit(&e->where, memory_order_acquire);
	if (na_where_generation(where) == na_handle_generation(handle) && na_where_state(where) == NA_MOVABLE_IMAGE)
		rc = restore_locked(e, handle, where);
	na_unlock(na_movable_stripe(handle));
	return rc;
}

/* Once a slot or the count has the pin: where the block is. */
static int find(struct na_movable_entry *e, memory_handle_t handle, void **out)
{
	for (;;) {
		uint64_t where = atomic_load_explicit(&e->where, memory_order_seq_cst);
		enum na_movable_state state = na_where_state(where);
		int rc;

		if (na_where_generation(where) != na_handle_generation(handle) || state == NA_MOVABLE_FREE)
			return -EINVAL;
		if (state == NA_MOVABLE_IMAGE) {
			rc = restore(e, handle);
			if (rc < 0)
				return rc;
			continue;
		}
		/* Whoever has taken it finds that it is no longer so, and gives up. */
		if (state == NA_MOVABLE_HERE ||
		    atomic_compare_exchange_strong_explicit(&e->where, &where, na_where_with(where, NA_MOVABLE_HERE),
							    memory_order_seq_cst, memory_order_relaxed)) {
			*out = (void *)(uintptr_t)na_where_payload(where);
			return 0;
		}
	}
}

static int pin_counted(struct na_movable_entry *e, memory_handle_t handle, void **out)
{
	int rc;

	if (na_where_generation(atomic_load_explicit(&e->where, memory_order_relaxed)) != na_handle_generation(handle))
		return -EINVAL;
	rc = count_up(e);
	if (rc < 0)
		return rc;
	rc = find(e, handle, out);
	if (rc < 0)
		count_down(e);
	return rc;
}

/* A free slot, the handle's own first; NUMARENA_PIN_SLOTS: none. */
static unsigned int free_slot(struct na_pins *pins, memory_handle_t handle)
{
	unsigned int own = (unsigned int)(handle >> 3) % NUMARENA_PIN_SLOTS;

	for (unsigned int i = 0; i < NUMARENA_PIN_SLOTS; i++)
		if (pins->slots.slot[(own + i) % NUMARENA_PIN_SLOTS] == 0) {
			pins->astray |= i > 0;
			return (own + i) % NUMARENA_PIN_SLOTS;
		}
	return NUMARENA_PIN_SLOTS;
}

int na_movable_pin(memory_handle_t handle, bool shared, void **out)
{
	struct na_movable_entry *e = na_movable_entry(handle);
	struct na_pins *pins;
	unsigned int i;
	int rc;

	if (!e)
		return -EINVAL;
	na_movable_count(&na_movable_counters.slow_pins, 1);
	pins = shared ? NULL : here();
	i = pins ? free_slot(pins, handle) : NUMARENA_PIN_SLOTS;
	if (i == NUMARENA_PIN_SLOTS)
		return pin_counted(e, handle, out);
	put_slot(pins, i, handle);
	atomic_thread_fence(memory_order_seq_cst);
	rc = find(e, handle, out);
	if (rc < 0)
		put_slot(pins, i, 0);
	return rc;
}

int na_movable_unpin(memory_handle_t handle)
{
	struct na_pins *pins = (struct na_pins *)numarena_pins_here;
	struct na_movable_entry *e = na_movable_entry(handle);

	if (!e)
		return -EINVAL;
	for (unsigned int i = 0; pins != &nobody && i < NUMARENA_PIN_SLOTS; i++)
		if (pins->slots.slot[i] == handle) {
			put_slot(pins, i, 0);
			return 0;
		}
	if (na_where_generation(atomic_load_explicit(&e->where, memory_order_relaxed)) != na_handle_generation(handle))
		return -EINVAL;
	return count_down(e);
}

bool na_movable_pinned_here(memory_handle_t handle)
{
	const struct na_pins *pins = (const struct na_pins *)numarena_pins_here;

	if (pins == &nobody)
		return false;
	if (!pins->astray)
		return pins->slots.slot[(handle >> 3) % NUMARENA_PIN_SLOTS] == handle;
	for (unsigned int i = 0; i < NUMARENA_PIN_SLOTS; i++)
		if (pins->slots.slot[i] == handle)
			return true;
	return false;
}

static void cancel(struct na_movable_entry *e, uint64_t generation)
{
	uint64_t where = atomic_load_explicit(&e->where, memory_order_relaxed);

	if (na_where_generation(where) == generation && na_where_state(where) == NA_MOVABLE_TAKEN)
		atomic_compare_exchange_strong_explicit(&e->where, &where, na_where_with(where, NA_MOVABLE_HERE),
							memory_order_seq_cst,
							memory_order_relaxed); /* fails where the pin itself did it */
}

/* Slots before counts: see leave(). */
void na_movable_scan(const struct na_movable_block *blocks, size_t n)
{
	for (struct na_pins *p = atomic_load_explicit(&all, memory_order_acquire); p; p = p->next)
		for (unsigned int i = 0; i < NUMARENA_PIN_SLOTS; i++) {
			uint64_t handle = slot_of(p, i);
			struct na_movable_entry *e = handle ? na_movable_entry(handle) : NULL;

			if (e)
				cancel(e, na_handle_generation(handle));
		}
	for (size_t i = 0; i < n; i++) {
		struct na_movable_entry *e = blocks[i].at ? na_movable_entry(blocks[i].handle) : NULL;

		if (e && (atomic_load_explicit(na_about_of(e), memory_order_seq_cst) >> NA_ABOUT_COUNT_SHIFT &
			  NA_ABOUT_COUNT_MOST))
			cancel(e, na_handle_generation(blocks[i].handle));
	}
}

uint64_t na_movable_slots_used(void)
{
	uint64_t n = 0;

	for (struct na_pins *p = atomic_load_explicit(&all, memory_order_acquire); p; p = p->next)
		for (unsigned int i = 0; i < NUMARENA_PIN_SLOTS; i++)
			n += slot_of(p, i) != 0;
	return n;
}

/* In the child: the threads that are not in it have ended. */
void na_pins_after_fork(void)
{
	for (struct na_pins *p = atomic_load_explicit(&all, memory_order_acquire); p; p = p->next)
		if (&p->slots != numarena_pins_here && atomic_load_explicit(&p->taken, memory_order_relaxed))
			leave(p);
}
