/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This process's own record, from load to exit. Lives in libnumarena, once a process; api/ drives it, and
 * the MPI layer takes it over through the calls marked so, which libnumarena exports under
 * numarena_internal_ names (no promise to users).
 *
 * Which process makes the report, when numarena-run or NUMARENA_REPORT reaches a whole tree of them:
 *   - every process that loads the library opens a record of its own, DIR/.numarena/JOB/pid-HOST-PID.rec; nobody
 *     writes into another's. A child after fork gives up its parent's (the mapping is not even there:
 *     MADV_DONTFORK) and opens its own at its next tick;
 *   - a process that calls MPI_Init is a rank: its record becomes rank-N.rec, and rank 0 writes the job's report;
 *   - else the root, which is the process that numarena-run became, merges the records of its whole tree at its exit
 *     and writes one report; a tree of one is a one-process report. Children never write a report;
 *   - under a launcher without MPI there is one root a rank: the last of them to finish writes;
 *   - a root whose tree held MPI ranks (mpirun numarena-run sh -c ./simulation) leaves the report to them.
 *
 * Ticks come from the maintenance thread; claim, final and finish from any other: one mutex, never held while
 * calling out to the heap with its locks (the snapshot takes pool locks one at a time). No malloc in tick.
 */
#ifndef NA_REPORT_PROCESS_H
#define NA_REPORT_PROCESS_H

#include <numarena/base.h>

#include "report/record.h"

#define NA_PROCESS_CALL(name) __asm__("numarena_internal_" #name) __attribute__((visibility("default")))

/* Where the heap's figures come from; tests give their own. */
struct na_process_source {
	void (*snapshot)(struct na_snapshot *out);
	void (*residency)(struct na_snapshot *out);
};

/* Opens the record. From the library's constructor when NUMARENA_REPORT is set. 0; or -errno with a sentence that
 * names the folder. A second call does nothing. */
int na_process_start(const char *folder, const struct na_process_source *source, char *complaint, size_t capacity);

/* Updates the record; returns in how many ms it wants to be called again (UINT32_MAX: no record). */
uint32_t na_process_tick(uint64_t now_ns);

/* Takes the last figures, and writes the report if it falls to this process. From the library's destructor. */
void na_process_finish(void);

/* In the child after fork. Async-signal-safe: it only forgets. */
void na_process_forked(void);

/* What getting the topology cost; before or after start, any time. */
void na_process_topology(uint64_t ns, int shared) NA_PROCESS_CALL(process_topology);

/* ---- for the MPI layer ---- */

struct na_claim {
	const char *job; /* NULL: na_job_id() */
	int32_t rank;
	int32_t size;
	int32_t local_rank;
};

/* The report folder, "" if no report was asked for. Static storage. */
const char *na_process_folder(void) NA_PROCESS_CALL(process_folder);

/* The job's name as all its processes compute it from the launcher's environment. Static storage. */
const char *na_process_job(void) NA_PROCESS_CALL(process_job);

/* After MPI_Init: this process is a rank, its record becomes rank-N.rec, and na_process_finish() writes no
 * report. 0, or -ENOENT: there is no record (no report asked for, or its file could not be made; the figures are
 * still to be had from na_process_final). */
int na_process_claim(const struct na_claim *claim) NA_PROCESS_CALL(process_claim);

/* Pauses (1) or resumes (0) updates by the tick: around MPI_Init and MPI_Finalize. Waits for a running one. */
void na_process_pause(int pause) NA_PROCESS_CALL(process_pause);

/* Measures for the last time, residency and Pss too, marks the record FINALIZING and copies it. Works without a
 * record file as well. 0 or -errno. */
int na_process_final(struct na_record *out) NA_PROCESS_CALL(process_final);

/* COMPLETE after the report is on disk, ABORTED in an MPI_Abort wrapper. */
void na_process_state(enum na_record_state state) NA_PROCESS_CALL(process_state);

/* Rank 0, once the report is on disk: removes the job's records and leaves a mark that says so. Other ranks call
 * nothing. */
void na_process_discard(void) NA_PROCESS_CALL(process_discard);

#endif
