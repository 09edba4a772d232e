/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numarena: a NUMA-aware memory allocator for HPC. This header includes every area; the MPI
 * layer's, <numarena/mpi.h>, stands apart because it needs <mpi.h>.
 *
 *   pool.h        allocate_from_pool, return_to_pool, named pools
 *   memory.h      the C library's allocation calls under names of their own
 *   placement.h   blocks on nodes of your choice
 *   hints.h       saying what a block is for
 *   optimization.h  levels: many settings at once; what is set, by whom
 *   cache.h       cache lines and prefetching
 *   indexed.h     loops over indexed data, lists and sparse matrices, prefetched as far ahead as pays
 *   kernels.h     loops that run at the memory's speed
 *   statistics.h  what is live, peak, physical, and on which node
 *   tracking.h    time series and tighter peaks
 *   metrics.h     times, cache misses, faults, limits and pressure
 *   analysis.h    what is wrong with it, and what to do
 *   profile.h     sampled call stacks: leaks, what made the peak, who allocates; latencies and lifetimes
 *   movable.h     blocks by handle, which may be compacted and laid out in an order of yours
 *   defragmentation.h  what is free but scattered goes back
 *   system.h      bring everything up and down
 *   error.h       what went wrong
 *   integrity.h   whether the heap is whole, and making it so
 *   recovery.h    when memory is short: retries, fallbacks, the program's error handler
 */
#ifndef NUMARENA_NUMARENA_H
#define NUMARENA_NUMARENA_H

#include <numarena/analysis.h>
#include <numarena/base.h>
#include <numarena/cache.h>
#include <numarena/compression.h>
#include <numarena/defragmentation.h>
#include <numarena/error.h>
#include <numarena/integrity.h>
#include <numarena/hints.h>
#include <numarena/indexed.h>
#include <numarena/kernels.h>
#include <numarena/memory.h>
#include <numarena/movable.h>
#include <numarena/optimization.h>
#include <numarena/metrics.h>
#include <numarena/placement.h>
#include <numarena/pool.h>
#include <numarena/profile.h>
#include <numarena/recovery.h>
#include <numarena/statistics.h>
#include <numarena/system.h>
#include <numarena/tracking.h>

#endif
