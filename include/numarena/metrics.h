/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Metrics: what this process's memory costs in time and where it lies, from the sources that know it: the heap's own
 * counts, the kernel, the processor's counters, and loads that are timed.
 *
 * Ratios lie in [0, 1]; times of one operation are in the unit that the field names. What cannot be measured here is
 * NaN (a ratio or a time) or MEMORY_METRIC_UNAVAILABLE (a count), and memory_metric_unavailable_reason() says why.
 */
#ifndef NUMARENA_METRICS_H
#define NUMARENA_METRICS_H

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

typedef struct memory_metrics {
	/* pools */
	double pool_usage;    /* resident_bytes / total_size, or what stands for it (the machine's memory, the cgroup's limit) */
	double fragmentation; /* 1 - requested_bytes / resident_bytes; 0 when nothing is held */

	/* the processor's last cache, user code of all threads since counting began; only with monitor_cache_misses */
	double cache_hit_rate; /* 1 - misses / references */
	size_t cache_misses;

	/* times */
	double avg_alloc_time;     /* microseconds: of an allocation of this process, mean since its start */
	double avg_access_latency; /* nanoseconds: of a dependent load from pool memory, from where the caller runs */

	/* more of the processor's counters */
	size_t cache_references;
	double cache_counted; /* share of the time that they really counted; what is less than 1 was scaled up */
	size_t cache_threads_missed; /* threads that started just as counting began, and may be left out; nearly always 0 */

	double thread_cache_hit_rate; /* 1 - refills / allocations of sizes that thread caches serve */

	/* where memory lies: sums over the nodes, see get_memory_node_statistics */
	size_t requested_bytes; /* live blocks */
	size_t resident_bytes;  /* resident pages of the pools */
	size_t misplaced_bytes; /* of those, on another node than asked for */
	double huge_page_coverage; /* of resident_bytes, the share in huge pages */

	/* of the whole process, since its start */
	size_t minor_faults; /* page faults without, and with, reading from a disk */
	size_t major_faults;
	double maintenance_time; /* microseconds in the heap's own maintenance */

	/* limits and pressure */
	size_t cgroup_limit; /* bytes: the least memory limit of the process's cgroups */
	size_t cgroup_usage; /* bytes charged to its own cgroup */
	size_t memory_room;  /* bytes until the tightest of machine and cgroups is full */
	double pressure_some; /* share of the last ten seconds in which some task, or every one, waited for memory (PSI) */
	double pressure_full;
	size_t pressure_some_time; /* microseconds of that since the machine or the cgroup started */
	size_t pressure_full_time;

	/* movable blocks, and passes of defragmentation; see movable.h and defragmentation.h for more */
	size_t movable_bytes;      /* live, as asked for */
	size_t movable_held_bytes; /* memory that they hold */
	size_t winnable_bytes;     /* that a perfect packing of them would free, and what the pools keep for reuse */
	size_t compaction_won;     /* bytes, since the start */
	double compaction_time;    /* microseconds spent in moving blocks, since the start */

	/* compression */
	size_t compressed_bytes;	  /* that images of compressed memory take */
	size_t compressed_original_bytes; /* what they are images of */
	double compression_ratio;
	size_t transparently_compressed_bytes; /* of compressed_original_bytes, in raw blocks: see get_compression_statistics() */
} memory_metrics_t;

/* Fills *metrics. MEMORY_ERROR_INVALID_ARGUMENT if it is NULL. Asks the kernel for every page (50 us for each 32 MiB held), and at
 * most once in ten seconds times loads, which takes 10 to 20 ms for each node that holds memory and 8 MiB for that time.
 * Starts the processor's counters if monitor_cache_misses is on and they were not yet. Thread-safe. */
memory_error_t get_memory_metrics(memory_metrics_t *metrics) NUMARENA_CALL(get_memory_metrics);

/* Why a field of memory_metrics_t was unavailable when get_memory_metrics() was last called, by any thread: a sentence in static
 * storage; "" if it was available; NULL if there is no field of that name. Thread-safe. */
const char *memory_metric_unavailable_reason(const char *metric) NUMARENA_CALL(memory_metric_unavailable_reason);

NUMARENA_END
#endif
