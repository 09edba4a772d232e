/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery: what happens when memory is short. An allocation that finds none climbs a ladder before it fails:
 *
 *   1. free memory of all pools goes back to the system, always;
 *   2. with recovery on, memory is compressed (from the version that compresses on) and defragmented;
 *   3. with recovery on, the thread waits, and all is tried again, up to max_retries times;
 *   4. the fallback: another NUMA node's pool, then the system, beyond the pools' limit;
 *   5. the program's error handler, once;
 *   6. a report of who holds what, once a process, and NULL with ENOMEM.
 *
 * All calls are thread-safe; none may be made from a signal handler.
 */
#ifndef NUMARENA_RECOVERY_H
#define NUMARENA_RECOVERY_H

#include <numarena/base.h>
#include <numarena/defragmentation.h>
#include <numarena/error.h>

NUMARENA_BEGIN

typedef enum recovery_fallback {
	FALLBACK_NONE,         /* NULL */
	FALLBACK_SYSTEM_ALLOC, /* other nodes, then memory from the system that total_size does not count. It stops where the
	                        * machine or the cgroup has no room, for past that comes the OOM killer and not an error */
	FALLBACK_OTHER_NODE    /* the pools of other NUMA nodes, nearest first */
} recovery_fallback_t;

typedef struct recovery_config {
	unsigned int max_retries; /* 1 to 1000; 0: 3 */
	unsigned int retry_delay; /* ms before each, 1 to 60000; 0: 100 */
	bool enable_logging;      /* a line on standard error for each allocation that failed at first: rank, node, size,
	                           * what was tried, what came of it, usage */
	recovery_fallback_t fallback_strategy; /* for the default pool's blocks; a named pool's come from it or not at all */
} recovery_config_t;

/* Turns recovery on, or changes it; NULL: the defaults. MEMORY_ERROR_INVALID_ARGUMENT: a field is out of range, named in the message,
 * nothing changed. MEMORY_ERROR_ALLOCATION: no memory for the fallback's bookkeeping. cleanup_memory_resources() turns it off.
 * A thread never waits within a system call of numarena's (an MPI library may be called there, with its locks), nor for a size past
 * the pools' limit; and while a fallback serves, at most a tenth of the time. */
memory_error_t initialize_memory_recovery(const recovery_config_t *config) NUMARENA_CALL(initialize_memory_recovery);

typedef struct memory_recovery_stats {
	size_t failures;        /* allocations that failed at first */
	size_t by_purge;        /* of those, served after free memory had gone back */
	size_t by_compression;
	size_t by_defragmentation;
	size_t by_retry;        /* after a delay */
	size_t by_other_node;
	size_t by_system;       /* from beyond the limit */
	size_t by_handler;      /* the program's */
	size_t refused;         /* NULL after all */
	size_t retries;         /* delays */
	size_t waited_ms;       /* their sum */
	size_t handler_calls;   /* also those for corruption */
	size_t reports;         /* of who holds what */
	size_t system_bytes;    /* held beyond the limit now */
} memory_recovery_stats_t;

/* MEMORY_ERROR_INVALID_ARGUMENT if stats is NULL. */
memory_error_t get_memory_recovery_statistics(memory_recovery_stats_t *stats)
	NUMARENA_CALL(get_memory_recovery_statistics);

/* ---- the program's error handler ---- */

/* Called on the thread that it concerns, outside all locks of numarena's: with MEMORY_ERROR_ALLOCATION or, where the limit has room but
 * what is held is too fragmented, MEMORY_ERROR_FRAGMENTATION, once for each allocation that would otherwise be refused; with
 * MEMORY_ERROR_CORRUPTION after corruption was reported. Never for wrong arguments, and never within itself: an allocation that
 * fails there is NULL at once. When it returns, the allocation is tried once more; it must return, not jump or throw. */
typedef void (*memory_error_handler_t)(memory_error_t error);

/* Sets the process's handler; NULL: none. Returns the former one. */
memory_error_handler_t set_memory_error_handler(memory_error_handler_t handler)
	NUMARENA_CALL(set_memory_error_handler);

/* Repeats the calling thread's last request that failed, and returns its block: within the handler the failing call then returns
 * this very block, so do not free it; outside it is the caller's. NULL with ENOMEM if it fails again, with EINVAL and
 * MEMORY_ERROR_INVALID_ARGUMENT if there is none (or it has been repeated already). Of a resize that failed: a block of the new size;
 * outside of the handler the old one is as it was, and its contents are not copied. */
void *retry_allocation(void) NUMARENA_CALL(retry_allocation);

/* Returns caches and free memory to the system, as flush_memory_pools(); the bytes that went back. */
size_t free_unused_memory(void) NUMARENA_CALL(free_unused_memory);

/* A line on standard error: the error, the sentence of this thread's last one if it is the same, and the process's usage. */
void log_memory_error(memory_error_t error) NUMARENA_CALL(log_memory_error);

/* Brings the post-mortem record up to date, and the report of who holds what if it is called for a failed allocation; then ends
 * the job through MPI_Abort in an MPI program (with numarena's MPI library), and otherwise the process by abort(). */
void abort_operation(void) NUMARENA_CALL(abort_operation) __attribute__((noreturn));

NUMARENA_END
#endif
