/* SPDX-License-Identifier: BSD-3-Clause */
/* Defragmentation as it is configured: by slices on the program's threads or in the background, whole, or when it is asked for. */
#include "api.h"

#include <unistd.h>

#define COUNT 20000

static memory_handle_t blocks[COUNT];

static defrag_stats_t stats(void)
{
	defrag_stats_t s;

	GOOD(get_defragmentation_statistics(&s));
	return s;
}

/* 40 MB of which a tenth lives, scattered. */
static void scatter(void)
{
	for (size_t i = 0; i < COUNT; i++) {
		blocks[i] = allocate_movable(2000);
		REQUIRE(blocks[i]);
		check_fill(pin_memory(blocks[i]), 0, 2000, i);
		GOOD(unpin_memory(blocks[i]));
	}
	for (size_t i = 0; i < COUNT; i++)
		if (i % 10) {
			GOOD(release_movable(blocks[i]));
			blocks[i] = 0;
		}
}

static void gather(void)
{
	for (size_t i = 0; i < COUNT; i += 10) {
		unsigned char *p = pin_memory(blocks[i]);

		CHECK(p && check_filled(p, 0, 2000, i) == 2000);
		GOOD(unpin_memory(blocks[i]));
		GOOD(release_movable(blocks[i]));
	}
	GOOD(trigger_defragmentation());
}

static void arguments(void)
{
	ERROR(start_defragmentation(&(defrag_config_t){ .threshold = 1.5 }), MEMORY_ERROR_INVALID_ARGUMENT, "threshold",
	      "1.500");
	ERROR(start_defragmentation(&(defrag_config_t){ .threshold = -1 }), MEMORY_ERROR_INVALID_ARGUMENT, "threshold");
	ERROR(start_defragmentation(&(defrag_config_t){ .threshold = NAN }), MEMORY_ERROR_INVALID_ARGUMENT, "threshold");
	ERROR(start_defragmentation(&(defrag_config_t){ .strategy = (defrag_strategy_t)7 }),
	      MEMORY_ERROR_INVALID_ARGUMENT, "strategy", "7", "DEFRAG_COORDINATED");
	ERROR(start_defragmentation(&(defrag_config_t){ .max_move_size = 100 }), MEMORY_ERROR_INVALID_ARGUMENT,
	      "max_move_size", "100", "4096");
	ERROR(start_defragmentation(&(defrag_config_t){ .slice_time = 5 }), MEMORY_ERROR_INVALID_ARGUMENT, "slice_time",
	      "5");
	ERROR(get_defragmentation_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "stats");
	CHECK(!stats().running);
	GOOD(stop_defragmentation());
}

/* Bounded slices, until nothing is to be won; then none. */
static void slices(void)
{
	defrag_config_t config = { .threshold = 0.3, .max_move_size = 100000, .slice_time = 100000 };
	defrag_stats_t before, after;
	bool more = true;
	int n = 0;

	scatter();
	GOOD(start_defragmentation(&config));
	before = stats();
	CHECK(before.running);
	while (more && n++ < 10000) {
		defrag_stats_t was = stats();
		movable_stats_t m;

		GOOD(get_movable_statistics(&m));
		GOOD(run_defragmentation_slice(&more));
		CHECK(stats().slices - was.slices <= 1);
	}
	after = stats();
	CHECK(after.slices - before.slices >= 30); /* 4 MB, 100 kB at a time */
	CHECK_EQ(after.passes - before.passes, 1);
	CHECK(after.won_bytes - before.won_bytes > 25 * MIB);
	CHECK(after.moved_bytes - before.moved_bytes <= 5 * MIB);
	for (int i = 0; i < 20; i++)
		GOOD(run_defragmentation_slice(&more));
	CHECK(!more);
	CHECK(stats().passes <= after.passes + 1); /* which won nothing: then none is made */
	GOOD(stop_defragmentation());
	CHECK(!stats().running);
	GOOD(run_defragmentation_slice(&more));
	CHECK(!more);
	gather();
}

/* A program at rest: what it took before it asked for slices is no reason to leave chunks alone that are more than half alive, or to keep free ones for it. */
static void more_than_half_alive(void)
{
	defrag_config_t config = { .threshold = 0.3, .slice_time = 100000 };
	defrag_stats_t before;
	bool more = true;

	for (size_t i = 0; i < COUNT; i++) {
		blocks[i] = allocate_movable(2000);
		REQUIRE(blocks[i]);
	}
	for (size_t i = 0; i < COUNT; i++)
		if (i % 20 >= 11) {
			GOOD(release_movable(blocks[i]));
			blocks[i] = 0;
		}
	before = stats();
	GOOD(start_defragmentation(&config));
	for (int n = 0; more && n < 10000; n++)
		GOOD(run_defragmentation_slice(&more));
	CHECK_MSG(stats().won_bytes - before.won_bytes > 12 * MIB, "%zu bytes won of 17 MiB that are dead", stats().won_bytes - before.won_bytes);
	GOOD(stop_defragmentation());
	for (size_t i = 0; i < COUNT; i++)
		if (blocks[i])
			GOOD(release_movable(blocks[i]));
	GOOD(trigger_defragmentation());
}

/* All is pinned: a pass wins nothing, and is not made again. */
static void futile(void)
{
	defrag_config_t config = { .threshold = 0.3, .slice_time = 100000 };
	size_t passes;
	bool more = true;

	scatter();
	for (size_t i = 0; i < COUNT; i += 10)
		CHECK(pin_memory_shared(blocks[i]) != NULL);
	GOOD(trigger_defragmentation());
	GOOD(start_defragmentation(&config));
	for (int i = 0; i < 100; i++)
		GOOD(run_defragmentation_slice(&more));
	passes = stats().passes;
	for (int i = 0; i < 100; i++)
		GOOD(run_defragmentation_slice(&more));
	CHECK_EQ(stats().passes, passes);
	GOOD(stop_defragmentation());
	for (size_t i = 0; i < COUNT; i += 10)
		GOOD(unpin_memory(blocks[i]));
	gather();
}

static void wait_for(size_t won)
{
	for (int i = 0; i < 5000 && stats().won_bytes < won; i++)
		usleep(2000);
	CHECK(stats().won_bytes >= won);
}

static void in_the_background(void)
{
	defrag_config_t config = { .threshold = 0.3, .enable_background = true };
	size_t before = stats().won_bytes;

	scatter();
	GOOD(start_defragmentation(&config));
	wait_for(before + 25 * MIB);
	GOOD(stop_defragmentation());
	gather();
}

/* The pool's switch does so too. */
static void by_the_pool(void)
{
	memory_pool_config_t config = { .enable_defragmentation = true, .defrag_threshold = 0.3 };
	size_t before = stats().won_bytes;

	scatter();
	GOOD(initialize_memory_pool(&config));
	GOOD(start_memory_tracking(NULL)); /* the thread is there, however little the process holds */
	wait_for(before + 25 * MIB);
	GOOD(stop_memory_monitoring());
	GOOD(initialize_memory_pool(NULL));
	gather();
}

static int logs(void *strategy)
{
	defrag_config_t config = { .threshold = 0.3, .strategy = *(defrag_strategy_t *)strategy, .enable_logging = true };
	bool more;

	scatter();
	GOOD(start_defragmentation(&config));
	GOOD(run_defragmentation_slice(&more));
	if (config.strategy == DEFRAG_COORDINATED) {
		CHECK_EQ(stats().passes, 0); /* none by itself: a slice that was asked for is one, and the whole pass takes its place */
		CHECK(more);
		GOOD(trigger_defragmentation());
	} else {
		CHECK(!more);
	}
	CHECK_EQ(stats().passes, 1);
	CHECK(stats().won_bytes > 25 * MIB);
	return 0;
}

static void whole_passes_and_their_log(void)
{
	static defrag_strategy_t each[] = { DEFRAG_FULL, DEFRAG_COORDINATED };

	for (int i = 0; i < 2; i++) {
		struct child c;

		child_run(logs, &each[i], &c);
		CHILD_GOOD(&c, "a whole pass");
		CHECK_EQ(child_lines_with(&c, "defragmentation: pass 1: "), 1);
		CHECK(strstr(c.text, "won") && strstr(c.text, " us in 1 slices"));
	}
}

int main(void)
{
	check_watchdog(300);
	arguments();
	whole_passes_and_their_log();
	slices();
	more_than_half_alive();
	futile();
	in_the_background();
	by_the_pool();
	CHECK_EQ(validate_memory_blocks(), 0);
	return check_result();
}
