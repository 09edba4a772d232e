/* SPDX-License-Identifier: BSD-3-Clause */
/* src/topology/bitset.h: sets of more than one word, and the kernel's list format. */
#include "support/unit.h"

#include <errno.h>

#include "topology/bitset.h"

#define SLOTS 1024

static void a_set_has_as_many_words_as_its_highest_number_needs(void **state)
{
	(void)state;
	assert_int_equal(na_bitset_words(0), 0);
	assert_int_equal(na_bitset_words(1), 1);
	assert_int_equal(na_bitset_words(64), 1);
	assert_int_equal(na_bitset_words(65), 2);
	assert_int_equal(na_bitset_words(1024), 16);
}

static void numbers_past_the_set_are_neither_added_nor_found(void **state)
{
	unsigned long words[2] = { 0, 0 };

	(void)state;
	na_bitset_add(words, 64, 64);
	na_bitset_add(words, 64, 63);
	assert_true(words[0] == 1ul << 63);
	assert_true(words[1] == 0);
	assert_true(na_bitset_has(words, 64, 63));
	words[1] = ~0ul;
	assert_false(na_bitset_has(words, 64, 64));
	assert_int_equal(na_bitset_count(words, 64), 1);
}

static void lists_of_the_kernel_are_read(void **state)
{
	unsigned long words[SLOTS / NA_BITSET_BITS] = { 0 };
	int highest = -2;

	(void)state;
	assert_int_equal(na_bitset_read_list("\t0-3,8,64-66,1023\n", words, SLOTS, &highest), 0);
	assert_int_equal(highest, 1023);
	assert_int_equal(na_bitset_count(words, SLOTS), 9);
	assert_true(words[0] == 0x10f);
	assert_true(words[1] == 7);
	assert_true(words[15] == 1ul << 63);
}

static void the_empty_list_is_the_empty_set(void **state)
{
	int highest = 5;

	(void)state;
	assert_int_equal(na_bitset_read_list("\n", NULL, 0, &highest), 0);
	assert_int_equal(highest, -1);
	assert_int_equal(na_bitset_read_list("", NULL, 0, &highest), 0);
	assert_int_equal(highest, -1);
}

static void a_list_without_a_set_tells_its_highest(void **state)
{
	int highest = -1;

	(void)state;
	assert_int_equal(na_bitset_read_list("0-127", NULL, 0, &highest), 0);
	assert_int_equal(highest, 127);
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *const wrong[] = { "a",   "1-",	   "-1",      "3-1", "1,,2",
					     "1;2", "99999999999", "0-65536", "1 2", "0x3" };
	unsigned long words[SLOTS / NA_BITSET_BITS] = { 0 };
	int highest;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (na_bitset_read_list(wrong[i], words, SLOTS, &highest) != -EINVAL)
			fail_msg("accepted \"%s\"", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_has_as_many_words_as_its_highest_number_needs),
		cmocka_unit_test(numbers_past_the_set_are_neither_added_nor_found),
		cmocka_unit_test(lists_of_the_kernel_are_read),
		cmocka_unit_test(the_empty_list_is_the_empty_set),
		cmocka_unit_test(a_list_without_a_set_tells_its_highest),
		cmocka_unit_test(what_is_no_list_is_refused),
	};

	return cmocka_run_group_tests_name("topology/bitset", tests, NULL, NULL);
}
