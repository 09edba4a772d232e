/* SPDX-License-Identifier: BSD-3-Clause */
/* The mean time of an allocation: which are timed, and the formula. No time itself is asserted but that it is one. */
#include "metrics/allocation.h"

#include <errno.h>
#include <string.h>

#include "heap/heap.h"
#include "heap/timing.h"
#include "metrics/ticks.h"
#include "support/unit.h"

static void samples_stand_for_all(void **state)
{
	(void)state;
	for (unsigned int bits = 4; bits <= 6; bits += 2) {
		uint64_t sum = 0, last = 0, longest = 0, n = 1 << 20;

		for (uint64_t i = 0; i < n; i++) {
			uint32_t weight = na_timing_weight(i, bits);

			assert_true(weight == (i < NA_TIMING_FIRST ? 1 : weight ? 1u << bits : 0));
			sum += weight;
			if (weight) {
				longest = i - last > longest ? i - last : longest;
				last = i;
			}
		}
		assert_in_range(sum, n - n / 100, n + n / 100);
		assert_in_range(longest, 1u << bits, 4u << bits); /* evenly spread */
	}
}

/* A program that does the same in each step of 64 is sampled at all places of the step. */
static void samples_are_in_step_with_no_pattern(void **state)
{
	unsigned int hits[64] = { 0 };

	(void)state;
	for (uint64_t i = NA_TIMING_FIRST; i < 1 << 20; i++)
		hits[i % 64] += na_timing_weight(i, 6) != 0;
	for (int i = 0; i < 64; i++)
		assert_in_range(hits[i], 128, 512); /* 256 each */
}

static void ticks_have_a_unit(void **state)
{
	uint64_t ns = na_os_now_ns(), ticks = na_os_ticks(), ps;

	(void)state;
	while (na_os_now_ns() - ns < 20000000)
		;
	ticks = na_os_ticks() - ticks;
	ns = na_os_now_ns() - ns;
	ps = na_ticks_to_ps(ticks);
	assert_in_range(ps / 1000, ns - ns / 5, ns + ns / 5);
	assert_int_equal(na_ticks_to_ps(0), 0);
}

static uint64_t weight_of(struct na_timing *t)
{
	return atomic_load(&t->weight);
}

static void slow_paths_are_timed(void **state)
{
	uint64_t refills = weight_of(&na_timing_refills), large = weight_of(&na_timing_large);
	void *p[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		p[i] = na_heap_allocate(100000);
	assert_int_equal(weight_of(&na_timing_large) - large, 8); /* the first are timed all */
	for (int i = 0; i < 8; i++)
		na_heap_release(p[i]);
	for (int i = 0; i < 20; i++)
		na_heap_release(na_heap_allocate((size_t)i * 100 + 1));
	assert_true(weight_of(&na_timing_refills) - refills >= 16);
	assert_true(atomic_load(&na_timing_refills.ticks) > 0 && atomic_load(&na_timing_large.ticks) > 0);
}

/* The processors' clocks may be apart. */
static void time_that_runs_backwards_does_not_count(void **state)
{
	struct na_timing t = { 0 };

	(void)state;
	na_timing_add(&t, (uint64_t)-5, 64);
	assert_int_equal(atomic_load(&t.weight), 0);
	na_timing_add(&t, 7, 64);
	assert_int_equal(atomic_load(&t.ticks), 7 * 64);
	assert_int_equal(atomic_load(&t.weight), 64);
}

static void the_mean_is_by_its_formula(void **state)
{
	static struct na_snapshot s;
	uint64_t refill_ps, large_ps, ps, least, most;

	(void)state;
	memset(&s, 0, sizeof(s));
	assert_int_equal(na_allocation_time(&s, &ps), -ENODATA);
	refill_ps = na_ticks_to_ps(atomic_load(&na_timing_refills.ticks)) / weight_of(&na_timing_refills);
	large_ps = na_ticks_to_ps(atomic_load(&na_timing_large.ticks)) / weight_of(&na_timing_large);
	s.class_count = 2;
	s.class_allocations[0] = 300;
	s.class_allocations[1] = 100;
	s.cache_refills = 400; /* each one a refill */
	assert_int_equal(na_allocation_time(&s, &ps), 0);
	assert_int_equal(ps, refill_ps);
	s.cache_refills = 500; /* never more than there were allocations */
	assert_int_equal(na_allocation_time(&s, &ps), 0);
	assert_int_equal(ps, refill_ps);
	s.large_allocations = 1200;
	assert_int_equal(na_allocation_time(&s, &ps), 0);
	assert_int_equal(ps, (refill_ps * 400 + large_ps * 1200) / 1600);
	s.cache_refills = s.large_allocations = 0;
	least = most = na_allocation_hit_time();
	for (int i = 0; i < 20; i++) {
		uint64_t hit = na_allocation_hit_time();

		least = hit < least ? hit : least;
		most = hit > most ? hit : most;
	}
	assert_int_equal(na_allocation_time(&s, &ps), 0);
	assert_true(most > 0 && ps < 1000000); /* a fast path of a microsecond would not be one */
}

/* Measuring takes no block and gives none. */
static void asking_changes_no_figure(void **state)
{
	static struct na_snapshot before, after;
	uint64_t ps;

	(void)state;
	na_heap_snapshot(&before);
	assert_int_equal(na_allocation_time(&before, &ps), 0);
	na_heap_snapshot(&after);
	assert_int_equal(before.allocations, after.allocations);
	assert_int_equal(before.releases, after.releases);
	assert_int_equal(before.live_bytes, after.live_bytes);
	assert_int_equal(before.cache_refills, after.cache_refills);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_paths_are_timed),
		cmocka_unit_test(samples_stand_for_all),
		cmocka_unit_test(samples_are_in_step_with_no_pattern),
		cmocka_unit_test(ticks_have_a_unit),
		cmocka_unit_test(time_that_runs_backwards_does_not_count),
		cmocka_unit_test(the_mean_is_by_its_formula),
		cmocka_unit_test(asking_changes_no_figure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
