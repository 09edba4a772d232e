/* SPDX-License-Identifier: BSD-3-Clause */
/* usage: indexed [SECONDS]. Threads run the same loops at once, short and long ones, while others ask what was tuned, reset it and change
 * the settings: results stay right. */
#include <numarena/numarena.h>

#include <pthread.h>
#include <time.h>

#include "support/check.h"

enum { TEAM = 4, DATA = 1 << 20, MOST = 300000 };

static double data[DATA];
static int32_t indices[MOST];
static int stop;

struct node {
	struct node *next;
	size_t value;
};

static struct node nodes[20000];
static void *heads[400];

static void count_node(void *node, size_t list, void *sum)
{
	(void)list;
	*(size_t *)sum += ((struct node *)node)->value;
}

static double sum_of(size_t n)
{
	double sum = 0;

	for_each_prefetched (k, n, &data[indices[k]])
		sum += data[indices[k]];
	return sum;
}

static void *work(void *number)
{
	uint64_t random = (uint64_t)(uintptr_t)number;
	double *to = malloc(MOST * sizeof(*to));

	REQUIRE(to);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		size_t n = check_random(&random) % MOST, sum = 0;
		double want = 0;

		CHECK_EQ(kernel_gather_f64_i32(to, data, indices, n), MEMORY_ERROR_NONE);
		for (size_t k = 0; k < n; k++)
			want += to[k];
		CHECK(sum_of(n) == want);
		CHECK_EQ(kernel_walk_lists(heads, 400, offsetof(struct node, next), count_node, &sum), MEMORY_ERROR_NONE);
		CHECK_EQ(sum, 20000);
	}
	free(to);
	return NULL;
}

static void *meddle(void *number)
{
	uint64_t random = (uint64_t)(uintptr_t)number;
	struct timespec pause = { .tv_nsec = 3000000 };
	kernel_tuning_t all[64];

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		cache_config_t config = { .enable_prefetch = check_random(&random) % 4 != 0,
					  .prefetch_distance = check_random(&random) % 3 ? 0 : 40,
					  .optimization_level = (cache_optimization_level_t)(random % 4) };

		CHECK(get_kernel_tuning(all, 64) <= 128);
		if (check_random(&random) % 8 == 0)
			reset_kernel_tuning();
		if (check_random(&random) % 4 == 0)
			CHECK_EQ(initialize_cache_system(&config), MEMORY_ERROR_NONE);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct timespec run = { .tv_sec = argc > 1 ? atoi(argv[1]) : 2 };
	pthread_t threads[TEAM + 1];
	uint64_t random = 5;

	check_watchdog(120);
	for (size_t i = 0; i < DATA; i++)
		data[i] = (double)(i % 16);
	for (size_t k = 0; k < MOST; k++)
		indices[k] = (int32_t)(check_random(&random) % DATA);
	for (size_t i = 0; i < 20000; i++) {
		nodes[i].value = 1;
		nodes[i].next = i + 400 < 20000 ? &nodes[i + 400] : NULL;
		if (i < 400)
			heads[i] = &nodes[i];
	}
	for (uintptr_t i = 0; i < TEAM; i++)
		REQUIRE(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
	REQUIRE(pthread_create(&threads[TEAM], NULL, meddle, (void *)9) == 0);
	nanosleep(&run, NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i <= TEAM; i++)
		pthread_join(threads[i], NULL);
	return check_result();
}
