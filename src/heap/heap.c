/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/heap.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "cache/merge.h"
#include "cache/traps.h"
#include "heap/beyond.h"
#include "heap/guard.h"
#include "heap/placed.h"
#include "heap/pressure.h"
#include "heap/request.h"
#include "heap/timing.h"
#include "os/os.h"

#define TIMED_REFILLS 6 /* one in 2 to the power of */
#define TIMED_LARGE   4

struct na_timing na_timing_refills, na_timing_large;

/* By what the thread has taken past its stacks: a turn of its own, so that threads share no line for it. */
static uint32_t large_weight(void)
{
	return na_timing_weight(na_cache_current->other.taken, TIMED_LARGE);
}

void na_heap_took(void *p, size_t size, uint64_t began)
{
	na_live_add((int64_t)size);
	na_cache_count_taken(1, size);
	na_sample_consider(p, size, began);
}

static __attribute__((cold, noinline)) void *recover(size_t size, size_t alignment, bool zero)
{
	struct na_request r = na_request_plain(size, alignment, zero);

	na_pools_boot();
	return na_request_recover(&r);
}

static void *allocate_large(size_t size, size_t alignment, bool zero)
{
	uint32_t weight;
	uint64_t from;
	void *p;

	if (size > PTRDIFF_MAX)
		return recover(size, alignment, zero);
	weight = large_weight();
	from = weight ? na_os_ticks() : 0;
	na_pools_boot();
	na_pressure_check(size);
	p = na_request_large(na_pool_here(), size, alignment, zero);
	if (na_unlikely(!p))
		return recover(size, alignment, zero);
	na_maintenance_consider();
	if (weight)
		na_timing_add(&na_timing_large, na_os_ticks() - from, weight);
	return p;
}

static void *refill(unsigned int cls)
{
	struct na_cache *c = na_cache_here();

	return c ? na_cache_refill(c, cls) : NULL;
}

/* The class of the request for `size` bytes, which na_heap_class() has found. */
static void *allocate_class(unsigned int cls, size_t size, size_t alignment)
{
	struct na_cache *c = na_cache_current;
	void *p = na_bin_pop(na_cache_out(c, cls));
	uint32_t weight;
	uint64_t from;

	if (na_likely(p != NULL))
		return p;
	if (na_cache_out(c, cls)->top != na_cache_out(c, cls)->floor)
		return na_trap_spring(c, cls, 0);
	weight = c->pool ? na_timing_weight(c->refills, TIMED_REFILLS) : 1; /* 1: the thread gets its cache */
	from = weight ? na_os_ticks() : 0;
	na_pressure_check(NA_SLICE);
	p = refill(cls);
	if (na_unlikely(!p))
		return recover(size, alignment, false);
	na_maintenance_consider();
	if (weight)
		na_timing_add(&na_timing_refills, na_os_ticks() - from, weight);
	na_failure_tell();
	return p;
}

__attribute__((cold, noinline)) void *na_heap_allocate_slow(size_t size)
{
	if (na_unlikely(na_cache_current == &na_cache_none)) /* which settings there are is not known before */
		na_pools_boot();
	if (na_guarded())
		return na_guard.allocate(size, 16, false);
	if (size > NA_SMALL_MAX)
		return allocate_large(size, 16, false);
	return allocate_class(na_class_of(size), size, 16);
}

int na_heap_class(size_t alignment, size_t size)
{
	if (alignment > NA_PAGE || size > NA_SMALL_MAX || ((size + alignment - 1) & ~(alignment - 1)) > NA_SMALL_MAX)
		return -1;
	return (int)(alignment <= 16 ? na_class_of(size) : na_class_aligned(size, alignment));
}

static void *zeroed(void *p, size_t size)
{
	if (p)
		return memset(p, 0, size);
	na_request_was_zeroed();
	return NULL;
}

void *na_heap_allocate_aligned(size_t alignment, size_t size, bool zero)
{
	int cls = na_heap_class(alignment, size);
	void *p;

	if (na_unlikely(na_cache_current == &na_cache_none))
		na_pools_boot();
	if (na_guarded())
		return na_guard.allocate(size, alignment, zero);
	if (cls < 0)
		return allocate_large(size, alignment, zero);
	p = allocate_class((unsigned int)cls, size, alignment);
	return zero ? zeroed(p, size) : p;
}

void *na_heap_allocate_zeroed(size_t size)
{
	void *p;

	if (size > NA_SMALL_MAX)
		return na_guarded() ? na_guard.allocate(size, 16, true) : allocate_large(size, 16, true);
	p = na_heap_allocate(size);
	return zeroed(p, size);
}

static int release_other(void *p, struct na_span *span)
{
	uint8_t kind = na_span_kind(span);
	bool counted = true;
	size_t size;
	int rc;

	na_sample_release(p); /* before another thread may get the address */
	if (kind == NA_SPAN_LARGE || kind == NA_SPAN_HUGE) {
		size = span->length;
		rc = na_large_give(span, p);
		if (rc == 0)
			na_live_add(-(int64_t)size);
	} else {
		counted = kind == NA_SPAN_SMALL && !na_id_of(p); /* in no stack: of a named pool, or a sample */
		size = span->size;
		rc = na_cache_free_slow(na_cache_current, span, p);
	}
	if (rc == 0 && counted)
		na_cache_count_given(1, size);
	return rc;
}

/* A full stack of the thread's own, or a block that goes into none. */
__attribute__((noinline)) void na_heap_release_slow(void *p)
{
	struct na_cache *c = na_cache_current;
	struct na_bin *bin = na_cache_bin(c, na_id_of(p));
	int saved = errno;

	if (bin->limit) {
		na_cache_spill(c, bin);
		errno = saved;
		if (na_unlikely(*na_mark_of(p) == NA_FREED_MARK))
			na_heap_release_marked(p);
		else
			na_bin_push(bin, bin->top, p);
		na_failure_tell();
		return;
	}
	if (na_guarded() && p && na_guard.release(p, __builtin_return_address(0)) != -ENOENT)
		p = NULL;
	/* A consumer that never allocates: without a cache it would pay several atomics a block. */
	if (c == &na_cache_none && na_address_valid(p) && na_id_of(p) && na_cache_begin_to_free()) {
		errno = saved;
		na_heap_release(p);
		return;
	}
	if (p && (!na_address_valid(p) || release_other(p, na_span_of(p)) < 0))
		na_cache_complain(p,
				  na_segment_of(p) ? "freed twice, or is not the start of a block"
						   : "freed, but is not a block of ours",
				  __builtin_return_address(0));
	na_failure_tell();
	errno = saved;
}

/* The program may have copied a freed block, mark and all: then it is free for the first time. */
__attribute__((cold, noinline)) void na_heap_release_marked(void *p)
{
	if (na_cache_holds(na_cache_current, na_span_of(p), p)) {
		na_cache_complain(p, "freed twice", __builtin_return_address(0));
		na_failure_tell();
		return;
	}
	*na_mark_of(p) = 0;
	na_heap_release(p);
}

int na_heap_release_checked(void *p)
{
	struct na_block block;

	if (na_guarded()) {
		int rc = na_guard.release(p, NULL);

		if (rc == 0)
			na_failure_tell();
		if (rc != -ENOENT)
			return rc;
	}
	if (!na_heap_find(p, &block) || !block.live || block.start != (uintptr_t)p)
		return -EINVAL;
	if (na_span_kind(block.span) != NA_SPAN_SMALL || !na_id_of(p))
		return release_other(p, block.span);
	*na_mark_of(p) = 0; /* it is live, whatever the program has written there */
	na_heap_release(p);
	return 0;
}

bool na_heap_find(const void *p, struct na_block *out)
{
	struct na_segment *segment;
	struct na_span *span;
	uintptr_t a = (uintptr_t)p;

	if (na_guarded() && na_guard.find(p, out))
		return true;
	if (!na_address_valid(p) || !na_map_covers((uintptr_t)p, 1))
		return false;
	segment = na_segment_of(p);
	if (!segment)
		return false;
	span = na_span_of(p);
	*out = (struct na_block){ .span = span, .pool = segment->pool };
	switch (na_span_kind(span)) {
	case NA_SPAN_SMALL: {
		uint32_t slot = na_slot_of(span, p);

		if (slot >= na_span_carved(span)) /* past the end, or never given out */
			return true;
		out->start = span->base + (uintptr_t)slot * span->size;
		out->size = span->size;
		/* A block is free if its bit says so; one that is in a stack, or on its way home, has the mark too.
		 * Racing with other threads' business in other slots is harmless. */
		out->live =
			na_slot_is_out(span, slot) &&
			!(atomic_load_explicit(&span->remote[slot / 64], memory_order_relaxed) >> (slot % 64) & 1) &&
			!(*na_mark_of((void *)out->start) == NA_FREED_MARK &&
			  na_cache_holds(na_cache_current, span, (void *)out->start));
		return true;
	}
	case NA_SPAN_LARGE:
	case NA_SPAN_HUGE:
		out->start = span->base;
		out->size = span->length;
		out->live = a - span->base < span->length;
		return true;
	default:
		return true;
	}
}

void *na_heap_another(const struct na_pool *pool, size_t old, size_t size)
{
	if (na_placed_grows_into(pool, old, size))
		return na_placed_for_hints(pool, size);
	return na_named_allocate(na_named_of(pool), size);
}

/* A large block is of another length now. */
static void resized(void *p, size_t old, size_t size, uint64_t began)
{
	na_live_add((int64_t)size - (int64_t)old);
	if (size > old)
		na_cache_count_taken(0, size - old);
	else
		na_cache_count_given(0, old - size);
	na_sample_consider(p, size, began);
}

static void *move_block(void *p, size_t old, size_t size, const struct na_pool *pool)
{
	/* What lies beyond the limits moves back inside, if it can. */
	void *fresh = pool->named && !pool->beyond ? na_heap_another(pool, old, size) : na_heap_allocate(size);

	if (!fresh)
		return NULL;
	memcpy(fresh, p, old < size ? old : size);
	na_heap_release(p);
	return fresh;
}

/* A block with a placement of its own becomes one that has it as well. */
static void *move_placed(void *p, size_t size, const struct na_block *block)
{
	void *fresh = na_placed_again(block, size);

	if (!fresh) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(fresh, p, size < block->size ? size : block->size);
	na_heap_release(p);
	return fresh;
}

/* A block that shrinks by less than half stays; of the smallest, all do. */
static bool stays(size_t old, size_t size)
{
	return size <= old && (size >= old / 2 || old <= 64);
}

static void *resize_other(void *p, size_t size)
{
	struct na_block block;

	if (!na_heap_find(p, &block) || !block.live || block.start != (uintptr_t)p) {
		na_cache_complain(p, "resized, but is not a live block of ours", __builtin_return_address(0));
		na_failure_tell();
		errno = EINVAL;
		return NULL;
	}
	if (na_span_kind(block.span) == NA_SPAN_SMALL) {
		if (stays(block.size, size))
			return p;
	} else if (na_span_segment(block.span)->placement.kind) {
		return na_placed_stays(&block, size) ? p : move_placed(p, size, &block);
	} else if (size > NA_SMALL_MAX && !(block.pool->named && na_placed_grows_into(block.pool, block.size, size)) &&
		   (!block.pool->beyond || na_beyond_may_grow(size, block.size))) {
		uint64_t began = na_sample_clock();
		void *q;

		na_sample_release(p); /* for the profile a resized block is a new one, as if it had been copied */
		q = na_large_resize(block.span, p, size);
		if (q) {
			resized(q, block.size, na_span_of(q)->length, began);
			if (block.pool->named)
				na_named_grew(na_named_of(block.pool));
			return q;
		}
	}
	return move_block(p, block.size, size, block.pool);
}

void *na_heap_resize(void *p, size_t size)
{
	struct na_span *span;

	if (!p)
		return na_heap_allocate(size);
	if (size > PTRDIFF_MAX)
		return recover(size, 16, false);
	if (na_guarded()) {
		struct na_block block;

		if (na_guard.find(p, &block)) {
			p = na_guard.resize(p, size, __builtin_return_address(0));
			na_failure_tell();
			return p;
		}
	}
	/* Small blocks are what programs resize most: those that are plainly live need no more tests. */
	if (na_unlikely(!na_address_valid(p)))
		return resize_other(p, size);
	span = na_span_of(p);
	if (na_span_kind(span) != NA_SPAN_SMALL || !na_slot_starts(span, p) || *na_mark_of(p) == NA_FREED_MARK ||
	    !na_slot_is_out(span, na_slot_of(span, p)))
		return resize_other(p, size);
	if (stays(span->size, size))
		return p;
	return move_block(p, span->size, size, na_span_segment(span)->pool);
}

uint64_t na_heap_flush(void)
{
	uint64_t bytes = 0;

	na_pools_boot();
	if (na_cache_current != &na_cache_none)
		na_cache_trim(na_cache_current);
	na_cache_tend();
	na_traps_trim();
	for (uint32_t i = 0; i < na_pool_count; i++)
		bytes += na_pool_purge(&na_pools[i], true);
	return bytes + na_named_purge(true);
}
