/* SPDX-License-Identifier: BSD-3-Clause */
/* The phases of numarena/statistics.h. */
#include <numarena/statistics.h>

#include <errno.h>
#include <string.h>

#include "api/error.h"
#include "api/life.h"
#include "cold/cold.h"
#include "tracking/phases.h"

memory_error_t begin_memory_phase(const char *name)
{
	int rc;

	if (!name || !name[0] || strlen(name) >= NA_PHASE_NAME)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"the phase's name is \"%s\": must have 1 to %d characters", name ? name : "",
				NA_PHASE_NAME - 1);
	rc = na_phase_begin(name);
	if (rc == -EOVERFLOW)
		return na_error(MEMORY_ERROR_BUSY, "phase \"%s\" does not begin: %d run already, and more cannot", name,
				NA_PHASES_DEEP);
	if (rc < 0)
		return na_error(MEMORY_ERROR_BUSY,
				"phase \"%s\" does not begin: there are %d others, and more cannot be", name,
				NA_PHASES);
	return MEMORY_ERROR_NONE;
}

memory_error_t end_memory_phase(void)
{
	if (na_phase_end() < 0)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "no phase runs that could end");
	if (na_phases_running() == 0)
		na_cold_phase_ended();
	return MEMORY_ERROR_NONE;
}

size_t get_memory_phase_statistics(memory_phase_stats_t *phases, size_t capacity)
{
	struct na_phase all[NA_PHASES];
	size_t count = na_phases_copy(all, NA_PHASES);

	_Static_assert(sizeof(phases->name) == sizeof(all[0].name), "names fit");
	for (size_t i = 0; phases && i < count && i < capacity; i++) {
		const struct na_phase *p = &all[i];

		phases[i] = (memory_phase_stats_t){ .running = p->running,
						    .entered = p->entered,
						    .seconds = (double)p->ns / 1e9,
						    .allocations = p->allocations,
						    .releases = p->releases,
						    .allocated_bytes = p->allocated_bytes,
						    .released_bytes = p->released_bytes,
						    .live_at_start = p->live_at_start,
						    .live_at_end = p->live_at_end,
						    .peak_bytes = p->peak };
		memcpy(phases[i].name, p->name, sizeof(p->name));
	}
	return count;
}
