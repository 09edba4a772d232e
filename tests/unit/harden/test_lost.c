/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages that the machine has lost, told by made-up signals: who is named, and that nobody gets them again. (tests/guest has real ones.) */
#include "harden/lost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harden/integrity.h"
#include "heap/heap.h"
#include "pool/lost.h"
#include "support/unit.h"

static char said[4096];

/* Loses the page at p; what was said is in `said`. */
static bool lose(void *p)
{
	siginfo_t info = { 0 };
	int pipes[2], saved = dup(STDERR_FILENO);
	ssize_t n;
	bool ours;

	info.si_signo = SIGBUS;
	info.si_code = 5; /* BUS_MCEERR_AO */
	info.si_addr = p;
	info.si_addr_lsb = 12;
	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	ours = na_lost_handle(&info);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipes[1]);
	n = read(pipes[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	close(pipes[0]);
	return ours;
}

static void sound(void)
{
	char first[160];
	size_t found = 1;

	assert_int_equal(na_integrity_validate(&found, first), 0);
	assert_string_equal(first, "");
	assert_int_equal(found, 0);
}

static bool has(const char *text)
{
	return strstr(said, text) != NULL;
}

static void a_small_block_is_named_and_never_used_again(void **state)
{
	static char *others[3000];
	char *p = na_heap_allocate(2000), name[64];

	(void)state;
	for (size_t i = 0; i < 40; i++) /* neighbours on the page */
		others[i] = na_heap_allocate(2000);
	assert_true(lose(p + 100));
	snprintf(name, sizeof(name), "block %p of 2048 bytes", (void *)p);
	assert_true(has(name) && has("has lost its bytes"));
	sound();
	na_heap_release(p);
	for (size_t i = 0; i < 40; i++)
		na_heap_release(others[i]);
	for (size_t i = 0; i < 3000; i++) {
		others[i] = na_heap_allocate(2000);
		assert_false((uintptr_t)others[i] / 4096 == ((uintptr_t)p + 100) / 4096);
	}
	for (size_t i = 0; i < 3000; i++)
		na_heap_release(others[i]);
	sound();
}

static void a_large_block_gets_a_fresh_page_when_it_is_free(void **state)
{
	const size_t sizes[] = { 200000, (size_t)20 << 20 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		unsigned char *p = na_heap_allocate(sizes[i]), *q;
		char name[64];
		size_t page;

		memset(p, 7, sizes[i]);
		assert_true(lose(p + 50000));
		page = (size_t)(((uintptr_t)p + 50000) & ~(uintptr_t)4095) - (uintptr_t)p;
		snprintf(name, sizeof(name), "bytes %zu to %zu", page, page + 4095);
		assert_true(has(name));
		assert_true(na_lost_in((uintptr_t)p, sizes[i]));
		na_heap_release(p);
		assert_false(na_lost_in((uintptr_t)p, sizes[i]));
		q = na_heap_allocate(sizes[i]);
		if (q == p) {
			assert_int_equal(p[page], 0); /* fresh */
			assert_int_equal(p[0], 7);    /* kept for reuse as it was */
		}
		na_heap_release(q);
		sound();
	}
}

static void free_memory_is_replaced_and_nothing_is_lost(void **state)
{
	unsigned char *p = na_heap_allocate(100000);

	(void)state;
	memset(p, 7, 100000);
	na_heap_release(p);
	assert_true(lose(p + 8192));
	assert_true(has("nothing is lost"));
	sound(); /* which settles it */
	assert_false(na_lost_in((uintptr_t)p, 100000));
}

static void what_is_not_ours_is_left_to_others(void **state)
{
	int local;

	(void)state;
	assert_false(lose(&local));
	assert_string_equal(said, "");
}

static void a_named_pools_block_is_named_with_its_pool(void **state)
{
	struct na_named *n;
	char *p;

	(void)state;
	assert_int_equal(na_named_create("fields", -1, 0, 16, &n), 0);
	p = na_named_allocate(n, 4096);
	assert_true(lose(p));
	assert_true(has("of pool fields"));
	na_heap_release(p);
	for (int i = 0; i < 100; i++)
		assert_ptr_not_equal(na_named_allocate(n, 4096), p);
	sound();
	na_named_destroy(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_block_is_named_and_never_used_again),
		cmocka_unit_test(a_large_block_gets_a_fresh_page_when_it_is_free),
		cmocka_unit_test(free_memory_is_replaced_and_nothing_is_lost),
		cmocka_unit_test(what_is_not_ours_is_left_to_others),
		cmocka_unit_test(a_named_pools_block_is_named_with_its_pool),
	};

	setenv("NUMARENA_BACKGROUND", "0", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
