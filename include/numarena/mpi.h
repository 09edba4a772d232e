/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The job as a whole: memory figures reduced over the ranks of a communicator. The only header that needs MPI; link
 * numarena-mpi. A report at the end of the job needs no call at all: preloading (numarena-run) or linking is enough.
 *
 * All calls are collective: every rank of `comm` makes them, in the same order as its other collective calls on
 * that communicator. All return the same value on every rank. MPI must be initialised and not yet finalized (or a session open), and the
 * thread must be one that may call MPI.
 */
#ifndef NUMARENA_MPI_H
#define NUMARENA_MPI_H

#include <mpi.h>
#include <numarena/base.h>
#include <numarena/error.h>
#include <stdbool.h>
#include <stdint.h>

NUMARENA_BEGIN

#define MEMORY_HOST_NAME 64

/* One figure over all ranks. Where it could not be measured: MEMORY_METRIC_UNAVAILABLE, NaN and rank -1. */
typedef struct memory_job_metric {
	size_t total;    /* sum over the ranks; unavailable if any rank's is */
	size_t minimum;  /* of one rank */
	size_t maximum;  /* of one rank */
	double mean;     /* over the ranks that measured it */
	double imbalance; /* maximum / mean - 1; 0: all equal */
	int minimum_rank; /* in MPI_COMM_WORLD; of several the lowest */
	int maximum_rank;
	char minimum_host[MEMORY_HOST_NAME];
	char maximum_host[MEMORY_HOST_NAME];
} memory_job_metric_t;

typedef struct memory_job_metrics {
	int ranks;
	int nodes; /* machines */

	memory_job_metric_t live;          /* bytes of live blocks now */
	memory_job_metric_t peak;          /* bytes: each rank's own maximum of live blocks */
	memory_job_metric_t physical;      /* bytes of physical memory now, shared pages by share */
	memory_job_metric_t peak_physical; /* bytes: the maximum that was seen; updated only if a report is made */
	memory_job_metric_t resident;      /* bytes: resident pages of the pools */
	memory_job_metric_t misplaced;     /* bytes: of those, on another NUMA node than their pool's */
	memory_job_metric_t allocations;   /* calls that gave a block */
	memory_job_metric_t releases;      /* blocks freed */

	size_t peak_of_sums; /* bytes: the maximum over time of the job's live bytes; at most peak.total.
			      * Unavailable if no report is made */
	double cache_hit_rate;   /* 0 to 1, over all ranks; NaN: unavailable */
	double large_reuse_rate; /* 0 to 1: large blocks from memory that was kept for reuse; NaN: unavailable */
} memory_job_metrics_t;

/* Figures of now, on every rank of comm. Takes about 0.1 ms and 50 us for each 32 MiB of a rank's pools.
 * MEMORY_ERROR_INVALID_ARGUMENT if `metrics` is NULL on any rank or MPI is not initialised;
 * MEMORY_ERROR_ALLOCATION; MEMORY_ERROR_IO if a communication failed. */
memory_error_t aggregate_memory_metrics(MPI_Comm comm, memory_job_metrics_t *metrics) NUMARENA_CALL(aggregate_memory_metrics);

typedef struct memory_report_config {
	const char *folder; /* for report.json and report.txt; NULL: NUMARENA_REPORT, else "numarena-report" */
	bool print;         /* also on the first rank's standard error */
} memory_report_config_t;

/* Writes a report of now for the ranks of comm, as the one at the end of the job: rank 0 of comm writes it, and its
 * `config` counts; NULL: the defaults, printed. Fails as above, and with MEMORY_ERROR_IO if the folder cannot be
 * written: then the report is put beside, or printed, and the message says where. */
memory_error_t write_job_memory_report(MPI_Comm comm, const memory_report_config_t *config) NUMARENA_CALL(write_job_memory_report);

/* A window in which all ranks defragment at the same time: ranks that each pause when they like make all others wait each time. Without any
 * call, NUMARENA_COORDINATION=1 opens such windows after collectives of the program. Equal on all ranks. */
typedef struct coordination_config {
	unsigned int window_time;   /* microseconds that the ranks work at most, up to 10 s; 0: time_share of the time since the last window of
	                             * this call, up to NUMARENA_COORDINATION_WINDOW, which the first may take in full */
	double time_share;          /* 0 to 0.5; 0: NUMARENA_COORDINATION_SHARE (0.01) */
	unsigned int ranks_at_once; /* of a machine, the others after them; 0: NUMARENA_COORDINATION_TOKENS (four for each NUMA node) */
	bool quiescent;             /* until the call returns no thread of any rank writes to memory of numarena's pools, and no transfer from or
	                             * to it is under way: then each rank makes one whole pass, as trigger_defragmentation() does under
	                             * DEFRAG_COORDINATED, whatever time it takes, and pages of raw blocks may be merged */
} coordination_config_t;

typedef struct coordination_result {
	uint64_t window_time; /* microseconds that were agreed on; 0: no rank had anything to win, or no time had passed */
	uint64_t time;        /* microseconds: of the rank that worked longest */
	int ranks;            /* that worked */
	size_t won_bytes;     /* by all: chunks of movable blocks that became free, and free memory that went back */
	bool more;            /* some rank was not done */
} coordination_result_t;

/* Slices of a pass (start_defragmentation()) on the ranks that have something to win, above the threshold or, on a node with less than a
 * tenth of its memory left, below it too. Waits for all ranks of comm. `config` NULL: the defaults; `result` may be NULL, and is
 * the same on every rank. MEMORY_ERROR_INVALID_ARGUMENT if a field is out of range on any rank, or configurations differ;
 * MEMORY_ERROR_ALLOCATION; MEMORY_ERROR_IO if a communication failed. */
memory_error_t coordinate_defragmentation(MPI_Comm comm, const coordination_config_t *config, coordination_result_t *result)
	NUMARENA_CALL(coordinate_defragmentation);

NUMARENA_END
#endif
