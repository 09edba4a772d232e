/* SPDX-License-Identifier: BSD-3-Clause */
/* The system as a whole: up with any of its switches, down in any order and twice, live blocks and the heap untouched. */
#include "api/api.h"

static void a_library_of_this_version(void)
{
	CHECK_MSG(strcmp(memory_system_version(), NA_TEST_VERSION) == 0, "version %s", memory_system_version());
}

static void every_combination_of_switches(void)
{
	for (int bits = 0; bits < 16; bits++) {
		memory_system_config_t config = { .enable_pooling = bits & 1,
						  .enable_monitoring = bits & 2,
						  .enable_optimization = bits & 4 };
		void *p;

		GOOD(initialize_memory_system(&config));
		GOOD(initialize_memory_system(&config));
		p = allocate_from_pool(1000);
		CHECK(p != NULL);
		return_to_pool(p);
		if (bits & 8)
			GOOD(cleanup_memory_resources());
	}
	GOOD(initialize_memory_system(NULL));
	EVENTUALLY(get_memory_samples(NULL, 0) > 0);
	GOOD(cleanup_memory_resources());
}

static void flush(void)
{
	flush_memory_pools();
}

static void compression(void)
{
	GOOD(cleanup_compression());
}

static void monitoring(void)
{
	GOOD(stop_memory_monitoring());
}

static void resources(void)
{
	GOOD(cleanup_memory_resources());
}

static void (*const steps[])(void) = { flush, compression, monitoring, resources };

/* Each order of the four, coded in base 4, repeats included: 256 of them. */
static void cleaning_up_in_any_order_and_twice(void)
{
	unsigned char *small = allocate_from_pool(300), *large = allocate_from_pool(300000),
		      *huge = allocate_from_pool(9 * MIB);

	check_fill(small, 0, 300, 1);
	check_fill(large, 0, 300000, 2);
	check_fill(huge, 0, 20000, 3);
	for (unsigned int order = 0; order < 256; order += api_brief() ? 23 : 1) {
		void *p;

		if (order % 3 == 0)
			GOOD(initialize_memory_system(NULL));
		for (unsigned int i = 0; i < 8; i += 2)
			steps[order >> i & 3]();
		p = allocate_from_pool(order * 1000);
		REQUIRE(p);
		memset(p, 1, order * 1000);
		return_to_pool(p);
	}
	CHECK_EQ(check_filled(small, 0, 300, 1), 300);
	CHECK_EQ(check_filled(large, 0, 300000, 2), 300000);
	CHECK_EQ(check_filled(huge, 0, 20000, 3), 20000);
	CHECK(in_memory_pool(small) && in_memory_pool(large) && in_memory_pool(huge));
	return_to_pool(small);
	return_to_pool(large);
	return_to_pool(huge);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
}

static void cleaning_up_resets_the_configuration(void)
{
	memory_pool_config_t config = { .total_size = 32 * MIB, .alignment = 4096 };
	uintptr_t common = 0;
	void *p[300];

	GOOD(initialize_memory_pool(&config));
	CHECK(api_aligned(p[0] = allocate_from_pool(10), 4096));
	return_to_pool(p[0]);
	REFUSED(allocate_from_pool(40 * MIB), ENOMEM, MEMORY_ERROR_ALLOCATION, "total_size");
	GOOD(cleanup_memory_resources());
	p[0] = allocate_from_pool(40 * MIB);
	CHECK(p[0] != NULL);
	return_to_pool(p[0]);
	for (int i = 0; i < 300; i++)
		common |= (uintptr_t)(p[i] = allocate_from_pool(10));
	CHECK_EQ(common & -common, 64);
	for (int i = 0; i < 300; i++)
		return_to_pool(p[i]);
}

static void cleaning_up_gives_memory_back(void)
{
	memset(allocate_from_pool(100), 1, 100);
	return_to_pool(memset(allocate_from_pool(50 * MIB), 1, 50 * MIB));
	CHECK(api_stats().physical_bytes > 50 * MIB);
	GOOD(cleanup_memory_resources());
	CHECK(api_stats().physical_bytes < 10 * MIB);
	CHECK_EQ(api_stats().reclaimable_bytes, 0);
}

static int ask_for_compression(void *unused)
{
	memory_system_config_t config = { .enable_pooling = true, .enable_compression = true };

	(void)unused;
	GOOD(initialize_memory_system(&config));
	GOOD(initialize_memory_system(&config));
	GOOD(cleanup_compression());
	GOOD(initialize_memory_system(&config));
	return 0;
}

static void compression_says_at_most_what_is_refused(void)
{
	struct child c;

	child_run(ask_for_compression, NULL, &c);
	CHILD_GOOD(&c, "enable_compression");
	CHECK_MSG(child_lines_with(&c, "numarena: ") <= 1, "said: %s", c.text);
}

/* Others allocate all the time, with blocks of their own that must stay what they are. */
static int stopping;

static void *live_through(void *number)
{
	uint64_t random = (uint64_t)(uintptr_t)number;
	unsigned char *p[64] = { NULL };
	size_t size[64] = { 0 };

	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		size_t i = check_random(&random) % 64;

		CHECK_EQ(check_filled(p[i], 0, size[i], i), size[i]);
		return_to_pool(p[i]);
		size[i] = check_random(&random) % (i % 16 ? 3000 : 100000);
		p[i] = allocate_from_pool(size[i]);
		check_fill(p[i], 0, size[i], i);
	}
	for (int i = 0; i < 64; i++)
		return_to_pool(p[i]);
	return NULL;
}

static void *up_and_down(void *number)
{
	for (int i = 0; i < (api_brief() ? 20 : 150); i++) {
		GOOD(initialize_memory_system(NULL));
		steps[((uintptr_t)number + (unsigned int)i) % 4]();
	}
	return NULL;
}

static void up_and_down_while_threads_allocate(void)
{
	pthread_t threads[4];

	for (uintptr_t i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, i < 2 ? up_and_down : live_through, (void *)i) == 0);
	for (int i = 0; i < 4; i++) {
		if (i == 2)
			__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
		pthread_join(threads[i], NULL);
	}
	GOOD(cleanup_memory_resources());
}

/* Registered first, so it runs after every other of this program's exit handlers. */
static void at_the_very_end(void)
{
	void *p = allocate_from_pool(1000);

	if (!p || cleanup_memory_resources() || stop_memory_monitoring())
		_exit(3);
	memset(p, 1, 1000);
	return_to_pool(p);
}

int main(void)
{
	check_watchdog(120);
	atexit(at_the_very_end);
	RUN(a_library_of_this_version);
	RUN(every_combination_of_switches);
	RUN(cleaning_up_in_any_order_and_twice);
	RUN(cleaning_up_resets_the_configuration);
	RUN(cleaning_up_gives_memory_back);
	RUN(compression_says_at_most_what_is_refused);
	RUN(up_and_down_while_threads_allocate);
	return check_result();
}
