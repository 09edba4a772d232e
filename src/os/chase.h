/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a load from memory takes that waits for the one before it: what prefetch distances begin with. Measured once in a
 * process, at the first question that asks for it, in about 0.2 ms: dependent loads of 256 lines on as many pages, which were
 * flushed from the caches before; the best of three rounds. The pages' translations are at hand: metrics/latency.h has what loads
 * cost with them. Maps and unmaps; no lock of the heap may be held. Any thread; two at once both measure.
 */
#ifndef NA_OS_CHASE_H
#define NA_OS_CHASE_H

#include <stdbool.h>
#include <stdint.h>

#define NA_CHASE_ASSUMED 100 /* ns */

/* Measures, unless that was done or tried before. */
void na_chase_measure(void);

/* Nanoseconds as measured, or NA_CHASE_ASSUMED if it was not, or cannot be (no way to flush a line). */
uint32_t na_chase_latency(bool *measured);

#endif
