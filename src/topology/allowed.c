/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this process may use of the machine. See draft.h.
 *
 * The tree may come from another process, in another cgroup, so its own idea of what is allowed is of
 * no use here; /proc/self/status has ours. Nodes: Mems_allowed, the cpuset's. CPUs: the main thread's affinity,
 * which is what a launcher's binding sets.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "topology/draft.h"
#include "topology/hwloc_calls.h"
#include "topology/sysfs.h"

/* Everything the tree has. */
static void allow_all(struct na_topology_draft *d)
{
	for (uint32_t i = 0; i < d->t->node_count; i++)
		na_bitset_add(d->allowed_nodes, d->t->node_slots, (size_t)d->nodes[i].os_index);
	for (uint32_t cpu = 0; cpu < d->t->cpu_slots; cpu++)
		if (d->cpu_node[cpu] >= 0)
			na_bitset_add(d->allowed_cpus, d->t->cpu_slots, cpu);
}

static void copy_bitmap(hwloc_const_bitmap_t from, unsigned long *mask, size_t slots)
{
	unsigned int bit;

	for (bit = 0; bit < slots; bit++)
		if (na_hwloc.bitmap_isset(from, bit))
			na_bitset_add(mask, slots, bit);
}

/* Removes from `mask` what is not in `ours`, unless nothing would remain. */
static void intersect(unsigned long *mask, const unsigned long *ours, size_t slots, const char *what)
{
	unsigned long left = 0;

	for (size_t i = 0; i < na_bitset_words(slots); i++)
		left |= mask[i] & ours[i];
	if (!left) {
		na_log(NA_LOG_WARNING, "/proc/self/status allows none of the %s that hwloc found: taking all of them",
		       what);
		return;
	}
	for (size_t i = 0; i < na_bitset_words(slots); i++)
		mask[i] &= ours[i];
}

/* Narrows `mask` to the list in the line `name`, if there is one that can be read. */
static int narrow(const char *status, const char *name, unsigned long *mask, size_t slots, const char *what)
{
	unsigned long *ours = calloc(na_bitset_words(slots), sizeof(*ours));

	if (!ours)
		return -ENOMEM;
	if (na_sysfs_find_list(status, name, ours, slots) == 0)
		intersect(mask, ours, slots, what);
	free(ours);
	return 0;
}

static int apply_status(struct na_topology_draft *d, const char *root)
{
	char *status;
	int rc = na_sysfs_read(root, "/proc/self/status", &status);

	if (rc < 0)
		return rc == -ENOMEM ? rc : 0; /* a container hides it: the kernel's refusals must do */
	rc = narrow(status, "Mems_allowed_list", d->allowed_nodes, d->t->node_slots, "nodes");
	if (rc == 0)
		rc = narrow(status, "Cpus_allowed_list", d->allowed_cpus, d->t->cpu_slots, "CPUs");
	free(status);
	return rc;
}

int na_draft_fill_allowed(struct na_topology_draft *d, struct hwloc_topology *tree,
			  const struct na_topology_source *source, bool apply)
{
	int rc = 0;

	if (apply) {
		allow_all(d);
		rc = apply_status(d, source->root);
	} else {
		copy_bitmap(na_hwloc.topology_get_allowed_nodeset(tree), d->allowed_nodes, d->t->node_slots);
		copy_bitmap(na_hwloc.topology_get_allowed_cpuset(tree), d->allowed_cpus, d->t->cpu_slots);
	}
	for (uint32_t i = 0; i < d->t->node_count; i++)
		d->nodes[i].allowed = na_bitset_has(d->allowed_nodes, d->t->node_slots, (size_t)d->nodes[i].os_index);
	return rc;
}
