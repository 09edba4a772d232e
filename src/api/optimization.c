/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/optimization.h and the configuration of numarena/cache.h: both set options, under the configuration lock. */
#include <numarena/cache.h>
#include <numarena/optimization.h>
#include <string.h>

#include "api/error.h"
#include "api/life.h"
#include "base/log.h"
#include "base/settings.h"
#include "heap/heap.h"
#include "hints/prefetch.h"

_Static_assert((int)OPT_AGGRESSIVE == (int)NA_LEVEL_AGGRESSIVE && (int)CACHE_OPT_AGGRESSIVE == (int)NA_LEVEL_AGGRESSIVE,
	       "levels are numbered alike");

static memory_error_t check_level(int level, const char *prefix)
{
	if ((unsigned int)level < NA_LEVEL_COUNT_)
		return MEMORY_ERROR_NONE;
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
			"optimization_level is %d: must be %s_NONE, _CONSERVATIVE, _BALANCED or _AGGRESSIVE", level,
			prefix);
}

/* Under the lock. */
static void set_level(enum na_option_id family, int level)
{
	na_setting_put(family, NA_FROM_PROGRAM, (uint64_t)level);
	na_settings_follow_levels();
}

void na_life_balance(void)
{
	na_life_lock_configuration();
	if (na_setting_source(NA_OPTION_optimization) < NA_FROM_PROGRAM)
		set_level(NA_OPTION_optimization, OPT_BALANCED);
	na_life_unlock_configuration(false);
}

void na_life_reset_settings(void)
{
	na_life_lock_configuration();
	na_settings_reset();
	na_prefetch_follow(false);
	na_life_unlock_configuration(false);
}

memory_error_t initialize_memory_optimization(const optimization_config_t *config)
{
	static const optimization_config_t defaults = { .enable_pooling = true,
							.enable_prefetch = true,
							.optimization_level = OPT_BALANCED };
	memory_error_t error;

	if (!config)
		config = &defaults;
	na_pools_boot();
	error = check_level((int)config->optimization_level, "OPT");
	if (error)
		return error;
	if (config->enable_pooling && !na_cache_here())
		return na_error(MEMORY_ERROR_ALLOCATION, "enable_pooling: no memory for the first pool");
	na_life_lock_configuration();
	na_setting_put(NA_OPTION_prefetch, NA_FROM_PROGRAM, config->enable_prefetch);
	set_level(NA_OPTION_optimization, (int)config->optimization_level);
	na_prefetch_follow(true);
	na_life_unlock_configuration(false);
	na_maintenance_poke(); /* the decay time may be another */
	return config->enable_compression ? na_life_compress() : MEMORY_ERROR_NONE;
}

static memory_error_t validate(const cache_config_t *c)
{
	size_t line = c->cache_line_size;

	if (line && ((line & (line - 1)) || line < 16 || line > 4096))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"cache_line_size is %zu: must be a power of two from 16 to 4096, or 0", line);
	if (c->prefetch_distance > 65536)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"prefetch_distance is %zu elements: must be up to 65536, or 0", c->prefetch_distance);
	return check_level((int)c->optimization_level, "CACHE_OPT");
}

static void put_or_drop(enum na_option_id id, uint64_t value)
{
	if (value)
		na_setting_put(id, NA_FROM_PROGRAM, value);
	else
		na_setting_drop(id, NA_FROM_PROGRAM);
}

void na_life_align_to_lines(bool fresh)
{
	static bool raised; /* what there is of the program's is from here */

	if (raised && !fresh)
		na_setting_drop(NA_OPTION_alignment, NA_FROM_PROGRAM);
	raised = na_cache_line > na_options.alignment && na_setting_source(NA_OPTION_alignment) < NA_FROM_PROGRAM;
	if (raised)
		na_setting_put(NA_OPTION_alignment, NA_FROM_PROGRAM, na_cache_line);
}

memory_error_t initialize_cache_system(const cache_config_t *config)
{
	static const cache_config_t defaults = { .enable_prefetch = true, .optimization_level = CACHE_OPT_BALANCED };
	memory_error_t error;

	if (!config)
		config = &defaults;
	na_pools_boot();
	error = validate(config);
	if (error)
		return error;
	na_life_lock_configuration();
	put_or_drop(NA_OPTION_cache_line_size, config->cache_line_size);
	put_or_drop(NA_OPTION_prefetch_distance, config->prefetch_distance);
	na_setting_put(NA_OPTION_prefetch, NA_FROM_PROGRAM, config->enable_prefetch);
	na_setting_put(NA_OPTION_monitor_cache_misses, NA_FROM_PROGRAM, config->monitor_cache_misses);
	set_level(NA_OPTION_cache_optimization, (int)config->optimization_level);
	na_prefetch_follow(true);
	na_life_align_to_lines(false);
	na_life_unlock_configuration(false);
	na_life_follow_counters();
	return MEMORY_ERROR_NONE;
}

size_t get_memory_settings(memory_setting_t *settings, size_t capacity)
{
	na_pools_boot();
	na_life_lock_configuration();
	for (size_t i = 0; settings && i < NA_OPTION_COUNT_ && i < capacity; i++) {
		enum na_option_id id = (enum na_option_id)i;

		settings[i].name = na_option_table[i].env;
		na_setting_text(id, settings[i].value, sizeof(settings[i].value));
		na_setting_origin(id, settings[i].source, sizeof(settings[i].source));
	}
	na_life_unlock_configuration(false);
	return NA_OPTION_COUNT_;
}
