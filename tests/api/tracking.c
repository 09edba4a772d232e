/* SPDX-License-Identifier: BSD-3-Clause */
/* Tracking: what is sampled, the series' bounds, starting and stopping in any order, and where no thread may run. */
#include "api/api.h"

enum { ROOM = 4096 };
static memory_sample_t samples[ROOM];

static size_t wait_for_samples(size_t wanted)
{
	EVENTUALLY(get_memory_samples(NULL, 0) >= wanted);
	return get_memory_samples(samples, ROOM);
}

static void wrong_intervals_are_named(void)
{
	tracking_config_t config = { .track_usage = true, .sampling_interval = 3600001 };

	ERROR(start_memory_tracking(&config), MEMORY_ERROR_INVALID_ARGUMENT, "sampling_interval", "3600001", "3600000");
	config.sampling_interval = (unsigned int)-1;
	ERROR(start_memory_tracking(&config), MEMORY_ERROR_INVALID_ARGUMENT, "sampling_interval", "4294967295");
	config.sampling_interval = 3600000;
	GOOD(start_memory_tracking(&config));
	GOOD(stop_memory_monitoring());
}

static void stopping_what_never_ran(void)
{
	GOOD(stop_memory_monitoring());
	GOOD(stop_memory_monitoring());
	CHECK_EQ(get_memory_samples(samples, ROOM), 0);
}

static void the_documented_sample(void)
{
	tracking_config_t config = {
		.track_allocations = true,
		.track_usage = true,
		.track_fragmentation = true,
		.sampling_interval = 100,
	};

	GOOD(start_memory_tracking(&config));
	GOOD(start_memory_tracking(&config));
	CHECK(wait_for_samples(1) >= 1);
	GOOD(stop_memory_monitoring());
}

static void samples_follow_what_is_live(void)
{
	tracking_config_t config = {
		.track_allocations = true, .track_usage = true, .track_fragmentation = true, .sampling_interval = 2
	};
	unsigned char *p = allocate_from_pool(30 * MIB);
	size_t n, with;

	memset(p, 1, 30 * MIB);
	GOOD(start_memory_tracking(&config));
	with = wait_for_samples(5);
	for (size_t i = 0; i < with; i++) {
		CHECK_MSG(samples[i].live_bytes >= 30 * MIB && samples[i].live_bytes < 40 * MIB, "sample %zu: %zu live",
			  i, samples[i].live_bytes);
		CHECK_MSG(samples[i].physical_bytes < 60 * MIB, "sample %zu: %zu physical", i,
			  samples[i].physical_bytes);
		CHECK(samples[i].fragmentation >= 0.0 && samples[i].fragmentation <= 1.0);
	}
	/* The kernel is asked now and then only, where asking is slow. */
	do
		with = wait_for_samples(with + 1);
	while (samples[with - 1].physical_bytes < 30 * MIB);
	return_to_pool(p);
	flush_memory_pools();
	do
		n = wait_for_samples(with + 1);
	while (samples[n - 1].live_bytes >= 30 * MIB || samples[n - 1].physical_bytes >= 30 * MIB);
	for (size_t i = 1; i < n; i++)
		CHECK_MSG(samples[i].seconds > samples[i - 1].seconds, "sample %zu at %g after one at %g", i,
			  samples[i].seconds, samples[i - 1].seconds);
	CHECK(samples[0].seconds > 0.0);
	GOOD(stop_memory_monitoring());
	CHECK(get_memory_samples(samples, ROOM) >= n); /* stays readable */
}

static void physical_alone_is_unavailable_when_not_tracked(void)
{
	tracking_config_t config = { .track_usage = true, .sampling_interval = 3 };
	size_t n;

	GOOD(start_memory_tracking(&config));
	n = wait_for_samples(3);
	for (size_t i = 0; i < n; i++) {
		CHECK(samples[i].live_bytes != MEMORY_METRIC_UNAVAILABLE);
		CHECK_EQ(samples[i].physical_bytes, MEMORY_METRIC_UNAVAILABLE);
		CHECK(isnan(samples[i].fragmentation));
	}
	GOOD(stop_memory_monitoring());
}

static void no_more_samples_than_there_is_room_for(void)
{
	tracking_config_t config = { .track_usage = true, .track_fragmentation = true, .sampling_interval = 1 };
	size_t n;

	GOOD(start_memory_tracking(&config));
	wait_for_samples(5);
	GOOD(stop_memory_monitoring());
	memset(samples, 0x5a, sizeof(samples));
	n = get_memory_samples(samples, 2);
	CHECK(n >= 5);
	CHECK_EQ(samples[2].live_bytes, 0x5a5a5a5a5a5a5a5a);
	CHECK(samples[1].live_bytes != 0x5a5a5a5a5a5a5a5a);
	CHECK_EQ(get_memory_samples(samples, 0), n);
}

/* A millisecond a bin: the series fills, merges and goes on, still in order and bounded. */
static void the_series_is_bounded(void)
{
	tracking_config_t config = { .track_usage = true, .sampling_interval = 1 };
	size_t n, most = 0;
	double end;

	GOOD(start_memory_tracking(&config));
	do {
		n = wait_for_samples(1);
		REQUIRE(n < ROOM);
		if (n > most)
			most = n;
		end = samples[n - 1].seconds;
		usleep(5000);
	} while (end < 1.2);
	CHECK_MSG(most <= 512, "%zu samples", most);
	for (size_t i = 1; i < n; i++)
		CHECK(samples[i].seconds > samples[i - 1].seconds);
	GOOD(stop_memory_monitoring());
}

/* Tracking alters when peaks are seen, not what is counted. */
static void peaks_are_tight(void)
{
	tracking_config_t config = { .track_allocations = true };
	enum { N = 5000 };
	static void *p[N];
	size_t bytes = 0, live = api_stats().total_allocated, peak;

	GOOD(start_memory_tracking(&config));
	for (int i = 0; i < N; i++)
		bytes += allocation_size(p[i] = allocate_from_pool(1000));
	for (int i = 0; i < N; i++)
		return_to_pool(p[i]);
	peak = api_stats().peak_usage;
	CHECK_MSG(peak + 64 * 1024 >= live + bytes, "peak %zu, but %zu were live", peak, live + bytes);
	GOOD(stop_memory_monitoring());
}

static void *start_and_stop(void *number)
{
	for (int i = 0; i < (api_brief() ? 10 : 400); i++) {
		tracking_config_t config = { .track_usage = true,
					     .track_fragmentation = i % 2,
					     .sampling_interval =
						     1 + ((unsigned int)(uintptr_t)number + (unsigned int)i) % 5 };
		memory_sample_t own[20];

		GOOD(start_memory_tracking(i % 10 ? &config : NULL));
		return_to_pool(allocate_from_pool(5000));
		get_memory_samples(own, 20);
		GOOD(stop_memory_monitoring());
	}
	return NULL;
}

static void threads_start_and_stop_at_once(void)
{
	pthread_t threads[4];

	for (uintptr_t i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, start_and_stop, (void *)i) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	GOOD(start_memory_tracking(NULL));
	CHECK(wait_for_samples(2) >= 2); /* still works */
	GOOD(stop_memory_monitoring());
}

static int in_child(void *unused)
{
	(void)unused;
	GOOD(start_memory_tracking(NULL));
	CHECK(wait_for_samples(2) >= 2);
	GOOD(stop_memory_monitoring());
	return 0;
}

/* The thread that samples is not in a forked child, so a child that tracks gets its own. */
static void a_forked_child_tracks_too(void)
{
	struct child c;

	GOOD(start_memory_tracking(NULL));
	wait_for_samples(1);
	child_run(in_child, NULL, &c);
	CHILD_GOOD(&c, "tracking in a forked child");
	GOOD(stop_memory_monitoring());
}

static void without_a_background_thread(void)
{
	memory_pool_config_t pool = { .enable_monitoring = true };

	ERROR(start_memory_tracking(NULL), MEMORY_ERROR_PERMISSION, "NUMARENA_BACKGROUND");
	ERROR(initialize_memory_pool(&pool), MEMORY_ERROR_PERMISSION, "NUMARENA_BACKGROUND");
	ERROR(initialize_memory_system(NULL), MEMORY_ERROR_PERMISSION, "NUMARENA_BACKGROUND");
	CHECK_EQ(get_memory_samples(samples, ROOM), 0);
	/* What needs no thread works: tight peaks, and memory that is given back when asked. */
	GOOD(start_memory_tracking(&(tracking_config_t){ .track_allocations = true }));
	return_to_pool(memset(allocate_from_pool(40 * MIB), 1, 40 * MIB));
	flush_memory_pools();
	CHECK(api_stats().physical_bytes < 10 * MIB);
	GOOD(stop_memory_monitoring());
}

static void where_no_thread_may_run(void)
{
	struct child c;

	api_again("background", (const char *const[]){ "NUMARENA_BACKGROUND=0", NULL }, &c);
	CHILD_GOOD(&c, "NUMARENA_BACKGROUND=0");
}

int main(int argc, char **argv)
{
	check_watchdog(100);
	if (argc > 1 && strcmp(argv[1], "background") == 0) {
		RUN(without_a_background_thread);
		return check_result();
	}
	RUN(stopping_what_never_ran);
	RUN(wrong_intervals_are_named);
	RUN(the_documented_sample);
	RUN(samples_follow_what_is_live);
	RUN(physical_alone_is_unavailable_when_not_tracked);
	RUN(no_more_samples_than_there_is_room_for);
	RUN(the_series_is_bounded);
	RUN(peaks_are_tight);
	RUN(threads_start_and_stop_at_once);
	RUN(a_forked_child_tracks_too);
	RUN(where_no_thread_may_run);
	return check_result();
}
