/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which nodes a placement means, by the topology and by the CPUs that the process started with. Where the topology is not to be had,
 * or is a made-up one (HWLOC_SYNTHETIC), all nodes of the pools count alike. Any thread, with no lock held: the topology may be
 * discovered here.
 */
#ifndef NA_HEAP_PLACED_NODES_H
#define NA_HEAP_PLACED_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "pool/placement.h"
#include "pool/pool.h"

/* Of the nodes whose memory we may use those that have CPUs, into nodes and count. */
void na_placed_usual_nodes(struct na_placement *p);

/* The nodes that serve the process's CPUs, and the parts divided over them; parts 0: one a CPU. */
void na_placed_divide(struct na_placement *p, uint32_t parts);

/* How many of the process's CPUs each pool serves, by the pool's place in na_pools; their sum, 0 if that is not known. */
uint32_t na_placed_count_cpus(uint32_t served[NA_MAX_POOLS]);

/* The node of most bandwidth as seen from here, or of the largest memory; among equals the nearest for bandwidth, for capacity
 * the slowest, which others need least. -1: the machine tells no such attributes. */
int na_placed_best_node(bool bandwidth);

/* The largest of the nodes without CPUs that have less bandwidth, for the CPUs nearest to them, than the thread's own node for its own; -1:
 * none is known to be such. */
int na_placed_slow_node(void);

/* Whether we may use the node's memory, pool or not. */
bool na_placed_allowed(int node);

#endif
