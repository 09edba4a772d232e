/* SPDX-License-Identifier: BSD-3-Clause */
/* src/base/options.h: every kind of value, its limits, and what a wrong environment leads to. */
#include "support/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"

/* An option of a kind, with limits that the test chooses. */
static struct na_option_info option(enum na_option_kind kind, uint64_t least, uint64_t most)
{
	return (struct na_option_info){ .env = "NUMARENA_TEST", .kind = kind, .least = least, .most = most };
}

struct pair {
	const char *text;
	uint64_t value;
};

static void accept(const struct na_option_info *info, const struct pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = ~pairs[i].value;

		if (na_option_parse(info, pairs[i].text, &value) != 0 || value != pairs[i].value)
			fail_msg("\"%s\" gives %llu", pairs[i].text, (unsigned long long)value);
	}
}

static void refuse(const struct na_option_info *info, const char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 4711;

		if (na_option_parse(info, texts[i], &value) != -EINVAL)
			fail_msg("\"%s\" is accepted", texts[i]);
		assert_true(value == 4711); /* untouched */
	}
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void sizes_have_units_of_1024(void **state)
{
	static const struct pair right[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "4096", 4096 },
		{ "1k", 1024 },
		{ "1K", 1024 },
		{ "2KB", 2048 },
		{ "2KiB", 2048 },
		{ "3M", 3145728 },
		{ "8g", UINT64_C(8589934592) },
		{ "1T", UINT64_C(1099511627776) },
		{ "16777215T", UINT64_C(16777215) << 40 },
		{ "18446744073709551615", UINT64_MAX },
	};
	static const char *const wrong[] = { "",    " 1",   "1 ",  "-1",   "+1", "1.5G", "K",	   "1X",
					     "1KK", "1kib", "1Ki", "0x10", "1e3", "1P",
					     "16777216T", "18446744073709551616" };
	struct na_option_info info = option(NA_KIND_SIZE, 0, UINT64_MAX);

	(void)state;
	accept(&info, right, COUNT(right));
	refuse(&info, wrong, COUNT(wrong));
}

static void counts_are_whole_numbers_without_units(void **state)
{
	static const struct pair right[] = { { "0", 0 }, { "007", 7 }, { "18446744073709551615", UINT64_MAX } };
	static const char *const wrong[] = { "", "-1", "+1", "1K", "1.0", "one", "1 ", " 1", "18446744073709551616",
					     "99999999999999999999999999999999" };
	struct na_option_info info = option(NA_KIND_COUNT, 0, UINT64_MAX);

	(void)state;
	accept(&info, right, COUNT(right));
	refuse(&info, wrong, COUNT(wrong));
}

static void ratios_are_read_in_thousandths(void **state)
{
	static const struct pair right[] = { { "0", 0 },	     { "0.7", 700 },  { ".5", 500 },
					     { "1", 1000 },  { "1.0", 1000 }, { "0.125", 125 },
					     { "0.001", 1 }, { "0.0019", 1 }, { "00.25", 250 } };
	static const char *const wrong[] = { "", ".", "0.", "-0.5", "1.001", "1.0001", "1.0009", "2", "0,5", "50%", "1e-1", "0.5 ", "nan",
					     "18446744073709551616", "18446744073709552" };
	struct na_option_info info = option(NA_KIND_RATIO, 0, 1000);

	(void)state;
	accept(&info, right, COUNT(right));
	refuse(&info, wrong, COUNT(wrong));
}

static void switches_have_eight_words(void **state)
{
	static const struct pair right[] = { { "0", 0 },  { "off", 0 }, { "no", 0 },  { "false", 0 },
					     { "1", 1 },  { "on", 1 },	{ "yes", 1 }, { "true", 1 } };
	static const char *const wrong[] = { "", "2", "ON", "y", "enabled", "01", "on ", "-1" };
	struct na_option_info info = option(NA_KIND_SWITCH, 0, 1);

	(void)state;
	accept(&info, right, COUNT(right));
	refuse(&info, wrong, COUNT(wrong));
}

static void pages_are_a_switch_and_more(void **state)
{
	static const struct pair right[] = { { "0", 0 },    { "off", 0 },  { "1", NA_PAGES_TRANSPARENT },
					     { "on", 1 },   { "thp", 1 },  { "auto", NA_PAGES_AUTO },
					     { "hugetlb", NA_PAGES_HUGETLB } };
	static const char *const wrong[] = { "", "2", "3", "huge", "AUTO", "hugetlb " };
	struct na_option_info info = option(NA_KIND_PAGES, 0, 3);

	(void)state;
	accept(&info, right, COUNT(right));
	refuse(&info, wrong, COUNT(wrong));
}

static void levels_have_names_and_numbers(void **state)
{
	static const struct pair right[] = { { "none", NA_LEVEL_NONE },		{ "conservative", NA_LEVEL_CONSERVATIVE },
					     { "balanced", NA_LEVEL_BALANCED }, { "aggressive", NA_LEVEL_AGGRESSIVE },
					     { "0", 0 },			{ "3", 3 } };
	static const char *const wrong[] = { "", "4", "-1", "Balanced", "aggressive ", "1x" };
	struct na_option_info info = option(NA_KIND_LEVEL, 0, 3);

	(void)state;
	accept(&info, right, COUNT(right));
	refuse(&info, wrong, COUNT(wrong));
}

static void limits_belong_to_what_is_allowed(void **state)
{
	struct na_option_info info = option(NA_KIND_COUNT, 5, 10);
	static const struct pair inside[] = { { "5", 5 }, { "10", 10 } };
	static const char *const outside[] = { "4", "11", "0" };

	(void)state;
	accept(&info, inside, COUNT(inside));
	refuse(&info, outside, COUNT(outside));
	info = option(NA_KIND_RATIO, 1, 1000);
	refuse(&info, (const char *const[]){ "0", "0.0", "0.0009" }, 3);
}

static void every_path_is_accepted(void **state)
{
	struct na_option_info info = option(NA_KIND_PATH, 0, 0);
	uint64_t value = 0;

	(void)state;
	assert_int_equal(na_option_parse(&info, "", &value), 0);
	assert_int_equal(na_option_parse(&info, "/a folder/with spaces=", &value), 0);
}

/* ---- the table ---- */

static void every_default_is_within_its_own_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < NA_OPTION_COUNT_; i++) {
		const struct na_option_info *info = &na_option_table[i];
		uint64_t value;

		assert_int_equal(strncmp(info->env, "NUMARENA_", 9), 0);
		assert_true(*info->text && *info->id);
		assert_true(info->least <= info->most);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(info->env, na_option_table[k].env);
		if (info->kind == NA_KIND_PATH)
			continue;
		/* Ratios show their default in thousandths. */
		value = strtoull(info->def, NULL, 10);
		if (value < info->least || value > info->most)
			fail_msg("default of %s", info->env);
	}
}

/* ---- the environment ---- */

static struct na_options defaults;

static void clear_environment(void)
{
	for (char **e = environ; e && *e;) {
		char name[128];

		if (strncmp(*e, "NUMARENA_", 9) != 0) {
			e++;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(*e, "="), *e);
		unsetenv(name);
	}
}

static int enter(void **state)
{
	(void)state;
	clear_environment();
	na_options = defaults;
	return 0;
}

static int leave(void **state)
{
	return enter(state);
}

static void an_empty_environment_changes_nothing(void **state)
{
	char complaint[256] = "untouched", **saved = environ;

	(void)state;
	assert_int_equal(na_options_load(complaint, sizeof(complaint)), 0);
	assert_string_equal(complaint, "untouched");
	assert_memory_equal(&na_options, &defaults, sizeof(defaults));
	environ = NULL;
	assert_int_equal(na_options_load(complaint, sizeof(complaint)), 0);
	environ = saved;
}

/* Sets each option to its greatest value (a power of two where it must be one), and finds it there and nowhere else. */
static void every_variable_sets_its_own_field(void **state)
{
	char text[32];

	(void)state;
#define NA_VALUE_PATH(id, most) assert_string_equal(na_options.id, "/some/where")
#define NA_VALUE_NUMBER(id, most) assert_true(na_options.id == (most))
#define NA_VALUE_SIZE NA_VALUE_NUMBER
#define NA_VALUE_COUNT NA_VALUE_NUMBER
#define NA_VALUE_RATIO NA_VALUE_NUMBER
#define NA_VALUE_SWITCH NA_VALUE_NUMBER
#define NA_VALUE_PAGES  NA_VALUE_NUMBER
#define NA_VALUE_LEVEL  NA_VALUE_NUMBER
#define NA_VALUE_FALLBACK NA_VALUE_NUMBER
#define NA_VALUE_KERNELS NA_VALUE_NUMBER
#define NA_VALUE_CONCURRENT NA_VALUE_NUMBER
#define NA_OPTION(id, name, kind, def, least, most, about)                                        \
	enter(state);                                                                             \
	assert_false(na_option_from_environment(NA_OPTION_##id));                                 \
	if (NA_KIND_##kind == NA_KIND_RATIO)                                                      \
		snprintf(text, sizeof(text), "%u.%03u", (unsigned int)(most) / 1000, (unsigned int)(most) % 1000); \
	else if (NA_KIND_##kind == NA_KIND_PAGES)                                                 \
		snprintf(text, sizeof(text), "%s", na_pages_name(most));                          \
	else if (NA_KIND_##kind == NA_KIND_FALLBACK)                                              \
		snprintf(text, sizeof(text), "%s", na_fallback_name(most));                       \
	else if (NA_KIND_##kind == NA_KIND_KERNELS)                                               \
		snprintf(text, sizeof(text), "%s", na_kernels_name(most));                        \
	else if (NA_KIND_##kind == NA_KIND_CONCURRENT)                                            \
		snprintf(text, sizeof(text), "%s", na_concurrent_name(most));                     \
	else                                                                                      \
		snprintf(text, sizeof(text), "%llu", (unsigned long long)(most));                 \
	setenv(name, NA_KIND_##kind == NA_KIND_PATH ? "/some/where" : text, 1);                   \
	assert_int_equal(na_options_load(NULL, 0), 0);                                            \
	NA_VALUE_##kind(id, most);                                                                \
	assert_true(na_option_from_environment(NA_OPTION_##id));                                  \
	na_options.id = defaults.id;                                                              \
	assert_memory_equal(&na_options, &defaults, sizeof(defaults));
#include "base/options.def"
#undef NA_OPTION
}

/* Loads with one wrong variable: the sentence names it, its value, and what is allowed. */
static void complain(const char *name, const char *value, const char *allowed)
{
	char complaint[512] = "", start[128];

	enter(NULL);
	setenv(name, value, 1);
	assert_int_equal(na_options_load(complaint, sizeof(complaint)), -EINVAL);
	snprintf(start, sizeof(start), "%s=%s: ", name, value);
	if (strncmp(complaint, start, strlen(start)) != 0 || !strstr(complaint, allowed))
		fail_msg("\"%s\" neither begins with \"%s\" nor says \"%s\"", complaint, start, allowed);
	assert_memory_equal(&na_options, &defaults, sizeof(defaults));
	assert_int_equal(na_options_load(NULL, 0), -EINVAL);
}

static void a_wrong_value_is_named_with_what_is_allowed(void **state)
{
	(void)state;
	complain("NUMARENA_BLOCK_SIZE", "1", "from 4096 to 33554432");
	complain("NUMARENA_BLOCK_SIZE", "5000", "a power of two");
	complain("NUMARENA_BLOCK_SIZE", "64M", "K, M, G or T");
	complain("NUMARENA_ALIGNMENT", "48", "a power of two");
	complain("NUMARENA_ALIGNMENT", "", "from 16 to 4096");
	complain("NUMARENA_DECAY_MS", "-1", "from 0 to 3600000");
	complain("NUMARENA_DEFRAG_THRESHOLD", "1.5", "a fraction");
	complain("NUMARENA_HUGEPAGES", "maybe", "0 or 1");
	complain("NUMARENA_VERBOSE", "4", "from 0 to 3");
	complain("NUMARENA_OPTIMIZATION", "fast", "none, conservative, balanced or aggressive");
	complain("NUMARENA_CACHE_LINE_SIZE", "48", "a power of two");
	complain("NUMARENA_CACHE_LINE_SIZE", "8", "from 16");
}

static void the_first_complaint_stays_and_the_other_variables_count(void **state)
{
	static char *mixed[] = { "NUMARENA_VERBOSE=9",  "NUMARENA_DECAY_MS=17", "PATH=/nowhere",
				 "NUMARENA_ALIGNMENT=3", "NUMARENA_REPORT=",	 NULL };
	char complaint[256] = "", **saved = environ;
	int rc;

	(void)state;
	environ = mixed;
	rc = na_options_load(complaint, sizeof(complaint));
	environ = saved;
	assert_int_equal(rc, -EINVAL);
	assert_int_equal(strncmp(complaint, "NUMARENA_VERBOSE=9: ", 20), 0);
	assert_true(na_options.decay_ms == 17);
	assert_true(na_options.verbose == defaults.verbose);
	assert_true(na_options.alignment == defaults.alignment);
	assert_string_equal(na_options.report, "");
}

static void a_complaint_too_long_is_cut(void **state)
{
	char complaint[24], value[4000];

	(void)state;
	memset(value, '9', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	setenv("NUMARENA_DECAY_MS", value, 1);
	assert_int_equal(na_options_load(complaint, sizeof(complaint)), -EINVAL);
	assert_string_equal(complaint, "NUMARENA_DECAY_MS=99999");
}

static void an_unknown_variable_is_told_apart(void **state)
{
	static char *misspelt[] = { "NUMARENA_ALIGNMENTS=64", "NUMARENAX=1", "NUMARENA_DECAY_MS=3", NULL };
	static char *odd[] = { "NUMARENA_=1", "NUMARENA_VERBOSE", "=", "", NULL };
	char **saved = environ;
	const char *unknown;
	int rc;

	(void)state;
	assert_null(na_options_unknown());
	environ = misspelt;
	rc = na_options_load(NULL, 0);
	unknown = na_options_unknown();
	environ = saved;
	assert_int_equal(rc, 0);
	assert_string_equal(unknown, "NUMARENA_ALIGNMENTS=64");
	assert_true(na_options.decay_ms == 3);
	assert_true(na_options.alignment == defaults.alignment);
	environ = odd; /* without an equals sign it is no variable at all */
	rc = na_options_load(NULL, 0);
	environ = saved;
	assert_int_equal(rc, 0);
	assert_true(na_options.verbose == defaults.verbose);
}

int main(void)
{
#define LOAD_TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_have_units_of_1024),
		cmocka_unit_test(counts_are_whole_numbers_without_units),
		cmocka_unit_test(ratios_are_read_in_thousandths),
		cmocka_unit_test(switches_have_eight_words),
		cmocka_unit_test(pages_are_a_switch_and_more),
		cmocka_unit_test(levels_have_names_and_numbers),
		cmocka_unit_test(limits_belong_to_what_is_allowed),
		cmocka_unit_test(every_path_is_accepted),
		cmocka_unit_test(every_default_is_within_its_own_limits),
		LOAD_TEST(an_empty_environment_changes_nothing),
		LOAD_TEST(every_variable_sets_its_own_field), /* before others set any: that is remembered */
		LOAD_TEST(an_unknown_variable_is_told_apart),
		LOAD_TEST(a_wrong_value_is_named_with_what_is_allowed),
		LOAD_TEST(the_first_complaint_stays_and_the_other_variables_count),
		LOAD_TEST(a_complaint_too_long_is_cut),
	};

	clear_environment();
	defaults = na_options;
	return cmocka_run_group_tests_name("base/options", tests, NULL, NULL);
}
