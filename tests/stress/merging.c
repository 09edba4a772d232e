/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages are merged while a program lives on: four threads allocate, write, resize and free blocks of two named pools and of hints, and remember what each block holds.
 * Every now and then they meet, and while nobody writes one of them asks for a pass of defragmentation. No pointer and no byte may change, all metadata
 * must agree, and pages must really have been merged. Between passes they grow and shrink in turn, so that spans become sparse in every way.
 *
 *	merging [thousands of operations] [seed]
 *
 * Exits with 0, or says what was wrong; skips only where this machine or its settings forbid merging, which is looked up here and not taken on the library's word.
 */
#include <numarena/numarena.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHADOW_NAME "merging"
#include "shadow.h"

#define THREADS 4
#define BLOCKS	12000 /* of a thread */
#define ROUND	20000 /* operations of a thread between two meetings */

static struct block blocks[THREADS][BLOCKS];
static memory_pool_t *pools[2];
static pthread_barrier_t barrier;
static uint64_t operations;
static size_t most_merged;

static void *take(uint64_t *state, size_t size)
{
	const memory_hints_t hints = { .lifetime = LIFETIME_LONG };
	uint64_t which = next(state) % 3;

	return which < 2 ? allocate_from(pools[which], size) : optimized_allocate(size, &hints);
}

/* One operation on a block of the thread's; `grow` of 100 make one where there is none. */
static void operate(struct block *b, uint64_t *state, uint64_t grow)
{
	uint64_t what = next(state);

	if (!b->p) {
		if (what % 100 >= grow)
			return;
		b->words = (uint32_t)(size_of(state) / 8);
		b->p = take(state, b->words * 8);
		if (!b->p)
			fail("no memory", NULL);
		fill(b, what);
		return;
	}
	verify(b);
	if (what % 100 >= grow) {
		return_to_pool(b->p);
		b->p = NULL;
	} else if (what % 7 == 0) {
		uint32_t words = (uint32_t)(size_of(state) / 8), kept = words < b->words ? words : b->words;
		uint64_t *p = resize_in_pool(b->p, words * 8);

		if (!p)
			fail("no memory", NULL);
		b->p = p;
		b->words = kept;
		verify(b);
		b->words = words;
		fill(b, what);
	} else {
		fill(b, what);
	}
}

static void verify_all(int t)
{
	for (int i = 0; i < BLOCKS; i++)
		if (blocks[t][i].p)
			verify(&blocks[t][i]);
}

/* While all stand still. */
static void pass(uint64_t round)
{
	defrag_stats_t stats;
	bool more = round % 2;
	int status;

	/* In slices first, a few of them or all: what they have planned is overtaken by the round to come, or by the whole pass. */
	for (uint64_t i = 0; more && i < round * 50; i++)
		run_defragmentation_slice(&more);
	if (round % 4 != 1 && trigger_defragmentation() != MEMORY_ERROR_NONE)
		fail("a pass failed", NULL);
	get_defragmentation_statistics(&stats);
	if (stats.merge_addresses > most_merged)
		most_merged = stats.merge_addresses;
	for (int t = 0; t < THREADS; t++)
		verify_all(t);
	if (validate_memory_blocks() != 0)
		fail("metadata disagree", NULL);
	if (round % 8 != 3)
		return;
	switch (fork()) {
	case -1:
		return;
	case 0: /* what the child writes is its own */
		for (int t = 0; t < THREADS; t++)
			for (int i = 0; i < BLOCKS; i++)
				if (blocks[t][i].p) {
					verify(&blocks[t][i]);
					fill(&blocks[t][i], (uint64_t)i);
					if (i % 3 == 0) {
						return_to_pool(blocks[t][i].p);
						blocks[t][i].p = NULL;
					}
				}
		for (int t = 0; t < THREADS; t++)
			verify_all(t);
		_exit(validate_memory_blocks() ? 3 : 0);
	default:
		wait(&status);
		if (status)
			fail("a child ended badly", NULL);
		for (int t = 0; t < THREADS; t++)
			verify_all(t);
	}
}

static void *run(void *argument)
{
	int t = (int)(intptr_t)argument;
	uint64_t state = base_seed * 77 + (uint64_t)t, rounds = operations / THREADS / ROUND;

	for (uint64_t r = 0; r < rounds; r++) {
		/* Filled by two rounds, thinned out by the next ones, and blocks are handed on: whoever frees is not who allocated. */
		uint64_t grow = r % 4 < 2 ? 90 : r % 4 == 2 ? 8 : 20;
		int whose = (t + (int)r) % THREADS;

		for (int i = 0; i < ROUND; i++)
			operate(&blocks[whose][next(&state) % BLOCKS], &state, grow);
		pthread_barrier_wait(&barrier);
		if (t == (int)(r % THREADS))
			pass(r);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	defrag_config_t config = { .strategy = DEFRAG_COORDINATED, .threshold = 0.01 };
	defrag_stats_t stats;
	pthread_t threads[THREADS];

	operations = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1000) * 1000;
	base_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	for (int i = 0; i < 2; i++) {
		named_pool_config_t pool = { .name = i ? "second" : "first", .node = MEMORY_NODE_ANY };

		if (create_memory_pool(&pool, &pools[i]) != MEMORY_ERROR_NONE)
			fail("no pool", NULL);
	}
	start_defragmentation(&config);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (intptr_t t = 0; t < THREADS; t++)
		pthread_create(&threads[t], NULL, run, (void *)t);
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	get_defragmentation_statistics(&stats);
	if (stats.merge_refusal[0] && forbidden()) {
		printf("SKIP: %s\n", forbidden());
		return 77;
	}
	if (stats.merge_refusal[0])
		fail(stats.merge_refusal, NULL);
	if (!most_merged && operations >= 1000000)
		fail("no page was merged", NULL);
	printf("%zu KiB shared pages at most, %zu KiB won in %zu passes\n", most_merged >> 10, stats.merged_bytes >> 10,
	       stats.passes);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < BLOCKS; i++)
			return_to_pool(blocks[t][i].p);
	for (int i = 0; i < 2; i++)
		destroy_memory_pool(pools[i]);
	if (validate_memory_blocks() != 0)
		fail("metadata disagree at the end", NULL);
	stop_defragmentation();
	return 0;
}
