/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order in which a fresh span gives out its slots where its pages may come to be merged (merge.h): from a place within its first unit that each span has of its
 * own, on to its end, then what lies before. Whatever lives on by its place in what was allocated, as the first of every eight siblings does, would otherwise lie
 * at the same slots of every unit, and no two of them could be merged.
 *
 * The slots before that place are carved first, as free ones whose memory is untouched, and are put off until the span is carved to its end. So the order of
 * blocks in memory is broken once a span. (Turned in each page it touches no page early, but a list was walked 1.3 to 1.5 times slower.) What it costs: one page more is
 * touched, in the span that is being carved; so the first span of a class is not turned, and a small pool takes no more than ever.
 *
 * The place follows from the span's address by the golden ratio: of spans that follow each other, or at any stride, places are spread evenly; random ones leave up to
 * 15% more. All units of a span are turned alike, so that those of two spans fit by runs, which are one mapping.
 *
 * It is a preference and no invariant: it may begin and end at any time, with a span in any state. Under the cache's lock; nothing of it is in malloc's and free's
 * fast paths.
 */
#ifndef NA_CACHE_TURNS_H
#define NA_CACHE_TURNS_H

#include "base/bits.h"
#include "base/options.h"
#include "cache/cache.h"
#include "os/os.h"

/* Whether caches that have `merges` turn; written when a program arms or ends merging, read by any, relaxed: sooner or later is as good. */
extern _Atomic bool na_turns_armed;

/* Of blocks of threads in the concurrent mode only, which the hardened mode does not have. */
static inline bool na_turns(const struct na_cache *c)
{
	if (atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_NAMED)
		return c->merges && atomic_load_explicit(&na_turns_armed, memory_order_relaxed);
	return __atomic_load_n(&na_options.defrag_concurrent, __ATOMIC_RELAXED) != NA_CONCURRENT_OFF &&
	       !na_options.harden;
}

/* The slot that comes first, less than 64; those before it are put off. */
static inline uint32_t na_turn_of(const struct na_cache *c, const struct na_span *span)
{
	uint32_t slots, place;

	if (!na_turns(c) || span->size % NA_PAGE == 0 || na_span_carved(span) == span->slots ||
	    c->kind[span->cls].held < span->slots)
		return 0;
	slots = (uint32_t)NA_PAGE / (span->size & -span->size); /* of a unit */
	slots = slots < 64 ? slots : 64;
	place = (uint32_t)((span->base >> NA_SLICE_SHIFT) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
	return slots < span->slots ? (uint32_t)((uint64_t)place * slots >> 32) : 0;
}

/* Free slots of the first word that are put off. */
static inline uint64_t na_turn_bits(const struct na_cache *c, const struct na_span *span)
{
	return ~na_span_taken(span, 0) & ((UINT64_C(1) << na_turn_of(c, span)) - 1);
}

#endif
