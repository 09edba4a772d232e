/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded time series: 512 bins, each the maximum of what fell into it. When time runs past the last
 * bin, neighbours merge and the bin width doubles, so a day fits as a second does, at a coarser
 * grain. One lock; fixed memory; never allocates.
 */
#ifndef NA_TRACKING_TIMELINE_H
#define NA_TRACKING_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_TIMELINE_BINS 512

struct na_timeline_bin {
	uint64_t live;	   /* maximum; UINT64_MAX: no sample of it in this bin */
	uint64_t physical; /* maximum; same */
	uint64_t live_at_physical;
};

/* Starts over, with bins of `interval_ms`. */
void na_timeline_reset(uint64_t now_ns, uint32_t interval_ms);

/* UINT64_MAX for what is not tracked. */
void na_timeline_add(uint64_t now_ns, uint64_t live, uint64_t physical);

/* Copies bins, oldest first, and returns how many there are; *width_ms is one bin's width. */
size_t na_timeline_copy(struct na_timeline_bin *out, size_t capacity, uint64_t *width_ms);

/* fork's handlers: the lock. */
void na_timeline_before_fork(void);
void na_timeline_after_fork(bool child);

#endif
