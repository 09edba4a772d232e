/* SPDX-License-Identifier: BSD-3-Clause */
/* The slow half of malloc: find the next bundle. See cache.h. */
#include "base/log.h"
#include "cache/check.h"
#include "cache/fast.h"
#include "cache/mask.h"

/* Slots that others freed in this group become free bytes. */
static void collect_word(struct na_span *span, uint32_t word)
{
	/* acquire: pairs with the freeing thread's OR, so that its last writes to the blocks come
	 * before whatever their next user does. */
	uint64_t bits = atomic_exchange_explicit(&span->remote[word], 0, memory_order_acquire);

	span->used -= na_popcount(bits);
	for (; bits; bits &= bits - 1) {
		uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);

		if (span->state[slot] != NA_SLOT_OUT) { /* its owner had freed it as well */
			span->used++;
			na_cache_complain((void *)(span->base + (uintptr_t)slot * span->size), "freed twice", NULL);
			continue;
		}
		span->state[slot] = NA_SLOT_FREE;
	}
}

void na_cache_collect(struct na_span *span)
{
	for (uint32_t word = 0; word < (span->slots + 63u) / 64; word++)
		if (atomic_load_explicit(&span->remote[word], memory_order_relaxed))
			collect_word(span, word);
}

/* The lowest `most` bits of mask. */
static uint64_t lowest(uint64_t mask, uint32_t most)
{
	uint64_t rest = mask;

	for (uint32_t i = 0; i < most && rest; i++)
		rest &= rest - 1;
	return mask & ~rest;
}

/* At most 32 KiB, to stay in the first-level cache. */
static uint32_t bundle_slots(const struct na_bin *bin)
{
	return bin->size <= 512 ? 64 : (uint32_t)(32768 / bin->size);
}

static bool take_bundle(struct na_cache *c, struct na_bin *bin, struct na_span *span)
{
	uint32_t groups = (span->slots + 63u) / 64, group = span->group;

	for (uint32_t n = 0; n < groups; n++, group = group + 1 == groups ? 0 : group + 1) {
		uint8_t *state = span->state + (size_t)group * 64;
		uint64_t mask;
		uint32_t slots, most = bundle_slots(bin);

		if (atomic_load_explicit(&span->remote[group], memory_order_relaxed))
			collect_word(span, group);
		mask = na_mask_free(state);
		if (!mask)
			continue;
		if (most < 64)
			mask = lowest(mask, most);
		na_mask_set_aside(state, mask);
		span->group = (uint16_t)group;
		slots = na_popcount(mask);
		span->used += slots;
		bin->taken += slots;
		c->since_published += slots * bin->size;
		bin->base = span->base + (uintptr_t)group * 64 * span->size;
		bin->state = state;
		bin->bits = mask;
		return true;
	}
	return false;
}

/* The current span is full. Its owner stops looking: whoever frees into it from now on must say
 * so. False if somebody freed in between and it is worth another look. seq_cst pairs with na_remote_send():
 * of the two, at least one sees the other's store. */
static bool park(struct na_bin *bin, struct na_span *span)
{
	uint32_t expected = NA_SILENT;

	bin->span = NULL;
	atomic_store_explicit(&span->fast, NULL, memory_order_relaxed);
	atomic_store_explicit(&span->flag, NA_SILENT, memory_order_seq_cst);
	for (uint32_t word = 0; word < (span->slots + 63u) / 64; word++) {
		if (!atomic_load_explicit(&span->remote[word], memory_order_seq_cst))
			continue;
		if (!atomic_compare_exchange_strong_explicit(&span->flag, &expected, NA_WATCHED, memory_order_acquire,
							     memory_order_relaxed))
			return true; /* queued meanwhile: it will come by the queue */
		bin->span = span;
		return false;
	}
	return true;
}

/* Makes the span the bin's current one. Under the lock. */
static void make_current(struct na_cache *c, struct na_bin *bin, struct na_span *span)
{
	bin->span = span;
	span->bin = bin;
	atomic_store_explicit(&span->cache, c, memory_order_relaxed);
	atomic_store_explicit(&span->fast, c->state == NA_CACHE_NAMED ? NULL : c, memory_order_release);
}

static bool refill_locked(struct na_cache *c, struct na_bin *bin)
{
	for (;;) {
		struct na_span *span = bin->span;

		if (span) {
			if (take_bundle(c, bin, span))
				return true;
			if (!park(bin, span))
				continue;
		}
		if (atomic_load_explicit(&c->queue, memory_order_relaxed))
			na_cache_drain(c);
		span = bin->partial;
		if (!span)
			return false;
		na_cache_unlist(span);
		if (atomic_load_explicit(&span->flag, memory_order_relaxed) == NA_SILENT) {
			uint32_t silent = NA_SILENT; /* taken over idle; QUEUED stays until it is drained */

			atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_WATCHED, memory_order_acquire,
								memory_order_relaxed);
		}
		make_current(c, bin, span);
	}
}

void *na_cache_refill(struct na_cache *c, unsigned int cls)
{
	struct na_bin *bin = &c->bins[cls];
	struct na_span *span = NULL;
	bool found;

	c->refills++;
	if (c->pending_used)
		na_cache_flush_pending(c);
	for (;;) {
		na_lock(&c->lock);
		if (span && bin->span) /* a hook of ours' callers allocated meanwhile: ours joins the list */
			na_cache_list(c, span);
		else if (span)
			make_current(c, bin, span);
		found = refill_locked(c, bin);
		na_cache_enforce(c, "refill");
		na_unlock(&c->lock);
		if (found)
			break;
		span = na_cache_steal(c, cls);
		if (!span)
			span = na_pool_take_span(c->pool, cls);
		if (!span)
			return NULL;
	}
	if (atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_NAMED)
		return na_bin_pop(bin); /* a named pool counts each block by itself */
	if (c->since_published >= 65536 || atomic_load_explicit(&na_publish_often, memory_order_relaxed))
		na_cache_publish(c);
	return na_bin_pop(bin);
}
