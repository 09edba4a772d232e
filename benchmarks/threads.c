/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many short-lived threads: a program that starts a thread for every task, or an OpenMP runtime that ends and restarts its team.
 * Each thread takes 100 blocks, frees 90 and hands ten to the thread that joins it, which frees them. The price of a
 * thread's first allocation and of its end is what counts, and that nothing is lost with it.
 */
#include "bench.h"

#include <pthread.h>

enum { BLOCKS = 100, RESULTS = 10 };

struct task {
	struct bench_thread thread;
	void *results[RESULTS];
};

static void *task_main(void *argument)
{
	struct task *task = argument;
	void *blocks[BLOCKS];
	int i;

	for (i = 0; i < BLOCKS; i++)
		blocks[i] = bench_take(&task->thread, bench_small_size(&task->thread, 1024));
	for (i = RESULTS; i < BLOCKS; i++)
		bench_give(&task->thread, blocks[i]);
	for (i = 0; i < RESULTS; i++)
		task->results[i] = blocks[i];
	return NULL;
}

static void work(struct bench_thread *me)
{
	long tasks = bench_scaled(8000, 8) / bench.threads, t;
	struct task task;
	pthread_t id;
	int i;

	for (t = 0; t < tasks; t++) {
		bench_thread_init(&task.thread, me->rank + (int)(t + 1) * BENCH_THREADS_MAX);
		if (pthread_create(&id, NULL, task_main, &task))
			bench_fail("cannot start task %ld", t);
		pthread_join(id, NULL);
		for (i = 0; i < RESULTS; i++)
			bench_give(me, task.results[i]);
		bench_thread_merge(me, &task.thread);
	}
}

static const struct bench_pattern pattern = {
	.name = "threads",
	.about = "Thousands of threads one after another, each with a hundred blocks.",
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
