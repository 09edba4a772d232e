/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numarena: a NUMA-aware memory allocator for HPC. This header includes every area; the MPI
 * layer's, <numarena/mpi.h>, stands apart because it needs <mpi.h>.
 *
 *   pool.h        allocate_from_pool, return_to_pool, named pools
 *   memory.h      the C library's allocation calls under names of their own
 *   placement.h   blocks on nodes of your choice
 *   statistics.h  what is live, peak, physical, and on which node
 *   tracking.h    time series and tighter peaks
 *   system.h      bring everything up and down
 *   error.h       what went wrong
 *   integrity.h   whether the heap is whole, and making it so
 */
#ifndef NUMARENA_NUMARENA_H
#define NUMARENA_NUMARENA_H

#include <numarena/base.h>
#include <numarena/error.h>
#include <numarena/integrity.h>
#include <numarena/memory.h>
#include <numarena/placement.h>
#include <numarena/pool.h>
#include <numarena/statistics.h>
#include <numarena/system.h>
#include <numarena/tracking.h>

#endif
