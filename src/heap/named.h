/* SPDX-License-Identifier: BSD-3-Clause */
/* What a named pool is made of, for named.c and groups.c alone; others use the calls of heap.h. */
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
	uint32_t users; /* under list_lock: threads that purge it, for whom its end waits */
	size_t alignment;
	int64_t peak;	 /* under lock */
	uint32_t caches; /* constant: 1; of groups NA_GROUP_CACHES */
	uint32_t hint;	 /* constant: of groups, packed; 0 in others */
	/* The caches, the first of which is `cache`; NULL: not made yet. Stored with release under lock, once; loaded with acquire. */
	_Atomic(struct na_cache *) more[NA_GROUP_CACHES];
	struct na_named *next; /* list of all live, under list_lock */
};

static inline struct na_cache *na_named_cache(struct na_named *n, uint32_t i)
{
	return atomic_load_explicit(&n->more[i], memory_order_acquire);
}

/* With memory of home's node. 0 or -ENOMEM. */
int na_named_make(const char *name, const struct na_pool *home, uint64_t limit, size_t alignment, uint32_t caches,
		  uint32_t hint, struct na_named **out);

#endif
