/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This process's breakdown, from the heap and from tracking into its record. At the record's updates only, under the lock of process.c, whose
 * static memory it shares the fate of. Takes locks of tracking, caches and pools, one at a time; never allocates; about 10 us in a process of few threads.
 */
#ifndef NA_REPORT_GATHER_H
#define NA_REPORT_GATHER_H

#include "heap/snapshot.h"
#include "report/breakdown.h"

/* Updates `b`, which holds what it was at the last update (all zero at first): peaks and pools that are gone are kept. `now` was just taken. */
void na_gather(struct na_breakdown *b, const struct na_snapshot *now);

#endif
