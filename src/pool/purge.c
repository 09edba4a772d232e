/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving memory back. A run to purge is first taken (under the lock), then purged without it, then given
 * back clean: nobody can be handed a page while the kernel drops it. Runs are cut to whole units
 * of block_size, so that a site may keep huge pages whole.
 */
#include <string.h>

#include "base/options.h"
#include "os/os.h"
#include "pool/bits.h"
#include "pool/pool.h"

static bool old_enough(uint8_t stamp, uint8_t epoch, bool all)
{
	return all || (uint8_t)(epoch - stamp) >= NA_EPOCHS_KEPT;
}

/* The first run at or after `from` that may be purged; its length, or 0. Under the lock. */
static uint32_t next_run(struct na_segment *segment, uint32_t from, uint8_t epoch, bool all, uint32_t *at)
{
	uint32_t unit = na_options.block_size > NA_SLICE ? (uint32_t)(na_options.block_size >> NA_SLICE_SHIFT) : 1;

	for (uint32_t i = na_bits_next(segment->dirty, from, true); i < NA_SLICES;
	     i = na_bits_next(segment->dirty, i, true)) {
		uint32_t start = (i + unit - 1) & ~(unit - 1), end = i;

		while (end < NA_SLICES && (segment->dirty[end / 64] >> (end % 64) & 1) &&
		       old_enough(segment->stamp[end], epoch, all))
			end++;
		if (end == i) {
			i++;
			continue;
		}
		if (start < end && ((end - start) & ~(unit - 1)) > 0) {
			*at = start;
			return (end - start) & ~(unit - 1);
		}
		i = end;
	}
	return 0;
}

/* Of a run, what brings the bytes to `most`, in whole units of block_size: a caller with little time asks for little. */
static uint32_t cut(uint32_t count, uint64_t most)
{
	uint32_t unit = na_options.block_size > NA_SLICE ? (uint32_t)(na_options.block_size >> NA_SLICE_SHIFT) : 1;
	uint64_t wanted = most < NA_SEGMENT ? (most + NA_SLICE - 1) / NA_SLICE : NA_SLICES;

	wanted = (wanted + unit - 1) & ~(uint64_t)(unit - 1);
	return wanted < count ? (uint32_t)wanted : count;
}

static uint64_t purge_segment(struct na_pool *pool, struct na_segment *segment, bool all, uint64_t most)
{
	uint8_t epoch = (uint8_t)atomic_load_explicit(&na_pool_epoch, memory_order_relaxed);
	uint64_t bytes = 0;

	for (uint32_t at = 0, count;; at += count) {
		int rc;

		na_lock(&pool->lock);
		count = at < NA_SLICES ? next_run(segment, at, epoch, all, &at) : 0;
		if (count) {
			count = cut(count, most - bytes);
			na_bits_put(segment->free, at, count, false);
			na_bits_put(segment->dirty, at, count, false);
			pool->dirty_slices -= count;
			pool->out_slices += count;
		}
		na_unlock(&pool->lock);
		if (!count)
			return bytes;
		rc = na_os.purge((void *)(segment->base + (uintptr_t)at * NA_SLICE), (size_t)count * NA_SLICE);
		na_lock(&pool->lock);
		na_bits_put(segment->free, at, count, true);
		pool->out_slices -= count;
		if (rc < 0) { /* pinned pages, say: still ours, still dirty, tried again next time */
			na_bits_put(segment->dirty, at, count, true);
			memset(segment->stamp + at, epoch, count);
			pool->dirty_slices += count;
		}
		pool->table[segment->index >> NA_TABLE_SHIFT][segment->index & ((1u << NA_TABLE_SHIFT) - 1)].max_free =
			NA_SLICES;
		na_unlock(&pool->lock);
		if (rc == 0) {
			na_pool_refund(pool, (uint64_t)count * NA_SLICE);
			bytes += (uint64_t)count * NA_SLICE;
			if (bytes >= most)
				return bytes;
		}
	}
}

/* Takes a kept huge block out of the list; NULL if none is old enough. */
static struct na_segment *take_old(struct na_pool *pool, uint8_t epoch, bool all)
{
	struct na_segment *s;

	na_lock(&pool->lock);
	for (s = pool->huge_kept; s && (s->busy || !old_enough(s->huge_stamp, epoch, all)); s = s->next)
		;
	if (s) {
		if (s->prev)
			s->prev->next = s->next;
		else
			pool->huge_kept = s->next;
		if (s->next)
			s->next->prev = s->prev;
		pool->huge_kept_bytes -= s->committed;
		pool->reserved -= s->length;
		atomic_fetch_sub_explicit(&pool->huge_count, 1, memory_order_relaxed);
		atomic_fetch_sub_explicit(&na_pool_mappings, 1, memory_order_relaxed);
	}
	na_unlock(&pool->lock);
	return s;
}

/* The system would not unmap it, because that needs one mapping more than vm.max_map_count: its pages go back, and the
 * addresses are kept for reuse and for another try. Returns bytes given back. */
static uint64_t keep_addresses(struct na_pool *pool, struct na_segment *s, uint8_t epoch)
{
	uint64_t bytes = !s->hugetlb && na_os.purge((void *)s->base, s->length) == 0 ? s->committed : 0;

	na_map_set(s);
	na_lock(&pool->lock);
	s->committed -= bytes;
	na_segment_seal(s);
	s->huge_stamp = epoch;
	s->prev = NULL;
	s->next = pool->huge_kept;
	if (s->next)
		s->next->prev = s;
	pool->huge_kept = s;
	pool->huge_kept_bytes += s->committed;
	pool->reserved += s->length;
	atomic_fetch_add_explicit(&pool->huge_count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&na_pool_mappings, 1, memory_order_relaxed);
	na_unlock(&pool->lock);
	na_pool_refund(pool, bytes);
	return bytes;
}

static uint64_t purge_huge(struct na_pool *pool, bool all, uint64_t most)
{
	uint8_t epoch = (uint8_t)atomic_load_explicit(&na_pool_epoch, memory_order_relaxed);
	uint64_t bytes = 0;
	struct na_segment *s;

	while (bytes < most && (s = take_old(pool, epoch, all))) {
		size_t length = s->committed;

		na_map_clear(s);
		if (na_os.unmap((void *)s->base, s->length) < 0)
			return bytes + keep_addresses(pool, s, epoch);
		memset(&s->span[0], 0, sizeof(s->span[0]));
		memset((char *)s + sizeof(s->span), 0, sizeof(*s) - sizeof(s->span));
		na_arena_give(&pool->arena, s, sizeof(*s));
		na_pool_refund(pool, length);
		bytes += length;
	}
	return bytes;
}

/* The next live huge block with much that is committed behind its end, and was so for the decay time. Marks it as
 * busy: it may be freed meanwhile, but not grow, nor be handed out again. Under the lock. */
static struct na_segment *next_to_trim(struct na_pool *pool, uint8_t epoch, bool all, size_t *keep)
{
	for (struct na_segment *s = pool->huge_live; s; s = s->next) {
		size_t used;

		if (s->busy || s->hugetlb || na_span_kind(&s->span[0]) != NA_SPAN_HUGE ||
		    !old_enough(s->huge_stamp, epoch, all))
			continue;
		used = (s->span[0].base - s->base + s->span[0].length + NA_SLICE - 1) & ~(NA_SLICE - 1);
		if (s->committed - s->committed / 5 <= used)
			continue;
		s->busy = NA_BUSY;
		*keep = used;
		return s;
	}
	return NULL;
}

static uint64_t trim_huge(struct na_pool *pool, bool all)
{
	uint8_t epoch = (uint8_t)atomic_load_explicit(&na_pool_epoch, memory_order_relaxed);
	uint64_t bytes = 0;

	for (;;) {
		struct na_segment *s;
		size_t keep = 0, more;
		int rc;

		na_lock(&pool->lock);
		s = next_to_trim(pool, epoch, all, &keep);
		na_unlock(&pool->lock);
		if (!s)
			return bytes;
		more = s->committed - keep;
		rc = na_os.purge((void *)(s->base + keep), more);
		na_lock(&pool->lock);
		s->busy = 0;
		s->huge_stamp = epoch;
		if (rc == 0) {
			s->committed = keep;
			na_segment_seal(s);
			if (na_span_kind(&s->span[0]) == NA_SPAN_HUGE)
				pool->huge_bytes -= more;
			else /* freed meanwhile */
				pool->huge_kept_bytes -= more;
			na_pool_refund(pool, more);
			bytes += more;
		}
		na_unlock(&pool->lock);
		if (rc < 0) /* pinned pages, say: next time */
			return bytes;
	}
}

static uint64_t purge(struct na_pool *pool, bool all, uint64_t most)
{
	uint64_t bytes = purge_huge(pool, all, most);

	if (bytes < most)
		bytes += trim_huge(pool, all);
	for (uint32_t i = 0; bytes < most; i++) {
		struct na_segment *segment = NULL;

		na_lock(&pool->lock);
		if (i < pool->segments && pool->dirty_slices)
			segment = pool->table[i >> NA_TABLE_SHIFT][i & ((1u << NA_TABLE_SHIFT) - 1)].segment;
		na_unlock(&pool->lock);
		if (!segment)
			break;
		bytes += purge_segment(pool, segment, all, most - bytes);
	}
	atomic_fetch_add_explicit(&na_pool_purged, bytes, memory_order_relaxed);
	return bytes;
}

uint64_t na_pool_purge(struct na_pool *pool, bool all)
{
	return purge(pool, all, UINT64_MAX);
}

uint64_t na_pool_purge_some(struct na_pool *pool, uint64_t most)
{
	return purge(pool, true, most);
}

uint64_t na_pool_purge_huge(struct na_pool *pool)
{
	uint64_t bytes = purge_huge(pool, true, 1);

	atomic_fetch_add_explicit(&na_pool_purged, bytes, memory_order_relaxed);
	return bytes;
}

/* The pool's ith segment and how many slices it has now; NULL past the last. Another thread may be giving empty ones back. */
static struct na_segment *segment_at(struct na_pool *pool, uint32_t i, uint32_t *slices)
{
	struct na_segment *segment = NULL;

	na_lock(&pool->lock);
	if (i < pool->segments) {
		segment = pool->table[i >> NA_TABLE_SHIFT][i & ((1u << NA_TABLE_SHIFT) - 1)].segment;
		*slices = (uint32_t)(segment->length / NA_SLICE);
	}
	na_unlock(&pool->lock);
	return segment;
}

static struct na_segment *first_huge(struct na_pool *pool)
{
	struct na_segment *segment;

	na_lock(&pool->lock);
	segment = pool->huge_live;
	na_unlock(&pool->lock);
	return segment;
}

void na_pool_reset(struct na_pool *pool)
{
	struct na_segment *segment;
	uint32_t slices;

	for (uint32_t i = 0; (segment = segment_at(pool, i, &slices)); i++)
		for (uint32_t at = 0; at < slices; at++) {
			struct na_span *span = &segment->span[at];

			/* One that is still merged could not be given memory of its own, and waits for it. */
			if (na_span_kind(span) == NA_SPAN_SMALL &&
			    !atomic_load_explicit(&span->merge, memory_order_relaxed))
				na_pool_give_span(pool, span);
			else if (na_span_kind(span) == NA_SPAN_LARGE)
				na_large_give(span, (void *)span->base);
		}
	while ((segment = first_huge(pool)))
		na_large_give(&segment->span[0], (void *)segment->span[0].base);
}
