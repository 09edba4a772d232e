/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/placement.h"

#include "os/os.h"

static size_t unit_of(const struct na_placement *p)
{
	return p->huge ? (size_t)2 << 20 : NA_PAGE;
}

size_t na_placement_cut(const struct na_placement *p, size_t length, uint32_t part)
{
	size_t unit = unit_of(p), units = (length + unit - 1) / unit, at;

	/* units * part does not overflow: 2^35 pages at most, and 2^16 parts. */
	at = units * part / p->parts * unit;
	return at < length ? at : length;
}

static int node_of_part(const struct na_placement *p, uint32_t part)
{
	return p->nodes[(uint64_t)part * p->count / p->parts];
}

int na_placement_node(const struct na_placement *p, size_t length, size_t offset)
{
	size_t unit = unit_of(p), units = (length + unit - 1) / unit;
	uint32_t part;

	if (p->kind != NA_PLACED_PARTITIONED || units == 0)
		return -1;
	/* The last part that begins at or before it; the estimate is off by one at most. */
	part = (uint32_t)(offset / unit * p->parts / units);
	while (part + 1 < p->parts && na_placement_cut(p, length, part + 1) <= offset)
		part++;
	return node_of_part(p, part);
}

static int apply_parts(const struct na_placement *p, char *base, size_t length)
{
	int rc = 0;

	for (uint32_t from = 0, to; from < p->parts; from = to) {
		int node = node_of_part(p, from), one;
		size_t start = na_placement_cut(p, length, from), end;

		for (to = from + 1; to < p->parts && node_of_part(p, to) == node; to++)
			;
		end = na_placement_cut(p, length, to);
		if (end <= start)
			continue;
		one = na_os.bind(base + start, end - start, node);
		if (rc == 0)
			rc = one;
	}
	return rc;
}

int na_placement_apply(const struct na_placement *p, void *base, size_t length)
{
	if (p->huge)
		na_os.advise_huge(base, length);
	else
		na_os.advise_ordinary(base, length);
	if (p->kind == NA_PLACED_INTERLEAVED)
		return na_os.interleave(base, length, p->nodes, p->count);
	return apply_parts(p, base, length);
}
