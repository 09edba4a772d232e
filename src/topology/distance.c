/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Distances between nodes, the order of nearest nodes, bandwidth and latency. See draft.h.
 *
 * Distances are the firmware's table (SLIT) as hwloc or, where hwloc leaves it out, /sys has it:
 * relative figures, 10 for local, and not always symmetric: a row is "from the CPUs of", a column "to
 * the memory of". Bandwidth and latency come from the firmware's HMAT, which Linux shows for the CPUs
 * that are best placed only; the rest stays NA_TOPOLOGY_UNKNOWN.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "topology/draft.h"
#include "topology/hwloc_calls.h"
#include "topology/sysfs.h"

#define DISTANCE_LOCAL	10 /* the kernel's LOCAL_DISTANCE and REMOTE_DISTANCE */
#define DISTANCE_REMOTE 20

static uint32_t *cell(uint32_t *matrix, const struct na_topology *t, size_t from, size_t to)
{
	return &matrix[from * t->node_count + to];
}

static int32_t position_of(const struct na_topology *t, hwloc_obj_t object)
{
	if (!object || object->type != HWLOC_OBJ_NUMANODE)
		return -1;
	return object->os_index < t->node_slots ? t->node_position[object->os_index] : -1;
}

static bool copy_matrix(struct na_topology_draft *d, const struct hwloc_distances_s *m)
{
	bool any = false;

	for (unsigned int i = 0; i < m->nbobjs; i++)
		for (unsigned int j = 0; j < m->nbobjs; j++) {
			int32_t from = position_of(d->t, m->objs[i]), to = position_of(d->t, m->objs[j]);
			hwloc_uint64_t value = m->values[(size_t)i * m->nbobjs + j];

			if (from < 0 || to < 0 || value == 0 || value >= NA_TOPOLOGY_UNKNOWN)
				continue;
			*cell(d->distance, d->t, (size_t)from, (size_t)to) = (uint32_t)value;
			any = true;
		}
	return any;
}

static bool read_from_tree(struct na_topology_draft *d, hwloc_topology_t tree)
{
	struct hwloc_distances_s *m;
	unsigned int n = 1;
	bool known;

	if (na_hwloc.distances_get_by_type(tree, HWLOC_OBJ_NUMANODE, &n, &m, HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) <
		    0 ||
	    n == 0)
		return false;
	known = copy_matrix(d, m);
	na_hwloc.distances_release(tree, m);
	return known;
}

/* One row of /sys: distances to the online nodes, by rising number. */
static bool read_row(struct na_topology_draft *d, uint32_t from, const char *root)
{
	char path[80], *text, *cursor, *end;
	bool any = false;

	na_format(path, sizeof(path), "/sys/devices/system/node/node%d/distance", d->nodes[from].os_index);
	if (na_sysfs_read(root, path, &text) < 0)
		return false;
	cursor = text;
	for (uint32_t to = 0; to < d->t->node_count; to++, cursor = end) {
		unsigned long value = strtoul(cursor, &end, 10);

		if (end == cursor)
			break;
		if (value == 0 || value >= NA_TOPOLOGY_UNKNOWN)
			continue;
		*cell(d->distance, d->t, from, to) = (uint32_t)value;
		any = true;
	}
	free(text);
	return any;
}

struct candidate {
	uint32_t position;
	uint32_t distance;
	uint32_t step; /* positions onward from the asking node, around the ring */
	bool self, memory;
};

/* Among equals the next in the ring comes first, so that the nodes' overflow does not all meet at node 0. */
static int by_nearness(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->memory != y->memory)
		return x->memory ? -1 : 1;
	if (x->self != y->self)
		return x->self ? -1 : 1;
	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return (x->step > y->step) - (x->step < y->step);
}

static int sort_nearest(struct na_topology_draft *d)
{
	uint32_t n = d->t->node_count;
	struct candidate *row = calloc(n, sizeof(*row));

	if (!row)
		return -ENOMEM;
	for (uint32_t from = 0; from < n; from++) {
		for (uint32_t to = 0; to < n; to++)
			row[to] = (struct candidate){ .position = to,
						      .distance = *cell(d->distance, d->t, from, to),
						      .step = (to + n - from) % n,
						      .self = to == from,
						      .memory = d->nodes[to].memory > 0 };
		qsort(row, n, sizeof(*row), by_nearness);
		for (uint32_t i = 0; i < n; i++)
			*cell(d->nearest, d->t, from, i) = row[i].position;
	}
	free(row);
	return 0;
}

int na_draft_fill_distances(struct na_topology_draft *d, struct hwloc_topology *tree, const char *root)
{
	uint32_t n = d->t->node_count;
	bool known;

	for (uint32_t from = 0; from < n; from++)
		for (uint32_t to = 0; to < n; to++)
			*cell(d->distance, d->t, from, to) = from == to ? DISTANCE_LOCAL : DISTANCE_REMOTE;
	known = n == 1 || read_from_tree(d, tree);
	for (uint32_t from = 0; !known && root && from < n; from++)
		if (!read_row(d, from, root))
			break;
		else if (from + 1 == n)
			known = true;
	d->t->distances_known = known;
	return sort_nearest(d);
}

static unsigned int count_initiators(hwloc_topology_t tree, hwloc_memattr_id_t attribute, hwloc_obj_t node)
{
	unsigned int n = 0;

	return na_hwloc.memattr_get_initiators(tree, attribute, node, 0, &n, NULL, NULL) < 0 ? 0 : n;
}

bool na_draft_has_attributes(struct hwloc_topology *tree)
{
	hwloc_obj_t node = NULL;

	while ((node = na_hwloc_next(tree, HWLOC_OBJ_NUMANODE, node)))
		if (count_initiators(tree, HWLOC_MEMATTR_ID_BANDWIDTH, node) ||
		    count_initiators(tree, HWLOC_MEMATTR_ID_LATENCY, node))
			return true;
	return false;
}

static uint32_t attribute_from(hwloc_topology_t tree, hwloc_memattr_id_t attribute, hwloc_obj_t target,
			       hwloc_const_cpuset_t from)
{
	struct hwloc_location initiator = { .type = HWLOC_LOCATION_TYPE_CPUSET };
	hwloc_uint64_t value;

	initiator.location.cpuset = (hwloc_cpuset_t)from;
	if (na_hwloc.bitmap_iszero(from) ||
	    na_hwloc.memattr_get_value(tree, attribute, target, &initiator, 0, &value) < 0)
		return NA_TOPOLOGY_UNKNOWN;
	return value > 0 && value < NA_TOPOLOGY_UNKNOWN ? (uint32_t)value : NA_TOPOLOGY_UNKNOWN;
}

static void fill_column(struct na_topology_draft *d, hwloc_topology_t tree, hwloc_obj_t target, uint32_t to)
{
	struct na_topology_node *node = &d->nodes[to];

	for (uint32_t from = 0; from < d->t->node_count; from++) {
		hwloc_obj_t source = na_hwloc_node(tree, (unsigned int)d->nodes[from].os_index);
		uint32_t *bandwidth = cell(d->bandwidth, d->t, from, to), *latency = cell(d->latency, d->t, from, to);

		if (!source || d->nodes[from].cpu_count == 0)
			continue;
		*bandwidth = attribute_from(tree, HWLOC_MEMATTR_ID_BANDWIDTH, target, source->cpuset);
		*latency = attribute_from(tree, HWLOC_MEMATTR_ID_LATENCY, target, source->cpuset);
		if (*bandwidth != NA_TOPOLOGY_UNKNOWN &&
		    (node->bandwidth == NA_TOPOLOGY_UNKNOWN || *bandwidth > node->bandwidth))
			node->bandwidth = *bandwidth;
		if (*latency < node->latency)
			node->latency = *latency;
	}
}

void na_draft_fill_attributes(struct na_topology_draft *d, struct hwloc_topology *tree)
{
	uint32_t n = d->t->node_count;

	if (!d->bandwidth)
		return;
	for (size_t i = 0; i < (size_t)n * n; i++)
		d->bandwidth[i] = d->latency[i] = NA_TOPOLOGY_UNKNOWN;
	for (uint32_t to = 0; to < n; to++) {
		hwloc_obj_t target = na_hwloc_node(tree, (unsigned int)d->nodes[to].os_index);

		if (target)
			fill_column(d, tree, target, to);
	}
}
