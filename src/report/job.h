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
#define NA_JOB_VERSION 4
#define NA_JOB_ROWS    4096
#define NA_JOB_HOSTS   64 /* more, and only those with the least room are named */
#define NA_JOB_FULLEST 32 /* how many that is */
#define NA_ROW_BINS    64
#define NA_ROW_CELLS   16 /* NUMA nodes of a process: those with the most resident pages */
#define NA_ROW_UNKNOWN UINT16_MAX

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
	uint64_t cpus;	       /* of the processes; NA_UNKNOWN if of any */
};

/* Over hosts, each of which is one value: what was most on it at one moment, by its own series. Filled by na_job_seal(). */
struct na_hosts {
	struct na_spread live, physical; /* bytes, peaks of the sums over its processes */
	struct na_spread memory;	 /* bytes that it may use: the smaller of physical memory and cgroup limit */
	struct na_spread free;		 /* bytes of that left when it was fullest; 0 if it used more */
	struct na_spread processes;
};

struct na_job {
	uint64_t magic;
	uint32_t version;
	uint32_t bytes;
	char job[NA_RECORD_NAME];
	char host[NA_RECORD_NAME];	/* of all processes; "" when they are on several */
	char peak_phase[NA_PHASE_NAME]; /* of one host, sealed: see na_job_seal_phase(); "": none, or several hosts */
	char program[NA_RECORD_NAME];	/* of the first process: the lowest rank, else the root, else the lowest pid */
	uint64_t first;			/* what that order goes by; UINT64_MAX: none */
	int32_t size;			/* ranks that the job has; 0: unknown */
	uint32_t node_count;
	uint64_t processes; /* records in here */
	uint64_t complete;  /* of those, that got to their end; the others were cut short */
	uint64_t aborted;
	uint64_t topology_shared; /* processes that read another's topology */
	uint64_t start_ms;	  /* earliest; UINT64_MAX: none */
	uint64_t end_ms;	  /* latest update */
	uint64_t host_memory;	  /* the largest that a process saw; meaningful for one host */
	uint64_t cgroup_limit;	  /* the smallest; NA_UNKNOWN: none */
	uint64_t request_bytes;	  /* that the job asked for on a host: the most of any, NA_UNKNOWN: nobody knows */
	uint32_t request_source;  /* enum na_request_source, of that */
	uint32_t unused;
	uint64_t huge_known, huge_possible, huge_asked; /* processes */
	struct na_spread metrics[NA_METRIC_COUNT_];
	struct na_hosts hosts;
	struct na_numa nodes[NA_MAX_NODES]; /* node_count, by rising number */
	struct na_series series;
	struct na_job_pauses pauses;
};

/* How rows divide time and bytes: the same for all of a job. Bin k is number first + k of width 2^shift ms, a value is in units of 2^unit_shift bytes. */
struct na_row_axis {
	uint64_t first;
	uint32_t shift, unit_shift;
};

/* Pages of 4 KiB on one NUMA node of pools of that node. */
struct na_row_cell {
	int32_t node;
	uint32_t resident, misplaced;
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
	uint32_t cell_count, unused;
	struct na_row_cell cells[NA_ROW_CELLS]; /* when fullest */
	uint16_t live[NA_ROW_BINS];		/* NA_ROW_UNKNOWN: it was not there */
	struct na_pause pauses[NA_ROW_PAUSES];	/* the newest, pause_count of them */
	uint64_t pause_count;
};

void na_job_init(struct na_job *j);

/* Counts as complete by na_record_is_whole(). */
void na_job_add(struct na_job *j, const struct na_record *r);

/* The same for its breakdown, which is reduced apart. `axis` is that of all the job's processes, to whose width the record's series has been widened;
 * NULL: what happened when is left out. */
void na_record_add_breakdown(struct na_job_breakdown *b, const struct na_record *r, const struct na_axis *axis);

/* Once all processes of one host are in: it counts as a host. Before it is merged with others. */
void na_job_seal(struct na_job *host);

/* And which phase most of its processes were in when they had most: `b` is the breakdown of just these, on the job's `axis`. */
void na_job_seal_phase(struct na_job *host, const struct na_job_breakdown *b, const struct na_axis *axis);
/* The bin of the axis in which the host had most, UINT64_MAX: unknown. And the phase of a process of it then, by its name in the job; "": none. */
uint64_t na_job_peak_bin(const struct na_job *host, const struct na_axis *axis);
void na_record_phase_at(const struct na_record *r, const struct na_axis *axis, uint64_t bin, char name[NA_PHASE_NAME]);

/* into += other. */
void na_job_merge(struct na_job *into, const struct na_job *other);

/* 0 or -EINVAL: the fields contradict each other (another version's, or damaged on the way). */
int na_job_check(const struct na_job *j);

/* Of any number of hosts those with the least room, by what was free when they were fullest and then by name; of one size, and merged like the rest: the
 * first of all are among the first of any part. */
struct na_fullest {
	uint32_t count, unused;
	struct na_job hosts[NA_JOB_FULLEST];
};
void na_fullest_add(struct na_fullest *into, const struct na_job *host);
void na_fullest_merge(struct na_fullest *into, const struct na_fullest *other);

/* The same choice without a copy, where all hosts are known: all as they are up to NA_JOB_HOSTS of them; how many. */
size_t na_fullest_choose(const struct na_job *hosts, size_t count, const struct na_job *out[NA_JOB_HOSTS]);

/* What there is of memory on a host: the smaller of its physical memory and its cgroup's limit; NA_UNKNOWN. */
uint64_t na_job_ceiling(const struct na_job *host);

struct na_row_axis na_row_axis(const struct na_axis *axis);
/* `axis` NULL: without its course over time. */
void na_row_fill(struct na_row *row, const struct na_record *r, const struct na_row_axis *axis);

/* NaN if nothing is known. imbalance: most / mean - 1, 0 if all are 0. */
double na_metric_imbalance(const struct na_spread *m);

/* Sum over the processes, or NA_UNKNOWN if any process of `j` did not measure it. */
uint64_t na_job_sum(const struct na_job *j, enum na_metric_id id);

#endif
