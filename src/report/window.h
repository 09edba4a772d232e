/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the MPI layer asks of the core when ranks defragment together: what this process could win, and to work for a given time. Lives
 * in libnumarena; exported under numarena_internal_ names (no promise to users).
 *
 * Any thread, with no lock held, not within a system call of ours. The work is slices of a pass (recovery/defragment.h), whose
 * lock serialises it against all other passes: who finds it taken does nothing.
 */
#ifndef NA_REPORT_WINDOW_H
#define NA_REPORT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "report/process.h"

struct na_window_settings {
	bool on;	       /* NUMARENA_COORDINATION: windows in the program's collectives */
	bool trace;	       /* NUMARENA_PAUSE_TRACE */
	uint64_t share;	       /* thousandths of the time elapsed */
	uint64_t window_ns;    /* of one window at most */
	uint64_t tokens;       /* ranks of a node that work at the same time; 0: usual_tokens */
	uint64_t usual_tokens; /* four for each NUMA node of this machine, as we see it */
};
void na_window_settings(struct na_window_settings *out) NA_PROCESS_CALL(window_settings);

/* Thousandths of this node's memory (or our cgroup's) in use, 0 where unknown: about 20 us of reading /proc and /sys, at most every 20 ms. And
 * bytes that a pass could win here; 0 if none is due (from a pressure of `near_from` on also below the threshold) or the program has called
 * stop_defragmentation(). */
void na_window_offer(uint64_t near_from, uint64_t *gain, uint64_t *pressure) NA_PROCESS_CALL(window_offer);

struct na_window_work {
	uint64_t ns;	   /* at most, but for a slice's end */
	uint64_t slice_ns; /* of one slice at most; 0: as configured */
	uint32_t kind;	   /* enum na_pause_kind, for the report */
	bool near;	   /* whatever the threshold */
	bool quiescent;	   /* no thread writes to blocks of the pools, no transfer is under way: pages may be merged */
	bool (*over)(void *closure); /* asked between slices; NULL: until the time is up */
	void *closure;
};
struct na_window_done {
	uint64_t ns;
	uint64_t bytes; /* won: chunks that became free, and free memory that went back */
	bool more;
};
void na_window_run(const struct na_window_work *work, struct na_window_done *done) NA_PROCESS_CALL(window_run);

#endif
