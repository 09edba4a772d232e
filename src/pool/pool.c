/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments and runs of slices; see pool.h. Large blocks are in large.c, purging in purge.c. */
#include "pool/pool.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/options.h"
#include "os/os.h"
#include "pool/bits.h"
#include "pool/lost.h"

struct na_map na_map;
struct na_span na_span_none;
_Atomic uint64_t na_pool_limit = UINT64_MAX;
_Atomic uint64_t na_pool_held;
__thread uint64_t na_pool_grace;
_Atomic uint64_t na_pool_beyond;
_Atomic uint32_t na_pool_epoch;
_Atomic uint64_t na_pool_purged;
_Atomic uint64_t na_pool_mappings;

/* Where the next segment is tried first, so that segments are neighbours and need no trimming;
 * 0 before the first. Relaxed: a hint. */
static _Atomic uintptr_t next_place;

void na_pool_init(struct na_pool *pool, int node, bool bound)
{
	pool->node = node;
	pool->bound = bound;
	pool->arena.node = bound ? node : -1;
	pool->seal = na_pool_sealing(pool);
}

uint64_t na_pool_sealing(const struct na_pool *pool)
{
	unsigned char flags[3];
	uint64_t seal, word;

	memcpy(&flags[0], &pool->bound, 1); /* as bytes: a damaged bool is no bool */
	memcpy(&flags[1], &pool->named, 1);
	memcpy(&flags[2], &pool->beyond, 1);
	seal = na_seal_add((uint32_t)pool->node, (uint64_t)flags[2] << 16 | (uint64_t)flags[0] << 8 | flags[1]);
	seal = na_seal_add(seal, pool->limit);
	seal = na_seal_add(seal, (uint32_t)pool->arena.node);
	for (size_t i = 0; i < sizeof(pool->name); i += sizeof(word)) {
		memcpy(&word, pool->name + i, sizeof(word));
		seal = na_seal_add(seal, word);
	}
	return seal;
}

uint32_t na_segment_sealing(const struct na_segment *s)
{
	uint64_t seal = na_seal_add((uintptr_t)s->pool, s->base), word;
	unsigned char flags[2];

	memcpy(&flags[0], &s->huge, 1);
	memcpy(&flags[1], &s->hugetlb, 1);
	seal = na_seal_add(seal, s->length);
	seal = na_seal_add(seal, s->committed);
	seal = na_seal_add(seal, (uint64_t)s->index << 16 | (uint64_t)flags[0] << 8 | flags[1]);
	for (size_t i = 0; i + sizeof(word) <= sizeof(s->placement) && flags[0]; i += sizeof(word)) {
		memcpy(&word, (const char *)&s->placement + i, sizeof(word));
		if (i == 0 && !word) /* no placement: nothing more to see */
			break;
		seal = na_seal_add(seal, word);
	}
	return (uint32_t)(seal >> 32);
}

bool na_pool_charge(struct na_pool *pool, uint64_t more, uint64_t used)
{
	uint64_t counted;

	if (pool->beyond)
		atomic_fetch_add_explicit(&na_pool_beyond, more, memory_order_relaxed);
	counted = na_pool_inside(atomic_fetch_add_explicit(&na_pool_held, more, memory_order_relaxed) + more);
	if (more && !pool->beyond && counted > atomic_load_explicit(&na_pool_limit, memory_order_relaxed) &&
	    counted > na_pool_ask_limit() + na_pool_grace)
		goto refund;
	if (pool->limit && pool->used_slices * NA_SLICE + pool->huge_bytes + used > pool->limit)
		goto refund;
	return true;
refund:
	na_pool_refund(pool, more);
	return false;
}

void na_pool_refund(const struct na_pool *pool, uint64_t bytes)
{
	atomic_fetch_sub_explicit(&na_pool_held, bytes, memory_order_relaxed);
	if (pool->beyond)
		atomic_fetch_sub_explicit(&na_pool_beyond, bytes, memory_order_relaxed);
}

static struct na_segment_ref *ref_of(struct na_pool *pool, uint32_t index)
{
	return &pool->table[index >> NA_TABLE_SHIFT][index & ((1u << NA_TABLE_SHIFT) - 1)];
}

void na_map_set(struct na_segment *segment)
{
	for (uintptr_t a = segment->base; a < segment->base + segment->length; a += NA_SEGMENT)
		atomic_store_explicit(&na_map.entry[a >> NA_SEGMENT_SHIFT],
				      (uintptr_t)segment->id - (uintptr_t)&na_map -
					      ((uint32_t)a >> NA_SLICE_SHIFT) * sizeof(uint32_t),
				      memory_order_release);
}

void na_map_clear_range(uintptr_t from, uintptr_t to)
{
	for (uintptr_t a = from; a < to; a += NA_SEGMENT)
		atomic_store_explicit(&na_map.entry[a >> NA_SEGMENT_SHIFT], 0, memory_order_release);
}

void na_map_clear(struct na_segment *segment)
{
	na_map_clear_range(segment->base, segment->base + segment->length);
}

int na_pool_map_segment(size_t size, void **out)
{
	uintptr_t place = atomic_load_explicit(&next_place, memory_order_relaxed);
	int rc = -EEXIST;

	for (int tries = 0; place && tries < 4 && rc == -EEXIST; tries++, place -= NA_SEGMENT)
		rc = na_map_covers(place, size) ? na_os.map((void *)place, size, out) : -ENOMEM;
	if (rc < 0)
		rc = na_map_reserve(size, NA_SEGMENT, out);
	if (rc == 0 && (uintptr_t)*out > NA_SEGMENT)
		atomic_store_explicit(&next_place, (uintptr_t)*out - NA_SEGMENT, memory_order_relaxed);
	return rc;
}

#define LEAST_SEGMENT (NA_SEGMENT / 128)

/* As above, else a smaller piece of at least `least` bytes (under `ulimit -v`). */
static int map_segment(size_t least, size_t *length, void **out)
{
	int rc = -ENOMEM;

	for (size_t size = NA_SEGMENT; rc < 0 && size >= least && size >= LEAST_SEGMENT; size /= 2) {
		rc = na_pool_map_segment(size, out);
		*length = size;
	}
	return rc;
}

void na_pool_bind(const struct na_pool *pool, void *base, size_t length)
{
	static _Atomic bool told;
	int rc = pool->bound ? na_os.bind(base, length, pool->node) : 0;

	if (rc < 0 && !atomic_exchange_explicit(&told, true, memory_order_relaxed))
		na_log(NA_LOG_WARNING,
		       "memory cannot be bound to node %d (mbind: error %d): pages go where they are first touched",
		       pool->node, -rc);
}

/* Puts a segment into the pool's table; -EAGAIN if the table wants another block first. */
static int add_segment(struct na_pool *pool, struct na_segment *segment, struct na_segment_ref **block)
{
	struct na_segment_ref **slot;
	int rc = 0;

	na_lock(&pool->lock);
	slot = &pool->table[(pool->segments >> NA_TABLE_SHIFT) & 63];
	if (pool->segments >= (64u << NA_TABLE_SHIFT)) {
		rc = -ENOMEM;
	} else if (!*slot && !*block) {
		rc = -EAGAIN;
	} else {
		if (!*slot) {
			*slot = *block;
			*block = NULL;
		}
		segment->index = pool->segments++;
		na_segment_seal(segment);
		*ref_of(pool, segment->index) = (struct na_segment_ref){ segment, NA_SLICES, 0 };
		pool->reserved += segment->length;
		na_map_set(segment);
	}
	na_unlock(&pool->lock);
	return rc;
}

/* Addresses for a segment, set up as the pool wants its memory. */
static int map_memory(struct na_pool *pool, uint32_t slices, size_t *length, void **base)
{
	int rc = map_segment((size_t)slices * NA_SLICE, length, base);

	if (rc < 0)
		return rc;
	na_pool_bind(pool, *base, *length);
	na_pages_advise_segment(*base, *length);
	return 0;
}

/* A segment in place of one that was given back; -ENOENT if there is none. */
static int grow_vacant(struct na_pool *pool, uint32_t slices)
{
	struct na_segment *segment = na_pool_take_vacant(pool);
	size_t length;
	void *base;
	int rc;

	if (!segment)
		return -ENOENT;
	rc = map_memory(pool, slices, &length, &base);
	if (rc < 0)
		na_pool_give_vacant(pool, segment);
	else
		na_pool_open_vacant(pool, segment, base, length);
	return rc;
}

/* Another segment, with room for a run of `slices`. Called without the lock. */
static int grow(struct na_pool *pool, uint32_t slices)
{
	const size_t block_size = sizeof(struct na_segment_ref) << NA_TABLE_SHIFT;
	struct na_segment_ref *block = NULL;
	struct na_segment *segment;
	size_t length;
	void *base;
	int rc = grow_vacant(pool, slices), fresh;

	if (rc != -ENOENT)
		return rc;
	segment = na_arena_take(&pool->arena, sizeof(*segment), &fresh);
	if (!segment)
		return -ENOMEM;
	if (!fresh) /* a huge block's: its giver left it zero but for the arena's link */
		*(void **)segment = NULL;
	rc = map_memory(pool, slices, &length, &base);
	if (rc < 0)
		goto give_segment;
	segment->pool = pool;
	segment->base = (uintptr_t)base;
	segment->length = length;
	na_bits_put(segment->free, 0, (uint32_t)(length / NA_SLICE), true);
	while ((rc = add_segment(pool, segment, &block)) == -EAGAIN) {
		block = na_arena_take(&pool->arena, block_size, NULL);
		if (!block)
			break;
	}
	if (block)
		na_arena_give(&pool->arena, block, block_size);
	if (rc == 0)
		return 0;
	na_os.unmap(base, length);
give_segment:
	memset(segment, 0, sizeof(*segment));
	na_arena_give(&pool->arena, segment, sizeof(*segment));
	return rc == -EAGAIN ? -ENOMEM : rc;
}

/* Marks the run as taken, if the limits allow the memory that its clean slices will need. */
static int claim(struct na_pool *pool, struct na_segment *segment, uint32_t at, uint32_t count, bool *zero,
		 struct na_span **out)
{
	uint32_t dirty = na_bits_count(segment->dirty, at, count);
	uint64_t more = (uint64_t)(count - dirty) * NA_SLICE;

	if (!na_pool_charge(pool, more, (uint64_t)count * NA_SLICE))
		return -ENOMEM;
	na_bits_put(segment->dirty, at, count, false);
	na_bits_put(segment->free, at, count, false);
	pool->dirty_slices -= dirty;
	pool->used_slices += count;
	*zero = dirty == 0;
	*out = &segment->span[at];
	(*out)->base = segment->base + (uintptr_t)at * NA_SLICE;
	return 0;
}

/* -EAGAIN: no such run. Kept memory first, then fresh. */
static int take_locked(struct na_pool *pool, uint32_t count, uint32_t align, bool small, bool *zero,
		       struct na_span **out)
{
	uint32_t longest;
	int at;

	for (uint32_t i = 0; pool->dirty_slices >= count && i < pool->segments; i++) {
		struct na_segment_ref *ref = ref_of(pool, i);

		if (ref->max_dirty < count)
			continue;
		at = na_bits_find(ref->segment->dirty, count, align, small, &longest);
		if (at >= 0)
			return claim(pool, ref->segment, (uint32_t)at, count, zero, out);
		if (align == 1)
			ref->max_dirty = (uint16_t)longest;
	}
	for (uint32_t i = 0; i < pool->segments; i++) {
		struct na_segment_ref *ref = ref_of(pool, i);

		if (ref->max_free < count)
			continue;
		at = na_bits_find(ref->segment->free, count, align, small, &longest);
		if (at >= 0)
			return claim(pool, ref->segment, (uint32_t)at, count, zero, out);
		if (align == 1)
			ref->max_free = (uint16_t)longest;
	}
	return -EAGAIN;
}

/* Every slice that is not free belongs to a run from the moment that it is taken. Under the lock. */
static void mark_run(struct na_span *first, uint32_t from, uint32_t slices)
{
	for (uint32_t i = from; i < slices; i++) {
		first[i].slices = i;
		atomic_store_explicit(&first[i].kind, NA_SPAN_TAIL, memory_order_relaxed);
	}
	first->slices = slices;
}

int na_pool_take_run(struct na_pool *pool, uint32_t slices, uint32_t align, bool small, bool *zero,
		     struct na_span **out)
{
	bool purged = false;

	for (;;) {
		int rc;

		na_lock(&pool->lock);
		rc = take_locked(pool, slices, align, small, zero, out);
		if (rc == 0) {
			mark_run(*out, 1, slices);
			atomic_store_explicit(&(*out)->kind, NA_SPAN_CLAIMED, memory_order_relaxed);
		}
		na_unlock(&pool->lock);
		if (rc == 0)
			return 0;
		if (rc == -EAGAIN)
			rc = grow(pool, slices);
		if (rc < 0) {
			/* At the limit, memory kept for reuse in other shapes is the last resort; this is the
			 * one place where allocation itself purges. */
			if (purged || na_pool_purge(pool, true) == 0)
				return -ENOMEM;
			purged = true;
		}
	}
}

int na_pool_extend_run(struct na_pool *pool, struct na_span *first, uint32_t slices, bool dirty_only)
{
	struct na_segment *segment = na_span_segment(first);
	uint32_t end = (uint32_t)(first - segment->span) + first->slices, more = slices - first->slices;
	struct na_span *ignored;
	bool zero;
	int rc = -EAGAIN;

	na_lock(&pool->lock);
	if (end + more <= NA_SLICES && na_bits_count(dirty_only ? segment->dirty : segment->free, end, more) == more)
		rc = claim(pool, segment, end, more, &zero, &ignored);
	if (rc == 0) {
		mark_run(first, first->slices, slices);
		na_span_seal(first);
	}
	na_unlock(&pool->lock);
	return rc;
}

void na_pool_give_run(struct na_pool *pool, struct na_span *first, uint32_t slices)
{
	struct na_segment *segment = na_segment_of((const void *)first->base);
	uint32_t at = (uint32_t)(first - segment->span);
	uint8_t epoch = (uint8_t)atomic_load_explicit(&na_pool_epoch, memory_order_relaxed);
	struct na_segment_ref *ref;

	na_lock(&pool->lock);
	first->seal = 0; /* so that no repair takes it for a live one */
	for (uint32_t i = 0; i < slices; i++)
		atomic_store_explicit(&segment->span[at + i].kind, NA_SPAN_NONE, memory_order_relaxed);
	na_bits_put(segment->free, at, slices, true);
	na_bits_put(segment->dirty, at, slices, true);
	memset(segment->stamp + at, epoch, slices);
	pool->used_slices -= slices;
	pool->dirty_slices += slices;
	ref = ref_of(pool, segment->index);
	ref->max_free = ref->max_dirty = NA_SLICES;
	na_unlock(&pool->lock);
}

/* Where the span's two bitmaps are (of more than 64 slots: the words of `taken`, then those of `remote` on lines of their own); nothing is carved. */
static void set_bitmaps(struct na_span *span, void *block, bool fresh, uint32_t slots)
{
	uint32_t groups = (slots + 63) / 64;

	if (groups == 1) {
		atomic_store_explicit(&span->own_remote, 0, memory_order_relaxed);
		span->taken = &span->own_taken;
		span->remote = &span->own_remote;
	} else {
		span->taken = block;
		span->remote = (_Atomic(uint64_t) *)(void *)((char *)block + na_bitmap_bytes(groups) / 2);
		if (!fresh)
			memset((void *)span->remote, 0, na_bitmap_bytes(groups) / 2);
	}
	for (uint32_t i = 0; i < groups; i++)
		atomic_store_explicit(&span->taken[i], ~UINT64_C(0), memory_order_relaxed);
	span->parity = groups % 2 ? ~UINT64_C(0) : 0;
}

struct na_span *na_pool_take_span(struct na_pool *pool, unsigned int cls)
{
	size_t size = na_class_size(cls);
	uint32_t slices = na_class_slices(cls), slots = (uint32_t)(slices * NA_SLICE / size),
		 groups = (slots + 63) / 64;
	struct na_span *span;
	void *block = NULL;
	bool zero;
	int fresh = 0;

	if (groups > 1) {
		block = na_arena_take(&pool->arena, na_bitmap_bytes(groups), &fresh);
		if (!block)
			return NULL;
	}
	if (na_pool_take_run(pool, slices, 1, true, &zero, &span) < 0) {
		if (block)
			na_arena_give(&pool->arena, block, na_bitmap_bytes(groups));
		return NULL;
	}
	set_bitmaps(span, block, fresh, slots);
	span->reciprocal = (UINT64_C(0x100000000) + size - 1) / size;
	span->used = 0;
	atomic_store_explicit(&span->merge, NULL, memory_order_relaxed);
	span->size = (uint32_t)size;
	span->slots = (uint16_t)slots;
	na_span_set_carved(span, 0);
	span->left_at = (uint16_t)slots;
	span->cls = (uint8_t)cls;
	span->listed = false;
	span->moving = NA_MOVING;
	atomic_store_explicit(&span->cache, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->flag, NA_WATCHED, memory_order_relaxed);
	atomic_store_explicit(&span->kind, NA_SPAN_SMALL, memory_order_release);
	na_span_seal(span);
	return span;
}

void na_pool_set_id(struct na_span *span, uint32_t id)
{
	struct na_segment *segment = na_span_segment(span);
	uint32_t at = (uint32_t)(span - segment->span);

	if (na_lost_in(span->base, (size_t)span->slices * NA_SLICE)) /* who frees a block of it shall look */
		id = 0;
	for (uint32_t i = 0; i < span->slices; i++)
		atomic_store_explicit(&segment->id[at + i], id, memory_order_relaxed);
}

void na_pool_give_span(struct na_pool *pool, struct na_span *span)
{
	uint32_t groups = (span->slots + 63u) / 64;
	void *block = groups > 1 ? span->taken : NULL;

	na_pool_set_id(span, 0);
	atomic_store_explicit(&span->cache, NULL, memory_order_relaxed);
	na_pool_give_run(pool, span, span->slices);
	if (block)
		na_arena_give(&pool->arena, block, na_bitmap_bytes(groups));
}
