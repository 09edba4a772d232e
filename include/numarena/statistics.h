/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Usage statistics of this process. Sizes are bytes, ratios lie in [0, 1]; what could not be
 * measured is NaN or MEMORY_METRIC_UNAVAILABLE, never a guess.
 */
#ifndef NUMARENA_STATISTICS_H
#define NUMARENA_STATISTICS_H

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

typedef struct memory_stats {
	size_t total_allocated; /* bytes live now, counted in block sizes */
	size_t peak_usage;      /* maximum of total_allocated */
	double fragmentation;   /* 1 - total_allocated / physical_bytes; 0 when none is held */

	size_t physical_bytes;   /* resident pages that the pools hold (asked of the kernel) */
	size_t held_bytes;       /* memory in use or kept for reuse, in the pool's units */
	size_t reclaimable_bytes;/* of held_bytes, free and kept for reuse */
	size_t reserved_bytes;   /* address space */
	size_t metadata_bytes;   /* our own bookkeeping, resident or not */

	size_t allocations; /* calls that gave a block, since the start */
	size_t releases;
	size_t cache_refills;         /* allocations that left a thread cache's fast path */
	double thread_cache_hit_rate; /* 1 - cache_refills / allocations of cached sizes; NaN before the first */
	size_t remote_releases;       /* blocks freed by a thread other than their span's owner */

	size_t large_allocations; /* blocks with pages of their own */
	size_t large_reused;      /* of those, served from memory kept for reuse */

	size_t huge_page_bytes;   /* of physical_bytes, in huge pages, transparent or hugetlb;
	                           * MEMORY_METRIC_UNAVAILABLE if the kernel does not tell */
} memory_stats_t;

/* Fills *stats. MEMORY_ERROR_INVALID_ARGUMENT if stats is NULL. Asks the kernel which pages are
 * resident: about 50 us for each 32 MiB that the pools hold. Thread-safe; figures of other
 * threads that run meanwhile are as of some moment during the call. */
memory_error_t get_memory_statistics(memory_stats_t *stats) NUMARENA_CALL(get_memory_statistics);

typedef struct memory_node_stats {
	int node;                /* the kernel's number */
	size_t requested_bytes;  /* live blocks of this node's pool */
	size_t resident_bytes;   /* resident pages of this node's pool, wherever they lie */
	size_t misplaced_bytes;  /* of those, on another node; MEMORY_METRIC_UNAVAILABLE if the kernel
	                          * does not tell */
	size_t total_memory;     /* the node's physical memory, 0 if unknown */
} memory_node_stats_t;

/* Copies up to `capacity` nodes and returns how many there are; nodes may be NULL when capacity
 * is 0. Asks the kernel for every page: use it at report time, not in a loop. Thread-safe. */
size_t get_memory_node_statistics(memory_node_stats_t *nodes, size_t capacity)
	NUMARENA_CALL(get_memory_node_statistics);

NUMARENA_END
#endif
