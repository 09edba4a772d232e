/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Free pages of spans that are half empty. A program whose sizes shift leaves a few long-lived blocks in each of many spans,
 * and nothing but these pages can be had back while they live.
 *
 * The maintenance thread comes here, and who asks for a pass of defragmentation; any number at once: a span that one is at is QUEUED,
 * and the others leave it alone. A span is worked on in three steps: under its owner's lock, free slots that cover
 * whole pages are marked as taken, and the span as QUEUED, so that it is neither released nor given to another owner; without any
 * lock the pages go back; under the lock again the slots are free, and the span goes onto the owner's queue, as if
 * blocks had been freed into it. The pages are zero when they are next touched, at the price of a fault each.
 *
 * Cost: a look at every partial span of the caches; 2 us a run of pages.
 */
#include <string.h>

#include "cache/fast.h"
#include "cache/merge.h"
#include "os/os.h"
#include "pool/lost.h"

#define BATCH 8 /* spans at a time: 4 KiB of stack */

struct task {
	struct na_span *span;
	uint64_t held[64]; /* slots that are marked as taken, by words */
	uint32_t slots;
};

static uint32_t first_page(const struct na_span *span, uint32_t slot)
{
	return (uint32_t)(((uintptr_t)slot * span->size + NA_PAGE - 1) / NA_PAGE);
}

static bool is_free(const struct na_span *span, uint32_t slot)
{
	return !(na_span_taken(span, slot / 64) >> (slot % 64) & 1);
}

/* The next run of free slots that covers a page at least; false if there is none from `slot` on. */
static bool next_run(const struct na_span *span, uint32_t slot, uint32_t *from, uint32_t *to)
{
	uint32_t carved = na_span_carved(span);

	while (slot < carved) {
		uint32_t end;

		for (; slot < carved && !is_free(span, slot); slot++)
			;
		for (end = slot; end < carved && is_free(span, end); end++)
			;
		if (end > slot && first_page(span, slot) < (uintptr_t)end * span->size / NA_PAGE) {
			*from = slot;
			*to = end;
			return true;
		}
		slot = end;
	}
	return false;
}

/* Worth the faults: half empty, and emptier by an eighth than when it was last done, and by one slot at least, or it would be done for ever. Under
 * the lock. */
static bool worth_it(const struct na_span *span)
{
	uint32_t carved = na_span_carved(span), less = span->slots < 8 ? 1 : span->slots / 8u;

	return span->used * 2 <= carved && span->used + less <= span->left_at &&
	       (size_t)(carved - span->used) * span->size >= 2 * NA_PAGE;
}

/* Under the lock. */
static bool begin(struct na_span *span, struct task *t)
{
	uint32_t flag = atomic_load_explicit(&span->flag, memory_order_relaxed), from, to;

	if (na_span_merge(span) || !worth_it(span)) /* a page may have other spans' blocks */
		return false;
	span->left_at = (uint16_t)span->used;
	if (!next_run(span, 0, &from, &to))
		return false;
	/* QUEUED by somebody else, now or meanwhile: another time. */
	if (flag == NA_QUEUED || !atomic_compare_exchange_strong_explicit(&span->flag, &flag, NA_QUEUED,
									  memory_order_acq_rel, memory_order_relaxed))
		return false;
	t->span = span;
	t->slots = 0;
	memset(t->held, 0, sizeof(t->held));
	for (uint32_t slot = 0; next_run(span, slot, &from, &to); slot = to) {
		for (uint32_t i = from; i < to; i++)
			t->held[i / 64] |= UINT64_C(1) << (i % 64);
		t->slots += to - from;
	}
	for (uint32_t word = 0; word < (span->slots + 63u) / 64; word++)
		if (t->held[word])
			na_span_take(span, word, t->held[word]);
	span->used += t->slots;
	return true;
}

/* Without any lock: what is marked stays as it is. */
static uint64_t purge(const struct task *t)
{
	const struct na_span *span = t->span;
	uint64_t bytes = 0;

	for (uint32_t slot = 0, end; slot < span->slots; slot = end) {
		uintptr_t from, to;

		for (; slot < span->slots && !(t->held[slot / 64] >> (slot % 64) & 1); slot++)
			;
		for (end = slot; end < span->slots && (t->held[end / 64] >> (end % 64) & 1); end++)
			;
		from = span->base + (uintptr_t)first_page(span, slot) * NA_PAGE;
		to = span->base + (uintptr_t)end * span->size / NA_PAGE * NA_PAGE;
		if (from < to && na_os.purge((void *)from, to - from) == 0)
			bytes += to - from;
	}
	return bytes;
}

/* Under the lock. The caller then puts the span on the queue. */
static void end(struct task *t)
{
	for (uint32_t word = 0; word < (t->span->slots + 63u) / 64; word++)
		if (t->held[word])
			na_span_free(t->span, word, t->held[word]);
	t->span->used -= t->slots;
}

/* Up to BATCH spans of a cache from class *cls on, which moves on. */
static uint32_t begin_some(struct na_cache *c, unsigned int *cls, struct task *tasks)
{
	uint32_t n = 0;

	na_lock(&c->lock);
	for (; *cls < NA_CLASSES; ++*cls) {
		struct na_span *span, *next;
		uint32_t count;

		span = c->kind[*cls].span;
		if (span && n < BATCH && begin(span, &tasks[n]))
			n++;
		na_cache_each (&c->kind[*cls], span, next, count)
			if (n < BATCH && begin(span, &tasks[n]))
				n++;
		if (n == BATCH) /* there may be more of this class */
			break;
	}
	na_unlock(&c->lock);
	return n;
}

static uint64_t purge_cache(struct na_cache *c)
{
	struct task tasks[BATCH];
	unsigned int cls = 0;
	uint64_t bytes = 0;
	uint32_t n;

	while ((n = begin_some(c, &cls, tasks))) {
		for (uint32_t i = 0; i < n; i++)
			bytes += purge(&tasks[i]);
		na_lock(&c->lock);
		for (uint32_t i = 0; i < n; i++) {
			end(&tasks[i]);
			na_cache_queue(c, tasks[i].span);
		}
		na_cache_drain(c);
		na_unlock(&c->lock);
	}
	return bytes;
}

enum { ALL, RUNNING, SLEEPING };

static bool is_meant(const struct na_cache *c, int which)
{
	bool runs = atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_RUNNING;

	return which == ALL ||
	       (runs && (which == RUNNING || atomic_load_explicit(&c->asleep, memory_order_relaxed) == NA_EPOCHS_KEPT));
}

static uint64_t purge_caches(int which)
{
	uint64_t bytes = 0;

	for (struct na_cache *c = na_cache_first(); c; c = c->next_all)
		if (is_meant(c, which))
			bytes += purge_cache(c);
	atomic_fetch_add_explicit(&na_pool_purged, bytes, memory_order_relaxed);
	return bytes;
}

uint64_t na_cache_purge_pages(void)
{
	return purge_caches(RUNNING);
}

uint64_t na_cache_purge_all_pages(void)
{
	return purge_caches(ALL);
}

uint64_t na_cache_purge_sleepers(void)
{
	return purge_caches(SLEEPING);
}

/* Free slots of a small span that lie on a lost page are taken for good. */
static void bar_slots(struct na_span *span, uintptr_t page, size_t bytes)
{
	struct na_cache *c = atomic_load_explicit(&span->cache, memory_order_relaxed);
	uint32_t n = 0;

	if (!c)
		return;
	na_lock(&c->lock);
	if (na_span_merge(span))
		n = na_merge_bar(span, page, bytes);
	for (uint32_t slot = na_slot_of(span, (void *)page); slot < span->slots && !na_span_merge(span); slot++) {
		uint64_t bit = UINT64_C(1) << (slot % 64);

		if (span->base + (uintptr_t)slot * span->size >= page + bytes)
			break;
		if (slot >= na_span_carved(span) || (na_span_taken(span, slot / 64) & bit))
			continue;
		na_span_take(span, slot / 64, bit);
		span->used++;
		n++;
	}
	if (atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_NAMED)
		na_kind_hold(&c->kind[span->cls], n);
	else
		__atomic_fetch_add(&na_cache_none.kind[span->cls].held, n, __ATOMIC_RELAXED);
	na_unlock(&c->lock);
}

void na_cache_settle_lost(void)
{
	if (na_likely(atomic_exchange_explicit(&na_lost.unsettled, 0, memory_order_acquire) == 0))
		return;
	for (uint32_t i = 0; i < NA_LOST_MOST; i++) {
		uintptr_t page = atomic_load_explicit(&na_lost.page[i], memory_order_acquire);
		struct na_segment *segment = page ? na_segment_of((void *)page) : NULL;

		if (!segment || segment->huge)
			continue;
		if (na_lost_replace_slice(segment, (uint32_t)((page - segment->base) >> NA_SLICE_SHIFT)))
			continue;
		if (na_span_kind(na_span_of((void *)page)) == NA_SPAN_SMALL)
			bar_slots(na_span_of((void *)page), page,
				  atomic_load_explicit(&na_lost.bytes[i], memory_order_relaxed));
	}
}
