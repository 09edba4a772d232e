/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/pressure.h"

#include <errno.h>
#include <stdio.h>

#include "base/options.h"
#include "heap/heap.h"
#include "os/limit.h"
#include "support/unit.h"

#include "support/files.h"

#define MIB (1ULL << 20)

static uint64_t now_ms = 1000000; /* the clock of na_pressure_tick() is its caller's */

static uint64_t kept(void)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < na_pool_count; i++)
		bytes += na_pools[i].dirty_slices * NA_SLICE + na_pools[i].huge_kept_bytes;
	return bytes;
}

static void group(uint64_t limit, uint64_t used)
{
	files_put("/proc/self/cgroup", "0::/job\n");
	files_put("/sys/fs/cgroup/job/memory.stat", "inactive_file 0\n");
	files_put("/sys/fs/cgroup/job/memory.high", "max\n");
	files_put_number("/sys/fs/cgroup/job/memory.max", limit);
	files_put_number("/sys/fs/cgroup/job/memory.current", used);
}

static void keep_some(void)
{
	void *run = na_heap_allocate(4 * MIB), *huge = na_heap_allocate(20 * MIB);

	na_heap_release(run);
	na_heap_release(huge);
	assert_true(kept() >= 24 * MIB);
}

static void tick(void)
{
	na_pressure_tick(now_ms += 1000);
}

static int begin(void **state)
{
	(void)state;
	files_begin();
	files_put_machine(8000 * 1024, 7000 * 1024);
	group(1000 * MIB, 100 * MIB);
	na_pressure_follow(true);
	tick();
	return 0;
}

static int end(void **state)
{
	(void)state;
	files_end();
	na_heap_flush();
	return 0;
}

/* Less what others of the group use, and a 64th. */
static uint64_t share(uint64_t limit, uint64_t used)
{
	uint64_t held = atomic_load(&na_pool_held);

	return limit - (used > held ? used - held : 0) - limit / 64;
}

static void the_limit_follows_the_cgroups_unless_it_was_wished(void **state)
{
	(void)state;
	group(700 * MIB, 100 * MIB);
	tick();
	assert_int_equal(atomic_load(&na_pool_limit), share(700 * MIB, 100 * MIB));
	na_pressure_follow(false);
	group(900 * MIB, 100 * MIB);
	tick();
	assert_int_equal(atomic_load(&na_pool_limit), share(700 * MIB, 100 * MIB));
	na_pressure_follow(true);
	group(64ULL << 40, 100 * MIB); /* more than the machine has */
	tick();
	assert_int_equal(atomic_load(&na_pool_limit), 8000 * MIB);
}

static void free_memory_goes_back_near_the_limit(void **state)
{
	(void)state;
	keep_some();
	tick();
	assert_true(kept() >= 24 * MIB); /* far from it */
	assert_false(na_pressure_high());
	group(1000 * MIB, 910 * MIB);
	na_pressure_tick(now_ms + 10); /* not asked again so soon */
	assert_true(kept() >= 24 * MIB);
	tick();
	assert_true(na_pressure_high());
	assert_int_equal(kept(), 0);
	group(1000 * MIB, 300 * MIB);
	tick();
	assert_false(na_pressure_high());
}

/* Without waiting for the thread's next look. */
static void an_allocation_that_comes_near_the_limit_purges_first(void **state)
{
	void *p;

	(void)state;
	tick();
	keep_some();
	group(1000 * MIB, 350 * MIB);
	p = na_heap_allocate(600 * MIB); /* of another shape than what is kept; past the mark that room for 900 set */
	assert_non_null(p);
	assert_int_equal(kept(), 0);
	na_heap_release(p);
	na_heap_flush();
	group(1000 * MIB, 950 * MIB); /* where there is no room at all: an error, and not the OOM killer */
	tick();
	assert_null(na_heap_allocate(600 * MIB));
}

static void named_pools_give_back_too(void **state)
{
	struct na_named_figures f;
	struct na_named *named;
	void *p;

	(void)state;
	assert_int_equal(na_named_create("pressed", -1, 0, 16, &named), 0);
	p = na_named_allocate(named, 30 * MIB);
	na_heap_release(p);
	na_named_figures(named, &f);
	assert_true(f.held >= 30 * MIB);
	group(1000 * MIB, 960 * MIB);
	tick();
	na_named_figures(named, &f);
	assert_int_equal(f.held, 0);
	na_named_destroy(named);
}

static void stalls_are_pressure_for_a_while(void **state)
{
	char text[128];

	(void)state;
	files_put("/sys/fs/cgroup/job/memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n");
	tick();
	assert_false(na_pressure_high()); /* whatever was before we looked */
	keep_some();
	snprintf(text, sizeof(text), "some avg10=0.00 avg60=0.00 avg300=0.00 total=%d\n", 1000000 + 50000);
	files_put("/sys/fs/cgroup/job/memory.pressure", text);
	tick();
	assert_false(na_pressure_high()); /* a twentieth of the second */
	assert_true(kept() > 0);
	snprintf(text, sizeof(text), "some avg10=0.00 avg60=0.00 avg300=0.00 total=%d\n", 1050000 + 200000);
	files_put("/sys/fs/cgroup/job/memory.pressure", text);
	tick();
	assert_true(na_pressure_high());
	assert_int_equal(kept(), 0);
	tick();
	assert_true(na_pressure_high());
	now_ms += 10000;
	tick();
	assert_false(na_pressure_high());
}

static void decay_shrinks_with_the_room(void **state)
{
	uint64_t before = na_options.decay_ms;

	(void)state;
	assert_int_equal(na_pressure_decay_ms(), before);
	group(1000 * MIB, 700 * MIB); /* 30 % are left: half way from half to a tenth */
	tick();
	assert_in_range(na_pressure_decay_ms(), before * 45 / 100, before * 55 / 100);
	group(1000 * MIB, 899 * MIB);
	tick();
	assert_true(na_pressure_decay_ms() <= before / 20);
	group(1000 * MIB, 950 * MIB);
	tick();
	assert_int_equal(na_pressure_decay_ms(), 0);
}

/* The default pool and named ones make room for each other. */
static void what_is_kept_anywhere_gives_way_at_the_limit(void **state)
{
	struct na_named *named;
	void *p;
	char why[200];

	(void)state;
	na_pressure_follow(false);
	assert_int_equal(na_named_create("other", -1, 0, 16, &named), 0);
	na_heap_flush();
	atomic_store(&na_pool_limit, atomic_load(&na_pool_held) + 64 * MIB);
	na_heap_release(na_named_allocate(named, 40 * MIB));
	p = na_heap_allocate(50 * MIB);
	assert_non_null(p);
	na_heap_release(p);
	p = na_named_allocate(named, 60 * MIB);
	assert_non_null(p);
	errno = 0;
	assert_null(na_heap_allocate(50 * MIB));
	assert_int_equal(errno, ENOMEM);
	assert_true(na_recovery_why(50 * MIB, why, sizeof(why)) >= NA_LIMIT_KINDS);
	assert_non_null(strstr(why, "total_size"));
	na_heap_release(p);
	na_named_destroy(named);
	atomic_store(&na_pool_limit, 1000 * MIB);
}

static int quiet(void **state)
{
	(void)state;
	na_pools_boot();
	na_options.verbose = 0;
	na_options.background = 0; /* ticks are the test's */
	return 0;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(the_limit_follows_the_cgroups_unless_it_was_wished),
		CASE(free_memory_goes_back_near_the_limit),
		CASE(an_allocation_that_comes_near_the_limit_purges_first),
		CASE(named_pools_give_back_too),
		CASE(stalls_are_pressure_for_a_while),
		CASE(decay_shrinks_with_the_room),
		CASE(what_is_kept_anywhere_gives_way_at_the_limit),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
