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
#include "cold/cold.h"
#include "config.h"
#include "harden/guard.h"
#include "harden/integrity.h"
#include "harden/lost.h"
#include "heap/heap.h"
#include "heap/hooks.h"
#include "heap/streams.h"
#include "hints/prefetch.h"
#include "kernels/tune.h"
#include "kernels/tune_file.h"
#include "metrics/counters.h"
#include "metrics/latency.h"
#include "metrics/ticks.h"
#include "movable/movable.h"
#include "os/os.h"
#include "recovery/climb.h"
#include "recovery/defragment.h"
#include "recovery/handler.h"
#include "recovery/oom.h"
#include "report/paused.h"
#include "report/live.h"
#include "report/process.h"
#include "tracking/phases.h"
#include "tracking/sample.h"
#include "tracking/tracking.h"

static uint32_t sooner(uint32_t ms, uint32_t other)
{
	return ms < other ? ms : other;
}

/* Each is asked only once it has begun: what a process does not use, it does not map. */
static uint32_t tick(uint64_t now_ns)
{
	uint32_t next = UINT32_MAX;

	if (atomic_load_explicit(&na_tracking_begun, memory_order_relaxed))
		next = na_tracking_tick(now_ns);
	if (atomic_load_explicit(&na_process_started, memory_order_acquire)) /* pairs with its start's release */
		next = sooner(next, na_process_tick(now_ns));
	if (na_defrag_wants_ticks())
		next = sooner(next, na_defrag_tick());
	if (atomic_load_explicit(&na_cold_begun, memory_order_relaxed))
		next = sooner(next, na_cold_tick(now_ns));
	if (atomic_load_explicit(&na_tune_begun, memory_order_relaxed))
		next = sooner(next, na_tune_file_tick(now_ns));
	return next;
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

static bool locked_cold, locked_movable; /* by before_fork(): what begins meanwhile is not unlocked */

/* Outer locks first, and before them the maintenance thread's rest, because its tick takes tracking's. Registered after the
 * heap's handlers, so these run before them in the parent and after them otherwise. */
static void before_fork(void)
{
	locked_cold = atomic_load_explicit(&na_cold_begun, memory_order_relaxed);
	if (locked_cold)
		na_life_compression_lock();
	na_guard_before_fork();
	na_integrity_before_fork(); /* it pauses the thread as well, and holds every lock below */
	na_lock(&na_defrag_lock);
	na_maintenance_pause();
	if (locked_cold)
		na_cold_before_fork();
	locked_movable = atomic_load_explicit(&na_movable_begun, memory_order_relaxed);
	if (locked_movable)
		na_movable_before_fork();
	if (locked_cold)
		na_cold_before_fork_inner();
	na_life_lock_configuration();
	na_life_lock_tracking();
	na_tracking_before_fork();
	na_counters_before_fork();
	na_latency_before_fork();
	na_phases_before_fork();
	na_sample_before_fork();
}

static void in_parent(void)
{
	na_sample_after_fork(false);
	na_phases_after_fork(false);
	na_latency_after_fork(false);
	na_counters_after_fork(false);
	na_tracking_after_fork(false);
	na_life_unlock_tracking(false);
	na_life_unlock_configuration(false);
	if (locked_cold)
		na_cold_after_fork_inner(false);
	if (locked_movable)
		na_movable_after_fork(false);
	if (locked_cold)
		na_cold_after_fork(false);
	na_maintenance_resume();
	na_unlock(&na_defrag_lock);
	na_integrity_after_fork(false);
	na_guard_after_fork(false);
	if (locked_cold)
		na_life_compression_unlock(false);
}

static void in_child(void)
{
	na_sample_after_fork(true);
	na_phases_after_fork(true);
	na_latency_after_fork(true);
	if (atomic_load_explicit(&na_tune_begun, memory_order_relaxed)) {
		na_tune_after_fork();
		na_tune_file_after_fork();
	}
	na_counters_after_fork(true);
	na_oom_after_fork();
	na_tracking_after_fork(true);
	na_life_unlock_tracking(true);
	na_life_unlock_configuration(true);
	if (locked_cold)
		na_cold_after_fork_inner(true);
	if (atomic_load_explicit(&na_movable_begun, memory_order_relaxed))
		na_movable_after_fork(true);
	na_lock_reset(&na_defrag_lock);
	na_paused_forked();
	na_integrity_after_fork(true);
	na_guard_after_fork(true);
	if (locked_cold) {
		na_life_compression_unlock(true);
		na_cold_after_fork(true);
	}
}

/* What could not be had is told by memory_metric_unavailable_reason(); a line of each rank would be too many. */
void na_life_follow_counters(void)
{
	int rc = 0;

	if (__atomic_load_n(&na_options.monitor_cache_misses, __ATOMIC_RELAXED))
		rc = na_counters_start();
	else
		na_counters_stop();
	if (rc < 0)
		na_log(NA_LOG_INFO, "monitor_cache_misses: %s", na_counters_why(rc));
}

#define STACKS_TOLD 5

static void tell_phase(const struct na_phase *f, void (*line)(const char *text, void *closure), void *closure)
{
	char text[256];

	na_format(text, sizeof(text), "phase %s%s: %llu live, %llu at most", f->name, f->running ? " (running)" : "",
		  (unsigned long long)f->live_at_end, (unsigned long long)f->peak);
	line(text, closure);
}

static void tell_stack(const struct na_sample_site *site, void (*line)(const char *text, void *closure), void *closure)
{
	char text[256], frame[200];

	na_format(text, sizeof(text), "about %llu live from:", (unsigned long long)site->values.live_bytes);
	line(text, closure);
	for (uint32_t i = 0; i < site->depth && i < 8; i++) {
		na_sample_frame(site->frames[i], frame, sizeof(frame));
		na_format(text, sizeof(text), "    %s", frame);
		line(text, closure);
	}
}

/* Of the report before an allocation fails for good, which there is one of at a time: what is static is its own. */
static void describe(void (*line)(const char *text, void *closure), void *closure)
{
	static struct na_phase phases[NA_PHASES];
	static struct na_sample_site stacks[STACKS_TOLD];
	size_t n = na_phases_copy(phases, NA_PHASES);

	for (size_t i = 0; i < n && i < NA_PHASES; i++)
		tell_phase(&phases[i], line, closure);
	n = na_sample_top(stacks, STACKS_TOLD);
	for (size_t i = 0; i < n; i++)
		tell_stack(&stacks[i], line, closure);
}

static __attribute__((constructor)) void start(void)
{
	na_ticks_begin();
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
	na_prefetch_follow(false);
	na_heap_hooks.tick = tick;
	na_heap_hooks.exhausted = na_climb_exhausted;
	na_heap_hooks.corrupted = na_handler_corrupted;
	na_heap_hooks.report_file = na_process_oom_file;
	na_heap_hooks.describe = describe;
	na_heap_hooks.compact = na_defrag_make_room;
	na_movable_wanted = na_defrag_wanted;
	na_defrag_paused = na_paused_alone;
	na_heap_start();
	if (na_options.harden)
		na_guard_start();
	if (na_options.harden || na_options.memory_errors)
		na_lost_start();
	na_os_at_fork(before_fork, in_parent, in_child);
	if (na_options.defrag_concurrent != NA_CONCURRENT_OFF)
		na_streams_look();
	if (na_options.sample_bytes || na_options.profile[0])
		na_life_start_sampling(0);
	if (na_options.profile[0])
		na_life_check_profile();
	na_live_begin();
	if (na_options.report[0])
		start_record();
	if (na_options.monitor_cache_misses)
		na_life_follow_counters();
	if (na_options.monitoring)
		na_life_start_monitoring();
	if (na_options.compression)
		na_life_start_compression();
}

/* Runs after the program's own exit handlers and destructors. */
static __attribute__((destructor)) void finish(void)
{
	if (na_options.profile[0])
		na_life_write_profile();
	if (atomic_load_explicit(&na_tune_begun, memory_order_relaxed))
		na_tune_file_flush();
	if (atomic_load_explicit(&na_process_started, memory_order_acquire))
		na_process_finish();
}

const char *memory_system_version(void)
{
	return PACKAGE_VERSION;
}
