/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other calls against each other, while threads allocate: statistics, nodes, tracking that starts and stops, settings
 * that change, flushes, clean-up, named pools that are made, shared, reset and ended, limits that are reached. Each
 * thread checks what it owns; at the end nothing is live, and releases equal allocations.
 *
 *     calls [ROUNDS] [SEED]
 *
 * Work is counted, not timed.
 */
#include <numarena/numarena.h>
#include <pthread.h>
#include <stdatomic.h>

#include "support/check.h"

#define MIB    ((size_t)1 << 20)
#define SHARED 512

static size_t rounds = 40;
static uint64_t seed = 1;
static _Atomic int working;
static memory_pool_t *common;
static _Atomic(unsigned char *) shared[SHARED];

/* A block that carries its size, so that any thread can check it. */
static unsigned char *fill(unsigned char *p, size_t size)
{
	if (!p)
		return NULL;
	memcpy(p, &size, sizeof(size));
	check_fill(p, sizeof(size), size < 4096 ? size : 4096, size);
	return p;
}

static void check_and_return(unsigned char *p)
{
	size_t size, end;

	if (!p)
		return;
	memcpy(&size, p, sizeof(size));
	end = size < 4096 ? size : 4096;
	CHECK_EQ(check_filled(p, sizeof(size), end, size), end);
	CHECK(allocation_size(p) >= size);
	return_to_pool(p);
}

/* Blocks of the default pool and of a named one, through a table that all share. */
static void *exchange(void *number)
{
	uint64_t random = seed * 100 + (uintptr_t)number;

	for (size_t i = 0; i < rounds * 500; i++) {
		size_t size = 8 + check_random(&random) % (i % 200 == 0 ? 2 * MIB : i % 10 ? 500 : 40000);
		unsigned char *p = i % 3 ? allocate_from_pool(size) : allocate_from(common, size);

		if (p && i % 17 == 0) {
			unsigned char *q = resize_in_pool(p, size * 2);

			p = q ? q : p; /* under a limit it may fail, and leave the block */
		}
		fill(p, size);
		check_and_return(
			atomic_exchange_explicit(&shared[check_random(&random) % SHARED], p, memory_order_acq_rel));
	}
	working--;
	return NULL;
}

/* Named pools of one thread's own: made, filled, emptied one by one or at once, ended. */
static void *own_pools(void *number)
{
	uint64_t random = seed * 200 + (uintptr_t)number;

	for (size_t i = 0; i < rounds * 2; i++) {
		named_pool_config_t config = { .name = "own", .node = MEMORY_NODE_ANY, .limit = i % 2 ? 3 * MIB : 0 };
		memory_pool_stats_t stats;
		unsigned char *p[150];
		memory_pool_t *pool;

		if (create_memory_pool(&config, &pool)) {
			check_fail(__FILE__, __LINE__, "no pool: %s", last_memory_error_message());
			break;
		}
		for (int reuse = 0; reuse < 2; reuse++) {
			for (int k = 0; k < 150; k++) {
				size_t size = 8 + check_random(&random) % 30000;

				p[k] = fill(allocate_from(pool, size), size);
				CHECK(!p[k] || allocation_pool(p[k]) == pool);
			}
			for (int k = 0; k < 150; k += 1 + reuse)
				check_and_return(p[k]);
			CHECK_EQ(get_memory_pool_statistics(pool, &stats), MEMORY_ERROR_NONE);
			CHECK(stats.peak_bytes >= stats.live_bytes && stats.allocations >= stats.releases);
			CHECK(reuse || stats.live_bytes == 0);
			CHECK_EQ(reset_memory_pool(pool), MEMORY_ERROR_NONE);
		}
		CHECK_EQ(destroy_memory_pool(pool), MEMORY_ERROR_NONE);
	}
	working--;
	return NULL;
}

/* Whoever looks sees figures that make sense. */
static void *look(void *unused)
{
	(void)unused;
	while (working > 0) {
		memory_node_stats_t nodes[8];
		memory_sample_t samples[64];
		memory_pool_stats_t pool;
		static analysis_result_t analysis; /* there is one who looks */
		memory_metrics_t m;
		memory_stats_t s;

		CHECK_EQ(get_memory_metrics(&m), MEMORY_ERROR_NONE);
		CHECK(m.fragmentation >= 0.0 && m.fragmentation <= 1.0 && m.pool_usage <= 1.0);
		CHECK_EQ(analyze_memory_system(&analysis), MEMORY_ERROR_NONE);
		CHECK(analysis.finding_count <= MEMORY_FINDINGS_MAX && analysis.bottlenecks[0]);
		CHECK_EQ(get_memory_statistics(&s), MEMORY_ERROR_NONE);
		CHECK(s.peak_usage >= s.total_allocated);
		CHECK(s.fragmentation >= 0.0 && s.fragmentation <= 1.0);
		CHECK_MSG(s.total_allocated < (size_t)4 << 30, "%zu bytes live", s.total_allocated);
		CHECK(get_memory_node_statistics(nodes, 8) >= 1);
		CHECK(get_memory_samples(samples, 64) <= 512);
		CHECK_EQ(get_memory_pool_statistics(common, &pool), MEMORY_ERROR_NONE);
		CHECK(pool.peak_bytes >= pool.live_bytes);
	}
	return NULL;
}

/* Whoever changes settings disturbs nobody. A limit that cannot be now is BUSY, and nothing else. */
static void *change(void *unused)
{
	uint64_t random = seed * 300;

	(void)unused;
	while (working > 0) {
		memory_pool_config_t config = { .alignment = (size_t)16 << check_random(&random) % 9,
						.block_size = (size_t)4096 << check_random(&random) % 10,
						.total_size = check_random(&random) % 4 ? 0 : 64 * MIB,
						.enable_defragmentation = check_random(&random) % 2,
						.defrag_threshold = 0.3 };
		tracking_config_t tracking = { .track_allocations = check_random(&random) % 2,
					       .track_usage = true,
					       .track_fragmentation = true,
					       .sampling_interval = 1 + (unsigned int)(check_random(&random) % 20) };
		memory_error_t error = initialize_memory_pool(&config);

		CHECK_MSG(error == MEMORY_ERROR_NONE || error == MEMORY_ERROR_BUSY, "%s", memory_error_string(error));
		CHECK_EQ(start_memory_tracking(&tracking), MEMORY_ERROR_NONE);
		switch (check_random(&random) % 4) {
		case 0:
			CHECK_EQ(cleanup_memory_resources(), MEMORY_ERROR_NONE);
			break;
		case 1:
			CHECK_EQ(stop_memory_monitoring(), MEMORY_ERROR_NONE);
			break;
		default:
			flush_memory_pools();
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	void *(*const parts[])(void *) = { exchange, exchange, own_pools, own_pools, look, change };
	named_pool_config_t config = { .name = "common", .node = MEMORY_NODE_ANY };
	pthread_t threads[6];
	memory_stats_t s;

	check_watchdog(300);
	if (argc > 1)
		rounds = strtoul(argv[1], NULL, 10);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	check_case = "calls";
	REQUIRE(create_memory_pool(&config, &common) == MEMORY_ERROR_NONE);
	working = 4;
	for (uintptr_t i = 0; i < 6; i++)
		REQUIRE(pthread_create(&threads[i], NULL, parts[i], (void *)i) == 0);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SHARED; i++)
		check_and_return(shared[i]);
	CHECK_EQ(destroy_memory_pool(common), MEMORY_ERROR_NONE);
	CHECK_EQ(cleanup_memory_resources(), MEMORY_ERROR_NONE);
	flush_memory_pools(); /* in the default block_size's pieces; that which was set last may be too large for some */
	CHECK_EQ(get_memory_statistics(&s), MEMORY_ERROR_NONE);
	CHECK_EQ(s.total_allocated, 0);
	CHECK_EQ(s.reclaimable_bytes, 0);
	return check_result();
}
