/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a load takes from memory of a node, as the pools have it: loads each of which needs the one before it, over pages that are
 * mapped, bound and advised as that node's pool does with its segments. They are not taken from the pool itself, because a block of
 * ours would be in everybody's figures of live and peak memory for as long as it takes; and the program's own pages are not ours to walk.
 *
 * One line in every 256 bytes points to the next, in an order that is one random cycle (Sattolo), so that no prefetcher can tell it;
 * each line is written out of all caches first (clflush) and loaded once. So 8 MiB will do, however large the last cache is. Time is
 * taken of eight parts of the walk, and their median counts: a part in which the thread lost its processor does not.
 * Translation misses are part of it, as they are of the program's loads.
 *
 * Where the pages lie is asked of the kernel on machines of several nodes; pages elsewhere are no measurement. With little
 * room left there is none either.
 *
 * Any thread, no lock of the heap held; maps and unmaps. Cost: 10 to 20 ms a node and 8 MiB for that time (above 8 nodes 2 MiB);
 * na_latency_here() keeps its result for ten seconds.
 */
#ifndef NA_METRICS_LATENCY_H
#define NA_METRICS_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/snapshot.h"

struct na_pool;

/* From the processor that the caller runs on to the pool's node, in picoseconds. 0; -ENOMEM: no memory to spare; -EXDEV: the pages came
 * to lie on another node; -EPERM and others: the kernel does not tell where they lie. */
int na_latency_measure(const struct na_pool *pool, uint64_t *out);

/* The mean over the nodes, each weighted by the resident bytes of its pool (as na_heap_residency() has them; with
 * none at all, the caller's node). As above. Kept for ten seconds, whoever asks from wherever. */
int na_latency_here(const struct na_snapshot *s, uint64_t *out);

/* A sentence on such an error; static storage. */
const char *na_latency_why(int error);

#define NA_LATENCY_FAILED UINT64_MAX

/* From the CPUs of each node to the memory of each pool. */
struct na_latency_matrix {
	uint32_t from_count, to_count;
	int32_t from
		[NA_MAX_NODES]; /* nodes with CPUs that we may use; -1: the CPUs are not known, measured from where we run */
	int32_t to[NA_MAX_NODES];
	uint64_t ps[NA_MAX_NODES][NA_MAX_NODES]; /* NA_LATENCY_FAILED: see error */
	int error[NA_MAX_NODES][NA_MAX_NODES];
};

/* Runs a thread on one node's CPUs after another. 0, or -errno of the thread's start. */
int na_latency_measure_all(struct na_latency_matrix *out);

void na_latency_before_fork(void);
void na_latency_after_fork(bool child);

#endif
