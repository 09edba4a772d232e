/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory pools. There is one default pool with a part on each NUMA node; a block comes from the
 * part of the node that the calling thread runs on, and goes back there whichever thread on
 * whichever node frees it. Named pools have a node, a limit and statistics of their own.
 *
 * Nothing needs initialising: the default pool works from the first call, with the defaults and
 * any NUMARENA_* environment variables. All calls are thread-safe.
 *
 *     double *field = allocate_from_pool(n * sizeof(double));
 *     ...
 *     return_to_pool(field);
 */
#ifndef NUMARENA_POOL_H
#define NUMARENA_POOL_H

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

/* The default pool. A field left zero means its default, or what an optimization level sets. */
typedef struct memory_pool_config {
	size_t total_size;           /* bytes, upper bound over all nodes; 0: the smaller of physical memory
	                              * and the cgroup's limit */
	size_t block_size;           /* bytes, power of two, 4096 to 33554432: the unit in which free memory
	                              * goes back to the system; 0: 4096 */
	size_t alignment;            /* bytes, power of two, 16 to 4096: least alignment of every block of
	                              * allocate_from_pool; 0: 64 */
	bool enable_monitoring;      /* start tracking with its defaults */
	bool enable_defragmentation; /* free memory goes back to the system at once, not after the decay
	                              * time, while fragmentation is above defrag_threshold */
	double defrag_threshold;     /* fragmentation in (0, 1]; 0: 0.7 */
} memory_pool_config_t;

/* Configures the default pool; NULL means defaults. May be called before or after the first
 * allocation, and again: equal values are a no-op, others take effect for what comes.
 * MEMORY_ERROR_INVALID_ARGUMENT: a field is out of range, named in the message, nothing changed.
 * MEMORY_ERROR_BUSY: total_size is below what is in use. */
memory_error_t initialize_memory_pool(const memory_pool_config_t *config) NUMARENA_CALL(initialize_memory_pool);

/* A block of `size` bytes, aligned to the pool's `alignment`, uninitialised, on the caller's node.
 * Size 0 gives a distinct block of the least size. NULL with errno ENOMEM, and
 * MEMORY_ERROR_ALLOCATION, past the limit or out of memory. */
void *allocate_from_pool(size_t size) NUMARENA_CALL(allocate_from_pool) NUMARENA_ALLOCATES(1);

/* As allocate_from_pool, all bytes zero. */
void *allocate_zeroed_from_pool(size_t size) NUMARENA_CALL(allocate_zeroed_from_pool) NUMARENA_ALLOCATES(1);

/* As allocate_from_pool with an alignment of its own: a power of two up to 1 GiB, else NULL with
 * EINVAL. */
void *allocate_aligned_from_pool(size_t size, size_t alignment) NUMARENA_CALL(allocate_aligned_from_pool)
	NUMARENA_ALLOCATES(1);

/* Resizes a block of a pool, keeping its contents up to the smaller size and its pool; NULL with
 * ENOMEM leaves the block as it was. resize_in_pool(NULL, n) allocates. */
void *resize_in_pool(void *block, size_t size) NUMARENA_CALL(resize_in_pool)
	__attribute__((warn_unused_result, alloc_size(2)));

/* Gives a block back. NULL is a no-op. A pointer that no pool gave out, or one returned twice, is
 * left alone, reported with the call site, and is this thread's last error,
 * MEMORY_ERROR_CORRUPTION. */
void return_to_pool(void *block) NUMARENA_CALL(return_to_pool);

/* Returns the caches of this thread at once, those of running threads at their next slow path,
 * and all free memory to the system. Live blocks are untouched. */
void flush_memory_pools(void) NUMARENA_CALL(flush_memory_pools);

/* ---- named pools ---- */

typedef struct memory_pool memory_pool_t;

typedef struct named_pool_config {
	const char *name; /* up to 31 characters, for reports; needed */
	int node;         /* kernel's node number, or MEMORY_NODE_ANY */
	size_t limit;     /* bytes of memory the pool may hold; 0: no limit of its own */
	size_t alignment; /* as memory_pool_config_t's */
	bool no_move;     /* its blocks' pages are never replaced by others, as merging does (defragmentation.h): for buffers that a device,
	                   * io_uring or another library has registered */
} named_pool_config_t;

#define MEMORY_NODE_ANY (-1)

typedef struct memory_pool_stats {
	size_t live_bytes;  /* in blocks that are out */
	size_t peak_bytes;  /* maximum of live_bytes */
	size_t held_bytes;  /* memory taken for them */
	size_t allocations; /* calls that gave a block */
	size_t releases;
	int node;
	char name[32];
} memory_pool_stats_t;

/* A new pool, in *pool. Blocks go back with return_to_pool, from any thread. */
memory_error_t create_memory_pool(const named_pool_config_t *config, memory_pool_t **pool)
	NUMARENA_CALL(create_memory_pool);

/* As allocate_from_pool, from that pool and its node. */
void *allocate_from(memory_pool_t *pool, size_t size) NUMARENA_CALL(allocate_from) NUMARENA_ALLOCATES(2);

/* Takes back every block of the pool at once; their pointers are invalid from then on. No other
 * thread may use the pool or its blocks during the call. */
memory_error_t reset_memory_pool(memory_pool_t *pool) NUMARENA_CALL(reset_memory_pool);

/* Resets the pool and ends it. */
memory_error_t destroy_memory_pool(memory_pool_t *pool) NUMARENA_CALL(destroy_memory_pool);

memory_error_t get_memory_pool_statistics(memory_pool_t *pool, memory_pool_stats_t *stats)
	NUMARENA_CALL(get_memory_pool_statistics);

/* Of every pool: the default one first, under the name "" and MEMORY_NODE_ANY, whose peak of its own is not known
 * (MEMORY_METRIC_UNAVAILABLE), then the named ones, latest first; of those that ended the process's totals alone tell.
 * Copies up to `capacity` and returns how many there are; pools may be NULL when capacity is 0. Thread-safe. */
size_t get_all_memory_pool_statistics(memory_pool_stats_t *pools, size_t capacity)
	NUMARENA_CALL(get_all_memory_pool_statistics);

/* The named pool that a block came from; NULL for the default pool's and for foreign pointers. */
memory_pool_t *allocation_pool(const void *block) NUMARENA_CALL(allocation_pool);

NUMARENA_END
#endif
