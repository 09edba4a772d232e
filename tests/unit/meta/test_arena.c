/* SPDX-License-Identifier: BSD-3-Clause */
#include "meta/arena.h"

#include <string.h>

#include "support/faulty_os.h"
#include "support/unit.h"

static void blocks_are_aligned_apart_and_zero_when_fresh(void **state)
{
	struct na_arena arena = { .node = -1 };
	char *blocks[2000];
	size_t sizes[2000];
	int fresh;

	(void)state;
	for (size_t i = 0; i < 2000; i++) {
		sizes[i] = 1 + i * 37 % 5000;
		blocks[i] = na_arena_take(&arena, sizes[i], &fresh);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % (sizes[i] >= 128 ? 128 : 64), 0);
		assert_true(fresh);
		for (size_t b = 0; b < sizes[i]; b++)
			assert_int_equal(blocks[i][b], 0);
		memset(blocks[i], (int)(i % 100) + 1, sizes[i]);
	}
	for (size_t i = 0; i < 2000; i++)
		for (size_t b = 0; b < sizes[i]; b++)
			assert_int_equal(blocks[i][b], (int)(i % 100) + 1);
	na_arena_release(&arena);
}

static void a_block_given_back_is_taken_again(void **state)
{
	struct na_arena arena = { .node = -1 };
	int fresh;
	void *block = na_arena_take(&arena, 300, NULL);

	(void)state;
	na_arena_give(&arena, block, 300);
	assert_ptr_equal(na_arena_take(&arena, 400, &fresh), block); /* both are 512 */
	assert_false(fresh);
	na_arena_release(&arena);
}

static void without_memory_it_says_so_and_works_again_later(void **state)
{
	struct na_arena arena = { .node = -1 };

	(void)state;
	na_faulty_os_install(1);
	assert_null(na_arena_take(&arena, 64, NULL));
	na_faulty_os_remove();
	assert_non_null(na_arena_take(&arena, 64, NULL));
	assert_null(na_arena_take(&arena, 1 << 20, NULL)); /* more than it serves */
	na_arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_aligned_apart_and_zero_when_fresh),
		cmocka_unit_test(a_block_given_back_is_taken_again),
		cmocka_unit_test(without_memory_it_says_so_and_works_again_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
