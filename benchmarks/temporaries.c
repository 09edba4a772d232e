/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large temporaries of a time step: a hydrodynamics code allocates its work arrays, 64 KiB to 64 MiB, at the beginning of
 * each step and frees them at the end, with the sizes drifting a little as the mesh changes. An allocator that
 * unmaps them pays a page fault for each 4 KiB in every step. All of every array is written and read, the thread count divides
 * the sizes (a domain is cut into parts), and the faults after the second step are in the result ("late_faults"), beside
 * the pages by which arrays were then longer than ever before ("fresh_pages"): those nobody can have touched yet.
 *   drifting  as above
 *   steady    the sizes are the same in each step
 */
#include "bench.h"

#include <stdatomic.h>

enum { DRIFTING, STEADY, ARRAYS = 14 };

static atomic_long early_faults, fresh_pages;

static long pages(size_t size)
{
	return (long)((size + 4095) / 4096);
}

static void work(struct bench_thread *me)
{
	static const size_t kib[ARRAYS] = { 64,	  100,	128,  256,  300,   512,	  1024,
					    1500, 2048, 4096, 7000, 16384, 30000, 65536 };
	long steps = bench_scaled(16, 4), step;
	size_t longest[ARRAYS] = { 0 };
	void *arrays[ARRAYS];
	int i;

	for (step = 0; step < steps; step++) {
		if (me->rank == 0 && step == 2)
			atomic_store(&early_faults, bench_faults());
		for (i = 0; i < ARRAYS; i++) {
			size_t size = kib[i] * 1024 / (size_t)bench.threads;

			/* Drifts by up to 1%, downwards: 64 MiB stays the most. */
			if (size < 65536)
				size = 65536;
			if (bench.mode == DRIFTING)
				size -= (size / 12800 * bench_below(me, 128)) & ~(size_t)15;
			if (size > longest[i]) {
				if (step >= 2)
					atomic_fetch_add(&fresh_pages, pages(size) - pages(longest[i]));
				longest[i] = size;
			}
			arrays[i] = bench_take(me, size);
		}
		for (i = 0; i < ARRAYS; i++)
			bench_read(me, arrays[i]);
		/* The last half in reverse, the first in order: neither a stack nor a queue. */
		for (i = ARRAYS - 1; i >= ARRAYS / 2; i--)
			bench_give(me, arrays[i]);
		for (i = 0; i < ARRAYS / 2; i++)
			bench_give(me, arrays[i]);
	}
}

static void finish(struct bench_thread *me)
{
	(void)me;
	bench_note("late_faults", (double)(bench_faults() - atomic_load(&early_faults)));
	bench_note("fresh_pages", (double)atomic_load(&fresh_pages));
}

static const char *const modes[] = { "drifting", "steady", NULL };

static const struct bench_pattern pattern = {
	.name = "temporaries",
	.about = "Work arrays of 64 KiB to 64 MiB, allocated and freed in every time step.",
	.modes = modes,
	.work = work,
	.finish = finish,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
