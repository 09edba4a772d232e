/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numarena/metrics.h: gathers. Where a figure comes from is in the layers below; here it gets its unit, or becomes unavailable, and
 * the reason is kept: a pointer to static storage for each field, written by every call, relaxed, because a reader wants the words
 * and nothing that was written before them.
 */
#include <numarena/metrics.h>

#include <math.h>
#include <numarena/compression.h>
#include <string.h>

#include "api/error.h"
#include "api/life.h"
#include "base/options.h"
#include "heap/heap.h"
#include "heap/snapshot.h"
#include "metrics/allocation.h"
#include "metrics/counters.h"
#include "metrics/latency.h"
#include "movable/movable.h"
#include "os/limit.h"
#include "os/os.h"
#include "recovery/defragment.h"

enum metric {
#define NA_MEMORY_METRIC(name, kind) METRIC_##name,
#include "api/metrics.def"
#undef NA_MEMORY_METRIC
	METRIC_COUNT_
};

static const char *const names[METRIC_COUNT_] = {
#define NA_MEMORY_METRIC(name, kind) #name,
#include "api/metrics.def"
#undef NA_MEMORY_METRIC
};

static _Atomic(const char *) reasons[METRIC_COUNT_]; /* relaxed; NULL: available */
static _Atomic bool gathered;			     /* relaxed: whether anybody has asked yet */

struct gather {
	memory_metrics_t m;
	const char *why[METRIC_COUNT_];
};

#define NA_NONE_COUNT MEMORY_METRIC_UNAVAILABLE
#define NA_NONE_RATIO NAN
#define NA_NONE_TIME  NAN

/* At first nothing is known. */
static void begin(struct gather *g)
{
	memset(g, 0, sizeof(*g));
#define NA_MEMORY_METRIC(name, kind)                                                                                   \
	g->m.name = NA_NONE_##kind;                                                                                    \
	g->why[METRIC_##name] = "it was not measured";
#include "api/metrics.def"
#undef NA_MEMORY_METRIC
}

#define HAVE(g, name, value)  ((g)->m.name = (value), (g)->why[METRIC_##name] = NULL)
#define LACK(g, name, reason) ((g)->why[METRIC_##name] = (reason))

static void add_pools(struct gather *g, const struct na_snapshot *s)
{
	uint64_t resident = 0, misplaced = 0, huge = 0, limit = na_pool_ask_limit(), cached = 0;
	bool misplaced_known = true, huge_known = true;

	for (uint32_t i = 0; i < s->node_count; i++) {
		resident += s->nodes[i].resident_bytes;
		misplaced += s->nodes[i].misplaced_bytes;
		huge += s->nodes[i].huge_bytes;
		misplaced_known &= s->nodes[i].misplaced_bytes != NA_UNKNOWN;
		huge_known &= s->nodes[i].huge_bytes != NA_UNKNOWN;
	}
	for (uint32_t i = 0; i < s->class_count; i++)
		cached += s->class_allocations[i];
	HAVE(g, requested_bytes, s->live_bytes);
	HAVE(g, resident_bytes, resident);
	HAVE(g, fragmentation, s->live_bytes >= resident ? 0.0 : 1.0 - (double)s->live_bytes / (double)resident);
	HAVE(g, maintenance_time, (double)s->maintenance_ns / 1e3);
	if (limit && limit != NA_LIMIT_NONE)
		HAVE(g, pool_usage, resident < limit ? (double)resident / (double)limit : 1.0);
	else
		LACK(g, pool_usage, "neither the machine's memory nor a limit of it is known (/proc/meminfo)");
	if (misplaced_known)
		HAVE(g, misplaced_bytes, misplaced);
	else
		LACK(g, misplaced_bytes, "the kernel does not tell where pages lie (move_pages)");
	if (!huge_known)
		LACK(g, huge_page_coverage,
		     "the kernel does not tell which pages are huge (PAGEMAP_SCAN, /proc/self/smaps)");
	else if (resident == 0)
		LACK(g, huge_page_coverage, "nothing is resident yet");
	else
		HAVE(g, huge_page_coverage, (double)(huge < resident ? huge : resident) / (double)resident);
	if (cached)
		HAVE(g, thread_cache_hit_rate,
		     s->cache_refills < cached ? 1.0 - (double)s->cache_refills / (double)cached : 0.0);
	else
		LACK(g, thread_cache_hit_rate, "nothing of a size that thread caches serve was allocated yet");
}

static void lack_counters(struct gather *g, const char *why)
{
	LACK(g, cache_hit_rate, why);
	LACK(g, cache_misses, why);
	LACK(g, cache_references, why);
	LACK(g, cache_counted, why);
	LACK(g, cache_threads_missed, why);
}

static void add_counters(struct gather *g)
{
	struct na_counters_sum sum;
	int rc;

	if (!__atomic_load_n(&na_options.monitor_cache_misses, __ATOMIC_RELAXED)) {
		lack_counters(g, "monitor_cache_misses is off (NUMARENA_MONITOR_CACHE_MISSES=1)");
		return;
	}
	rc = na_counters_figures(&sum);
	if (rc < 0) {
		lack_counters(g, na_counters_why(rc));
		return;
	}
	if (sum.enabled_ns && sum.running_ns == 0) {
		lack_counters(g, "others have the processor's counters all the time: nothing was counted yet");
		return;
	}
	HAVE(g, cache_references, sum.value[0]);
	HAVE(g, cache_misses, sum.value[1]);
	HAVE(g, cache_threads_missed, sum.missed);
	if (sum.enabled_ns)
		HAVE(g, cache_counted,
		     sum.running_ns < sum.enabled_ns ? (double)sum.running_ns / (double)sum.enabled_ns : 1.0);
	else
		LACK(g, cache_counted, "no thread has run since counting began");
	if (sum.value[0]) /* scaled apart from each other, misses may exceed references */
		HAVE(g, cache_hit_rate,
		     sum.value[1] < sum.value[0] ? 1.0 - (double)sum.value[1] / (double)sum.value[0] : 0.0);
	else
		LACK(g, cache_hit_rate, "no access to the last cache was counted yet");
}

static void add_times(struct gather *g, const struct na_snapshot *s)
{
	uint64_t ps, minor, major;
	int rc = na_latency_here(s, &ps);

	if (rc < 0)
		LACK(g, avg_access_latency, na_latency_why(rc));
	else
		HAVE(g, avg_access_latency, (double)ps / 1e3);
	if (na_allocation_time(s, &ps) < 0)
		LACK(g, avg_alloc_time, "nothing was allocated yet");
	else
		HAVE(g, avg_alloc_time, (double)ps / 1e6);
	if (na_os.page_faults(&minor, &major) < 0) {
		LACK(g, minor_faults, "the kernel does not tell (getrusage)");
		LACK(g, major_faults, "the kernel does not tell (getrusage)");
		return;
	}
	HAVE(g, minor_faults, minor);
	HAVE(g, major_faults, major);
}

static void add_limits(struct gather *g)
{
	static const char no_psi[] = "the kernel has no PSI (/proc/pressure/memory, memory.pressure of the cgroup)";
	struct na_limits_pressure p;
	struct na_limits_memory l;

	na_limits_memory(&l);
	na_limits_pressure(&p);
#define LIMIT(field, value, reason)                                                                                    \
	((value) != NA_LIMIT_NONE ? (void)HAVE(g, field, value) : (void)LACK(g, field, reason))
	LIMIT(cgroup_limit, l.group, "no cgroup of the process has a memory limit");
	LIMIT(cgroup_usage, l.used, "the process is in no cgroup that counts memory, or in the root one");
	LIMIT(memory_room, l.room, "neither /proc/meminfo nor a cgroup tells");
	LIMIT(pressure_some_time, p.some_us, no_psi);
	LIMIT(pressure_full_time, p.full_us, no_psi);
#undef LIMIT
	LACK(g, pressure_some, no_psi);
	LACK(g, pressure_full, no_psi);
	if (p.some_avg10 != NA_LIMIT_NONE)
		HAVE(g, pressure_some, (double)p.some_avg10 / 1e4);
	if (p.full_avg10 != NA_LIMIT_NONE)
		HAVE(g, pressure_full, (double)p.full_avg10 / 1e4);
}

static void add_movable(struct gather *g)
{
	movable_stats_t m;

	na_movable_figures(&m);
	HAVE(g, movable_bytes, m.bytes);
	HAVE(g, movable_held_bytes, m.held_bytes);
	HAVE(g, winnable_bytes, na_defrag_winnable());
	HAVE(g, compaction_won, m.won_bytes);
	HAVE(g, compaction_time, (double)m.move_time);
}

static void add_compression(struct gather *g)
{
	compression_stats_t c;

	get_compression_statistics(&c);
	HAVE(g, compressed_bytes, c.compressed_bytes);
	HAVE(g, compressed_original_bytes, c.original_bytes);
	if (c.original_bytes)
		HAVE(g, compression_ratio, c.ratio);
	else
		LACK(g, compression_ratio, "nothing is compressed");
	if (na_life_raw_refused())
		LACK(g, transparently_compressed_bytes, na_life_raw_refused());
	else
		HAVE(g, transparently_compressed_bytes, c.transparent_bytes);
}

memory_error_t get_memory_metrics(memory_metrics_t *metrics)
{
	struct na_snapshot s;
	struct gather g;

	if (!metrics)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "metrics is NULL");
	begin(&g);
	na_heap_residency(&s);
	add_pools(&g, &s);
	add_counters(&g);
	add_times(&g, &s);
	add_limits(&g);
	add_movable(&g);
	add_compression(&g);
	for (int i = 0; i < METRIC_COUNT_; i++)
		atomic_store_explicit(&reasons[i], g.why[i], memory_order_relaxed);
	atomic_store_explicit(&gathered, true, memory_order_relaxed);
	*metrics = g.m;
	return MEMORY_ERROR_NONE;
}

const char *memory_metric_unavailable_reason(const char *metric)
{
	memory_metrics_t unused;

	for (int i = 0; metric && i < METRIC_COUNT_; i++) {
		const char *why;

		if (strcmp(names[i], metric) != 0)
			continue;
		if (!atomic_load_explicit(&gathered, memory_order_relaxed))
			get_memory_metrics(&unused);
		why = atomic_load_explicit(&reasons[i], memory_order_relaxed);
		return why ? why : "";
	}
	return NULL;
}
