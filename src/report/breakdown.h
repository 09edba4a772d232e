/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process's figures split by phase, size class, named pool and thread, with the latency of its sampled allocations and the lifetimes of
 * its sampled blocks: struct na_breakdown, a part of the record. And the same of any number of processes: struct na_job_breakdown, an
 * element of an MPI reduction, of one size however many ranks it sums up. Hosts have none, so that gathering these stays cheap.
 *
 * The merge is associative and commutative, byte by byte, as that of struct na_job: sums are integers, extremes name their
 * process with ties as there. Phases and pools of several processes are one if their names are equal. Of more names than there is
 * room for, the first in the order of bytes are kept and all others added up under "(others)". That order is the same for all, and a
 * name that is among the first of all is among the first of any part: so what is kept is exact, and what is in "(others)" depends on no order.
 * (By size the choice would be better, and would depend on who merges first.)
 *
 * No pointers, no locks, no allocation; the caller serialises.
 */
#ifndef NA_REPORT_BREAKDOWN_H
#define NA_REPORT_BREAKDOWN_H

#include <stdint.h>

#include "meta/classes.h"
#include "report/distribution.h"
#include "report/series.h"
#include "tracking/histogram.h"
#include "tracking/phases.h"
#include "tracking/sample.h"

#define NA_BREAKDOWN_PHASES  64
#define NA_BREAKDOWN_CLASSES (NA_CLASSES + 1) /* the last: large blocks */
#define NA_BREAKDOWN_POOLS   16		      /* of one process: those with the highest peaks */
#define NA_BREAKDOWN_NAME    32		      /* of a pool */
#define NA_BREAKDOWN_SITES   24		      /* of one process: those with the most bytes at its sampled peak */
#define NA_SITE_FRAMES	     6
#define NA_SITE_TEXT	     400

#define NA_JOB_BREAKDOWN_MAGIC	 UINT64_C(0x206b616572426141)
#define NA_JOB_BREAKDOWN_VERSION 2
#define NA_JOB_POOLS		 32
#define NA_JOB_SITES		 128

_Static_assert(NA_PHASES <= NA_BREAKDOWN_PHASES, "a process's phases find room in its record");

/* How live bytes went at the ends of a phase; see analysis.h. points 0: it ended less than twice. */
struct na_phase_growth {
	uint64_t first, last, last_step;
	uint32_t points, rises;
};

struct na_phase_part {
	char name[NA_PHASE_NAME];
	uint64_t entered, ns;
	uint64_t allocations, releases, allocated_bytes, released_bytes;
	uint64_t peak, live_at_start, live_at_end;
	uint64_t running; /* 1: at the time of the record */
	struct na_phase_growth growth;
};

struct na_class_part {
	uint64_t size; /* of a block; 0: large blocks */
	uint64_t allocations, allocated_bytes;
	uint64_t live_blocks, live_bytes;
	uint64_t fullest_bytes; /* live at the update with the most live bytes */
};

/* Named pools of one name. Of those that are gone the last figures that were seen count, live and held bytes being 0. */
struct na_pool_part {
	char name[NA_BREAKDOWN_NAME];
	uint64_t pools; /* at once, at most */
	uint64_t live, held;
	uint64_t peak; /* the highest sum of the pools' own peaks */
	uint64_t allocations;
};

struct na_busiest {
	int32_t thread; /* the kernel's number; 0: none has allocated yet */
	int32_t node;
	uint64_t allocations, allocated_bytes;
};

struct na_threads_part {
	uint64_t running, most_running;
	struct na_busiest busiest; /* by bytes, that an update has seen */
};

/* A histogram of times, in the bins of tracking/histogram.h, of whole allocations. */
struct na_times {
	uint64_t samples, most;
	uint64_t count, sum; /* allocations that the samples stand for; ns of all of them */
	uint64_t bins[NA_HISTOGRAM_BINS];
};

/* A call stack that allocations were sampled at. */
struct na_site_part {
	char frames
		[NA_SITE_TEXT]; /* "function (file)", a line each, innermost first: the same in all processes, wherever they are loaded */
	uint64_t bytes;	      /* live when the process's samples had most, estimated */
	uint64_t allocations; /* over the run, estimated */
};

struct na_breakdown {
	uint32_t phase_count, pool_count;
	uint64_t innermost;    /* place, plus 1, of the innermost phase that runs; 0: none */
	uint64_t sample_mean;  /* bytes allocated a sample; 0: none are taken */
	uint64_t fullest_live; /* bytes at the update that fullest_bytes are of */
	struct na_phase_part phases[NA_BREAKDOWN_PHASES];
	struct na_class_part classes[NA_BREAKDOWN_CLASSES];
	struct na_pool_part pools[NA_BREAKDOWN_POOLS], other_pools;
	struct na_threads_part threads;
	struct na_times latency;
	struct na_lifetimes lifetimes;
	uint64_t site_count;
	uint64_t sites_bytes; /* of all stacks, those for which there was no room too */
	struct na_site_part sites[NA_BREAKDOWN_SITES];
};

/* 0, or -EINVAL: the fields contradict each other. */
int na_breakdown_check(const struct na_breakdown *b);

struct na_phase_sum {
	char name[NA_PHASE_NAME];
	uint64_t running; /* processes in which it runs */
	uint64_t place;	  /* the first that it has among a process's phases */
	uint64_t entered, allocations, releases, allocated_bytes, released_bytes;
	struct na_spread ns, peak, left; /* left: allocated less released bytes, over all times */
	uint64_t growing;		 /* processes in which live bytes rose each time by what it left behind */
	struct na_phase_growth growth;	 /* of the one of these that grew most */
	struct na_where growth_at;
	uint32_t when[NA_SERIES_BINS]; /* processes whose innermost phase it was, in each bin of the axis */
};

struct na_site_sum {
	char frames[NA_SITE_TEXT];
	uint64_t bytes, allocations, processes;
};

struct na_pool_sum {
	char name[NA_BREAKDOWN_NAME];
	uint64_t pools, live, held, allocations;
	struct na_spread peak;
};

struct na_job_breakdown {
	uint64_t magic;
	uint32_t version, bytes;
	uint64_t processes;
	uint64_t sampling; /* processes that took samples */
	uint32_t phase_count, pool_count;
	struct na_phase_sum phases[NA_BREAKDOWN_PHASES],
		other_phases; /* by name; other_phases.ns.known counts phases, not processes */
	struct na_class_part classes[NA_BREAKDOWN_CLASSES];
	struct na_pool_sum pools[NA_JOB_POOLS], other_pools;
	uint64_t threads_running;
	struct na_spread threads; /* at once, at most */
	struct na_busiest busiest;
	struct na_where busiest_at;
	struct na_times latency;
	struct na_where slowest_at; /* whose latency.most is */
	struct na_lifetimes lifetimes;
	uint64_t sites_bytes;
	uint32_t site_count, unused;
	struct na_site_sum sites[NA_JOB_SITES], other_sites; /* by text */
	struct na_distribution distribution;
};

void na_job_breakdown_init(struct na_job_breakdown *b);
/* The distribution is left alone: it needs the whole record, see na_record_add_breakdown(). */
void na_job_breakdown_add(struct na_job_breakdown *b, const struct na_breakdown *of, const struct na_where *at);
/* Counts where one process's phases were innermost: `phase` of each of `count` bins, from bin `first` of the common axis on. */
void na_job_breakdown_add_times(struct na_job_breakdown *b, const struct na_breakdown *of, const uint8_t *phase,
				uint64_t first, uint32_t count);
/* into += other. */
void na_job_breakdown_merge(struct na_job_breakdown *into, const struct na_job_breakdown *other);
/* 0 or -EINVAL: another version's, or damaged on the way. */
int na_job_breakdown_check(const struct na_job_breakdown *b);

/* Of the allocations that samples stand for: the least time in ns that a share `q` of them does not exceed; NaN of none. */
double na_times_quantile(const struct na_times *t, double q);
double na_times_mean(const struct na_times *t);

/* The end of the lifetimes' bin by which a share `q` of the sampled blocks (or of their bytes) had ended, in ns; NaN of none. */
double na_lifetimes_quantile(const uint64_t bins[NA_LIFETIME_BINS], double q);

#endif
