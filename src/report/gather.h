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

/* Bytes that live blocks were asked for with, estimated from samples (NA_UNKNOWN without), and of images of compressed blocks. */
void na_gather_amounts(uint64_t *requested, uint64_t *compressed);

/* Call stacks with the most bytes at the sampled peak. Asks the dynamic linker for names, which is slow: for each stack once. */
void na_gather_sites(struct na_breakdown *b);

#endif
