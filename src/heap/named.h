/* SPDX-License-Identifier: BSD-3-Clause */
/* What a named pool is made of, for named.c and groups.c, which own it, and for harden/, which looks at all metadata; others use the calls
 * of heap.h. See named.c. */
#ifndef NA_HEAP_NAMED_H
#define NA_HEAP_NAMED_H

#include "cache/cache.h"
#include "heap/groups.h"
#include "pool/pool.h"

#define NA_NAMED_MAGIC UINT32_C(0x6e616d70)

struct na_named {
	struct na_cache cache;
	struct na_pool pool;
	struct na_lock lock;
	uint32_t magic;
	uint32_t users; /* under the list's lock: threads that purge it, for whom its end waits */
	bool guarded;	/* of the hardened mode: see guard.h; set before the first block */
	bool merges;	/* its blocks may come to share pages: merging.h; relaxed */
	size_t alignment;
	int64_t peak;	 /* under lock */
	uint32_t caches; /* constant: 1; of groups NA_GROUP_CACHES */
	uint32_t hint;	 /* constant: of groups, packed; 0 in others */
	/* The caches, the first of which is `cache`; NULL: not made yet. Stored with release under lock, once; loaded with acquire. */
	_Atomic(struct na_cache *) more[NA_GROUP_CACHES];
	uintptr_t not_more[NA_GROUP_CACHES]; /* their complements, of those that are made; under lock */
	struct na_named *next;		     /* list of all live, under the list's lock */
};

struct na_named_list {
	struct na_lock lock;
	struct na_named *first;	 /* under lock: all live, linked by next */
	uint32_t count;		 /* under lock: how many */
	_Atomic uint32_t caches; /* how many they have beside the first ones; relaxed */
	struct na_arena arena;	 /* their structures */
};
extern struct na_named_list na_named_list;

static inline struct na_cache *na_named_cache(struct na_named *n, uint32_t i)
{
	return atomic_load_explicit(&n->more[i], memory_order_acquire);
}

/* Gives it its ith cache, set up. Under lock, or before anybody else knows the pool. */
static inline void na_named_add_cache(struct na_named *n, uint32_t i, struct na_cache *c)
{
	n->not_more[i] = ~(uintptr_t)c;
	atomic_store_explicit(&n->more[i], c, memory_order_release);
}

/* With memory of home's node. 0 or -ENOMEM. */
int na_named_make(const char *name, const struct na_pool *home, uint64_t limit, size_t alignment, uint32_t caches,
		  uint32_t hint, struct na_named **out);

#endif
