/* SPDX-License-Identifier: BSD-3-Clause */
#include "hints/hints.h"

#include <errno.h>

#include "base/log.h"
#include "base/options.h"
#include "heap/heap.h"
#include "heap/placed_nodes.h"
#include "heap/pressure.h"
#include "os/limit.h"
#include "os/os.h"

#define WHY	   200
#define POPULATE   ((size_t)64 << 10) /* from here on one call is cheaper than the faults */
#define ASK_LIMITS ((size_t)8 << 20)  /* from here on the files of the limits are worth reading: 0.1 ms */

/* Where, if the program leaves it to the hints. Priority goes before the access pattern. */
static void choose(struct na_wish *wish, const struct na_hint *hint, size_t size)
{
	int node;

	if (wish->placement != NA_LOCAL || na_pool_count == 1)
		return;
	if (hint->priority == NA_PRIORITY_HIGH) {
		wish->placement = NA_BANDWIDTH;
	} else if (hint->priority == NA_PRIORITY_LOW) {
		node = na_placed_slow_node();
		if (node >= 0) {
			wish->placement = NA_ON_NODE;
			wish->node = node;
		}
	} else if (hint->access == NA_ACCESS_READ_MOSTLY && size >= NA_SPREAD_LEAST) {
		wish->placement = NA_INTERLEAVED;
	}
}

/* One byte of each page; the first page's is the block's first, for others' blocks may lie before it. */
static void touch(char *p, size_t size)
{
	char *page = (char *)(((uintptr_t)p | (NA_PAGE - 1)) + 1);

	*(volatile char *)p = 0;
	for (; page < p + size; page += NA_PAGE)
		*(volatile char *)page = 0;
}

int na_hints_prefault(void *p, size_t size)
{
	uintptr_t from = (uintptr_t)p & ~(NA_PAGE - 1), to = ((uintptr_t)p + size + NA_PAGE - 1) & ~(NA_PAGE - 1);
	int rc;

	if (size == 0)
		return 0;
	if (size < POPULATE) {
		touch(p, size);
		return 0;
	}
	rc = na_os.populate((void *)from, to - from);
	if (rc == -ENOMEM || rc == -EHWPOISON || rc == -EFAULT)
		return -ENOMEM;
	if (rc < 0)
		touch(p, size); /* an older kernel, or one that does not like the call */
	return 0;
}

/* What is touched at once meets the limits at once, and past the cgroup's the answer would be the OOM killer's. */
static int room_for(size_t size, char *why)
{
	struct na_limits_memory m;

	if (size < ASK_LIMITS)
		return 0;
	na_limits_memory(&m);
	if (m.room == NA_LIMIT_NONE || size <= m.room)
		return 0;
	na_format(why, WHY, "%llu MiB are left %s, and every page shall be there at once",
		  (unsigned long long)(m.room >> 20), m.in_group ? "in the cgroup" : "on the machine");
	return -ENOMEM;
}

/* Most blocks just want their group, on the thread's node: the long way is for mappings of their own, and other nodes. */
static int allocate(size_t size, const struct na_wish *wish, void **out, char *why)
{
	struct na_named *group;

	if (wish->placement != NA_LOCAL || (wish->huge && size >= NA_HINT_HUGE))
		return na_placed_allocate(size, wish, out, why);
	group = wish->hint ? na_group_of(na_pool_here(), wish->hint) : NULL;
	if (group)
		*out = na_group_allocate(group, wish->alignment, size);
	else
		*out = wish->hint ? NULL : na_heap_allocate_aligned(wish->alignment, size, false);
	if (*out)
		return 0;
	na_recovery_why(size, why, WHY);
	return -ENOMEM;
}

int na_hints_allocate(size_t size, const struct na_hints *h, void **out, char *why)
{
	size_t least;
	struct na_wish wish;
	int rc;

	na_pools_boot();
	least = __atomic_load_n(&na_options.alignment, __ATOMIC_RELAXED);
	wish = (struct na_wish){ .placement = h->placement,
				 .node = h->node,
				 .parts = h->parts,
				 .alignment = h->alignment > least ? h->alignment : least,
				 .hint = na_hint_pack(h->hint) };
	choose(&wish, &h->hint, size);
	/* A policy that must hold page by page wants pages of the base size. */
	wish.huge = na_hint_huge(wish.hint) && wish.placement != NA_INTERLEAVED && wish.placement != NA_PARTITIONED;
	rc = h->hint.priority == NA_PRIORITY_HIGH ? room_for(size, why) : 0;
	if (rc == 0)
		rc = allocate(size, &wish, out, why);
	if (rc == 0 && h->hint.priority == NA_PRIORITY_HIGH && na_hints_prefault(*out, size) < 0) {
		na_heap_release_checked(*out);
		na_format(why, WHY, "the kernel had no memory for every page of it");
		rc = -ENOMEM;
	}
	return rc;
}

int na_hints_of(const void *p, struct na_hints *out)
{
	const struct na_placement *placement;
	struct na_block block;

	na_pools_boot();
	if (!na_heap_find(p, &block) || !block.live)
		return -EINVAL;
	placement = &na_span_segment(block.span)->placement;
	*out = (struct na_hints){ .hint = na_hint_unpack(na_group_hint(block.pool)), .placement = NA_ON_NODE };
	out->node = placement->kind ? na_placement_home(placement) : block.pool->node;
	if (out->node < 0) {
		out->placement = placement->kind == NA_PLACED_INTERLEAVED ? NA_INTERLEAVED : NA_PARTITIONED;
		out->parts = placement->kind == NA_PLACED_INTERLEAVED ? 0 : placement->parts;
	}
	return 0;
}
