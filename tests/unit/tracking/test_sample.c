/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of samples: the hooks are called with addresses that are nobody's, so that each count is known. */
#include "tracking/sample.h"

#include <math.h>
#include <string.h>

#include "base/chance.h"
#include "cache/traps.h"
#include "heap/heap.h"
#include "support/faulty_os.h"
#include "support/unit.h"
#include "tracking/histogram.h"
#include "tracking/stack.h"

#define MEAN (UINT64_C(1) << 20)
#define BIG  (UINT64_C(64) << 20) /* of these each is a sample that stands for itself */

static void *address(uintptr_t i)
{
	return (void *)((UINT64_C(1) << 46) + i * 64);
}

/* Three places to allocate in; not one, and not tails of each other. */
__attribute__((noinline)) static void take_here(void *p, size_t size)
{
	na_sample_hooks.taken(p, size, MEAN, 100);
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void take_there(void *p, size_t size)
{
	take_here(p, size);
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void take_elsewhere(void *p, size_t size)
{
	take_there(p, size);
	__asm__ volatile("" ::: "memory");
}

static struct na_sample_site sites[1000];

static struct na_sample_summary now(void)
{
	struct na_sample_summary s;

	na_sample_summary(&s);
	return s;
}

static uint64_t sum_of_peaks(void)
{
	size_t n = na_sample_sites(sites, 1000);
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += sites[i].values.peak_bytes;
	return sum;
}

static void sites_add_up_live_and_total(void **state)
{
	struct na_sample_summary s;

	(void)state;
	for (uintptr_t i = 0; i < 10; i++) {
		take_there(address(i), BIG);
		take_here(address(10 + i), BIG);
	}
	for (uintptr_t i = 0; i < 5; i++)
		na_sample_hooks.released(address(i));
	na_sample_hooks.released(address(0)); /* no longer one */
	na_sample_hooks.released(address(99999));
	s = now();
	assert_int_equal(s.taken, 20);
	assert_int_equal(s.live, 15);
	assert_int_equal(s.sites, 2);
	assert_int_equal(s.values.live_bytes, 15 * BIG);
	assert_int_equal(s.values.total_blocks, 20);
	assert_int_equal(na_sample_top(sites, 10), 2);
	assert_int_equal(sites[0].values.live_bytes, 10 * BIG);
	assert_int_equal(sites[1].values.live_bytes, 5 * BIG);
	assert_int_equal(sites[1].values.total_bytes, 10 * BIG);
	assert_true(sites[1].depth >= 3);
	for (uintptr_t i = 5; i < 20; i++)
		na_sample_hooks.released(address(i));
	assert_int_equal(now().values.live_bytes, 0);
}

static void the_top_is_in_order_and_cut(void **state)
{
	(void)state;
	take_here(address(1), BIG);
	take_elsewhere(address(2), 3 * BIG);
	take_there(address(3), 2 * BIG);
	assert_int_equal(na_sample_top(sites, 0), 0);
	assert_int_equal(na_sample_top(sites, 2), 2);
	assert_int_equal(sites[0].values.live_bytes, 3 * BIG);
	assert_int_equal(sites[1].values.live_bytes, 2 * BIG);
	assert_int_equal(na_sample_top(sites, 10), 3);
	assert_int_equal(sites[2].values.live_bytes, BIG);
	for (uintptr_t i = 1; i < 4; i++)
		na_sample_hooks.released(address(i));
}

/* The peak's parts are what each stack had then, whatever comes later. */
static void the_peak_is_what_was_live_together(void **state)
{
	uint64_t peak;

	(void)state;
	for (uintptr_t i = 0; i < 100; i++)
		take_here(address(i), BIG);
	for (uintptr_t i = 0; i < 50; i++)
		na_sample_hooks.released(address(i));
	for (uintptr_t i = 100; i < 140; i++)
		take_there(address(i), BIG); /* 90: not a peak */
	peak = now().values.peak_bytes;
	assert_int_equal(peak, 100 * BIG);
	assert_int_equal(sum_of_peaks(), peak);
	for (uintptr_t i = 140; i < 170; i++)
		take_there(address(i), BIG); /* 120 */
	assert_int_equal(now().values.peak_bytes, 120 * BIG);
	assert_int_equal(sum_of_peaks(), 120 * BIG);
	for (uintptr_t i = 50; i < 170; i++)
		na_sample_hooks.released(address(i));
	take_elsewhere(address(1), BIG);
	assert_int_equal(sum_of_peaks(), 120 * BIG);
	for (size_t n = na_sample_sites(sites, 1000), i = 0; i < n; i++)
		assert_true(sites[i].values.peak_bytes == 50 * BIG || sites[i].values.peak_bytes == 40 * BIG ||
			    sites[i].values.peak_bytes == 30 * BIG || sites[i].values.peak_bytes == 0);
	na_sample_hooks.released(address(1));
}

static void a_small_sample_stands_for_many(void **state)
{
	struct na_sample_summary before = now(), after;
	double weight = 1 / na_chance_of(64, MEAN);

	(void)state;
	take_here(address(1), 64);
	after = now();
	assert_true(fabs((double)(after.values.live_blocks - before.values.live_blocks) - weight) <= 1);
	assert_true(fabs((double)(after.values.live_bytes - before.values.live_bytes) - 64 * weight) <= 64);
	na_sample_hooks.released(address(1));
	assert_int_equal(now().values.live_bytes, before.values.live_bytes);
	assert_int_equal(now().values.live_blocks, before.values.live_blocks);
}

/* Stacks without end: two ways down at each step. */
__attribute__((noinline)) static void descend(uint32_t bits, int levels, void *p)
{
	if (levels == 0)
		na_sample_hooks.taken(p, BIG, MEAN, 1);
	else if (bits & 1)
		descend(bits >> 1, levels - 1, p);
	else {
		__asm__ volatile("nop");
		descend(bits >> 1, levels - 1, p);
		__asm__ volatile("" ::: "memory");
	}
	__asm__ volatile("" ::: "memory");
}

static void stacks_past_the_most_go_under_one(void **state)
{
	uint64_t sites_before = now().sites;
	size_t n;
	bool found = false;

	(void)state;
	na_sample_limit(1 << 20, sites_before + 20);
	for (uint32_t i = 0; i < 64; i++)
		descend(i, 6, address(i));
	assert_int_equal(now().sites, sites_before + 20);
	n = na_sample_sites(sites, 1000);
	for (size_t i = 0; i < n; i++)
		if (sites[i].depth == 0) {
			found = true;
			assert_int_equal(sites[i].values.live_bytes, 44 * BIG);
		}
	assert_true(found);
	for (uint32_t i = 0; i < 64; i++)
		na_sample_hooks.released(address(i));
	assert_int_equal(now().live, 0);
}

static void samples_past_the_most_are_counted_as_dropped(void **state)
{
	struct na_sample_summary before = now(), after;

	(void)state;
	na_sample_limit(10, 1 << 15);
	for (uintptr_t i = 0; i < 15; i++)
		take_here(address(i), BIG);
	after = now();
	assert_int_equal(after.live, 10);
	assert_int_equal(after.dropped - before.dropped, 5);
	assert_int_equal(after.taken - before.taken, 15);
	for (uintptr_t i = 0; i < 15; i++)
		na_sample_hooks.released(address(i));
	assert_int_equal(now().live, 0);
	na_sample_limit(1 << 20, 1 << 15);
}

/* Each call of the system fails in its turn: what is lost is counted, what is there is right. */
static void without_memory_samples_are_dropped(void **state)
{
	(void)state;
	for (long nth = 1; nth < 6; nth++) {
		struct na_sample_summary before = now(), after;

		na_faulty_os_install(nth);
		for (uintptr_t i = 0; i < 60000; i++)
			take_here(address(i), BIG);
		na_faulty_os_remove();
		after = now();
		assert_int_equal(after.live - before.live + after.dropped - before.dropped, 60000);
		if (nth == 1)
			assert_true(after.dropped > before.dropped);
		for (uintptr_t i = 0; i < 60000; i++)
			na_sample_hooks.released(address(i));
		assert_int_equal(now().live, before.live);
		assert_int_equal(now().values.live_bytes, before.values.live_bytes);
	}
}

static void lifetimes_are_sorted_by_doublings(void **state)
{
	struct na_lifetimes before, after;
	uint64_t blocks = 0;

	(void)state;
	na_sample_lifetimes(&before);
	for (uintptr_t i = 0; i < 100; i++)
		take_here(address(i), BIG);
	for (uintptr_t i = 0; i < 100; i++)
		na_sample_hooks.released(address(i));
	na_sample_lifetimes(&after);
	assert_int_equal(after.samples - before.samples, 100);
	for (int i = 0; i < NA_LIFETIME_BINS; i++)
		blocks += after.blocks[i] - before.blocks[i];
	assert_int_equal(blocks, 100);
	assert_int_equal(after.blocks[40] - before.blocks[40], 0); /* a quarter of an hour */
}

static void quantiles_are_right_to_a_sixteenth(void **state)
{
	struct na_histogram h = { 0 };

	(void)state;
	assert_true(isnan(na_histogram_quantile(&h, 0.5)) && isnan(na_histogram_mean(&h)));
	for (uint64_t v = 1; v <= 100000; v++)
		na_histogram_add(&h, v, 3);
	assert_true(fabs(na_histogram_mean(&h) - 50000.5) < 0.01);
	for (double q = 0.001; q < 1; q += 0.001)
		assert_true(fabs(na_histogram_quantile(&h, q) - q * 100000) <= q * 100000 / 15 + 1);
	assert_true(na_histogram_quantile(&h, 1) <= 100000);
	for (uint64_t v = 1; v; v <<= 1) /* no value is past the bins */
		na_histogram_add(&h, v, 1);
	assert_int_equal(h.most, UINT64_C(1) << 63);
	for (unsigned int bin = 1; bin < NA_HISTOGRAM_BINS; bin++) {
		assert_true(na_histogram_value(bin) > na_histogram_value(bin - 1));
		assert_int_equal(na_histogram_bin((uint64_t)na_histogram_value(bin)), bin);
	}
}

static void a_weight_counts(void **state)
{
	struct na_histogram h = { 0 };

	(void)state;
	na_histogram_add(&h, 4, 90);
	na_histogram_add(&h, 1000000, 10);
	assert_true(na_histogram_quantile(&h, 0.5) == 4 && na_histogram_quantile(&h, 0.9) == 4);
	assert_true(na_histogram_quantile(&h, 0.91) > 900000);
}

static void frames_have_names(void **state)
{
	char name[200];

	(void)state;
	na_sample_frame((uintptr_t)&strlen + 1, name, sizeof(name));
	assert_non_null(strstr(name, "+0x"));
	na_sample_frame(0, name, sizeof(name));
	assert_string_equal(name, "0x0");
	na_sample_frame(16, name, sizeof(name));
	assert_string_equal(name, "0x10");
}

static int start(void **state)
{
	(void)state;
	na_heap_release(na_heap_allocate(10));
	if (na_sample_start(UINT64_C(1) << 40) < 0)
		return -1;
	return na_sample_hooked ? 0 : -1;
}

static void starting_without_memory_is_refused(void **state)
{
	(void)state;
	na_pools_boot();
	na_faulty_os_install(1);
	assert_int_equal(na_sample_start(1000), -ENOMEM);
	assert_int_equal(na_sample_running(), 0);
	na_faulty_os_remove();
	assert_int_equal(start(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starting_without_memory_is_refused), /* before anything has an arena */
		cmocka_unit_test(sites_add_up_live_and_total),
		cmocka_unit_test(the_top_is_in_order_and_cut),
		cmocka_unit_test(the_peak_is_what_was_live_together),
		cmocka_unit_test(a_small_sample_stands_for_many),
		cmocka_unit_test(stacks_past_the_most_go_under_one),
		cmocka_unit_test(samples_past_the_most_are_counted_as_dropped),
		cmocka_unit_test(without_memory_samples_are_dropped),
		cmocka_unit_test(lifetimes_are_sorted_by_doublings),
		cmocka_unit_test(quantiles_are_right_to_a_sixteenth),
		cmocka_unit_test(a_weight_counts),
		cmocka_unit_test(frames_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
