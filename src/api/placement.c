/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/placement.h. */
#include <numarena/placement.h>

#include <errno.h>

#include "api/error.h"
#include "heap/heap.h"
#include "heap/placed.h"
#include "heap/range.h"
#include "hints/prefetch.h"

#define MAX_ALIGNMENT ((size_t)1 << 30)
#define MAX_PARTS     ((size_t)1 << 16)

static const char *wrong_field(const memory_placement_config_t *c)
{
	if ((unsigned int)c->placement > PLACEMENT_CAPACITY)
		return "placement: none of PLACEMENT_LOCAL to PLACEMENT_CAPACITY";
	if (c->placement == PLACEMENT_NODE && c->node < 0)
		return "node: negative";
	if (c->parts > MAX_PARTS)
		return "parts: more than 65536";
	if (c->alignment > MAX_ALIGNMENT || (c->alignment & (c->alignment - 1)))
		return "alignment: must be a power of two up to 1 GiB";
	return NULL;
}

void *allocate_placed(size_t size, const memory_placement_config_t *config)
{
	static const memory_placement_config_t local;
	struct na_wish wish;
	const char *wrong;
	char why[200];
	void *p;
	int rc;

	if (!config)
		config = &local;
	wrong = wrong_field(config);
	if (wrong) {
		na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s", wrong);
		errno = EINVAL;
		return NULL;
	}
	wish = (struct na_wish){ .placement = (enum na_placed)config->placement,
				 .node = config->node,
				 .parts = (uint32_t)config->parts,
				 .strict = config->strict,
				 .huge = config->huge_pages,
				 .alignment = config->alignment < 16 ? 16 : config->alignment };
	rc = na_placed_allocate(size, &wish, &p, why);
	if (rc == 0)
		return p;
	na_error(rc == -EINVAL	? MEMORY_ERROR_INVALID_ARGUMENT
		 : rc == -EPERM ? MEMORY_ERROR_PERMISSION
				: MEMORY_ERROR_ALLOCATION,
		 "allocate_placed(%zu): %s", size, why);
	errno = -rc;
	return NULL;
}

memory_error_t get_memory_placement(const void *block, memory_placement_report_t *report)
{
	struct na_whereabouts where; /* 8 KiB */
	int rc;

	if (!report)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "report is NULL");
	na_pools_boot();
	rc = na_placed_where(block, &where);
	if (rc == -EINVAL)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "pointer %p is not a live block of numarena's", block);
	if (rc < 0)
		return na_error(MEMORY_ERROR_PERMISSION,
				"the kernel does not tell where pages lie (move_pages: error %d)", -rc);
	*report = (memory_placement_report_t){ .placement = (memory_placement_t)where.placement,
					       .node = where.node,
					       .resident_bytes = where.resident,
					       .misplaced_bytes = where.misplaced };
	for (size_t i = 0; i < sizeof(where.on) / sizeof(where.on[0]); i++) {
		if (i < 64)
			report->node_bytes[i] = where.on[i];
		else
			report->other_bytes += where.on[i];
	}
	return MEMORY_ERROR_NONE;
}

memory_error_t partition_range(const void *array, size_t count, size_t size, size_t part, size_t parts,
			       memory_range_t *range)
{
	struct na_range cut;

	if (!range)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "partition_range: range is NULL");
	if (parts == 0 || parts > MAX_PARTS)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "partition_range: parts is %zu: must be from 1 to 65536",
				parts);
	if (part >= parts)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "partition_range: part is %zu: must be below parts, %zu",
				part, parts);
	if (size == 0 || size > (size_t)1 << 30)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "partition_range: size is %zu: must be from 1 to 1 GiB",
				size);
	if (count > PTRDIFF_MAX / size)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"partition_range: count is %zu: no address space holds so many elements", count);
	if (!array && count)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "partition_range: array is NULL");
	na_pools_boot();
	na_range_cut(array, count, size, (uint32_t)part, (uint32_t)parts,
		     __atomic_load_n(&na_cache_line, __ATOMIC_RELAXED), &cut);
	*range = (memory_range_t){ .first = cut.first, .count = cut.end - cut.first, .node = cut.node };
	return MEMORY_ERROR_NONE;
}
