/* SPDX-License-Identifier: BSD-3-Clause */
/* Who goes before whom, and the table of the levels. */
#include "base/settings.h"

#include <stdlib.h>
#include <string.h>

#include "support/unit.h"

static const char *origin(enum na_option_id id)
{
	static char text[32];

	na_setting_origin(id, text, sizeof(text));
	return text;
}

static void the_program_goes_before_a_level_and_both_before_the_default(void **state)
{
	(void)state;
	assert_int_equal(na_setting_source(NA_OPTION_decay_ms), NA_FROM_DEFAULT);
	na_setting_put(NA_OPTION_decay_ms, NA_FROM_PROGRAM, 7);
	na_setting_put(NA_OPTION_decay_ms, NA_FROM_LEVEL, 8);
	assert_int_equal(na_options.decay_ms, 7);
	assert_string_equal(origin(NA_OPTION_decay_ms), "program");
	na_setting_drop(NA_OPTION_decay_ms, NA_FROM_PROGRAM);
	assert_int_equal(na_options.decay_ms, 8);
	assert_int_equal(na_setting_source(NA_OPTION_decay_ms), NA_FROM_LEVEL);
	na_setting_drop(NA_OPTION_decay_ms, NA_FROM_LEVEL);
	assert_int_equal(na_options.decay_ms, 5000);
	assert_string_equal(origin(NA_OPTION_decay_ms), "default");
}

static void the_environment_goes_before_all(void **state)
{
	(void)state;
	setenv("NUMARENA_SAMPLING_INTERVAL", "5", 1);
	assert_int_equal(na_options_load(NULL, 0), 0);
	na_setting_put(NA_OPTION_sampling_interval, NA_FROM_PROGRAM, 9);
	assert_int_equal(na_options.sampling_interval, 5);
	assert_string_equal(origin(NA_OPTION_sampling_interval), "environment");
	na_settings_reset();
	assert_int_equal(na_options.sampling_interval, 5);
}

static uint64_t number(enum na_option_id id)
{
	char text[64];
	uint64_t v = 0;

	na_setting_text(id, text, sizeof(text));
	assert_int_equal(na_option_parse(&na_option_table[id], text, &v), 0);
	return v;
}

/* Through all levels of both families in turn: what the table says is in force, and nothing of the level before. */
static void levels_set_what_the_table_says_and_take_it_back(void **state)
{
	uint64_t defaults[NA_OPTION_COUNT_], v;

	(void)state;
	for (int i = 0; i < NA_OPTION_COUNT_; i++)
		defaults[i] = na_option_table[i].kind == NA_KIND_PATH ? 0 : number((enum na_option_id)i);
	for (int step = 0; step < 32; step++) {
		uint64_t memory = (uint64_t)step * 7 % 4, cache = (uint64_t)step / 4 % 4;
		bool set[NA_OPTION_COUNT_] = { false };

		na_setting_put(NA_OPTION_optimization, NA_FROM_PROGRAM, memory);
		na_setting_put(NA_OPTION_cache_optimization, NA_FROM_PROGRAM, cache);
		na_settings_follow_levels();
		for (size_t i = 0; i < na_level_setting_count; i++) {
			const struct na_level_setting *s = &na_level_settings[i];

			if (s->level != (s->family == NA_OPTION_optimization ? memory : cache))
				continue;
			set[s->setting] = true;
			assert_int_equal(na_option_parse(&na_option_table[s->setting], s->value, &v), 0);
			assert_int_equal(number(s->setting), v);
			assert_int_equal(na_setting_source(s->setting), NA_FROM_LEVEL);
			assert_memory_equal(origin(s->setting), "level ", 6);
			assert_string_equal(origin(s->setting) + 6, na_level_name(s->level));
		}
		for (int i = 0; i < NA_OPTION_COUNT_; i++)
			if (!set[i] && i != NA_OPTION_optimization && i != NA_OPTION_cache_optimization &&
			    na_option_table[i].kind != NA_KIND_PATH)
				assert_int_equal(number((enum na_option_id)i), defaults[i]);
	}
	na_settings_reset();
	assert_int_equal(na_options.optimization, 0);
}

static void families_share_no_setting(void **state)
{
	(void)state;
	for (size_t i = 0; i < na_level_setting_count; i++)
		for (size_t j = 0; j < na_level_setting_count; j++)
			if (na_level_settings[i].setting == na_level_settings[j].setting)
				assert_int_equal(na_level_settings[i].family, na_level_settings[j].family);
}

static void values_are_told_as_the_environment_has_them(void **state)
{
	char text[64];

	(void)state;
	na_setting_text(NA_OPTION_defrag_threshold, text, sizeof(text));
	assert_string_equal(text, "0.7");
	na_setting_put(NA_OPTION_defrag_threshold, NA_FROM_PROGRAM, 25);
	na_setting_text(NA_OPTION_defrag_threshold, text, sizeof(text));
	assert_string_equal(text, "0.025");
	na_setting_put(NA_OPTION_defrag_threshold, NA_FROM_PROGRAM, 1000);
	na_setting_text(NA_OPTION_defrag_threshold, text, sizeof(text));
	assert_string_equal(text, "1");
	na_setting_put(NA_OPTION_hugepages, NA_FROM_PROGRAM, NA_PAGES_AUTO);
	na_setting_text(NA_OPTION_hugepages, text, sizeof(text));
	assert_string_equal(text, "auto");
	na_setting_put(NA_OPTION_optimization, NA_FROM_PROGRAM, NA_LEVEL_BALANCED);
	na_setting_text(NA_OPTION_optimization, text, sizeof(text));
	assert_string_equal(text, "balanced");
	na_setting_text(NA_OPTION_report, text, sizeof(text));
	assert_string_equal(text, "");
	na_settings_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program_goes_before_a_level_and_both_before_the_default),
		cmocka_unit_test(levels_set_what_the_table_says_and_take_it_back),
		cmocka_unit_test(families_share_no_setting),
		cmocka_unit_test(values_are_told_as_the_environment_has_them),
		cmocka_unit_test(the_environment_goes_before_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
