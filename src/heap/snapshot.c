/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/snapshot.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "cache/traps.h"
#include "heap/heap.h"
#include "os/hugepages.h"
#include "os/os.h"

static uint64_t take(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static struct na_node_figures *figures_of(struct na_snapshot *out, const struct na_pool *pool)
{
	return &out->nodes[pool - na_pools];
}

static void add_cache(struct na_snapshot *out, struct na_cache *c, int64_t node_live[NA_MAX_POOLS])
{
	int64_t bytes = 0;

	/* So that no stack moves to another place. That of threads without a cache has none, and fork does not know its lock. */
	if (c->pool)
		na_lock(&c->lock);
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		uint64_t given = take(&na_cache_out(c, i)->word) >> 16;
		int64_t live = (int64_t)take((const uint64_t *)&c->kind[i].held) - na_cache_depth(c, i);

		out->class_allocations[i] += given;
		out->class_live_blocks[i] += (uint64_t)live; /* of one cache it may be negative */
		out->allocations += given;
		out->releases += given - (uint64_t)live;
		bytes += live * (int64_t)na_class_size(i);
	}
	if (c->pool)
		na_unlock(&c->lock);
	out->cache_refills += take(&c->refills);
	out->remote_releases += take(&c->remote);
	if (c->pool)
		node_live[c->pool - na_pools] += bytes;
	for (uint32_t i = 0; i < na_pool_count; i++) {
		int64_t away = atomic_load_explicit(&c->away[i], memory_order_relaxed);

		node_live[i] -= away;
		if (c->pool)
			node_live[c->pool - na_pools] += away;
	}
	if (atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_RUNNING && c->pool)
		out->thread_caches++;
}

/* Blocks that are samples; see cache/traps.h. */
static void add_sampled(struct na_snapshot *out, struct na_cache *c, int64_t *node_live)
{
	if (!c)
		return;
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		uint64_t given = take(&c->out[i].word) >> 16, live = take((const uint64_t *)&c->kind[i].held);

		out->class_allocations[i] += given;
		out->class_live_blocks[i] += live;
		out->allocations += given;
		out->releases += given - live;
		*node_live += (int64_t)(live * na_class_size(i));
	}
}

static void add_pool(struct na_snapshot *out, struct na_pool *pool, int64_t small_live)
{
	struct na_node_figures *f = figures_of(out, pool);

	na_lock(&pool->lock);
	f->live_bytes = (small_live > 0 ? (uint64_t)small_live : 0) + pool->large_live;
	f->dirty_bytes = pool->dirty_slices * NA_SLICE + pool->huge_kept_bytes;
	f->held_bytes = pool->used_slices * NA_SLICE + pool->huge_bytes + f->dirty_bytes;
	f->reserved_bytes = pool->reserved;
	out->large_allocations += pool->large_count;
	out->large_reused += pool->large_reused;
	out->large_live_bytes += pool->large_live;
	out->allocations += pool->large_count;
	out->releases += pool->large_freed;
	na_unlock(&pool->lock);
	f->node = pool->node;
	f->resident_bytes = f->misplaced_bytes = f->huge_bytes = NA_UNKNOWN;
	out->live_bytes += f->live_bytes;
	out->held_bytes += f->held_bytes;
	out->dirty_bytes += f->dirty_bytes;
	out->reserved_bytes += f->reserved_bytes;
	out->metadata_bytes += atomic_load_explicit(&pool->arena.mapped, memory_order_relaxed);
}

void na_heap_snapshot(struct na_snapshot *out)
{
	int64_t node_live[NA_MAX_POOLS] = { 0 };
	int64_t peak;

	_Static_assert(NA_CLASSES <= NA_MAX_CLASSES && NA_MAX_POOLS <= NA_MAX_NODES, "a snapshot has room");
	na_pools_boot();
	memset(out, 0, sizeof(*out));
	out->class_count = NA_CLASSES;
	out->node_count = na_pool_count;
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		out->class_size[i] = na_class_size(i);
	add_cache(out, &na_cache_none, node_live);
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all)
		add_cache(out, c, node_live);
	for (uint32_t i = 0; i < na_pool_count; i++) {
		add_sampled(out, na_sampled_cache(i), &node_live[i]);
		add_pool(out, &na_pools[i], node_live[i]);
	}
	na_named_snapshot(out);
	peak = atomic_load_explicit(&na_live_peak, memory_order_relaxed);
	out->peak_bytes = peak > (int64_t)out->live_bytes ? (uint64_t)peak : out->live_bytes;
	if ((int64_t)out->live_bytes > peak) /* what caches had not published yet */
		atomic_store_explicit(&na_live_peak, (int64_t)out->live_bytes, memory_order_relaxed);
	out->maintenance_ns = na_maintenance_ns();
	out->system_calls = na_os_calls();
	out->purged_bytes = atomic_load_explicit(&na_pool_purged, memory_order_relaxed);
}

#define CHUNK_PAGES 512

static _Atomic bool no_scan; /* the kernel has no PAGEMAP_SCAN; relaxed */

static void scan_huge(uintptr_t base, size_t length, struct na_node_figures *f)
{
	uint64_t bytes;

	if (atomic_load_explicit(&no_scan, memory_order_relaxed))
		return;
	if (na_hugepages_in(base, length, &bytes) < 0)
		atomic_store_explicit(&no_scan, true, memory_order_relaxed);
	else
		f->huge_bytes += bytes;
}

/* Where the pages of a range lie. move_pages() tells the node, mincore() only whether they are there. */
static void locate(uintptr_t base, size_t length, int node, struct na_node_figures *f, bool *nodes_known)
{
	void *pages[CHUNK_PAGES];
	int status[CHUNK_PAGES];
	unsigned char map[CHUNK_PAGES];

	scan_huge(base, length, f);
	for (size_t done = 0; done < length; done += CHUNK_PAGES * NA_PAGE) {
		size_t left = (length - done) / NA_PAGE, n = left < CHUNK_PAGES ? left : CHUNK_PAGES;

		if (na_os.resident((void *)(base + done), n * NA_PAGE, map) < 0)
			continue;
		for (size_t i = 0; i < n; i++)
			f->resident_bytes += (map[i] & 1) ? NA_PAGE : 0;
		if (!*nodes_known || na_pool_count == 1 || node < 0)
			continue;
		for (size_t i = 0; i < n; i++)
			pages[i] = (void *)(base + done + i * NA_PAGE);
		if (na_os.locate(pages, status, n) < 0) {
			*nodes_known = false;
			continue;
		}
		for (size_t i = 0; i < n; i++)
			f->misplaced_bytes += status[i] >= 0 && status[i] != node ? NA_PAGE : 0;
	}
}

#define RANGES 64

struct range {
	uintptr_t base;
	size_t length;
	int node; /* where its pages shall be; -1: on several */
};

/* Up to RANGES huge blocks of a list, from the `skip`th on. */
static size_t copy_ranges(struct na_pool *pool, struct na_segment **list, size_t skip, struct range *out)
{
	size_t n = 0;

	na_lock(&pool->lock);
	for (struct na_segment *s = *list; s && n < RANGES; s = s->next) {
		if (skip) {
			skip--;
			continue;
		}
		out[n++] = (struct range){ s->base, s->committed,
					   s->placement.kind ? na_placement_home(&s->placement) : pool->node };
	}
	na_unlock(&pool->lock);
	return n;
}

/* The pool's ith segment, of no length if it was given back; false past the last. */
static bool segment_range(struct na_pool *pool, uint32_t i, struct range *out)
{
	struct na_segment *s = NULL;

	na_lock(&pool->lock);
	if (i < pool->segments) {
		s = pool->table[i >> NA_TABLE_SHIFT][i & ((1u << NA_TABLE_SHIFT) - 1)].segment;
		*out = (struct range){ s->base, s->length, pool->node };
	}
	na_unlock(&pool->lock);
	return s != NULL;
}

/* A segment or a huge block may go while we ask: then the kernel says that nothing is mapped there, and it counts for nothing. */
static void locate_pool(struct na_pool *pool, struct na_node_figures *f, bool *nodes_known)
{
	struct na_segment **lists[] = { &pool->huge_live, &pool->huge_kept };
	struct range ranges[RANGES];
	int64_t shared = atomic_load_explicit(&pool->shared, memory_order_relaxed);

	for (uint32_t i = 0; segment_range(pool, i, ranges); i++)
		locate(ranges[0].base, ranges[0].length, pool->node, f, nodes_known);
	for (size_t list = 0; list < 2; list++)
		for (size_t skip = 0, n = RANGES; n == RANGES; skip += n) {
			n = copy_ranges(pool, lists[list], skip, ranges);
			for (size_t i = 0; i < n; i++)
				locate(ranges[i].base, ranges[i].length, ranges[i].node, f, nodes_known);
		}
	/* Memory that several addresses show was counted for each. */
	f->resident_bytes -= shared > 0 && (uint64_t)shared < f->resident_bytes ? (uint64_t)shared : 0;
}

/* Mappings of ours, by the pool that has them. Another's that is one with ours in the kernel's eyes counts as ours: where
 * PAGEMAP_SCAN is missing, that is all that can be had. */
static void add_huge(uintptr_t start, uint64_t bytes, void *closure)
{
	struct na_snapshot *out = closure;
	struct na_block block;

	if (!na_heap_find((const void *)start, &block))
		return;
	for (uint32_t i = 0; i < out->node_count; i++)
		if (out->nodes[i].node == block.pool->node)
			out->nodes[i].huge_bytes += bytes;
}

/* What ranges could not be asked for one by one. */
static void find_huge(struct na_snapshot *out)
{
	if (!atomic_load_explicit(&no_scan, memory_order_relaxed))
		return;
	for (uint32_t i = 0; i < out->node_count; i++)
		out->nodes[i].huge_bytes = 0;
	if (na_hugepages_of_maps(add_huge, out) == 0)
		return;
	for (uint32_t i = 0; i < out->node_count; i++)
		out->nodes[i].huge_bytes = NA_UNKNOWN;
}

void na_heap_residency(struct na_snapshot *out)
{
	static _Atomic bool told;
	bool nodes_known = true;

	na_heap_snapshot(out);
	for (uint32_t i = 0; i < na_pool_count; i++) {
		out->nodes[i].resident_bytes = out->nodes[i].misplaced_bytes = out->nodes[i].huge_bytes = 0;
		locate_pool(&na_pools[i], &out->nodes[i], &nodes_known);
	}
	na_named_residency(out, &nodes_known, locate_pool);
	find_huge(out);
	if (nodes_known)
		return;
	for (uint32_t i = 0; i < na_pool_count; i++)
		out->nodes[i].misplaced_bytes = NA_UNKNOWN;
	if (!atomic_exchange_explicit(&told, true, memory_order_relaxed))
		na_log(NA_LOG_WARNING,
		       "the kernel does not tell where pages lie (move_pages): misplaced memory is unavailable");
}
