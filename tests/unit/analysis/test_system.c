/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * analyze_memory_system() on machines that we do not have: several nodes by an os table, limits and pressure by made-up files. What one
 * node and a real program can show is in tests/api/analysis.c.
 */
#include <errno.h>
#include <numarena/analysis.h>
#include <numarena/metrics.h>
#include <numarena/statistics.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/options.h"
#include "heap/heap.h"
#include "metrics/counters.h"
#include "os/os.h"
#include "pool/nodes.h"
#include "support/unit.h"

#include "support/files.h"

#define MIB (1ULL << 20)

static int here, elsewhere = -1, locate_error;
static analysis_result_t result;

static size_t two_nodes(int *nodes, size_t capacity)
{
	assert_true(capacity >= 2);
	nodes[0] = 1;
	nodes[1] = 6;
	return 2;
}

static int current_node(void)
{
	return here;
}

static int no_bind(void *at, size_t size, int node)
{
	(void)at;
	(void)size;
	(void)node;
	return 0;
}

/* Pages lie where their block's pool is, or all on one node. */
static int make_locate(void **pages, int *status, size_t count)
{
	if (locate_error)
		return locate_error;
	for (size_t i = 0; i < count; i++) {
		struct na_segment *segment = na_segment_of(pages[i]);

		status[i] = elsewhere >= 0 ? elsewhere : segment ? segment->pool->node : 1;
	}
	return 0;
}

static const memory_finding_t *finding(memory_finding_kind_t kind)
{
	assert_int_equal(analyze_memory_system(&result), MEMORY_ERROR_NONE);
	assert_true(result.finding_count <= MEMORY_FINDINGS_MAX);
	for (size_t i = 0; i < result.finding_count; i++) {
		assert_non_null(strstr(result.bottlenecks, result.findings[i].bottleneck));
		assert_non_null(strstr(result.recommendations, result.findings[i].recommendation));
	}
	if (result.finding_count == 0) {
		assert_string_equal(result.bottlenecks, "none");
		assert_string_equal(result.recommendations, "none");
	}
	for (size_t i = 0; i < result.finding_count; i++)
		if (result.findings[i].kind == kind)
			return &result.findings[i];
	return NULL;
}

static void *touched(size_t bytes, int node)
{
	void *p;

	here = node;
	p = na_heap_allocate(bytes);
	assert_non_null(p);
	memset(p, 1, bytes);
	return p;
}

static int begin(void **state)
{
	(void)state;
	files_begin();
	files_put_machine(8000 * 1024, 7000 * 1024);
	elsewhere = -1;
	locate_error = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	files_end();
	na_heap_flush();
	return 0;
}

static void pages_on_another_node(void **state)
{
	void *p = touched(90 * MIB, 1), *q = touched(90 * MIB, 6);
	const memory_finding_t *f;

	(void)state;
	assert_null(finding(MEMORY_FINDING_MISPLACED));
	elsewhere = 1; /* what is node 6's has spilled */
	f = finding(MEMORY_FINDING_MISPLACED);
	assert_non_null(f);
	assert_true(f->value > 0.4 && f->value < 0.6 && f->threshold < 0.1 && f->cost > f->value);
	assert_non_null(strstr(f->bottleneck, "of node 6"));
	locate_error = -EPERM; /* nobody tells: no finding, but no invention either */
	assert_null(finding(MEMORY_FINDING_MISPLACED));
	na_heap_release(p);
	na_heap_release(q);
}

/* What the process may run on was found when the pools were made: it runs on both nodes. */
static void all_on_one_node(void **state)
{
	void *p = touched(100 * MIB, 1), *q;
	const memory_finding_t *f = finding(MEMORY_FINDING_IMBALANCE);

	(void)state;
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "Node 1 holds"));
	q = touched(80 * MIB, 6);
	assert_null(finding(MEMORY_FINDING_IMBALANCE));
	na_heap_release(p);
	na_heap_release(q);
}

static void group(unsigned long long limit, unsigned long long used)
{
	files_put("/proc/self/cgroup", "0::/job\n");
	files_put("/sys/fs/cgroup/job/memory.stat", "inactive_file 0\n");
	files_put("/sys/fs/cgroup/job/memory.high", "max\n");
	files_put_number("/sys/fs/cgroup/job/memory.max", limit);
	files_put_number("/sys/fs/cgroup/job/memory.current", used);
}

static void a_cgroup_that_is_nearly_full(void **state)
{
	const memory_finding_t *f;

	(void)state;
	group(1000 * MIB, 500 * MIB);
	assert_null(finding(MEMORY_FINDING_LIMIT));
	group(1000 * MIB, 950 * MIB);
	f = finding(MEMORY_FINDING_LIMIT);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "50.0 MiB are left"));
	assert_true(result.findings[0].kind == MEMORY_FINDING_LIMIT); /* what ends a job comes first */
}

static void tasks_that_wait_for_memory(void **state)
{
	const memory_finding_t *f;

	(void)state;
	files_put("/proc/pressure/memory",
		  "some avg10=4.90 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
	assert_null(finding(MEMORY_FINDING_STALLS));
	files_put("/proc/pressure/memory",
		  "some avg10=12.30 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
	f = finding(MEMORY_FINDING_STALLS);
	assert_non_null(f);
	assert_true(fabs(f->value - 0.123) < 1e-9);
	assert_non_null(strstr(f->bottleneck, "12.3%"));
}

/* ---- the metrics of the same machine ---- */

static void metrics_are_sums_over_the_nodes(void **state)
{
	void *p = touched(20 * MIB, 1), *q = touched(30 * MIB, 6);
	memory_node_stats_t nodes[2];
	size_t requested = 0, resident = 0;
	memory_metrics_t m;

	(void)state;
	elsewhere = 1;
	assert_int_equal(get_memory_node_statistics(nodes, 2), 2);
	assert_int_equal(get_memory_metrics(&m), MEMORY_ERROR_NONE);
	for (int i = 0; i < 2; i++) {
		requested += nodes[i].requested_bytes;
		resident += nodes[i].resident_bytes;
	}
	assert_int_equal(m.requested_bytes, requested);
	assert_int_equal(m.resident_bytes, resident);
	assert_true(m.misplaced_bytes >= 30 * MIB && m.misplaced_bytes < 40 * MIB);
	assert_true(isnan(m.avg_access_latency)); /* pages of node 6 are not to be had there */
	assert_non_null(strstr(memory_metric_unavailable_reason("avg_access_latency"), "another node"));
	locate_error = -EPERM;
	assert_int_equal(get_memory_metrics(&m), MEMORY_ERROR_NONE);
	assert_int_equal(m.misplaced_bytes, MEMORY_METRIC_UNAVAILABLE);
	assert_non_null(strstr(memory_metric_unavailable_reason("misplaced_bytes"), "move_pages"));
	assert_non_null(strstr(memory_metric_unavailable_reason("avg_access_latency"), "move_pages"));
	na_heap_release(p);
	na_heap_release(q);
}

static void limits_and_pressure_are_the_files(void **state)
{
	memory_metrics_t m;

	(void)state;
	group(1000 * MIB, 400 * MIB);
	files_put("/sys/fs/cgroup/job/memory.pressure",
		  "some avg10=12.50 avg60=0.00 avg300=0.00 total=99\nfull avg10=0.01 avg60=0.00 avg300=0.00 total=5\n");
	assert_int_equal(get_memory_metrics(&m), MEMORY_ERROR_NONE);
	assert_int_equal(m.cgroup_limit, 1000 * MIB);
	assert_int_equal(m.cgroup_usage, 400 * MIB);
	assert_int_equal(m.memory_room, 600 * MIB);
	assert_true(fabs(m.pressure_some - 0.125) < 1e-9 && fabs(m.pressure_full - 0.0001) < 1e-9);
	assert_int_equal(m.pressure_some_time, 99);
	assert_int_equal(m.pressure_full_time, 5);
}

/* Whichever of the files is not there, its figures alone are missing. */
static void missing_files_are_missing_figures(void **state)
{
	static const char *const lack[] = { "cgroup_limit",  "cgroup_usage",	   "memory_room",	 "pressure_some",
					    "pressure_full", "pressure_some_time", "pressure_full_time" };
	memory_metrics_t m;

	(void)state;
	files_end();
	files_begin();
	assert_int_equal(get_memory_metrics(&m), MEMORY_ERROR_NONE);
	assert_true(m.cgroup_limit == MEMORY_METRIC_UNAVAILABLE && m.cgroup_usage == MEMORY_METRIC_UNAVAILABLE);
	assert_true(m.memory_room == MEMORY_METRIC_UNAVAILABLE && isnan(m.pressure_some) && isnan(m.pressure_full));
	assert_true(m.pressure_some_time == MEMORY_METRIC_UNAVAILABLE);
	assert_true(m.pressure_full_time == MEMORY_METRIC_UNAVAILABLE);
	for (size_t i = 0; i < sizeof(lack) / sizeof(lack[0]); i++)
		assert_true(strlen(memory_metric_unavailable_reason(lack[i])) > 10);
	assert_string_equal(memory_metric_unavailable_reason("resident_bytes"), "");
	assert_null(finding(MEMORY_FINDING_STALLS));
	files_put_machine(8000 * 1024, 7000 * 1024);
	assert_int_equal(get_memory_metrics(&m), MEMORY_ERROR_NONE);
	assert_int_equal(m.memory_room, 7000 * MIB);
	assert_int_equal(m.cgroup_limit, MEMORY_METRIC_UNAVAILABLE);
}

static int no_faults(uint64_t *minor, uint64_t *major)
{
	(void)minor;
	(void)major;
	return -EPERM;
}

static void faults_that_nobody_counts(void **state)
{
	struct na_os real = na_os;
	memory_metrics_t m;

	(void)state;
	assert_int_equal(get_memory_metrics(&m), MEMORY_ERROR_NONE);
	assert_true(m.minor_faults > 0 && m.minor_faults != MEMORY_METRIC_UNAVAILABLE);
	na_os.page_faults = no_faults;
	assert_int_equal(get_memory_metrics(&m), MEMORY_ERROR_NONE);
	na_os = real;
	assert_int_equal(m.minor_faults, MEMORY_METRIC_UNAVAILABLE);
	assert_int_equal(m.major_faults, MEMORY_METRIC_UNAVAILABLE);
	assert_non_null(strstr(memory_metric_unavailable_reason("major_faults"), "getrusage"));
}

/* ---- whichever call of the table fails ---- */

static struct {
	struct na_os real;
	long calls, fail_at;
} faulty;

static bool fails(void)
{
	return ++faulty.calls == faulty.fail_at;
}

static int faulty_map(void *at, size_t size, void **out)
{
	return fails() ? -ENOMEM : faulty.real.map(at, size, out);
}

static int faulty_unmap(void *at, size_t size)
{
	return fails() ? -ENOMEM : faulty.real.unmap(at, size);
}

static int faulty_bind(void *at, size_t size, int node)
{
	return fails() ? -EPERM : faulty.real.bind(at, size, node);
}

static int faulty_locate(void **pages, int *status, size_t count)
{
	return fails() ? -EPERM : faulty.real.locate(pages, status, count);
}

static int faulty_faults(uint64_t *minor, uint64_t *major)
{
	return fails() ? -EPERM : faulty.real.page_faults(minor, major);
}

static int faulty_threads(int *ids, size_t capacity, size_t *count)
{
	return fails() ? -EACCES : faulty.real.threads(ids, capacity, count);
}

static int faulty_open(uint32_t type, uint64_t config, int thread, int group, int *out)
{
	return fails() ? -EMFILE : faulty.real.counter_open(type, config, thread, group, out);
}

static int faulty_read(int counter, struct na_counter_value *out)
{
	return fails() ? -EIO : faulty.real.counter_read(counter, out);
}

static int counted_open(uint32_t type, uint64_t config, int thread, int group, int *out)
{
	(void)type;
	(void)config;
	(void)thread;
	(void)group;
	*out = 12345;
	return 0;
}

static int counted_read(int counter, struct na_counter_value *out)
{
	(void)counter;
	*out = (struct na_counter_value){ 100, 10, 10 };
	return 0;
}

static int counted_close(int counter)
{
	assert_int_equal(counter, 12345);
	return 0;
}

static const struct {
	const char *name;
	bool real;
	size_t at;
} every[] = {
#define NA_IS_COUNT false
#define NA_IS_RATIO true
#define NA_IS_TIME  true
#define NA_MEMORY_METRIC(name, kind) { #name, NA_IS_##kind, offsetof(memory_metrics_t, name) },
#include "api/metrics.def"
#undef NA_MEMORY_METRIC
};

/* How many figures are missing; each of those has a reason, and no other. */
static int missing(const memory_metrics_t *m)
{
	int n = 0;

	for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
		const void *at = (const char *)m + every[i].at;
		bool is = every[i].real ? isnan(*(const double *)at) : *(const size_t *)at == MEMORY_METRIC_UNAVAILABLE;

		assert_int_equal(is, *memory_metric_unavailable_reason(every[i].name) != '\0');
		n += is;
	}
	return n;
}

static void install_faulty(void)
{
	na_os.counter_open = counted_open;
	na_os.counter_read = counted_read;
	na_os.counter_close = counted_close;
	faulty.real = na_os;
	na_os.map = faulty_map;
	na_os.unmap = faulty_unmap;
	na_os.bind = faulty_bind;
	na_os.locate = faulty_locate;
	na_os.page_faults = faulty_faults;
	na_os.threads = faulty_threads;
	na_os.counter_open = faulty_open;
	na_os.counter_read = faulty_read;
}

/* That one figure is missing, or what hangs on it, and none is wrong; no call of ours fails for it. The latency is measured at most once in ten
 * seconds: its own failures are in metrics/test_latency.c. */
static void the_nth_call_fails(void **state)
{
	void *p = touched(20 * MIB, 1), *q = touched(30 * MIB, 6);
	struct na_os real = na_os;
	memory_metrics_t m;
	int lacking, failed = 0;
	long reached;

	(void)state;
	__atomic_store_n(&na_options.monitor_cache_misses, 1, __ATOMIC_RELAXED);
	install_faulty();
	faulty.calls = faulty.fail_at = 0;
	assert_int_equal(get_memory_metrics(&m), MEMORY_ERROR_NONE);
	assert_int_equal(m.cache_misses, m.cache_references); /* the made-up counters are alike */
	lacking = missing(&m);
	reached = faulty.calls;
	assert_true(reached > 10);
	for (long n = 1; n <= reached; n++) {
		na_counters_stop();
		faulty.calls = 0;
		faulty.fail_at = n;
		assert_int_equal(get_memory_metrics(&m), MEMORY_ERROR_NONE);
		assert_true(missing(&m) >= lacking);
		failed += missing(&m) > lacking;
		assert_true(m.requested_bytes >= 50 * MIB && m.resident_bytes >= 50 * MIB);
		faulty.calls = 0;
		assert_int_equal(analyze_memory_system(&result), MEMORY_ERROR_NONE);
	}
	assert_true(failed > 4);
	na_counters_stop();
	na_os = real;
	__atomic_store_n(&na_options.monitor_cache_misses, 0, __ATOMIC_RELAXED);
	na_heap_release(p);
	na_heap_release(q);
}

static unsigned long cpus = 0xf;

static size_t make_cpus(unsigned long *mask, size_t bytes)
{
	assert_true(bytes >= sizeof(*mask));
	mask[0] = cpus;
	return (size_t)__builtin_popcountl(cpus);
}

/* Two nodes of two CPUs, all of which the process may use. */
static void make_machine(void)
{
	static const struct test_node nodes[] = {
		{ .os_index = 1, .first_cpu = 0, .cpus = 2, .megabytes = 1000, .initiator = -1 },
		{ .os_index = 6, .first_cpu = 2, .cpus = 2, .megabytes = 1000, .initiator = -1 },
	};
	static const struct test_machine machine = { .nodes = nodes,
						     .node_count = 2,
						     .possible = "0-6\n",
						     .mems_allowed = "1,6",
						     .cpus_allowed = "0-3" };
	static char root[PATH_MAX];

	test_machine_make(&machine, root);
	setenv("HWLOC_FSROOT", root, 1);
	setenv("HWLOC_COMPONENTS", "linux,stop", 1);
	setenv("HWLOC_THISSYSTEM", "1", 1);
}

/* Before the library's own constructor, which finds the nodes. */
static __attribute__((constructor(101))) void pretend(void)
{
	make_machine();
	na_os.nodes = two_nodes;
	na_os.cpus = make_cpus;
	na_os.current_node = current_node;
	na_os.bind = no_bind;
	na_os.locate = make_locate;
	here = 1;
}

static int quiet(void **state)
{
	(void)state;
	na_pools_boot();
	assert_int_equal(na_pool_count, 2);
	na_options.verbose = 0;
	na_options.background = 0;
	return 0;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(metrics_are_sums_over_the_nodes),
		CASE(pages_on_another_node),
		CASE(all_on_one_node),
		CASE(a_cgroup_that_is_nearly_full),
		CASE(tasks_that_wait_for_memory),
		CASE(limits_and_pressure_are_the_files),
		CASE(missing_files_are_missing_figures),
		CASE(faults_that_nobody_counts),
		CASE(the_nth_call_fails),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
