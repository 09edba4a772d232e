/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings whose pages are spread over nodes: page by page (interleave), or in as many slices as there are parts. A policy is set
 * for the whole mapping before its first touch, so it costs a VMA for each run of pages of one node, and not one a page. The
 * segment keeps its placement; freed, it is not used again but unmapped by the maintenance thread.
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
	uint32_t parts;			   /* partitioned: slices; part i is on nodes[i * count / parts] */
	int16_t nodes[NA_PLACEMENT_NODES]; /* kernel's numbers */
};

/* Where part i of a partitioned block of `length` bytes begins; part `parts` begins at its end. Parts are of whole pages (2 MiB
 * if huge), equal but for one unit: i * units / parts units from the start. */
size_t na_placement_cut(const struct na_placement *p, size_t length, uint32_t part);

/* The node that the page at `offset` of a block shall be on; -1 if any of the nodes will do. */
int na_placement_node(const struct na_placement *p, size_t length, size_t offset);

/* Sets the policy of fresh memory. 0, or -errno of the first call that was refused; the rest is placed nevertheless. */
int na_placement_apply(const struct na_placement *p, void *base, size_t length);

#endif
