/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork in a process whose threads are in the middle of every kind of call: the child, which has none of those
 * threads, must be able to make each call itself. A lock that was left out shows as a child that hangs.
 */
#include "api/api.h"

static memory_pool_t *common;
static int stopping;

static void allocate(uint64_t *random)
{
	size_t size = check_random(random) % 5000;

	return_to_pool(memset(allocate_from_pool(size), 1, size));
	return_to_pool(allocate_from_pool(200000));
}

static void use_named_pool(uint64_t *random)
{
	return_to_pool(allocate_from(common, check_random(random) % 60000));
}

static void make_pool(uint64_t *random)
{
	named_pool_config_t config = { .name = "brief", .node = MEMORY_NODE_ANY };
	memory_pool_t *pool;

	if (create_memory_pool(&config, &pool) == MEMORY_ERROR_NONE) {
		return_to_pool(allocate_from(pool, check_random(random) % 5000));
		destroy_memory_pool(pool);
	}
}

static void look(uint64_t *random)
{
	memory_pool_stats_t pool;
	memory_stats_t stats;

	GOOD(get_memory_statistics(&stats));
	GOOD(get_memory_pool_statistics(common, &pool));
	check_random(random);
}

static void configure(uint64_t *random)
{
	memory_pool_config_t config = { .alignment = (size_t)16 << check_random(random) % 9 };

	GOOD(initialize_memory_pool(&config));
	flush_memory_pools();
}

static void track(uint64_t *random)
{
	memory_sample_t samples[4];

	GOOD(start_memory_tracking(&(tracking_config_t){ .track_usage = true, .sampling_interval = 1 }));
	get_memory_samples(samples, 4);
	if (check_random(random) % 4 == 0)
		GOOD(stop_memory_monitoring());
}

/* In the child profiles are written as well. */
static void sample(uint64_t *random)
{
	memory_phase_stats_t phases[4];
	memory_class_stats_t classes[4];

	GOOD(start_memory_tracking(&(tracking_config_t){ .sample_bytes = 500 }));
	for (int i = 0; i < 50; i++)
		return_to_pool(allocate_from_pool(check_random(random) % 3000));
	return_to_pool(allocate_from_pool(200000));
	if (begin_memory_phase("sampled") == MEMORY_ERROR_NONE) /* the parent's may be open, as deep as may be */
		end_memory_phase();
	get_memory_phase_statistics(phases, 4);
	get_memory_class_statistics(classes, 4);
	if (check_random(random) % 8 == 0)
		GOOD(write_memory_profile("/dev/null", MEMORY_PROFILE_LIVE, MEMORY_PROFILE_PPROF));
}

static const struct {
	const char *name;
	void (*call)(uint64_t *);
} kinds[] = {
	{ "allocate", allocate }, { "use_named_pool", use_named_pool }, { "make_pool", make_pool },
	{ "look", look },	  { "configure", configure },		{ "track", track },
	{ "sample", sample },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void *repeat(void *kind)
{
	uint64_t random = (uintptr_t)kind;

	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED))
		kinds[(uintptr_t)kind].call(&random);
	return NULL;
}

static int each_once(void *kind)
{
	uint64_t random = 1000;

	alarm(20);
	for (int i = 0; i < 3; i++)
		kinds[(uintptr_t)kind].call(&random);
	return 0;
}

/* The children do what the threads do, so that its locks are the likely ones. The first that hangs ends the case. */
static void children_call(uintptr_t kind)
{
	pthread_t threads[2];
	struct child c;

	stopping = 0;
	for (int i = 0; i < 2; i++)
		REQUIRE(pthread_create(&threads[i], NULL, repeat, (void *)kind) == 0);
	for (int i = 0; i < 40 && check_failures == 0; i++) {
		child_run(each_once, (void *)kind, &c);
		CHILD_GOOD(&c, "a child");
	}
	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	named_pool_config_t config = { .name = "common", .node = MEMORY_NODE_ANY };

	check_watchdog(200);
	GOOD(create_memory_pool(&config, &common));
	for (uintptr_t kind = 0; kind < KINDS; kind++) {
		check_case = kinds[kind].name;
		children_call(kind);
	}
	GOOD(cleanup_memory_resources());
	return check_result();
}
