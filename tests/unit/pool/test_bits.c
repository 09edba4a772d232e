/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/bits.h"

#include <stdlib.h>
#include <string.h>

#include "support/unit.h"

/* The same by the book: every place, one by one. */
static int slow_low(const uint64_t *map, uint32_t count, uint32_t align)
{
	for (uint32_t at = 0; at + count <= NA_SLICES; at += align)
		if (na_bits_count(map, at, count) == count)
			return (int)at;
	return -1;
}

static void random_map(uint64_t *map, unsigned int *seed)
{
	memset(map, 0, NA_SLICE_WORDS * 8);
	for (int runs = rand_r(seed) % 20; runs >= 0; runs--) {
		uint32_t at = (uint32_t)rand_r(seed) % NA_SLICES, n = (uint32_t)rand_r(seed) % 90 + 1;

		na_bits_put(map, at, at + n > NA_SLICES ? NA_SLICES - at : n, rand_r(seed) % 4 != 0);
	}
}

static void the_low_search_finds_the_lowest_place(void **state)
{
	uint64_t map[NA_SLICE_WORDS];
	unsigned int seed = 1;
	uint32_t longest;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		uint32_t count = (uint32_t)rand_r(&seed) % 128 + 1, align = 1u << rand_r(&seed) % 6;

		random_map(map, &seed);
		assert_int_equal(na_bits_find(map, count, align, true, &longest), slow_low(map, count, align));
	}
}

static void the_high_search_fits_whenever_there_is_a_fit_and_best(void **state)
{
	uint64_t map[NA_SLICE_WORDS];
	unsigned int seed = 2;
	uint32_t longest;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		uint32_t count = (uint32_t)rand_r(&seed) % 128 + 1, align = 1u << rand_r(&seed) % 6;
		int at;

		random_map(map, &seed);
		at = na_bits_find(map, count, align, false, &longest);
		if (at < 0) {
			assert_int_equal(slow_low(map, count, align), -1);
			continue;
		}
		assert_int_equal((uint32_t)at % align, 0);
		assert_int_equal(na_bits_count(map, (uint32_t)at, count), count);
	}
}

static void full_and_empty_maps_are_no_special_case(void **state)
{
	uint64_t map[NA_SLICE_WORDS];
	uint32_t longest;

	(void)state;
	memset(map, 0xff, sizeof(map));
	assert_int_equal(na_bits_find(map, NA_SLICES, 1, true, &longest), 0);
	assert_int_equal(longest, NA_SLICES);
	assert_int_equal(na_bits_find(map, 1, 1, false, &longest), NA_SLICES - 1);
	memset(map, 0, sizeof(map));
	assert_int_equal(na_bits_find(map, 1, 1, true, &longest), -1);
	assert_int_equal(longest, 0);
	na_bits_put(map, 63, 2, true);
	assert_int_equal(na_bits_find(map, 2, 1, false, &longest), 63);
	assert_int_equal(map[0] >> 63, 1);
	assert_int_equal(map[1], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_low_search_finds_the_lowest_place),
		cmocka_unit_test(the_high_search_fits_whenever_there_is_a_fit_and_best),
		cmocka_unit_test(full_and_empty_maps_are_no_special_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
