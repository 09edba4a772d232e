/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hwloc's tree into one flat block: sizes first, then a layout, then the filling in. See source.h.
 *
 * Whose node a CPU is: hwloc gives each node a set of local CPUs, and to a node without CPUs that of
 * its neighbour. /sys/devices/system/node/has_cpu tells them apart on a real machine; without it (a
 * synthetic machine, a container that hides it) the node with the smallest set that holds the CPU wins, the
 * first of equals, as the kernel numbers a package's ordinary memory before its other memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topology/draft.h"
#include "topology/hwloc_calls.h"
#include "topology/sysfs.h"

struct counts {
	uint32_t nodes, node_slots, cpus, cpu_slots, caches, page_sizes;
	bool attributes;
};

static hwloc_obj_t node_object(hwloc_topology_t tree, unsigned int logical)
{
	return na_hwloc_object(tree, HWLOC_OBJ_NUMANODE, logical);
}

/* A kernel without NUMA support has no node numbers; its one node is 0. */
static uint32_t node_number(hwloc_obj_t node)
{
	return node->os_index == HWLOC_UNKNOWN_INDEX ? 0 : node->os_index;
}

static int count(hwloc_topology_t tree, const char *root, bool real, struct counts *c)
{
	int nodes = na_hwloc_count(tree, HWLOC_OBJ_NUMANODE);
	int last_cpu = na_hwloc.bitmap_last(na_hwloc.topology_get_complete_cpuset(tree)), possible = -1;

	if (nodes < 1 || last_cpu < 0 || (unsigned int)last_cpu >= NA_BITSET_MOST)
		return -EINVAL;
	memset(c, 0, sizeof(*c));
	c->nodes = (uint32_t)nodes;
	c->cpus = (uint32_t)na_hwloc_count(tree, HWLOC_OBJ_PU);
	c->cpu_slots = (uint32_t)last_cpu + 1;
	if (real || (root && *root))
		na_sysfs_read_list(root, "/sys/devices/system/node/possible", NULL, 0, &possible);
	c->node_slots = (uint32_t)(possible + 1);
	for (unsigned int i = 0; i < c->nodes; i++) {
		hwloc_obj_t node = node_object(tree, i);

		if (node_number(node) >= NA_BITSET_MOST)
			return -EINVAL;
		if (node_number(node) >= c->node_slots)
			c->node_slots = node_number(node) + 1;
		if (node->attr->numanode.page_types_len > c->page_sizes)
			c->page_sizes = node->attr->numanode.page_types_len;
	}
	c->page_sizes++; /* the base size, which hwloc may not know */
	c->caches = HWLOC_OBJ_L5CACHE - HWLOC_OBJ_L1CACHE + 1;
	c->attributes = na_draft_has_attributes(tree);
	return 0;
}

/* Adds an array to the layout, and tells its place once the block exists. */
static void *place(char *block, size_t *used, size_t bytes)
{
	void *at = block ? block + *used : NULL;

	*used += (bytes + 15) & ~(size_t)15;
	return at;
}

static size_t lay_out(struct na_topology_draft *d, char *block, const struct counts *c)
{
	size_t used = 0, square = (size_t)c->nodes * c->nodes * sizeof(uint32_t);
	size_t cpu_mask = na_bitset_words(c->cpu_slots) * sizeof(unsigned long);

	d->t = place(block, &used, sizeof(*d->t));
	d->nodes = place(block, &used, c->nodes * sizeof(*d->nodes));
	d->node_cpus = place(block, &used, 2 * c->nodes * cpu_mask);
	d->cpu_node = place(block, &used, c->cpu_slots * sizeof(*d->cpu_node));
	d->node_position = place(block, &used, c->node_slots * sizeof(*d->node_position));
	d->distance = place(block, &used, square);
	d->nearest = place(block, &used, square);
	d->bandwidth = c->attributes ? place(block, &used, square) : NULL;
	d->latency = c->attributes ? place(block, &used, square) : NULL;
	d->allowed_nodes = place(block, &used, na_bitset_words(c->node_slots) * sizeof(unsigned long));
	d->allowed_cpus = place(block, &used, cpu_mask);
	d->caches = place(block, &used, c->caches * sizeof(*d->caches));
	d->page_sizes = place(block, &used, c->page_sizes * sizeof(*d->page_sizes));
	return used;
}

static void publish_arrays(struct na_topology_draft *d, const struct counts *c)
{
	struct na_topology *t = d->t;

	t->node_count = c->nodes;
	t->node_slots = c->node_slots;
	t->cpu_count = c->cpus;
	t->cpu_slots = c->cpu_slots;
	t->nodes = d->nodes;
	t->cpu_node = d->cpu_node;
	t->node_position = d->node_position;
	t->distance = d->distance;
	t->nearest = d->nearest;
	t->bandwidth = d->bandwidth;
	t->latency = d->latency;
	t->allowed_nodes = d->allowed_nodes;
	t->allowed_cpus = d->allowed_cpus;
	t->caches = d->caches;
	t->page_sizes = d->page_sizes;
}

static int by_os_index(const void *a, const void *b)
{
	const struct na_topology_node *x = a, *y = b;

	return (x->os_index > y->os_index) - (x->os_index < y->os_index);
}

static int fill_nodes(struct na_topology_draft *d, hwloc_topology_t tree)
{
	struct na_topology *t = d->t;
	size_t words = na_bitset_words(t->cpu_slots);

	for (uint32_t i = 0; i < t->node_count; i++) {
		hwloc_obj_t object = node_object(tree, i);

		d->nodes[i].os_index = (int32_t)node_number(object);
		d->nodes[i].memory = object->attr->numanode.local_memory;
		d->nodes[i].bandwidth = d->nodes[i].latency = NA_TOPOLOGY_UNKNOWN;
		t->memory_nodes += d->nodes[i].memory > 0;
	}
	qsort(d->nodes, t->node_count, sizeof(*d->nodes), by_os_index);
	memset(d->node_position, 0xff, t->node_slots * sizeof(*d->node_position));
	for (uint32_t i = 0; i < t->node_count; i++) {
		if (d->node_position[d->nodes[i].os_index] != -1)
			return -EINVAL; /* XML of a user's making can say so */
		d->node_position[d->nodes[i].os_index] = (int32_t)i;
		d->nodes[i].cpus = d->node_cpus + i * words;
		d->nodes[i].near = d->node_cpus + (t->node_count + i) * words;
	}
	return 0;
}

/* The nodes that own CPUs, as the kernel says; NULL if it does not. */
static unsigned long *read_has_cpu(const struct na_topology *t, const char *root)
{
	unsigned long *mask = calloc(na_bitset_words(t->node_slots), sizeof(*mask));
	int highest;

	if (mask && na_sysfs_read_list(root, "/sys/devices/system/node/has_cpu", mask, t->node_slots, &highest) == 0 &&
	    highest >= 0)
		return mask;
	free(mask);
	return NULL;
}

static void fill_cpus(struct na_topology_draft *d, hwloc_topology_t tree, const unsigned long *has_cpu)
{
	struct na_topology *t = d->t;
	size_t words = na_bitset_words(t->cpu_slots);

	memset(d->cpu_node, 0xff, t->cpu_slots * sizeof(*d->cpu_node));
	for (uint32_t i = 0; i < t->node_count; i++) {
		hwloc_obj_t object = node_object(tree, i);
		int32_t os = (int32_t)node_number(object), at = d->node_position[os];
		int weight = na_hwloc.bitmap_weight(object->cpuset);

		for (int bit = na_hwloc.bitmap_next(object->cpuset, -1); bit >= 0;
		     bit = na_hwloc.bitmap_next(object->cpuset, bit)) {
			unsigned int cpu = (unsigned int)bit;
			hwloc_obj_t before = NULL;

			na_bitset_add(d->node_cpus + (t->node_count + (size_t)at) * words, t->cpu_slots, cpu);
			if (cpu >= t->cpu_slots || (has_cpu && !na_bitset_has(has_cpu, t->node_slots, (size_t)os)))
				continue;
			if (d->cpu_node[cpu] >= 0)
				before = na_hwloc_node(tree, (unsigned int)d->cpu_node[cpu]);
			if (!before || weight < na_hwloc.bitmap_weight(before->cpuset))
				d->cpu_node[cpu] = os;
		}
	}
	for (uint32_t cpu = 0; cpu < t->cpu_slots; cpu++) {
		int32_t at = d->cpu_node[cpu] < 0 ? -1 : d->node_position[d->cpu_node[cpu]];

		if (at < 0)
			continue;
		na_bitset_add(d->node_cpus + (size_t)at * words, t->cpu_slots, cpu);
		d->nodes[at].cpu_count++;
	}
}

static void fill_caches(struct na_topology_draft *d, hwloc_topology_t tree)
{
	struct na_topology *t = d->t;

	for (hwloc_obj_type_t type = HWLOC_OBJ_L1CACHE; type <= HWLOC_OBJ_L5CACHE; type++) {
		struct na_topology_cache *c = &d->caches[t->cache_count];
		hwloc_obj_t object = NULL;

		while ((object = na_hwloc_next(tree, type, object))) {
			uint64_t size = object->attr->cache.size;
			uint32_t sharing = (uint32_t)na_hwloc.bitmap_weight(object->cpuset);

			if (c->count == 0) {
				c->level = (uint8_t)object->attr->cache.depth;
				c->kind = object->attr->cache.type == HWLOC_OBJ_CACHE_DATA ? NA_TOPOLOGY_CACHE_DATA
											   : NA_TOPOLOGY_CACHE_UNIFIED;
				c->line = object->attr->cache.linesize;
				c->least = size;
			}
			c->count++;
			c->least = size < c->least ? size : c->least;
			c->most = size > c->most ? size : c->most;
			c->sharing = sharing > c->sharing ? sharing : c->sharing;
		}
		t->cache_count += c->count > 0;
	}
	t->line_size = t->cache_count ? d->caches[0].line : 0;
	if (t->line_size == 0 && t->real) {
		long line = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);

		t->line_size = line > 0 ? (uint32_t)line : 0;
	}
	t->line_known = t->line_size > 0;
	if (!t->line_known)
		t->line_size = 64;
}

static void add_pages(struct na_topology_draft *d, uint64_t size, uint64_t pages)
{
	struct na_topology *t = d->t;
	uint32_t i = 0;

	while (i < t->page_size_count && d->page_sizes[i].size < size)
		i++;
	if (i == t->page_size_count || d->page_sizes[i].size != size) {
		memmove(&d->page_sizes[i + 1], &d->page_sizes[i], (t->page_size_count - i) * sizeof(*d->page_sizes));
		d->page_sizes[i] = (struct na_topology_page_size){ .size = size };
		t->page_size_count++;
	}
	d->page_sizes[i].reserved += pages;
}

static bool has_page_size(const struct na_topology *t, uint64_t size)
{
	for (uint32_t i = 0; i < t->page_size_count; i++)
		if (t->page_sizes[i].size == size)
			return true;
	return false;
}

static void fill_pages(struct na_topology_draft *d, hwloc_topology_t tree, uint32_t most, const char *root)
{
	struct na_topology *t = d->t;

	t->base_page = (uint32_t)sysconf(_SC_PAGESIZE);
	add_pages(d, t->base_page, 0);
	for (uint32_t i = 0; i < t->node_count; i++) {
		const struct hwloc_numanode_attr_s *attr = &node_object(tree, i)->attr->numanode;

		for (unsigned int k = 0; k < attr->page_types_len; k++) {
			uint64_t size = attr->page_types[k].size;

			/* hwloc counts all memory as base pages: those are not reserved. Nodes with unlike
			 * sizes are not known to exist, so there is no room for more than one node's. */
			if (size > t->base_page && (has_page_size(t, size) || t->page_size_count < most))
				add_pages(d, size, attr->page_types[k].count);
		}
	}
	if (t->real || (root && *root))
		na_sysfs_read_thp(root, &t->thp_size, &t->thp);
}

static int fill(struct na_topology_draft *d, hwloc_topology_t tree, const struct na_topology_source *source,
		const struct counts *c, bool real)
{
	bool ask_kernel = real || (source->root && *source->root);
	unsigned long *has_cpu;
	int rc;

	d->t->real = real;
	publish_arrays(d, c);
	rc = fill_nodes(d, tree);
	if (rc < 0)
		return rc;
	has_cpu = ask_kernel ? read_has_cpu(d->t, source->root) : NULL;
	fill_cpus(d, tree, has_cpu);
	free(has_cpu);
	fill_caches(d, tree);
	fill_pages(d, tree, c->page_sizes, source->root);
	rc = na_draft_fill_distances(d, tree, ask_kernel ? (source->root ? source->root : "") : NULL);
	if (rc < 0)
		return rc;
	na_draft_fill_attributes(d, tree);
	return na_draft_fill_allowed(d, tree, source, real);
}

int na_topology_flatten(struct hwloc_topology *tree, const struct na_topology_source *source, struct na_topology **out)
{
	bool real = na_topology_is_real(tree, source);
	struct na_topology_draft draft;
	struct counts c;
	char *block;
	int rc = count(tree, source->root, real, &c);

	if (rc < 0)
		return rc;
	block = calloc(1, lay_out(&draft, NULL, &c));
	if (!block)
		return -ENOMEM;
	lay_out(&draft, block, &c);
	rc = fill(&draft, tree, source, &c, real);
	if (rc < 0) {
		free(block);
		return rc;
	}
	*out = draft.t;
	return 0;
}
