/* SPDX-License-Identifier: BSD-3-Clause */
/* Pauses: sums are exact and the newest are kept; merging does not depend on its order; what pauses are thought to cost a job. */
#include "support/unit.h"

#include <string.h>

#include "report/pauses.h"

static struct na_pauses make(uint64_t count, uint64_t ns, uint64_t kind)
{
	struct na_pauses p = { 0 };

	for (uint64_t i = 0; i < count; i++)
		na_pauses_add(&p, &(struct na_pause){ .moment_ns = 1000 * i, .ns = ns + i, .bytes = i, .kind = kind });
	return p;
}

static void sums_are_exact_and_the_newest_are_kept(void **state)
{
	struct na_pauses p = make(1000, 5, NA_PAUSE_WINDOW);
	struct na_pause last[NA_PAUSES + 1];

	(void)state;
	assert_int_equal(p.count, 1000);
	assert_int_equal(p.total_ns, 5 * 1000 + 999 * 1000 / 2);
	assert_int_equal(p.kind_ns[NA_PAUSE_WINDOW], p.total_ns);
	assert_int_equal(p.longest.ns, 1004);
	assert_int_equal(na_pauses_copy(&p, last, NA_PAUSES + 1), NA_PAUSES);
	for (uint64_t i = 0; i < NA_PAUSES; i++)
		assert_int_equal(last[i].bytes, 1000 - NA_PAUSES + i);
	assert_int_equal(na_pauses_copy(&p, last, 3), 3);
	assert_int_equal(last[0].bytes, 997);
	p = make(2, 5, 77); /* a kind of another version is nobody's window */
	assert_int_equal(p.kind_count[NA_PAUSE_ALONE], 2);
	assert_int_equal(na_pauses_copy(&p, last, NA_PAUSES), 2);
	assert_string_equal(na_pause_name(77), "unknown");
}

static void merging_does_not_depend_on_its_order(void **state)
{
	struct na_pauses p[3] = { make(3, 10, NA_PAUSE_WINDOW), make(7, 6, NA_PAUSE_ALONE), make(0, 0, 0) };
	struct na_where at[3] = { { .rank = 2, .host = "b" }, { .rank = 1, .host = "a" }, { .rank = 0, .host = "a" } };
	struct na_job_pauses one = { 0 }, other = { 0 }, part = { 0 };

	(void)state;
	for (int i = 0; i < 3; i++)
		na_job_pauses_add(&one, &p[i], &at[i]);
	na_job_pauses_add(&part, &p[0], &at[0]);
	na_job_pauses_add(&other, &p[2], &at[2]);
	na_job_pauses_add(&other, &p[1], &at[1]);
	na_job_pauses_merge(&other, &part);
	assert_memory_equal(&one, &other, sizeof(one));
	assert_int_equal(one.count, 10);
	assert_int_equal(one.longest.ns, 12);
	assert_int_equal(one.longest_at.rank, 1); /* of two of 12 ns the lower rank's */
	assert_int_equal(one.together_ns, p[0].total_ns);
	assert_int_equal(one.alone_count, 7);
}

static void what_pauses_cost_a_job(void **state)
{
	struct na_job_pauses j = { .together_ns = 1000 };

	(void)state;
	assert_int_equal(na_job_pauses_estimate(&j), 1000);
	j.alone_count = 100;
	j.alone_ns = 100 * 50;
	assert_int_equal(na_job_pauses_estimate(&j), 1000 + 5000); /* no count of steps: each delays all */
	j.collectives = 1;
	assert_int_equal(na_job_pauses_estimate(&j), 1000 + 50); /* all in one step */
	j.collectives = 10; /* 10 (1 - 0.9^100) of 50 */
	assert_int_equal(na_job_pauses_estimate(&j), 1000 + 500);
	j.collectives = 100; /* 100 (1 - 0.99^100) = 63.397 of 50 */
	assert_int_equal(na_job_pauses_estimate(&j), 1000 + 3170);
	j.collectives = UINT64_C(1000000000000);
	assert_in_range(na_job_pauses_estimate(&j), 5990, 6010);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_exact_and_the_newest_are_kept),
		cmocka_unit_test(merging_does_not_depend_on_its_order),
		cmocka_unit_test(what_pauses_cost_a_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
