/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Named pools: a pool of their own, and one cache that every thread shares under the named
 * pool's lock. Slower than the default pool (a lock a call), exact in its counts, and it can be
 * emptied at once. Lock order: named, then its cache, then its pool.
 *
 * A structure is reused after destroy, never unmapped; a magic word tells a live one.
 */
#include "heap/named.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "heap/heap.h"
#include "heap/pressure.h"
#include "heap/snapshot.h"
#include "os/os.h"

struct na_named_list na_named_list = { .arena = { .node = -1 } };

struct na_named *na_named_of(const struct na_pool *pool)
{
	return pool->named ? (struct na_named *)((char *)pool - offsetof(struct na_named, pool)) : NULL;
}

bool na_named_guarded(const struct na_named *named)
{
	return named->guarded;
}

bool na_named_valid(const struct na_named *named)
{
	/* A pointer that is not even aligned must not be read as one. */
	return named && (uintptr_t)named % alignof(struct na_named) == 0 && named->magic == NA_NAMED_MAGIC;
}

const char *na_named_name(const struct na_named *named)
{
	return named->pool.name;
}

int na_named_create(const char *name, int node, uint64_t limit, size_t alignment, struct na_named **out)
{
	struct na_pool *home;
	struct na_named *n;

	na_pools_boot();
	home = node < 0 ? na_pool_here() : na_pool_of_node(node);
	if (!home)
		return -EINVAL;
	n = na_arena_take(&na_named_list.arena, sizeof(*n), NULL);
	if (!n)
		return -ENOMEM;
	memset(n, 0, sizeof(*n));
	na_pool_init(&n->pool, home->node, home->bound);
	n->pool.named = true;
	n->pool.limit = limit;
	memcpy(n->pool.name, name, strlen(name) + 1);
	n->pool.seal = na_pool_sealing(&n->pool);
	na_cache_init(&n->cache, &n->pool, NA_CACHE_NAMED);
	n->alignment = alignment;
	n->magic = NA_NAMED_MAGIC;
	na_lock(&na_named_list.lock);
	n->next = na_named_list.first;
	na_named_list.first = n;
	na_named_list.count++;
	na_unlock(&na_named_list.lock);
	*out = n;
	return 0;
}

/* What the pool has: read under its own lock, for others free into it, and the maintenance thread purges it. */
struct holdings {
	uint64_t held, large_live, large_count, large_freed, large_reused, reserved;
};

static struct holdings holdings_of(struct na_named *n)
{
	struct na_pool *pool = &n->pool;
	struct holdings h;

	na_lock(&pool->lock);
	h = (struct holdings){ .held = (pool->used_slices + pool->dirty_slices) * NA_SLICE + pool->huge_bytes +
				       pool->huge_kept_bytes,
			       .large_live = pool->large_live,
			       .large_count = pool->large_count,
			       .large_freed = pool->large_freed,
			       .large_reused = pool->large_reused,
			       .reserved = pool->reserved };
	na_unlock(&pool->lock);
	return h;
}

static void *allocate_locked(struct na_named *n, size_t alignment, size_t size)
{
	size_t rounded = (size + alignment - 1) & ~(alignment - 1);
	int64_t bytes, live;
	void *p;

	if (size > PTRDIFF_MAX)
		return NULL;
	if (alignment <= NA_PAGE && rounded <= NA_SMALL_MAX) {
		unsigned int cls = alignment <= 16 ? na_class_of(size) : na_class_aligned(size, alignment);

		p = na_cache_take_one(&n->cache, cls);
		if (!p)
			return NULL;
		bytes = (int64_t)na_class_size(cls);
		live = atomic_fetch_add_explicit(&n->cache.published, bytes, memory_order_relaxed) + bytes;
	} else {
		p = na_large_take(&n->pool, size, alignment, false);
		if (!p)
			return NULL;
		bytes = (int64_t)na_span_of(p)->length;
		live = atomic_load_explicit(&n->cache.published, memory_order_relaxed);
	}
	na_live_add(bytes);
	live += (int64_t)holdings_of(n).large_live;
	if (live > n->peak)
		n->peak = live;
	__atomic_store_n(&n->allocations, n->allocations + 1, __ATOMIC_RELAXED);
	return p;
}

static void *allocate(struct na_named *n, size_t alignment, size_t size)
{
	void *p;

	na_lock(&n->lock);
	p = allocate_locked(n, alignment > n->alignment ? alignment : n->alignment, size);
	na_unlock(&n->lock);
	return p;
}

void *na_named_allocate_aligned(struct na_named *named, size_t alignment, size_t size)
{
	void *p;

	na_pressure_check(size);
	NA_RECOVER(p, size, allocate(named, alignment, size));
	if (!p)
		errno = ENOMEM;
	return p;
}

void *na_named_allocate(struct na_named *named, size_t size)
{
	return na_named_allocate_aligned(named, 16, size);
}

uint64_t na_named_limit(const struct na_named *named, uint64_t *used)
{
	*used = named->pool.used_slices * NA_SLICE + named->pool.huge_bytes;
	return named->pool.limit;
}

/* `work` on each pool, without a lock: the pool cannot go meanwhile, nor its place in the list. */
static uint64_t for_each(uint64_t (*work)(struct na_pool *, bool), bool all)
{
	uint64_t bytes = 0;

	na_lock(&na_named_list.lock);
	for (struct na_named *n = na_named_list.first; n; n = n->next) {
		n->users++;
		na_unlock(&na_named_list.lock);
		bytes += work(&n->pool, all);
		na_lock(&na_named_list.lock);
		n->users--;
	}
	na_unlock(&na_named_list.lock);
	return bytes;
}

static uint64_t release(struct na_pool *pool, bool all)
{
	(void)all;
	return na_pool_release(pool);
}

uint64_t na_named_purge(bool all)
{
	return for_each(na_pool_purge, all);
}

uint64_t na_named_release(void)
{
	return for_each(release, true);
}

void na_named_reset(struct na_named *named)
{
	int64_t live;

	na_lock(&named->lock);
	live = atomic_load_explicit(&named->cache.published, memory_order_relaxed) +
	       (int64_t)holdings_of(named).large_live;
	na_lock(&named->cache.lock);
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		struct na_kind *kind = &named->cache.kind[i];

		kind->held = kind->not_held = 0;
		kind->span = kind->partial = NULL;
	}
	atomic_store_explicit(&named->cache.queue, NULL, memory_order_relaxed);
	atomic_store_explicit(&named->cache.published, 0, memory_order_relaxed);
	na_unlock(&named->cache.lock);
	na_pool_reset(&named->pool);
	na_unlock(&named->lock);
	na_live_add(-live);
}

/* The segments themselves stay with the structure in the arena's care: address space only, and
 * the next named pool of any node cannot use them, so they are unmapped here. */
static void unmap_segments(struct na_pool *pool)
{
	for (uint32_t i = 0; i < pool->segments; i++) {
		struct na_segment *segment = pool->table[i >> NA_TABLE_SHIFT][i & ((1u << NA_TABLE_SHIFT) - 1)].segment;

		na_map_clear(segment);
		na_os.unmap((void *)segment->base, segment->length);
	}
}

/* Out of the list, once nobody is at work on the pool. */
static void unlist(struct na_named *named)
{
	struct na_named **link;

	na_lock(&na_named_list.lock);
	while (named->users) {
		na_unlock(&na_named_list.lock);
		sched_yield();
		na_lock(&na_named_list.lock);
	}
	for (link = &na_named_list.first; *link && *link != named; link = &(*link)->next)
		;
	if (*link) {
		*link = named->next;
		na_named_list.count--;
	}
	named->magic = 0;
	named->pool.seal = 0; /* so that no repair takes it for a live one */
	na_unlock(&na_named_list.lock);
}

void na_named_destroy(struct na_named *named)
{
	unlist(named);
	na_named_reset(named);
	unmap_segments(&named->pool);
	na_arena_release(&named->pool.arena);
	na_arena_give(&na_named_list.arena, named, sizeof(*named));
}

/* Under the lock. What is live now may be more than ever: a large block of the pool's may have grown meanwhile. */
static uint64_t note_peak(struct na_named *n)
{
	int64_t live = atomic_load_explicit(&n->cache.published, memory_order_relaxed);

	live += (int64_t)holdings_of(n).large_live;
	if (live > n->peak)
		n->peak = live;
	return (uint64_t)live;
}

void na_named_grew(struct na_named *named)
{
	na_lock(&named->lock);
	note_peak(named);
	na_unlock(&named->lock);
}

/* Blocks that went back: all that were given but those that are out. */
static uint64_t releases(struct na_named *n, const struct holdings *h)
{
	int64_t live = (int64_t)(h->large_count - h->large_freed);

	na_lock(&n->cache.lock);
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		live += n->cache.kind[i].held;
	na_unlock(&n->cache.lock);
	return __atomic_load_n(&n->allocations, __ATOMIC_RELAXED) - (uint64_t)live;
}

void na_named_figures(struct na_named *named, struct na_named_figures *out)
{
	struct holdings h;

	na_lock(&named->lock);
	h = holdings_of(named);
	out->releases = releases(named, &h);
	out->live = note_peak(named);
	out->peak = (uint64_t)named->peak;
	out->held = h.held;
	out->allocations = named->allocations;
	out->node = named->pool.node;
	out->name = named->pool.name;
	na_unlock(&named->lock);
}

void na_named_snapshot(struct na_snapshot *out)
{
	na_lock(&na_named_list.lock);
	for (struct na_named *n = na_named_list.first; n; n = n->next) {
		struct holdings h = holdings_of(n);
		uint64_t live =
			(uint64_t)atomic_load_explicit(&n->cache.published, memory_order_relaxed) + h.large_live;

		out->allocations += __atomic_load_n(&n->allocations, __ATOMIC_RELAXED);
		out->releases += releases(n, &h);
		out->large_live_bytes += h.large_live;
		out->large_allocations += h.large_count;
		out->large_reused += h.large_reused;
		out->live_bytes += live;
		out->held_bytes += h.held;
		out->reserved_bytes += h.reserved;
		out->metadata_bytes += atomic_load_explicit(&n->pool.arena.mapped, memory_order_relaxed);
		for (uint32_t i = 0; i < out->node_count; i++)
			if (out->nodes[i].node == n->pool.node) {
				out->nodes[i].live_bytes += live;
				out->nodes[i].held_bytes += h.held;
				out->nodes[i].reserved_bytes += h.reserved;
			}
	}
	na_unlock(&na_named_list.lock);
}

void na_named_residency(struct na_snapshot *out, bool *nodes_known,
			void (*locate)(struct na_pool *, struct na_node_figures *, bool *))
{
	na_lock(&na_named_list.lock);
	for (struct na_named *n = na_named_list.first; n; n = n->next)
		for (uint32_t i = 0; i < out->node_count; i++)
			if (out->nodes[i].node == n->pool.node)
				locate(&n->pool, &out->nodes[i], nodes_known);
	na_unlock(&na_named_list.lock);
}

/* fork holds every lock of every named pool: the list's, so that none is made or ended, then theirs in lock order. */
void na_named_before_fork(void)
{
	na_lock(&na_named_list.lock);
	for (struct na_named *n = na_named_list.first; n; n = n->next) {
		na_lock(&n->lock);
		na_lock(&n->cache.lock);
		na_lock(&n->pool.lock);
		na_lock(&n->pool.arena.lock);
	}
	na_lock(&na_named_list.arena.lock);
}

void na_named_after_fork(bool child)
{
	void (*const leave)(struct na_lock *) = child ? na_lock_reset : na_unlock;

	leave(&na_named_list.arena.lock);
	for (struct na_named *n = na_named_list.first; n; n = n->next) {
		if (child)
			n->users = 0;
		leave(&n->pool.arena.lock);
		leave(&n->pool.lock);
		leave(&n->cache.lock);
		leave(&n->lock);
	}
	leave(&na_named_list.lock);
}
