/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NUMARENA_METRICS_FILE: the figures of the job's processes on this node while they run, in one file that a monitoring system reads, replaced whole. One
 * process a node writes it: local rank 0, or without MPI the root. It reads the others' records, which are files in the job's folder, so that nobody
 * sends anything; a record that is just being written is that of the update before.
 *
 * From the maintenance thread, without a lock; static memory, which a process that writes no such file never touches; nothing allocates. Rationed: again
 * after a second, or 200 times as long as it took, whichever is later, so that it stays below half a percent of a core however many processes a node has.
 */
#ifndef NA_REPORT_LIVE_H
#define NA_REPORT_LIVE_H

#include <stdint.h>

struct na_live_of {
	const char *job_folder, *job, *host;
};

/* Writes the file if it is time to; ms until it is again. A file that cannot be written is said once. */
uint32_t na_live_tick(const struct na_live_of *of, uint64_t now_ns);

/* The file goes: there is no job any more that it is of. Only of who wrote it. */
void na_live_end(void);

/* In a child after fork: the file is its parent's. Async-signal-safe. */
void na_live_forget(void);

#endif
