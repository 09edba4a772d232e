/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mixed small sizes in steady state: each thread keeps 40,000 blocks of 16 bytes to 4 KiB and replaces random
 * ones. It stands for the object soup of any larger program (trees, strings, messages) whose live set exceeds the caches, and all
 * of it stays on the thread that made it.
 */
#include "bench.h"

enum { LIVE = 40000 };

static void work(struct bench_thread *me)
{
	size_t live = (size_t)(bench.scale < 0.02 ? LIVE / 10 : LIVE);
	/* More threads than two share the work of two. */
	long replacements = bench_scaled(bench.threads > 2 ? 10000000 / bench.threads : 5000000, 1000);
	void **blocks = malloc(live * sizeof(*blocks));
	size_t i;
	long r;

	if (!blocks)
		bench_fail("no memory for the table");
	for (i = 0; i < live; i++)
		blocks[i] = bench_take(me, bench_small_size(me, 4096));
	for (r = 0; r < replacements; r++) {
		i = bench_below(me, live);
		bench_give(me, blocks[i]);
		blocks[i] = bench_take(me, bench_small_size(me, 4096));
	}
	for (i = 0; i < live; i++)
		bench_give(me, blocks[i]);
	free(blocks);
}

static const struct bench_pattern pattern = {
	.name = "mixed",
	.about = "Random replacement in a live set of mixed small blocks, all local to their thread.",
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
