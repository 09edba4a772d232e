/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/chance.h"

#include <math.h>

#include "support/unit.h"

static void the_chance_of_a_block_is_what_libm_says(void **state)
{
	(void)state;
	for (uint64_t mean = 1; mean < UINT64_C(1) << 41; mean *= 3)
		for (uint64_t size = 1; size < UINT64_C(1) << 40; size = size * 5 + 3) {
			double ours = na_chance_of(size, mean), exact = -expm1(-(double)size / (double)mean);

			assert_true(fabs(ours - exact) <= 1e-9 * exact);
		}
}

/* Of N draws the mean is within 5 sigma, and as many are beyond x as an exponential has. */
static void gaps_are_exponential(void **state)
{
	enum { N = 200000 };
	uint64_t random = 42;
	const double mean = 524288;
	double sum = 0;
	int beyond[4] = { 0 };

	(void)state;
	for (int i = 0; i < N; i++) {
		double gap = (double)na_chance_gap(&random, (uint64_t)mean);

		assert_true(gap >= 1);
		sum += gap;
		for (int k = 0; k < 4; k++)
			beyond[k] += gap > mean * (k + 1) / 2;
	}
	assert_true(fabs(sum / N - mean) < 5 * mean / sqrt(N));
	for (int k = 0; k < 4; k++) {
		double p = exp(-(k + 1) / 2.0);

		assert_true(fabs(beyond[k] - N * p) < 5 * sqrt(N * p * (1 - p)));
	}
}

static void the_largest_mean_does_not_overflow(void **state)
{
	uint64_t random = 7;

	(void)state;
	for (int i = 0; i < 100000; i++)
		assert_true(na_chance_gap(&random, UINT64_C(1) << 60) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_chance_of_a_block_is_what_libm_says),
		cmocka_unit_test(gaps_are_exponential),
		cmocka_unit_test(the_largest_mean_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
