/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "heap/snapshot.h"
#include "support/faulty_os.h"
#include "support/unit.h"

static void resizing_keeps_contents_over_every_path(void **state)
{
	const size_t sizes[] = { 1,	  20,	   100,	    1000,     30000,	40000,	  200000,
				 5000000, 8388608, 9000000, 70000000, 20000000, 8000000, 3000, 10 };
	unsigned char *p = na_heap_allocate(1);
	size_t old = 1;

	(void)state;
	p[0] = 0;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i];

		p = na_heap_resize(p, size);
		assert_non_null(p);
		for (size_t b = 0; b < old && b < size; b += b < 64 ? 1 : 509)
			assert_int_equal(p[b], (unsigned char)(b * 7));
		for (size_t b = 0; b < size; b++)
			p[b] = (unsigned char)(b * 7);
		old = size;
	}
	na_heap_release(p);
}

static void impossible_sizes_are_enomem_and_keep_the_block(void **state)
{
	char *p = na_heap_allocate(100);

	(void)state;
	p[99] = 3;
	errno = 0;
	assert_null(na_heap_allocate(SIZE_MAX));
	assert_int_equal(errno, ENOMEM);
	assert_null(na_heap_allocate(SIZE_MAX - 15));
	assert_null(na_heap_allocate((size_t)PTRDIFF_MAX + 1));
	assert_null(na_heap_resize(p, SIZE_MAX - 64));
	assert_int_equal(p[99], 3);
	assert_null(na_heap_allocate_aligned(4096, SIZE_MAX - 100, false));
	na_heap_release(p);
}

static void finding_tells_start_size_and_life(void **state)
{
	const size_t sizes[] = { 10, 500, 32768, 40000, 3000000, 20000000 };
	struct na_block found;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *p = na_heap_allocate(sizes[i]);

		assert_true(na_heap_find(p, &found) && found.live);
		assert_ptr_equal((void *)found.start, p);
		assert_true(found.size >= sizes[i]);
		assert_true(na_heap_find(p + sizes[i] - 1, &found) && found.live);
		assert_ptr_equal((void *)found.start, p);
		na_heap_release(p);
		assert_false(na_heap_find(p, &found) && found.live);
	}
	assert_false(na_heap_find(&found, &found));
}

static void zeroed_blocks_are_zero_even_when_reused(void **state)
{
	(void)state;
	for (size_t size = 8; size < (size_t)40 << 20; size = size * 5 / 2) {
		unsigned char *p = na_heap_allocate(size);

		memset(p, 0xaa, size);
		na_heap_release(p);
		p = na_heap_allocate_zeroed(size);
		for (size_t b = 0; b < size; b++)
			assert_int_equal(p[b], 0);
		na_heap_release(p);
	}
}

static void a_named_pool_counts_exactly_resets_and_comes_again(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		struct na_named_figures f;
		struct na_named *named;
		void *p[1000];

		assert_int_equal(na_named_create("cells", -1, 0, 64, &named), 0);
		for (int i = 0; i < 1000; i++) {
			p[i] = na_named_allocate(named, 100);
			assert_int_equal((uintptr_t)p[i] % 64, 0);
		}
		na_named_figures(named, &f);
		assert_int_equal(f.live, 128 * 1000);
		assert_int_equal(f.allocations, 1000);
		for (int i = 0; i < 500; i++)
			na_heap_release(p[i]);
		na_named_figures(named, &f);
		assert_int_equal(f.live, 128 * 500);
		assert_int_equal(f.peak, 128 * 1000);
		assert_int_equal(f.releases, 500);
		na_named_reset(named);
		na_named_figures(named, &f);
		assert_int_equal(f.live, 0);
		assert_int_equal(f.held, 0);
		assert_int_equal(f.releases, 1000);
		assert_non_null(na_named_allocate(named, 20 << 20));
		na_named_destroy(named);
		assert_false(na_named_valid(named));
	}
}

/* Whatever call of the system fails, an allocation gives a good block or ENOMEM, and the heap goes on. */
static void every_failing_system_call_is_survived(void **state)
{
	long nth = 0, calls;

	(void)state;
	do {
		char *p[40];
		size_t size[40];

		na_heap_flush();
		na_faulty_os_install(++nth);
		for (size_t i = 0; i < 40; i++) {
			size[i] = i < 36 ? (size_t)1 << (i % 18) : (size_t)12 << 20;
			p[i] = na_heap_allocate(size[i]);
			if (p[i])
				memset(p[i], (int)i, size[i]);
			else
				assert_int_equal(errno, ENOMEM);
		}
		for (size_t i = 0; i < 40; i++)
			if (p[i]) {
				char *q = na_heap_resize(p[i], size[i] * 3);

				assert_int_equal((q ? q : p[i])[size[i] - 1], (char)i);
				p[i] = q ? q : p[i];
			}
		calls = na_faulty_os_remove();
		for (size_t i = 0; i < 40; i++)
			na_heap_release(p[i]);
	} while (nth <= calls);
	assert_true(nth > 5);
}

static int quiet(void **state)
{
	(void)state;
	na_pools_boot();
	na_options.verbose = 0;
	na_options.background = 0;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resizing_keeps_contents_over_every_path),
		cmocka_unit_test(impossible_sizes_are_enomem_and_keep_the_block),
		cmocka_unit_test(finding_tells_start_size_and_life),
		cmocka_unit_test(zeroed_blocks_are_zero_even_when_reused),
		cmocka_unit_test(a_named_pool_counts_exactly_resets_and_comes_again),
		cmocka_unit_test(every_failing_system_call_is_survived),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
