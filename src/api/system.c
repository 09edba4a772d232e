/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/system.h */
#include <numarena/compression.h>
#include <numarena/pool.h>
#include <numarena/system.h>
#include <numarena/tracking.h>

#include "api/error.h"
#include "api/life.h"
#include "base/options.h"
#include "heap/heap.h"
#include "os/os.h"
#include "recovery/defragment.h"
#include "tracking/tracking.h"

memory_error_t initialize_memory_system(const memory_system_config_t *config)
{
	static const memory_system_config_t defaults = { .enable_pooling = true, .enable_monitoring = true };
	bool was_tracking;
	memory_error_t error = MEMORY_ERROR_NONE;

	if (!config)
		config = &defaults;
	na_pools_boot();
	was_tracking = na_tracking_running();
	/* Pooling is the heap itself: it works from the first allocation. What can fail is to give
	 * this thread its cache. */
	if (config->enable_pooling && !na_cache_here())
		return na_error(MEMORY_ERROR_ALLOCATION, "enable_pooling: no memory for the first pool");
	if (config->enable_monitoring)
		error = na_life_start_monitoring();
	if (!error && config->enable_compression)
		error = na_life_compress();
	if (error) {
		if (!was_tracking)
			stop_memory_monitoring();
		return error;
	}
	if (config->enable_optimization)
		na_life_balance();
	return MEMORY_ERROR_NONE;
}

memory_error_t cleanup_memory_resources(void)
{
	memory_error_t error;

	stop_memory_monitoring();
	error = cleanup_compression();
	if (error)
		return error;
	na_defrag_stop();
	if (!na_options.report[0]) /* a job's report outlives the program's own clean-up */
		na_maintenance_stop();
	na_life_reset_settings();
	na_life_follow_counters();
	na_life_follow_recovery();
	error = initialize_memory_pool(NULL);
	na_heap_flush(); /* by the defaults' unit */
	return error;
}
