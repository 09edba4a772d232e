/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pairs of malloc and free of one size: the temporary that a function takes and gives back before it returns.
 * Nothing is live but that one block, so this is the price of the fast path and of nothing else. Four sizes, one
 * after another, because allocators differ in where "small" ends.
 */
#include "bench.h"

static void work(struct bench_thread *me)
{
	static const size_t sizes[] = { 16, 64, 256, 1024 };
	long pairs = bench_scaled(24000000, 1000);
	size_t s;
	long i;

	for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (i = 0; i < pairs / 4; i++) {
			uint64_t *block = malloc(sizes[s]);

			if (!block)
				bench_fail("malloc(%zu) failed", sizes[s]);
			block[0] = (uint64_t)i;
			bench_escape(block);
			me->checksum += block[0];
			free(block);
		}
		me->operations += (uint64_t)(pairs / 4);
	}
}

static const struct bench_pattern pattern = {
	.name = "pairs",
	.about = "Pairs of malloc and free of one size at a time: a function's temporary.",
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
