/* SPDX-License-Identifier: BSD-3-Clause */
/* The default limit is asked of the system when a process holds enough for it to matter, and not before. */
#include "support/unit.h"

#include <stdlib.h>

#include "os/os.h"
#include "pool/nodes.h"

static void small_processes_do_not_ask(void **state)
{
	struct na_pool *pool = &na_pools[0];

	(void)state;
	na_pools_boot();
	assert_int_equal(atomic_load(&na_pool_limit), NA_POOL_UNASKED);
	assert_true(na_pool_charge(pool, 8 << 20, 8 << 20));
	assert_true(na_pool_charge(pool, 8 << 20, 8 << 20));
	assert_int_equal(atomic_load(&na_pool_limit), NA_POOL_UNASKED);
	assert_true(na_pool_charge(pool, 8 << 20, 8 << 20));
	assert_int_equal(atomic_load(&na_pool_limit), na_os_memory_limit());
	assert_int_equal(atomic_load(&na_pool_held), 24 << 20);
}

static void what_is_past_the_machine_is_refused(void **state)
{
	struct na_pool *pool = &na_pools[0];
	uint64_t limit = na_os_memory_limit();

	(void)state;
	atomic_store(&na_pool_limit, NA_POOL_UNASKED);
	atomic_store(&na_pool_held, 0);
	assert_true(limit > NA_POOL_UNASKED && limit < UINT64_MAX);
	assert_false(na_pool_charge(pool, limit + 1, 0));
	assert_int_equal(atomic_load(&na_pool_limit), limit);
	assert_int_equal(atomic_load(&na_pool_held), 0);
}

static void a_limit_that_was_set_is_not_asked_for(void **state)
{
	struct na_pool *pool = &na_pools[0];

	(void)state;
	atomic_store(&na_pool_limit, 20 << 20);
	assert_true(na_pool_charge(pool, 20 << 20, 0));
	assert_false(na_pool_charge(pool, 1, 0));
	assert_int_equal(na_pool_ask_limit(), 20 << 20);
	atomic_store(&na_pool_held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_processes_do_not_ask), /* first: it looks at what boot left */
		cmocka_unit_test(what_is_past_the_machine_is_refused),
		cmocka_unit_test(a_limit_that_was_set_is_not_asked_for),
	};

	unsetenv("NUMARENA_TOTAL_SIZE");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
