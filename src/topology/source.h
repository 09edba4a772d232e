/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From hwloc to a snapshot, in two steps that share.c puts a file between:
 *
 *     na_topology_load()     hwloc's tree, from this machine, a description or another process's XML
 *     na_topology_flatten()  our flat copy of what we need, with what this process may use applied
 *
 * hwloc's tree always describes the whole machine (nodes and CPUs that a cgroup denies us included),
 * because processes with unlike cgroups share it. Private to topology/ and its tests. One thread a
 * tree; everything allocates with malloc.
 */
#ifndef NA_TOPOLOGY_SOURCE_H
#define NA_TOPOLOGY_SOURCE_H

#include "topology/topology.h"

struct hwloc_topology;

/* Where a topology comes from. All zero: this machine, or what HWLOC_* variables name instead. */
struct na_topology_source {
	const char *root;      /* prefix of /sys and /proc, for tests; NULL: "" */
	const char *synthetic; /* hwloc's synthetic description; NULL: none */
	const char *xml;       /* hwloc's XML with its ending NUL; NULL: none */
	size_t xml_length;     /* of xml, NUL included */
	bool real;	       /* synthetic or xml stand for this machine, and so does root's /proc/self/status */
};

/*
 * Loads and starts hwloc: it loads its plugins, once a process, and keeps them as long as a tree exists. A
 * process that waits for another's discovery does this meanwhile. Adds to cost's init_ns. -ENOENT: hwloc is not
 * installed, which a message has said.
 */
int na_topology_start(struct hwloc_topology **out, struct na_topology_cost *cost);

/*
 * Builds hwloc's tree. -EINVAL: the description, the XML or an HWLOC_* variable is wrong; a wrong
 * variable is named on standard error. Adds to cost's init_ns and load_ns.
 */
int na_topology_load(const struct na_topology_source *source, struct hwloc_topology **out,
		     struct na_topology_cost *cost);

/* Ends a tree that was started or loaded. */
void na_topology_unload(struct hwloc_topology *tree);

/* Whether the tree is of the machine that we run on. */
bool na_topology_is_real(struct hwloc_topology *tree, const struct na_topology_source *source);

/* The tree as XML, its ending NUL counted in *length; free with na_topology_free_xml(). */
int na_topology_export(struct hwloc_topology *tree, char **xml, size_t *length);
void na_topology_free_xml(struct hwloc_topology *tree, char *xml);

/* hwloc's version at run time: XML of another one is not read. 0 without hwloc. */
unsigned int na_topology_hwloc_version(void);

/* The flat copy, one block for free(). */
int na_topology_flatten(struct hwloc_topology *tree, const struct na_topology_source *source, struct na_topology **out);

/* Both steps without a file between. */
int na_topology_build(const struct na_topology_source *source, struct na_topology **out, struct na_topology_cost *cost);

#endif
