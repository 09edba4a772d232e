/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/integrity.h */
#include <numarena/integrity.h>

#include <string.h>

#include "api/error.h"
#include "api/life.h"
#include "cache/cache.h"
#include "harden/integrity.h"
#include "movable/movable.h"

size_t validate_memory_blocks(void)
{
	char first[160];
	size_t found;

	if (na_movable_in_order()) { /* others wait with what this takes for what this thread has */
		na_error(MEMORY_ERROR_BUSY, "validate_memory_blocks: not within next() of compact_in_order()");
		return MEMORY_METRIC_UNAVAILABLE;
	}
	if (na_integrity_validate(&found, first) < 0) {
		na_error(MEMORY_ERROR_ALLOCATION, "no memory to validate the heap with");
		return MEMORY_METRIC_UNAVAILABLE;
	}
	if (found)
		na_error(MEMORY_ERROR_CORRUPTION, "the heap has %zu faults: %s", found, first);
	return found;
}

memory_error_t repair_corruption(void)
{
	struct na_integrity done;

	if (na_movable_in_order())
		return na_error(MEMORY_ERROR_BUSY, "repair_corruption: not within next() of compact_in_order()");
	if (na_integrity_repair(&done) < 0)
		return na_error(MEMORY_ERROR_ALLOCATION, "no memory to repair the heap with");
	if (done.left)
		return na_error(MEMORY_ERROR_CORRUPTION, "of %zu faults of the heap %zu are left, the first found: %s",
				done.found, done.left, done.first);
	return MEMORY_ERROR_NONE;
}

memory_error_t get_memory_integrity_report(memory_integrity_report_t *report)
{
	struct na_integrity done;

	if (!report)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "report is NULL");
	na_integrity_last(&done);
	*report = (memory_integrity_report_t){
		.faults_found = done.found,
		.faults_left = done.left,
		.rebuilt = done.rebuilt,
		.quarantined_blocks = done.barred,
		.quarantined_bytes = done.barred_bytes,
		.lost_blocks = done.lost,
		.lost_bytes = done.lost_bytes,
		.double_frees = atomic_load_explicit(&na_misuse.double_frees, memory_order_relaxed),
		.invalid_frees = atomic_load_explicit(&na_misuse.invalid_frees, memory_order_relaxed),
		.canary_faults = atomic_load_explicit(&na_misuse.canary_faults, memory_order_relaxed),
		.writes_after_free = atomic_load_explicit(&na_misuse.writes_after_free, memory_order_relaxed),
		.memory_errors = atomic_load_explicit(&na_misuse.memory_errors, memory_order_relaxed),
	};
	memcpy(report->first, done.first, sizeof(report->first));
	return MEMORY_ERROR_NONE;
}
