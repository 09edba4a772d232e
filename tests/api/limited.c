/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Movable blocks of more than NUMARENA_TOTAL_SIZE, which compress well: every block is had, every pin restores its block, with every byte right, however often they are walked; and
 * statistics say what there is. What was pinned and became an image again leaves holes: chunks must come together before another is to be had.
 */
#include <unistd.h>

#include "api/api.h"

#define BLOCKS 20000
#define SIZE   2000

static memory_handle_t blocks[BLOCKS];
static unsigned int cold_after;

static void walk(void)
{
	size_t refused = 0, wrong = 0;

	for (size_t i = 0; i < BLOCKS; i++) {
		const char *p = pin_memory(blocks[i]);

		refused += !p;
		if (!p)
			continue;
		wrong += p[0] != (char)(i % 100) || p[SIZE / 2] != (char)(i % 100) || p[SIZE - 1] != (char)(i % 100);
		unpin_memory(blocks[i]);
	}
	CHECK_MSG(!refused && !wrong, "%zu pins were refused: %s; %zu blocks are wrong", refused, last_memory_error_message(), wrong);
}

static void they_live_within_the_limit(void)
{
	compression_config_t config = { .algorithm = COMPRESSION_LZ4, .level = COMPRESSION_BALANCED, .min_size = 1024, .cold_after = cold_after };
	movable_stats_t stats;

	GOOD(initialize_memory_compression(&config));
	for (size_t i = 0; i < BLOCKS; i++) {
		void *p;

		blocks[i] = allocate_movable(SIZE);
		CHECK_MSG(blocks[i], "%zu: %s", i, last_memory_error_message());
		REQUIRE(blocks[i]);
		p = pin_memory(blocks[i]);
		REQUIRE(p);
		memset(p, (int)(i % 100), SIZE);
		unpin_memory(blocks[i]);
	}
	for (int i = 0; i < 3; i++)
		walk();
	GOOD(get_movable_statistics(&stats));
	CHECK_EQ(stats.blocks, BLOCKS);
	CHECK_EQ(stats.bytes, BLOCKS * SIZE);
	CHECK(stats.image_blocks > 0 && stats.image_blocks < BLOCKS);
	CHECK_EQ(validate_memory_blocks(), 0);
	for (size_t i = 0; i < BLOCKS; i++)
		GOOD(release_movable(blocks[i]));
	GOOD(get_movable_statistics(&stats));
	CHECK(stats.blocks == 0 && stats.bytes == 0 && stats.image_blocks == 0);
}

static void out_of_memory_says_why(void)
{
	memory_handle_t handle = allocate_movable(1000);

	CHECK(allocate_movable((size_t)64 << 20) == 0);
	CHECK_MSG(strstr(last_memory_error_message(), "total_size"), "%s", last_memory_error_message());
	ERROR(resize_movable(handle, (size_t)64 << 20), MEMORY_ERROR_ALLOCATION, "67108864", "total_size");
	GOOD(release_movable(handle));
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		setenv("NUMARENA_TOTAL_SIZE", "24M", 1);
		execl("/proc/self/exe", argv[0], "limited", (char *)NULL);
		return 1;
	}
	check_watchdog(240);
	if (initialize_memory_compression(NULL) == MEMORY_ERROR_UNSUPPORTED) {
		fprintf(stderr, "SKIP: %s\n", last_memory_error_message());
		return 77;
	}
	RUN(they_live_within_the_limit);
	cold_after = 10; /* while the maintenance thread compresses all the time */
	RUN(they_live_within_the_limit);
	RUN(out_of_memory_says_why);
	return check_result();
}
