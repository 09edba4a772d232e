/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/beyond.h"

#include <errno.h>
#include <string.h>

#include "heap/heap.h"
#include "os/limit.h"

#define SLACK ((uint64_t)4 << 20)

static struct na_named *_Atomic beyond; /* release: once; acquire: any thread */
static _Atomic bool open_now;		/* relaxed: a setting */

int na_beyond_open(void)
{
	struct na_named *n = atomic_load_explicit(&beyond, memory_order_acquire), *none = NULL;
	int rc;

	if (!n) {
		rc = na_named_create_beyond("system", &n);
		if (rc < 0)
			return rc;
		if (!atomic_compare_exchange_strong_explicit(&beyond, &none, n, memory_order_acq_rel,
							     memory_order_acquire))
			na_named_destroy(n); /* another thread was first */
	}
	atomic_store_explicit(&open_now, true, memory_order_relaxed);
	return 0;
}

void na_beyond_close(void)
{
	atomic_store_explicit(&open_now, false, memory_order_relaxed);
}

static bool room_for(uint64_t size)
{
	uint64_t all, held = atomic_load_explicit(&na_pool_held, memory_order_relaxed);
	struct na_limits_memory m;

	na_limits_memory(&m);
	all = m.group < m.physical ? m.group : m.physical;
	return !(size >> 46) && (m.room == NA_LIMIT_NONE || size + SLACK <= m.room) &&
	       (all == NA_LIMIT_NONE || held + size + SLACK <= all);
}

void *na_beyond_allocate(size_t size, size_t alignment, bool zero)
{
	struct na_named *n = atomic_load_explicit(&beyond, memory_order_acquire);
	void *p;

	if (!n || !atomic_load_explicit(&open_now, memory_order_relaxed) || !room_for(size))
		return NULL;
	p = na_named_try(n, alignment, size);
	return p && zero ? memset(p, 0, size) : p;
}

bool na_beyond_may_grow(size_t size, size_t old)
{
	return size <= old || (atomic_load_explicit(&open_now, memory_order_relaxed) && room_for(size - old));
}

bool na_beyond_owns(const struct na_named *named)
{
	return named && named == atomic_load_explicit(&beyond, memory_order_acquire);
}

uint64_t na_beyond_bytes(void)
{
	return atomic_load_explicit(&na_pool_beyond, memory_order_relaxed);
}
