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
 *   - a root whose tree held MPI ranks (mpirun numarena-run sh -c ./simulation) leaves the report to them;
 *   - so does one that launched an MPI job (numarena-run mpirun ./simulation); if its ranks were killed, numarena-run makes their report.
 *
 * Ticks come from the maintenance thread; claim, final and finish from any other: one mutex, never held while
 * calling out to the heap with its locks (the snapshot takes pool locks one at a time). No malloc in tick.
 */
#ifndef NA_REPORT_PROCESS_H
#define NA_REPORT_PROCESS_H

#include <numarena/base.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/options.h"
#include "report/record.h"

#define NA_PROCESS_CALL(name) __asm__("numarena_internal_" #name) __attribute__((visibility("default")))

/* Where the heap's figures come from; tests give their own. */
struct na_process_source {
	void (*snapshot)(struct na_snapshot *out);
	void (*residency)(struct na_snapshot *out);
	void (*breakdown)(struct na_breakdown *b, const struct na_snapshot *now); /* NULL: there is none */
	void (*amounts)(uint64_t *requested, uint64_t *compressed);		  /* bytes; NULL: unknown */
	void (*sites)(struct na_breakdown *b); /* of sampled allocations; NULL: none */
};

/* `folder` is a name as users give it, NULL for none (folder.h). Opens the record: from the library's constructor when NUMARENA_REPORT is set, else from the MPI layer when MPI is
 * initialised. `source` NULL: the heap, whose maintenance thread then makes the ticks. 0; or -errno with a sentence
 * that names the folder: then there is no record, but a report at the end is still possible. A second call does
 * nothing. */
int na_process_start(const char *folder, const struct na_process_source *source, char *complaint, size_t capacity)
	NA_PROCESS_CALL(process_start);

/* Set once by na_process_start(), with release. Apart from the rest, so that a process without a report touches none of it. */
extern _Atomic bool na_process_started;

/* Whether the user started this process, rather than one of the run's. Valid after start. */
int na_process_is_root(void);

/* Updates the record; returns in how many ms it wants to be called again (UINT32_MAX: no record). */
uint32_t na_process_tick(uint64_t now_ns);

/* Takes the last figures, and writes the report if it falls to this process. From the library's destructor. */
void na_process_finish(void);

/* A file in the report's folder for what the process has to say when it runs out of memory, oom-RANK.txt or
 * oom-HOST-PID.txt: emptied the first time, then added to. A descriptor that the caller closes; -ENOENT: no report was asked for; -errno.
 * Allocates nothing. */
int na_process_oom_file(void);

/* Takes the last figures into the record, marks it ABORTED, and ends the process: through the MPI layer's hook where there is one,
 * else by abort(). */
void na_process_abort(void) __attribute__((noreturn));

/* In the child after fork. Async-signal-safe: it only forgets. */
void na_process_forked(void);

/* ---- for the MPI layer ---- */

struct na_claim {
	const char *job; /* NULL: na_job_id() */
	const char *
		below; /* a folder in the report's, for all of this job's files; NULL: none. Of jobs that another has spawned */
	int32_t rank;
	int32_t size;
	int32_t local_rank;
	int32_t local_size; /* ranks of the job on this node; 0 or less: not known */
};

/* The settings that are in force: that layer has a copy of the report's files, and of the settings they read, which it fills from here. */
const struct na_options *na_process_options(void) NA_PROCESS_CALL(process_options);

/* The report folder as an absolute path, "" if no report was asked for. Static storage; another one after a claim of one below. */
const char *na_process_folder(void) NA_PROCESS_CALL(process_folder);

/* The job's name as all its processes compute it from the launcher's environment. Static storage. */
const char *na_process_job(void) NA_PROCESS_CALL(process_job);

/* After MPI_Init: this process is a rank, its record becomes rank-N.rec, and na_process_finish() writes no
 * report. 0, or -ENOENT: there is no record (no report asked for, or its file could not be made; the figures are
 * still to be had from na_process_final). */
int na_process_claim(const struct na_claim *claim) NA_PROCESS_CALL(process_claim);

/* A process without MPI_Init has opened its first session of MPI, or closed its last for now: where the launcher says which rank it is, it is
 * claimed as that. Closed at its end it is complete, and the rank that ends last makes the job's report from the records of all. Nothing
 * after a claim of the other kind. */
void na_process_session(int open) NA_PROCESS_CALL(process_session);

/* No maintenance (1) or maintenance again (0): while MPI patches code and registers memory. Waits for the work that
 * is under way; calls nest. */
void na_process_quiet(int quiet) NA_PROCESS_CALL(process_quiet);

/* Gets the topology together with the job's other processes on this node, and puts what that cost into the record.
 * Each of them calls it once, after its claim. 0 or -errno. */
int na_process_share_topology(int local_rank, int local_size) NA_PROCESS_CALL(process_share_topology);

/* Removes what that may have left behind; local rank 0 at the end. */
void na_process_unshare_topology(void) NA_PROCESS_CALL(process_unshare_topology);

/* Measures now, residency and Pss too, and copies the record, of which there need be no file. */
void na_process_measure(struct na_record *out) NA_PROCESS_CALL(process_measure);

/* Measures for the last time, residency and Pss too, marks the record FINALIZING and copies it. Works without a
 * record file as well. */
void na_process_final(struct na_record *out) NA_PROCESS_CALL(process_final);

/* How this process ends its whole job, once MPI is initialised; NULL: by itself. It shall do what an MPI_Abort does. */
void na_process_on_abort(void (*abort_job)(void)) NA_PROCESS_CALL(process_on_abort);

/* COMPLETE after the report is on disk, ABORTED in an MPI_Abort wrapper. */
void na_process_state(enum na_record_state state) NA_PROCESS_CALL(process_state);

/* Rank 0, once the report is on disk: removes the job's records and leaves a mark that says so. Other ranks call
 * nothing. */
void na_process_discard(void) NA_PROCESS_CALL(process_discard);

#endif
