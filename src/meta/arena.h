/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for our own bookkeeping, apart from user data: a bump allocator with a free list for each
 * power of two from 64 bytes to 64 KiB. One arena for each pool, so that metadata lie on the
 * node they describe. Blocks are zeroed when new; a reused one has its old contents.
 * Any thread; takes the arena's lock; maps without it.
 */
#ifndef NA_META_ARENA_H
#define NA_META_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "os/lock.h"

#define NA_ARENA_LISTS 13 /* 64 bytes to 256 KiB: a thread cache on a machine of 64 nodes */

struct na_arena {
	struct na_lock lock;
	int node;   /* -1: do not bind; set before first use */
	char *next; /* under lock */
	char *end;  /* under lock */
	void *free[NA_ARENA_LISTS];
	void *chunks;		 /* under lock: all chunks, linked by their first word */
	_Atomic uint64_t mapped; /* bytes; relaxed */
};

/* At least `size` bytes (up to 256 KiB), 64-byte aligned
 * (128 from 128 bytes on); NULL without memory. *fresh tells whether
 * they are zero; it may be NULL. */
void *na_arena_take(struct na_arena *arena, size_t size, int *fresh);
void na_arena_give(struct na_arena *arena, void *block, size_t size);

/* Unmaps everything; nobody may use the arena or its blocks any more. */
void na_arena_release(struct na_arena *arena);

#endif
