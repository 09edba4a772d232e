/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The aggregate of any number of processes, as plain data whose size does not depend on how many: it can be
 * the element of an MPI reduction. One is made for each host and one for the job; na_job_merge() of two disjoint
 * sets of processes is associative and commutative, and an empty aggregate is its identity (the series:
 * see series.h, widen first). All sums are integers, so the order of a reduction changes no digit.
 *
 * Of two equal extremes the lower rank is named (then the lower host name, then pid), so that too does not
 * depend on the order.
 *
 * Rows are what the report shows of single ranks. The job's row table is limited to NA_JOB_ROWS ranks: beyond,
 * the report has the aggregates, hosts and extremes only, and says so.
 *
 * No pointers, no locks, no allocation; the caller serialises.
 */
#ifndef NA_REPORT_JOB_H
#define NA_REPORT_JOB_H

#include "report/record.h"

#define NA_JOB_MAGIC   UINT64_C(0x20626f6a61727241)
#define NA_JOB_VERSION 3
#define NA_JOB_ROWS    4096

enum na_metric_id {
#define NA_METRIC(id, unit, value, text) NA_METRIC_##id,
#include "report/metrics.def"
#undef NA_METRIC
	NA_METRIC_COUNT_
};

enum na_unit { NA_UNIT_BYTES, NA_UNIT_COUNT, NA_UNIT_NS, NA_UNIT_PPM };

struct na_metric_info {
	const char *id;
	enum na_unit unit;
	const char *text;
};

extern const struct na_metric_info na_metric_table[NA_METRIC_COUNT_];

/* One NUMA node number: of one host, or summed over the hosts. */
struct na_numa {
	int32_t node;
	uint32_t unused;
	uint64_t requested_bytes; /* live blocks of its pools */
	uint64_t held_bytes;
	uint64_t resident_bytes;  /* NA_UNKNOWN if of any process */
	uint64_t misplaced_bytes; /* likewise */
	/* the same at each process's fullest sample; moments differ between processes */
	uint64_t peak_requested_bytes; /* NA_UNKNOWN if any process has no such sample */
	uint64_t peak_resident_bytes;
	uint64_t peak_misplaced_bytes;
	uint64_t memory_bytes; /* the node's physical memory: the largest that a process saw, not a sum */
};

struct na_job {
	uint64_t magic;
	uint32_t version;
	uint32_t bytes;
	char job[NA_RECORD_NAME];
	char host[NA_RECORD_NAME];    /* of all processes; "" when they are on several */
	char program[NA_RECORD_NAME]; /* of the first process: the lowest rank, else the root, else the lowest pid */
	uint64_t first;		      /* what that order goes by; UINT64_MAX: none */
	int32_t size;		      /* ranks that the job has; 0: unknown */
	uint32_t node_count;
	uint64_t processes; /* records in here */
	uint64_t complete;  /* of those, that got to their end; the others were cut short */
	uint64_t aborted;
	uint64_t topology_shared; /* processes that read another's topology */
	uint64_t start_ms;	  /* earliest; UINT64_MAX: none */
	uint64_t end_ms;	  /* latest update */
	uint64_t host_memory;	  /* the largest that a process saw; meaningful for one host */
	uint64_t cgroup_limit;	  /* the smallest; NA_UNKNOWN: none */
	struct na_spread metrics[NA_METRIC_COUNT_];
	struct na_numa nodes[NA_MAX_NODES]; /* node_count, by rising number */
	struct na_series series;
	struct na_job_pauses pauses;
};

/* One process, for the table of ranks. */
struct na_row {
	char host[NA_RECORD_NAME];
	char program[NA_RECORD_NAME];
	int32_t rank;
	int32_t pid;
	uint32_t state;
	uint32_t role;
	uint64_t update_ms;
	char phase[NA_PHASE_NAME]; /* the innermost that ran then; "": none */
	uint64_t value[NA_METRIC_COUNT_];
	struct na_pause pauses[NA_ROW_PAUSES]; /* the newest, pause_count of them */
	uint64_t pause_count;
};

void na_job_init(struct na_job *j);

/* Counts as complete by na_record_is_whole(). */
void na_job_add(struct na_job *j, const struct na_record *r);

/* The same for its breakdown, which is reduced apart. */
void na_record_add_breakdown(struct na_job_breakdown *b, const struct na_record *r);

/* into += other. */
void na_job_merge(struct na_job *into, const struct na_job *other);

/* 0 or -EINVAL: the fields contradict each other (another version's, or damaged on the way). */
int na_job_check(const struct na_job *j);

void na_row_fill(struct na_row *row, const struct na_record *r);

/* NaN if nothing is known. imbalance: most / mean - 1, 0 if all are 0. */
double na_metric_imbalance(const struct na_spread *m);

/* Sum over the processes, or NA_UNKNOWN if any process of `j` did not measure it. */
uint64_t na_job_sum(const struct na_job *j, enum na_metric_id id);

#endif
