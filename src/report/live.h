/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NUMARENA_METRICS_FILE: the figures of the job's processes on this node while they run, in one file that a monitoring system reads, replaced whole. One
 * process a node writes it: local rank 0, or without MPI the root. It reads the records of this node's processes that are alive, which are files in the
 * job's folder, so that nobody sends anything; a record that is just being written is that of the update before.
 *
 * The folder may be on a file system that ten thousand nodes share, so no other node's record is read: those of processes have the host in their names, and of
 * ranks from ours on the first bytes are read, once, until as many are found as the node has. Where ranks are dealt out node by node that is none.
 *
 * From the maintenance thread, without a lock; static memory, which a process that writes no such file never touches; nothing allocates. Rationed: again
 * after a second, or 200 times as long as it took, whichever is later, so that it stays below half a percent of a core however many processes a node has.
 */
#ifndef NA_REPORT_LIVE_H
#define NA_REPORT_LIVE_H

#include <limits.h>
#include <stdint.h>

#include "report/record.h"

struct na_live_of {
	char job_folder[PATH_MAX], job[NA_RECORD_NAME], host[NA_RECORD_NAME];
	int32_t rank;	/* -1: a process without MPI, whose tree it is then */
	int32_t size;	/* of the job's ranks */
	int local_size; /* how many of them are on this node; 0: not known */
};

/* At the start of the process: a relative path is one of the folder that is current then. */
void na_live_begin(void);

/* Writes the file if it is time to; ms until it is again. A file that cannot be written is said once. */
uint32_t na_live_tick(const struct na_live_of *of, uint64_t now_ns);

/* The file goes: there is no job any more that it is of. Only of who wrote it. */
void na_live_end(void);

/* In a child after fork: the file is its parent's. Async-signal-safe. */
void na_live_forget(void);

#endif
