/* SPDX-License-Identifier: BSD-3-Clause */
/* The tuner on made-up time (made_up.h): which distance it finds, and when it looks again. */
#include "made_up.h"

#include "hints/hints.h"
#include "kernels/tune_file.h"

/* A million elements twice: it has settled by then. */
static size_t settle(kernel_site_t *site)
{
	for (int i = 0; i < 3; i++)
		run_loop(site, 1000000, 512 * MIB, NA_TUNE_DISTANCE);
	return run_loop(site, 1000000, 512 * MIB, NA_TUNE_DISTANCE);
}

static int begin(void **state)
{
	(void)state;
	na_chase_measure();
	na_tune_clock = fake_clock;
	na_options.tuning_cache = 0;
	na_tune_reset();
	return 0;
}

static uint64_t base(uint64_t ps)
{
	bool measured;

	return na_chase_latency(&measured) * 1000ull * na_options.prefetch_reach / 100 / ps;
}

/* ---- choosing ---- */

static size_t planted;

static uint64_t best_at_planted(size_t d)
{
	size_t off = d > planted ? d / planted : planted / (d ? d : 1);

	return d == 0 ? 10000 : off > 20 ? 9900 : 5000 + 250 * off;
}

static void the_planted_best_is_found(void **state)
{
	(void)state;
	cost = best_at_planted;
	for (unsigned int v = 0; v < 4; v++) {
		kernel_site_t site = { "planted", 0 };
		size_t found;

		na_tune_reset();
		planted = (base(10000) << v) / 2;
		found = settle(&site);
		assert_true(found == planted || (planted > 1 && found == (base(10000) << (v - 1))) || found == planted * 2);
		assert_true(best_at_planted(found) <= best_at_planted(planted) + 250);
	}
}

static uint64_t the_farther_the_better(size_t d)
{
	return 10000 - (d > 800 ? 800 : d) * 10;
}

static void it_goes_on_where_the_farthest_is_best(void **state)
{
	kernel_site_t site = { "far", 0 };

	(void)state;
	cost = the_farther_the_better;
	assert_true(settle(&site) >= base(10000) * 16);
}

static uint64_t two_percent(size_t d)
{
	return d ? 9800 : 10000;
}

static uint64_t five_percent(size_t d)
{
	return d ? 9500 : 10000;
}

static void a_gain_must_be_more_than_three_percent(void **state)
{
	kernel_site_t little = { "little", 0 }, enough = { "enough", 0 };

	(void)state;
	cost = two_percent;
	assert_int_equal(settle(&little), 0);
	cost = five_percent;
	assert_true(settle(&enough) > 0);
}

static uint64_t worse(size_t d)
{
	return d ? 14000 : 10000;
}

static void what_costs_is_not_used(void **state)
{
	kernel_site_t site = { "worse", 0 };

	(void)state;
	cost = worse;
	assert_int_equal(settle(&site), 0);
	/* And it costs no more than what it took to find out: one chunk in five of the first calls, and seldom one later. */
	chunks = 0;
	for (int i = 0; i < 64; i++)
		assert_int_equal(run_loop(&site, 1000000, 512 * MIB, NA_TUNE_DISTANCE), 0);
	assert_true(chunks <= 64 * 4);
}

/* Every fourth chunk is held up, whatever it runs with. */
static uint64_t disturbed(size_t d)
{
	static uint64_t n;

	return (n++ % 4 == 3 ? 30000 : 0) + (d ? 6000 : 10000);
}

static uint64_t disturbed_alike(size_t d)
{
	static uint64_t n;

	(void)d;
	return n++ % 7 == 3 ? 30000 : 10000;
}

static void being_held_up_at_times_does_not_deceive_it(void **state)
{
	kernel_site_t site = { "disturbed", 0 }, alike = { "alike", 0 };

	(void)state;
	cost = disturbed;
	assert_true(settle(&site) > 0);
	cost = disturbed_alike;
	assert_int_equal(settle(&alike), 0);
}

static uint64_t sixteen_at_once(size_t d)
{
	return d == 16 ? 100000 : d == 8 ? 150000 : d == 32 ? 160000 : d == 4 ? 300000 : 1000000;
}

static void groups_of_lists_as_well(void **state)
{
	kernel_site_t site = { "lists", 0 };

	(void)state;
	cost = sixteen_at_once;
	for (int i = 0; i < 4; i++)
		run_loop(&site, 20000, 512 * MIB, NA_TUNE_GROUP);
	assert_int_equal(run_loop(&site, 20000, 512 * MIB, NA_TUNE_GROUP), 16);
	/* Few lists are not measured, and near ones go one after the other. */
	assert_int_equal(run_loop(&site, 50, 512 * MIB, NA_TUNE_GROUP), 8);
	assert_int_equal(run_loop(&site, 50, 32768, NA_TUNE_GROUP), 1);
}

/* ---- later ---- */

static uint64_t half(size_t d)
{
	return d ? 5000 : 10000;
}

static uint64_t twice_as_slow(size_t d)
{
	return d == planted ? 30000 : d ? 12000 : 20000;
}

static kernel_tuning_t only(const char *name)
{
	kernel_tuning_t found = { .settled = false };

	for (size_t i = 0; i < NA_TUNE_CELLS; i++) {
		struct na_cell *cell = na_tune_cell(i);

		if (cell && strcmp(cell->name, name) == 0) {
			found.retuned = cell->retuned;
			found.settled = cell->settled != 0;
			found.distance = cell->settled ? cell->settled - 1 : 0;
		}
	}
	return found;
}

static void it_is_tuned_again_when_it_drifts(void **state)
{
	kernel_site_t site = { "drifts", 0 };

	(void)state;
	cost = half;
	planted = settle(&site);
	assert_true(planted > 0);
	for (int i = 0; i < 40; i++)
		run_loop(&site, 1000000, 512 * MIB, NA_TUNE_DISTANCE);
	assert_int_equal(only("drifts").retuned, 0);
	cost = twice_as_slow;
	for (int i = 0; i < 60; i++)
		run_loop(&site, 1000000, 512 * MIB, NA_TUNE_DISTANCE);
	assert_true(only("drifts").retuned >= 1);
	assert_true(only("drifts").distance != planted);
}

/* The time stays within what is no drift, but the plain loop has become the faster one. */
static uint64_t just_lost(size_t d)
{
	return d ? 5500 : 5000;
}

static void what_comes_to_lose_is_given_up(void **state)
{
	kernel_site_t site = { "lost", 0 }, won = { "won", 0 };

	(void)state;
	cost = half;
	assert_true(settle(&site) > 0);
	cost = just_lost;
	for (int i = 0; i < 200; i++)
		run_loop(&site, 1000000, 512 * MIB, NA_TUNE_DISTANCE);
	assert_int_equal(only("lost").distance, 0);
	/* And the other way about. */
	cost = worse;
	assert_int_equal(settle(&won), 0);
	cost = half;
	for (int i = 0; i < 200; i++)
		run_loop(&won, 1000000, 512 * MIB, NA_TUNE_DISTANCE);
	assert_true(only("won").distance > 0);
}

static void short_calls_are_tuned_over_many(void **state)
{
	kernel_site_t site = { "short", 0 };

	(void)state;
	cost = half;
	for (int i = 0; i < 200; i++)
		run_loop(&site, KERNEL_LEAST, 512 * MIB, NA_TUNE_DISTANCE);
	assert_true(run_loop(&site, KERNEL_LEAST, 512 * MIB, NA_TUNE_DISTANCE) > 0);
	cost = just_lost;
	for (int i = 0; i < 2000; i++)
		run_loop(&site, KERNEL_LEAST, 512 * MIB, NA_TUNE_DISTANCE);
	assert_int_equal(only("short").distance, 0);
}

/* ---- what steers it ---- */

static void settings_steer_it(void **state)
{
	kernel_site_t site = { "steered", 0 };

	(void)state;
	cost = half;
	na_setting_put(NA_OPTION_prefetch, NA_FROM_PROGRAM, 0);
	assert_int_equal(settle(&site), 0);
	assert_int_equal(run_loop(&site, 20000, 512 * MIB, NA_TUNE_GROUP), 1);
	na_setting_put(NA_OPTION_prefetch, NA_FROM_PROGRAM, 1);
	na_setting_put(NA_OPTION_prefetch_distance, NA_FROM_PROGRAM, 77);
	assert_int_equal(settle(&site), 77);
	na_setting_drop(NA_OPTION_prefetch_distance, NA_FROM_PROGRAM);
	na_setting_put(NA_OPTION_tuning, NA_FROM_PROGRAM, 0);
	assert_int_equal(settle(&site), 0);
	na_setting_drop(NA_OPTION_tuning, NA_FROM_PROGRAM);
	assert_true(settle(&site) > 0);
	na_settings_reset();
}

static void the_level_says_where_the_search_begins(void **state)
{
	kernel_site_t near = { "near", 0 }, far = { "far", 0 };
	size_t first;

	(void)state;
	cost = half; /* all distances alike: the first is kept */
	na_setting_put(NA_OPTION_prefetch_reach, NA_FROM_LEVEL, 100);
	first = settle(&near);
	na_setting_put(NA_OPTION_prefetch_reach, NA_FROM_LEVEL, 300);
	assert_true(settle(&far) >= 2 * first);
	na_settings_reset();
}

static void small_and_sequential_data_are_left_alone(void **state)
{
	struct na_hints hints = { .hint = { .access = NA_ACCESS_SEQUENTIAL } };
	kernel_site_t site = { "alone", 0 };
	const void *probe[KERNEL_PROBES];
	struct na_tune_judged what;
	char why[200];
	char *block;

	(void)state;
	cost = half;
	assert_int_equal(run_loop(&site, 1000000, 100000, NA_TUNE_DISTANCE), 0);
	assert_false(only("alone").settled);
	assert_int_equal(na_hints_allocate(4 * MIB, &hints, (void **)&block, why), 0);
	for (size_t i = 0; i < KERNEL_PROBES; i++)
		probe[i] = block + i * 100000;
	na_tune_judge(probe, &what);
	assert_true(what.sequential);
	assert_int_equal(what.pages, 2);
	assert_int_equal(what.footprint, 22);
	na_heap_release(block);
}

static void unlike_data_have_cells_of_their_own(void **state)
{
	kernel_site_t site = { "unlike", 0 };
	size_t count = 0;

	(void)state;
	cost = half;
	for (uint64_t size = MIB; size <= 512 * MIB; size *= 8)
		run_loop(&site, 100000, size, NA_TUNE_DISTANCE);
	for (size_t i = 0; i < NA_TUNE_CELLS; i++)
		count += na_tune_cell(i) != NULL;
	assert_int_equal(count, 4);
}

static void a_full_table_is_no_harm(void **state)
{
	char names[NA_TUNE_CELLS + 20][16];

	(void)state;
	cost = half;
	for (int i = 0; i < NA_TUNE_CELLS + 20; i++) {
		kernel_site_t site = { names[i], 0 };

		snprintf(names[i], sizeof(names[i]), "loop%d", i);
		assert_true((settle(&site) > 0) == (i < NA_TUNE_CELLS));
	}
	na_tune_reset();
	assert_null(na_tune_cell(5));
}

static void a_reset_in_the_middle_ends_the_run_plainly(void **state)
{
	kernel_site_t site = { "reset", 0 };
	kernel_run_t run = kernel_plain_(0, 1000000);
	const void *probe[KERNEL_PROBES];

	(void)state;
	make_probe(probe, 512 * MIB);
	na_tune_begin(&run, &site, probe, NA_TUNE_DISTANCE);
	assert_non_null(run.cell);
	na_tune_reset();
	na_tune_next(&run, run.until);
	assert_null(run.cell);
	assert_int_equal(run.until, 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_planted_best_is_found, begin),
		cmocka_unit_test_setup(it_goes_on_where_the_farthest_is_best, begin),
		cmocka_unit_test_setup(a_gain_must_be_more_than_three_percent, begin),
		cmocka_unit_test_setup(what_costs_is_not_used, begin),
		cmocka_unit_test_setup(being_held_up_at_times_does_not_deceive_it, begin),
		cmocka_unit_test_setup(groups_of_lists_as_well, begin),
		cmocka_unit_test_setup(it_is_tuned_again_when_it_drifts, begin),
		cmocka_unit_test_setup(what_comes_to_lose_is_given_up, begin),
		cmocka_unit_test_setup(short_calls_are_tuned_over_many, begin),
		cmocka_unit_test_setup(settings_steer_it, begin),
		cmocka_unit_test_setup(the_level_says_where_the_search_begins, begin),
		cmocka_unit_test_setup(small_and_sequential_data_are_left_alone, begin),
		cmocka_unit_test_setup(unlike_data_have_cells_of_their_own, begin),
		cmocka_unit_test_setup(a_full_table_is_no_harm, begin),
		cmocka_unit_test_setup(a_reset_in_the_middle_ends_the_run_plainly, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
