/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a pin of a movable block costs: pairs of pin and unpin, with a load from the block, against the same with a count of references in
 * an entry of a table (one atomic addition to pin, one to unpin, the usual way), and against a load through the table without any protection.
 * Blocks are few enough for the first-level cache: what is measured is the protocol.
 *
 *	pins [BLOCKS [THREADS [ROUNDS]]]		(16, 1, 9)
 *
 * All ways take turns in each round; medians and the spread between quartiles, in nanoseconds a pair. JSON on the last line.
 */
#include <numarena/numarena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measures.h"

#define PAIRS	2000000
#define MOST	64
#define WAYS	6
#define THREADS 64

/* As a library with counts would have it. */
struct counted {
	_Atomic(void *) where;
	_Atomic uint64_t references;
};

static struct counted *table;
static memory_handle_t handles[MOST];
static int blocks = 16, threads = 1, rounds = 9;
static pthread_barrier_t barrier;
static double result[WAYS][64];
static uint64_t sink[THREADS * 16];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t plain(void)
{
	uint64_t sum = 0;
	const int mask = blocks - 1;

	for (int i = 0; i < PAIRS; i++) {
		struct counted *c = &table[i & mask];

		sum += *(uint64_t *)atomic_load_explicit(&c->where, memory_order_acquire);
	}
	return sum;
}

static uint64_t counts(void)
{
	uint64_t sum = 0;
	const int mask = blocks - 1;

	for (int i = 0; i < PAIRS; i++) {
		struct counted *c = &table[i & mask];

		atomic_fetch_add_explicit(&c->references, 1, memory_order_acquire);
		sum += *(uint64_t *)atomic_load_explicit(&c->where, memory_order_acquire);
		atomic_fetch_sub_explicit(&c->references, 1, memory_order_release);
	}
	return sum;
}

static uint64_t pins(void)
{
	uint64_t sum = 0;
	const int mask = blocks - 1;

	for (int i = 0; i < PAIRS; i++) {
		memory_handle_t h = handles[i & mask];

		sum += *(uint64_t *)pin_memory(h);
		unpin_memory(h);
	}
	return sum;
}

/* A stencil's: seven at once. */
static uint64_t nested(void)
{
	uint64_t sum = 0;
	const int mask = blocks - 1;

	for (int i = 0; i < PAIRS; i += 7) {
		for (int k = 0; k < 7; k++)
			sum += *(uint64_t *)pin_memory(handles[(i + k) & mask]);
		for (int k = 0; k < 7; k++)
			unpin_memory(handles[(i + k) & mask]);
	}
	return sum;
}

static uint64_t calls(void)
{
	uint64_t sum = 0;
	const int mask = blocks - 1;

	for (int i = 0; i < PAIRS; i++) {
		memory_handle_t h = handles[i & mask];

		sum += *(uint64_t *)pin_movable(h);
		unpin_movable(h);
	}
	return sum;
}

static uint64_t shared(void)
{
	uint64_t sum = 0;
	const int mask = blocks - 1;

	for (int i = 0; i < PAIRS; i++) {
		memory_handle_t h = handles[i & mask];

		sum += *(uint64_t *)pin_memory_shared(h);
		unpin_memory(h);
	}
	return sum;
}

static const struct {
	const char *name;
	uint64_t (*run)(void);
} ways[WAYS] = { { "unprotected", plain }, { "reference count", counts }, { "pin", pins },
		 { "seven pins at once", nested }, { "pin by call", calls }, { "shared pin", shared } };

static void *work(void *rank)
{
	for (int r = 0; r < rounds; r++)
		for (int w = 0; w < WAYS; w++) {
			double begin;

			pthread_barrier_wait(&barrier);
			begin = now();
			sink[(intptr_t)rank * 16] += ways[w].run();
			pthread_barrier_wait(&barrier);
			if (!rank)
				result[w][r] = (now() - begin) / PAIRS;
		}
	return NULL;
}

static void print(void)
{
	double median[WAYS];

	for (int w = 0; w < WAYS; w++) {
		qsort(result[w], (size_t)rounds, sizeof(double), ascending);
		median[w] = result[w][rounds / 2];
		printf("%-20s %7.2f ns a pair (quartiles %.2f to %.2f)\n", ways[w].name, median[w],
		       result[w][rounds / 4], result[w][rounds * 3 / 4]);
	}
	printf("{\"pattern\":\"pins\",\"blocks\":%d,\"threads\":%d,\"pair_ns\":%.3f,\"count_ns\":%.3f,"
	       "\"nested_ns\":%.3f,\"call_ns\":%.3f,\"shared_ns\":%.3f,\"unprotected_ns\":%.3f}\n",
	       blocks, threads, median[2], median[1], median[3], median[4], median[5], median[0]);
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS];

	blocks = argc > 1 ? atoi(argv[1]) : blocks;
	threads = argc > 2 ? atoi(argv[2]) : threads;
	rounds = argc > 3 ? atoi(argv[3]) : rounds;
	if (blocks < 1 || blocks > MOST || (blocks & (blocks - 1)) || threads < 1 || threads > THREADS || rounds < 1 ||
	    rounds > 64) {
		fprintf(stderr, "usage: pins [BLOCKS (a power of two up to %d) [THREADS [ROUNDS]]]\n", MOST);
		return 2;
	}
	table = aligned_alloc(64, MOST * sizeof(*table));
	for (int i = 0; i < blocks; i++) {
		handles[i] = allocate_movable(64);
		if (!handles[i])
			return 1;
		memset(pin_memory(handles[i]), i, 64);
		table[i].where = pin_memory_shared(handles[i]);
		unpin_memory(handles[i]);
	}
	pthread_barrier_init(&barrier, NULL, (unsigned int)threads);
	for (intptr_t i = 1; i < threads; i++)
		pthread_create(&thread[i], NULL, work, (void *)i);
	work(NULL);
	for (int i = 1; i < threads; i++)
		pthread_join(thread[i], NULL);
	print();
	return 0;
}
