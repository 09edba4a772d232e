/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an operation costs each thread while others do the same beside it, with nothing shared between them: every thread
 * replaces random blocks of its own, 512 of 16 bytes to 1 KiB. The result is "cpu_ns": processor time of all threads over their
 * operations, an operation being one malloc and one free. It is flat over the thread count in an allocator without
 * locks, shared lines or work at thread switches, as far as the machine lets it:
 *   malloc   the work itself
 *   control  the same loop and the same writes into 512 places that no allocator gives out. Where this one rises,
 *            the machine does (shared caches, the clock rate, what a switch of threads costs), not the allocator.
 */
#include "bench.h"

#include <time.h>

enum { MALLOC, CONTROL, LIVE = 512, MOST = 1024, WARM = 20000 };

static uint64_t nanoseconds[BENCH_THREADS_MAX];

static uint64_t thread_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void with_malloc(struct bench_thread *me, void **blocks, long operations)
{
	long r;
	size_t i;

	for (r = 0; r < operations; r++) {
		i = bench_below(me, LIVE);
		bench_give(me, blocks[i]);
		blocks[i] = bench_take(me, bench_small_size(me, MOST));
	}
}

static void without(struct bench_thread *me, void **blocks, long operations)
{
	size_t i, size;
	long r;

	for (r = 0; r < operations; r++) {
		i = bench_below(me, LIVE);
		bench_check(me, blocks[i]);
		size = bench_small_size(me, MOST);
		bench_mark(blocks[i], (bench_random(me) << 32) | size, size);
		me->operations++;
	}
}

static void work(struct bench_thread *me)
{
	void (*loop)(struct bench_thread *, void **, long) = bench.mode == MALLOC ? with_malloc : without;
	char *places = bench.mode == CONTROL ? malloc((size_t)LIVE * MOST) : NULL;
	void *blocks[LIVE];
	uint64_t began;
	size_t i;

	if (bench.mode == CONTROL && !places)
		bench_fail("no memory for the places");
	for (i = 0; i < LIVE; i++)
		blocks[i] = places ? bench_mark(places + i * MOST, ((uint64_t)i << 32) | 16, 16) : bench_take(me, 16);
	loop(me, blocks, WARM);
	me->operations = 0;
	began = thread_time();
	loop(me, blocks, bench_scaled(500000, 1000));
	nanoseconds[me->rank] = thread_time() - began;
	for (i = 0; i < LIVE && !places; i++)
		bench_give(me, blocks[i]);
	free(places);
}

static void finish(struct bench_thread *me)
{
	uint64_t sum = 0;
	int i;

	(void)me;
	for (i = 0; i < bench.threads; i++)
		sum += nanoseconds[i];
	bench_note("cpu_ns", (double)sum / ((double)bench.threads * (double)bench_scaled(500000, 1000)));
}

static const char *const modes[] = { "malloc", "control", NULL };

static const struct bench_pattern pattern = {
	.name = "scaling",
	.about = "Processor time of an operation while other threads do the same, sharing nothing.",
	.modes = modes,
	.work = work,
	.finish = finish,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
