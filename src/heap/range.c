/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/range.h"

#include "heap/heap.h"
#include "os/os.h"
#include "pool/placement.h"
#include "pool/segment.h"

/* The placement of the block that the array fills; NULL if there is none, or the array is but a part of one: a part that was cut
 * as the block is would lie with few of the threads. */
static const struct na_placement *laid_by(const void *array, size_t bytes)
{
	const struct na_placement *p;
	struct na_block block;

	if (!na_heap_find(array, &block) || !block.live || na_span_kind(block.span) == NA_SPAN_NONE)
		return NULL;
	p = &na_span_segment(block.span)->placement;
	return p->kind == NA_PLACED_PARTITIONED && block.start == (uintptr_t)array && bytes <= p->length &&
			       p->length - bytes < (p->huge ? (size_t)2 << 20 : NA_PAGE)
		       ? p
		       : NULL;
}

/* The first element from byte `at` on that begins a line, if one does within a page: beyond that a shared line is the lesser evil. */
static size_t element_from(uintptr_t array, size_t count, size_t size, size_t at, size_t line)
{
	size_t first = (at + size - 1) / size;

	for (size_t i = first; i < count && (i - first) * size < NA_PAGE; i++)
		if ((array + i * size) % line == 0)
			return i;
	/* The rest of an array that ends before the next line is of the part before. */
	return first >= count || (count - first) * size < NA_PAGE ? count : first;
}

static size_t cut(const struct na_placement *p, const void *array, size_t count, size_t size, uint32_t part,
		  uint32_t parts, size_t line)
{
	struct na_placement laid = { .kind = NA_PLACED_PARTITIONED };
	size_t at;

	if (part == 0 || part == parts)
		return part ? count : 0;
	if (p) {
		laid.huge = p->huge;
		laid.parts = parts;
		at = na_placement_cut(&laid, p->length, part);
	} else {
		/* Without overflow: the quotient first. */
		at = (count / parts * part + count % parts * part / parts) * size;
	}
	return at >= count * size ? count : element_from((uintptr_t)array, count, size, at, line);
}

void na_range_cut(const void *array, size_t count, size_t size, uint32_t part, uint32_t parts, size_t line,
		  struct na_range *out)
{
	const struct na_placement *p = laid_by(array, count * size);
	size_t from, to;

	out->first = cut(p, array, count, size, part, parts, line);
	out->end = cut(p, array, count, size, part + 1, parts, line);
	out->node = -1;
	if (!p || out->first == out->end)
		return;
	/* The end may be up to a page behind the cut. */
	from = out->first * size;
	to = out->end * size - 1;
	to = to - from < NA_PAGE ? from : to - NA_PAGE;
	out->node = na_placement_node(p, p->length, from);
	if (na_placement_node(p, p->length, to) != out->node)
		out->node = -1;
}
