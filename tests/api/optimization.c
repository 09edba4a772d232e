/* SPDX-License-Identifier: BSD-3-Clause */
/* Levels and who goes before whom, seen by get_memory_settings() and by what the heap then does; lines and prefetching. */
#include "api/api.h"

static memory_setting_t setting(const char *name)
{
	memory_setting_t all[200];
	size_t n = get_memory_settings(all, 200);

	REQUIRE(n > 10 && n <= 200);
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].name, name) == 0)
			return all[i];
	REQUIRE(!"a setting of that name");
	return all[0];
}

static void expect(const char *name, const char *value, const char *source)
{
	memory_setting_t s = setting(name);

	CHECK_MSG(strcmp(s.value, value) == 0 && strcmp(s.source, source) == 0, "%s is %s (%s), not %s (%s)", name,
		  s.value, s.source, value, source);
}

static void level(optimization_level_t l)
{
	GOOD(initialize_memory_optimization(
		&(optimization_config_t){ .enable_pooling = true, .enable_prefetch = true, .optimization_level = l }));
}

static void a_level_is_a_list_of_settings(void)
{
	for (int round = 0; round < 2; round++) {
		level(OPT_CONSERVATIVE);
		expect("NUMARENA_OPTIMIZATION", "conservative", "program");
		expect("NUMARENA_HUGEPAGES", "auto", "level conservative");
		expect("NUMARENA_DECAY_MS", "5000", "default");
		level(OPT_AGGRESSIVE);
		level(OPT_AGGRESSIVE);
		expect("NUMARENA_HUGEPAGES", "1", "level aggressive");
		expect("NUMARENA_BLOCK_SIZE", "2097152", "level aggressive");
		expect("NUMARENA_DECAY_MS", "30000", "level aggressive");
		level(OPT_BALANCED);
		expect("NUMARENA_HUGEPAGES", "1", "level balanced");
		expect("NUMARENA_BLOCK_SIZE", "4096", "default");
		expect("NUMARENA_DECAY_MS", "5000", "default");
		level(OPT_NONE);
		expect("NUMARENA_HUGEPAGES", "0", "default");
	}
	GOOD(initialize_memory_optimization(NULL));
	expect("NUMARENA_OPTIMIZATION", "balanced", "program");
	GOOD(cleanup_memory_resources());
	expect("NUMARENA_OPTIMIZATION", "none", "default");
	expect("NUMARENA_HUGEPAGES", "0", "default");
}

static void what_the_program_has_set_is_not_a_levels_to_change(void)
{
	memory_pool_config_t pool = { .block_size = 65536, .defrag_threshold = 0.25 };

	GOOD(initialize_memory_pool(&pool));
	level(OPT_AGGRESSIVE);
	expect("NUMARENA_BLOCK_SIZE", "65536", "program");
	expect("NUMARENA_DEFRAG_THRESHOLD", "0.25", "program");
	GOOD(initialize_memory_pool(NULL)); /* what it leaves out is the level's */
	expect("NUMARENA_BLOCK_SIZE", "2097152", "level aggressive");
	expect("NUMARENA_DEFRAG_THRESHOLD", "0.7", "default");
	GOOD(initialize_memory_system(&(memory_system_config_t){ .enable_optimization = true }));
	expect("NUMARENA_OPTIMIZATION", "aggressive", "program");
	GOOD(cleanup_memory_resources());
	GOOD(initialize_memory_system(&(memory_system_config_t){ .enable_optimization = true }));
	expect("NUMARENA_OPTIMIZATION", "balanced", "program");
	expect("NUMARENA_HUGEPAGES", "1", "level balanced");
	GOOD(cleanup_memory_resources());
}

static int in_an_environment(void)
{
	expect("NUMARENA_OPTIMIZATION", "conservative", "environment");
	expect("NUMARENA_HUGEPAGES", "auto", "level conservative");
	expect("NUMARENA_DECAY_MS", "77", "environment");
	expect("NUMARENA_PREFETCH_DISTANCE", "24", "environment");
	CHECK_EQ(PREFETCH_DISTANCE, 24);
	level(OPT_AGGRESSIVE);
	expect("NUMARENA_OPTIMIZATION", "conservative", "environment");
	expect("NUMARENA_HUGEPAGES", "auto", "level conservative");
	expect("NUMARENA_DECAY_MS", "77", "environment");
	GOOD(initialize_cache_system(&(cache_config_t){ .prefetch_distance = 99, .enable_prefetch = true }));
	CHECK_EQ(PREFETCH_DISTANCE, 24);
	GOOD(cleanup_memory_resources());
	expect("NUMARENA_HUGEPAGES", "auto", "level conservative");
	CHECK_EQ(PREFETCH_DISTANCE, 24);
	return check_result();
}

static void the_environment_goes_first(void)
{
	static const char *const settings[] = { "NUMARENA_OPTIMIZATION=conservative", "NUMARENA_DECAY_MS=77",
						"NUMARENA_PREFETCH_DISTANCE=24", NULL };
	struct child c;

	api_again("environment", settings, &c);
	CHILD_GOOD(&c, "");
}

static void what_cannot_be_is_refused(void)
{
	memory_setting_t before = setting("NUMARENA_PREFETCH_DISTANCE");

	ERROR(initialize_memory_optimization(&(optimization_config_t){ .optimization_level = (optimization_level_t)4 }),
	      MEMORY_ERROR_INVALID_ARGUMENT, "optimization_level is 4", "OPT_NONE");
	ERROR(initialize_cache_system(&(cache_config_t){ .optimization_level = (cache_optimization_level_t)-1 }),
	      MEMORY_ERROR_INVALID_ARGUMENT, "optimization_level is -1", "CACHE_OPT_NONE");
	ERROR(initialize_cache_system(&(cache_config_t){ .cache_line_size = 48 }), MEMORY_ERROR_INVALID_ARGUMENT,
	      "cache_line_size is 48");
	ERROR(initialize_cache_system(&(cache_config_t){ .cache_line_size = 8 }), MEMORY_ERROR_INVALID_ARGUMENT,
	      "cache_line_size is 8");
	ERROR(initialize_cache_system(&(cache_config_t){ .cache_line_size = 8192 }), MEMORY_ERROR_INVALID_ARGUMENT,
	      "cache_line_size is 8192");
	ERROR(initialize_cache_system(&(cache_config_t){ .prefetch_distance = 65537 }), MEMORY_ERROR_INVALID_ARGUMENT,
	      "prefetch_distance is 65537");
	expect("NUMARENA_PREFETCH_DISTANCE", before.value, before.source);
}

static void the_distance_follows_its_settings(void)
{
	cache_config_t c = { .enable_prefetch = true, .cache_line_size = 64 };
	size_t derived[4];

	CHECK_EQ(PREFETCH_DISTANCE, 104); /* nothing was measured yet: 100 ns, in whole lines */
	for (int i = 0; i < 4; i++) {
		c.optimization_level = (cache_optimization_level_t)i;
		GOOD(initialize_cache_system(&c));
		derived[i] = PREFETCH_DISTANCE;
		CHECK(derived[i] > 0 && derived[i] % 8 == 0);
	}
	CHECK(derived[1] < derived[0] && derived[0] < derived[2] && derived[2] < derived[3]);
	expect("NUMARENA_PREFETCH_REACH", "300", "level aggressive");
	expect("NUMARENA_ALIGNMENT", "128", "level aggressive");
	c.prefetch_distance = 16;
	GOOD(initialize_cache_system(&c));
	CHECK_EQ(PREFETCH_DISTANCE, 16);
	c.enable_prefetch = false;
	c.monitor_cache_misses = true;
	GOOD(initialize_cache_system(&c));
	CHECK_EQ(PREFETCH_DISTANCE, 0);
	expect("NUMARENA_PREFETCH", "0", "program");
	expect("NUMARENA_MONITOR_CACHE_MISSES", "1", "program");
	GOOD(initialize_cache_system(NULL));
	expect("NUMARENA_CACHE_OPTIMIZATION", "balanced", "program");
	CHECK_EQ(PREFETCH_DISTANCE, derived[2]);
	level(OPT_NONE);
	CHECK_EQ(PREFETCH_DISTANCE, derived[2]);
	GOOD(cleanup_memory_resources());
	CHECK_EQ(PREFETCH_DISTANCE, derived[0]);
}

static void blocks_begin_on_lines(void)
{
	for (size_t line = 16; line <= 4096; line *= 2) {
		GOOD(initialize_cache_system(&(cache_config_t){ .cache_line_size = line }));
		for (size_t size = line; size < 10000; size += 777) {
			char *p = allocate_from_pool(size);

			CHECK(p && align_to_cache_line(p) == p);
			CHECK(align_to_cache_line(p + 1) == p + line);
			CHECK(align_to_cache_line(p + line) == p + line);
			return_to_pool(p);
		}
	}
	GOOD(initialize_cache_system(&(cache_config_t){ .cache_line_size = 256 }));
	expect("NUMARENA_ALIGNMENT", "256", "program");
	GOOD(initialize_memory_pool(NULL));
	for (int i = 0; i < 20; i++)
		CHECK(api_aligned(allocate_from_pool(300), 256));
	GOOD(initialize_cache_system(&(cache_config_t){ .cache_line_size = 64 }));
	expect("NUMARENA_ALIGNMENT", "64", "default");
	GOOD(cleanup_memory_resources());
}

static void prefetching_never_faults(void)
{
	prefetch_next_block(NULL);
	prefetch_next_block((void *)hide((void *)(uintptr_t)0xdeadbeefdeadbeef));
	prefetch_next_block((void *)UINTPTR_MAX);
}

/* Levels change under a running program's feet, and reading loops do not mind. */
static int stop;

static void *read_on(void *unused)
{
	double *p = allocate_zeroed_from_pool(100000);
	double sum = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (size_t i = 0; i < 12500; i++) {
			prefetch_next_block(&p[i + PREFETCH_DISTANCE]);
			sum += p[i];
		}
		return_to_pool(allocate_from_pool(300));
	}
	CHECK(sum == 0);
	return_to_pool(p);
	return unused;
}

static void levels_change_while_threads_run(void)
{
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		REQUIRE(pthread_create(&threads[i], NULL, read_on, NULL) == 0);
	for (int i = 0; i < (api_brief() ? 20 : 300); i++) {
		level((optimization_level_t)(i % 4));
		GOOD(initialize_cache_system(&(cache_config_t){
			.enable_prefetch = i & 1, .optimization_level = (cache_optimization_level_t)(i / 3 % 4) }));
		if (i % 7 == 0)
			GOOD(cleanup_memory_resources());
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	GOOD(cleanup_memory_resources());
}

static int ask_for_compression(void *unused)
{
	optimization_config_t config = { .enable_compression = true, .optimization_level = OPT_AGGRESSIVE };

	(void)unused;
	GOOD(initialize_memory_optimization(&config));
	GOOD(initialize_memory_optimization(&config));
	return 0;
}

static void compression_says_at_most_what_is_refused(void)
{
	struct child c;

	child_run(ask_for_compression, NULL, &c);
	CHILD_GOOD(&c, "enable_compression");
	CHECK_MSG(child_lines_with(&c, "numarena: ") <= 1, "said: %s", c.text);
}

int main(int argc, char **argv)
{
	check_watchdog(120);
	if (argc > 1 && strcmp(argv[1], "environment") == 0)
		return in_an_environment();
	RUN(compression_says_at_most_what_is_refused);
	RUN(the_distance_follows_its_settings);
	RUN(a_level_is_a_list_of_settings);
	RUN(what_the_program_has_set_is_not_a_levels_to_change);
	RUN(the_environment_goes_first);
	RUN(what_cannot_be_is_refused);
	RUN(blocks_begin_on_lines);
	RUN(prefetching_never_faults);
	RUN(levels_change_while_threads_run);
	return check_result();
}
