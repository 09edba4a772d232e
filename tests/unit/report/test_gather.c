/* SPDX-License-Identifier: BSD-3-Clause */
/* From the heap and tracking into the record's breakdown: what is there, what is gone, and more pools than there is room for. */
#include "report/gather.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "heap/heap.h"
#include "support/unit.h"

#define MIB (UINT64_C(1) << 20)

static struct na_breakdown b;

static void gather(void)
{
	static struct na_snapshot now;

	na_heap_snapshot(&now);
	na_gather(&b, &now);
	assert_int_equal(na_breakdown_check(&b), 0);
}

static const struct na_pool_part *pool(const char *name)
{
	for (uint32_t i = 0; i < b.pool_count; i++)
		if (strcmp(b.pools[i].name, name) == 0)
			return &b.pools[i];
	return NULL;
}

static struct na_named *make(const char *name, size_t bytes)
{
	struct na_named *named;

	assert_int_equal(na_named_create(name, -1, 0, 16, &named), 0);
	if (bytes)
		assert_non_null(na_named_allocate(named, bytes));
	return named;
}

static void phases_and_where_it_is(void **state)
{
	const struct na_phase_part *p;

	(void)state;
	gather();
	assert_int_equal(b.phase_count, 0);
	assert_int_equal(b.innermost, 0);
	for (int i = 0; i < 8; i++) {
		na_phase_begin("step");
		(void)na_heap_allocate_aligned(4096, MIB, false);
		na_phase_end();
	}
	na_phase_begin("outer");
	na_phase_begin("inner");
	gather();
	assert_int_equal(b.phase_count, 3);
	assert_int_equal(b.innermost, 3);
	p = &b.phases[0];
	assert_string_equal(p->name, "step");
	assert_int_equal(p->entered, 8);
	assert_in_range(p->allocated_bytes - p->released_bytes, 8 * MIB, 8 * MIB + 65536);
	assert_int_equal(p->running, 0);
	assert_int_equal(p->growth.points, 8);
	assert_int_equal(p->growth.rises, 7);
	assert_in_range(p->growth.last - p->growth.first, 7 * MIB, 7 * MIB + 65536);
	assert_int_equal(b.phases[1].running, 1);
	na_phase_end();
	gather();
	assert_int_equal(b.innermost, 2);
	na_phase_end();
	gather();
	assert_int_equal(b.innermost, 0);
}

static void classes_and_when_they_were_fullest(void **state)
{
	struct na_class_part before, *small = &b.classes[na_class_of(2048)], *large = &b.classes[NA_CLASSES];
	uint64_t allocated;
	void *p[100], *block;

	(void)state;
	gather();
	before = *small;
	allocated = large->allocated_bytes;
	for (int i = 0; i < 100; i++)
		p[i] = na_heap_allocate(2048);
	block = na_heap_allocate_aligned(4096, 16 * MIB, false);
	gather();
	assert_int_equal(small->size, 2048);
	assert_int_equal(small->allocations - before.allocations, 100);
	assert_int_equal(small->live_bytes - before.live_bytes, 204800);
	assert_int_equal(small->fullest_bytes, small->live_bytes); /* it has never held more */
	assert_in_range(large->allocated_bytes - allocated, 16 * MIB, 16 * MIB + 65536);
	assert_true(large->fullest_bytes >= 16 * MIB);
	for (int i = 0; i < 100; i++)
		na_heap_release(p[i]);
	na_heap_release(block);
	gather();
	assert_int_equal(small->live_bytes, before.live_bytes);
	assert_int_equal(small->fullest_bytes, before.live_bytes + 204800);
	assert_int_equal(small->allocated_bytes, small->allocations * 2048);
}

static void pools_of_one_name_are_one_and_stay_when_gone(void **state)
{
	struct na_named *one = make("halo", MIB), *other = make("halo", 2 * MIB);

	(void)state;
	gather();
	assert_int_equal(pool("halo")->pools, 2);
	assert_in_range(pool("halo")->live, 3 * MIB, 3 * MIB + 65536);
	assert_in_range(pool("halo")->peak, 3 * MIB, 3 * MIB + 65536);
	assert_int_equal(pool("halo")->allocations, 2);
	na_named_destroy(other);
	gather();
	assert_int_equal(pool("halo")->pools, 2); /* at once, at most */
	assert_in_range(pool("halo")->live, MIB, MIB + 65536);
	na_named_destroy(one);
	gather();
	assert_int_equal(pool("halo")->live, 0);
	assert_int_equal(pool("halo")->held, 0);
	assert_in_range(pool("halo")->peak, 3 * MIB, 3 * MIB + 65536);
	assert_int_equal(pool("halo")->allocations, 2);
	gather();
	assert_int_equal(pool("halo")->pools, 2);
}

static void of_many_pools_those_with_the_highest_peaks_are_named(void **state)
{
	struct na_named *named[40];
	uint64_t live;
	char name[32];

	(void)state;
	for (int i = 0; i < 40; i++) { /* in no order; the highest are 24 to 39, beside halo's 3 MiB */
		snprintf(name, sizeof(name), "pool %d", i * 7 % 40);
		named[i] = make(name, (size_t)(i * 7 % 40 + 1) * 65536);
	}
	for (int turn = 0; turn < 2; turn++) {
		gather();
		assert_int_equal(b.pool_count, NA_BREAKDOWN_POOLS);
		assert_non_null(pool("halo"));
		for (int i = 25; i < 40; i++) {
			snprintf(name, sizeof(name), "pool %d", i);
			assert_non_null(pool(name));
		}
		live = b.other_pools.live;
		for (uint32_t i = 0; i < b.pool_count; i++)
			live += b.pools[i].live;
		assert_in_range(live, 820 * 65536, 820 * 65536 + 40 * 65536); /* nobody's is lost */
		assert_true(b.other_pools.pools >= 25);
	}
	for (int i = 0; i < 40; i++)
		na_named_destroy(named[i]);
	gather();
	assert_int_equal(b.other_pools.live, 0);
	assert_non_null(pool("pool 39"));
}

static pthread_barrier_t barrier;

static void *work(void *bytes)
{
	na_heap_release(na_heap_allocate(100)); /* a thread that takes large blocks alone has no cache, and is not told apart */
	na_heap_release(na_heap_allocate_aligned(4096, (size_t)(uintptr_t)bytes, false));
	pthread_barrier_wait(&barrier); /* seen */
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void the_busiest_thread_is_remembered(void **state)
{
	uint64_t before;
	pthread_t thread[3];

	(void)state;
	gather();
	before = b.threads.running;
	assert_true(before >= 1);
	pthread_barrier_init(&barrier, NULL, 4);
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, work, (void *)((i == 1 ? 2000 : 1) * MIB));
	pthread_barrier_wait(&barrier);
	gather();
	assert_int_equal(b.threads.running, before + 3);
	assert_int_equal(b.threads.most_running, before + 3);
	assert_in_range(b.threads.busiest.allocated_bytes, 2000 * MIB, 2001 * MIB);
	assert_int_equal(b.threads.busiest.allocations, 2);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	gather();
	assert_int_equal(b.threads.running, before);
	assert_int_equal(b.threads.most_running, before + 3);
	assert_true(b.threads.busiest.allocated_bytes >= 2000 * MIB);
	pthread_barrier_destroy(&barrier);
}

static void samples(void **state)
{
	uint64_t sum = 0;

	(void)state;
	gather();
	assert_int_equal(b.latency.samples, 0);
	assert_int_equal(b.sample_mean, 0);
	assert_int_equal(na_sample_start(4096), 0);
	for (int i = 0; i < 20000; i++)
		na_heap_release(na_heap_allocate(512));
	na_sample_start(0);
	gather();
	assert_true(b.latency.samples > 100); /* 2500 on average */
	for (unsigned int i = 0; i < NA_HISTOGRAM_BINS; i++)
		sum += b.latency.bins[i];
	assert_int_equal(sum, b.latency.count);
	assert_in_range(b.latency.count, 10000, 40000); /* estimates 20000 */
	assert_true(b.latency.sum >= b.latency.most && b.latency.most > 0);
	assert_true(b.lifetimes.samples > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(phases_and_where_it_is),
		cmocka_unit_test(classes_and_when_they_were_fullest),
		cmocka_unit_test(pools_of_one_name_are_one_and_stay_when_gone),
		cmocka_unit_test(of_many_pools_those_with_the_highest_peaks_are_named),
		cmocka_unit_test(the_busiest_thread_is_remembered),
		cmocka_unit_test(samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
