/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Up and down ten thousand times: the documentation's clean-up in each order of its four calls, once and twice, with blocks that live on and
 * others that do not, while threads allocate; and after it the process has no more memory, addresses, mappings, threads or descriptors
 * than after the first hundred.
 */
#include "api/api.h"

#include <dirent.h>
#include <sched.h>

enum { CYCLES = 10000, FIRST = 100, ORDERS = 24 };

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

static void (*const steps[4])(void) = { flush, compression, monitoring, resources };

/* The kth of the 24 orders. */
static void clean_up(unsigned int k)
{
	void (*left[4])(void) = { steps[0], steps[1], steps[2], steps[3] };

	for (unsigned int n = 4; n > 0; n--) {
		unsigned int at = k % n;

		k /= n;
		left[at]();
		left[at] = left[n - 1];
	}
}

struct held {
	size_t live, held, metadata, reserved, system_bytes;
	long mappings, threads, descriptors;
};

static long entries(const char *folder)
{
	DIR *d = opendir(folder);
	long n = 0;

	REQUIRE(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static long lines(const char *path)
{
	FILE *f = fopen(path, "r");
	long n = 0;
	int c;

	REQUIRE(f);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

/* What the last cycle has left. */
static unsigned char *last;
static size_t last_size, last_seed;

static void drop_last(void)
{
	CHECK_EQ(check_filled(last, 0, last_size, last_seed), last_size);
	return_to_pool(last);
	last = NULL;
	last_size = 0;
}

static struct held measure(void)
{
	memory_recovery_stats_t recovery;
	memory_stats_t s;

	drop_last();
	GOOD(cleanup_memory_resources());
	flush_memory_pools();
	s = api_stats();
	GOOD(get_memory_recovery_statistics(&recovery));
	return (struct held){ .live = s.total_allocated,
			      .held = s.held_bytes,
			      .metadata = s.metadata_bytes,
			      .reserved = s.reserved_bytes,
			      .system_bytes = recovery.system_bytes,
			      .mappings = lines("/proc/self/maps"),
			      .threads = entries("/proc/self/task"),
			      .descriptors = entries("/proc/self/fd") };
}

static void compare(const struct held *before, const struct held *after, size_t more)
{
	CHECK_EQ(after->live, before->live);
	CHECK_EQ(after->held, before->held);
	CHECK_EQ(after->system_bytes, 0);
	CHECK_MSG(after->metadata <= before->metadata + more, "%zu bytes of bookkeeping, were %zu", after->metadata,
		  before->metadata);
	CHECK_MSG(after->reserved <= before->reserved, "%zu bytes of addresses, were %zu", after->reserved,
		  before->reserved);
	CHECK_MSG(after->mappings <= before->mappings + 4, "%ld mappings, were %ld", after->mappings,
		  before->mappings); /* neighbours are joined or not as they come */
	CHECK_EQ(after->threads, before->threads);
	CHECK_EQ(after->descriptors, before->descriptors);
}

static void start_up(unsigned int i)
{
	static const recovery_config_t recovery = { .fallback_strategy = FALLBACK_SYSTEM_ALLOC };
	memory_pool_config_t pool = { .alignment = i % 2 ? 4096 : 64, .enable_monitoring = i % 3 == 0 };

	GOOD(initialize_memory_system(NULL));
	if (i % 5 == 0)
		GOOD(initialize_memory_pool(&pool));
	if (i % 4 == 0)
		GOOD(initialize_memory_recovery(&recovery));
}

/* Blocks that are freed before the clean-up, after it, and in the next cycle. */
static void cycle(unsigned int i)
{
	size_t size = i % 64 == 0 ? 3 * MIB : 100 + i % 5000;
	unsigned char *before, *after;

	start_up(i);
	before = allocate_from_pool(size);
	after = allocate_from_pool(size / 2);
	REQUIRE(before && after);
	check_fill(after, 0, size / 2, i);
	return_to_pool(before);
	clean_up(i % ORDERS);
	if (i % 2)
		clean_up((i / 2) % ORDERS);
	drop_last();
	last = after;
	last_size = size / 2;
	last_seed = i;
}

static int stopping;

static void *live_through(void *number)
{
	uint64_t random = (uint64_t)(uintptr_t)number;
	unsigned char *p[32] = { NULL };
	size_t size[32] = { 0 };

	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		size_t i = check_random(&random) % 32;

		CHECK_EQ(check_filled(p[i], 0, size[i], i), size[i]);
		return_to_pool(p[i]);
		size[i] = check_random(&random) % (i % 8 ? 3000 : 100000);
		REQUIRE((p[i] = allocate_from_pool(size[i])) != NULL);
		check_fill(p[i], 0, size[i], i);
		sched_yield();
	}
	for (int i = 0; i < 32; i++)
		return_to_pool(p[i]);
	return NULL;
}

static void with_threads(unsigned int cycles)
{
	pthread_t threads[2];

	__atomic_store_n(&stopping, 0, __ATOMIC_RELAXED);
	for (uintptr_t i = 0; i < 2; i++)
		REQUIRE(pthread_create(&threads[i], NULL, live_through, (void *)(i + 1)) == 0);
	for (unsigned int i = 0; i < cycles; i++)
		cycle(i);
	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void ten_thousand_cycles_leave_nothing(void)
{
	unsigned int cycles = api_brief() ? 200 : CYCLES;
	struct held before, after;

	with_threads(api_brief() ? 50 : 1000);
	for (unsigned int i = 0; i < FIRST; i++)
		cycle(i);
	before = measure();
	for (unsigned int i = 0; i < cycles; i++)
		cycle(i);
	after = measure();
	compare(&before, &after, 0);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
}

static void nor_do_they_while_threads_allocate(void)
{
	struct held before, after;

	with_threads(api_brief() ? 50 : 1000);
	before = measure();
	for (int i = 0; i < (api_brief() ? 1 : 3); i++)
		with_threads(api_brief() ? 50 : 1000);
	after = measure();
	compare(&before, &after, MIB); /* one chunk, if one more thread happened to have a cache at some moment */
}

int main(void)
{
	check_watchdog(300);
	RUN(ten_thousand_cycles_leave_nothing);
	RUN(nor_do_they_while_threads_allocate);
	return check_result();
}
