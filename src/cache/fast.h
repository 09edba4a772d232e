/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast paths: no lock, no system call, no indirect call. About 20 instructions to allocate and
 * 24 to free on x86-64.
 */
#ifndef NA_CACHE_FAST_H
#define NA_CACHE_FAST_H

#include "base/bits.h"
#include "cache/cache.h"

#define na_likely(x)   __builtin_expect(!!(x), 1)
#define na_unlikely(x) __builtin_expect(!!(x), 0)

/* The lowest slot of a bundle that has one. */
static inline void *na_bin_take(struct na_bin *bin, uint64_t bits)
{
	uint64_t slot = (uint64_t)(unsigned int)__builtin_ctzll(bits);

	bin->bits = bits & (bits - 1);
	bin->state[slot] = NA_SLOT_OUT;
	return (void *)(bin->base + slot * bin->size);
}

/* The lowest slot of the bundle, or NULL. */
static inline void *na_bin_pop(struct na_bin *bin)
{
	return na_likely(bin->bits != 0) ? na_bin_take(bin, bin->bits) : NULL;
}

/* Frees a slot of a span that the calling thread owns (or holds the lock of). The counter is plain,
 * its readers relaxed: they want a recent value, not a moment. False: it was free already. */
static inline bool na_span_put(struct na_span *span, const void *p)
{
	uint8_t *state = span->state + na_slot_of(span, p);

	if (na_unlikely(!__builtin_add_overflow(*state, (uint8_t)1, state))) {
		--*state; /* was free, or set aside in the bundle: not OUT, which overflows to FREE */
		return false;
	}
	span->bin->freed++;
	span->used--;
	return true;
}

#endif
