/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/placed.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "heap/heap.h"
#include "os/os.h"
#include "topology/topology.h"

#define WHY 200

static struct na_named *_Atomic small_pools[NA_MAX_POOLS]; /* release: once each; acquire: any thread */
static _Atomic uint32_t turn;				   /* relaxed: of small interleaved blocks */

static struct na_named *small_pool_of(struct na_pool *pool)
{
	size_t i = (size_t)(pool - na_pools);
	struct na_named *n = atomic_load_explicit(&small_pools[i], memory_order_acquire), *none = NULL;

	if (n)
		return n;
	if (na_named_create("placed", pool->node, 0, 16, &n) < 0)
		return NULL;
	if (!atomic_compare_exchange_strong_explicit(&small_pools[i], &none, n, memory_order_acq_rel,
						     memory_order_acquire)) {
		na_named_destroy(n); /* another thread was first */
		n = none;
	}
	return n;
}

static void *from_pool(struct na_pool *pool, size_t size, const struct na_wish *wish)
{
	struct na_named *n;
	void *p;

	if (size > NA_SMALL_MAX || wish->alignment > NA_PAGE) {
		p = na_large_take(pool, size, wish->alignment, false);
		if (p)
			na_live_add((int64_t)na_span_of(p)->length);
		return p;
	}
	n = small_pool_of(pool);
	/* Slots of a named pool of alignment 16 are aligned to a power of two if their size is a multiple of it. */
	return n ? na_named_allocate(n, (size + wish->alignment - 1) & ~(wish->alignment - 1)) : NULL;
}

/* Room for what shall be strictly there, and then some that the kernel keeps free. */
static int strict_room(int node, size_t size, char *why)
{
	uint64_t room = na_os_node_free(node), reserve = na_os_node_memory(node) / 64;

	if (room == 0 || size + reserve <= room)
		return 0;
	na_format(why, WHY, "node %d has %llu MiB free, and %zu MiB shall lie there strictly", node,
		  (unsigned long long)(room >> 20), size >> 20);
	return -ENOMEM;
}

/* Touches all pages, and takes none that lies elsewhere. */
static int strict_check(void *p, size_t size, int node, char *why)
{
	struct na_whereabouts where;
	int rc;

	for (size_t at = 0; at < size; at += NA_PAGE)
		((volatile char *)p)[at] = 0;
	rc = na_placed_where(p, &where);
	if (rc < 0) {
		na_format(why, WHY, "the kernel does not tell where pages lie (error %d), so strictness cannot be held",
			  -rc);
		return -EPERM;
	}
	if (where.misplaced == 0)
		return 0;
	na_format(why, WHY, "%llu KiB of %zu came to lie off node %d", (unsigned long long)(where.misplaced >> 10),
		  size >> 10, node);
	return -ENOMEM;
}

static int on_node(int node, size_t size, const struct na_wish *wish, void **out, char *why)
{
	struct na_pool *pool = na_pool_of_node(node);
	int rc = 0;
	void *p;

	if (!pool) {
		na_format(why, WHY, "node %d has no memory that this process may use", node);
		return -EINVAL;
	}
	if (wish->strict)
		rc = strict_room(node, size, why);
	if (rc < 0)
		return rc;
	p = from_pool(pool, size, wish);
	if (!p) {
		na_format(why, WHY, "no memory");
		return -ENOMEM;
	}
	if (wish->strict && na_pool_count > 1)
		rc = strict_check(p, size, node, why);
	if (rc < 0) {
		na_heap_release_checked(p);
		return rc;
	}
	*out = p;
	return 0;
}

static uint32_t allowed_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

/* NULL if it is not to be had, or another machine's: its numbers mean nothing to this kernel. */
static const struct na_topology *topology(void)
{
	static _Atomic bool told;
	const struct na_topology *t = NULL;

	if (na_topology_get(&t) < 0)
		return NULL;
	if (t->real)
		return t;
	if (!atomic_exchange_explicit(&told, true, memory_order_relaxed))
		na_log(NA_LOG_WARNING,
		       "hwloc's topology is not this machine's (HWLOC_SYNTHETIC, HWLOC_XMLFILE): memory is "
		       "placed by the kernel's nodes, without CPUs, bandwidth and capacity");
	return NULL;
}

/* Pools of nodes with CPUs, or all if the topology is not to be had. */
static void usual_nodes(struct na_placement *p)
{
	const struct na_topology *t = topology();

	for (uint32_t i = 0; i < na_pool_count && p->count < NA_PLACEMENT_NODES; i++) {
		const struct na_topology_node *n = t ? na_topology_node(t, na_pools[i].node) : NULL;

		if (!n || n->cpu_count > 0)
			p->nodes[p->count++] = (int16_t)na_pools[i].node;
	}
	if (p->count == 0)
		p->nodes[p->count++] = (int16_t)na_pools[0].node;
}

/* Of small interleaved blocks. */
static int next_node(void)
{
	struct na_placement p = { 0 };

	usual_nodes(&p);
	return p.nodes[atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % p.count];
}

static int spread(size_t size, const struct na_wish *wish, void **out, char *why)
{
	static _Atomic bool told;
	struct na_placement p = { .kind = wish->placement == NA_INTERLEAVED ? NA_PLACED_INTERLEAVED
									    : NA_PLACED_PARTITIONED,
				  .huge = wish->huge };
	int refused = 0;

	usual_nodes(&p);
	p.parts = wish->parts ? wish->parts : allowed_cpus();
	*out = na_large_take_placed(na_pool_here(), size, wish->alignment, &p, &refused);
	if (!*out) {
		na_format(why, WHY, "no memory");
		return -ENOMEM;
	}
	na_live_add((int64_t)na_span_of(*out)->length);
	if (na_pool_count == 1) /* there is nowhere else */
		refused = 0;
	if (refused && wish->strict) {
		na_heap_release_checked(*out);
		na_format(why, WHY, "the kernel refuses to place memory (mbind: error %d)", -refused);
		return -EPERM;
	}
	if (refused && !atomic_exchange_explicit(&told, true, memory_order_relaxed))
		na_log(NA_LOG_WARNING,
		       "memory cannot be spread over nodes (mbind: error %d): pages go where they are first touched",
		       -refused);
	return 0;
}

/* From the topology's attributes: the node of most bandwidth as seen from here, or of the largest memory; among equals the nearest
 * for bandwidth, for capacity the slowest, which others need least. -1: no attributes. */
static int best_node(bool bandwidth)
{
	const struct na_topology *t = topology();
	int here = na_os.current_node(), best = -1;
	uint64_t most = 0, most_second = 0;
	int32_t from;

	if (!t || here < 0 || (uint32_t)here >= t->node_slots)
		return -1;
	from = t->node_position[here];
	if (from < 0 || (bandwidth && !t->bandwidth))
		return -1;
	for (uint32_t to = 0; to < t->node_count; to++) {
		uint32_t speed = t->bandwidth ? t->bandwidth[(uint32_t)from * t->node_count + to] : 0;
		uint64_t first, second;

		if (!na_pool_of_node(t->nodes[to].os_index) || (bandwidth && speed == NA_TOPOLOGY_UNKNOWN))
			continue;
		first = bandwidth ? speed : t->nodes[to].memory >> 20;
		second = bandwidth ? 1000000 - t->distance[(uint32_t)from * t->node_count + to] : UINT32_MAX - speed;
		if (best < 0 || first > most || (first == most && second > most_second)) {
			best = t->nodes[to].os_index;
			most = first;
			most_second = second;
		}
	}
	return best;
}

static int by_attribute(bool bandwidth, size_t size, const struct na_wish *wish, void **out, char *why)
{
	static _Atomic bool told;
	int node = na_pool_count > 1 ? best_node(bandwidth) : na_pools[0].node;

	if (node < 0) {
		if (!atomic_exchange_explicit(&told, true, memory_order_relaxed))
			na_log(NA_LOG_INFO, "this machine does not tell the %s of its nodes: memory is placed locally",
			       bandwidth ? "bandwidth" : "capacity");
		node = na_pool_here()->node;
	}
	return on_node(node, size, wish, out, why);
}

int na_placed_allocate(size_t size, const struct na_wish *wish, void **out, char *why)
{
	na_pools_boot();
	if (size > PTRDIFF_MAX) {
		na_format(why, WHY, "%zu bytes are more than there are addresses", size);
		return -ENOMEM;
	}
	switch (wish->placement) {
	case NA_ON_NODE:
		return on_node(wish->node, size, wish, out, why);
	case NA_BANDWIDTH:
	case NA_CAPACITY:
		return by_attribute(wish->placement == NA_BANDWIDTH, size, wish, out, why);
	case NA_INTERLEAVED:
	case NA_PARTITIONED:
		if (size >= NA_SLICE)
			return spread(size, wish, out, why);
		if (wish->placement == NA_INTERLEAVED)
			return on_node(next_node(), size, wish, out, why);
		break;
	default:
		break;
	}
	/* A thread's cache may still have blocks of the node where it was before. */
	if (wish->strict || na_pool_count > 1)
		return on_node(na_pool_here()->node, size, wish, out, why);
	*out = na_heap_allocate_aligned(wish->alignment, size, false);
	if (*out)
		return 0;
	na_format(why, WHY, "no memory");
	return -ENOMEM;
}

void *na_placed_again(const struct na_block *block, size_t size)
{
	struct na_segment *segment = na_span_segment(block->span);
	int refused;
	void *p = na_large_take_placed(block->pool, size, NA_PAGE, &segment->placement, &refused);

	if (p)
		na_live_add((int64_t)na_span_of(p)->length);
	return p;
}

#define CHUNK 512

/* The node that a page shall be on, or -1 for any of the placement's. */
static int wanted_node(const struct na_block *block, size_t offset)
{
	const struct na_placement *p = &na_span_segment(block->span)->placement;

	return p->kind ? na_placement_node(p, block->size, offset) : block->pool->node;
}

static bool is_misplaced(const struct na_block *block, size_t offset, int node)
{
	const struct na_placement *p = &na_span_segment(block->span)->placement;
	int wanted = wanted_node(block, offset);

	if (wanted >= 0)
		return node != wanted;
	for (uint16_t i = 0; i < p->count; i++)
		if (p->nodes[i] == node)
			return false;
	return true;
}

int na_placed_where(const void *p, struct na_whereabouts *out)
{
	struct na_block block;
	uintptr_t from, end;

	if (!na_heap_find(p, &block) || !block.live)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	from = block.start & ~(NA_PAGE - 1);
	end = block.start + block.size;
	while (from < end) {
		void *pages[CHUNK];
		int status[CHUNK];
		size_t n = 0;
		int rc;

		for (; n < CHUNK && from < end; n++, from += NA_PAGE)
			pages[n] = (void *)from;
		rc = na_os.locate(pages, status, n);
		if (rc < 0)
			return rc;
		for (size_t i = 0; i < n; i++) {
			uintptr_t page = (uintptr_t)pages[i];

			if (status[i] < 0 || status[i] >= 1024)
				continue;
			out->resident += NA_PAGE;
			out->on[status[i]] += NA_PAGE;
			if (is_misplaced(&block, page < block.start ? 0 : page - block.start, status[i]))
				out->misplaced += NA_PAGE;
		}
	}
	return 0;
}

size_t na_placed_cut(size_t length, uint32_t parts, uint32_t part, bool huge)
{
	struct na_placement p = { .kind = NA_PLACED_PARTITIONED, .huge = huge, .parts = parts };

	return na_placement_cut(&p, length, part);
}
