/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What compressing or restoring a piece needs besides the piece: buffers and LZ4's state, 700 KiB of addresses of which a restoration
 * touches 88 KiB. Too much for a thread's stack, and it may not come from malloc: there are a few, mapped when first needed, each with a
 * lock. Who finds all taken waits for one; who finds that no more can be mapped shares those that there are.
 *
 * The first is there, and touched, from na_workspace_start() on, so that restoring never fails for want of memory. The thread that answers
 * page faults has one of its own (back.c). None is ever given back but by na_workspace_stop(), when nobody uses any.
 *
 * A lock is held for a piece, up to some milliseconds (LZ4HC). No other lock is taken by who holds one.
 */
#ifndef NA_COMPRESSION_WORKSPACE_H
#define NA_COMPRESSION_WORKSPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "compression/lz4_calls.h"
#include "compression/planes.h"

#define NA_PIECE ((size_t)64 << 10)
#define NA_SLACK 4096 /* lengths of planes, a tail, and what packing a plane may take more than it has */
#define NA_PARTS (NA_DELTAS_BLOCK + NA_SLACK) /* of `deltas`: what a restoration unpacks to */

struct na_workspace {
	uint8_t planes[NA_PIECE + NA_SLACK];
	uint8_t deltas[NA_PIECE]; /* of a sample; what LZ4 makes of a plane; parts of planes when restoring */
	uint8_t out[2][NA_PIECE + NA_SLACK]; /* payloads; two, where two filters compete */
	uint8_t piece[NA_PIECE];	     /* for who restores to elsewhere */
	uint8_t sample[NA_PIECE / 8];
	uint8_t state[NA_LZ4_STATE] __attribute__((aligned(64)));
	uint8_t high[NA_LZ4HC_STATE] __attribute__((aligned(64)));
};

/* 0 or -ENOMEM. */
int na_workspace_start(void);
void na_workspace_stop(void);

/* One that is the caller's until it is given back. Only after na_workspace_start() succeeded. */
struct na_workspace *na_workspace_take(void);
void na_workspace_give(struct na_workspace *w);

/* One that is never another's: NULL without memory. */
struct na_workspace *na_workspace_make(void);
void na_workspace_drop(struct na_workspace *w);

/* Bytes mapped for all. */
uint64_t na_workspace_bytes(void);

/* fork: all are taken, and given back in the parent; a child resets the locks. */
void na_workspace_before_fork(void);
void na_workspace_after_fork(bool child);

#endif
