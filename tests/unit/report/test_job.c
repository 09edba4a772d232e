/* SPDX-License-Identifier: BSD-3-Clause */
/* The aggregate: sums, extremes with rank and host, and a merge whose result depends on no order. */
#include "support/unit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "records.h"
#include "report/summary.h"

#define RANKS 7

static void ranks_of(struct na_record *r)
{
	for (int i = 0; i < RANKS; i++)
		record_make(&r[i], i, RANKS, i < 3 ? "alpha" : "beta");
}

static void adds_up(void **state)
{
	static struct na_record r[RANKS];
	struct na_job j;
	const struct na_spread *m = &j.metrics[NA_METRIC_live_bytes];

	(void)state;
	ranks_of(r);
	na_job_init(&j);
	for (int i = 0; i < RANKS; i++)
		na_job_add(&j, &r[i]);
	assert_int_equal(na_job_check(&j), 0);
	assert_int_equal(j.processes, RANKS);
	assert_int_equal(j.complete, RANKS);
	assert_string_equal(j.host, "");
	assert_string_equal(j.program, "solver");
	assert_int_equal(m->sum, UINT64_C(28) << 20);
	assert_int_equal(m->least, 1 << 20);
	assert_int_equal(m->least_at.rank, 0);
	assert_string_equal(m->least_at.host, "alpha");
	assert_int_equal(m->most, 7 << 20);
	assert_int_equal(m->most_at.rank, 6);
	assert_string_equal(m->most_at.host, "beta");
	assert_true(fabs(na_spread_mean(m) - 4 * 1048576.0) < 1e-6);
	assert_true(fabs(na_metric_imbalance(m) - 0.75) < 1e-9);
	assert_int_equal(j.node_count, 2);
	assert_int_equal(j.nodes[1].requested_bytes, UINT64_C(14) << 20);
	assert_int_equal(j.nodes[0].misplaced_bytes, RANKS * 4096);
	assert_int_equal(j.nodes[0].memory_bytes, UINT64_C(64) << 30);
	/* Of equal values the lowest rank is named. */
	assert_int_equal(j.metrics[NA_METRIC_allocations].most_at.rank, 0);
	assert_int_equal(j.metrics[NA_METRIC_allocations].least_at.rank, 0);
	/* A job's ratio is the ratio of the sums. */
	assert_int_equal(na_summary_total(&j, NA_METRIC_thread_cache_hit_rate), 1000000 - 280 * 1000000 / (RANKS * 900));
	assert_int_equal(na_summary_total(&j, NA_METRIC_large_reuse_rate), 500000);
	/* Ranks 0 to 4 have their peaks one after the other, 5 and 6 with 0 and 1. Between two samples either value may have
	 * been so, so that of the ranks whose peaks are in neighbouring samples both count: a bound, below the sum of peaks. */
	assert_int_equal(j.metrics[NA_METRIC_peak_bytes].sum, UINT64_C(56) << 20);
	assert_int_equal(na_series_peak_live(&j.series), (UINT64_C(28) + 1 + 6 + 2 + 7) << 20);
}

static void any_tree_gives_the_same_bytes(void **state)
{
	static struct na_record r[RANKS];
	struct na_job first, parts[RANKS];

	(void)state;
	ranks_of(r);
	r[4].heap.live_bytes = r[2].heap.live_bytes; /* ties across hosts */
	r[5].physical = NA_UNKNOWN;
	na_job_init(&first);
	for (int i = 0; i < RANKS; i++)
		na_job_add(&first, &r[i]);
	for (unsigned int order = 1; order < 300; order++) {
		unsigned int seed = order;
		int count = RANKS;

		for (int i = 0; i < RANKS; i++) {
			na_job_init(&parts[i]);
			na_job_add(&parts[i], &r[i]);
		}
		while (count > 1) {
			int a = (int)(rand_r(&seed) % (unsigned int)count), b = (a + 1 + (int)(rand_r(&seed) % (unsigned int)(count - 1))) % count;

			na_job_merge(&parts[a], &parts[b]);
			parts[b] = parts[count - 1];
			count--;
		}
		assert_memory_equal(&parts[0], &first, sizeof(first));
	}
}

static void empty_is_the_identity(void **state)
{
	struct na_record r;
	struct na_job one, empty, both;

	(void)state;
	record_make(&r, 3, 4, "alpha");
	na_job_init(&one);
	na_job_add(&one, &r);
	na_job_init(&empty);
	both = one;
	na_job_merge(&both, &empty);
	assert_memory_equal(&both, &one, sizeof(one));
	na_job_merge(&empty, &one);
	assert_memory_equal(&empty, &one, sizeof(one));
}

/* Hosts count one by one, and those with the least room are kept by name, in any order of merging. */
static void the_hosts_with_the_least_room(void **state)
{
	static struct na_fullest parts[80], first;
	struct na_job all;

	(void)state;
	memset(&first, 0, sizeof(first));
	na_job_init(&all);
	for (unsigned int order = 0; order < 20; order++) {
		unsigned int seed = order;
		int count = 80;

		for (int i = 0; i < 80; i++) {
			static struct na_record r;
			struct na_job host;
			char name[16];

			snprintf(name, sizeof(name), "h%02d", i);
			record_make(&r, i, 80, name);
			r.cgroup_limit = (UINT64_C(4) * (unsigned int)(i + 1) + (unsigned int)(i * 7 % 80)) << 20;
			na_job_init(&host);
			na_job_add(&host, &r);
			na_job_seal(&host);
			memset(&parts[i], 0, sizeof(parts[i]));
			na_fullest_add(&parts[i], &host);
			if (order == 0)
				na_job_merge(&all, &host);
		}
		while (count > 1) {
			int a = (int)(rand_r(&seed) % (unsigned int)count), b = (a + 1) % count;

			na_fullest_merge(&parts[a], &parts[b]);
			parts[b] = parts[--count];
		}
		if (order == 0)
			first = parts[0];
		assert_memory_equal(&parts[0], &first, sizeof(first));
	}
	assert_int_equal(first.count, NA_JOB_FULLEST);
	for (uint32_t i = 0; i < first.count; i++)
		assert_int_equal(first.hosts[i].hosts.free.least, (uint64_t)i << 20);
	assert_string_equal(first.hosts[1].host, "h23");
	assert_int_equal(na_job_check(&all), 0);
	assert_int_equal(all.hosts.live.known, 80);
	assert_int_equal(all.hosts.processes.most, 1);
	assert_int_equal(all.hosts.free.most, 79 << 20);
	assert_string_equal(all.hosts.physical.most_at.host, "h79");
}

static void requests_and_the_kernel(void **state)
{
	static struct na_record r[2];
	struct na_job j, k;

	(void)state;
	record_make(&r[0], 0, 2, "alpha");
	record_make(&r[1], 1, 2, "beta");
	r[0].request_bytes = r[1].request_bytes = 1 << 30;
	r[0].request_source = NA_REQUESTED_BY_CGROUP;
	r[1].request_source = NA_REQUESTED_BY_SLURM_CPU;
	r[0].huge_pages = NA_HUGE_KNOWN | NA_HUGE_POSSIBLE;
	r[0].node_cpus[0] = r[1].node_cpus[0] = 4;
	r[0].node_cpus[1] = 4;
	na_job_init(&j);
	na_job_add(&j, &r[0]);
	na_job_add(&j, &r[1]);
	na_job_init(&k);
	na_job_add(&k, &r[1]);
	na_job_add(&k, &r[0]);
	assert_memory_equal(&j, &k, sizeof(j));
	assert_int_equal(j.request_source, NA_REQUESTED_BY_SLURM_CPU);
	assert_int_equal(j.huge_possible, 1);
	assert_int_equal(j.nodes[0].cpus, 8);
	assert_int_equal(j.nodes[1].cpus, NA_UNKNOWN);
}

static void rows_have_a_course_and_cells(void **state)
{
	static struct na_record r;
	struct na_row row;
	struct na_axis axis;
	struct na_row_axis rows;

	(void)state;
	record_make(&r, 3, 4, "alpha");
	axis = na_axis_of(&r.series);
	axis.begin_ms -= 3600000; /* others began an hour earlier, and had 1 TiB */
	axis.most = UINT64_C(1) << 40;
	rows = na_row_axis(&axis);
	na_series_widen(&r.series, na_axis_shift(&axis));
	na_row_fill(&row, &r, &rows);
	assert_true(((axis.end_ms - 1) >> rows.shift) - rows.first < NA_ROW_BINS);
	assert_int_equal(row.live[0], NA_ROW_UNKNOWN);
	assert_int_equal(row.live[((axis.end_ms - 1) >> rows.shift) - rows.first], (8 << 20) >> rows.unit_shift);
	assert_true(axis.most >> rows.unit_shift < NA_ROW_UNKNOWN);
	assert_int_equal(row.cell_count, 2);
	assert_int_equal(row.cells[0].resident, (4 << 20) / 4096);
	assert_int_equal(row.cells[1].misplaced, 1);
}

static void unknown_is_not_zero(void **state)
{
	struct na_record r[2];
	struct na_job j;

	(void)state;
	record_make(&r[0], 0, 2, "alpha");
	record_make(&r[1], 1, 2, "alpha");
	r[1].physical = NA_UNKNOWN;
	r[1].heap.nodes[1].misplaced_bytes = NA_UNKNOWN;
	na_job_init(&j);
	na_job_add(&j, &r[0]);
	na_job_add(&j, &r[1]);
	assert_int_equal(j.metrics[NA_METRIC_physical_bytes].known, 1);
	assert_int_equal(na_job_sum(&j, NA_METRIC_physical_bytes), NA_UNKNOWN);
	assert_int_equal(j.metrics[NA_METRIC_physical_bytes].most_at.rank, 0);
	assert_int_equal(j.nodes[0].misplaced_bytes, 2 * 4096);
	assert_int_equal(j.nodes[1].misplaced_bytes, NA_UNKNOWN);
	assert_int_equal(na_job_sum(&j, NA_METRIC_misplaced_bytes), NA_UNKNOWN);
	assert_int_equal(na_job_sum(&j, NA_METRIC_live_bytes), UINT64_C(3) << 20);
}

static void states_count(void **state)
{
	static const struct {
		uint32_t state, role;
		int complete, aborted;
	} cases[] = {
		{ NA_RECORD_RUNNING, NA_RECORD_RANK, 0, 0 },  { NA_RECORD_FINALIZING, NA_RECORD_RANK, 1, 0 },
		{ NA_RECORD_COMPLETE, NA_RECORD_RANK, 1, 0 }, { NA_RECORD_ABORTED, NA_RECORD_RANK, 0, 1 },
		{ NA_RECORD_EXITED, NA_RECORD_RANK, 0, 0 },   { NA_RECORD_EXITED, NA_RECORD_PROCESS, 1, 0 },
		{ NA_RECORD_LOST, NA_RECORD_ROOT, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct na_record r;
		struct na_job j;

		record_make(&r, 0, 1, "alpha");
		r.state = cases[i].state;
		r.role = cases[i].role;
		na_job_init(&j);
		na_job_add(&j, &r);
		assert_int_equal(j.complete, cases[i].complete);
		assert_int_equal(j.aborted, cases[i].aborted);
	}
}

static void damage_is_refused(void **state)
{
	struct na_record r;
	struct na_job j, good;

	(void)state;
	record_make(&r, 0, 1, "alpha");
	na_job_init(&good);
	na_job_add(&good, &r);
	j = good;
	j.magic ^= 1;
	assert_int_equal(na_job_check(&j), -EINVAL);
	j = good;
	j.version++;
	assert_int_equal(na_job_check(&j), -EINVAL);
	j = good;
	j.node_count = NA_MAX_NODES + 1;
	assert_int_equal(na_job_check(&j), -EINVAL);
	j = good;
	memset(j.job, 'x', sizeof(j.job));
	assert_int_equal(na_job_check(&j), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_up),
		cmocka_unit_test(any_tree_gives_the_same_bytes),
		cmocka_unit_test(empty_is_the_identity),
		cmocka_unit_test(the_hosts_with_the_least_room),
		cmocka_unit_test(requests_and_the_kernel),
		cmocka_unit_test(rows_have_a_course_and_cells),
		cmocka_unit_test(unknown_is_not_zero),
		cmocka_unit_test(states_count),
		cmocka_unit_test(damage_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
