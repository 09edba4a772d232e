/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/defragmentation.h. Settings are written under the configuration's lock, one word each; slices read them relaxed. */
#include <numarena/defragmentation.h>

#include <errno.h>
#include <string.h>

#include "api/error.h"
#include "api/life.h"
#include "base/log.h"
#include "base/settings.h"
#include "heap/concurrent.h"
#include "heap/heap.h"
#include "heap/merging.h"
#include "movable/movable.h"
#include "recovery/defragment.h"

/* Messages are made without the C library's printf: three digits. */
static memory_error_t refuse_threshold(double v)
{
	unsigned long long thousandths = v > 0 && v < 1e15 ? (unsigned long long)(v * 1000 + 0.5) : 0;

	if (v != v)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "threshold is not a number: must be above 0, up to 1");
	if (v < 0)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "threshold is negative: must be above 0, up to 1");
	if (v >= 1e15)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "threshold is above 1e15: must be above 0, up to 1");
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "threshold is %llu.%llu%llu%llu: must be above 0, up to 1",
			thousandths / 1000, thousandths / 100 % 10, thousandths / 10 % 10, thousandths % 10);
}

static memory_error_t validate(const defrag_config_t *c)
{
	if (!(c->threshold >= 0.0 && c->threshold <= 1.0))
		return refuse_threshold(c->threshold);
	if ((unsigned int)c->strategy > DEFRAG_COORDINATED)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"strategy is %d: must be DEFRAG_INCREMENTAL, DEFRAG_FULL or DEFRAG_COORDINATED",
				(int)c->strategy);
	if (c->max_move_size && (c->max_move_size < 4096 || c->max_move_size > (size_t)1 << 30))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"max_move_size is %zu: must be from 4096 to 1073741824 bytes (0: 1 MiB)",
				c->max_move_size);
	if (c->slice_time && (c->slice_time < 10 || c->slice_time > 1000000))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"slice_time is %u: must be from 10 to 1000000 microseconds (0: 200)", c->slice_time);
	if (c->enable_background && !na_options.background)
		return na_error(MEMORY_ERROR_UNSUPPORTED,
				"enable_background: NUMARENA_BACKGROUND=0 forbids the maintenance thread");
	return MEMORY_ERROR_NONE;
}

static void set(enum na_option_id id, uint64_t value)
{
	if (value)
		na_setting_put(id, NA_FROM_PROGRAM, value);
	else
		na_setting_drop(id, NA_FROM_PROGRAM);
}

memory_error_t start_defragmentation(const defrag_config_t *config)
{
	static const defrag_config_t defaults;
	const defrag_config_t *c = config ? config : &defaults;
	uint64_t threshold;
	memory_error_t error;

	na_pools_boot();
	error = validate(c);
	if (error)
		return error;
	threshold = (uint64_t)(c->threshold * 1000.0 + 0.5);
	if (c->threshold > 0.0 && threshold == 0)
		threshold = 1;
	na_life_lock_configuration();
	set(NA_OPTION_defrag_threshold, threshold);
	set(NA_OPTION_defrag_move_size, c->max_move_size);
	set(NA_OPTION_defrag_slice, c->slice_time);
	na_defrag_start((enum na_defrag_mode)(NA_DEFRAG_INCREMENTAL + (int)c->strategy), c->enable_logging,
			c->enable_background);
	na_life_unlock_configuration(false);
	na_movable_forget_wanted(); /* not under it: fork takes the spaces' locks first */
	if (c->enable_background && na_maintenance_start() == 0)
		na_maintenance_poke();
	return MEMORY_ERROR_NONE;
}

memory_error_t stop_defragmentation(void)
{
	na_defrag_stop();
	return MEMORY_ERROR_NONE;
}

memory_error_t trigger_defragmentation(void)
{
	int rc;

	na_pools_boot();
	rc = na_defrag_pass();
	if (rc == -EDEADLK)
		return na_error(MEMORY_ERROR_BUSY,
				"trigger_defragmentation: next() of compact_in_order() must not begin a pass");
	if (rc < 0)
		return na_error(MEMORY_ERROR_PERMISSION,
				"the kernel does not let pages be moved to their nodes (move_pages), or refuses a "
				"barrier (membarrier): error %d",
				-rc);
	return MEMORY_ERROR_NONE;
}

memory_error_t run_defragmentation_slice(bool *more)
{
	bool is;

	na_pools_boot();
	is = na_defrag_slice();
	if (more)
		*more = is;
	return MEMORY_ERROR_NONE;
}

memory_error_t get_defragmentation_statistics(defrag_stats_t *stats)
{
	struct na_defrag_figures f;
	struct na_merging m;
	struct na_concurrent_figures c;

	if (!stats)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "stats is NULL");
	na_defrag_figures(&f);
	na_merging_figures(&m);
	*stats = (defrag_stats_t){ .running = f.running,
				   .passes = f.passes,
				   .slices = f.slices,
				   .purged_bytes = f.purged,
				   .moved_blocks = f.moved_blocks,
				   .moved_bytes = f.moved_bytes,
				   .refused_blocks = f.refused,
				   .won_bytes = f.won,
				   .homed_bytes = f.homed,
				   .time = f.ns / 1000,
				   .longest_slice = f.longest_ns / 1000,
				   .late_slices = f.late,
				   .winnable_bytes = na_defrag_winnable(),
				   .merged_bytes = f.merged,
				   .merge_addresses = m.mapped_bytes,
				   .merge_memory = m.frame_bytes,
				   .merge_mappings = m.mappings,
				   .merge_mappings_most = m.most_mappings,
				   .merge_grain = m.grain };
	memcpy(stats->merge_refusal, m.why, sizeof(stats->merge_refusal));
	na_concurrent_figures(&c);
	stats->concurrent_busy = c.busy;
	na_format(stats->concurrent_way, sizeof(stats->concurrent_way), "%s", c.way);
	memcpy(stats->concurrent_refusal, c.why, sizeof(stats->concurrent_refusal));
	return MEMORY_ERROR_NONE;
}
