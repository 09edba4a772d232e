/* SPDX-License-Identifier: BSD-3-Clause */
/* How figures are spread over ranks: bins, quantiles, exact deviations, extremes by name, and merges that depend on no order. */
#include "support/unit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/snapshot.h"
#include "report/distribution.h"

#define RANKS 300

static uint64_t values[RANKS][NA_METRIC_COUNT_];
static struct na_distribution all, parts[RANKS];
static struct na_spread spreads[NA_METRIC_COUNT_];

static struct na_where where(int rank)
{
	struct na_where w = { .rank = rank, .pid = 1000 + rank };

	snprintf(w.host, sizeof(w.host), "host%d", rank / 16);
	return w;
}

static void fill(uint64_t (*value)(int rank, unsigned int metric))
{
	for (int i = 0; i < RANKS; i++)
		for (unsigned int k = 0; k < NA_METRIC_COUNT_; k++)
			values[i][k] = value(i, k);
}

static void add_all(void)
{
	memset(&all, 0, sizeof(all));
	memset(spreads, 0, sizeof(spreads));
	for (int i = 0; i < RANKS; i++) {
		struct na_where w = where(i);

		na_distribution_add(&all, values[i], &w);
		for (unsigned int k = 0; k < NA_METRIC_COUNT_; k++) {
			struct na_spread one = na_spread_of((int64_t)values[i][k], &w);

			if (values[i][k] != NA_UNKNOWN)
				na_spread_merge(&spreads[k], &one);
		}
	}
}

static uint64_t wild(int rank, unsigned int metric)
{
	unsigned int seed = (unsigned int)rank * 131 + metric;
	uint64_t v = (uint64_t)rand_r(&seed) << (rand_r(&seed) % 30);

	return rand_r(&seed) % 20 == 0 ? NA_UNKNOWN : v / (v % 5 ? 1 : 1 << 20); /* and ties */
}

static uint64_t even(int rank, unsigned int metric)
{
	(void)metric;
	return (UINT64_C(1000) << 20) + ((uint64_t)rank << 10);
}

static void bins_have_edges(void **state)
{
	uint64_t v = 1;

	(void)state;
	assert_int_equal(na_sketch_bin(0), 0);
	assert_int_equal(na_sketch_bin(15), 15);
	assert_int_equal(na_sketch_bin(16), 16);
	assert_int_equal(na_sketch_bin(UINT64_MAX), NA_SKETCH_BINS - 1);
	for (unsigned int i = 0; i < NA_SKETCH_BINS; i++) {
		assert_int_equal(na_sketch_bin(na_sketch_from(i)), i);
		assert_int_equal(na_sketch_bin(na_sketch_from(i + 1) - (i + 1 < NA_SKETCH_BINS)), i);
	}
	for (; v < UINT64_MAX / 3; v = v * 3 + 1) {
		unsigned int bin = na_sketch_bin(v);

		assert_true(na_sketch_from(bin) <= v && v < na_sketch_from(bin + 1));
		assert_true(v < 16 || na_sketch_from(bin + 1) - na_sketch_from(bin) <= v / 15);
	}
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Against the sorted values themselves. */
static void quantiles_are_right(void **state)
{
	static const double q[] = { 0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1 };
	uint64_t sorted[RANKS];

	(void)state;
	for (int close = 0; close < 2; close++) {
		fill(close ? even : wild);
		add_all();
		for (unsigned int k = 0; k < NA_METRIC_COUNT_; k++) {
			int n = 0;

			for (int i = 0; i < RANKS; i++)
				if (values[i][k] != NA_UNKNOWN)
					sorted[n++] = values[i][k];
			qsort(sorted, (size_t)n, sizeof(*sorted), by_size);
			for (size_t i = 0; i < sizeof(q) / sizeof(*q); i++) {
				double low = (double)sorted[(int)(q[i] * (n - 1))], got = na_sketch_quantile(&all.sketches[k], &spreads[k], q[i]);
				double high = (double)sorted[(int)(q[i] * (n - 1) + 0.999999)];

				if (got < low * (close ? 0.999999 : 0.93) - 1 || got > high * (close ? 1.000001 : 1.07) + 1)
					fail_msg("metric %u, quantile %g: %g, not %g to %g", k, q[i], got, low, high);
			}
		}
	}
	assert_true(isnan(na_sketch_quantile(&(struct na_sketch){ { 0 } }, &(struct na_spread){ 0 }, 0.5)));
}

static void deviations_are_exact(void **state)
{
	struct na_spread s = { 0 }, one;
	struct na_where w = where(0);

	(void)state;
	assert_true(isnan(na_spread_deviation(&s)));
	/* 2^60 and a little, of which floating point sees nothing: 2, 4, 4, 4, 5, 5, 7, 9 deviate by 2. */
	for (size_t i = 0; i < 8; i++) {
		one = na_spread_of((INT64_C(1) << 60) + "\2\4\4\4\5\5\7\11"[i], &w);
		na_spread_merge(&s, &one);
	}
	assert_true(fabs(na_spread_deviation(&s) - 2) < 1e-12);
	memset(&s, 0, sizeof(s)); /* -3, -1, 1, 3 */
	for (int i = -3; i <= 3; i += 2) {
		one = na_spread_of(i, &w);
		na_spread_merge(&s, &one);
	}
	assert_true(fabs(na_spread_deviation(&s) * na_spread_deviation(&s) - 5) < 1e-12);
	s.squares[0] = s.squares[1] = UINT64_MAX; /* more than there is room for stays so */
	na_spread_merge(&s, &one);
	assert_int_equal(s.squares[0] & s.squares[1], UINT64_MAX);
	assert_true(isnan(na_spread_deviation(&s)));
}

static void any_tree_gives_the_same_bytes(void **state)
{
	(void)state;
	fill(wild);
	add_all();
	assert_int_equal(na_distribution_check(&all, RANKS), 0);
	for (unsigned int order = 1; order < 6; order++) {
		unsigned int seed = order;
		int count = RANKS;

		for (int i = 0; i < RANKS; i++) {
			struct na_where w = where(i);

			memset(&parts[i], 0, sizeof(parts[i]));
			na_distribution_add(&parts[i], values[i], &w);
		}
		while (count > 1) {
			int a = (int)(rand_r(&seed) % (unsigned int)count), b = (a + 1 + (int)(rand_r(&seed) % (unsigned int)(count - 1))) % count;

			na_distribution_merge(&parts[a], &parts[b]);
			parts[b] = parts[--count];
		}
		assert_memory_equal(&parts[0], &all, sizeof(all));
	}
}

static uint64_t with_two_that_differ(int rank, unsigned int metric)
{
	if (metric == NA_METRIC_peak_bytes && rank == 77)
		return UINT64_C(9) << 30;
	if (metric == NA_METRIC_wall_ns)
		return rank == 133 ? 90000000000 : rank == 134 ? 1000000000 : 30000000000 + (uint64_t)rank * 1000000;
	if (metric == NA_METRIC_peak_misplaced_bytes)
		return rank % 50 == 0 ? 8192 : 0; /* far from the median, which is 0, and nothing all the same */
	return even(rank, metric);
}

static void who_lies_far_out_is_named(void **state)
{
	static struct na_outlier found[NA_OUTLIERS_MOST];
	uint32_t n;

	(void)state;
	fill(even);
	add_all();
	assert_int_equal(na_distribution_outliers(&all, spreads, found), 0);
	fill(with_two_that_differ);
	add_all();
	n = na_distribution_outliers(&all, spreads, found);
	assert_int_equal(n, 2);
	for (uint32_t i = 0; i < n; i++) {
		bool time = found[i].metric == NA_METRIC_wall_ns;

		assert_int_equal(found[i].extreme.at.rank, time ? 133 : 77);
		assert_int_equal(found[i].straggler, time);
		assert_true(found[i].times_mad > NA_OUTLIER_MADS);
	}
	assert_true(found[0].times_mad >= found[1].times_mad);
}

static void damage_is_refused(void **state)
{
	(void)state;
	fill(wild);
	add_all();
	assert_int_equal(na_distribution_check(&all, RANKS / 2), -EINVAL);
	all.extremes[2].most_count = NA_EXTREMES + 1;
	assert_int_equal(na_distribution_check(&all, RANKS), -EINVAL);
	all.extremes[2].most_count = 1;
	memset(all.extremes[3].least[7].at.host, 'x', sizeof(all.extremes[3].least[7].at.host));
	assert_int_equal(na_distribution_check(&all, RANKS), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bins_have_edges),
		cmocka_unit_test(quantiles_are_right),
		cmocka_unit_test(deviations_are_exact),
		cmocka_unit_test(any_tree_gives_the_same_bytes),
		cmocka_unit_test(who_lies_far_out_is_named),
		cmocka_unit_test(damage_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
