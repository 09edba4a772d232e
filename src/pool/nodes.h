/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pools of this process, one for each NUMA node that has memory which we may use, and which
 * of them serves the calling thread. Booted inside the first allocation, without allocating.
 */
#ifndef NA_POOL_NODES_H
#define NA_POOL_NODES_H

#include "pool/pool.h"

extern struct na_pool na_pools[NA_MAX_POOLS];
extern uint32_t na_pool_count; /* written by boot, then constant */

/* Reads the settings and finds the nodes; the first caller does it, others wait. */
void na_pools_boot(void);

/* The pool of the node that the calling thread runs on. */
struct na_pool *na_pool_here(void);

/* The pool of a node, or NULL if none of ours is there. */
struct na_pool *na_pool_of_node(int node);

/* The pool that serves threads of a node: its own, or the nearest. */
struct na_pool *na_pool_near(int node);

/* Whether the process might run on that CPU when it started. A thread's own mask tells less: OpenMP pins the first thread to
 * one CPU. Known only where there are several pools; else false. */
bool na_pools_cpu(uint32_t cpu);

/* How many nodes have memory that we may use but no pool, for there are more than NA_MAX_POOLS. Valid after boot. */
uint32_t na_pools_missing(void);

/* What was wrong in the environment; "" if nothing. Valid after boot. */
const char *na_pools_complaint(void);

#endif
