/* SPDX-License-Identifier: BSD-3-Clause */
#include "tracking/timeline.h"

#include "support/unit.h"

#define MS UINT64_C(1000000)

static struct na_timeline_bin bins[NA_TIMELINE_BINS];

static void each_bin_keeps_its_maximum(void **state)
{
	uint64_t width;

	(void)state;
	na_timeline_reset(50 * MS, 10);
	na_timeline_add(50 * MS, 5, 50);
	na_timeline_add(55 * MS, 9, 40);
	na_timeline_add(71 * MS, 1, UINT64_MAX);
	assert_int_equal(na_timeline_copy(bins, NA_TIMELINE_BINS, &width), 3);
	assert_int_equal(width, 10);
	assert_int_equal(bins[0].live, 9);
	assert_int_equal(bins[0].physical, 50);
	assert_int_equal(bins[0].live_at_physical, 5);
	assert_true(bins[1].live == UINT64_MAX);
	assert_int_equal(bins[2].live, 1);
	assert_true(bins[2].physical == UINT64_MAX);
}

static void a_full_series_doubles_its_width_and_loses_no_peak(void **state)
{
	uint64_t width, peak = 0;
	size_t n;

	(void)state;
	na_timeline_reset(0, 1);
	for (uint64_t t = 0; t < 100000; t++)
		na_timeline_add(t * MS, t == 777 ? 1000000 : t, UINT64_MAX);
	n = na_timeline_copy(bins, NA_TIMELINE_BINS, &width);
	assert_int_equal(width, 256);
	assert_int_equal(n, (100000 + 255) / 256);
	for (size_t i = 0; i < n; i++)
		if (bins[i].live > peak)
			peak = bins[i].live;
	assert_int_equal(peak, 1000000);
	assert_int_equal(bins[777 / 256].live, 1000000);
}

static void a_long_silence_is_a_gap_not_a_loop(void **state)
{
	uint64_t width;
	size_t n;

	(void)state;
	na_timeline_reset(0, 1);
	na_timeline_add(0, 3, 3);
	na_timeline_add(UINT64_C(86400000) * 30 * MS, 4, 4);
	n = na_timeline_copy(bins, NA_TIMELINE_BINS, &width);
	assert_true(n <= NA_TIMELINE_BINS);
	assert_int_equal(bins[0].live, 3);
	assert_int_equal(bins[n - 1].live, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_bin_keeps_its_maximum),
		cmocka_unit_test(a_full_series_doubles_its_width_and_loses_no_peak),
		cmocka_unit_test(a_long_silence_is_a_gap_not_a_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
