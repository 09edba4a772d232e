/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A few pages that the job's processes on this machine share while they run: a file in the job's runtime folder that each maps before
 * it checks in there (share.c), so that it is one file for all, and gone from the folder once the last has. Zero at first; whoever
 * uses it does so by atomics alone, and takes nothing in it for granted. A process without others has none.
 * Private to topology/ and its tests; na_topology_board() is for all.
 */
#ifndef NA_TOPOLOGY_BOARD_H
#define NA_TOPOLOGY_BOARD_H

#include "topology/rundir.h"

/* Maps it; that it cannot be had is no error. By one thread at a time. */
void na_board_open(const struct na_rundir *folder);

#endif
