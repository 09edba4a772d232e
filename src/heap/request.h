/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that failed: what was asked for, kept so that it can be asked for again, by another way and by the program itself.
 *
 * The slow paths try once on their own; when there is nothing, they come to na_request_recover() with what was asked. It makes
 * room and tries again, or leaves that to recovery/, a layer above, through na_heap_hooks.exhausted: retries with delay, other
 * nodes, memory beyond the limits, the program's handler. Here are the ways to serve a request; which are tried, and in which order,
 * is decided there.
 *
 * Any thread, with no lock of ours held. Nothing here is on a path that succeeds.
 */
#ifndef NA_HEAP_REQUEST_H
#define NA_HEAP_REQUEST_H

#include "cache/cache.h"

/* More than any machine has: nothing helps, and nobody need be told. */
#define NA_ABSURD(size) ((size) >> 46)

static inline struct na_request na_request_plain(size_t size, size_t alignment, bool zero)
{
	return (struct na_request){ .kind = NA_REQUEST_PLAIN, .size = size, .alignment = alignment, .zero = zero };
}

/* The block at last, or NULL with ENOMEM: everything that may be done was. */
void *na_request_recover(const struct na_request *r);

/* One more attempt of the kind that failed; makes no room but what the pools do on their own. NULL without memory. */
void *na_request_try(const struct na_request *r);

/* Makes room as long as that helps, up to three times, and tries again after each. *freed grows by the bytes that went back. */
void *na_request_after_room(const struct na_request *r, uint64_t *freed);

/* From the pool of another node, nearest first; PLAIN ones only. */
void *na_request_elsewhere(const struct na_request *r);

/* A large block of the default pool, as na_large_take(), counted as live. */
void *na_request_large(struct na_pool *pool, size_t size, size_t alignment, bool zero);

/* What is remembered of the calling thread; NULL if there is no memory even for its cache. */
struct na_failure *na_failure_here(void);

/* The last request of this thread was of calloc's kind. */
void na_request_was_zeroed(void);

/* Tells the program's handler of corruption that was reported on this thread: called where no lock is held. */
void na_failure_tell_slow(void);
static inline void na_failure_tell(void)
{
	if (__builtin_expect(__atomic_load_n(&na_cache_current->failure.corrupted, __ATOMIC_RELAXED), 0))
		na_failure_tell_slow();
}

#endif
