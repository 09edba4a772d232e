/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What allocations cost that leave the fast path: a sample of them is timed, by the processor's own clock. The fast path has nothing
 * of this; its time is measured when somebody asks (metrics/allocation.h).
 *
 * Which ones: of a cache's refills the first 16, which meet fresh memory and would be overrated otherwise, and then one in 64; of large
 * blocks a thread's first 16 and one in 16. A turn of golden-ratio hashing spreads them evenly and in step with no pattern of the
 * program's. Each counts as many as it stands for, so the mean is one over all.
 *
 * Any thread, no lock; relaxed: sums of a statistic, of which a reader may see one a sample ahead of the other. Cost: a
 * multiplication a refill, two readings of the clock (20 ns) a sample.
 */
#ifndef NA_HEAP_TIMING_H
#define NA_HEAP_TIMING_H

#include <stdatomic.h>
#include <stdint.h>

#include "os/os.h"

struct na_timing {
	_Atomic uint64_t ticks;	 /* of all that the samples stand for */
	_Atomic uint64_t weight; /* allocations that they stand for */
};

extern struct na_timing na_timing_refills, na_timing_large;

#define NA_TIMING_FIRST 16

/* For how many the nth stands; 0: it is not timed. */
static inline uint32_t na_timing_weight(uint64_t n, unsigned int one_in_bits)
{
	if (n < NA_TIMING_FIRST)
		return 1;
	return (uint32_t)n * UINT32_C(0x9e3779b1) >> (32 - one_in_bits) ? 0 : UINT32_C(1) << one_in_bits;
}

static inline void na_timing_add(struct na_timing *t, uint64_t ticks, uint32_t weight)
{
	if ((int64_t)ticks < 0) /* the thread went to a processor whose clock is behind */
		return;
	atomic_fetch_add_explicit(&t->ticks, ticks * weight, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->weight, weight, memory_order_relaxed);
}

#endif
