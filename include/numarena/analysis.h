/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Analysis: what is wrong with this process's memory, and what to do about it, in sentences that quote the measured figures
 * that they rest on. The rules and their thresholds are in analyze_memory_system(3).
 */
#ifndef NUMARENA_ANALYSIS_H
#define NUMARENA_ANALYSIS_H

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

/* What may be found; `value` of a finding is the ratio that stands here. */
typedef enum memory_finding_kind {
	MEMORY_FINDING_LIMIT,         /* the peak, or what machine or cgroup have in use / the limit */
	MEMORY_FINDING_GROWTH,        /* growth / live bytes, when these only ever grew, from phase to phase or while tracked */
	MEMORY_FINDING_STALLS,        /* time in which tasks waited for memory / ten seconds */
	MEMORY_FINDING_MISPLACED,     /* resident on another node than asked for / resident */
	MEMORY_FINDING_FRAGMENTATION, /* 1 - live / resident */
	MEMORY_FINDING_FALSE_SHARING, /* blocks freed by another thread / freed, of programs with blocks below a cache line */
	MEMORY_FINDING_IMBALANCE,     /* 1 - mean / fullest of the nodes that the process runs on */
	MEMORY_FINDING_CHURN,         /* large blocks that took fresh pages / large blocks */
	MEMORY_FINDING_THREAD_CACHE,  /* allocations that left a thread cache / of sizes that it serves */
	MEMORY_FINDING_HUGE_PAGES     /* resident outside huge pages / resident */
} memory_finding_kind_t;

#define MEMORY_FINDINGS_MAX 16

typedef struct memory_finding {
	memory_finding_kind_t kind;
	double value;     /* measured */
	double threshold; /* that it reached */
	double cost;      /* what the order goes by: value times the kind's weight */
	char bottleneck[320];
	char recommendation[320];
} memory_finding_t;

/* About 19 KiB, all of it the caller's: nothing in it points elsewhere. */
typedef struct analysis_result {
	char bottlenecks[4096];     /* the findings' sentences, most costly first; "none" where nothing is wrong */
	char recommendations[4096]; /* in the same order; "none" */
	size_t finding_count;
	memory_finding_t findings[MEMORY_FINDINGS_MAX];
} analysis_result_t;

/* Fills *result. MEMORY_ERROR_INVALID_ARGUMENT if it is NULL. What cannot be measured here makes its rule silent. Growth is
 * judged by the series that tracking keeps (track_usage). Asks the kernel for every page: 50 us for each 32 MiB held. Thread-safe. */
memory_error_t analyze_memory_system(analysis_result_t *result) NUMARENA_CALL(analyze_memory_system);

NUMARENA_END
#endif
