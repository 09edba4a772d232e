/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large blocks: runs of slices up to 8 MiB, and mappings of their own ("huge") above. Freed ones are
 * kept for reuse until they decay. A huge block's pages move by mremap when it grows.
 *
 * A huge mapping is cached whole and handed out again to requests of 80% to 100% of its length.
 * Its metadata block goes back to the arena when it is unmapped, all zero (the grow path of pool.c relies on it).
 */
#include <errno.h>
#include <string.h>

#include "base/options.h"
#include "os/os.h"
#include "pool/pool.h"

#define HUGE_UNIT ((size_t)1 << 21) /* lengths are rounded to this, so that THP can back all of it */

/* What counts as live, and what malloc_usable_size says: whole pages, the least that can be touched. */
static size_t pages_of(size_t size)
{
	return (size + NA_PAGE - 1) & ~(NA_PAGE - 1);
}

static void list_push(struct na_segment **head, struct na_segment *s)
{
	s->prev = NULL;
	s->next = *head;
	if (*head)
		(*head)->prev = s;
	*head = s;
}

static void list_remove(struct na_segment **head, struct na_segment *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		*head = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

static struct na_segment *take_kept(struct na_pool *pool, size_t length, size_t alignment)
{
	struct na_segment *best = NULL;

	na_lock(&pool->lock);
	for (struct na_segment *s = pool->huge_kept; s; s = s->next)
		if (s->length >= length && s->length - s->length / 5 <= length && (s->base & (alignment - 1)) == 0 &&
		    (!best || s->length < best->length))
			best = s;
	if (best && !na_pool_charge(pool, 0, best->length))
		best = NULL;
	if (best) {
		list_remove(&pool->huge_kept, best);
		list_push(&pool->huge_live, best);
		pool->huge_kept_bytes -= best->length;
		pool->huge_bytes += best->length;
		pool->large_reused++;
	}
	na_unlock(&pool->lock);
	return best;
}

static bool charge(struct na_pool *pool, size_t length)
{
	bool ok;

	na_lock(&pool->lock);
	ok = na_pool_charge(pool, length, length);
	if (ok)
		pool->huge_bytes += length;
	na_unlock(&pool->lock);
	return ok;
}

static void refund(struct na_pool *pool, size_t length)
{
	na_lock(&pool->lock);
	pool->huge_bytes -= length;
	na_unlock(&pool->lock);
	atomic_fetch_sub_explicit(&na_pool_held, length, memory_order_relaxed);
}

static struct na_segment *map_huge(struct na_pool *pool, size_t length, size_t alignment)
{
	struct na_segment *segment;
	void *base;
	int fresh;

	if (!charge(pool, length)) {
		if (na_pool_purge(pool, true) == 0 || !charge(pool, length))
			return NULL;
	}
	segment = na_arena_take(&pool->arena, sizeof(*segment), &fresh);
	if (!segment)
		goto refund_length;
	*(void **)segment = NULL;
	if (na_os_map_aligned(length, alignment > NA_SEGMENT ? alignment : NA_SEGMENT, &base) < 0)
		goto give_segment;
	na_pool_bind(pool, base, length);
	if (na_options.hugepages)
		na_os.advise_huge(base, length);
	segment->pool = pool;
	segment->base = (uintptr_t)base;
	segment->length = length;
	segment->huge = true;
	na_map_set(segment);
	na_lock(&pool->lock);
	list_push(&pool->huge_live, segment);
	pool->reserved += length;
	na_unlock(&pool->lock);
	return segment;

give_segment:
	na_arena_give(&pool->arena, segment, sizeof(*segment));
refund_length:
	refund(pool, length);
	return NULL;
}

static void *take_huge(struct na_pool *pool, size_t size, size_t alignment, bool zero)
{
	struct na_segment *segment;
	struct na_span *span;
	size_t length;

	if (__builtin_add_overflow(size ? size : 1, HUGE_UNIT - 1, &length) || length >> (NA_ADDRESS_BITS - 1))
		return NULL;
	length &= ~(HUGE_UNIT - 1);
	segment = take_kept(pool, length, alignment);
	if (segment) {
		if (zero)
			memset((void *)segment->base, 0, size);
	} else {
		segment = map_huge(pool, length, alignment);
		if (!segment)
			return NULL;
	}
	span = &segment->span[0];
	span->base = segment->base;
	span->length = pages_of(size);
	na_lock(&pool->lock);
	pool->large_count++;
	pool->large_live += span->length;
	atomic_store_explicit(&span->kind, NA_SPAN_HUGE, memory_order_release);
	na_unlock(&pool->lock);
	return (void *)span->base;
}

void *na_large_take(struct na_pool *pool, size_t size, size_t alignment, bool zero)
{
	uint32_t slices, align;
	struct na_span *span;
	bool clean;

	if (size > NA_RUN_MAX || alignment > NA_RUN_MAX)
		return take_huge(pool, size, alignment, zero);
	slices = (uint32_t)((size + NA_SLICE - 1) >> NA_SLICE_SHIFT);
	if (slices == 0)
		slices = 1;
	align = alignment > NA_SLICE ? (uint32_t)(alignment >> NA_SLICE_SHIFT) : 1;
	if (na_pool_take_run(pool, slices, align, false, &clean, &span) < 0)
		return NULL;
	atomic_store_explicit(&span->cache, NULL, memory_order_relaxed);
	span->slices = slices;
	span->length = size ? pages_of(size) : NA_PAGE;
	for (uint32_t i = 1; i < slices; i++) {
		span[i].slices = i;
		atomic_store_explicit(&span[i].kind, NA_SPAN_TAIL, memory_order_relaxed);
	}
	na_lock(&pool->lock);
	pool->large_count++;
	pool->large_reused += !clean;
	pool->large_live += span->length;
	atomic_store_explicit(&span->kind, NA_SPAN_LARGE, memory_order_release);
	na_unlock(&pool->lock);
	if (zero && !clean)
		memset((void *)span->base, 0, size);
	return (void *)span->base;
}

/* Under the lock: whether the block is live; makes it dead. */
static bool retire(struct na_pool *pool, struct na_span *span, void *p, uint8_t kind)
{
	if (na_span_kind(span) != kind || (uintptr_t)p != span->base)
		return false;
	atomic_store_explicit(&span->kind, NA_SPAN_NONE, memory_order_relaxed);
	pool->large_live -= span->length;
	pool->large_freed++;
	return true;
}

int na_large_give(struct na_span *span, void *p)
{
	struct na_segment *segment = na_segment_of(p);
	struct na_pool *pool = segment->pool;
	uint8_t kind = na_span_kind(span);
	bool live;

	if (!pool || (kind != NA_SPAN_LARGE && kind != NA_SPAN_HUGE))
		return -EINVAL;
	na_lock(&pool->lock);
	live = retire(pool, span, p, kind);
	if (live && kind == NA_SPAN_HUGE) {
		list_remove(&pool->huge_live, segment);
		list_push(&pool->huge_kept, segment);
		segment->huge_stamp = (uint8_t)atomic_load_explicit(&na_pool_epoch, memory_order_relaxed);
		pool->huge_bytes -= segment->length;
		pool->huge_kept_bytes += segment->length;
	}
	na_unlock(&pool->lock);
	if (!live)
		return -EINVAL;
	if (kind == NA_SPAN_LARGE)
		na_pool_give_run(pool, span, span->slices);
	return 0;
}

/* Grows a huge block where it lies, or by moving its pages to a new place. The block is the
 * caller's alone, as realloc's argument must be, so only the lists need the lock. */
static void *grow_huge(struct na_segment *segment, size_t length)
{
	struct na_pool *pool = segment->pool;
	size_t more = length - segment->length, old = segment->length;
	void *to;

	/* At the limit, as in map_huge(): a copy, the caller's other way, would need room for two of the block. */
	if (!charge(pool, more) && (na_pool_purge(pool, true) == 0 || !charge(pool, more)))
		return NULL;
	if (na_os.remap((void *)segment->base, old, length, NULL) == 0) {
		to = (void *)segment->base;
	} else {
		if (na_os_map_aligned(length, NA_SEGMENT, &to) < 0)
			goto refund_more;
		na_map_clear(
			segment); /* before its place is free: another thread's segment may come to lie there at once */
		if (na_os.remap((void *)segment->base, old, length, to) < 0) {
			na_map_set(segment);
			na_os.unmap(to, length);
			goto refund_more;
		}
	}
	na_pool_bind(pool, to, length); /* an area that grew in place keeps its policy, a fresh target has none */
	na_lock(&pool->lock);
	segment->base = (uintptr_t)to;
	segment->length = length;
	segment->span[0].base = segment->base;
	pool->reserved += more;
	na_unlock(&pool->lock);
	na_map_set(segment);
	return to;

refund_more:
	refund(pool, more);
	return NULL;
}

static void set_length(struct na_pool *pool, struct na_span *span, size_t size)
{
	na_lock(&pool->lock);
	pool->large_live += pages_of(size) - span->length;
	span->length = pages_of(size);
	na_unlock(&pool->lock);
}

void *na_large_resize(struct na_span *span, void *p, size_t size)
{
	struct na_segment *segment = na_segment_of(p);
	bool huge = na_span_kind(span) == NA_SPAN_HUGE;
	size_t capacity = huge ? segment->length : (size_t)span->slices * NA_SLICE, length;

	if (size > capacity) {
		if (!huge || __builtin_add_overflow(size, HUGE_UNIT - 1, &length) || length >> (NA_ADDRESS_BITS - 1))
			return NULL;
		p = grow_huge(segment, length & ~(HUGE_UNIT - 1));
		if (!p)
			return NULL;
	} else if (size < capacity / 2 && (huge || size + NA_SLICE < capacity)) {
		return NULL; /* much smaller: the caller moves it, and the rest serves others */
	}
	set_length(segment->pool, &segment->span[span - segment->span], size);
	return p;
}
