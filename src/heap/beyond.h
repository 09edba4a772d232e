/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory from the system beyond the pools' limits, for programs that would rather pass total_size than be refused
 * (FALLBACK_SYSTEM_ALLOC). The blocks are those of a pool of their own, a named one that nobody can name, whose memory na_pool_limit does
 * not count: so free, realloc, allocation_size, statistics, purging and fork know them as any other's. Why not libc's malloc: where ours
 * stands in for it there is none, and else its blocks would be foreign pointers to the map.
 *
 * What bounds it is the machine and the cgroup: past these comes not ENOMEM but the OOM killer. Pages that are promised and were never
 * touched are in neither's figures, so they are held against our own count too.
 *
 * Any thread, no lock held.
 */
#ifndef NA_HEAP_BEYOND_H
#define NA_HEAP_BEYOND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct na_named;

/* Makes the pool: better now than when memory is short. 0 or -ENOMEM. Allowed from then on. */
int na_beyond_open(void);
/* No more from now on. What is out stays good until it is freed. */
void na_beyond_close(void);

/* NULL if it is closed, or the machine or the cgroup has no room. */
void *na_beyond_allocate(size_t size, size_t alignment, bool zero);
/* Whether a block of it may be resized there. */
bool na_beyond_may_grow(size_t size, size_t old);

bool na_beyond_owns(const struct na_named *named);
/* Bytes held there now. */
uint64_t na_beyond_bytes(void);

#endif
