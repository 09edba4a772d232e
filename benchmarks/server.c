/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server: requests of 16 bytes to 1 KiB sit in one table that all threads share; each operation puts a new block
 * into a random slot and frees the one it finds there, whoever allocated it. After some thousand operations a thread ends
 * and a fresh one takes its place (turnover), so blocks outlive the thread that made them. After Larson and
 * Krishnan's server benchmark. With one thread there is turnover but no concurrency.
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SLOTS = 20000, GENERATION = 20000 };

static _Atomic(void *) slots[SLOTS];

static void *generation(void *argument)
{
	struct bench_thread *me = argument;
	void *block;
	int i;

	for (i = 0; i < GENERATION; i++) {
		block = bench_take(me, bench_small_size(me, 1024));
		/* acq_rel: the block's marks go out with it, and come in with the one found. */
		block = atomic_exchange_explicit(&slots[bench_below(me, SLOTS)], block, memory_order_acq_rel);
		if (block)
			bench_give(me, block);
	}
	return NULL;
}

static void work(struct bench_thread *me)
{
	long generations = bench_scaled(400, 2) / bench.threads + 1;
	struct bench_thread worker;
	pthread_t id;
	long g;

	for (g = 0; g < generations; g++) {
		bench_thread_init(&worker, me->rank + (int)(g + 1) * BENCH_THREADS_MAX);
		if (pthread_create(&id, NULL, generation, &worker))
			bench_fail("cannot start generation %ld", g);
		pthread_join(id, NULL);
		bench_thread_merge(me, &worker);
	}
}

static void finish(struct bench_thread *me)
{
	void *block;
	int i;

	for (i = 0; i < SLOTS; i++) {
		block = atomic_load(&slots[i]);
		if (block)
			bench_give(me, block);
	}
}

static const struct bench_pattern pattern = {
	.name = "server",
	.about = "Random replacement in a table shared by all threads, which end and are replaced.",
	.work = work,
	.finish = finish,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
