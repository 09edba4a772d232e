/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A snapshot in the making: the same block as struct na_topology, writable. flatten.c lays it out and
 * fills nodes, CPUs, caches and pages; distance.c the matrices; allowed.c what this process may use.
 * Private to those three. One thread.
 */
#ifndef NA_TOPOLOGY_DRAFT_H
#define NA_TOPOLOGY_DRAFT_H

#include "topology/source.h"

struct na_topology_draft {
	struct na_topology *t;
	struct na_topology_node *nodes;
	unsigned long *node_cpus; /* node_count masks of CPUs, then as many for near */
	int32_t *cpu_node;
	int32_t *node_position;
	uint32_t *distance;
	uint32_t *nearest;
	uint32_t *bandwidth; /* NULL with latency: the tree has no such attributes */
	uint32_t *latency;
	unsigned long *allowed_nodes;
	unsigned long *allowed_cpus;
	struct na_topology_cache *caches;
	struct na_topology_page_size *page_sizes;
};

/* Whether any node has a bandwidth or latency. */
bool na_draft_has_attributes(struct hwloc_topology *tree);

/* distance, nearest, distances_known. Needs nodes and node_position. */
int na_draft_fill_distances(struct na_topology_draft *draft, struct hwloc_topology *tree, const char *root);

/* bandwidth, latency, and each node's best. Needs nodes and their CPUs. */
void na_draft_fill_attributes(struct na_topology_draft *draft, struct hwloc_topology *tree);

/* allowed_nodes, allowed_cpus, and each node's allowed. */
int na_draft_fill_allowed(struct na_topology_draft *draft, struct hwloc_topology *tree,
			  const struct na_topology_source *source, bool apply);

#endif
