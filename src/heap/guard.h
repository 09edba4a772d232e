/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hardened mode's hold on the heap. With the setting `harden` caches have no stacks, so that every malloc and free comes to the slow
 * paths, which ask here: harden/guard.c defines the table, so that it is there from the first allocation on, long before any
 * constructor. Without the setting nothing of it is called.
 */
#ifndef NA_HEAP_GUARD_H
#define NA_HEAP_GUARD_H

#include "base/options.h"
#include "heap/heap.h"

struct na_guard {
	/* As na_heap_allocate_aligned. */
	void *(*allocate)(size_t size, size_t alignment, bool zero);
	/* The same, once and no more: for request.c. */
	void *(*attempt)(size_t size, size_t alignment, bool zero);
	/* A block of `capacity` bytes was just taken of a guarded pool, whose lock is held: whoever looks at all blocks then holds it too. */
	void (*taken)(void *p, size_t capacity);
	void *(*resize)(void *p, size_t size, const void *caller);
	/* 0: done, or told and done nothing; -EINVAL, where `caller` is NULL: told, and the caller counts it. -ENOENT: none of the
	 * guarded blocks (of a named pool, say), to be freed as usual. */
	int (*release)(void *p, const void *caller);
	/* As na_heap_find; false: none of the guarded blocks. */
	bool (*find)(const void *p, struct na_block *out);
};

extern const struct na_guard na_guard;

static inline bool na_guarded(void)
{
	return __builtin_expect(na_options.harden != 0, 0);
}

#endif
