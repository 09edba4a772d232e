/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory on nodes of your choice. Without any of this a block lies on the node of the thread that allocates it.
 *
 *     memory_placement_config_t spread = { .placement = PLACEMENT_INTERLEAVE };
 *     double *table = allocate_placed(bytes, &spread);
 *     ...
 *     release_memory(table);
 *
 * Nodes have the kernel's numbers. A placement is a preference unless it is strict: where a node is full, its pages
 * go to the nearest by distance, and get_memory_placement() and the statistics tell how many. All calls are thread-safe.
 */
#ifndef NUMARENA_PLACEMENT_H
#define NUMARENA_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

typedef enum memory_placement {
	PLACEMENT_LOCAL,       /* the calling thread's node */
	PLACEMENT_NODE,	       /* the node that the configuration names */
	PLACEMENT_INTERLEAVE,  /* page by page in turn over all nodes with CPUs */
	PLACEMENT_PARTITIONED, /* one contiguous slice a part, for threads that each work on theirs */
	PLACEMENT_BANDWIDTH,   /* the node of most bandwidth from here (hwloc's memory attributes) */
	PLACEMENT_CAPACITY     /* the node of most memory; of equals the slowest */
} memory_placement_t;

typedef struct memory_placement_config {
	memory_placement_t placement;
	int node;     /* PLACEMENT_NODE */
	size_t parts; /* PLACEMENT_PARTITIONED, up to 65536; 0: one for each of the C CPUs that the process might run on
			   * when it started. Of P pages part i has those from i * P / parts to (i + 1) * P / parts, rounded
			   * down, and lies on the node of the (i * C / parts)th CPU, counted node by node */
	bool strict;  /* fail rather than use another node: checks the node's free memory, touches every page, and asks
			   * where they are. Not for interleaved and partitioned ones, where it only insists that they can be placed */
	bool huge_pages; /* from 2 MiB on: transparent huge pages; the unit of interleaving and of parts is then 2 MiB */
	size_t alignment; /* a power of two up to 1 GiB; 0: 16 */
} memory_placement_config_t;

/* A block of at least `size` bytes; NULL with errno and last_memory_error(): MEMORY_ERROR_ALLOCATION (ENOMEM; also a strict node
 * that is too full), MEMORY_ERROR_INVALID_ARGUMENT (EINVAL; also a node that this process may not use), MEMORY_ERROR_PERMISSION
 * (EPERM; strict, and the kernel refuses). NULL for the configuration is PLACEMENT_LOCAL. Below 64 KiB interleaved blocks go to the
 * nodes in turn, and partitioned ones are local. The block is freed by release_memory(), free() or return_to_pool();
 * resize_memory() keeps its node, or spreads it anew in the same way; it is not strict. */
void *allocate_placed(size_t size, const memory_placement_config_t *config) NUMARENA_CALL(allocate_placed);

typedef struct memory_placement_report {
	memory_placement_t
		placement;	/* as kept: PLACEMENT_INTERLEAVE, _PARTITIONED, or _NODE for all that lie on one */
	int node;		/* that one; -1: several */
	size_t resident_bytes;	/* of the block's pages, those that have been touched */
	size_t misplaced_bytes; /* of those, on another node than the placement says */
	size_t node_bytes[64];	/* resident, by node 0 to 63 */
	size_t other_bytes;	/* on nodes beyond */
} memory_placement_report_t;

/* Asks the kernel where each page of a live block lies: about 1 us for each 16 pages. MEMORY_ERROR_INVALID_ARGUMENT if block is not
 * a live one of numarena's, or report NULL; MEMORY_ERROR_PERMISSION if the kernel does not tell. */
memory_error_t get_memory_placement(const void *block, memory_placement_report_t *report)
	NUMARENA_CALL(get_memory_placement);

typedef struct memory_range {
	size_t first; /* the first element */
	size_t count;
	int node; /* on which the placement has its pages; -1: it says nothing, or several */
} memory_range_t;

/* Which elements of an array are part `part` of `parts`, for threads that each work on theirs:
 *
 *     memory_range_t mine;
 *
 *     if (partition_range(a, n, sizeof(*a), omp_get_thread_num(), omp_get_num_threads(), &mine) == MEMORY_ERROR_NONE)
 *             for (size_t i = mine.first; i < mine.first + mine.count; i++)
 *
 * An array that is the whole of a block with PLACEMENT_PARTITIONED is cut at its pages, so that with as many parts as the block has, or a
 * multiple, each is on its node; any other array, be it numarena's or not, into equal parts. Then each cut moves up to
 * the next element that begins a cache line, if one does within a page: then no two parts share a line. Parts are in order, leave nothing
 * out, and may be empty. Where several arrays are cut alike, threads find the same elements of each only if their elements have one
 * size and they begin at the same place of a page.
 *
 * MEMORY_ERROR_INVALID_ARGUMENT: part is not below parts, which are 1 to 65536; size is 0 or above 1 GiB; array is NULL and count is not 0;
 * no address space holds count elements; range is NULL. */
memory_error_t partition_range(const void *array, size_t count, size_t size, size_t part, size_t parts,
			       memory_range_t *range) NUMARENA_CALL(partition_range);

NUMARENA_END

#endif
