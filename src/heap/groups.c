/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/groups.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/options.h"
#include "cache/traps.h"
#include "heap/heap.h"
#include "heap/merging.h"
#include "heap/named.h"
#include "heap/pressure.h"
#include "heap/request.h"
#include "os/os.h"

/* release: once each; acquire: any thread. Pages of what is not used are never touched. */
static struct na_named *_Atomic groups[NA_MAX_POOLS][NA_HINT_KINDS];

bool na_group_is(const struct na_named *named)
{
	return named->caches > 1;
}

bool na_group_known(const struct na_named *named, uint32_t *hint)
{
	for (uint32_t i = 0; i < na_pool_count; i++)
		for (uint32_t k = 0; k < NA_HINT_KINDS; k++)
			if (atomic_load_explicit(&groups[i][k], memory_order_relaxed) == named) {
				*hint = k;
				return true;
			}
	return false;
}

uint32_t na_group_hint(const struct na_pool *pool)
{
	const struct na_named *named = na_named_of(pool);

	return named ? named->hint : 0;
}

struct na_pool *na_group_pool(struct na_named *group)
{
	return &group->pool;
}

/* For reports: "long low sequential fixed". */
static void name_of(uint32_t packed, char *out, size_t capacity)
{
	static const char *const access[] = { "", " sequential", " random", " strided", " read-mostly" };
	static const char *const lifetime[] = { "medium", "short", "long", "permanent" };
	static const char *const priority[] = { "", " low", " high" };
	struct na_hint h = na_hint_unpack(packed);

	if (packed == 0)
		na_format(out, capacity, "placed");
	else
		na_format(out, capacity, "%s%s%s%s", lifetime[h.lifetime], priority[h.priority], access[h.access],
			  h.no_move ? " fixed" : "");
}

struct na_named *na_group_of(const struct na_pool *home, uint32_t hint)
{
	struct na_named *_Atomic *place = &groups[home - na_pools][hint];
	struct na_named *n = atomic_load_explicit(place, memory_order_acquire), *none = NULL;
	char name[32];

	if (n)
		return n;
	name_of(hint, name, sizeof(name));
	if (na_named_make(name, home, 0, 16, NA_GROUP_CACHES, hint, &n) < 0)
		return NULL;
	n->cache.merges = na_merging_takes_part(n);
	if (!atomic_compare_exchange_strong_explicit(place, &none, n, memory_order_acq_rel, memory_order_acquire)) {
		na_named_destroy(n); /* another thread was first */
		n = none;
	}
	return n;
}

/* Under the group's lock, which fork holds: it finds all caches that there are. */
static struct na_cache *add_cache(struct na_named *n, uint32_t i)
{
	struct na_cache *c = na_arena_take(&n->pool.arena, sizeof(*c), NULL), *there;

	if (!c)
		return na_named_cache(n, 0);
	memset(c, 0, sizeof(*c));
	na_cache_init(c, &n->pool, NA_CACHE_NAMED);
	c->merges = na_merging_takes_part(n);
	na_lock(&n->lock);
	there = na_named_cache(n, i);
	if (!there) {
		na_named_add_cache(n, i, c);
		atomic_fetch_add_explicit(&na_named_list.caches, 1, memory_order_relaxed);
	}
	na_unlock(&n->lock);
	if (!there)
		return c;
	na_arena_give(&n->pool.arena, c, sizeof(*c));
	return there;
}

static struct na_cache *cache_here(struct na_named *n)
{
	struct na_cache *own = na_cache_here(), *c;
	uint32_t i = own ? own->number % NA_GROUP_CACHES : 0;

	c = na_named_cache(n, i);
	return c ? c : add_cache(n, i);
}

static void *take(struct na_named *n, size_t alignment, size_t size)
{
	uint64_t began = na_sample_clock();
	size_t bytes;
	void *p;

	if (alignment <= NA_PAGE && ((size + alignment - 1) & ~(alignment - 1)) <= NA_SMALL_MAX) {
		unsigned int cls = alignment <= 16 ? na_class_of(size) : na_class_aligned(size, alignment);

		p = na_cache_take_one(cache_here(n), cls);
		bytes = na_class_size(cls);
	} else {
		p = na_large_take(&n->pool, size, alignment, false);
		bytes = p ? na_span_of(p)->length : 0;
	}
	if (p)
		na_heap_took(p, bytes, began);
	return p;
}

/* Blocks with hints are pool blocks: aligned as these are, also when they are resized. */
void *na_group_try(struct na_named *group, size_t alignment, size_t size)
{
	size_t least = group->hint ? __atomic_load_n(&na_options.alignment, __ATOMIC_RELAXED) : 16;

	return size <= PTRDIFF_MAX ? take(group, alignment > least ? alignment : least, size) : NULL;
}

void *na_group_allocate(struct na_named *group, size_t alignment, size_t size)
{
	struct na_request r = { .kind = NA_REQUEST_GROUP, .size = size, .alignment = alignment, .named = group };
	void *p;

	na_pressure_check(size);
	p = na_group_try(group, alignment, size);
	if (!p)
		return na_request_recover(&r);
	na_maintenance_consider();
	return p;
}
