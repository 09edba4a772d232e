/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/mask.h"

#include <stdlib.h>

#include "support/unit.h"

static void both_forms_agree_with_the_bytes(void **state)
{
	_Alignas(64) uint8_t bytes[64];
	unsigned int seed = 3;

	(void)state;
	for (int round = 0; round < 10000; round++) {
		uint64_t expected = 0;

		for (unsigned int i = 0; i < 64; i++) {
			bytes[i] = rand_r(&seed) & 4 ? (rand_r(&seed) & 4 ? 0xff : 1) : 0;
			expected |= (uint64_t)(bytes[i] == 0) << i;
		}
		assert_true(na_mask_free(bytes) == expected);
		assert_true(na_mask_portable(bytes) == expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(both_forms_agree_with_the_bytes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
