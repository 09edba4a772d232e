/* SPDX-License-Identifier: BSD-3-Clause */
/* What a named pool is made of, for heap/named.c, which owns it, and for harden/, which looks at all metadata. See named.c. */
#ifndef NA_HEAP_NAMED_H
#define NA_HEAP_NAMED_H

#include "cache/cache.h"

#define NA_NAMED_MAGIC UINT32_C(0x6e616d70)

struct na_named {
	struct na_cache cache;
	struct na_pool pool;
	struct na_lock lock;
	uint32_t magic;
	uint32_t users; /* under list_lock: threads that purge it, for whom its end waits */
	bool guarded;	/* of the hardened mode: see guard.h; set before the first block */
	size_t alignment;
	uint64_t allocations;  /* under lock */
	int64_t peak;	       /* under lock */
	struct na_named *next; /* list of all live, under list_lock */
};

struct na_named_list {
	struct na_lock lock;
	struct na_named *first; /* under lock: all live, linked by next */
	uint32_t count;		/* under lock: how many */
	struct na_arena arena;	/* their structures */
};
extern struct na_named_list na_named_list;

#endif
