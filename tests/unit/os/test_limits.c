/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/limit.h"

#include "os/os.h"
#include "support/unit.h"

#include "support/files.h"

#define MIB (1ULL << 20)

static struct na_limits_memory look(void)
{
	struct na_limits_memory m;

	na_limits_memory(&m);
	return m;
}

static void no_cgroup_means_the_machine(void **state)
{
	struct na_limits_memory m;

	(void)state;
	files_begin();
	files_put_machine(8000 * 1024, 3000 * 1024);
	m = look();
	assert_int_equal(m.physical, 8000 * MIB);
	assert_int_equal(m.room, 3000 * MIB);
	assert_int_equal(m.ceiling, 8000 * MIB);
	assert_int_equal(m.group, NA_LIMIT_NONE);
	assert_false(m.in_group);
	assert_int_equal(na_os_memory_limit(), 8000 * MIB);
	assert_int_equal(na_limits_stalled(), NA_LIMIT_NONE);
	files_end();
}

static void nothing_to_read_is_nothing_known(void **state)
{
	struct na_limits_memory m;

	(void)state;
	files_begin();
	m = look();
	assert_int_equal(m.room, NA_LIMIT_NONE);
	assert_int_equal(na_os_memory_limit(), NA_LIMIT_NONE);
	assert_int_equal(na_limits_maps(), NA_LIMIT_NONE);
	assert_int_equal(na_limits_most_maps(), NA_LIMIT_NONE);
	files_end();
}

/* The tightest of all groups above counts, be it by memory.max or by memory.high. */
static void version_2_goes_all_the_way_up(void **state)
{
	struct na_limits_memory m;

	(void)state;
	files_begin();
	files_put_machine(8000 * 1024, 7000 * 1024);
	files_put("/proc/self/cgroup", "0::/job/step/task\n");
	files_put("/sys/fs/cgroup/job/step/task/memory.stat", "anon 1\nfile 2\ninactive_file 0\n");
	files_put("/sys/fs/cgroup/job/step/task/memory.max", "max\n");
	files_put("/sys/fs/cgroup/job/step/task/memory.high", "max\n");
	files_put_number("/sys/fs/cgroup/job/step/memory.max", 2000 * MIB);
	files_put("/sys/fs/cgroup/job/step/memory.high", "max\n");
	files_put_number("/sys/fs/cgroup/job/step/memory.current", 500 * MIB);
	files_put_number("/sys/fs/cgroup/job/memory.max", 3000 * MIB);
	files_put("/sys/fs/cgroup/job/memory.high", "max\n");
	files_put_number("/sys/fs/cgroup/job/memory.current", 2600 * MIB);
	files_put("/sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 104857600\nactive_file 9\n");
	m = look();
	assert_int_equal(m.group, 2000 * MIB);
	assert_int_equal(m.room, 500 * MIB); /* the job's 400 and 100 of files that would go first */
	assert_int_equal(m.ceiling, 3000 * MIB);
	assert_true(m.in_group);
	assert_int_equal(na_os_memory_limit(), 2000 * MIB);

	files_put_number("/sys/fs/cgroup/job/step/task/memory.high", 600 * MIB);
	files_put_number("/sys/fs/cgroup/job/step/task/memory.current", 590 * MIB);
	m = look();
	assert_int_equal(m.group, 2000 * MIB); /* high slows down, and is no limit */
	assert_int_equal(m.room, 10 * MIB);
	assert_int_equal(m.ceiling, 600 * MIB);

	files_put_number("/sys/fs/cgroup/job/step/task/memory.current", 700 * MIB); /* past it, as can be */
	assert_int_equal(look().room, 0);
	files_put_number("/sys/fs/cgroup/job/memory.max", 1000 * MIB); /* limits change */
	assert_int_equal(look().group, 1000 * MIB);
	files_end();
}

static void version_1_counts_where_it_has_memory(void **state)
{
	struct na_limits_memory m;

	(void)state;
	files_begin();
	files_put_machine(8000 * 1024, 7000 * 1024);
	files_put("/proc/self/cgroup",
		  "12:cpu,cpuacct:/x\n7:hugetlb,memory:/slurm/uid_1/job_2\n1:name=systemd:/\n0::/elsewhere\n");
	files_put("/sys/fs/cgroup/elsewhere/memory.stat", "anon 1\n");
	files_put_number("/sys/fs/cgroup/elsewhere/memory.max", 1 * MIB);
	files_put("/sys/fs/cgroup/memory/slurm/uid_1/job_2/memory.stat", "inactive_file 5\ntotal_inactive_file 52428800\n");
	files_put("/sys/fs/cgroup/memory/slurm/uid_1/job_2/memory.limit_in_bytes", "9223372036854771712\n");
	files_put_number("/sys/fs/cgroup/memory/slurm/uid_1/job_2/memory.usage_in_bytes", 900 * MIB);
	files_put_number("/sys/fs/cgroup/memory/slurm/memory.limit_in_bytes", 1000 * MIB);
	files_put_number("/sys/fs/cgroup/memory/slurm/memory.usage_in_bytes", 960 * MIB);
	files_put("/sys/fs/cgroup/memory/slurm/memory.stat", "total_inactive_file 52428800\n");
	m = look();
	assert_int_equal(m.group, 1000 * MIB);
	assert_int_equal(m.room, 90 * MIB);
	files_end();
}

/* Without a cgroup namespace a container is told the host's path, and sees its own group as the root. */
static void a_path_that_is_not_there_is_the_mounts_root(void **state)
{
	(void)state;
	files_begin();
	files_put_machine(8000 * 1024, 7000 * 1024);
	files_put("/proc/self/cgroup", "0::/docker/0123\n");
	files_put("/sys/fs/cgroup/memory.stat", "inactive_file 0\n");
	files_put_number("/sys/fs/cgroup/memory.max", 300 * MIB);
	files_put_number("/sys/fs/cgroup/memory.current", 100 * MIB);
	assert_int_equal(look().group, 300 * MIB);
	assert_int_equal(look().room, 200 * MIB);
	files_end();
}

static void stalls_are_the_groups_or_the_machines(void **state)
{
	(void)state;
	files_begin();
	files_put("/proc/pressure/memory",
		  "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
	assert_int_equal(na_limits_stalled(), 1234);
	files_put("/proc/self/cgroup", "0::/job\n");
	files_put("/sys/fs/cgroup/job/memory.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=77\n");
	assert_int_equal(na_limits_stalled(), 77);
	files_put("/proc/self/cgroup", "0::/\n");
	files_put("/sys/fs/cgroup/memory.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=88\n");
	assert_int_equal(na_limits_stalled(), 88);
	files_put("/proc/self/cgroup", "4:memory:/job\n0::/\n"); /* version 1 has none of its own */
	assert_int_equal(na_limits_stalled(), 1234);
	files_put("/proc/pressure/memory", "nonsense\n");
	assert_int_equal(na_limits_stalled(), NA_LIMIT_NONE);
	files_end();
}

static void pressure_is_told_in_full(void **state)
{
	struct na_limits_pressure p;

	(void)state;
	files_begin();
	na_limits_pressure(&p);
	assert_true(p.some_avg10 == NA_LIMIT_NONE && p.full_avg10 == NA_LIMIT_NONE);
	assert_true(p.some_us == NA_LIMIT_NONE && p.full_us == NA_LIMIT_NONE);
	files_put("/proc/pressure/memory",
		  "some avg10=12.34 avg60=9.00 avg300=0.00 total=1234\nfull avg10=0.05 avg60=1.00 avg300=0.00 total=5\n");
	na_limits_pressure(&p);
	assert_int_equal(p.some_avg10, 1234);
	assert_int_equal(p.full_avg10, 5);
	assert_int_equal(p.some_us, 1234);
	assert_int_equal(p.full_us, 5);
	assert_false(p.of_group);
	files_put("/proc/self/cgroup", "0::/job\n");
	files_put("/sys/fs/cgroup/job/memory.pressure",
		  "some avg10=100.00 avg60=0.00 avg300=0.00 total=77\n"); /* kernels before 5.13 have none for all in a root */
	na_limits_pressure(&p);
	assert_int_equal(p.some_avg10, 10000);
	assert_int_equal(p.some_us, 77);
	assert_true(p.full_avg10 == NA_LIMIT_NONE && p.full_us == NA_LIMIT_NONE);
	assert_true(p.of_group);
	files_put("/sys/fs/cgroup/job/memory.pressure", "some avg10=x total=\nfull\n");
	na_limits_pressure(&p);
	assert_true(p.some_avg10 == NA_LIMIT_NONE && p.some_us == NA_LIMIT_NONE && p.full_us == NA_LIMIT_NONE);
	files_end();
}

static void what_is_charged_is_our_own_cgroups(void **state)
{
	(void)state;
	files_begin();
	files_put_machine(8000 * 1024, 7000 * 1024);
	assert_true(look().used == NA_LIMIT_NONE);
	files_put("/proc/self/cgroup", "0::/job/step\n");
	files_put("/sys/fs/cgroup/job/step/memory.stat", "inactive_file 0\n");
	assert_true(look().used == NA_LIMIT_NONE); /* the file is missing */
	files_put_number("/sys/fs/cgroup/job/step/memory.current", 300 * MIB);
	files_put_number("/sys/fs/cgroup/job/memory.current", 900 * MIB);
	assert_int_equal(look().used, 300 * MIB);
	files_end();
}

static void mappings_are_counted_and_named(void **state)
{
	char why[200];

	(void)state;
	assert_true(na_limits_maps() > 10 && na_limits_maps() < 2000); /* our own, really */
	assert_int_equal(na_limits_why(UINT64_MAX / 2, why, sizeof(why)), NA_LIMIT_SPACE);
	files_begin();
	files_put("/proc/self/maps", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
	files_put("/proc/sys/vm/max_map_count", "12\n");
	assert_int_equal(na_limits_maps(), 10);
	assert_int_equal(na_limits_why(100, why, sizeof(why)), NA_LIMIT_MAPS);
	assert_non_null(strstr(why, "10 of 12"));
	files_put("/proc/sys/vm/max_map_count", "65530\n");
	assert_int_equal(na_limits_why(100, why, sizeof(why)), NA_LIMIT_UNKNOWN);
	files_put("/proc/sys/vm/overcommit_memory", "2\n");
	files_put("/proc/meminfo", "MemTotal: 9 kB\nCommitLimit:    1048576 kB\nCommitted_AS:   1048000 kB\n");
	assert_int_equal(na_limits_why(10 * MIB, why, sizeof(why)), NA_LIMIT_COMMIT);
	files_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_cgroup_means_the_machine),
		cmocka_unit_test(nothing_to_read_is_nothing_known),
		cmocka_unit_test(version_2_goes_all_the_way_up),
		cmocka_unit_test(version_1_counts_where_it_has_memory),
		cmocka_unit_test(a_path_that_is_not_there_is_the_mounts_root),
		cmocka_unit_test(stalls_are_the_groups_or_the_machines),
		cmocka_unit_test(pressure_is_told_in_full),
		cmocka_unit_test(what_is_charged_is_our_own_cgroups),
		cmocka_unit_test(mappings_are_counted_and_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
