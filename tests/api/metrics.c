/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics: against the statistics, against what this program itself did, and each that is missing with its reason. Other machines' figures
 * and failures are in tests/unit/metrics and tests/unit/analysis. */
#include <sys/resource.h>

#include "api/api.h"

enum kind { COUNT, REAL };

static const struct {
	const char *name;
	enum kind kind;
	size_t at;
} fields[] = {
#define FIELD(kind, name) { #name, kind, offsetof(memory_metrics_t, name) }
	FIELD(REAL, pool_usage),
	FIELD(REAL, fragmentation),
	FIELD(REAL, cache_hit_rate),
	FIELD(COUNT, cache_misses),
	FIELD(REAL, avg_alloc_time),
	FIELD(REAL, avg_access_latency),
	FIELD(COUNT, cache_references),
	FIELD(REAL, cache_counted),
	FIELD(COUNT, cache_threads_missed),
	FIELD(REAL, thread_cache_hit_rate),
	FIELD(COUNT, requested_bytes),
	FIELD(COUNT, resident_bytes),
	FIELD(COUNT, misplaced_bytes),
	FIELD(REAL, huge_page_coverage),
	FIELD(COUNT, minor_faults),
	FIELD(COUNT, major_faults),
	FIELD(REAL, maintenance_time),
	FIELD(COUNT, cgroup_limit),
	FIELD(COUNT, cgroup_usage),
	FIELD(COUNT, memory_room),
	FIELD(REAL, pressure_some),
	FIELD(REAL, pressure_full),
	FIELD(COUNT, pressure_some_time),
	FIELD(COUNT, pressure_full_time),
	FIELD(COUNT, movable_bytes),
	FIELD(COUNT, movable_held_bytes),
	FIELD(COUNT, winnable_bytes),
	FIELD(COUNT, compaction_won),
	FIELD(REAL, compaction_time),
	FIELD(COUNT, compressed_bytes),
	FIELD(COUNT, compressed_original_bytes),
	FIELD(REAL, compression_ratio),
	FIELD(COUNT, transparently_compressed_bytes),
#undef FIELD
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

/* Each is a figure without a reason, or no figure with one. */
static void check_reasons(const memory_metrics_t *m)
{
	_Static_assert(FIELDS * 8 == sizeof(memory_metrics_t), "no field is left out");
	for (size_t i = 0; i < FIELDS; i++) {
		const char *at = (const char *)m + fields[i].at, *why = memory_metric_unavailable_reason(fields[i].name);
		double real = *(const double *)(const void *)at;
		int missing = fields[i].kind == REAL ? isnan(real) :
						       *(const size_t *)(const void *)at == MEMORY_METRIC_UNAVAILABLE;

		REQUIRE(why);
		CHECK_MSG(missing == (*why != '\0'), "%s is %s, and the reason \"%s\"", fields[i].name,
			  missing ? "missing" : "there", why);
		CHECK_MSG(fields[i].kind != REAL || missing || (real >= 0.0 && isfinite(real)), "%s is %g", fields[i].name, real);
	}
}

static memory_metrics_t metrics(void)
{
	memory_metrics_t m;

	memset(&m, 0x5a, sizeof(m));
	GOOD(get_memory_metrics(&m));
	check_reasons(&m);
	return m;
}

static void what_is_asked_for_wrongly(void)
{
	ERROR(get_memory_metrics(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "metrics", "NULL");
	CHECK(memory_metric_unavailable_reason("cache_mises") == NULL);
	CHECK(memory_metric_unavailable_reason("") == NULL);
	CHECK(memory_metric_unavailable_reason(NULL) == NULL);
}

static void a_fresh_process(void)
{
	memory_metrics_t m;

	/* Without asking for the metrics first, too. */
	CHECK(strstr(memory_metric_unavailable_reason("cache_misses"), "NUMARENA_MONITOR_CACHE_MISSES"));
	m = metrics();
	CHECK_EQ(m.requested_bytes, 0);
	CHECK(m.fragmentation == 0.0);
	CHECK(isnan(m.avg_alloc_time) && isnan(m.thread_cache_hit_rate));
	CHECK(strstr(memory_metric_unavailable_reason("avg_alloc_time"), "nothing was allocated"));
	CHECK(m.cache_misses == MEMORY_METRIC_UNAVAILABLE && isnan(m.cache_hit_rate));
}

static void figures_are_those_of_the_statistics(void)
{
	void *p = allocate_from_pool(20 * MIB), *q[300];
	memory_metrics_t m;
	memory_stats_t s;

	memset(p, 1, 20 * MIB);
	for (int i = 0; i < 300; i++)
		q[i] = allocate_from_pool((size_t)i * 10);
	m = metrics();
	s = api_stats();
	CHECK_EQ(m.requested_bytes, s.total_allocated);
	CHECK_EQ(m.resident_bytes, s.physical_bytes);
	CHECK(fabs(m.fragmentation - s.fragmentation) < 1e-9);
	CHECK(fabs(m.thread_cache_hit_rate - s.thread_cache_hit_rate) < 1e-9);
	CHECK(m.pool_usage > 0.0 && m.pool_usage < 1.0);
	CHECK(m.misplaced_bytes == MEMORY_METRIC_UNAVAILABLE || m.misplaced_bytes <= m.resident_bytes);
	if (s.huge_page_bytes != MEMORY_METRIC_UNAVAILABLE)
		CHECK(fabs(m.huge_page_coverage - (double)s.huge_page_bytes / (double)s.physical_bytes) < 1e-9);
	CHECK(m.avg_alloc_time > 0.0 && m.avg_alloc_time < 1e6);
	for (int i = 0; i < 300; i++)
		return_to_pool(q[i]);
	return_to_pool(p);
}

/* total_size is what pool_usage is held against. */
static void usage_is_of_the_pools_limit(void)
{
	void *p = allocate_from_pool(50 * MIB);
	memory_metrics_t m;

	memset(p, 1, 50 * MIB);
	GOOD(initialize_memory_pool(&(memory_pool_config_t){ .total_size = 200 * MIB }));
	m = metrics();
	CHECK(fabs(m.pool_usage - (double)m.resident_bytes / (double)(200 * MIB)) < 1e-9);
	CHECK(m.pool_usage >= 0.25);
	GOOD(initialize_memory_pool(NULL));
	return_to_pool(p);
}

static void page_faults_are_counted(void)
{
	memory_metrics_t before = metrics(), after;
	struct rusage u;
	char *p;

	flush_memory_pools();
	p = allocate_from_pool(8 * MIB);
	for (size_t i = 0; i < 8 * MIB; i += 4096)
		p[i] = 1;
	after = metrics();
	CHECK(getrusage(RUSAGE_SELF, &u) == 0);
	CHECK(after.minor_faults > before.minor_faults);
	CHECK(after.minor_faults <= (size_t)u.ru_minflt && after.major_faults <= (size_t)u.ru_majflt);
	return_to_pool(p);
}

/* A question must not be part of the answer. */
static void asking_changes_nothing(void)
{
	memory_stats_t before, after;

	metrics();
	before = api_stats();
	for (int i = 0; i < 3; i++)
		metrics();
	after = api_stats();
	CHECK_EQ(before.total_allocated, after.total_allocated);
	CHECK_EQ(before.peak_usage, after.peak_usage);
	CHECK_EQ(before.allocations, after.allocations);
	CHECK_EQ(before.releases, after.releases);
	CHECK_EQ(before.cache_refills, after.cache_refills);
	CHECK_EQ(before.reserved_bytes, after.reserved_bytes);
}

static int stopping;

static void *ask(void *unused)
{
	memory_metrics_t m;

	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		GOOD(get_memory_metrics(&m));
		CHECK(memory_metric_unavailable_reason("requested_bytes") != NULL);
	}
	return unused;
}

static void from_several_threads_at_once(void)
{
	pthread_t threads[2];
	void *p[50] = { NULL };
	uint64_t random = 1;

	for (int i = 0; i < 2; i++)
		REQUIRE(pthread_create(&threads[i], NULL, ask, NULL) == 0);
	for (int i = 0; i < (api_brief() ? 2000 : 200000); i++) {
		size_t at = check_random(&random) % 50;

		return_to_pool(p[at]);
		p[at] = allocate_from_pool(check_random(&random) % 60000);
	}
	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 50; i++)
		return_to_pool(p[i]);
}

static int in_a_child(void *unused)
{
	memory_metrics_t m = metrics();

	(void)unused;
	CHECK(m.avg_access_latency > 0.0 || isnan(m.avg_access_latency));
	GOOD(cleanup_memory_resources());
	GOOD(cleanup_memory_resources());
	metrics();
	return 0;
}

static void in_a_forked_child(void)
{
	struct child c;

	child_run(in_a_child, NULL, &c);
	CHILD_GOOD(&c, "metrics in a child");
}

/* ---- with the processor's counters wanted ---- */

static void *busy(void *unused)
{
	volatile char *p = allocate_from_pool(16 * MIB);

	for (size_t i = 0; i < 16 * MIB; i += 64)
		p[i] = 1;
	return_to_pool((void *)(uintptr_t)p);
	return unused;
}

static int counting(void)
{
	memory_metrics_t m, later;
	pthread_t t;
	const char *why;

	check_watchdog(60);
	GOOD(get_memory_metrics(&m));
	REQUIRE(pthread_create(&t, NULL, busy, NULL) == 0);
	pthread_join(t, NULL);
	GOOD(get_memory_metrics(&later));
	check_reasons(&later);
	why = memory_metric_unavailable_reason("cache_misses");
	CHECK(!strstr(why, "NUMARENA_MONITOR_CACHE_MISSES")); /* it was tried */
	if (*why) {
		CHECK(strlen(why) > 20);
		CHECK(later.cache_misses == MEMORY_METRIC_UNAVAILABLE && isnan(later.cache_hit_rate));
	} else { /* a thread that wrote 256 Ki lines has missed some */
		CHECK(later.cache_references > m.cache_references && later.cache_misses >= m.cache_misses);
		CHECK(later.cache_counted > 0.0 && later.cache_counted <= 1.0);
	}
	in_a_forked_child();
	return check_result();
}

static void what_the_environment_wants_is_tried(void)
{
	const char *const settings[] = { "NUMARENA_MONITOR_CACHE_MISSES=1", "NUMARENA_VERBOSE=2", NULL };
	const char *const wrong[] = { "NUMARENA_MONITOR_CACHE_MISSES=maybe", NULL };
	struct child c;

	api_again("counting", settings, &c);
	CHILD_GOOD(&c, "with monitor_cache_misses");
	CHECK_EQ(child_lines_with(&c, "monitor_cache_misses: ") <= 1, 1);
	api_again("counting", wrong, &c);
	CHECK(WIFEXITED(c.status) && WEXITSTATUS(c.status) == 2);
	CHECK(strstr(c.text, "NUMARENA_MONITOR_CACHE_MISSES=maybe"));
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "counting") == 0)
		return counting();
	check_watchdog(120);
	RUN(a_fresh_process);
	RUN(what_is_asked_for_wrongly);
	RUN(figures_are_those_of_the_statistics);
	RUN(usage_is_of_the_pools_limit);
	RUN(page_faults_are_counted);
	RUN(asking_changes_nothing);
	RUN(from_several_threads_at_once);
	RUN(in_a_forked_child);
	RUN(what_the_environment_wants_is_tried);
	return check_result();
}
