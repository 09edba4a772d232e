/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks on nodes that the program chooses. What a placement means is in numarena/placement.h; how it is kept:
 *
 *  - one node: a group of the node's (groups.h), because thread caches are of the thread's node. Being of that
 *    group is what keeps the node when the block is resized. Pools are bound with preference: a full node spills to the nearest.
 *    With huge pages, and on nodes that have no pool, blocks get a mapping of their own.
 *  - several nodes: a mapping of its own (pool/placement.h); below a slice, where a page may be all there is, and where a process has
 *    tens of thousands of such mappings, interleaved blocks go to the nodes in turn, and partitioned ones to the thread's node.
 *
 * Any thread, with no lock held: the topology may be discovered here, and a strict wish may purge.
 */
#ifndef NA_HEAP_PLACED_H
#define NA_HEAP_PLACED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum na_placed { NA_LOCAL, NA_ON_NODE, NA_INTERLEAVED, NA_PARTITIONED, NA_BANDWIDTH, NA_CAPACITY };

struct na_wish {
	enum na_placed placement;
	int node;
	uint32_t parts; /* 0: as many as there are CPUs that the process may run on */
	bool strict;
	bool huge;
	size_t alignment; /* a power of two */
	uint32_t hint;	  /* packed: of which group the block shall be; see groups.h */
};

/* 0 and a block; -ENOMEM, with a sentence on a node that is too full if strict; -EINVAL: no such node, or none for us;
 * -EPERM: strict, and the kernel does not let us place or see. `why` has room for 200 bytes. */
int na_placed_allocate(size_t size, const struct na_wish *wish, void **out, char *why);
/* The same, without the program's handler, retries and messages. */
int na_placed_try(size_t size, const struct na_wish *wish, void **out, char *why);

struct na_block;

/* A block placed like this one, of another size; NULL without memory. Only for blocks whose mapping is their own and was placed. */
void *na_placed_again(const struct na_block *block, size_t size);

/* Whether such a block may stay as it is when it is resized. */
bool na_placed_stays(const struct na_block *block, size_t size);

/* Whether a block of a named pool, without a placement of its own, made larger becomes one that has it for its hints' sake; and
 * such a one, or NULL. */
struct na_pool;
bool na_placed_grows_into(const struct na_pool *pool, size_t old, size_t size);
void *na_placed_for_hints(const struct na_pool *pool, size_t size);

/* Whether memory is spread, and the least bytes for which it is, where hints say that all threads read it. */
#define NA_SPREAD_LEAST ((size_t)64 << 10)

struct na_whereabouts {
	enum na_placed placement;     /* as kept: NA_ON_NODE, NA_INTERLEAVED or NA_PARTITIONED */
	int node;		      /* NA_ON_NODE; else -1 */
	uint64_t resident, misplaced; /* bytes of the block's pages */
	uint64_t on[1024];	      /* bytes by node */
};

/* Asks the kernel for each page. 0; -EINVAL: not a live block; -errno: the kernel does not tell. */
int na_placed_where(const void *p, struct na_whereabouts *out);

/* Of a partitioned array: the offset at which part i of `parts` begins. */
size_t na_placed_cut(size_t length, uint32_t parts, uint32_t part, bool huge);

#endif
