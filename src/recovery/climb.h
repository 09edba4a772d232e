/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ladder that a failing request climbs: free memory goes back (always), then, if recovery is on, compression, a pass of
 * defragmentation, and as often as the settings say all of that again after a delay; then another node's pool and the system, as
 * the fallback says; then the program's handler; and at last the report of who holds what, and NULL.
 *
 * na_climb_exhausted() is the heap's hook: on the thread that asked, no lock of ours held, not within a system call of ours (an
 * MPI library's hook may hold locks that others need to free memory), never for itself. So it may wait. It does not where that
 * cannot help: sizes past the limit, and, with a fallback that serves, more than a tenth of the time.
 *
 * Settings are words that are read relaxed: a request that fails meanwhile goes by the old or the new.
 */
#ifndef NA_RECOVERY_CLIMB_H
#define NA_RECOVERY_CLIMB_H

#include <numarena/error.h>

#include "heap/request.h"

enum na_step {
	NA_STEP_PURGE,
	NA_STEP_COMPRESS,
	NA_STEP_DEFRAGMENT,
	NA_STEP_RETRY,
	NA_STEP_NODE,
	NA_STEP_SYSTEM,
	NA_STEP_HANDLER,
	NA_STEP_NONE, /* refused */
	NA_STEPS
};

struct na_climb_figures {
	uint64_t requests;	   /* that failed at first */
	uint64_t served[NA_STEPS]; /* by the step that helped */
	uint64_t retries, waited_ms;
};

void *na_climb_exhausted(const struct na_request *r);
void na_climb_figures(struct na_climb_figures *out);

/* Of a request that fails now: memory too fragmented if the limit has room for it beside all that is live, and a quarter at least of
 * what the pools hold is not; else out of memory. */
memory_error_t na_climb_error(uint64_t size);

#endif
