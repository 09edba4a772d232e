/* SPDX-License-Identifier: BSD-3-Clause */
/* Pauses: sums are exact and the newest are kept; merging does not depend on its order; what pauses are thought to cost a job. */
#include "support/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "report/paused.h"
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

static void a_trace_rises_whatever_the_clock_did(void **state)
{
	char path[] = "/tmp/numarena-trace-XXXXXX";
	unsigned long long at, length, free_from = 0, sum = 0;
	int fd = mkstemp(path), lines = 0;
	char text[200];
	FILE *f;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(na_paused_trace(path, 3, 0, 1), -ENODATA);
	na_options.pause_trace = true;
	na_paused(NA_PAUSE_WINDOW, 1000, 0);
	na_paused(NA_PAUSE_WINDOW, 5000000, 0); /* as if it had begun before the first */
	na_paused(NA_PAUSE_WAITING, 70, 0);	/* costs nobody anything */
	na_paused(NA_PAUSE_ALONE, 0, 0);
	na_paused(NA_PAUSE_CALL, 20, 0);
	/* The clock was set back: the job ends before it has begun. */
	assert_int_equal(na_paused_trace(path, 3, UINT64_MAX, 0), 0);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(text, sizeof(text), f)) {
		if (text[0] == '#')
			continue;
		assert_int_equal(sscanf(text, "%llu\t%llu", &at, &length), 2);
		assert_true(lines == 0 ? at == 0 : at >= free_from);
		free_from = at + (length ? length : 1);
		sum += length;
		lines++;
	}
	assert_int_equal(lines, 4 + 2);
	assert_int_equal(sum, 1000 + 5000000 + 20);
	assert_int_equal(length, 0);
	assert_null(strchr(text, '\n'));
	fclose(f);
	unlink(path);
	na_paused_forked();
	na_options.pause_trace = false;
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
		cmocka_unit_test(a_trace_rises_whatever_the_clock_did),
		cmocka_unit_test(merging_does_not_depend_on_its_order),
		cmocka_unit_test(what_pauses_cost_a_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
