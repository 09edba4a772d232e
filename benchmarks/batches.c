/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Batches: a thousand blocks of small sizes are taken, then all freed: in the order of their allocation (a queue, a
 * list that is walked), in reverse (a stack, nested scopes), or shuffled (a hash table, a sorted container). The
 * order decides how well an allocator's free lists keep neighbours together.
 */
#include "bench.h"

enum { FORWARD, REVERSE, SHUFFLED, BATCH = 1000 };

static void work(struct bench_thread *me)
{
	long batches = bench_scaled(12000, 4);
	void *blocks[BATCH];
	long b;
	int i;

	for (b = 0; b < batches; b++) {
		for (i = 0; i < BATCH; i++)
			blocks[i] = bench_take(me, bench_small_size(me, 512));
		if (bench.mode == SHUFFLED)
			bench_shuffle(me, blocks, BATCH);
		for (i = 0; i < BATCH; i++)
			bench_give(me, blocks[bench.mode == REVERSE ? BATCH - 1 - i : i]);
	}
}

static const char *const modes[] = { "forward", "reverse", "shuffled", NULL };

static const struct bench_pattern pattern = {
	.name = "batches",
	.about = "Batches of 1000 small blocks, freed in order, in reverse, or shuffled.",
	.modes = modes,
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
