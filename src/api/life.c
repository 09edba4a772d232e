/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library's constructor: settings are complained about before the program starts, fork handlers
 * are set, the maintenance thread's hook is wired to the layers that want ticks, and the record of the job's report
 * is opened. The first allocation may come long before (from the loader); it boots the pools by itself.
 *
 * A settings error or a report folder that cannot be used ends the process with status 2, but only the one that
 * the user started: in its children the same is a warning, because by then something runs.
 */
#include "api/life.h"

#include <numarena/system.h>
#include <numarena/tracking.h>
#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "base/options.h"
#include "config.h"
#include "harden/guard.h"
#include "harden/integrity.h"
#include "harden/lost.h"
#include "heap/heap.h"
#include "heap/hooks.h"
#include "os/os.h"
#include "report/process.h"
#include "tracking/tracking.h"

static uint32_t tick(uint64_t now_ns)
{
	uint32_t tracking = na_tracking_tick(now_ns), record = na_process_tick(now_ns);

	return tracking < record ? tracking : record;
}

static void start_record(void)
{
	char complaint[512];

	if (na_process_start(na_options.report, NULL, complaint, sizeof(complaint)) == 0)
		return;
	na_log(na_process_is_root() ? NA_LOG_ERROR : NA_LOG_WARNING, "%s", complaint);
	if (na_process_is_root())
		_exit(2);
}

/* Outer locks first, and before them the maintenance thread's rest, because its tick takes tracking's. Registered after the
 * heap's handlers, so these run before them in the parent and after them otherwise. */
static void before_fork(void)
{
	na_guard_before_fork();
	na_integrity_before_fork(); /* it pauses the thread as well, and holds every lock below */
	na_maintenance_pause();
	na_life_lock_configuration();
	na_life_lock_tracking();
	na_tracking_before_fork();
}

static void in_parent(void)
{
	na_tracking_after_fork(false);
	na_life_unlock_tracking(false);
	na_life_unlock_configuration(false);
	na_maintenance_resume();
	na_integrity_after_fork(false);
	na_guard_after_fork(false);
}

static void in_child(void)
{
	na_tracking_after_fork(true);
	na_life_unlock_tracking(true);
	na_life_unlock_configuration(true);
	na_integrity_after_fork(true);
	na_guard_after_fork(true);
}

static __attribute__((constructor)) void start(void)
{
	na_pools_boot();
	if (na_pools_complaint()[0]) {
		na_log(NA_LOG_ERROR, "%s", na_pools_complaint());
		_exit(2);
	}
	if (na_options_unknown())
		na_log(NA_LOG_WARNING, "%s: no such setting, ignored (numarena-run --help lists them)",
		       na_options_unknown());
	if (na_pools_missing())
		na_log(NA_LOG_WARNING,
		       "of %u NUMA nodes with memory the first %u have a pool: threads on the others get "
		       "memory of the nearest of those",
		       na_pool_count + na_pools_missing(), na_pool_count);
	na_heap_hooks.tick = tick;
	na_heap_start();
	na_guard_start();
	na_lost_start();
	na_os_at_fork(before_fork, in_parent, in_child);
	if (na_options.report[0])
		start_record();
	if (na_options.monitoring)
		na_life_start_monitoring();
}

/* Runs after the program's own exit handlers and destructors. */
static __attribute__((destructor)) void finish(void)
{
	if (atomic_load_explicit(&na_process_started, memory_order_acquire))
		na_process_finish();
}

const char *memory_system_version(void)
{
	return PACKAGE_VERSION;
}
