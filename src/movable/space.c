/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of movable blocks: a node's chunks, filled from the front, and what becomes of a chunk when its blocks die.
 *
 * What is released in a chunk is dead and not used again until the chunk is evacuated; so a program that releases and allocates without end
 * would grow without end. Before a space takes a further chunk while more than half as much is dead as lives, it evacuates the
 * emptiest ones: each byte that is copied frees two at least. Where that wins nothing (all is pinned) it is tried ever more seldom.
 *
 * Chunks come from the pools with no lock held, unless it is the mover that wants one.
 */
#include <errno.h>
#include <string.h>

#include "heap/groups.h"
#include "movable/parts.h"
#include "os/os.h"

#define CLEAN_LEAST   (4 * NA_MOVABLE_CHUNK) /* dead bytes that are not worth a look */
#define SKIP_MOST     64
#define RESERVE_SHARE 8	 /* of what lives: more is not kept for chunks to come */
#define BUSY_SHARE    64 /* of what lives: who takes less of chunks from pass to pass is at rest */

struct na_movable_space na_movable_spaces[NA_MAX_POOLS];
void (*na_movable_wanted)(void);
struct na_arena na_movable_arena = { .node = -1 };
static _Atomic uint32_t empties; /* release, acquire: chunks in the spaces' lists of empty ones */

bool na_movable_owns(const struct na_named *named)
{
	for (uint32_t i = 0; named && i < na_pool_count; i++)
		if (atomic_load_explicit(&na_movable_spaces[i].named, memory_order_acquire) == named)
			return true;
	return false;
}

struct na_movable_space *na_movable_here(void)
{
	return &na_movable_spaces[na_pool_here() - na_pools];
}

/* The pool of a space's chunks, made at the first use. */
static struct na_named *pool_of(struct na_movable_space *space)
{
	struct na_named *n = atomic_load_explicit(&space->named, memory_order_acquire), *none = NULL;

	if (n)
		return n;
	if (na_named_create("movable", na_pools[space - na_movable_spaces].node, 0, 16, &n) < 0)
		return NULL;
	if (!atomic_compare_exchange_strong_explicit(&space->named, &none, n, memory_order_acq_rel,
						     memory_order_acquire)) {
		na_named_destroy(n); /* another thread was first */
		n = none;
	}
	return n;
}

static void list_push(struct na_movable_chunk **head, struct na_movable_chunk *c)
{
	c->prev = NULL;
	c->next = *head;
	if (*head)
		(*head)->prev = c;
	*head = c;
}

static void list_remove(struct na_movable_chunk **head, struct na_movable_chunk *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		*head = c->next;
	if (c->next)
		c->next->prev = c->prev;
}

void na_movable_bucket_in(struct na_movable_chunk *c)
{
	c->state = NA_CHUNK_CLOSED;
	c->bucket = (uint8_t)(c->live * NA_BUCKETS / NA_MOVABLE_CHUNK);
	list_push(&c->space->bucket[c->bucket], c);
}

void na_movable_bucket_out(struct na_movable_chunk *c)
{
	list_remove(&c->space->bucket[c->bucket], c);
}

void na_movable_emptied(struct na_movable_chunk *c)
{
	struct na_movable_space *space = c->space;

	if (c->state == NA_CHUNK_SOLO) {
		space->solo_bytes -= c->length;
	} else {
		space->chunks--;
		space->held -= c->length;
	}
	c->state = NA_CHUNK_EMPTY;
	list_push(&space->empty, c);
	atomic_fetch_add_explicit(&empties, 1, memory_order_release);
}

void na_movable_close(struct na_movable_space *space, struct na_movable_chunk **chunk)
{
	struct na_movable_chunk *c = *chunk;

	(void)space;
	*chunk = NULL;
	if (c && c->blocks)
		na_movable_bucket_in(c);
	else if (c)
		na_movable_emptied(c);
}

bool na_movable_has_empty(void)
{
	return atomic_load_explicit(&empties, memory_order_acquire) != 0;
}

void na_movable_drain(void)
{
	for (uint32_t i = 0; i < na_pool_count && na_movable_has_empty(); i++) {
		struct na_movable_space *space = &na_movable_spaces[i];
		struct na_movable_chunk *c;

		na_lock(&space->lock);
		c = space->empty;
		space->empty = NULL;
		na_unlock(&space->lock);
		while (c) {
			struct na_movable_chunk *next = c->next;

			na_heap_release_checked((void *)c->base);
			na_arena_give(&na_movable_arena, c, sizeof(*c));
			atomic_fetch_sub_explicit(&empties, 1, memory_order_relaxed);
			c = next;
		}
	}
}

/* Memory for a chunk of `length` bytes; nobody knows of it yet. */
static struct na_movable_chunk *make(struct na_movable_space *space, size_t length, bool mover)
{
	struct na_named *pool = pool_of(space);
	size_t alignment = length == NA_MOVABLE_CHUNK ? NA_MOVABLE_CHUNK : NA_PAGE;
	struct na_movable_chunk *c = pool ? na_arena_take(&na_movable_arena, sizeof(*c), NULL) : NULL;
	void *p;

	if (!c)
		return NULL;
	p = mover ? na_named_try(pool, alignment, length) : na_named_allocate_aligned(pool, alignment, length);
	if (!p) {
		na_arena_give(&na_movable_arena, c, sizeof(*c));
		return NULL;
	}
	memset(c, 0, sizeof(*c));
	c->space = space;
	c->base = (uintptr_t)p;
	c->length = length;
	c->used = NA_CHUNK_HEAD - 8;
	((uint64_t *)p)[0] = NA_CHUNK_MAGIC;
	((struct na_movable_chunk **)p)[1] = c;
	return c;
}

static void unmake(struct na_movable_chunk *c)
{
	na_heap_release_checked((void *)c->base);
	na_arena_give(&na_movable_arena, c, sizeof(*c));
}

static void note_first(struct na_movable_chunk *c)
{
	uint16_t *first = &c->first[c->used / NA_WINDOW];

	if (!*first)
		*first = (uint16_t)(c->used % NA_WINDOW / 8 + 1);
}

/* Room in a chunk; 0: none. A gap before an aligned block gets a header of its own, of a dead block. */
static uintptr_t bump(struct na_movable_chunk *c, size_t size)
{
	size_t stride = na_movable_stride(size), gap;
	uintptr_t header;

	if (!c)
		return 0;
	header = c->base + c->used;
	gap = size >= NA_BLOCK_ALIGNED ? -(header + 8) & 63 : 0;
	if (c->used + gap + stride > c->length)
		return 0;
	note_first(c);
	if (gap)
		atomic_store_explicit((_Atomic uint64_t *)header, na_header_dead(gap), memory_order_relaxed);
	header += gap;
	atomic_store_explicit((_Atomic uint64_t *)header, na_header_dead(stride) | NA_HEADER_TRANSIT,
			      memory_order_relaxed);
	c->used += gap + stride;
	c->live += stride;
	c->blocks++;
	c->space->live += stride;
	return header + 8;
}

/* Whether cleaning is due before the space takes another chunk. */
static bool dirty(struct na_movable_space *space)
{
	bool is;

	na_lock(&space->lock);
	is = space->held - space->live > space->live / 2 + CLEAN_LEAST && (!space->skip || space->skip-- == 0);
	na_unlock(&space->lock);
	return is;
}

static void clean(struct na_movable_space *space)
{
	struct na_move_budget budget = { 2 * NA_MOVABLE_CHUNK, 2 * NA_MOVABLE_CHUNK };
	struct na_movable_slice done;

	if (!dirty(space))
		return;
	na_movable_compact(&budget, 0, NA_BUCKETS / 4, false, &done);
	na_lock(&space->lock);
	space->futile = done.won ? 0 : space->futile ? space->futile * 2 : 1;
	if (space->futile > SKIP_MOST)
		space->futile = SKIP_MOST;
	space->skip = space->futile;
	na_unlock(&space->lock);
}

/* Another chunk in *which, unless one with room has come meanwhile. */
static int extend(struct na_movable_space *space, struct na_movable_chunk **which, size_t size, bool mover,
		  uintptr_t *at)
{
	struct na_movable_chunk *c;

	if (!mover) {
		clean(space);
		if (na_movable_wanted)
			na_movable_wanted();
	}
	c = make(space, NA_MOVABLE_CHUNK, mover);
	if (!c)
		return -ENOMEM;
	na_lock(&space->lock);
	*at = bump(*which, size);
	if (!*at) {
		na_movable_close(space, which);
		c->state = which == &space->dest ? NA_CHUNK_DEST : NA_CHUNK_OPEN;
		space->chunks++;
		space->held += c->length;
		space->wanted += mover ? 0 : c->length;
		*which = c;
		*at = bump(c, size);
		c = NULL;
	}
	na_unlock(&space->lock);
	if (c)
		unmake(c);
	return 0;
}

static int place_solo(struct na_movable_space *space, size_t size, bool mover, uintptr_t *at)
{
	size_t length = (size + NA_CHUNK_HEAD + NA_PAGE - 1) & ~(NA_PAGE - 1);
	struct na_movable_chunk *c = make(space, length, mover);

	if (!c)
		return -ENOMEM;
	*at = c->base + NA_CHUNK_HEAD;
	atomic_store_explicit(na_header_of(*at), NA_HEADER_TRANSIT, memory_order_relaxed);
	na_lock(&space->lock);
	c->state = NA_CHUNK_SOLO;
	c->blocks = 1;
	c->used = c->live = NA_CHUNK_HEAD + size;
	space->solo_bytes += c->length;
	list_push(&space->solo, c);
	na_unlock(&space->lock);
	return 0;
}

int na_movable_place(struct na_movable_space *space, size_t size, bool mover, uintptr_t *at)
{
	struct na_movable_chunk **which = mover ? &space->dest : &space->open;

	if (size >= NA_MOVABLE_SOLO_FROM)
		return place_solo(space, size, mover, at);
	na_lock(&space->lock);
	*at = bump(*which, size);
	na_unlock(&space->lock);
	return *at ? 0 : extend(space, which, size, mover, at);
}

void na_movable_settle_header(uintptr_t at, size_t size, memory_handle_t handle)
{
	atomic_store_explicit(na_header_of(at), na_header(handle, size), memory_order_relaxed);
}

struct na_movable_space *na_movable_retire(uintptr_t at, size_t size)
{
	struct na_movable_chunk *c = na_movable_chunk_of(at, size);
	struct na_movable_space *space = c->space;
	size_t stride = na_movable_stride(size);

	na_lock(&space->lock);
	atomic_store_explicit(na_header_of(at), c->state == NA_CHUNK_SOLO ? 0 : na_header_dead(stride),
			      memory_order_relaxed);
	c->blocks--;
	if (c->state == NA_CHUNK_SOLO) {
		list_remove(&space->solo, c);
		na_movable_emptied(c);
		goto unlock;
	}
	c->live -= stride;
	space->live -= stride;
	if (c->state == NA_CHUNK_OPEN && c->blocks == 0) {
		c->used = NA_CHUNK_HEAD - 8; /* from the front again */
		memset(c->first, 0, sizeof(c->first));
	} else if (c->state == NA_CHUNK_CLOSED && c->blocks == 0) {
		na_movable_bucket_out(c);
		na_movable_emptied(c);
	} else if (c->state == NA_CHUNK_CLOSED && c->live * NA_BUCKETS / NA_MOVABLE_CHUNK != c->bucket) {
		na_movable_bucket_out(c);
		na_movable_bucket_in(c);
	}
unlock:
	na_unlock(&space->lock);
	return space;
}

uint64_t na_movable_kept(void)
{
	uint64_t slices = 0;

	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_named *n = atomic_load_explicit(&na_movable_spaces[i].named, memory_order_acquire);

		slices += n ? atomic_load_explicit(&na_group_pool(n)->dirty_slices, memory_order_relaxed) : 0;
	}
	return slices * NA_SLICE;
}

bool na_movable_reckon(void)
{
	bool any = false;

	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_movable_space *space = &na_movable_spaces[i];
		uint64_t most, before = atomic_load_explicit(&space->reserve, memory_order_relaxed),
			       reserve = before / 4 * 3;

		na_lock(&space->lock);
		most = space->live / RESERVE_SHARE + NA_MOVABLE_CHUNK;
		reserve = space->wanted > reserve ? space->wanted : reserve;
		space->wanted = 0;
		na_unlock(&space->lock);
		reserve = reserve < most ? reserve : most;
		if (reserve < NA_MOVABLE_CHUNK)
			reserve = 0;
		atomic_store_explicit(&space->reserve, reserve, memory_order_relaxed);
		any |= before || reserve;
	}
	return any;
}

void na_movable_forget_wanted(void)
{
	if (!na_movable_has_begun()) /* nothing was taken */
		return;
	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_movable_space *space = &na_movable_spaces[i];

		na_lock(&space->lock);
		space->wanted = 0;
		na_unlock(&space->lock);
		atomic_store_explicit(&space->reserve, 0, memory_order_relaxed);
	}
}

bool na_movable_is_busy(void)
{
	bool busy = false;

	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_movable_space *space = &na_movable_spaces[i];
		uint64_t reserve = atomic_load_explicit(&space->reserve, memory_order_relaxed);

		na_lock(&space->lock);
		busy |= (space->wanted > reserve ? space->wanted : reserve) > space->live / BUSY_SHARE;
		na_unlock(&space->lock);
	}
	return busy;
}

uint64_t na_movable_purge(uint64_t most)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < na_pool_count && bytes < most; i++) {
		struct na_movable_space *space = &na_movable_spaces[i];
		struct na_named *n = atomic_load_explicit(&space->named, memory_order_acquire);
		struct na_pool *pool = n ? na_group_pool(n) : NULL;
		uint64_t reserve = atomic_load_explicit(&space->reserve, memory_order_relaxed), kept;

		kept = pool ? atomic_load_explicit(&pool->dirty_slices, memory_order_relaxed) * NA_SLICE : 0;
		if (kept > reserve)
			bytes +=
				na_pool_purge_some(pool, most - bytes < kept - reserve ? most - bytes : kept - reserve);
		else if (pool)
			bytes += na_pool_purge_huge(pool); /* in no reserve */
	}
	return bytes;
}

void na_movable_space_before_fork(void)
{
	for (uint32_t i = 0; i < na_pool_count; i++)
		na_lock(&na_movable_spaces[i].lock);
	na_lock(&na_movable_arena.lock);
}

void na_movable_space_after_fork(bool child)
{
	if (child)
		na_lock_reset(&na_movable_arena.lock);
	else
		na_unlock(&na_movable_arena.lock);
	for (uint32_t i = 0; i < na_pool_count; i++) {
		if (child)
			na_lock_reset(&na_movable_spaces[i].lock);
		else
			na_unlock(&na_movable_spaces[i].lock);
	}
}
