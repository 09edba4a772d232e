/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a block's pages are, asked of the kernel, and whether they should be there; see placed.h. */
#include <errno.h>
#include <string.h>

#include "heap/heap.h"
#include "heap/placed.h"
#include "os/os.h"

#define CHUNK	   512
#define MOST_NODES 1024

static bool is_misplaced(const struct na_block *block, size_t offset, int node)
{
	const struct na_placement *p = &na_span_segment(block->span)->placement;
	int wanted = p->kind ? na_placement_node(p, p->length, offset) : block->pool->node;

	if (wanted >= 0)
		return node != wanted;
	for (uint16_t i = 0; i < p->count; i++)
		if (p->nodes[i] == node)
			return false;
	return true;
}

static void count(const struct na_block *block, void *const *pages, const int *status, size_t n,
		  struct na_whereabouts *out)
{
	for (size_t i = 0; i < n; i++) {
		uintptr_t page = (uintptr_t)pages[i];

		if (status[i] < 0 || status[i] >= MOST_NODES)
			continue;
		out->resident += NA_PAGE;
		out->on[status[i]] += NA_PAGE;
		if (is_misplaced(block, page < block->start ? 0 : page - block->start, status[i]))
			out->misplaced += NA_PAGE;
	}
}

int na_placed_where(const void *p, struct na_whereabouts *out)
{
	const struct na_placement *placement;
	struct na_block block;
	uintptr_t from, end;

	if (!na_heap_find(p, &block) || !block.live)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	if (na_span_kind(block.span) == NA_SPAN_NONE) /* between fences: see harden/fences.h */
		return -ENOSYS;
	placement = &na_span_segment(block.span)->placement;
	out->node = placement->kind ? na_placement_home(placement) : block.pool->node;
	out->placement = !placement->kind || out->node >= 0	    ? NA_ON_NODE
			 : placement->kind == NA_PLACED_INTERLEAVED ? NA_INTERLEAVED
								    : NA_PARTITIONED;
	from = block.start & ~(NA_PAGE - 1);
	end = block.start + block.size;
	while (from < end) {
		void *pages[CHUNK];
		int status[CHUNK], rc;
		size_t n = 0;

		for (; n < CHUNK && from < end; n++, from += NA_PAGE)
			pages[n] = (void *)from;
		rc = na_os.locate(pages, status, n);
		if (rc < 0)
			return rc;
		count(&block, pages, status, n, out);
	}
	return 0;
}
