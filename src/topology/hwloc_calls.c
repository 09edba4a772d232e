/* SPDX-License-Identifier: BSD-3-Clause */
#include "topology/hwloc_calls.h"

#include "base/library.h"
#include "config.h"

#ifdef PIC

struct na_hwloc na_hwloc;

int na_hwloc_load(void)
{
#define NA_CALL(name) "hwloc_" #name,
	static const char *const names[] = { NA_HWLOC_CALLS(NA_CALL) };
#undef NA_CALL
	static struct na_library library = { .soname = NA_HWLOC_SONAME,
					     .without = "the machine's topology stays unknown",
					     .names = names,
					     .count = sizeof(names) / sizeof(names[0]),
					     .table = &na_hwloc };

	_Static_assert(sizeof(na_hwloc) == sizeof(names), "a pointer for each name");
	_Static_assert(sizeof(names) / sizeof(names[0]) <= NA_LIBRARY_CALLS, "room in na_library_load()");
	return na_library_load(&library);
}

#else

#define NA_CALL(name) .name = hwloc_##name,
struct na_hwloc na_hwloc = { NA_HWLOC_CALLS(NA_CALL) };
#undef NA_CALL

int na_hwloc_load(void)
{
	return 0;
}

#endif

int na_hwloc_count(hwloc_topology_t tree, hwloc_obj_type_t type)
{
	int depth = na_hwloc.get_type_depth(tree, type);

	return depth == HWLOC_TYPE_DEPTH_UNKNOWN ? 0 : (int)na_hwloc.get_nbobjs_by_depth(tree, depth);
}

hwloc_obj_t na_hwloc_object(hwloc_topology_t tree, hwloc_obj_type_t type, unsigned int logical)
{
	int depth = na_hwloc.get_type_depth(tree, type);

	return depth == HWLOC_TYPE_DEPTH_UNKNOWN ? NULL : na_hwloc.get_obj_by_depth(tree, depth, logical);
}

hwloc_obj_t na_hwloc_next(hwloc_topology_t tree, hwloc_obj_type_t type, hwloc_obj_t before)
{
	return before ? before->next_cousin : na_hwloc_object(tree, type, 0);
}

hwloc_obj_t na_hwloc_node(hwloc_topology_t tree, unsigned int os_index)
{
	hwloc_obj_t node = NULL;

	while ((node = na_hwloc_next(tree, HWLOC_OBJ_NUMANODE, node)))
		if (node->os_index == os_index)
			break;
	return node;
}
