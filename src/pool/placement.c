/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/placement.h"

#include <string.h>

#include "os/os.h"
#include "pool/nodes.h"

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

void na_placement_divide(struct na_placement *p, const uint32_t *cpus, uint32_t parts)
{
	uint64_t all = 0, before = 0;

	for (uint32_t k = 0; k < p->count; k++)
		all += cpus[k];
	p->parts = parts;
	for (uint32_t k = 0; k < p->count; before += cpus[k++])
		p->first[k] = (uint32_t)((before * parts + all - 1) / all);
}

bool na_placement_same(const struct na_placement *a, const struct na_placement *b)
{
	if (a->kind != b->kind || a->huge != b->huge || a->count != b->count || a->refused || b->refused ||
	    memcmp(a->nodes, b->nodes, a->count * sizeof(a->nodes[0])) != 0)
		return false;
	return a->kind != NA_PLACED_PARTITIONED ||
	       (a->parts == b->parts && memcmp(a->first, b->first, a->count * sizeof(a->first[0])) == 0);
}

uint32_t na_placement_mappings(const struct na_placement *p)
{
	return p->kind == NA_PLACED_PARTITIONED ? p->count : 1;
}

int na_placement_home(const struct na_placement *p)
{
	return p->count == 1 ? p->nodes[0] : -1;
}

/* The last node whose parts begin at or before it: of nodes that have none, the next begins at the same. */
static int node_of_part(const struct na_placement *p, uint32_t part)
{
	uint32_t k = p->count;

	while (k > 1 && p->first[k - 1] > part)
		k--;
	return p->nodes[k - 1];
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

	for (uint32_t k = 0; k < p->count; k++) {
		size_t start = na_placement_cut(p, length, p->first[k]);
		size_t end = na_placement_cut(p, length, k + 1 < p->count ? p->first[k + 1] : p->parts);
		int one = end > start ? na_os.bind(base + start, end - start, p->nodes[k]) : 0;

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
	if (na_pool_count == 1)
		return 0;
	if (p->kind == NA_PLACED_INTERLEAVED)
		return na_os.interleave(base, length, p->nodes, p->count);
	return apply_parts(p, base, length);
}
