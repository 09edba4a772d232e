/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an allocation of this process took, on average since its start:
 *
 *   (hits x h + refills x r + large x l) / (hits + refills + large)
 *
 * hits     blocks from a stack of the thread's cache: the fast path, which is not timed where it runs
 * h        its time, measured now: the same instructions on a stack of our own, the median of 64 rounds of 16 calls. It has the
 *          call and its return, not the jump through a shared library's table, and finds its memory in the cache
 * refills  allocations that left the fast path; r: the mean of those that were timed (heap/timing.h)
 * large    blocks with pages of their own; l: likewise
 *
 * Blocks of named pools are left out, except that their large ones count as large. What the first touch of a fresh page costs is the
 * program's store and not in it.
 *
 * Any thread, no lock; about 10 us, the first time a millisecond.
 */
#ifndef NA_METRICS_ALLOCATION_H
#define NA_METRICS_ALLOCATION_H

#include <stdint.h>

#include "heap/snapshot.h"

/* Picoseconds in *out. -ENODATA: nothing was allocated yet. */
int na_allocation_time(const struct na_snapshot *s, uint64_t *out);

/* h, in picoseconds. */
uint64_t na_allocation_hit_time(void);

#endif
