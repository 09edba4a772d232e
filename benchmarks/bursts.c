/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bursts: long stretches with a small live set, then suddenly 60,000 blocks (about 15 MiB) that are all freed again: reading
 * an input file, a remeshing step, an output step. An allocator that returns everything at once pays page faults in each burst;
 * one that never returns holds the peak for ever. Between bursts the thread goes on in its small live set.
 */
#include "bench.h"

enum { BURST = 60000, QUIET = 200 };

static void quiet(struct bench_thread *me, void **blocks)
{
	int i, r;

	for (r = 0; r < 20000; r++) {
		i = (int)bench_below(me, QUIET);
		bench_give(me, blocks[i]);
		blocks[i] = bench_take(me, bench_small_size(me, 512));
	}
}

static void work(struct bench_thread *me)
{
	long bursts = bench_scaled(80, 2), burst;
	size_t count = bench.scale < 0.02 ? BURST / 10 : BURST;
	void *kept[QUIET], **blocks;
	size_t i;

	for (i = 0; i < QUIET; i++)
		kept[i] = bench_take(me, bench_small_size(me, 512));
	for (burst = 0; burst < bursts; burst++) {
		quiet(me, kept);
		blocks = malloc(count * sizeof(*blocks));
		if (!blocks)
			bench_fail("no memory for the table");
		for (i = 0; i < count; i++)
			blocks[i] = bench_take(me, bench_small_size(me, 8192));
		for (i = 0; i < count; i++)
			bench_give(me, blocks[i]);
		free(blocks);
	}
	for (i = 0; i < QUIET; i++)
		bench_give(me, kept[i]);
}

static const struct bench_pattern pattern = {
	.name = "bursts",
	.about = "Sudden bursts of blocks that are all freed again, with quiet work between them.",
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
