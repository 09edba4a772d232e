/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Saying what a block is for. Every hint changes where or how the block lies; a field left zero says nothing.
 *
 *     memory_hints_t hints = { .access_pattern = ACCESS_SEQUENTIAL, .lifetime = LIFETIME_LONG };
 *     double *field = optimized_allocate(bytes, &hints);
 *     ...
 *     return_to_pool(field);
 *
 * Lifetimes do most where blocks of several lifetimes are made in turn: those that die together then lie together, and
 * their memory goes back when they are gone. All calls are thread-safe.
 */
#ifndef NUMARENA_HINTS_H
#define NUMARENA_HINTS_H

#include <stdbool.h>
#include <stddef.h>

#include <numarena/base.h>
#include <numarena/error.h>
#include <numarena/placement.h>

NUMARENA_BEGIN

typedef enum memory_access {
	ACCESS_DEFAULT,	   /* pages as the settings have them */
	ACCESS_SEQUENTIAL, /* from start to end: from 2 MiB on a mapping of its own, of transparent huge pages */
	ACCESS_RANDOM,	   /* anywhere: likewise */
	ACCESS_STRIDED, /* in steps: likewise. A block of which most pages are never touched is better off with the default */
	ACCESS_READ_MOSTLY /* by threads of all nodes, seldom written: on several nodes, from 64 KiB on, page by page in turn over
			    * those with CPUs, of ordinary pages, unless priority or placement say where */
} memory_access_t;

/* Blocks of unlike lifetimes are never in one span, so in no page together. */
typedef enum memory_lifetime {
	LIFETIME_MEDIUM, /* as a block without hints */
	LIFETIME_SHORT,	 /* a time step, a request */
	LIFETIME_LONG,	 /* a phase of the program */
	LIFETIME_PERMANENT
} memory_lifetime_t;

typedef enum memory_priority {
	PRIORITY_NORMAL,
	PRIORITY_LOW, /* rather on a slow tier: a node without CPUs and of less bandwidth, for the CPUs nearest to it, than the
		       * thread's own node for its own; if there is one */
	PRIORITY_HIGH /* every page is there when the call returns; on the node of most bandwidth from here, where the machine tells
		       * bandwidths; never compressed */
} memory_priority_t;

typedef struct memory_hints {
	memory_access_t access_pattern;
	memory_lifetime_t lifetime;
	memory_priority_t priority;
	size_t alignment;	      /* a power of two up to 1 GiB; 0, or less than it: that of allocate_from_pool */
	memory_placement_t placement; /* PLACEMENT_LOCAL, which is zero: as priority and access pattern say, else the
				       * thread's node. Others go before both */
	int node;		      /* PLACEMENT_NODE */
	size_t parts;		      /* PLACEMENT_PARTITIONED: as in memory_placement_config_t */
	bool no_move; /* for communication buffers: not compressed, not moved between pages or nodes by numarena itself */
} memory_hints_t;

/* A block of at least `size` bytes, uninitialised but for what PRIORITY_HIGH touches; NULL for the hints is no hints. Blocks of
 * PLACEMENT_INTERLEAVE and _PARTITIONED have ordinary pages whatever the access pattern is. It goes back by return_to_pool(),
 * release_memory() or free(), from any thread. Resizing keeps the hints and the node, but no alignment beyond the pool's; what it
 * adds is not touched in advance.
 *
 * NULL with errno and last_memory_error(): MEMORY_ERROR_INVALID_ARGUMENT (EINVAL), which names the field;
 * MEMORY_ERROR_ALLOCATION (ENOMEM), also where PRIORITY_HIGH wants more than the machine or the cgroup has room for.
 *
 * Cost: without hints, or with an alignment alone, that of allocate_aligned_from_pool(). With hints below 32 KiB, a lock that
 * one in sixteen threads share, for allocation and free each. */
void *optimized_allocate(size_t size, const memory_hints_t *hints) NUMARENA_CALL(optimized_allocate)
	NUMARENA_ALLOCATES(1);

/* What was said about the block that contains the address: all zero if nothing was. `alignment` is always 0; placement is as kept:
 * PLACEMENT_INTERLEAVE, _PARTITIONED (with its parts), or _NODE with the node, also of blocks without hints.
 * MEMORY_ERROR_INVALID_ARGUMENT if the block is not a live one of numarena's, or hints NULL. */
memory_error_t allocation_hints(const void *block, memory_hints_t *hints) NUMARENA_CALL(allocation_hints);

NUMARENA_END

#endif
