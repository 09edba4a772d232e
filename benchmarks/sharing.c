/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * False sharing: does the allocator put small blocks of different threads into one cache line?
 *   active   each thread allocates a counter, writes it many times, frees it, and again
 *   passive  the main thread allocates a counter for each thread and hands them out; a thread writes it, frees it, and
 *            goes on with counters of its own: an allocator that reuses the handed-out slots as they come spreads the
 *            main thread's line over all threads
 * After Berger's cache-thrash and cache-scratch. With one thread it costs next to nothing and is a base line.
 */
#include "bench.h"

enum { ACTIVE, PASSIVE, SIZE = 8, WRITES = 20000 };

static volatile uint64_t *handed[BENCH_THREADS_MAX];

static void count(struct bench_thread *me, volatile uint64_t *counter)
{
	int i;

	for (i = 0; i < WRITES; i++)
		*counter += 1;
	me->errors += *counter != WRITES;
	me->checksum += *counter;
	me->operations++;
	free((void *)counter);
}

static void work(struct bench_thread *me)
{
	long rounds = bench_scaled(30000, 4) / bench.threads, r;
	volatile uint64_t *counter = bench.mode == PASSIVE ? handed[me->rank] : NULL;

	for (r = 0; r < rounds; r++) {
		if (!counter)
			counter = malloc(SIZE);
		if (!counter)
			bench_fail("malloc(%d) failed", SIZE);
		*counter = 0;
		count(me, counter);
		counter = NULL;
	}
	if (counter)
		free((void *)counter);
}

static void prepare(void)
{
	int i;

	for (i = 0; bench.mode == PASSIVE && i < bench.threads; i++) {
		handed[i] = malloc(SIZE);
		if (!handed[i])
			bench_fail("malloc(%d) failed", SIZE);
	}
}

static const char *const modes[] = { "active", "passive", NULL };

static const struct bench_pattern pattern = {
	.name = "sharing",
	.about = "Counters of 8 bytes, one a thread: do they share a cache line?",
	.modes = modes,
	.prepare = prepare,
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
