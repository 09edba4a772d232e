/* SPDX-License-Identifier: BSD-3-Clause */
/* Sampling by the documented calls: what is refused, that it starts and stops, and that figures and profiles say what was done. */
#include "api/api.h"

#include <pthread.h>
#include <unistd.h>

static char folder[] = "/tmp/na-profile-XXXXXX", path[100];

static memory_sampling_stats_t sampling(void)
{
	memory_sampling_stats_t s;

	GOOD(get_memory_sampling_statistics(&s));
	return s;
}

static void start(size_t bytes)
{
	tracking_config_t config = { .sample_bytes = bytes };

	GOOD(start_memory_tracking(&config));
	flush_memory_pools(); /* the next allocation of this thread is on the slow path, where it takes that up */
	release_memory(allocate_memory(10));
}

static void wrong_arguments_are_named(void)
{
	tracking_config_t config = { .sample_bytes = ((size_t)1 << 40) + 1 };

	ERROR(start_memory_tracking(&config), MEMORY_ERROR_INVALID_ARGUMENT, "sample_bytes", "1099511627777");
	ERROR(write_memory_profile(NULL, MEMORY_PROFILE_LIVE, MEMORY_PROFILE_PPROF), MEMORY_ERROR_INVALID_ARGUMENT,
	      "path");
	ERROR(write_memory_profile("", MEMORY_PROFILE_LIVE, MEMORY_PROFILE_PPROF), MEMORY_ERROR_INVALID_ARGUMENT,
	      "path");
	ERROR(write_memory_profile(path, (memory_profile_view_t)3, MEMORY_PROFILE_PPROF), MEMORY_ERROR_INVALID_ARGUMENT,
	      "view", "3");
	ERROR(write_memory_profile(path, MEMORY_PROFILE_PEAK, (memory_profile_format_t)2),
	      MEMORY_ERROR_INVALID_ARGUMENT, "format", "2");
	ERROR(write_memory_profile("/nowhere/at/all", MEMORY_PROFILE_PEAK, MEMORY_PROFILE_FOLDED), MEMORY_ERROR_IO,
	      "/nowhere/at/all", "No such file");
	ERROR(get_memory_sampling_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "stats");
	ERROR(get_memory_latency(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "latency");
}

static void before_it_starts_there_is_nothing(void)
{
	memory_latency_t l;

	CHECK_EQ(sampling().samples + sampling().sample_bytes + sampling().stacks, 0);
	GOOD(get_memory_latency(&l));
	CHECK_EQ(l.samples, 0);
	CHECK(isnan(l.mean) && isnan(l.p50) && isnan(l.maximum));
	GOOD(write_memory_profile(path, MEMORY_PROFILE_LIVE, MEMORY_PROFILE_FOLDED));
	CHECK_EQ(unlink(path), 0);
}

static size_t folded_bytes(memory_profile_view_t view, const char *part)
{
	char line[20000];
	size_t sum = 0;
	FILE *f;

	GOOD(write_memory_profile(path, view, MEMORY_PROFILE_FOLDED));
	f = fopen(path, "r");
	REQUIRE(f);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, part))
			sum += strtoull(strrchr(line, ' '), NULL, 10);
	fclose(f);
	CHECK_EQ(unlink(path), 0);
	return sum;
}

__attribute__((noinline)) static void *leak_these(size_t size)
{
	void *volatile p = allocate_memory(size); /* not a tail call */

	return p;
}

static void what_is_live_is_found_where_it_was_allocated(void)
{
	static void *p[4000];
	size_t bytes = 0, found;
	memory_sampling_stats_t s;

	start(10000);
	CHECK_EQ(sampling().sample_bytes, 10000);
	for (int i = 0; i < 4000; i++) {
		p[i] = leak_these((size_t)(i % 100) * 40 + 1);
		bytes += allocation_size(p[i]);
	}
	found = folded_bytes(MEMORY_PROFILE_LIVE, "leak_these");
	/* of 800 samples, within 5 sigma */
	CHECK_MSG(found > bytes * 8 / 10 && found < bytes * 12 / 10, "%zu bytes live, %zu found", bytes, found);
	for (int i = 0; i < 4000; i++)
		release_memory(p[i]);
	CHECK_EQ(folded_bytes(MEMORY_PROFILE_LIVE, "leak_these"), 0);
	CHECK_EQ(folded_bytes(MEMORY_PROFILE_PEAK, "leak_these"), found);
	CHECK_EQ(folded_bytes(MEMORY_PROFILE_ALLOCATIONS, "leak_these"), found);
	s = sampling();
	CHECK(s.samples > 500 && s.dropped_samples == 0 && s.stacks >= 1);
	CHECK(s.peak_bytes >= found && s.live_bytes < found / 10);
}

static void latency_and_lifetimes_are_of_the_samples(void)
{
	memory_lifetime_bin_t bins[100];
	memory_latency_t l;
	size_t n = get_memory_lifetimes(bins, 100), blocks = 0;

	CHECK_EQ(get_memory_lifetimes(NULL, 0), n);
	GOOD(get_memory_latency(&l));
	CHECK_EQ(l.samples, sampling().samples);
	CHECK(l.p50 >= 0 && l.p50 <= l.p90 && l.p90 <= l.p99 && l.p99 <= l.p999 && l.p999 <= l.maximum);
	CHECK(l.mean > 0 && l.mean <= l.maximum);
	CHECK(bins[0].from == 0.0);
	for (size_t i = 0; i < n; i++) {
		CHECK(bins[i].from < bins[i].to && (i == 0 || bins[i].from == bins[i - 1].to));
		blocks += bins[i].blocks;
	}
	CHECK_MSG(blocks > 3000 && blocks < 5500, "%zu blocks", blocks);
}

static void stopping_keeps_what_there_is(void)
{
	size_t before;
	void *p;

	start(1000);
	while (before = sampling().live_samples, p = leak_these(500), sampling().live_samples == before)
		release_memory(p);
	GOOD(stop_memory_monitoring());
	CHECK_EQ(sampling().sample_bytes, 0);
	flush_memory_pools();
	before = sampling().samples;
	for (int i = 0; i < 10000; i++)
		release_memory(allocate_memory(2000));
	CHECK_EQ(sampling().samples, before);
	CHECK(folded_bytes(MEMORY_PROFILE_LIVE, "leak_these") > 0);
	release_memory(p);
	CHECK_EQ(folded_bytes(MEMORY_PROFILE_LIVE, "leak_these"), 0);
}

static void named_pools_take_their_samples_along(void)
{
	named_pool_config_t config = { .name = "sampled", .node = MEMORY_NODE_ANY };
	memory_pool_t *pool;
	size_t before;

	start(1000);
	before = sampling().live_samples;
	GOOD(create_memory_pool(&config, &pool));
	for (int i = 0; i < 1000; i++)
		REQUIRE(allocate_from(pool, (size_t)i * 100));
	CHECK(sampling().live_samples > before + 500);
	GOOD(reset_memory_pool(pool));
	CHECK_EQ(sampling().live_samples, before);
	GOOD(destroy_memory_pool(pool));
	GOOD(stop_memory_monitoring());
}

static void *churn(void *arg)
{
	for (int i = 0; i < 3000; i++)
		release_memory(allocate_memory((size_t)(i % 50) * 100));
	return arg;
}

/* Profiles are written while others sample, and end. */
static void writing_while_others_allocate(void)
{
	pthread_t t[3];

	start(2000);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 3; i++)
			REQUIRE(pthread_create(&t[i], NULL, churn, NULL) == 0);
		GOOD(write_memory_profile(path, MEMORY_PROFILE_PEAK, MEMORY_PROFILE_PPROF));
		for (int i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
	}
	CHECK_EQ(unlink(path), 0);
	GOOD(stop_memory_monitoring());
}

int main(void)
{
	check_watchdog(100);
	REQUIRE(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/profile", folder);
	RUN(wrong_arguments_are_named);
	RUN(before_it_starts_there_is_nothing);
	RUN(what_is_live_is_found_where_it_was_allocated);
	RUN(latency_and_lifetimes_are_of_the_samples);
	RUN(stopping_keeps_what_there_is);
	RUN(named_pools_take_their_samples_along);
	RUN(writing_while_others_allocate);
	CHECK_EQ(rmdir(folder), 0);
	return check_result();
}
