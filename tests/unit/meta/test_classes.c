/* SPDX-License-Identifier: BSD-3-Clause */
#include "meta/classes.h"

#include "support/unit.h"

static void every_size_gets_the_smallest_class_that_holds_it(void **state)
{
	(void)state;
	for (size_t size = 0; size <= NA_SMALL_MAX; size++) {
		unsigned int cls = na_class_of(size);

		assert_in_range(cls, 0, NA_CLASSES - 1);
		assert_true(na_class_size(cls) >= size);
		if (cls > 0)
			assert_true(na_class_size(cls - 1) < size);
	}
}

static void waste_is_at_most_an_eighth_above_128_bytes(void **state)
{
	(void)state;
	for (size_t size = 129; size <= NA_SMALL_MAX; size++) {
		size_t given = na_class_size(na_class_of(size));

		assert_true((given - size) * 8 <= given);
	}
}

static void sizes_are_multiples_of_sixteen_and_ascend(void **state)
{
	(void)state;
	for (unsigned int cls = 0; cls < NA_CLASSES; cls++) {
		assert_int_equal(na_class_size(cls) % 16, 0);
		if (cls)
			assert_true(na_class_size(cls) > na_class_size(cls - 1));
	}
	assert_int_equal(na_class_size(NA_CLASSES - 1), NA_SMALL_MAX);
}

static void aligned_classes_hold_and_align(void **state)
{
	(void)state;
	for (size_t alignment = 16; alignment <= 4096; alignment *= 2)
		for (size_t size = 0; size <= NA_SMALL_MAX; size += size < 2048 ? 1 : 97) {
			unsigned int cls = na_class_aligned(size, alignment);

			assert_in_range(cls, 0, NA_CLASSES - 1);
			assert_true(na_class_size(cls) >= size);
			assert_int_equal(na_class_size(cls) % alignment, 0);
		}
}

static void the_reciprocal_gives_the_slot_of_every_address_in_a_slice(void **state)
{
	(void)state;
	for (unsigned int cls = 0; cls < NA_CLASSES; cls++) {
		uint64_t size = na_class_size(cls), reciprocal = (UINT64_C(0x100000000) + size - 1) / size;

		for (uint64_t offset = 0; offset < 65536; offset++)
			assert_int_equal(offset * reciprocal >> 32, offset / size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_gets_the_smallest_class_that_holds_it),
		cmocka_unit_test(waste_is_at_most_an_eighth_above_128_bytes),
		cmocka_unit_test(sizes_are_multiples_of_sixteen_and_ascend),
		cmocka_unit_test(aligned_classes_hold_and_align),
		cmocka_unit_test(the_reciprocal_gives_the_slot_of_every_address_in_a_slice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
