/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hwloc's tree: set up, load, export. See source.h.
 *
 * Cost: hwloc itself is loaded at the first use in a process (unless the MPI library has it already), and
 * hwloc_topology_init() loads hwloc's plugins (OpenCL and GL drag in their libraries) on the first
 * use in a process: 2.5 ms here, nothing if the MPI library has done it. Reading /sys takes 1 ms on two
 * CPUs and grows with them. We drop what we do not use before loading:
 *  - devices: no I/O and no misc objects;
 *  - hwloc's x86 backend, which moves the calling thread onto each CPU in turn to ask cpuid there.
 *    Linux' /sys knows the same, and on a node full of ranks that tour took seconds (openpmix#2036).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "topology/hwloc_calls.h"
#include "topology/source.h"

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static void configure(hwloc_topology_t tree)
{
	/* Packages and groups stay: a node without one to hang on would be given its parent's CPUs. */
	na_hwloc.topology_set_all_types_filter(tree, HWLOC_TYPE_FILTER_KEEP_NONE);
	na_hwloc.topology_set_type_filter(tree, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
	na_hwloc.topology_set_type_filter(tree, HWLOC_OBJ_DIE, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
	na_hwloc.topology_set_type_filter(tree, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
	for (hwloc_obj_type_t type = HWLOC_OBJ_L1CACHE; type <= HWLOC_OBJ_L5CACHE; type++)
		na_hwloc.topology_set_type_filter(tree, type, HWLOC_TYPE_FILTER_KEEP_ALL);
	na_hwloc.topology_set_flags(tree, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
	if (!variable("HWLOC_CPUID_PATH"))
		na_hwloc.topology_set_components(tree, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
}

static int complain(const char *name, const char *value, const char *what)
{
	na_log(NA_LOG_ERROR, "%s=%s: %s", name, value, what);
	return -EINVAL;
}

/*
 * hwloc would read these variables itself, but falls back to the real machine without a word when
 * the description is wrong. Applying them ourselves, in hwloc's order, shows the fault.
 */
static int apply_variables(hwloc_topology_t tree)
{
	const char *value;

	if (variable("HWLOC_FSROOT") || variable("HWLOC_CPUID_PATH"))
		return 0;
	value = variable("HWLOC_SYNTHETIC");
	if (value) {
		if (na_hwloc.topology_set_synthetic(tree, value) < 0)
			return complain("HWLOC_SYNTHETIC", value, "hwloc does not understand this description");
		return 0;
	}
	value = variable("HWLOC_XMLFILE");
	if (value && na_hwloc.topology_set_xml(tree, value) < 0)
		return complain("HWLOC_XMLFILE", value, "hwloc cannot read this file");
	return 0;
}

static int apply_source(hwloc_topology_t tree, const struct na_topology_source *source)
{
	if (source->xml)
		return na_hwloc.topology_set_xmlbuffer(tree, source->xml, (int)source->xml_length) < 0 ? -EINVAL : 0;
	if (source->synthetic)
		return na_hwloc.topology_set_synthetic(tree, source->synthetic) < 0 ? -EINVAL : 0;
	return apply_variables(tree);
}

/* A load that failed, or one that fell back to the machine although a variable named something else. */
static int explain_failure(const struct na_topology_source *source, int error)
{
	static const char *const names[] = { "HWLOC_FSROOT", "HWLOC_CPUID_PATH", "HWLOC_SYNTHETIC", "HWLOC_XMLFILE" };

	if (source->xml || source->synthetic)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (variable(names[i]))
			return complain(names[i], variable(names[i]), "hwloc finds no topology there");
	na_log(NA_LOG_WARNING, "hwloc cannot discover this machine (error %d)", error);
	return error > 0 ? -error : -EIO;
}

static bool fell_back(hwloc_topology_t tree, const struct na_topology_source *source)
{
	if (source->xml || source->synthetic || variable("HWLOC_THISSYSTEM"))
		return false;
	return (variable("HWLOC_FSROOT") || variable("HWLOC_CPUID_PATH")) && na_hwloc.topology_is_thissystem(tree);
}

int na_topology_start(struct hwloc_topology **out, struct na_topology_cost *cost)
{
	uint64_t start = na_clock_ns(CLOCK_MONOTONIC);
	int rc = na_hwloc_load();

	if (rc < 0)
		return rc;
	if (na_hwloc.topology_init(out) < 0)
		return -ENOMEM;
	cost->init_ns += na_clock_ns(CLOCK_MONOTONIC) - start;
	return 0;
}

int na_topology_load(const struct na_topology_source *source, struct hwloc_topology **out,
		     struct na_topology_cost *cost)
{
	hwloc_topology_t tree;
	uint64_t start;
	int rc = na_topology_start(&tree, cost);

	if (rc < 0)
		return rc;
	start = na_clock_ns(CLOCK_MONOTONIC);
	configure(tree);
	rc = apply_source(tree, source);
	if (rc < 0)
		goto destroy_tree;
	errno = 0;
	if (na_hwloc.topology_load(tree) < 0 || fell_back(tree, source)) {
		rc = explain_failure(source, errno);
		goto destroy_tree;
	}
	cost->load_ns += na_clock_ns(CLOCK_MONOTONIC) - start;
	*out = tree;
	return 0;

destroy_tree:
	na_hwloc.topology_destroy(tree);
	return rc;
}

void na_topology_unload(struct hwloc_topology *tree)
{
	na_hwloc.topology_destroy(tree);
}

bool na_topology_is_real(struct hwloc_topology *tree, const struct na_topology_source *source)
{
	if (source->xml || source->synthetic)
		return source->real;
	return source->real || na_hwloc.topology_is_thissystem(tree);
}

int na_topology_export(struct hwloc_topology *tree, char **xml, size_t *length)
{
	char *buffer;
	int bytes;

	if (na_hwloc.topology_export_xmlbuffer(tree, &buffer, &bytes, 0) < 0)
		return -ENOMEM;
	*xml = buffer;
	*length = (size_t)bytes;
	return 0;
}

void na_topology_free_xml(struct hwloc_topology *tree, char *xml)
{
	na_hwloc.free_xmlbuffer(tree, xml);
}

unsigned int na_topology_hwloc_version(void)
{
	return na_hwloc_load() < 0 ? 0 : na_hwloc.get_api_version();
}

int na_topology_build(const struct na_topology_source *source, struct na_topology **out, struct na_topology_cost *cost)
{
	struct hwloc_topology *tree;
	int rc = na_topology_load(source, &tree, cost);

	if (rc < 0)
		return rc;
	rc = na_topology_flatten(tree, source, out);
	na_topology_unload(tree);
	return rc;
}
