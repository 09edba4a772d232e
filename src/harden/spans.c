/* SPDX-License-Identifier: BSD-3-Clause */
/* One small span's slots, whether each span is in the one place where it should be, and the count of slots that are out. See survey.h. */
#include <string.h>

#include "base/bits.h"
#include "cache/fast.h"
#include "cache/merge.h"
#include "harden/survey.h"
#include "pool/lost.h"

static uint32_t taken_slots(const struct na_span *span, uint32_t carved)
{
	uint32_t n = 0;

	for (uint32_t slot = 0; slot < carved; slot += 64) {
		uint64_t word = na_span_taken(span, slot / 64);

		n += na_popcount(carved - slot >= 64 ? word : word & ((UINT64_C(1) << (carved - slot)) - 1));
	}
	return n;
}

/* Whether every slot from `carved` on is marked as taken, as one that was never given out is. */
static bool rest_taken(const struct na_span *span, uint32_t carved)
{
	uint32_t groups = (span->slots + 63u) / 64;

	for (uint32_t word = carved / 64; word < groups; word++) {
		uint64_t bits = na_span_taken(span, word);

		if (word == carved / 64)
			bits |= carved % 64 ? (UINT64_C(1) << (carved % 64)) - 1 : 0;
		if (~bits)
			return false;
	}
	return true;
}

static uint64_t parity_of(const struct na_span *span)
{
	uint64_t parity = 0;

	for (uint32_t word = 0; word < (span->slots + 63u) / 64; word++)
		parity ^= na_span_taken(span, word);
	return parity;
}

/* Some bits of `taken` have changed, or the parity has: slots that are free by the one and taken by the other may be somebody's, in whichever
 * word. They count as taken from now on. */
static void bar_doubtful_slots(struct na_survey *v, struct na_span *span)
{
	uint32_t carved = na_span_carved(span), before = taken_slots(span, carved), after;
	uint64_t doubtful = span->parity ^ parity_of(span);

	for (uint32_t word = 0; word < (span->slots + 63u) / 64; word++)
		na_span_take(span, word, doubtful);
	after = taken_slots(span, carved);
	v->barred += after - before;
	v->barred_bytes += (size_t)(after - before) * span->size;
	span->used = after;
	span->parity = parity_of(span);
	v->rebuilt++;
}

static void mend_carved(struct na_survey *v, struct na_span *span)
{
	uint32_t a = na_span_carved(span), b = (uint16_t)~span->not_carved;
	bool fits_a = a <= span->slots && rest_taken(span, a) && taken_slots(span, a) == span->used;
	bool fits_b = b <= span->slots && rest_taken(span, b) && taken_slots(span, b) == span->used;
	uint32_t carved = span->slots;

	if (fits_a != fits_b)
		carved = fits_a ? a : b;
	else if (fits_a)
		carved = a > b ? a : b;
	/* In doubt all were: what was not is marked as taken, and stays so. */
	if (!fits_a && !fits_b) {
		v->barred += carved - (b < carved ? b : a < carved ? a : 0);
		span->used = taken_slots(span, carved);
	}
	na_span_set_carved(span, carved);
	v->rebuilt++;
}

static void check_bits(struct na_survey *v, struct na_span *span)
{
	uint32_t carved = na_span_carved(span), taken;

	if (span->parity != parity_of(span) &&
	    na_fault(v, "span %p: which slots are taken is in doubt", (void *)span->base))
		bar_doubtful_slots(v, span);
	if (!rest_taken(span, carved) &&
	    na_fault(v, "span %p: a slot is free that was never given out", (void *)span->base)) {
		for (uint32_t word = carved / 64; word < (span->slots + 63u) / 64; word++)
			na_span_take(span, word, word == carved / 64 ? ~UINT64_C(0) << (carved % 64) : ~UINT64_C(0));
		v->rebuilt++;
	}
	taken = taken_slots(span, carved);
	if (taken != span->used &&
	    na_fault(v, "span %p: %u slots are taken, and it counts %u", (void *)span->base, taken, span->used)) {
		span->used = taken;
		v->rebuilt++;
	}
}

/* A bit of a slot that there is none, or that was never given out. One of a slot that is free is a program's: see check.c. */
static void check_remote(struct na_survey *v, struct na_span *span)
{
	uint32_t carved = na_span_carved(span);

	for (uint32_t word = 0; word < (span->slots + 63u) / 64; word++) {
		uint64_t bits = atomic_load_explicit(&span->remote[word], memory_order_relaxed);

		if (word * 64 + 64 <= carved)
			bits = 0;
		else if (word * 64 < carved)
			bits &= ~UINT64_C(0) << (carved % 64);
		if (bits && na_fault(v, "span %p: a slot came back that was never given out", (void *)span->base)) {
			atomic_fetch_and_explicit(&span->remote[word], ~bits, memory_order_acq_rel);
			v->rebuilt++;
		}
	}
}

void na_survey_small(struct na_survey *v, struct na_span *span)
{
	uint32_t carved = na_span_carved(span);

	if ((carved != (uint16_t)~span->not_carved || carved > span->slots) &&
	    na_fault(v, "span %p: how many slots were ever given out is in doubt", (void *)span->base))
		mend_carved(v, span);
	if (na_span_carved(span) > span->slots)
		return;
	na_survey_merged(v, span);
	check_bits(v, span);
	check_remote(v, span);
	if (span->moving && span->moving != NA_MOVING &&
	    na_fault(v, "span %p: it is neither on its way nor not", (void *)span->base)) {
		span->moving = 0;
		v->rebuilt++;
	}
	if (span->left_at > span->slots &&
	    na_fault(v, "span %p: it had more slots in use than it has", (void *)span->base)) {
		span->left_at = span->slots;
		v->rebuilt++;
	}
}

/* ---- places ---- */

static void check_flag(struct na_survey *v, struct na_span *span, uint8_t place, bool *requeue)
{
	uint32_t flag = atomic_load_explicit(&span->flag, memory_order_relaxed), should = flag;

	if (place & NA_PLACE_QUEUE)
		should = NA_QUEUED;
	else if (flag != NA_WATCHED && flag != NA_SILENT && flag != NA_QUEUED)
		should = NA_SILENT; /* the next free into it tells */
	else if (flag == NA_QUEUED)
		should = NA_SILENT;
	else if (!(place & (NA_PLACE_CURRENT | NA_PLACE_RING)) && flag == NA_WATCHED)
		should = NA_SILENT;
	if (should == flag ||
	    !na_fault(v, "span %p: who frees into it is told wrongly whether to say so", (void *)span->base))
		return;
	/* A queue that is cut has lost it: it is put on again. */
	if (flag == NA_QUEUED && should == NA_SILENT)
		*requeue = true;
	else
		atomic_store_explicit(&span->flag, should, memory_order_seq_cst);
	v->rebuilt++;
}

/* In one place, and no more. True if its cache's rings must be made anew. */
static bool misplaced(struct na_survey *v, struct na_span *span, uint8_t place)
{
	bool queued = place & NA_PLACE_QUEUE || atomic_load_explicit(&span->flag, memory_order_relaxed) == NA_QUEUED;
	unsigned char listed;

	memcpy(&listed, &span->listed, 1);
	if (listed != !!(place & NA_PLACE_RING)) {
		na_fault(v, "span %p: whether it is in a ring is in doubt", (void *)span->base);
		return true;
	}
	if ((place & NA_PLACE_CURRENT) && (place & NA_PLACE_RING)) {
		na_fault(v, "span %p: it is current, and in a ring", (void *)span->base);
		return true;
	}
	if (!(place & (NA_PLACE_CURRENT | NA_PLACE_RING)) && !queued && span->used != span->slots) {
		na_fault(v, "span %p: it has free slots, and nobody has it", (void *)span->base);
		return true;
	}
	return false;
}

static void check_ids(struct na_survey *v, struct na_segment *segment, uint32_t at, uint32_t count, uint32_t id)
{
	for (uint32_t i = at; i < at + count; i++)
		if (atomic_load_explicit(&segment->id[i], memory_order_relaxed) != id &&
		    na_fault(v, "slice %p: its id is %u, not %u", (void *)(segment->base + (uintptr_t)i * NA_SLICE),
			     atomic_load_explicit(&segment->id[i], memory_order_relaxed), id)) {
			atomic_store_explicit(&segment->id[i], id, memory_order_relaxed);
			v->rebuilt++;
		}
}

static void check_place(struct na_survey *v, struct na_known *k, struct na_span *span)
{
	struct na_cache *c = atomic_load_explicit(&span->cache, memory_order_relaxed);
	uint8_t place = *na_survey_place(v, k, span);
	bool requeue = false;

	if (!c || !na_survey_cache(v, c))
		return; /* new, and on its way; or told already */
	if (span->moving == NA_MOVING || (na_span_merge(span) && na_span_merge(span)->retired))
		return;
	if (misplaced(v, span, place) && v->fix) {
		na_survey_relist(v, c);
		place = *na_survey_place(v, k, span);
	}
	check_flag(v, span, place, &requeue);
	if (requeue)
		na_survey_requeue(v, c);
}

void na_survey_places(struct na_survey *v)
{
	for (uint32_t i = 0; i < v->known_count; i++) {
		struct na_segment *segment = v->known[i].segment;

		for (uint32_t at = 0, count; at < NA_SLICES; at += count) {
			struct na_span *span = &segment->span[at];
			struct na_cache *c = NULL;

			count = 1;
			if (!segment->huge && na_span_kind(span) == NA_SPAN_SMALL && span->cls < NA_CLASSES &&
			    span->slices && at + span->slices <= NA_SLICES && span->seal == na_span_sealing(span)) {
				check_place(v, &v->known[i], span);
				count = span->slices;
				c = atomic_load_explicit(&span->cache, memory_order_relaxed);
			}
			check_ids(v, segment, at, count,
				  c && !na_lost_in(span->base, (size_t)span->slices * NA_SLICE) &&
						  na_survey_cache(v, c) &&
						  atomic_load_explicit(&c->state, memory_order_relaxed) !=
							  NA_CACHE_NAMED
					  ? na_cache_id(c, span->cls)
					  : 0);
		}
	}
}

/* ---- slots that are out ---- */

/* Of a cache that no thread owns, in a pool that is named or not. */
static uint32_t shared_index(const struct na_survey *v, const struct na_pool *pool, const struct na_cache *c)
{
	for (uint32_t i = pool->named ? v->sampled_count : 0; i < (pool->named ? v->named_count : v->sampled_count);
	     i++)
		if (v->caches[i] == c)
			return i;
	return UINT32_MAX;
}

static void count_out(struct na_survey *v, int64_t *out)
{
	memset(v->named_out, 0, (size_t)v->named_count * NA_CLASSES * sizeof(int64_t));
	for (uint32_t i = 0; i < v->known_count; i++)
		for (uint32_t at = 0; at < NA_SLICES && !v->known[i].segment->huge; at++) {
			const struct na_span *span = &v->known[i].segment->span[at];
			uint32_t named;

			if (na_span_kind(span) != NA_SPAN_SMALL || span->seal != na_span_sealing(span) ||
			    span->cls >= NA_CLASSES)
				continue;
			named = shared_index(v, v->known[i].pool,
					     atomic_load_explicit(&span->cache, memory_order_relaxed));
			if (named != UINT32_MAX) {
				v->named_out[named * NA_CLASSES + span->cls] += span->used - na_merge_shadows(span);
				continue;
			}
			out[span->cls] += span->used - na_merge_shadows(span);
			for (uint32_t word = 0; word < (span->slots + 63u) / 64; word++)
				out[span->cls] -=
					na_popcount(atomic_load_explicit(&span->remote[word], memory_order_relaxed) &
						    na_span_taken(span, word));
		}
	for (uint32_t i = v->named_count; i < v->cache_count; i++)
		for (uint32_t k = 0; k < NA_PENDING; k++) {
			const struct na_pending *e = &v->caches[i]->pending[k];

			if ((v->caches[i]->pending_used >> k & 1) && na_survey_span(v, e->span) &&
			    e->span->cls < NA_CLASSES)
				out[e->span->cls] -= na_popcount(e->bits);
		}
}

static void sum_held(struct na_survey *v, int64_t *held)
{
	for (unsigned int cls = 0; cls < NA_CLASSES; cls++) {
		held[cls] = __atomic_load_n(&na_cache_none.kind[cls].held, __ATOMIC_RELAXED);
		for (uint32_t i = v->named_count; i < v->cache_count; i++)
			held[cls] += __atomic_load_n(&v->caches[i]->kind[cls].held, __ATOMIC_RELAXED);
	}
}

/* The two copies of what a cache counts as taken out: which of them is right tells the sum over all. */
static void check_copies(struct na_survey *v, struct na_cache *c, int64_t out_of_all, int64_t held_of_all,
			 unsigned int cls)
{
	struct na_kind *kind = &c->kind[cls];
	int64_t held = __atomic_load_n(&kind->held, __ATOMIC_RELAXED),
		other = -__atomic_load_n(&kind->not_held, __ATOMIC_RELAXED);

	if (held == other || !na_fault(v, "cache %u: it has taken %lld or %lld slots of %zu bytes", c->number,
				       (long long)held, (long long)other, na_class_size(cls)))
		return;
	if (held_of_all - held + other == out_of_all)
		held = other;
	kind->held = held;
	kind->not_held = -held;
	v->rebuilt++;
}

static void check_sum(struct na_survey *v, unsigned int cls, int64_t out, int64_t held)
{
	struct na_kind *kind = &na_cache_none.kind[cls];

	if (out == held || !na_fault(v, "of slots of %zu bytes %lld are out, and caches count %lld", na_class_size(cls),
				     (long long)out, (long long)held))
		return;
	/* Blocks that count as come home may be somebody's: those without the mark of a freed one are not taken in. What is still too many
	 * came home and was forgotten, and stays out. */
	for (uint32_t i = 0; i < v->known_count; i++)
		for (uint32_t at = 0; at < NA_SLICES && !v->known[i].segment->huge; at++) {
			struct na_span *span = &v->known[i].segment->span[at];

			if (na_span_kind(span) != NA_SPAN_SMALL || span->cls != cls || v->known[i].pool->named)
				continue;
			for (uint32_t slot = 0; slot < na_span_carved(span); slot++) {
				uint64_t bit = UINT64_C(1) << (slot % 64);

				if (!(atomic_load_explicit(&span->remote[slot / 64], memory_order_relaxed) & bit) ||
				    *na_mark_of((void *)(span->base + (uintptr_t)slot * span->size)) == NA_FREED_MARK)
					continue;
				atomic_fetch_and_explicit(&span->remote[slot / 64], ~bit, memory_order_acq_rel);
				out++;
				v->barred++;
				v->barred_bytes += span->size;
			}
		}
	if (out > held) {
		v->barred += (size_t)(out - held);
		v->barred_bytes += (size_t)(out - held) * na_class_size(cls);
	}
	__atomic_fetch_add(&kind->held, out - held, __ATOMIC_RELAXED);
	v->rebuilt++;
}

void na_survey_held(struct na_survey *v)
{
	int64_t before[NA_CLASSES], after[NA_CLASSES], out[NA_CLASSES] = { 0 };

	sum_held(v, before);
	count_out(v, out);
	for (uint32_t i = 0; i < v->named_count; i++)
		for (unsigned int cls = 0; cls < NA_CLASSES; cls++) {
			struct na_kind *kind = &v->caches[i]->kind[cls];
			int64_t named = v->named_out[i * NA_CLASSES + cls];

			check_copies(v, v->caches[i], named, kind->held, cls);
			if (kind->held != named &&
			    na_fault(v, "a shared cache has %lld slots of %zu bytes out, and counts %lld",
				     (long long)named, na_class_size(cls), (long long)kind->held)) {
				kind->held = named;
				kind->not_held = -named;
				v->rebuilt++;
			}
		}
	for (uint32_t i = v->named_count; i < v->cache_count; i++)
		for (unsigned int cls = 0; cls < NA_CLASSES; cls++)
			check_copies(v, v->caches[i], out[cls], before[cls], cls);
	sum_held(v, after);
	for (unsigned int cls = 0; cls < NA_CLASSES && !na_cache_forked && !v->cramped; cls++)
		if (before[cls] == after[cls] || v->fix) /* else they are at work */
			check_sum(v, cls, out[cls], after[cls]);
}
