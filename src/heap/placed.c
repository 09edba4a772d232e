/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/placed.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "cache/traps.h"
#include "heap/groups.h"
#include "heap/heap.h"
#include "heap/placed_nodes.h"
#include "heap/pressure.h"
#include "heap/request.h"
#include "os/os.h"

#define WHY	      200
#define HUGE_PAGE     ((size_t)2 << 20)
#define MOST_MAPPINGS 32768 /* of vm.max_map_count, 65530 by default, for blocks with a mapping of their own */

static _Atomic uint32_t turn; /* relaxed: of small interleaved blocks */

static int no_memory(size_t size, char *why)
{
	na_recovery_why(size, why, WHY);
	return -ENOMEM;
}

/* -EAGAIN: there are too many mappings already. Blocks with hints lie in their group's pool: that is the record of them. */
static int take_mapping(struct na_pool *pool, size_t size, const struct na_wish *wish, const struct na_placement *p,
			void **out, int *refused)
{
	struct na_named *group = wish->hint ? na_group_of(pool, wish->hint) : NULL;
	uint64_t began = na_sample_clock();

	if (wish->hint && !group)
		return -ENOMEM;
	if (group)
		pool = na_group_pool(group);
	if (atomic_load_explicit(&na_pool_mappings, memory_order_relaxed) * na_placement_mappings(p) >= MOST_MAPPINGS)
		return -EAGAIN;
	na_pressure_check(size);
	NA_RECOVER(*out, size, na_large_take_placed(pool, size, wish->alignment, p, refused));
	if (!*out)
		return -ENOMEM;
	na_heap_took(*out, na_span_of(*out)->length, began);
	return 0;
}

static int take_on_node(int node, size_t size, const struct na_wish *wish, void **out)
{
	struct na_placement p = {
		.kind = NA_PLACED_PARTITIONED, .huge = wish->huge, .count = 1, .parts = 1, .nodes = { (int16_t)node }
	};
	struct na_pool *pool = na_pool_of_node(node);
	struct na_named *n;
	int rc = -EAGAIN, refused = 0;

	if (pool && na_pool_count == 1 && !wish->hint && !(wish->huge && size >= HUGE_PAGE)) {
		*out = na_heap_allocate_aligned(wish->alignment, size, false);
		return *out ? 0 : -ENOMEM;
	}
	if (!pool || (wish->huge && size >= HUGE_PAGE))
		rc = take_mapping(pool ? pool : na_pool_near(node), size, wish, &p, out, &refused);
	/* That mbind is refused is said once for the pool's segments, which meet it as well. */
	if (rc != -EAGAIN || !pool)
		return rc;
	n = na_group_of(pool, wish->hint);
	*out = n ? na_group_allocate(n, wish->alignment, size) : NULL;
	return *out ? 0 : -ENOMEM;
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
	if (size)
		((volatile char *)p)[size - 1] = 0; /* on a page more, where p is in the middle of one */
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

static int strictly_on_node(int node, size_t size, const struct na_wish *wish, void **out, char *why)
{
	int rc = strict_room(node, size, why);

	if (rc < 0)
		return rc;
	rc = take_on_node(node, size, wish, out);
	if (rc < 0)
		return no_memory(size, why);
	if (na_pool_count > 1)
		rc = strict_check(*out, size, node, why);
	if (rc < 0)
		na_heap_release_checked(*out);
	return rc;
}

static int on_node(int node, size_t size, const struct na_wish *wish, void **out, char *why)
{
	struct na_pool *pool = na_pool_of_node(node);
	int rc;

	if (!na_placed_allowed(node)) {
		na_format(why, WHY, "node %d has no memory that this process may use", node);
		return -EINVAL;
	}
	if (!pool && size < NA_SLICE) {
		na_format(why, WHY, "node %d is beyond the first %d: blocks there are of 64 KiB at least", node,
			  NA_MAX_POOLS);
		return -EINVAL;
	}
	if (!wish->strict)
		return take_on_node(node, size, wish, out) < 0 ? no_memory(size, why) : 0;
	rc = strictly_on_node(node, size, wish, out, why);
	if (rc != -ENOMEM)
		return rc;
	/* What we keep for reuse takes room there, or is of the time when the node was full, and lies elsewhere. */
	na_pool_purge(pool ? pool : na_pool_near(node), true);
	na_named_purge(true);
	return strictly_on_node(node, size, wish, out, why);
}

/* Of small interleaved blocks. */
static int next_node(void)
{
	struct na_placement p = { 0 };

	na_placed_usual_nodes(&p);
	return p.nodes[atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % p.count];
}

/* Blocks that are too small to be spread, or too many. */
static int unspread(size_t size, const struct na_wish *wish, void **out, char *why)
{
	return on_node(wish->placement == NA_INTERLEAVED ? next_node() : na_pool_here()->node, size, wish, out, why);
}

static int too_many(size_t size, const struct na_wish *wish, void **out, char *why)
{
	static _Atomic bool told;

	if (wish->strict) {
		na_format(why, WHY, "there are %d mappings of spread blocks already", MOST_MAPPINGS);
		return -ENOMEM;
	}
	if (!atomic_exchange_explicit(&told, true, memory_order_relaxed))
		na_log(NA_LOG_WARNING,
		       "this process has %d mappings of spread blocks: further ones lie on one node each",
		       MOST_MAPPINGS);
	return unspread(size, wish, out, why);
}

static int spread(size_t size, const struct na_wish *wish, void **out, char *why)
{
	static _Atomic bool told;
	struct na_placement p = { .kind = NA_PLACED_INTERLEAVED, .huge = wish->huge };
	int refused = 0, rc;

	if (wish->placement == NA_PARTITIONED) {
		p.kind = NA_PLACED_PARTITIONED;
		na_placed_divide(&p, wish->parts);
	} else {
		na_placed_usual_nodes(&p);
	}
	rc = take_mapping(na_pool_here(), size, wish, &p, out, &refused);
	if (rc == -EAGAIN)
		return too_many(size, wish, out, why);
	if (rc < 0)
		return no_memory(size, why);
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

static int by_attribute(bool bandwidth, size_t size, const struct na_wish *wish, void **out, char *why)
{
	static _Atomic bool told;
	int node = na_pool_count > 1 ? na_placed_best_node(bandwidth) : na_pools[0].node;

	if (node < 0) {
		if (!atomic_exchange_explicit(&told, true, memory_order_relaxed))
			na_log(NA_LOG_INFO, "this machine does not tell the %s of its nodes: memory is placed locally",
			       bandwidth ? "bandwidth" : "capacity");
		node = na_pool_here()->node;
	}
	return on_node(node, size, wish, out, why);
}

static int attempt(size_t size, const struct na_wish *wish, void **out, char *why)
{
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
		return size >= NA_SLICE ? spread(size, wish, out, why) : unspread(size, wish, out, why);
	default:
		/* Not the thread's cache, which may still have blocks of the node where the thread was before. */
		return on_node(na_pool_here()->node, size, wish, out, why);
	}
}

/* What a placed request asks for on its way is no request of its own. */
static bool begin_parts(void)
{
	struct na_failure *f = na_failure_here();

	if (f)
		f->quiet++;
	return f != NULL;
}

static void end_parts(bool begun)
{
	if (begun)
		na_cache_current->failure.quiet--; /* the thread may have another cache by now */
}

int na_placed_try(size_t size, const struct na_wish *wish, void **out, char *why)
{
	bool begun = begin_parts();
	int rc = attempt(size, wish, out, why);

	end_parts(begun);
	return rc;
}

/* When all that a placement may be has failed. */
static void *recover(size_t size, const struct na_wish *wish)
{
	struct na_request r = { .kind = NA_REQUEST_PLACED,
				.strict = wish->strict,
				.huge = wish->huge,
				.placement = (uint8_t)wish->placement,
				.node = (int16_t)wish->node,
				.parts = wish->parts,
				.size = size,
				.alignment = wish->alignment,
				.hint = wish->hint };

	return na_request_recover(&r);
}

int na_placed_allocate(size_t size, const struct na_wish *wish, void **out, char *why)
{
	void *p;
	int rc;

	na_pools_boot();
	rc = na_placed_try(size, wish, out, why);
	if (rc != -ENOMEM)
		return rc;
	p = recover(size, wish);
	if (!p)
		return -ENOMEM;
	*out = p;
	return 0;
}

/* A partition over other nodes than one is laid over a length: of another, its parts are elsewhere. */
bool na_placed_stays(const struct na_block *block, size_t size)
{
	const struct na_placement *p = &na_span_segment(block->span)->placement;

	if (p->kind == NA_PLACED_PARTITIONED && p->count > 1)
		return size <= block->size && block->size - size < NA_PAGE;
	return size <= block->size && size >= block->size / 2;
}

/* As hints/ chooses for a new block; one for which the program chose a node itself is taken for one that it did not. */
static bool spreads(uint32_t hint, size_t size)
{
	struct na_hint h = na_hint_unpack(hint);

	return na_pool_count > 1 && h.access == NA_ACCESS_READ_MOSTLY && h.priority == NA_PRIORITY_NORMAL &&
	       size >= NA_SPREAD_LEAST;
}

bool na_placed_grows_into(const struct na_pool *pool, size_t old, size_t size)
{
	uint32_t hint = na_group_hint(pool);

	return (na_hint_huge(hint) && size >= NA_HINT_HUGE && old < NA_HINT_HUGE) ||
	       (spreads(hint, size) && old < NA_SPREAD_LEAST);
}

void *na_placed_for_hints(const struct na_pool *pool, size_t size)
{
	uint32_t hint = na_group_hint(pool);
	struct na_wish wish = { .placement = spreads(hint, size) ? NA_INTERLEAVED : NA_ON_NODE,
				.node = pool->node,
				.huge = na_hint_huge(hint),
				.alignment = 16,
				.hint = hint };
	char why[WHY];
	void *out;

	return na_placed_allocate(size, &wish, &out, why) == 0 ? out : NULL;
}

void *na_placed_again(const struct na_block *block, size_t size)
{
	const struct na_placement *old = &na_span_segment(block->span)->placement;
	struct na_wish wish = { .placement = old->kind == NA_PLACED_INTERLEAVED ? NA_INTERLEAVED : NA_PARTITIONED,
				.huge = old->huge,
				.alignment = 16,
				.hint = na_group_hint(block->pool) };
	struct na_placement p = *old;
	char why[WHY];
	int refused, rc = -EAGAIN;
	bool begun;
	void *out;

	p.refused = 0;
	if (na_placement_home(old) >= 0) {
		wish.placement = NA_ON_NODE;
		wish.node = na_placement_home(old);
		wish.huge = old->huge && size >= HUGE_PAGE;
		/* A node without a pool has none for small blocks either: they are rounded up. */
		if (!na_pool_of_node(wish.node) && size < NA_SLICE)
			size = NA_SLICE;
		return na_placed_allocate(size, &wish, &out, why) == 0 ? out : NULL;
	}
	begun = begin_parts();
	if (size >= NA_SLICE) {
		wish.alignment = NA_PAGE;
		rc = take_mapping(na_pool_here(), size, &wish, &p, &out, &refused);
		wish.alignment = 16;
	}
	if (rc == -EAGAIN)
		rc = unspread(size, &wish, &out, why);
	end_parts(begun);
	return rc == 0 ? out : recover(size, &wish);
}

size_t na_placed_cut(size_t length, uint32_t parts, uint32_t part, bool huge)
{
	struct na_placement p = { .kind = NA_PLACED_PARTITIONED, .huge = huge, .parts = parts };

	return na_placement_cut(&p, length, part);
}
