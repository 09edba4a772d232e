/* SPDX-License-Identifier: BSD-3-Clause */
/* Access latency: of made-up nodes on any machine, with room and without, where pages lie elsewhere or nobody tells. No time is asserted. */
#include "metrics/latency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "heap/heap.h"
#include "os/os.h"
#include "pool/nodes.h"
#include "support/unit.h"

#include "support/files.h"

#define MIB (1ULL << 20)

/* The made-up kernel. */
static struct {
	struct na_os real;
	int elsewhere;	 /* the node that pages say they lie on, -1: where they were bound */
	int locate_error;
	int bound;	 /* the last one */
	long maps, unmaps, fail_map_at;
	unsigned long ran_on[8]; /* the first words of masks */
	int runs, run_error;
} kernel;

static size_t three_nodes(int *nodes, size_t capacity)
{
	assert_true(capacity >= 3);
	nodes[0] = 0;
	nodes[1] = 2;
	nodes[2] = 5;
	return 3;
}

static int current_node(void)
{
	return 2;
}

static int note_bind(void *at, size_t size, int node)
{
	(void)at;
	(void)size;
	kernel.bound = node;
	return 0;
}

static int make_locate(void **pages, int *status, size_t count)
{
	(void)pages;
	if (kernel.locate_error)
		return kernel.locate_error;
	for (size_t i = 0; i < count; i++)
		status[i] = kernel.elsewhere >= 0 ? kernel.elsewhere : kernel.bound;
	return 0;
}

static int count_map(void *at, size_t size, void **out)
{
	return ++kernel.maps == kernel.fail_map_at ? -ENOMEM : kernel.real.map(at, size, out);
}

static int count_unmap(void *at, size_t size)
{
	kernel.unmaps++;
	return kernel.real.unmap(at, size);
}

static int note_run(const unsigned long *mask, size_t bytes)
{
	assert_true(bytes >= sizeof(long) && kernel.runs < 8);
	kernel.ran_on[kernel.runs++] = mask[0];
	return kernel.run_error;
}

static int begin(void **state)
{
	(void)state;
	kernel.elsewhere = -1;
	kernel.locate_error = kernel.run_error = kernel.runs = 0;
	kernel.maps = kernel.unmaps = kernel.fail_map_at = 0;
	files_begin();
	files_put_machine(8000 * 1024, 7000 * 1024);
	return 0;
}

static int end(void **state)
{
	(void)state;
	files_end();
	return 0;
}

static void a_node_is_measured_on_its_own_pages(void **state)
{
	uint64_t ps = 0;

	(void)state;
	for (uint32_t i = 0; i < na_pool_count; i++) {
		assert_int_equal(na_latency_measure(&na_pools[i], &ps), 0);
		assert_true(ps > 0);
		assert_int_equal(kernel.bound, na_pools[i].node);
	}
	assert_true(kernel.unmaps >= kernel.maps); /* all that was mapped, and what alignment cut off */
}

static void measuring_leaves_the_heaps_figures_alone(void **state)
{
	static struct na_snapshot before, after;
	uint64_t ps;

	(void)state;
	na_heap_snapshot(&before);
	assert_int_equal(na_latency_measure(&na_pools[0], &ps), 0);
	na_heap_snapshot(&after);
	assert_int_equal(before.live_bytes, after.live_bytes);
	assert_int_equal(before.peak_bytes, after.peak_bytes);
	assert_int_equal(before.allocations, after.allocations);
	assert_int_equal(before.reserved_bytes, after.reserved_bytes);
}

static void pages_on_another_node_are_no_measurement(void **state)
{
	uint64_t ps = 7;

	(void)state;
	kernel.elsewhere = 5;
	assert_int_equal(na_latency_measure(&na_pools[0], &ps), -EXDEV);
	assert_int_equal(ps, 7);
	assert_non_null(strstr(na_latency_why(-EXDEV), "another node"));
	assert_int_equal(na_latency_measure(&na_pools[2], &ps), 0);
	kernel.locate_error = -EPERM;
	assert_int_equal(na_latency_measure(&na_pools[2], &ps), -EPERM);
	assert_non_null(strstr(na_latency_why(-EPERM), "move_pages"));
	assert_true(kernel.unmaps >= kernel.maps);
}

static void little_room_is_left_alone(void **state)
{
	uint64_t ps;

	(void)state;
	files_put_machine(8000 * 1024, 100 * 1024);
	assert_int_equal(na_latency_measure(&na_pools[0], &ps), -ENOMEM);
	assert_int_equal(kernel.maps, 0);
	files_put_machine(8000 * 1024, 130 * 1024);
	assert_int_equal(na_latency_measure(&na_pools[0], &ps), 0);
	files_put("/proc/self/cgroup", "0::/job\n");
	files_put("/sys/fs/cgroup/job/memory.stat", "inactive_file 0\n");
	files_put_number("/sys/fs/cgroup/job/memory.max", 200 * MIB);
	files_put_number("/sys/fs/cgroup/job/memory.current", 150 * MIB);
	assert_int_equal(na_latency_measure(&na_pools[0], &ps), -ENOMEM);
	assert_non_null(strstr(na_latency_why(-ENOMEM), "too little"));
}

/* Without those files nobody knows how much room there is, and there may be enough. */
static void missing_files_forbid_nothing(void **state)
{
	uint64_t ps;

	(void)state;
	files_end();
	files_begin();
	assert_int_equal(na_latency_measure(&na_pools[0], &ps), 0);
}

static void the_nth_mapping_fails(void **state)
{
	uint64_t ps = 7;

	(void)state;
	kernel.fail_map_at = 1; /* then one of exactly the size is tried */
	assert_int_equal(na_latency_measure(&na_pools[0], &ps), 0);
	assert_true(kernel.unmaps >= kernel.maps - 1);
	for (long n = 1; n <= 4; n++) {
		kernel.maps = 0;
		kernel.fail_map_at = n;
		ps = 7;
		if (na_latency_measure(&na_pools[0], &ps) < 0)
			assert_int_equal(ps, 7);
		else
			assert_true(ps != 7);
	}
}

/* Nodes that hold nothing are not asked; a result is kept. */
static void the_process_s_mean_is_over_what_it_holds(void **state)
{
	static struct na_snapshot s;
	uint64_t first, second;

	(void)state;
	s.node_count = 3;
	s.nodes[0].node = 0;
	s.nodes[1].node = 2;
	s.nodes[2].node = 5;
	s.nodes[2].resident_bytes = 10 * MIB;
	kernel.elsewhere = 0;
	assert_int_equal(na_latency_here(&s, &first), -EXDEV);
	assert_int_equal(kernel.bound, 5);
	s.nodes[2].resident_bytes = 0;
	s.nodes[0].resident_bytes = 10 * MIB;
	assert_int_equal(na_latency_here(&s, &first), 0);
	assert_int_equal(kernel.bound, 0);
	kernel.elsewhere = 1; /* asked again it would fail */
	assert_int_equal(na_latency_here(&s, &second), 0);
	assert_int_equal(first, second);
}

/* ---- the matrix ---- */

/* Three nodes with two CPUs each but the last; the process may not use CPU 2. */
static void make_machine(char root[PATH_MAX])
{
	static const struct test_node nodes[] = {
		{ .os_index = 0, .first_cpu = 0, .cpus = 2, .megabytes = 1000, .initiator = -1 },
		{ .os_index = 2, .first_cpu = 2, .cpus = 2, .megabytes = 1000, .initiator = -1 },
		{ .os_index = 5, .first_cpu = 4, .cpus = 0, .megabytes = 1000, .initiator = -1 },
	};
	static const struct test_machine machine = { .nodes = nodes,
						     .node_count = 3,
						     .possible = "0-5\n",
						     .mems_allowed = "0,2,5",
						     .cpus_allowed = "0-1,3" };

	test_machine_make(&machine, root);
	setenv("HWLOC_FSROOT", root, 1);
	setenv("HWLOC_COMPONENTS", "linux,stop", 1);
	setenv("HWLOC_THISSYSTEM", "1", 1);
}

static struct na_latency_matrix matrix;

static void every_node_with_cpus_measures_every_pool(void **state)
{
	(void)state;
	assert_int_equal(na_latency_measure_all(&matrix), 0);
	assert_int_equal(matrix.to_count, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(matrix.to[i], na_pools[i].node);
	assert_int_equal(matrix.from_count, 2);
	assert_int_equal(matrix.from[0], 0);
	assert_int_equal(matrix.from[1], 2);
	for (uint32_t from = 0; from < 2; from++)
		for (uint32_t to = 0; to < 3; to++) {
			assert_int_equal(matrix.error[from][to], 0);
			assert_true(matrix.ps[from][to] > 0 && matrix.ps[from][to] != NA_LATENCY_FAILED);
		}
	assert_int_equal(kernel.runs, 2);
	assert_int_equal(kernel.ran_on[0], 3);
	assert_int_equal(kernel.ran_on[1], 8); /* not CPU 2 */
}

static void a_cell_that_fails_is_no_figure(void **state)
{
	(void)state;
	kernel.elsewhere = 2;
	assert_int_equal(na_latency_measure_all(&matrix), 0);
	for (uint32_t from = 0; from < 2; from++)
		for (uint32_t to = 0; to < 3; to++) {
			assert_int_equal(matrix.error[from][to], to == 1 ? 0 : -EXDEV);
			assert_int_equal(matrix.ps[from][to] == NA_LATENCY_FAILED, to != 1);
		}
	kernel.elsewhere = -1;
	kernel.runs = 0;
	kernel.run_error = -EINVAL; /* a row from who knows where is none */
	assert_int_equal(na_latency_measure_all(&matrix), 0);
	assert_int_equal(matrix.error[1][1], -EINVAL);
	assert_true(matrix.ps[1][1] == NA_LATENCY_FAILED);
}

static int pretend(void **state)
{
	char root[PATH_MAX];

	(void)state;
	make_machine(root);
	kernel.real = na_os;
	na_os.nodes = three_nodes;
	na_os.current_node = current_node;
	na_os.bind = note_bind;
	na_os.locate = make_locate;
	na_os.run_on = note_run;
	na_pools_boot();
	na_options.verbose = 0;
	na_options.background = 0;
	na_heap_release(na_heap_allocate(100));
	na_os.map = count_map;
	na_os.unmap = count_unmap;
	return 0;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(a_node_is_measured_on_its_own_pages),
		CASE(measuring_leaves_the_heaps_figures_alone),
		CASE(pages_on_another_node_are_no_measurement),
		CASE(little_room_is_left_alone),
		CASE(missing_files_forbid_nothing),
		CASE(the_nth_mapping_fails),
		CASE(the_process_s_mean_is_over_what_it_holds),
		CASE(every_node_with_cpus_measures_every_pool),
		CASE(a_cell_that_fails_is_no_figure),
	};

	return cmocka_run_group_tests(tests, pretend, NULL);
}
