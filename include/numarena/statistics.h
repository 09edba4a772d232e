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
	size_t peak_usage;      /* maximum of total_allocated; small blocks to within 64 KiB to 1 MiB for each thread that
	                         * runs, with track_allocations to within what its stacks of free blocks hold */
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
	size_t allocations;      /* calls that gave a block of this node's pool, since the start */
} memory_node_stats_t;

/* Copies up to `capacity` nodes and returns how many there are; nodes may be NULL when capacity
 * is 0. Asks the kernel for every page: use it at report time, not in a loop. Thread-safe. */
size_t get_memory_node_statistics(memory_node_stats_t *nodes, size_t capacity)
	NUMARENA_CALL(get_memory_node_statistics);

/* ---- the same by size class, thread, pool and phase ----
 * Each copies up to `capacity` entries and returns how many there are; the array may be NULL when capacity is 0. They ask
 * the kernel nothing, and take about 10 us. Thread-safe; figures of other threads that run
 * meanwhile are as of some moment during the call. Bytes are sizes of blocks. */

typedef struct memory_class_stats {
	size_t block_size;  /* bytes a block; 0 in the last entry: large blocks, whose sizes are their own */
	size_t allocations; /* since the start */
	size_t releases;
	size_t live_blocks;
	size_t live_bytes;
} memory_class_stats_t;

/* Ascending by block_size, then the large blocks. Named pools are included. */
size_t get_memory_class_statistics(memory_class_stats_t *classes, size_t capacity)
	NUMARENA_CALL(get_memory_class_statistics);

typedef struct memory_thread_stats {
	int thread;             /* the kernel's number, as gettid()'s; 0 in the last entry: all that have ended */
	int node;               /* where it allocates; -1 in the last entry */
	size_t allocations;     /* by this thread, since it began; on machines of several nodes since it came to this one */
	size_t releases;        /* by this thread, whoever had allocated the block */
	size_t allocated_bytes; /* a large block that is resized counts by what it grows or shrinks */
	size_t released_bytes;
} memory_thread_stats_t;

/* Threads that have allocated and still run, then one entry for the rest. */
size_t get_memory_thread_statistics(memory_thread_stats_t *threads, size_t capacity)
	NUMARENA_CALL(get_memory_thread_statistics);

/* ---- phases ---- */

/* From now on, all that any thread of the process does counts for the phase of that name as well, until it is ended. Phases
 * nest, and one that begins again goes on counting. A name has 1 to 47 characters; there are up to 64, and 32 at a
 * time. MEMORY_ERROR_INVALID_ARGUMENT; MEMORY_ERROR_BUSY: too many. Thread-safe: two threads that begin phases at
 * once nest in the order that they come. */
memory_error_t begin_memory_phase(const char *name) NUMARENA_CALL(begin_memory_phase);

/* Ends the phase that began last, whichever thread began it. MEMORY_ERROR_INVALID_ARGUMENT: none runs. */
memory_error_t end_memory_phase(void) NUMARENA_CALL(end_memory_phase);

typedef struct memory_phase_stats {
	char name[48];
	bool running;           /* then all figures are until now */
	size_t entered;         /* times that it began */
	double seconds;         /* in it, over all times, as all counts that follow */
	size_t allocations;     /* by any thread, phases within included */
	size_t releases;
	size_t allocated_bytes;
	size_t released_bytes;
	size_t live_at_start;   /* bytes live when it last began */
	size_t live_at_end;     /* when it last ended */
	size_t peak_bytes;      /* maximum of live bytes within it; as exact as memory_stats_t's peak_usage */
} memory_phase_stats_t;

/* In the order in which they first began. */
size_t get_memory_phase_statistics(memory_phase_stats_t *phases, size_t capacity)
	NUMARENA_CALL(get_memory_phase_statistics);

NUMARENA_END
#endif
