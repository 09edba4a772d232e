/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/request.h"

#include <errno.h>
#include <string.h>

#include "cache/traps.h"
#include "heap/groups.h"
#include "heap/guard.h"
#include "heap/heap.h"
#include "heap/hooks.h"
#include "heap/placed.h"
#include "heap/pressure.h"
#include "os/os.h"

struct na_failure *na_failure_here(void)
{
	struct na_cache *c = na_cache_here();

	return c ? &c->failure : NULL;
}

void na_request_was_zeroed(void)
{
	struct na_failure *f = na_failure_here();

	if (f)
		f->last.zero = true;
}

void na_failure_tell_slow(void)
{
	int saved = errno;

	/* In an MPI library's hook the program is not called: the next slow path does it. */
	if (!na_os_inside && __atomic_exchange_n(&na_cache_current->failure.corrupted, false, __ATOMIC_RELAXED) &&
	    na_heap_hooks.corrupted)
		na_heap_hooks.corrupted();
	errno = saved;
}

void *na_request_large(struct na_pool *pool, size_t size, size_t alignment, bool zero)
{
	uint64_t began = na_sample_clock();
	void *p = na_large_take(pool, size, alignment, zero);

	if (p)
		na_heap_took(p, na_span_of(p)->length, began);
	return p;
}

static void *try_small(unsigned int cls)
{
	struct na_cache *c = na_cache_here();
	void *p = c ? na_bin_pop(na_cache_out(c, cls)) : NULL;

	return p || !c ? p : na_cache_refill(c, cls);
}

static void *try_plain(const struct na_request *r)
{
	int cls = na_heap_class(r->alignment, r->size);
	void *p;

	if (na_guarded())
		return na_guard.attempt(r->size, r->alignment, r->zero);
	if (cls < 0)
		return na_request_large(na_pool_here(), r->size, r->alignment, r->zero);
	p = try_small((unsigned int)cls);
	return p && r->zero ? memset(p, 0, r->size) : p;
}

static void *try_placed(const struct na_request *r)
{
	struct na_wish wish = { .placement = (enum na_placed)r->placement,
				.node = r->node,
				.parts = r->parts,
				.strict = r->strict,
				.huge = r->huge,
				.alignment = r->alignment,
				.hint = r->hint };
	char why[200];
	void *p;

	return na_placed_try(r->size, &wish, &p, why) == 0 ? p : NULL;
}

void *na_request_try(const struct na_request *r)
{
	if (r->size > PTRDIFF_MAX)
		return NULL;
	switch (r->kind) {
	case NA_REQUEST_PLAIN:
		return try_plain(r);
	case NA_REQUEST_NAMED:
		return na_named_try(r->named, r->alignment, r->size);
	case NA_REQUEST_GROUP:
		return na_group_try(r->named, r->alignment, r->size);
	case NA_REQUEST_PLACED:
		return try_placed(r);
	default:
		return NULL;
	}
}

void *na_request_after_room(const struct na_request *r, uint64_t *freed)
{
	for (int tries = 0; tries < 3; tries++) {
		uint64_t bytes = na_recovery_try(r->size);
		void *p;

		*freed += bytes;
		if (!bytes)
			return NULL;
		p = na_request_try(r);
		if (p)
			return p;
	}
	return NULL;
}

/* All pools but the one here, by the distance of their nodes where it is known. */
static uint32_t other_pools(struct na_pool **out)
{
	struct na_pool *home = na_pool_here();
	int near[NA_MAX_POOLS];
	size_t known = na_os.nearest(home->node, near, NA_MAX_POOLS);
	uint32_t n = 0;

	for (size_t i = 0; i < known; i++) {
		struct na_pool *pool = na_pool_of_node(near[i]);

		if (pool && pool != home)
			out[n++] = pool;
	}
	for (uint32_t i = 0; i < na_pool_count; i++) {
		bool has = &na_pools[i] == home;

		for (uint32_t k = 0; k < n && !has; k++)
			has = out[k] == &na_pools[i];
		if (!has)
			out[n++] = &na_pools[i];
	}
	return n;
}

void *na_request_elsewhere(const struct na_request *r)
{
	struct na_pool *others[NA_MAX_POOLS];
	uint32_t count;

	if (r->kind != NA_REQUEST_PLAIN || r->size > PTRDIFF_MAX || na_pool_count < 2)
		return NULL;
	count = other_pools(others);
	for (uint32_t i = 0; i < count; i++) {
		/* A small one gets a slice of its own: the thread's cache has no stacks of that node. */
		void *p = na_request_large(others[i], r->size, r->alignment, r->zero);

		if (p)
			return p;
	}
	return NULL;
}

void *na_request_recover(const struct na_request *r)
{
	struct na_failure *f = na_failure_here();
	uint64_t freed = 0;
	void *p;

	if (f && f->quiet) {
		p = na_request_after_room(r, &freed);
	} else if (f && !f->busy && !na_os_inside && na_heap_hooks.exhausted) {
		f->busy = true;
		p = na_heap_hooks.exhausted(r);
		na_failure_here()->busy = false; /* the thread may have another cache by now */
	} else {
		p = na_request_after_room(r, &freed);
		if (!p)
			na_recovery_failed(r->size);
	}
	if (!p)
		errno = ENOMEM;
	na_maintenance_consider();
	return p;
}
