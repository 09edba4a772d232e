/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Named pools: a pool of their own, and one cache that every thread shares under the named
 * pool's lock. Slower than the default pool (a lock a call), exact in its counts, and it can be
 * emptied at once. Lock order: named, then its caches, then its pool. Groups (groups.h) are named pools too, with several caches
 * and no lock of their own on the way; here is what they have in common.
 *
 * A structure is reused after destroy, never unmapped; a magic word tells a live one.
 */
#include "heap/named.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "cache/traps.h"
#include "heap/figures.h"
#include "heap/groups.h"
#include "heap/guard.h"
#include "heap/heap.h"
#include "heap/merging.h"
#include "heap/named.h"
#include "heap/pressure.h"
#include "heap/request.h"
#include "heap/snapshot.h"
#include "os/os.h"

struct na_named_list na_named_list = { .arena = { .node = -1 } };

/* What pools counted that are no more, all of it given back; under the list's lock. */
static struct {
	uint64_t by_class[NA_CLASSES + 1], by_node[NA_MAX_POOLS], all, reused;
} ended;

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

int na_named_make(const char *name, const struct na_pool *home, uint64_t limit, size_t alignment, uint32_t caches,
		  uint32_t hint, struct na_named **out)
{
	struct na_named *n = na_arena_take(&na_named_list.arena, sizeof(*n), NULL);

	if (!n)
		return -ENOMEM;
	memset(n, 0, sizeof(*n));
	na_pool_init(&n->pool, home->node, home->bound);
	n->pool.named = true;
	n->pool.limit = limit;
	memcpy(n->pool.name, name, strlen(name) + 1);
	n->pool.seal = na_pool_sealing(&n->pool);
	na_cache_init(&n->cache, &n->pool, NA_CACHE_NAMED);
	na_named_add_cache(n, 0, &n->cache);
	n->caches = caches;
	n->hint = hint;
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

int na_named_create(const char *name, int node, uint64_t limit, size_t alignment, struct na_named **out)
{
	struct na_pool *home;

	na_pools_boot();
	home = node < 0 ? na_pool_here() : na_pool_of_node(node);
	return home ? na_named_make(name, home, limit, alignment, 1, 0, out) : -EINVAL;
}

int na_named_create_beyond(const char *name, struct na_named **out)
{
	int rc = na_named_create(name, -1, 0, 16, out);

	if (rc == 0) {
		na_lock(&na_named_list.lock); /* so that no survey sees the one without the other */
		(*out)->pool.beyond = true;   /* before it has its first block */
		(*out)->pool.seal = na_pool_sealing(&(*out)->pool);
		na_unlock(&na_named_list.lock);
	}
	return rc;
}

/* Bytes in small blocks. */
static int64_t small_live(struct na_named *n)
{
	int64_t live = 0;

	for (uint32_t i = 0; i < n->caches; i++) {
		struct na_cache *c = na_named_cache(n, i);

		live += c ? atomic_load_explicit(&c->published, memory_order_relaxed) : 0;
	}
	return live;
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

static void *allocate_locked(struct na_named *n, size_t alignment, size_t size, size_t *taken)
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
	} else {
		p = na_large_take(&n->pool, size, alignment, false);
		if (!p)
			return NULL;
		bytes = (int64_t)na_span_of(p)->length;
	}
	*taken = (size_t)bytes;
	live = atomic_load_explicit(&n->cache.published, memory_order_relaxed) + (int64_t)holdings_of(n).large_live;
	if (live > n->peak)
		n->peak = live;
	return p;
}

void *na_named_try(struct na_named *n, size_t alignment, size_t size)
{
	uint64_t began = na_sample_clock();
	size_t taken;
	void *p;

	na_lock(&n->lock);
	p = allocate_locked(n, alignment > n->alignment ? alignment : n->alignment, size, &taken);
	if (p && n->guarded)
		na_guard.taken(p, taken);
	na_unlock(&n->lock);
	if (p)
		na_heap_took(p, taken, began);
	return p;
}

void *na_named_allocate_aligned(struct na_named *named, size_t alignment, size_t size)
{
	struct na_request r = { .kind = NA_REQUEST_NAMED, .size = size, .alignment = alignment, .named = named };
	void *p;

	if (named->caches > 1)
		return na_group_allocate(named, alignment, size);
	na_pressure_check(size);
	p = na_named_try(named, alignment, size);
	return p ? p : na_request_recover(&r);
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

bool na_named_is_full(const struct na_named *named, uint64_t size)
{
	uint64_t used, limit = na_named_limit(named, &used);

	return limit && (size > limit || used + size > limit - limit % NA_SLICE);
}

uint64_t na_named_each(uint64_t (*work)(struct na_pool *, void *), void *closure)
{
	uint64_t bytes = 0;

	na_lock(&na_named_list.lock);
	for (struct na_named *n = na_named_list.first; n; n = n->next) {
		n->users++;
		na_unlock(&na_named_list.lock);
		bytes += work(&n->pool, closure);
		na_lock(&na_named_list.lock);
		n->users--;
	}
	na_unlock(&na_named_list.lock);
	return bytes;
}

static uint64_t release(struct na_pool *pool, void *unused)
{
	(void)unused;
	return na_pool_release(pool);
}

/* Its caches' locks are never held over a call of the system, so an MPI library's hook may come here. */
static uint64_t purge(struct na_pool *pool, void *all)
{
	struct na_named *n = na_named_of(pool);

	for (uint32_t i = 0; i < n->caches; i++)
		if (na_named_cache(n, i))
			na_cache_tidy_shared(na_named_cache(n, i), *(bool *)all);
	return na_pool_purge(pool, *(bool *)all);
}

uint64_t na_named_purge(bool all)
{
	na_merging_restore();
	return na_named_each(purge, &all);
}

uint64_t na_named_release(void)
{
	return na_named_each(release, NULL);
}

/* Blocks of the small classes that a cache gave; see na_cache_take_one(). */
static uint64_t given_by(struct na_cache *c)
{
	uint64_t given = 0;

	for (unsigned int i = 0; i < NA_CLASSES; i++)
		given += __atomic_load_n(&c->out[i].word, __ATOMIC_RELAXED) >> 16;
	return given;
}

static uint64_t allocations(struct na_named *n, const struct holdings *h)
{
	uint64_t count = h->large_count;

	for (uint32_t i = 0; i < n->caches; i++)
		if (na_named_cache(n, i))
			count += given_by(na_named_cache(n, i));
	return count;
}

/* Blocks that went back: all that were given but those that are out. */
static uint64_t releases(struct na_named *n, const struct holdings *h)
{
	uint64_t count = h->large_freed;

	for (uint32_t k = 0; k < n->caches; k++) {
		struct na_cache *c = na_named_cache(n, k);

		if (!c)
			continue;
		na_lock(&c->lock);
		count += given_by(c);
		for (unsigned int i = 0; i < NA_CLASSES; i++)
			count -= (uint64_t)c->kind[i].held;
		na_unlock(&c->lock);
	}
	return count;
}

void na_named_reset(struct na_named *named)
{
	bool merges = na_merging_takes_part(named);
	struct holdings h;
	uint64_t blocks;
	int64_t live;

	if (atomic_load_explicit(&na_sample_hooked, memory_order_acquire))
		na_sample_hooks.emptied(&named->pool);
	if (merges) {
		na_lock(&na_merging_lock);
		na_merging_drop(named);
	}
	na_lock(&named->lock);
	h = holdings_of(named);
	blocks = allocations(named, &h) - releases(named, &h);
	live = atomic_load_explicit(&named->cache.published, memory_order_relaxed) + (int64_t)h.large_live;
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
	if (merges)
		na_unlock(&na_merging_lock);
	na_pool_purge(&named->pool, true);
	na_live_add(-live);
	na_cache_count_given(blocks, (uint64_t)live);
}

/* Addresses that the system does not take back stay, as nobody's, and without pages if it takes these. */
static void give_up(struct na_segment *segment)
{
	na_map_clear(segment);
	if (segment->length && na_os.unmap((void *)segment->base, segment->length) < 0 && !segment->hugetlb)
		na_os.purge((void *)segment->base, segment->length);
}

/* The segments themselves stay with the structure in the arena's care: address space only, and
 * the next named pool of any node cannot use them, so they are unmapped here. What could not be purged before goes
 * with them, and counts no more. */
static void unmap_segments(struct na_pool *pool)
{
	for (uint32_t i = 0; i < pool->segments; i++) {
		struct na_segment *segment = pool->table[i >> NA_TABLE_SHIFT][i & ((1u << NA_TABLE_SHIFT) - 1)].segment;

		give_up(segment);
	}
	for (struct na_segment *s = pool->huge_kept; s; s = s->next)
		give_up(s);
	na_pool_refund(pool,
		       (pool->used_slices + pool->dirty_slices) * NA_SLICE + pool->huge_bytes + pool->huge_kept_bytes);
}

/* Under the list's lock. */
static void keep_counts(struct na_named *n)
{
	struct holdings h = holdings_of(n);

	for (unsigned int i = 0; i < NA_CLASSES; i++)
		ended.by_class[i] += n->cache.out[i].word >> 16;
	ended.by_class[NA_CLASSES] += h.large_count;
	ended.reused += h.large_reused;
	ended.all += allocations(n, &h);
	for (uint32_t i = 0; i < na_pool_count; i++)
		if (na_pools[i].node == n->pool.node)
			ended.by_node[i] += allocations(n, &h);
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
	keep_counts(named);
	named->magic = 0;
	named->pool.seal = 0; /* so that no repair takes it for a live one */
	na_unlock(&na_named_list.lock);
}

void na_named_destroy(struct na_named *named)
{
	unlist(named);
	na_named_reset(named);
	unmap_segments(&named->pool);
	if (na_merging_takes_part(named)) {
		na_lock(&na_merging_lock);
		na_merging_forget(named);
		na_unlock(&na_merging_lock);
	}
	na_arena_release(&named->pool.arena);
	na_arena_give(&na_named_list.arena, named, sizeof(*named));
}

/* Under the lock. What is live now may be more than ever: a large block of the pool's may have grown meanwhile. */
static uint64_t note_peak(struct na_named *n)
{
	int64_t live = small_live(n) + (int64_t)holdings_of(n).large_live;

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

void na_named_figures(struct na_named *named, struct na_named_figures *out)
{
	struct holdings h;

	na_lock(&named->lock);
	h = holdings_of(named);
	out->releases = releases(named, &h);
	out->live = note_peak(named);
	out->peak = (uint64_t)named->peak;
	out->held = h.held;
	out->allocations = allocations(named, &h);
	out->node = named->pool.node;
	memcpy(out->name, named->pool.name, sizeof(out->name));
	na_unlock(&named->lock);
}

void na_named_snapshot(struct na_snapshot *out)
{
	na_lock(&na_named_list.lock);
	out->allocations += ended.all;
	out->releases += ended.all;
	out->large_allocations += ended.by_class[NA_CLASSES];
	out->large_reused += ended.reused;
	for (struct na_named *n = na_named_list.first; n; n = n->next) {
		struct holdings h = holdings_of(n);
		uint64_t live = (uint64_t)small_live(n) + h.large_live;

		out->allocations += allocations(n, &h);
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
	out->metadata_bytes += atomic_load_explicit(&na_named_list.arena.mapped, memory_order_relaxed);
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
		for (uint32_t i = 0; i < n->caches; i++) /* under the lock none is added */
			if (na_named_cache(n, i))
				na_lock(&na_named_cache(n, i)->lock);
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
		for (uint32_t i = n->caches; i-- > 0;)
			if (na_named_cache(n, i))
				leave(&na_named_cache(n, i)->lock);
		leave(&n->lock);
	}
	leave(&na_named_list.lock);
}

void na_named_classes(struct na_class_figures *out)
{
	na_lock(&na_named_list.lock);
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		out[i].allocations += ended.by_class[i];
	for (struct na_named *n = na_named_list.first; n; n = n->next) {
		for (uint32_t k = 0; k < n->caches; k++) {
			struct na_cache *c = na_named_cache(n, k);

			if (!c)
				continue;
			na_lock(&c->lock);
			for (unsigned int i = 0; i < NA_CLASSES; i++)
				na_class_add(&out[i], c, i);
			na_unlock(&c->lock);
		}
		na_lock(&n->pool.lock);
		out[NA_CLASSES].live_blocks += n->pool.large_count - n->pool.large_freed;
		na_unlock(&n->pool.lock);
	}
	na_unlock(&na_named_list.lock);
}

void na_named_visit(void (*visit)(const struct na_named *, const struct na_named_figures *, void *), void *closure)
{
	struct na_named_figures f = { .node = -1 };

	na_lock(&na_named_list.lock);
	f.allocations = f.releases = ended.all;
	visit(NULL, &f, closure);
	for (struct na_named *n = na_named_list.first; n; n = n->next) {
		na_named_figures(n, &f);
		visit(n, &f, closure);
	}
	na_unlock(&na_named_list.lock);
}

void na_named_nodes(uint64_t *counts)
{
	na_lock(&na_named_list.lock);
	for (uint32_t i = 0; i < na_pool_count; i++)
		counts[i] += ended.by_node[i];
	for (struct na_named *n = na_named_list.first; n; n = n->next) {
		struct holdings h = holdings_of(n);

		for (uint32_t i = 0; i < na_pool_count; i++)
			if (na_pools[i].node == n->pool.node)
				counts[i] += allocations(n, &h);
	}
	na_unlock(&na_named_list.lock);
}
