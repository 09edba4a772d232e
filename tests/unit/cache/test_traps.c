/* SPDX-License-Identifier: BSD-3-Clause */
/* Traps in malloc's stacks, with hooks that only count, and fixed seeds. */
#include "cache/traps.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/chance.h"
#include "cache/check.h"
#include "heap/heap.h"
#include "heap/snapshot.h"
#include "support/faulty_os.h"
#include "support/unit.h"

#define MOST 200000

/* What the hooks saw. */
static size_t samples, released, emptied;
static double estimate, squares; /* blocks, by the weights of samples; and of the same the variance */
static size_t last_size;
static void *last;

static void on_taken(void *p, size_t size, uint64_t mean, uint64_t ns)
{
	double chance = na_chance_of(size, mean);

	assert_true(ns < UINT64_C(60000000000));
	samples++;
	estimate += 1 / chance;
	squares += (1 - chance) / (chance * chance);
	last = p;
	last_size = size;
}

static void on_released(const void *p)
{
	released += p == last;
}

static void on_emptied(const struct na_pool *pool)
{
	emptied += pool != NULL;
}

static void sample(uint64_t mean)
{
	assert_int_equal(na_traps_prepare(), 0);
	na_sample_hooks = (struct na_sample_hooks){ on_taken, on_released, on_emptied };
	na_sample_hooked = true;
	na_sample_mean = mean;
	samples = released = emptied = 0;
	estimate = squares = 0;
	last = NULL;
	na_cache_trim(na_cache_here()); /* so that a slow path comes, where the thread takes it up */
	na_heap_release(na_heap_allocate(16));
	assert_int_equal(na_cache_current->mean, mean);
}

static void check(void)
{
	assert_null(na_cache_check(na_cache_current));
}

static void *blocks[MOST];

static void the_cache_that_was_there_is_split_and_loses_no_count(void **state)
{
	struct na_snapshot before, after;

	(void)state;
	for (int i = 0; i < 3000; i++)
		blocks[i] = na_heap_allocate((size_t)(i % 40) * 30 + 1);
	for (int i = 0; i < 3000; i += 2)
		na_heap_release(blocks[i]);
	na_heap_snapshot(&before);
	assert_false(na_cache_current->split);
	sample(UINT64_C(1) << 40);
	assert_true(na_cache_current->split);
	check();
	na_heap_snapshot(&after);
	assert_int_equal(after.allocations, before.allocations + 1);
	assert_int_equal(after.releases, before.releases + 1);
	assert_int_equal(after.live_bytes, before.live_bytes);
	for (int i = 1; i < 3000; i += 2)
		na_heap_release(blocks[i]);
	check();
}

/* A block that is given out twice would be overwritten. */
static void no_block_is_given_twice_or_lost(void **state)
{
	struct na_snapshot before, after;
	uint64_t random = 5;

	(void)state;
	sample(2000);
	na_heap_snapshot(&before);
	memset(blocks, 0, sizeof(blocks));
	for (int i = 0; i < 300000; i++) {
		size_t at = na_chance_next(&random) % 4000, size = na_chance_next(&random) % 700 + 16;

		if (blocks[at]) {
			uint64_t *p = blocks[at];

			assert_int_equal(p[0], at);
			assert_int_equal(p[1], ~at);
			na_heap_release(p);
			blocks[at] = NULL;
		} else {
			uint64_t *p = blocks[at] = na_heap_allocate(size);

			p[0] = at;
			p[1] = ~at;
		}
		if (i % 1000 == 0)
			check();
	}
	for (size_t at = 0; at < 4000; at++)
		na_heap_release(blocks[at]);
	assert_true(samples > 1000);
	na_heap_snapshot(&after);
	assert_int_equal(after.live_bytes, before.live_bytes);
	assert_int_equal(after.allocations - before.allocations, after.releases - before.releases);
}

static void counts_are_exact_with_samples_among_them(void **state)
{
	struct na_snapshot before, after;

	(void)state;
	sample(500);
	na_heap_snapshot(&before);
	for (int i = 0; i < 5000; i++)
		blocks[i] = na_heap_allocate(112);
	na_heap_snapshot(&after);
	assert_true(samples > 100);
	assert_int_equal(after.allocations - before.allocations, 5000);
	assert_int_equal(after.live_bytes - before.live_bytes, 5000 * 112);
	assert_int_equal(after.class_allocations[na_class_of(112)] - before.class_allocations[na_class_of(112)], 5000);
	for (int i = 0; i < 5000; i++)
		na_heap_release(blocks[i]);
	na_heap_snapshot(&after);
	assert_int_equal(after.live_bytes, before.live_bytes);
}

/* Patterns in which a sampler might look away: pairs, batches, sizes that come in turn, blocks above the stacks. */
static void pairs(size_t size, size_t n)
{
	for (size_t i = 0; i < n; i++)
		na_heap_release(na_heap_allocate(size));
}

static void batches(size_t size, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		blocks[i % 1000] = na_heap_allocate(size);
		if (i % 1000 == 999)
			for (size_t k = 0; k < 1000; k++)
				na_heap_release(blocks[k]);
	}
}

static void trimmed(size_t size, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		na_heap_release(na_heap_allocate(size));
		if (i % 37 == 0)
			na_cache_trim(na_cache_current);
	}
}

static void estimates_are_unbiased(void **state)
{
	const size_t sizes[] = { 16, 64, 256, 1024, 8192, 32768, 100000, 10000000 };
	void (*const patterns[])(size_t, size_t) = { pairs, batches, trimmed };

	(void)state;
	for (size_t p = 0; p < 3; p++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			size_t n = sizes[s] > 100000 ? 2000 : sizes[s] >= 32768 ? 10000 : 100000;
			double mean = (double)sizes[s] * (sizes[s] <= 8192 ? 20 : 0.7), sigma;
			double chance = na_chance_of(sizes[s], (uint64_t)mean);

			if (p > 0 && sizes[s] > 1024) /* too much memory, and no other path */
				continue;
			sample((uint64_t)mean);
			samples = 0;
			estimate = 0;
			patterns[p](sizes[s], n);
			sigma = sqrt((double)n * (1 - chance) / chance);
			assert_true(samples > 100);
			assert_true(fabs(estimate - (double)n) < 5 * sigma);
			check();
		}
}

/* Whether one allocation is a sample says nothing of the next: gaps are geometric. */
static void gaps_between_samples_have_no_memory(void **state)
{
	size_t gap = 0, gaps = 0, seen, longer[3] = { 0 };
	const double p = na_chance_of(64, 640);

	(void)state;
	sample(640);
	seen = samples;
	for (int i = 0; i < 200000; i++, gap++) {
		na_heap_release(na_heap_allocate(64));
		if (samples == seen)
			continue;
		seen = samples;
		gaps++;
		for (size_t k = 0; k < 3; k++)
			longer[k] += gap > 5 * (k + 1);
		gap = 0;
	}
	for (size_t k = 0; k < 3; k++) {
		double share = pow(1 - p, 5 * ((double)k + 1));

		assert_true(fabs((double)longer[k] - (double)gaps * share) < 6 * sqrt((double)gaps * share));
	}
}

static void a_sample_is_a_block_like_any_other(void **state)
{
	struct na_block found;
	char *p = NULL;

	(void)state;
	sample(1000);
	while (!p || p != last) {
		if (p)
			na_heap_release(p);
		p = na_heap_allocate(200);
	}
	assert_int_equal(na_id_of(p), 0);
	assert_true(na_heap_find(p + 100, &found));
	assert_true(found.live);
	assert_ptr_equal(found.start, p);
	assert_int_equal(found.size, 208);
	assert_int_equal(last_size, 208);
	memset(p, 7, 200);
	na_sample_mean = 0;
	p = na_heap_resize(p, 5000);
	assert_int_equal(p[199], 7);
	assert_int_equal(released, 1);
	na_heap_release(p);
}

static void a_sample_that_is_freed_twice_is_refused(void **state)
{
	void *p = NULL;

	(void)state;
	sample(1000);
	while (!p || p != last) {
		if (p)
			na_heap_release(p);
		p = na_heap_allocate(200);
	}
	assert_int_equal(na_heap_release_checked(p), 0);
	assert_int_equal(na_heap_release_checked(p), -EINVAL);
}

/* The block whose place has the trap is free, and found to be. */
static void a_block_put_by_is_free(void **state)
{
	unsigned int cls = na_class_of(96);
	struct na_cache *c;
	struct na_snapshot s;
	void *p;

	(void)state;
	sample(2000);
	c = na_cache_current;
	while (!c->trap[cls].displaced)
		na_heap_release(na_heap_allocate(96));
	p = c->trap[cls].displaced;
	assert_true(na_cache_holds(c, na_span_of(p), p));
	*na_mark_of(p) = NA_FREED_MARK;
	assert_int_equal(na_heap_release_checked(p), -EINVAL);
	na_cache_trim(c);
	assert_null(c->trap[cls].displaced);
	check();
	na_heap_snapshot(&s);
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		assert_int_equal(na_cache_depth(c, i), 0);
}

static void an_overlooked_trap_is_found_by_the_check(void **state)
{
	unsigned int cls = na_class_of(96);
	struct na_cache *c;
	uint16_t at;

	(void)state;
	sample(2000);
	c = na_cache_current;
	while (!c->trap[cls].displaced)
		na_heap_release(na_heap_allocate(96));
	at = c->trap[cls].at;
	*na_bin_at(&c->out[cls], at) = c->trap[cls].displaced;
	assert_non_null(na_cache_check(c));
	*na_bin_at(&c->out[cls], at) = NULL;
	check();
	c->trap[cls].at = (uint16_t)(c->out[cls].top + 1);
	assert_non_null(na_cache_check(c));
	c->trap[cls].at = at;
	check();
}

/* The countdown goes on where it was. */
static void lifting_and_setting_changes_nothing(void **state)
{
	unsigned int cls = na_class_of(96);
	struct na_cache *c;
	struct na_trap before;

	(void)state;
	sample(2000);
	c = na_cache_current;
	while (!c->trap[cls].displaced)
		na_heap_release(na_heap_allocate(96));
	before = c->trap[cls];
	na_lock(&c->lock);
	na_trap_lift(c, cls);
	na_trap_lift(c, cls);
	na_trap_set(c, cls);
	na_trap_set(c, cls);
	na_unlock(&c->lock);
	assert_int_equal(c->trap[cls].at, before.at);
	assert_ptr_equal(c->trap[cls].displaced, before.displaced);
	check();
}

static void stopping_leaves_no_trap(void **state)
{
	size_t seen;

	(void)state;
	sample(1000);
	for (int i = 0; i < 1000; i++)
		na_heap_release(na_heap_allocate(100));
	na_sample_mean = 0;
	seen = samples;
	for (int i = 0; i < 100000; i++) {
		na_heap_release(na_heap_allocate(100));
		na_heap_release(na_heap_allocate(100000));
	}
	assert_int_equal(samples, seen);
	assert_int_equal(na_cache_current->mean, 0);
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		assert_null(na_cache_current->trap[i].displaced);
}

static void large_and_named_blocks_are_counted_as_they_come(void **state)
{
	struct na_named *named;
	size_t small;

	(void)state;
	sample(100000);
	assert_int_equal(na_named_create("pool", -1, 0, 16, &named), 0);
	for (int i = 0; i < 20000; i++)
		blocks[i] = na_named_allocate(named, 100);
	small = samples;
	assert_in_range(small, 5, 60); /* 22 are to be expected */
	for (int i = 0; i < 20; i++)
		na_named_allocate(named, 1000000);
	assert_true(samples > small + 15);
	na_named_reset(named);
	assert_int_equal(emptied, 1);
	na_named_destroy(named);
}

/* No memory for a sample: the allocation gets the block that it would have got. */
static void without_memory_for_samples_blocks_come_from_the_stack(void **state)
{
	size_t got = 0;

	(void)state;
	na_sample_mean = 0;
	for (int i = 0; i < 200; i++)
		na_heap_release(na_heap_allocate(20000));
	na_heap_flush();
	sample(10000);
	na_heap_release(na_heap_allocate(20000));
	na_faulty_os_install(1);
	for (int i = 0; i < 400; i++) {
		blocks[i] = na_heap_allocate(20000);
		got += blocks[i] != NULL;
		check();
	}
	na_faulty_os_remove();
	assert_true(got > 0);
	for (int i = 0; i < 400; i++)
		na_heap_release(blocks[i]);
}

static void *use_and_end(void *arg)
{
	for (int i = 0; i < 500; i++)
		blocks[i] = na_heap_allocate(64);
	for (int i = 0; i < 500; i++)
		na_heap_release(blocks[i]);
	return arg;
}

/* A thread ends with traps set: the next takes the cache as it is, and the maintenance thread may empty it. */
static void caches_change_hands_with_their_traps(void **state)
{
	pthread_t t;

	(void)state;
	sample(700);
	for (int i = 0; i < 20; i++) {
		pthread_create(&t, NULL, use_and_end, NULL);
		pthread_join(t, NULL);
		if (i % 2)
			na_cache_tend();
		for (struct na_cache *c = na_cache_first(); c; c = c->next_all)
			assert_null(na_cache_check(c));
	}
	assert_true(samples > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cache_that_was_there_is_split_and_loses_no_count),
		cmocka_unit_test(no_block_is_given_twice_or_lost),
		cmocka_unit_test(counts_are_exact_with_samples_among_them),
		cmocka_unit_test(estimates_are_unbiased),
		cmocka_unit_test(gaps_between_samples_have_no_memory),
		cmocka_unit_test(a_sample_is_a_block_like_any_other),
		cmocka_unit_test(a_sample_that_is_freed_twice_is_refused),
		cmocka_unit_test(a_block_put_by_is_free),
		cmocka_unit_test(an_overlooked_trap_is_found_by_the_check),
		cmocka_unit_test(lifting_and_setting_changes_nothing),
		cmocka_unit_test(stopping_leaves_no_trap),
		cmocka_unit_test(large_and_named_blocks_are_counted_as_they_come),
		cmocka_unit_test(without_memory_for_samples_blocks_come_from_the_stack),
		cmocka_unit_test(caches_change_hands_with_their_traps),
	};

	na_sample_seed = 12345;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
