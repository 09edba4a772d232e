/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tracking, on top of the heap's own counts: what is on, and the sampling that the maintenance
 * thread does. Physical bytes are asked of the kernel, which costs about 50 us for each 32 MiB: it is done
 * again only after a hundred times as long as the last time took, so that it stays within 1% of a core.
 */
#ifndef NA_TRACKING_TRACKING_H
#define NA_TRACKING_TRACKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct na_tracking {
	bool allocations, usage, fragmentation;
	uint32_t interval_ms;
};

/* Any thread. Repeating it with equal values changes nothing. 0, or -errno of the thread's start. */
int na_tracking_start(const struct na_tracking *wanted);
void na_tracking_stop(void);
bool na_tracking_running(void);
/* Whether live bytes are, or were last, tracked: the series holds them in any case, for fragmentation. */
bool na_tracking_of_usage(void);

/* Whether it ever started. relaxed: until the starter's call returns it may be missed, and a tick that comes for nothing finds that out
 * under the lock. So a tick without tracking does not come to this file, whose code would cost each process 64 KiB of mapped pages. */
extern _Atomic bool na_tracking_begun;

/* From the maintenance thread; returns milliseconds to the next sample, UINT32_MAX if none. */
uint32_t na_tracking_tick(uint64_t now_ns);

/* fork's handlers: the locks. The maintenance thread must be at rest before, or it would wait for them. */
void na_tracking_before_fork(void);
void na_tracking_after_fork(bool child);

#endif
