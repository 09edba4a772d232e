/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What compaction gives back, and how long its slices are. Movable blocks fill BYTES, all but a share of them are released at random, then
 * slices are made until nothing is left to do, then a whole pass. Physical memory is Pss (/proc/self/smaps_rollup), less what it was before the first
 * block; the table of handles and the headers count.
 *
 *	compaction [BLOCK [SHARE [BYTES [SLICE_US]]]]	(1024 bytes, 0.125, 256 MiB, 200 us)
 *
 * JSON on the last line.
 */
#include <numarena/numarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measures.h"
#include "physical.h"

#define MOST_SLICES 1000000

int main(int argc, char **argv)
{
	size_t block = argc > 1 ? strtoul(argv[1], NULL, 0) : 1024;
	double share = argc > 2 ? atof(argv[2]) : 0.125;
	size_t bytes = (argc > 3 ? strtoul(argv[3], NULL, 0) : 256) << 20, count = bytes / block, live = 0, n = 0;
	defrag_config_t config = { .threshold = 0.01, .slice_time = argc > 4 ? (unsigned int)atoi(argv[4]) : 200 };
	memory_handle_t *handle = calloc(count, sizeof(*handle));
	double *slice = malloc(MOST_SLICES * sizeof(*slice)), empty, full, sparse, sliced, whole, took;
	uint64_t random = 1;
	bool more = true;
	defrag_stats_t stats;

	memset(slice, 0, MOST_SLICES * sizeof(*slice));
	memset(handle, 1, count * sizeof(*handle));
	empty = (double)physical();
	for (size_t i = 0; i < count; i++) {
		handle[i] = allocate_movable(block);
		if (!handle[i])
			return 1;
		memset(pin_memory(handle[i]), 1, block);
		unpin_memory(handle[i]);
	}
	full = (double)physical() - empty;
	for (size_t i = 0; i < count; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		if ((double)(random >> 11) * 0x1p-53 >= share)
			release_movable(handle[i]);
		else
			live += block;
	}
	flush_memory_pools();
	sparse = (double)physical() - empty;
	start_defragmentation(&config);
	for (int idle = 0; idle < 3 && n < MOST_SLICES; idle = more ? 0 : idle + 1) {
		double begin = now_us();

		run_defragmentation_slice(&more);
		slice[n] = now_us() - begin;
		n += more;
	}
	stop_defragmentation();
	flush_memory_pools();
	sliced = (double)physical() - empty;
	took = now_us();
	trigger_defragmentation();
	took = now_us() - took;
	whole = (double)physical() - empty;
	get_defragmentation_statistics(&stats);
	if (!n)
		n = 1;
	qsort(slice, n, sizeof(*slice), ascending);
	printf("blocks of %zu bytes, %.1f%% of %zu MiB live\n", block, share * 100, bytes >> 20);
	printf("physical, of live bytes: %.3f full, %.3f scattered, %.3f after slices, %.3f after a whole pass (less a segment of 32 MiB: "
	       "%.3f)\n",
	       full / (double)live, sparse / (double)live, sliced / (double)live, whole / (double)live,
	       (whole - 33554432.0) / (double)live);
	printf("%zu slices: median %.0f us, 99%% %.0f us, longest %.0f us (%u allowed); %zu blocks moved, the whole pass %.0f us\n",
	       n, slice[n / 2], slice[n * 99 / 100], slice[n - 1], config.slice_time, stats.moved_blocks, took);
	printf("{\"pattern\":\"compaction\",\"block\":%zu,\"share\":%.3f,\"scattered\":%.4f,\"sliced\":%.4f,\"whole\":%.4f,\"slices\":%zu,"
	       "\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n",
	       block, share, sparse / (double)live, sliced / (double)live, whole / (double)live, n, slice[n / 2],
	       slice[n * 99 / 100], slice[n - 1]);
	return 0;
}
