/* SPDX-License-Identifier: BSD-3-Clause */
/* The slow half of free: spans that fill and empty, and blocks of other threads. See cache.h. */
#include <errno.h>

#include "base/log.h"
#include "cache/check.h"
#include "cache/fast.h"

#define PENDING_BYTES 16384 /* an entry is sent when its blocks are together this large */

/* At the tail: a span that was full until just now has one free slot, and by the time it reaches the
 * head it has gathered more. The list is a ring, so that the bin needs one pointer. */
void na_cache_list(struct na_cache *c, struct na_span *span)
{
	struct na_bin *bin = &c->bins[span->cls];
	struct na_span *head = bin->partial;

	span->bin = bin;
	span->listed = true;
	if (head) {
		span->next = head;
		span->prev = head->prev;
		head->prev->next = span;
		head->prev = span;
	} else {
		span->next = span->prev = span;
		bin->partial = span;
	}
	atomic_store_explicit(&span->cache, c, memory_order_relaxed);
	atomic_store_explicit(&span->fast,
			      atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_NAMED ? NULL : c,
			      memory_order_release);
}

void na_cache_unlist(struct na_span *span)
{
	struct na_bin *bin = span->bin;

	if (span->next == span) {
		bin->partial = NULL;
	} else {
		span->prev->next = span->next;
		span->next->prev = span->prev;
		if (bin->partial == span)
			bin->partial = span->next;
	}
	span->listed = false;
}

/* An empty span goes back to the pool, unless it is current, or QUEUED (then whoever drains it
 * comes here again). */
bool na_cache_release_if_empty(struct na_cache *c, struct na_span *span)
{
	uint32_t silent = NA_SILENT;

	if (span->used != 0 || span->bin->span == span)
		return false;
	if (!atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_WATCHED, memory_order_acquire,
						     memory_order_relaxed) &&
	    silent == NA_QUEUED)
		return false;
	if (span->listed)
		na_cache_unlist(span);
	na_pool_give_span(c->pool, span);
	return true;
}

void na_cache_span_empty(struct na_cache *c, struct na_span *span)
{
	if (span->bin->span == span) /* current, and all of its bundles given out: it stays */
		return;
	na_lock(&c->lock);
	na_cache_release_if_empty(c, span);
	na_cache_enforce(c, "span_empty");
	na_unlock(&c->lock);
	na_cache_publish(c);
}

void na_cache_drain(struct na_cache *c)
{
	/* acquire: pairs with the push's release, so that next_queued is seen. */
	struct na_span *span = atomic_exchange_explicit(&c->queue, NULL, memory_order_acquire), *next;
	uint32_t watch =
		atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_IDLE ? NA_SILENT : NA_WATCHED;

	for (; span; span = next) {
		next = span->next_queued;
		atomic_store_explicit(&span->flag, watch, memory_order_seq_cst); /* before the look: as in park() */
		na_cache_collect(span);
		if (na_cache_release_if_empty(c, span))
			continue;
		if (!span->listed && span->bin->span != span && span->used < span->slots)
			na_cache_list(c, span);
	}
}

/* Tells a span's owner which slots were freed. */
static void send(struct na_span *span, uint32_t word, uint64_t bits)
{
	/* seq_cst: pairs with park() and drain(); also releases our writes to the blocks. */
	uint64_t before = atomic_fetch_or_explicit(&span->remote[word], bits, memory_order_seq_cst);
	uint32_t silent = NA_SILENT;
	struct na_cache *owner;

	for (uint64_t twice = before & bits; twice; twice &= twice - 1)
		na_cache_complain(
			(void *)(span->base + ((uintptr_t)word * 64 + (uintptr_t)__builtin_ctzll(twice)) * span->size),
			"freed twice", NULL);
	if (atomic_load_explicit(&span->flag, memory_order_seq_cst) != NA_SILENT ||
	    !atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_QUEUED, memory_order_acq_rel,
						     memory_order_relaxed))
		return;
	/* QUEUED is ours now, and keeps the owner from changing until it has drained us. */
	owner = atomic_load_explicit(&span->cache, memory_order_relaxed);
	span->next_queued = atomic_load_explicit(&owner->queue, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&owner->queue, &span->next_queued, span, memory_order_release,
						      memory_order_relaxed))
		;
}

static void flush_entry(struct na_cache *c, uint32_t i)
{
	struct na_pending e = c->pending[i];

	c->pending_used &= ~(1u << i);
	send(e.span, e.word, e.bits);
}

void na_cache_flush_pending(struct na_cache *c)
{
	while (c->pending_used)
		flush_entry(c, (uint32_t)__builtin_ctz(c->pending_used));
}

static int free_remote(struct na_cache *c, struct na_span *span, const void *p)
{
	struct na_pool *home = na_span_segment(span)->pool;
	uint32_t slot = na_slot_of(span, p), word = slot / 64, i;
	uint64_t bit = UINT64_C(1) << (slot % 64);
	struct na_pending *e;

	if (slot >= span->slots)
		return -EINVAL;
	if (c ==
	    &na_cache_none) { /* a thread past its end, or before its first allocation: nothing to gather in, nor to count in */
		send(span, word, bit);
		__atomic_fetch_add(&c->bins[span->cls].freed, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&c->remote, 1, __ATOMIC_RELAXED);
		atomic_fetch_add_explicit(&c->away[home - na_pools], span->size, memory_order_relaxed);
		na_live_add(-(int64_t)span->size);
		return 0;
	}
	i = (uint32_t)(((uintptr_t)span >> 7) ^ word) % NA_PENDING;
	e = &c->pending[i];
	if ((c->pending_used >> i & 1) && (e->span != span || e->word != word))
		flush_entry(c, i);
	if (!(c->pending_used >> i & 1)) {
		*e = (struct na_pending){ span, 0, word, 0 };
		c->pending_used |= 1u << i;
	}
	if (e->bits & bit)
		return -EINVAL;
	e->bits |= bit;
	e->bytes += span->size;
	c->bins[span->cls].freed++;
	c->remote++;
	if (home != c->pool)
		atomic_fetch_add_explicit(&c->away[home - na_pools], span->size, memory_order_relaxed);
	if (e->bytes >= PENDING_BYTES || e->bits == ~UINT64_C(0)) {
		flush_entry(c, i);
		c->since_published += PENDING_BYTES;
		if (c->since_published >= 65536)
			na_cache_publish(c);
	}
	return 0;
}

/* A block of a span of ours that was full: from now on it is partial. */
static int free_parked(struct na_cache *c, struct na_span *span, const void *p)
{
	uint32_t silent = NA_SILENT;
	bool put;

	na_lock(&c->lock);
	put = na_span_put(span, p);
	if (put && !na_cache_release_if_empty(c, span) && !span->listed && span->bin->span != span &&
	    atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_WATCHED, memory_order_acquire,
						    memory_order_relaxed))
		na_cache_list(c, span);
	na_cache_enforce(c, "free_parked");
	na_unlock(&c->lock);
	return put ? 0 : -EINVAL;
}

/* Blocks of named pools are freed under the pool's cache's lock, at once, whoever frees. */
static int free_named(struct na_span *span, const void *p)
{
	struct na_cache *owner = atomic_load_explicit(&span->cache, memory_order_relaxed);
	int64_t size = span->size;
	bool put;

	na_lock(&owner->lock);
	put = na_span_put(span, p);
	if (put && !na_cache_release_if_empty(owner, span) && !span->listed && span->bin->span != span)
		na_cache_list(owner, span);
	na_cache_enforce(owner, "free_named");
	na_unlock(&owner->lock);
	if (!put)
		return -EINVAL;
	atomic_fetch_sub_explicit(&owner->published, size, memory_order_relaxed);
	na_live_add(-size);
	return 0;
}

int na_cache_free_slow(struct na_cache *c, struct na_span *span, void *p)
{
	struct na_cache *owner = atomic_load_explicit(&span->cache, memory_order_relaxed);

	if (na_span_kind(span) != NA_SPAN_SMALL || !owner || ((uintptr_t)p - span->base) % span->size != 0)
		return -EINVAL;
	if (atomic_load_explicit(&owner->state, memory_order_relaxed) == NA_CACHE_NAMED)
		return free_named(span, p);
	if (owner == c)
		return free_parked(c, span, p);
	return free_remote(c, span, p);
}
