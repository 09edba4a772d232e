/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hwloc's functions as this folder calls them: na_hwloc.NAME for hwloc_NAME, after na_hwloc_load() returned 0. hwloc and
 * the libraries that it brings (libudev, and plugins for OpenCL and GL) are so loaded by processes that ask for
 * the topology only; see base/library.h.
 *
 * hwloc's inline functions call hwloc directly and cannot be used; the four that we need are here. A function that
 * is missing from the list shows as an undefined symbol when libnumarena is linked.
 */
#ifndef NA_TOPOLOGY_HWLOC_CALLS_H
#define NA_TOPOLOGY_HWLOC_CALLS_H

#include <hwloc.h>

#define NA_HWLOC_CALLS(X)                                                                                              \
	X(bitmap_isset)                                                                                                \
	X(bitmap_iszero)                                                                                               \
	X(bitmap_last)                                                                                                 \
	X(bitmap_next)                                                                                                 \
	X(bitmap_weight)                                                                                               \
	X(distances_get_by_type)                                                                                       \
	X(distances_release)                                                                                           \
	X(free_xmlbuffer)                                                                                              \
	X(get_api_version)                                                                                             \
	X(get_nbobjs_by_depth)                                                                                         \
	X(get_obj_by_depth)                                                                                            \
	X(get_type_depth)                                                                                              \
	X(memattr_get_initiators)                                                                                      \
	X(memattr_get_value)                                                                                           \
	X(topology_destroy)                                                                                            \
	X(topology_export_xmlbuffer)                                                                                   \
	X(topology_get_allowed_cpuset)                                                                                 \
	X(topology_get_allowed_nodeset)                                                                                \
	X(topology_get_complete_cpuset)                                                                                \
	X(topology_init)                                                                                               \
	X(topology_is_thissystem)                                                                                      \
	X(topology_load)                                                                                               \
	X(topology_set_all_types_filter)                                                                               \
	X(topology_set_components)                                                                                     \
	X(topology_set_flags)                                                                                          \
	X(topology_set_synthetic)                                                                                      \
	X(topology_set_type_filter)                                                                                    \
	X(topology_set_xml)                                                                                            \
	X(topology_set_xmlbuffer)

struct na_hwloc {
#define NA_CALL(name) __typeof__(hwloc_##name) *name;
	NA_HWLOC_CALLS(NA_CALL)
#undef NA_CALL
};

extern struct na_hwloc na_hwloc;

/* 0, or -ENOENT if hwloc is not there, which a message says once. */
int na_hwloc_load(void);

/* As hwloc_get_nbobjs_by_type() and so on, for types that lie at one depth: all that we keep. */
int na_hwloc_count(hwloc_topology_t tree, hwloc_obj_type_t type);
hwloc_obj_t na_hwloc_object(hwloc_topology_t tree, hwloc_obj_type_t type, unsigned int logical);
hwloc_obj_t na_hwloc_next(hwloc_topology_t tree, hwloc_obj_type_t type, hwloc_obj_t before);
hwloc_obj_t na_hwloc_node(hwloc_topology_t tree, unsigned int os_index);

#endif
