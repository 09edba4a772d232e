/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics: each figure against what this program itself did, exact where one thread runs alone. */
#include "api/api.h"

static size_t blocks_live(void *const *p, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += allocation_size(p[i]);
	return sum;
}

static void what_is_asked_for_wrongly(void)
{
	ERROR(get_memory_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "stats", "NULL");
}

/* Before anything was allocated there is no rate, and nothing else is made up either. */
static void a_fresh_process(void)
{
	memory_stats_t s = api_stats();

	CHECK_EQ(s.total_allocated, 0);
	CHECK_EQ(s.peak_usage, 0);
	CHECK_EQ(s.allocations + s.releases + s.large_allocations + s.remote_releases, 0);
	CHECK(isnan(s.thread_cache_hit_rate));
	CHECK(s.fragmentation == 0.0);
}

static void live_bytes_and_counts_are_exact(void)
{
	enum { N = 1500 };
	static void *p[N];
	memory_stats_t start = api_stats(), s;

	for (size_t i = 0; i < N; i++) {
		p[i] = i % 3   ? allocate_from_pool(i * 5)
		       : i % 2 ? allocate_memory(i * 40)
			       : allocate_aligned_memory(256, i * 9);
		REQUIRE(p[i]);
	}
	s = api_stats();
	CHECK_EQ(s.total_allocated - start.total_allocated, blocks_live(p, N));
	CHECK_EQ(s.allocations - start.allocations, N);
	CHECK_EQ(s.releases, start.releases);
	CHECK(s.cache_refills > start.cache_refills);
	CHECK(s.metadata_bytes > 0);
	CHECK(s.thread_cache_hit_rate > 0.5 && s.thread_cache_hit_rate < 1.0);
	for (size_t i = 0; i < N; i++)
		return_to_pool(p[i]);
	s = api_stats();
	CHECK_EQ(s.total_allocated, start.total_allocated);
	CHECK_EQ(s.releases - start.releases, N);
	CHECK_EQ(s.remote_releases, start.remote_releases);
}

static void the_peak_stays(void)
{
	memory_stats_t start = api_stats(), s;
	void *p = allocate_from_pool(30 * MIB);

	s = api_stats();
	CHECK(s.peak_usage >= start.total_allocated + 30 * MIB);
	return_to_pool(p);
	s = api_stats();
	CHECK(s.peak_usage >= start.total_allocated + 30 * MIB && s.peak_usage < start.total_allocated + 32 * MIB);
	CHECK_EQ(s.total_allocated, start.total_allocated);
	CHECK(s.peak_usage >= s.total_allocated);
}

static void physical_is_what_was_touched(void)
{
	memory_stats_t start, s;
	unsigned char *p;

	flush_memory_pools();
	start = api_stats();
	p = allocate_from_pool(20 * MIB);
	s = api_stats();
	CHECK(s.physical_bytes < start.physical_bytes + MIB);
	CHECK(s.held_bytes >= start.held_bytes + 20 * MIB);
	CHECK(s.reserved_bytes >= s.held_bytes);
	CHECK(s.fragmentation == 0.0); /* more is live than resident */
	memset(p, 1, 10 * MIB);
	s = api_stats();
	CHECK_MSG(s.physical_bytes >= start.physical_bytes + 10 * MIB &&
			  s.physical_bytes < start.physical_bytes + 13 * MIB,
		  "%zu bytes resident, %zu once 10 MiB are written", start.physical_bytes, s.physical_bytes);
	return_to_pool(p);
	s = api_stats();
	CHECK(s.reclaimable_bytes >= 20 * MIB);
	CHECK(s.reclaimable_bytes <= s.held_bytes);
	flush_memory_pools();
	s = api_stats();
	CHECK_EQ(s.reclaimable_bytes, 0);
	CHECK(s.physical_bytes < start.physical_bytes + MIB);
}

static void fragmentation_is_by_its_formula(void)
{
	enum { N = 4000 };
	static void *p[N];
	memory_stats_t s;
	double full, sparse;

	for (size_t i = 0; i < N; i++)
		memset(p[i] = allocate_from_pool(1024), 1, 1024);
	s = api_stats();
	full = s.fragmentation;
	for (size_t i = 0; i < N; i++)
		if (i % 16)
			return_to_pool(p[i]);
	s = api_stats();
	sparse = s.fragmentation;
	CHECK(full >= 0.0 && full < 0.5);
	CHECK(sparse > 0.7 && sparse <= 1.0);
	CHECK(fabs(sparse - (1.0 - (double)s.total_allocated / (double)s.physical_bytes)) < 1e-9);
	for (size_t i = 0; i < N; i += 16)
		return_to_pool(p[i]);
}

static void large_blocks_are_reused(void)
{
	memory_stats_t start = api_stats(), s;

	for (int i = 0; i < 10; i++) {
		void *p = allocate_from_pool(3 * MIB);

		memset(p, 1, 3 * MIB);
		return_to_pool(p);
	}
	s = api_stats();
	CHECK_EQ(s.large_allocations - start.large_allocations, 10);
	CHECK(s.large_reused - start.large_reused >= 9 && s.large_reused - start.large_reused <= 10);
}

static void *give_back(void *blocks)
{
	if (((void **)blocks)[400])
		return_to_pool(allocate_from_pool(10)); /* its own, and not remote */
	for (int i = 0; i < 400; i++)
		return_to_pool(((void **)blocks)[i]);
	return NULL;
}

/* By a thread that does nothing else, and by one that allocates itself. */
static void remote_releases_are_counted(void)
{
	for (int allocates = 0; allocates < 2; allocates++) {
		memory_stats_t start = api_stats(), s;
		void *p[401] = { [400] = allocates ? &start : NULL };
		pthread_t t;

		for (size_t i = 0; i < 400; i++)
			p[i] = allocate_from_pool(i);
		REQUIRE(pthread_create(&t, NULL, give_back, p) == 0);
		pthread_join(t, NULL);
		flush_memory_pools(); /* what that thread had kept for itself */
		s = api_stats();
		CHECK_EQ(s.remote_releases - start.remote_releases, 400);
		CHECK_EQ(s.releases - start.releases, 400 + allocates);
		CHECK_EQ(s.total_allocated, start.total_allocated);
	}
}

/* ---- nodes ---- */

static void nodes_add_up(void)
{
	enum { N = 64 };
	memory_node_stats_t nodes[N];
	void *p = allocate_from_pool(5 * MIB), *q = allocate_from_pool(100);
	memory_stats_t s;
	size_t n, requested = 0, resident = 0;

	memset(p, 1, 5 * MIB);
	memset(nodes, 0xff, sizeof(nodes));
	n = get_memory_node_statistics(nodes, N);
	s = api_stats();
	CHECK(n >= 1 && n <= N);
	for (size_t i = 0; i < n; i++) {
		CHECK(nodes[i].node >= 0);
		for (size_t k = 0; k < i; k++)
			CHECK(nodes[k].node != nodes[i].node);
		CHECK(nodes[i].misplaced_bytes == MEMORY_METRIC_UNAVAILABLE ||
		      nodes[i].misplaced_bytes <= nodes[i].resident_bytes);
		CHECK(nodes[i].total_memory == 0 || nodes[i].total_memory > nodes[i].resident_bytes);
		requested += nodes[i].requested_bytes;
		resident += nodes[i].resident_bytes;
	}
	CHECK_EQ(requested, s.total_allocated);
	CHECK_EQ(resident, s.physical_bytes);
	CHECK(resident >= 5 * MIB);
	return_to_pool(p);
	return_to_pool(q);
}

static void no_more_nodes_than_there_is_room_for(void)
{
	memory_node_stats_t nodes[3];
	size_t n = get_memory_node_statistics(NULL, 0);

	CHECK(n >= 1);
	memset(nodes, 0x5a, sizeof(nodes));
	CHECK_EQ(get_memory_node_statistics(nodes, 0), n);
	CHECK_EQ(nodes[0].requested_bytes, 0x5a5a5a5a5a5a5a5a);
	CHECK_EQ(get_memory_node_statistics(nodes, 1), n);
	CHECK(nodes[0].requested_bytes != 0x5a5a5a5a5a5a5a5a);
	CHECK_EQ(nodes[1].requested_bytes, 0x5a5a5a5a5a5a5a5a);
}

/* ---- readers while others allocate: never nonsense ---- */

static int stopping;

static void *churn(void *number)
{
	uint64_t random = (uint64_t)(uintptr_t)number;
	void *p[200] = { NULL };

	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		size_t i = check_random(&random) % 200;

		return_to_pool(p[i]);
		p[i] = allocate_from_pool(check_random(&random) % (i % 20 ? 2000 : 200000));
	}
	for (int i = 0; i < 200; i++)
		return_to_pool(p[i]);
	return NULL;
}

static void figures_make_sense_while_threads_run(void)
{
	memory_stats_t start = api_stats(), s, last = start;
	pthread_t threads[3];

	for (uintptr_t i = 0; i < 3; i++)
		REQUIRE(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0);
	for (int i = 0; i < (api_brief() ? 20 : 300); i++) {
		s = api_stats();
		CHECK(s.peak_usage >= s.total_allocated);
		CHECK(s.peak_usage >= last.peak_usage);
		CHECK(s.fragmentation >= 0.0 && s.fragmentation <= 1.0);
		CHECK(s.thread_cache_hit_rate >= 0.0 && s.thread_cache_hit_rate <= 1.0);
		CHECK(s.allocations >= last.allocations && s.releases >= last.releases);
		CHECK(s.total_allocated < start.total_allocated + 64 * MIB);
		CHECK(s.reclaimable_bytes <= s.held_bytes && s.held_bytes <= s.reserved_bytes);
		CHECK(get_memory_node_statistics(NULL, 0) >= 1);
		last = s;
	}
	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	s = api_stats();
	CHECK_EQ(s.total_allocated, start.total_allocated);
	CHECK_EQ(s.allocations - start.allocations, s.releases - start.releases);
}

int main(void)
{
	check_watchdog(120);
	RUN(a_fresh_process);
	RUN(what_is_asked_for_wrongly);
	RUN(live_bytes_and_counts_are_exact);
	RUN(the_peak_stays);
	RUN(physical_is_what_was_touched);
	RUN(fragmentation_is_by_its_formula);
	RUN(large_blocks_are_reused);
	RUN(remote_releases_are_counted);
	RUN(nodes_add_up);
	RUN(no_more_nodes_than_there_is_room_for);
	RUN(figures_make_sense_while_threads_run);
	return check_result();
}
