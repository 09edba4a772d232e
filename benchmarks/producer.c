/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Producers and consumers: one thread allocates messages, another frees them, so every free is remote. It stands for
 * task queues, I/O threads and MPI progress threads.
 *   pairs    half the threads produce, each for one consumer
 *   fan-out  one producer, the others consume: one heap is freed into from all sides
 *   fan-in   the others produce for one consumer: one thread frees into many heaps
 *
 * Messages travel in batches of 128 through a bounded queue with a lock: the queue's own price, and the waiting
 * when there are more threads than cores, spread over a batch. The ring bounds what is in flight.
 */
#include "bench.h"

#include <pthread.h>

enum { PAIRS, FAN_OUT, FAN_IN, BATCH = 128, RING = 16 };

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void *ring[RING][BATCH];
	unsigned long put, taken;
	int producers; /* still at work */
};

static struct queue queues[BENCH_THREADS_MAX / 2];

static struct queue *queue_of(const struct bench_thread *me)
{
	return &queues[bench.mode == PAIRS ? me->rank / 2 : 0];
}

static int produces(const struct bench_thread *me)
{
	if (bench.mode == PAIRS)
		return me->rank % 2 == 0;
	return (me->rank == 0) == (bench.mode == FAN_OUT);
}

static void put(struct queue *queue, void *const *batch)
{
	void **place;
	int i;

	pthread_mutex_lock(&queue->lock);
	while (queue->put - queue->taken == RING)
		pthread_cond_wait(&queue->changed, &queue->lock);
	place = queue->ring[queue->put % RING];
	for (i = 0; i < BATCH; i++)
		place[i] = batch[i];
	queue->put++;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

static int take(struct queue *queue, void **batch)
{
	void **place;
	int i, got;

	pthread_mutex_lock(&queue->lock);
	while (queue->put == queue->taken && queue->producers)
		pthread_cond_wait(&queue->changed, &queue->lock);
	got = queue->put != queue->taken;
	if (got) {
		place = queue->ring[queue->taken % RING];
		for (i = 0; i < BATCH; i++)
			batch[i] = place[i];
		queue->taken++;
		pthread_cond_broadcast(&queue->changed);
	}
	pthread_mutex_unlock(&queue->lock);
	return got;
}

static void produce(struct bench_thread *me, struct queue *queue)
{
	int producers = bench.mode == FAN_IN ? bench.threads - 1 : 1;
	long batches = bench_scaled(40000 / producers, 4);
	void *batch[BATCH];
	long b;
	int i;

	for (b = 0; b < batches; b++) {
		for (i = 0; i < BATCH; i++)
			batch[i] = bench_take(me, bench_small_size(me, 512));
		put(queue, batch);
	}
	pthread_mutex_lock(&queue->lock);
	queue->producers--;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

static void work(struct bench_thread *me)
{
	struct queue *queue = queue_of(me);
	void *batch[BATCH];
	int i;

	if (produces(me)) {
		produce(me, queue);
		return;
	}
	while (take(queue, batch))
		for (i = 0; i < BATCH; i++)
			bench_give(me, batch[i]);
}

static void prepare(void)
{
	struct bench_thread rank;
	int i;

	if (bench.mode == PAIRS)
		bench.threads &= ~1;
	for (i = 0; i < BENCH_THREADS_MAX / 2; i++) {
		pthread_mutex_init(&queues[i].lock, NULL);
		pthread_cond_init(&queues[i].changed, NULL);
	}
	for (i = 0; i < bench.threads; i++) {
		rank.rank = i;
		queue_of(&rank)->producers += produces(&rank);
	}
}

static const char *const modes[] = { "pairs", "fan-out", "fan-in", NULL };

static const struct bench_pattern pattern = {
	.name = "producer",
	.about = "Messages allocated by one thread and freed by another, in batches of 128.",
	.modes = modes,
	.least_threads = 2,
	.prepare = prepare,
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
