/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The heap's counts split by size class and by thread, and their sums: what statistics and phases are made of. Each walks
 * all thread caches under their locks, one at a time, as na_heap_snapshot() does, and costs as much; other threads
 * run on, so their figures are as of some moment during the call. Any thread; never allocates.
 */
#ifndef NA_HEAP_FIGURES_H
#define NA_HEAP_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include "cache/cache.h"

/* Since the start. Bytes in sizes of blocks; of a large block that is resized what it grows or shrinks by. */
struct na_totals {
	uint64_t allocations, releases, allocated_bytes, released_bytes;
};
void na_heap_totals(struct na_totals *out);

struct na_class_figures {
	uint64_t size; /* of a block; 0: large blocks, which have their own */
	uint64_t allocations, live_blocks, live_bytes;
};

/* NA_CLASSES classes and the large blocks, named pools and samples included. */
void na_heap_classes(struct na_class_figures out[NA_CLASSES + 1]);

/* The same from a snapshot that was just taken. */
struct na_snapshot;
void na_heap_classes_of(const struct na_snapshot *s, struct na_class_figures out[NA_CLASSES + 1]);

/* Adds a class of a cache that counts in `out`: a named pool's. Under its lock. */
static inline void na_class_add(struct na_class_figures *f, const struct na_cache *c, unsigned int cls)
{
	uint64_t live = (uint64_t)__atomic_load_n(&c->kind[cls].held, __ATOMIC_RELAXED);

	f->allocations += __atomic_load_n(&c->out[cls].word, __ATOMIC_RELAXED) >> 16;
	f->live_blocks += live;
	f->live_bytes += live * na_class_size(cls);
}

/* Allocations from each pool and from named pools of its node, in the order of na_pools; since the start. */
void na_heap_nodes(uint64_t out[NA_MAX_POOLS]);

struct na_thread_figures {
	int32_t thread; /* the kernel's number; 0: all that have ended, or have no cache */
	int32_t node;	/* of its cache's pool; -1 for those */
	struct na_totals totals;
};

/* Threads that run, then one entry for the rest. How many entries there are. */
size_t na_heap_threads(struct na_thread_figures *out, size_t capacity);

/* The same one by one, with no lock held. */
void na_heap_each_thread(void (*visit)(const struct na_thread_figures *, void *), void *closure);

#endif
