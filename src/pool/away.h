/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Live large blocks some of whose pages an upper layer keeps elsewhere (compression/raw.h). It must hear of a block that is about to be
 * freed, resized or moved, before anything is done to it: with contents the pages are brought back, else they are forgotten; after that they are the
 * block's own again, and charged. Not under any lock.
 *
 * While no block is kept so this is a load in the slow path of large blocks.
 */
#ifndef NA_POOL_AWAY_H
#define NA_POOL_AWAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct na_away {
	_Atomic uint64_t blocks; /* release by who adds one; acquire here, so that `back` is seen */
	_Atomic uint64_t bytes;	 /* of pages that are elsewhere, which na_pool_held does not count; relaxed */
	void (*back)(void *block, bool contents);
};
extern struct na_away na_away;

static inline void na_away_end(void *block, bool contents)
{
	if (__builtin_expect(atomic_load_explicit(&na_away.blocks, memory_order_acquire) != 0, 0))
		na_away.back(block, contents);
}

#endif
