/* SPDX-License-Identifier: BSD-3-Clause */
/* The prefetch distance: its formula, and what measuring does where it cannot. */
#include "hints/prefetch.h"

#include "base/settings.h"
#include "os/chase.h"
#include "os/os.h"
#include "support/faulty_os.h"
#include "support/unit.h"

static void the_distance_is_the_latency_in_whole_lines(void **state)
{
	(void)state;
	assert_int_equal(na_prefetch_derive(100, 100, 64), 104);
	assert_int_equal(na_prefetch_derive(100, 50, 64), 56);
	assert_int_equal(na_prefetch_derive(100, 300, 64), 304);
	assert_int_equal(na_prefetch_derive(96, 100, 64), 96);
	assert_int_equal(na_prefetch_derive(97, 100, 64), 104);
	assert_int_equal(na_prefetch_derive(97, 100, 128), 112);
	assert_int_equal(na_prefetch_derive(20, 1, 64), 8);
	assert_int_equal(na_prefetch_derive(1000, 1000, 16), 10000);
}

/* First of all, for it is measured once in a process. */
static void without_memory_the_latency_is_assumed(void **state)
{
	bool measured;

	(void)state;
	na_prefetch_follow(false);
	assert_int_equal(na_prefetch_distance, 104);
	na_faulty_os_install(1);
	na_prefetch_follow(true);
	assert_true(na_faulty_os_remove() >= 1);
	assert_int_equal(na_chase_latency(&measured), NA_CHASE_ASSUMED);
	assert_false(measured);
	assert_int_equal(na_prefetch_distance, na_prefetch_derive(NA_CHASE_ASSUMED, 100, na_cache_line));
	na_faulty_os_install(1000);
	na_prefetch_follow(true);
	assert_int_equal(na_faulty_os_remove(), 0); /* it does not try again */
}

static void settings_go_before_what_is_derived(void **state)
{
	(void)state;
	na_setting_put(NA_OPTION_prefetch_distance, NA_FROM_PROGRAM, 33);
	na_prefetch_follow(false);
	assert_int_equal(na_prefetch_distance, 33);
	na_setting_put(NA_OPTION_prefetch, NA_FROM_PROGRAM, 0);
	na_prefetch_follow(false);
	assert_int_equal(na_prefetch_distance, 0);
	na_settings_reset();
	na_setting_put(NA_OPTION_cache_line_size, NA_FROM_PROGRAM, 256);
	na_prefetch_follow(false);
	assert_int_equal(na_cache_line, 256);
	assert_int_equal(na_prefetch_distance, na_prefetch_derive(NA_CHASE_ASSUMED, 100, 256));
	na_settings_reset();
	na_prefetch_follow(true);
	assert_true(na_cache_line >= 16 && na_cache_line <= 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory_the_latency_is_assumed),
		cmocka_unit_test(the_distance_is_the_latency_in_whole_lines),
		cmocka_unit_test(settings_go_before_what_is_derived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
