/* SPDX-License-Identifier: BSD-3-Clause */
/* The time series: bins, doubling, and sums that depend on no order. */
#include "support/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/snapshot.h"
#include "report/series.h"

static void holds_maxima_of_bins(void **state)
{
	struct na_series s;

	(void)state;
	na_series_init(&s);
	assert_int_equal(na_series_peak_live(&s), 0);
	na_series_add(&s, 1600, 10, 100);
	na_series_add(&s, 1610, 30, 90);
	na_series_add(&s, 1615, 20, 80);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.first, 100);
	assert_int_equal(s.value[NA_SERIES_LIVE][0], 30);
	assert_int_equal(s.value[NA_SERIES_PHYSICAL][0], 100);
	na_series_add(&s, 1664, 5, 50); /* bins 101 to 103: the larger of 20 and 5 */
	assert_int_equal(s.count, 5);
	assert_int_equal(s.value[NA_SERIES_LIVE][2], 20);
	assert_int_equal(s.value[NA_SERIES_LIVE][4], 5);
	na_series_raise(&s, 1632, 1650, 40);
	assert_int_equal(s.value[NA_SERIES_LIVE][1], 20);
	assert_int_equal(s.value[NA_SERIES_LIVE][2], 40);
	assert_int_equal(s.value[NA_SERIES_LIVE][3], 40);
	assert_int_equal(s.value[NA_SERIES_LIVE][4], 5);
	assert_int_equal(na_series_peak_live(&s), 40);
	assert_int_equal(na_series_peak_physical(&s), 100);
	assert_int_equal(na_series_check(&s), 0);
}

static void doubles_when_full(void **state)
{
	struct na_series s;
	uint64_t most = 0;

	(void)state;
	na_series_init(&s);
	for (uint64_t ms = 5000; ms < 5000 + 3600000; ms += 100) {
		uint64_t live = (ms * 2654435761u) % 100000;

		most = live > most ? live : most;
		na_series_add(&s, ms, live, live + 1);
		assert_true(s.count <= NA_SERIES_BINS);
	}
	assert_int_equal(na_series_peak_live(&s), most);
	assert_true(s.count > NA_SERIES_BINS / 2 - 2);
	assert_true((s.first << s.shift) <= 5000);
	assert_true(((s.first + s.count) << s.shift) > 5000 + 3600000 - 100);
	assert_int_equal(na_series_check(&s), 0);
}

static void goes_back_in_time_gracefully(void **state)
{
	struct na_series s;

	(void)state;
	na_series_init(&s);
	na_series_add(&s, 10000, 5, 5);
	na_series_add(&s, 2000, 9, 9); /* the clock was set back: counts into the last bin */
	assert_int_equal(s.count, 1);
	assert_int_equal(s.value[NA_SERIES_LIVE][0], 9);
}

static void random_series(struct na_series *s, unsigned int seed)
{
	uint64_t ms = 1000000 + (uint64_t)(rand_r(&seed) % 30000);

	na_series_init(s);
	for (int i = rand_r(&seed) % 300; i >= 0; i--, ms += (uint64_t)(rand_r(&seed) % 400))
		na_series_add(s, ms, (uint64_t)(rand_r(&seed) % 1000), (uint64_t)(rand_r(&seed) % 1000));
}

/* By the recipe: join the axes, widen all, sum; in the order given by the bits of `order`. */
static void sum_of(struct na_series *out, const struct na_series *given, int count, unsigned int order)
{
	struct na_series s[8];
	struct na_axis all;

	na_axis_init(&all);
	for (int i = 0; i < count; i++) {
		struct na_axis axis = na_axis_of(&given[i]);

		na_axis_join(&all, &axis);
		s[i] = given[i];
	}
	for (int i = 0; i < count; i++)
		na_series_widen(&s[i], na_axis_shift(&all));
	while (count > 1) { /* a random tree */
		int a = (int)(rand_r(&order) % (unsigned int)count), b = (a + 1) % count;

		na_series_sum(&s[a], &s[b]);
		s[b] = s[count - 1];
		count--;
	}
	*out = s[0];
}

static void sums_depend_on_no_order(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed < 200; seed++) {
		struct na_series given[6], first, other;
		uint64_t peaks = 0;

		for (unsigned int i = 0; i < 6; i++) {
			random_series(&given[i], seed * 10 + i);
			peaks += na_series_peak_live(&given[i]);
		}
		sum_of(&first, given, 6, 1);
		assert_true(na_series_peak_live(&first) <= peaks);
		for (unsigned int order = 2; order < 8; order++) {
			sum_of(&other, given, 6, order * 7919);
			assert_memory_equal(&first, &other, sizeof(first));
		}
	}
}

static void peaks_at_different_times_do_not_add_up(void **state)
{
	struct na_series a, b;

	(void)state;
	na_series_init(&a);
	na_series_init(&b);
	for (uint64_t ms = 0; ms < 2000; ms += 16) {
		na_series_add(&a, 160000 + ms, ms < 1000 ? 100 : 10, 1);
		na_series_add(&b, 160000 + ms, ms < 1000 ? 10 : 100, 1);
	}
	na_series_sum(&a, &b);
	assert_int_equal(na_series_peak_live(&a), 110);
	assert_int_equal(na_series_peak_physical(&a), 2);
}

static void unknown_stays_unknown(void **state)
{
	struct na_series a, b;

	(void)state;
	na_series_init(&a);
	na_series_init(&b);
	na_series_add(&a, 160000, 1, NA_UNKNOWN);
	na_series_add(&b, 160000, 2, 7);
	na_series_sum(&a, &b);
	assert_int_equal(na_series_peak_live(&a), 3);
	assert_int_equal(na_series_peak_physical(&a), NA_UNKNOWN);
}

static void damage_is_refused(void **state)
{
	struct na_series s;

	(void)state;
	na_series_init(&s);
	s.count = NA_SERIES_BINS + 1;
	assert_int_equal(na_series_check(&s), -EINVAL);
	na_series_init(&s);
	s.shift = 63;
	assert_int_equal(na_series_check(&s), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_maxima_of_bins),
		cmocka_unit_test(doubles_when_full),
		cmocka_unit_test(goes_back_in_time_gracefully),
		cmocka_unit_test(sums_depend_on_no_order),
		cmocka_unit_test(peaks_at_different_times_do_not_add_up),
		cmocka_unit_test(unknown_stays_unknown),
		cmocka_unit_test(damage_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
