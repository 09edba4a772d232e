/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes of a node that tune once: a board in this process's memory, other processes by their number, and made-up time. */
#include "made_up.h"

#include "topology/topology.h"

enum { N = 100000, LONG_RUNS = 8 }; /* a run has not chunks enough to settle */

static _Atomic uint64_t pages[NA_TOPOLOGY_BOARD / sizeof(uint64_t)];

static void *board(void)
{
	return pages;
}

static void *none(void)
{
	return NULL;
}

static uint64_t fetching = 10; /* ns an element with any prefetching; 30 without */

static uint64_t cost_here(size_t distance)
{
	return 1000 * (distance > 0 ? fetching : 30);
}

static size_t run(kernel_site_t *site)
{
	return run_loop(site, N, 512 * MIB, NA_TUNE_DISTANCE);
}

/* As another process would begin: nothing known. */
static void become(uint32_t process)
{
	na_tune_reset();
	na_tune_process = process;
	timed = 0;
}

static int begin(void **state)
{
	(void)state;
	na_chase_measure();
	na_tune_clock = fake_clock;
	cost = cost_here;
	na_tune_board = board;
	na_options.tuning_cache = 0;
	memset(pages, 0, sizeof(pages));
	fetching = 10;
	become(1);
	return 0;
}

static size_t settle(kernel_site_t *site)
{
	for (int i = 0; i < LONG_RUNS; i++)
		run(site);
	return run(site);
}

static kernel_tuning_t only(void)
{
	kernel_tuning_t t;

	assert_int_equal(get_kernel_tuning(&t, 1), 1);
	return t;
}

static void what_one_has_found_the_others_take(void **state)
{
	static kernel_site_t site = { "share.c:1", 0 };
	size_t found = settle(&site);
	kernel_tuning_t t;

	(void)state;
	assert_true(found > 0);
	become(2);
	assert_int_equal(run(&site), found); /* from its first run */
	t = only();
	assert_true(t.settled && t.stored && t.distance == found);
	assert_true(t.gain > 2);
}

static void who_comes_second_runs_plain_meanwhile(void **state)
{
	static kernel_site_t site = { "share.c:2", 0 };

	(void)state;
	run(&site); /* process 1 has begun */
	assert_false(only().settled && only().stored);
	become(2);
	assert_int_equal(run(&site), 0);
	assert_int_equal(timed, 0);
	assert_false(only().settled);
}

static void a_claim_that_is_not_renewed_is_void(void **state)
{
	static kernel_site_t site = { "share.c:3", 0 };
	size_t found;

	(void)state;
	run(&site);
	become(2);
	now += 2100000000;
	found = settle(&site);
	assert_true(found > 0 && timed > 0);
	become(1);
	assert_int_equal(run(&site), found);
}

static void a_loop_that_has_drifted_is_tuned_by_each(void **state)
{
	static kernel_site_t site = { "share.c:4", 0 };
	size_t found = settle(&site);
	struct na_cell *cell = NULL;

	(void)state;
	for (size_t i = 0; i < NA_TUNE_CELLS && !cell; i++)
		cell = na_tune_cell(i);
	assert_non_null(cell);
	cell->retuned = 1;
	cell->phase = NA_TUNE_PLAIN;
	atomic_store(&cell->settled, 0);
	timed = 0;
	fetching = 60;
	run(&site);
	assert_true(timed > 1 && !only().stored);
	assert_true(found > 0);
	/* What it finds then is its own: others take what was found first. */
	for (int i = 0; i < 100 && !only().settled; i++)
		run(&site);
	assert_true(only().settled && !only().stored && only().distance == 0);
	fetching = 10;
	become(2);
	assert_int_equal(run(&site), found);
	assert_true(only().stored);
}

/* A board with anything on it: nothing of it is believed that cannot be. */
static void a_board_that_is_damaged_does_no_harm(void **state)
{
	static kernel_site_t site = { "share.c:5", 0 };
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		char name[32];

		snprintf(name, sizeof(name), "share.c:%d", 100 + round);
		site = (kernel_site_t){ name, 0 };
		na_tune_reset();
		run(&site); /* has a slot now */
		na_tune_reset();
		for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
			if (i % 4) {
				seed = seed * 6364136223846793005u + 1442695040888963407u;
				pages[i] = seed ^ seed >> 29;
			}
		run(&site); /* which holds every distance against what may be */
	}
}

/* The last test: there is no way back. */
static void who_starts_anew_is_alone(void **state)
{
	static kernel_site_t site = { "share.c:7", 0 };

	(void)state;
	assert_true(settle(&site) > 0);
	reset_kernel_tuning();
	timed = 0;
	run(&site);
	assert_true(timed > 0 && !only().stored);
}

static void alone_nothing_is_shared(void **state)
{
	static kernel_site_t site = { "share.c:6", 0 };

	(void)state;
	na_tune_board = none;
	assert_true(settle(&site) > 0);
	become(2);
	run(&site);
	assert_true(timed > 0);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		assert_int_equal(pages[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_one_has_found_the_others_take, begin),
		cmocka_unit_test_setup(who_comes_second_runs_plain_meanwhile, begin),
		cmocka_unit_test_setup(a_claim_that_is_not_renewed_is_void, begin),
		cmocka_unit_test_setup(a_loop_that_has_drifted_is_tuned_by_each, begin),
		cmocka_unit_test_setup(a_board_that_is_damaged_does_no_harm, begin),
		cmocka_unit_test_setup(alone_nothing_is_shared, begin),
		cmocka_unit_test_setup(who_starts_anew_is_alone, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
