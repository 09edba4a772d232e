/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups: blocks of one node that were given the same hints. A group is a named pool of numarena's own, so its spans and runs hold
 * blocks of no other hints, and the pool that a block lies in is the record of what was said about it. There is one for each
 * node and kind of hints that was ever asked for, made at the first use and never ended. Placed blocks without hints
 * have the group 0 of their node.
 *
 * Threads share a group's caches (up to 16; which is the thread's follows from the number of its own cache), each with its own lock
 * that is held for one block's slot and never over a system call. Neither malloc nor free looks at any of this: ids of
 * such spans are 0, which takes free to its slow path (cache/cache.h).
 *
 * Any thread, no lock of ours held. Cost: an allocation or a free is a lock and two counters that all threads share.
 */
#ifndef NA_HEAP_GROUPS_H
#define NA_HEAP_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_GROUP_CACHES 16

/* The first of each is what nobody has said anything about. */
enum na_lifetime { NA_LIFETIME_MEDIUM, NA_LIFETIME_SHORT, NA_LIFETIME_LONG, NA_LIFETIME_PERMANENT };
enum na_priority { NA_PRIORITY_NORMAL, NA_PRIORITY_LOW, NA_PRIORITY_HIGH };
enum na_access { NA_ACCESS_DEFAULT, NA_ACCESS_SEQUENTIAL, NA_ACCESS_RANDOM, NA_ACCESS_STRIDED, NA_ACCESS_READ_MOSTLY };

struct na_hint {
	enum na_access access;
	enum na_lifetime lifetime;
	enum na_priority priority;
	bool no_move;
};

/* Packed: a number below NA_HINT_KINDS; 0 without hints. */
#define NA_HINT_KINDS 256
static inline uint32_t na_hint_pack(struct na_hint h)
{
	return (uint32_t)h.access | (uint32_t)h.lifetime << 3 | (uint32_t)h.priority << 5 | (uint32_t)h.no_move << 7;
}

static inline struct na_hint na_hint_unpack(uint32_t packed)
{
	return (struct na_hint){ (enum na_access)(packed & 7), (enum na_lifetime)(packed >> 3 & 3),
				 (enum na_priority)(packed >> 5 & 3), packed >> 7 & 1 };
}

/* Whether large blocks of the kind get huge pages: from NA_HINT_HUGE bytes on. */
#define NA_HINT_HUGE ((size_t)2 << 20)
static inline bool na_hint_huge(uint32_t packed)
{
	uint32_t access = packed & 7;

	return access == NA_ACCESS_SEQUENTIAL || access == NA_ACCESS_RANDOM || access == NA_ACCESS_STRIDED;
}

struct na_named;
struct na_pool;

/* The group; NULL without memory. */
struct na_named *na_group_of(const struct na_pool *home, uint32_t hint);

/* A block of it; NULL with ENOMEM. */
void *na_group_allocate(struct na_named *group, size_t alignment, size_t size);
/* The same, once and no more: for request.c. */
void *na_group_try(struct na_named *group, size_t alignment, size_t size);

/* The pool for mappings of their own whose blocks shall be of the group. */
struct na_pool *na_group_pool(struct na_named *group);

bool na_group_is(const struct na_named *named);

/* Whether it is one of the groups, and of which hints, whatever it says itself: for repairs. */
bool na_group_known(const struct na_named *named, uint32_t *hint);

/* What was said about the blocks of a pool; 0 in all but groups. */
uint32_t na_group_hint(const struct na_pool *pool);

#endif
