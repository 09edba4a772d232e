/* SPDX-License-Identifier: BSD-3-Clause */
/* The documented calls of statistics.h, tracking.h, system.h and error.h: figures that follow what the program does. */
#include <math.h>
#include <numarena/numarena.h>
#include <pthread.h>

#include "support/check.h"

#define MIB ((size_t)1 << 20)

static memory_stats_t now(void)
{
	memory_stats_t s;

	REQUIRE(get_memory_statistics(&s) == MEMORY_ERROR_NONE);
	CHECK(s.peak_usage >= s.total_allocated && s.held_bytes <= s.reserved_bytes && s.reclaimable_bytes <= s.held_bytes);
	CHECK(s.fragmentation >= 0 && s.fragmentation <= 1);
	CHECK(isnan(s.thread_cache_hit_rate) || (s.thread_cache_hit_rate >= 0 && s.thread_cache_hit_rate <= 1));
	return s;
}

static void statistics_follow(void)
{
	memory_stats_t before = now(), with, after;
	void *small[10000], *large;

	for (int i = 0; i < 10000; i++)
		small[i] = allocate_zeroed_from_pool(128);
	large = allocate_zeroed_from_pool(20 * MIB);
	memset(large, 1, 20 * MIB);
	with = now();
	CHECK_EQ(with.total_allocated - before.total_allocated, 10000 * 128 + 20 * MIB);
	CHECK_EQ(with.allocations - before.allocations, 10001);
	CHECK(with.metadata_bytes > 0);
	CHECK_EQ(with.large_allocations - before.large_allocations, 1);
	CHECK(with.physical_bytes >= 21 * MIB && with.physical_bytes <= with.held_bytes + 4 * MIB);
	CHECK(with.cache_refills > before.cache_refills && with.thread_cache_hit_rate > 0.9);
	for (int i = 0; i < 10000; i++)
		return_to_pool(small[i]);
	return_to_pool(large);
	after = now();
	CHECK_EQ(after.total_allocated, before.total_allocated);
	CHECK_EQ(after.releases - before.releases, 10001);
	CHECK(after.peak_usage >= with.total_allocated && after.reclaimable_bytes >= 20 * MIB);
	large = allocate_from_pool(20 * MIB);
	CHECK_EQ(now().large_reused - after.large_reused, 1);
	return_to_pool(large);
	flush_memory_pools();
	after = now();
	CHECK_MSG(after.reclaimable_bytes < MIB, "%zu bytes reclaimable after a flush", after.reclaimable_bytes);
	CHECK_EQ(get_memory_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT);
}

static void *returns(void *p)
{
	return_to_pool(p);
	flush_memory_pools();
	return NULL;
}

static void remote_frees_are_counted(void)
{
	memory_stats_t before = now();
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, returns, allocate_from_pool(100)) == 0);
	pthread_join(thread, NULL);
	CHECK_EQ(now().remote_releases - before.remote_releases, 1);
}

static void nodes(void)
{
	memory_node_stats_t all[64], one;
	void *p = allocate_zeroed_from_pool(10 * MIB);
	size_t n, requested = 0;

	memset(p, 1, 10 * MIB);
	n = get_memory_node_statistics(NULL, 0);
	REQUIRE(n >= 1 && n <= 64);
	CHECK_EQ(get_memory_node_statistics(all, 64), n);
	CHECK_EQ(get_memory_node_statistics(&one, 1), n);
	for (size_t i = 0; i < n; i++) {
		requested += all[i].requested_bytes;
		CHECK(all[i].misplaced_bytes == MEMORY_METRIC_UNAVAILABLE || all[i].misplaced_bytes <= all[i].resident_bytes);
	}
	CHECK_EQ(requested, now().total_allocated);
	CHECK_EQ(one.node, all[0].node);
	return_to_pool(p);
}

static void tracking(void)
{
	tracking_config_t config = { .track_allocations = true, .track_usage = true, .track_fragmentation = true, .sampling_interval = 5 };
	memory_sample_t samples[512];
	size_t n, best = 0;
	void *p;

	CHECK_EQ(start_memory_tracking(&(tracking_config_t){ .sampling_interval = 3600001 }), MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK(strstr(last_memory_error_message(), "sampling_interval"));
	REQUIRE(start_memory_tracking(&config) == MEMORY_ERROR_NONE);
	p = allocate_zeroed_from_pool(30 * MIB);
	memset(p, 1, 30 * MIB);
	for (int i = 0; i < 600 && best < 30 * MIB; i++) { /* until the thread has seen it */
		usleep(10000);
		n = get_memory_samples(samples, 512);
		for (size_t k = 0; k < n && k < 512; k++)
			best = samples[k].live_bytes > best ? samples[k].live_bytes : best;
	}
	CHECK_MSG(best >= 30 * MIB, "the series' maximum is %zu", best);
	return_to_pool(p);
	CHECK_EQ(stop_memory_monitoring(), MEMORY_ERROR_NONE);
	CHECK_EQ(stop_memory_monitoring(), MEMORY_ERROR_NONE);
	n = get_memory_samples(samples, 512);
	CHECK(n >= 1 && n <= 512 && get_memory_samples(NULL, 0) == n);
	for (size_t k = 1; k < n; k++)
		CHECK(samples[k].seconds > samples[k - 1].seconds);
}

static void errors(void)
{
	for (int e = MEMORY_ERROR_NONE; e <= MEMORY_ERROR_IO; e++) {
		const char *name = memory_error_string((memory_error_t)e);

		REQUIRE(name && *name);
		for (int other = 0; other < e; other++)
			CHECK(strcmp(name, memory_error_string((memory_error_t)other)) != 0);
	}
	CHECK(memory_error_string((memory_error_t)4711) != NULL);
	CHECK(memory_system_version()[0] >= '0' && memory_system_version()[0] <= '9');
}

static void *last_error_of_a_thread(void *unused)
{
	(void)unused;
	return (void *)(uintptr_t)last_memory_error();
}

static void errors_are_the_thread_s(void)
{
	pthread_t thread;
	void *other;

	CHECK_EQ(get_memory_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT);
	REQUIRE(pthread_create(&thread, NULL, last_error_of_a_thread, NULL) == 0);
	pthread_join(thread, &other);
	CHECK_EQ((uintptr_t)other, MEMORY_ERROR_NONE);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_INVALID_ARGUMENT);
}

/* The four of the documentation's clean-up in every order, each order twice over, with a block that lives on. */
static void clean_up_in_any_order(void)
{
	char *p = allocate_from_pool(1000);

	check_fill(p, 0, 1000, 5);
	for (int order = 0; order < 256; order++) {
		CHECK_EQ(initialize_memory_system(order % 2 ? NULL : &(memory_system_config_t){ .enable_pooling = true, .enable_optimization = true }),
			 MEMORY_ERROR_NONE);
		for (int i = 0; i < 4; i++) {
			int what = order >> (2 * i) & 3;

			if (what == 0)
				flush_memory_pools();
			else
				CHECK_EQ(what == 1 ? cleanup_compression() :
					 what == 2 ? stop_memory_monitoring() :
						     cleanup_memory_resources(),
					 MEMORY_ERROR_NONE);
		}
		return_to_pool(allocate_from_pool(100));
	}
	CHECK_EQ(check_filled(p, 0, 1000, 5), 1000);
	return_to_pool(p);
	cleanup_memory_resources();
}

int main(void)
{
	check_watchdog(300);
	RUN(statistics_follow);
	RUN(remote_frees_are_counted);
	RUN(nodes);
	RUN(tracking);
	RUN(errors);
	RUN(errors_are_the_thread_s);
	RUN(clean_up_in_any_order);
	return check_result();
}
