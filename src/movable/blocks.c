/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a block: allocated, resized, released; and fork. See movable.h for states and locks. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "movable/parts.h"

/* An entry of the space; 0 and the lock is not held: no memory. */
static uint64_t entry_of(struct na_movable_space *space)
{
	for (;;) {
		uint64_t index;

		na_lock(&space->lock);
		index = na_movable_take_entry(space);
		na_unlock(&space->lock);
		if (index || na_movable_more(space) < 0)
			return index;
	}
}

static void count_block(struct na_movable_space *space, size_t size, int sign)
{
	na_lock(&space->lock);
	space->blocks += (uint64_t)sign;
	space->bytes += (uint64_t)sign * size;
	na_unlock(&space->lock);
}

int na_movable_allocate(size_t size, memory_handle_t *out)
{
	struct na_movable_space *space;
	struct na_movable_entry *e;
	uint64_t index, generation;
	uintptr_t at;

	size = size ? size : 1;
	if (size > NA_ABOUT_SIZE || na_movable_start() < 0)
		return -ENOMEM;
	space = na_movable_here();
	index = entry_of(space);
	if (!index)
		return -ENOMEM;
	if (na_movable_place(space, size, false, &at) < 0) {
		na_lock(&space->lock);
		na_movable_give_entry(space, index);
		na_unlock(&space->lock);
		return -ENOMEM;
	}
	e = na_movable_at(index);
	generation = na_where_generation(atomic_load_explicit(&e->where, memory_order_relaxed));
	*out = na_handle(generation, index);
	na_movable_settle_header(at, size, *out);
	if (size >= NA_ABOUT_SIZE_FROM || atomic_load_explicit(na_about_of(e), memory_order_relaxed))
		atomic_store_explicit(na_about_of(e), na_about_make(size), memory_order_relaxed);
	count_block(space, size, 1);
	/* Nobody has the handle yet; a stale one of another generation changes nothing. */
	atomic_store_explicit(&e->where, na_where(generation, at, NA_MOVABLE_HERE), memory_order_release);
	return 0;
}

static bool counted(const struct na_movable_entry *e)
{
	return (atomic_load_explicit(na_about_of(e), memory_order_seq_cst) >> NA_ABOUT_COUNT_SHIFT &
		NA_ABOUT_COUNT_MOST) != 0;
}

/* The entry becomes free, if it is still what it was. */
static bool end(struct na_movable_entry *e, uint64_t where)
{
	uint64_t generation = na_where_generation(where);

	if (generation < NA_GENERATION_LAST)
		generation++;
	else
		generation = 0; /* that no handle has; the entry is worn out */
	return atomic_compare_exchange_strong_explicit(&e->where, &where, na_where(generation, 0, NA_MOVABLE_FREE),
						       memory_order_acq_rel, memory_order_relaxed);
}

/* -EAGAIN: it is no image any more. */
static int end_image(struct na_movable_entry *e, memory_handle_t handle, uint64_t *about)
{
	uint64_t where;
	size_t size;
	int rc = -EAGAIN;

	na_lock(na_movable_stripe(handle));
	where = atomic_load_explicit(&e->where, memory_order_acquire);
	*about = atomic_load_explicit(na_about_of(e), memory_order_relaxed);
	size = *about & NA_ABOUT_SIZE;
	if (na_where_generation(where) == na_handle_generation(handle) && na_where_state(where) == NA_MOVABLE_IMAGE &&
	    end(e, where)) {
		if (na_movable_hooks.discard)
			na_movable_hooks.discard(handle, na_where_payload(where), size);
		atomic_fetch_sub_explicit(&na_movable_counters.images, 1, memory_order_relaxed);
		atomic_fetch_sub_explicit(&na_movable_counters.image_bytes, size, memory_order_relaxed);
		rc = 0;
	}
	na_unlock(na_movable_stripe(handle));
	return rc;
}

static void give_back_if_free(void)
{
	if (na_movable_has_empty() && na_movable_trylock())
		na_movable_unlock();
}

int na_movable_release(memory_handle_t handle)
{
	struct na_movable_entry *e = na_movable_entry(handle);
	struct na_movable_space *space;
	uint64_t where, about;
	size_t size;

	if (!e)
		return -EINVAL;
	for (;;) {
		where = atomic_load_explicit(&e->where, memory_order_acquire);
		if (na_where_generation(where) != na_handle_generation(handle) ||
		    na_where_state(where) == NA_MOVABLE_FREE)
			return -EINVAL;
		if (na_movable_pinned_here(handle) || counted(e))
			return -EBUSY;
		about = atomic_load_explicit(na_about_of(e), memory_order_relaxed);
		if (na_where_state(where) == NA_MOVABLE_IMAGE) {
			space = na_movable_here();
			if (end_image(e, handle, &about) == 0)
				break;
		} else if (end(e, where)) { /* from here on its memory stays until it is retired */
			size = na_movable_size(about, na_where_payload(where));
			space = na_movable_retire(na_where_payload(where), size);
			count_block(space, size, -1);
			break;
		}
	}
	if ((about & NA_ABOUT_NOTED) && na_movable_hooks.forget)
		na_movable_hooks.forget(handle);
	na_lock(&space->lock);
	na_movable_give_entry(space, na_movable_index(handle));
	na_unlock(&space->lock);
	give_back_if_free();
	return 0;
}

/* The first `bytes` of a block that is taken; large ones with breath. -EBUSY: it is no longer, for it was pinned. */
static int copy_taken(uintptr_t at, struct na_movable_block *b, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += NA_MOVABLE_BREATH) {
		size_t some = bytes - i < NA_MOVABLE_BREATH ? bytes - i : NA_MOVABLE_BREATH;

		if (i && !na_movable_breathe(b))
			return -EBUSY;
		na_movable_copy((char *)at + i, (const char *)b->at + i, some);
	}
	return 0;
}

/* What was made for a block that stays where it is. */
static void discard_copy(uintptr_t at, size_t size)
{
	atomic_store_explicit(na_header_of(at),
			      size < NA_MOVABLE_SOLO_FROM ? na_header_dead(na_movable_stride(size)) | NA_HEADER_TRANSIT
							  : NA_HEADER_TRANSIT,
			      memory_order_relaxed);
}

/* With room for it at `at`, and under the mover's lock. 0; -EBUSY: pinned; -EAGAIN: another is at it; -EALREADY: it is an image. */
static int move_resized(struct na_movable_entry *e, memory_handle_t handle, size_t size, uintptr_t at)
{
	struct na_movable_block b;
	struct na_movable_space *space;
	uint64_t where;
	int rc = na_movable_look(handle, &b);

	if (rc < 0)
		return rc;
	if (na_movable_is_at_rest(handle))
		return -EAGAIN;
	rc = na_movable_take(&b, 1);
	if (rc <= 0)
		return rc < 0 ? rc : -EBUSY;
	rc = copy_taken(at, &b, b.size < size ? b.size : size);
	if (rc < 0)
		return rc;
	na_movable_settle_header(at, size, handle);
	where = b.word;
	if (!atomic_compare_exchange_strong_explicit(&e->where, &where,
						     na_where(na_handle_generation(handle), at, NA_MOVABLE_HERE),
						     memory_order_seq_cst, memory_order_relaxed)) {
		discard_copy(at, size);
		return -EBUSY;
	}
	na_about_put(e, NA_ABOUT_SIZE | NA_ABOUT_NOTED, size >= NA_ABOUT_SIZE_FROM ? size : 0);
	space = na_movable_retire((uintptr_t)b.at, b.size);
	count_block(space, b.size, -1);
	count_block(na_movable_chunk_of(at, size)->space, size, 1);
	if (b.noted && na_movable_hooks.forget)
		na_movable_hooks.forget(handle);
	return 0;
}

int na_movable_resize(memory_handle_t handle, size_t size)
{
	struct na_movable_entry *e = na_movable_entry(handle);
	uintptr_t at;
	void *p;
	int rc;

	size = size ? size : 1;
	if (!e || na_movable_node_of(handle) == -2)
		return -EINVAL;
	if (na_movable_in_order())
		return -EDEADLK;
	if (size > NA_ABOUT_SIZE || na_movable_place(na_movable_here(), size, false, &at) < 0)
		return -ENOMEM;
	do {
		na_movable_lock();
		rc = move_resized(e, handle, size, at);
		na_movable_unlock();
		if (rc == -EAGAIN) { /* whoever is at it gets the lock now */
			sched_yield();
			rc = 0;
			continue;
		}
		if (rc != -EALREADY)
			break;
		rc = na_movable_pin(handle, false, &p); /* back into memory first */
		if (rc == 0)
			rc = na_movable_unpin(handle);
	} while (rc == 0);
	if (rc < 0)
		na_movable_retire(at, size);
	give_back_if_free();
	return rc;
}

/* A block whose header tells is pinned while that is read, or it may be given back with its chunk. */
size_t na_movable_size_of(memory_handle_t handle)
{
	struct na_movable_entry *e = na_movable_entry(handle);
	size_t size;
	void *p;

	if (!e || na_movable_node_of(handle) == -2)
		return 0;
	size = atomic_load_explicit(na_about_of(e), memory_order_relaxed) & NA_ABOUT_SIZE;
	if (size)
		return size;
	if (na_movable_pin(handle, false, &p) < 0)
		return 0;
	size = na_movable_size(atomic_load_explicit(na_about_of(e), memory_order_relaxed), (uintptr_t)p);
	na_movable_unpin(handle);
	return size;
}

size_t na_movable_room_of(memory_handle_t handle)
{
	struct na_movable_entry *e = na_movable_entry(handle);

	return na_movable_room(e ? atomic_load_explicit(na_about_of(e), memory_order_relaxed) & NA_ABOUT_SIZE : 0);
}

/* -1: an image; -2: no block. */
int na_movable_node_of(memory_handle_t handle)
{
	struct na_movable_entry *e = na_movable_entry(handle);
	uint64_t where = e ? atomic_load_explicit(&e->where, memory_order_acquire) : 0;
	struct na_block found;

	if (!e || na_where_generation(where) != na_handle_generation(handle) ||
	    na_where_state(where) == NA_MOVABLE_FREE)
		return -2;
	if (na_where_state(where) == NA_MOVABLE_IMAGE || !na_heap_find((void *)na_where_payload(where), &found))
		return -1;
	return found.pool->node;
}

int na_movable_note(memory_handle_t handle, bool note)
{
	struct na_movable_entry *e = na_movable_entry(handle);

	if (!e || na_movable_node_of(handle) == -2)
		return -EINVAL;
	na_about_put(e, NA_ABOUT_NOTED, note ? NA_ABOUT_NOTED : 0);
	return 0;
}

void na_movable_before_fork(void)
{
	na_movable_lock();
	for (int i = 0; i < NA_STRIPES; i++)
		na_lock(&na_movable_stripes[i]);
	na_movable_space_before_fork();
	na_movable_table_before_fork();
}

void na_movable_after_fork(bool child)
{
	if (child)
		na_pins_after_fork();
	na_movable_table_after_fork(child);
	na_movable_space_after_fork(child);
	for (int i = 0; i < NA_STRIPES; i++) {
		if (child)
			na_lock_reset(&na_movable_stripes[i]);
		else
			na_unlock(&na_movable_stripes[i]);
	}
	na_movable_lock_after_fork(child);
}
