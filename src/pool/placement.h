/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings whose pages are spread over nodes: page by page (interleave), or in as many slices as there are parts. A policy is set
 * for the whole mapping before its first touch, so it costs a VMA for each run of pages of one node, and not one a page. The
 * segment keeps its placement; freed, it is kept for the decay time for a block of the same length and placement, and never used for
 * another. One part on one node is a block of its own mapping on that node.
 */
#ifndef NA_POOL_PLACEMENT_H
#define NA_POOL_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_PLACEMENT_NODES 64

enum na_placement_kind { NA_PLACED_NOT, NA_PLACED_INTERLEAVED, NA_PLACED_PARTITIONED };

struct na_placement {
	uint8_t kind;
	bool huge; /* in units of 2 MiB, with transparent huge pages; else no page is larger than the unit of placement */
	uint16_t count;
	int refused;			    /* what the kernel said to it: 0 or -errno */
	size_t length;			    /* bytes that it is laid over */
	uint32_t parts;			    /* partitioned: slices; at least 1 */
	int16_t nodes[NA_PLACEMENT_NODES];  /* kernel's numbers */
	uint32_t first[NA_PLACEMENT_NODES]; /* partitioned: nodes[k] has the parts from first[k] to first[k + 1] */
};

/* Divides `parts` parts over the nodes by their CPUs: of C CPUs in all, in the order of the nodes, part i is on the node of
 * CPU number i * C / parts, rounded down. */
void na_placement_divide(struct na_placement *p, const uint32_t *cpus, uint32_t parts);

/* Whether a block of the one, freed, may serve the other, but for its length. Not where the kernel has refused it. */
bool na_placement_same(const struct na_placement *a, const struct na_placement *b);

/* Entries of vm.max_map_count that a block costs, at most. */
uint32_t na_placement_mappings(const struct na_placement *p);

/* Where part i of a partitioned block of `length` bytes begins; part `parts` begins at its end. Parts are of whole pages (2 MiB
 * if huge), equal but for one unit: i * units / parts units from the start. */
size_t na_placement_cut(const struct na_placement *p, size_t length, uint32_t part);

/* The node that the page at `offset` of a block shall be on; -1 if any of the nodes will do. */
int na_placement_node(const struct na_placement *p, size_t length, size_t offset);

/* The node of all pages; -1 if there are several. */
int na_placement_home(const struct na_placement *p);

/* Sets the policy of fresh memory. 0, or -errno of the first call that was refused; the rest is placed nevertheless. Where there is
 * but one node for us nothing is asked of the kernel. */
int na_placement_apply(const struct na_placement *p, void *base, size_t length);

#endif
