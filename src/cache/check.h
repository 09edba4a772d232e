/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Invariants 1 to 4 of doc/design/heap.md, for one span and for one cache. Each returns NULL, or what is
 * wrong. The caller holds the cache's lock and is its owner, or knows that the owner is at rest. Costs a
 * look at every slot; --enable-checks builds call them on every transition, tests in any build.
 */
#ifndef NA_CACHE_CHECK_H
#define NA_CACHE_CHECK_H

#include "cache/cache.h"
#include "config.h"

const char *na_span_check(const struct na_span *span);
const char *na_cache_check(const struct na_cache *c);

/* Ends the process, naming the place, if a check fails; nothing in ordinary builds. */
#if NA_CHECKS
void na_cache_enforce(const struct na_cache *c, const char *where);
#else
static inline void na_cache_enforce(const struct na_cache *c, const char *where)
{
	(void)c;
	(void)where;
}
#endif

#endif
