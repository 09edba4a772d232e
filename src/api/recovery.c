/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/recovery.h. Settings are written under the configuration's lock, one word each; requests read them relaxed. */
#include <numarena/recovery.h>

#include <errno.h>
#include <stdlib.h>

#include "api/error.h"
#include "api/life.h"
#include "base/log.h"
#include "base/settings.h"
#include "heap/beyond.h"
#include "heap/heap.h"
#include "recovery/climb.h"
#include "recovery/handler.h"
#include "recovery/oom.h"
#include "report/process.h"

#define DEFAULT_RETRIES 3
#define DEFAULT_DELAY	100

_Static_assert((int)FALLBACK_NONE == NA_FALLBACK_NONE && (int)FALLBACK_SYSTEM_ALLOC == NA_FALLBACK_SYSTEM &&
		       (int)FALLBACK_OTHER_NODE == NA_FALLBACK_NODE,
	       "the settings' numbers are the documented ones");

static memory_error_t validate(const recovery_config_t *c)
{
	if (c->max_retries > 1000)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "max_retries is %u: must be from 1 to 1000 (0: %d)",
				c->max_retries, DEFAULT_RETRIES);
	if (c->retry_delay > 60000)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "retry_delay is %u ms: must be from 1 to 60000 (0: %d)",
				c->retry_delay, DEFAULT_DELAY);
	if ((unsigned int)c->fallback_strategy >= NA_FALLBACK_COUNT_)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"fallback_strategy is %d: must be FALLBACK_NONE, FALLBACK_SYSTEM_ALLOC or "
				"FALLBACK_OTHER_NODE",
				(int)c->fallback_strategy);
	return MEMORY_ERROR_NONE;
}

static void set(enum na_option_id id, uint64_t value)
{
	na_setting_put(id, NA_FROM_PROGRAM, value);
}

/* Memory beyond the limit is only to be had while the fallback says so; and its bookkeeping is made now, not when memory is short. */
static memory_error_t open_fallback(uint64_t fallback)
{
	if (fallback != NA_FALLBACK_SYSTEM)
		na_beyond_close();
	else if (na_beyond_open() < 0)
		return na_error(MEMORY_ERROR_ALLOCATION, "fallback_strategy: no memory for the bookkeeping of "
							 "FALLBACK_SYSTEM_ALLOC");
	return MEMORY_ERROR_NONE;
}

memory_error_t initialize_memory_recovery(const recovery_config_t *config)
{
	static const recovery_config_t defaults;
	const recovery_config_t *c = config ? config : &defaults;
	memory_error_t error;

	na_pools_boot();
	error = validate(c);
	if (!error)
		error = open_fallback(na_option_from_environment(NA_OPTION_fallback) ? na_options.fallback
										     : (uint64_t)c->fallback_strategy);
	if (error)
		return error;
	na_life_lock_configuration();
	set(NA_OPTION_max_retries, c->max_retries ? c->max_retries : DEFAULT_RETRIES);
	set(NA_OPTION_retry_delay, c->retry_delay ? c->retry_delay : DEFAULT_DELAY);
	set(NA_OPTION_recovery_logging, c->enable_logging);
	set(NA_OPTION_fallback, (uint64_t)c->fallback_strategy);
	set(NA_OPTION_recovery, 1);
	na_life_unlock_configuration(false);
	return MEMORY_ERROR_NONE;
}

void na_life_follow_recovery(void)
{
	if (__atomic_load_n(&na_options.fallback, __ATOMIC_RELAXED) != NA_FALLBACK_SYSTEM)
		na_beyond_close();
}

memory_error_t get_memory_recovery_statistics(memory_recovery_stats_t *stats)
{
	struct na_climb_figures f;

	if (!stats)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "stats is NULL");
	na_climb_figures(&f);
	*stats = (memory_recovery_stats_t){ .failures = f.requests,
					    .by_purge = f.served[NA_STEP_PURGE],
					    .by_compression = f.served[NA_STEP_COMPRESS],
					    .by_defragmentation = f.served[NA_STEP_DEFRAGMENT],
					    .by_retry = f.served[NA_STEP_RETRY],
					    .by_other_node = f.served[NA_STEP_NODE],
					    .by_system = f.served[NA_STEP_SYSTEM],
					    .by_handler = f.served[NA_STEP_HANDLER],
					    .refused = f.served[NA_STEP_NONE],
					    .retries = f.retries,
					    .waited_ms = f.waited_ms,
					    .handler_calls = na_handler_calls(),
					    .reports = na_oom_reports(),
					    .system_bytes = na_beyond_bytes() };
	return MEMORY_ERROR_NONE;
}

memory_error_handler_t set_memory_error_handler(memory_error_handler_t handler)
{
	return na_handler_set(handler);
}

void *retry_allocation(void)
{
	void *p = NULL;
	int rc;

	na_pools_boot();
	rc = na_handler_retry(&p);
	if (rc == 0)
		return p;
	if (rc == -EINVAL)
		na_error(MEMORY_ERROR_INVALID_ARGUMENT, "no request of this thread has failed and is still open");
	else
		na_error(MEMORY_ERROR_ALLOCATION, "no memory for the request that had failed");
	errno = -rc;
	return NULL;
}

size_t free_unused_memory(void)
{
	return na_heap_flush();
}

void log_memory_error(memory_error_t error)
{
	int64_t live = atomic_load_explicit(&na_live, memory_order_relaxed);
	const char *said = last_memory_error() == error ? last_memory_error_message() : "";

	na_pools_boot();
	na_log(NA_LOG_ERROR, "memory error: %s%s%s; %llu live, %llu held of %llu allowed", memory_error_string(error),
	       *said ? ": " : "", said, (unsigned long long)(live > 0 ? live : 0),
	       (unsigned long long)na_pool_counted(), (unsigned long long)na_pool_ask_limit());
}

void abort_operation(void)
{
	const struct na_request *r = na_handler_request();

	if (r)
		na_oom_report(r);
	na_process_abort();
}
