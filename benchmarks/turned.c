/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the order in which spans give out their slots (src/cache/turns.h) does to merging, and to locality. Two pools of the same blocks, one filled before
 * merging is armed by start_defragmentation(), and so in the order of addresses, one afterwards.
 *
 * Memory: of each pattern of what lives on, Pss after passes until one wins nothing, as a share of before:
 *	random		any, an eighth of all
 *	siblings	the first of every eight
 *	firsts		the first two of every sixteen
 *	halves		32 of every 64, then 32 that go
 *	batches		of a batch of 1000 the first 125
 *	part		all of 64 pools of 1000 blocks each, whose last spans are filled to the same part
 * Touched: physical pages of each number of blocks that are written as they come.
 * Walk: every block is read and written, in the order of allocation, the one pool and the other by turns: nanoseconds a block, median of so many rounds, and the ratio.
 *
 *	turned [BLOCK [MIB [ROUNDS]]]	(64 bytes, 32, 41)
 */
#include <numarena/numarena.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measures.h"
#include "physical.h"

enum pattern { RANDOM, SIBLINGS, FIRSTS, HALVES, BATCHES, PART, PATTERNS };
static const char *const names[PATTERNS] = { "random", "siblings", "firsts", "halves", "batches", "part" };

static size_t block = 64, count;

static bool lives(enum pattern pattern, size_t i)
{
	switch (pattern) {
	case RANDOM:
		return random_next() % 8 == 0;
	case SIBLINGS:
		return i % 8 == 0;
	case FIRSTS:
		return i % 16 < 2;
	case HALVES:
		return i % 64 < 32;
	case BATCHES:
		return i % 1000 < 125;
	default:
		return true;
	}
}

static void fail(const char *what)
{
	fprintf(stderr, "turned: %s\n", what);
	exit(1);
}

static void arm(bool on)
{
	defrag_config_t config = { .strategy = DEFRAG_COORDINATED, .threshold = 0.01 };

	if (on ? start_defragmentation(&config) != 0 : stop_defragmentation() != 0)
		fail("defragmentation does not start or stop");
}

static memory_pool_t *fill(char **at, size_t n, bool armed)
{
	memory_pool_t *pool;

	if (armed)
		arm(true);
	if (create_memory_pool(&(named_pool_config_t){ .name = armed ? "turned" : "plain", .node = MEMORY_NODE_ANY }, &pool))
		fail("no pool");
	for (size_t i = 0; i < n; i++) {
		at[i] = allocate_from(pool, block);
		if (!at[i])
			fail("no memory");
		memset(at[i], (int)i, block);
	}
	return pool;
}

/* Physical memory after passes, as a share of before. */
static double left(char **at, enum pattern pattern, bool armed, double *us, size_t *mappings)
{
	double empty = (double)physical(), before, after, began;
	size_t n = pattern == PART ? 1000 : count, won = 1, merged = 0;
	memory_pool_t *pool[64];
	defrag_stats_t stats;

	for (int k = 0; k < 64; k++) /* of a pool that is not full: many of them */
		pool[k] = k && pattern != PART ? NULL : fill(at, n, armed);
	before = (double)physical() - empty;
	for (size_t i = 0; i < n; i++)
		if (!lives(pattern, i)) {
			return_to_pool(at[i]);
			at[i] = NULL;
		}
	if (!armed)
		arm(true);
	get_defragmentation_statistics(&stats);
	merged = stats.merged_bytes;
	began = now_us();
	for (int passes = 0; won; passes++) {
		trigger_defragmentation();
		if (!passes)
			*us = now_us() - began;
		get_defragmentation_statistics(&stats);
		won = stats.merged_bytes - merged;
		merged = stats.merged_bytes;
	}
	*mappings = stats.merge_mappings;
	for (size_t i = 0; i < n; i++)
		if (at[i] && (at[i][0] != (char)i || at[i][block - 1] != (char)i))
			fail("a block has changed");
	after = (double)physical() - empty;
	arm(false);
	for (int k = 0; k < 64; k++)
		if (pool[k])
			destroy_memory_pool(pool[k]);
	return after / before;
}

static double walk(char **at)
{
	double began = now_us();

	for (size_t i = 0; i < count; i++)
		*(volatile uint64_t *)(void *)at[i] += i;
	return (now_us() - began) * 1e3 / (double)count;
}

/* Lists are walked by what lies in the block: prefetching by address alone helps. */
static double follow(char **at)
{
	char *p = at[0];
	double began = now_us();

	while (p)
		p = *(char *volatile *)(void *)p;
	return (now_us() - began) * 1e3 / (double)count;
}

static void chain(char **at)
{
	for (size_t i = 0; i < count; i++)
		*(char **)(void *)at[i] = i + 1 < count ? at[i + 1] : NULL;
}

/* Medians of the two, and the median of what one is of the other in its round, with the quarters. */
static void compare(const char *what, double (*way)(char **), char **plain, char **turned, size_t rounds)
{
	double *t = calloc(3 * rounds, sizeof(*t)), *ratio = t + rounds, *other = ratio + rounds;

	if (!t)
		fail("no memory");
	for (size_t r = 0; r < rounds; r++) {
		if (r & 1)
			other[r] = way(turned);
		t[r] = way(plain);
		if (!(r & 1))
			other[r] = way(turned);
		ratio[r] = other[r] / t[r];
	}
	qsort(t, rounds, sizeof(*t), ascending);
	qsort(ratio, rounds, sizeof(*ratio), ascending);
	qsort(other, rounds, sizeof(*other), ascending);
	printf("%s: plain %.2f ns a block, turned %.2f, ratio %.3f (%.3f to %.3f)\n", what, t[rounds / 2], other[rounds / 2], ratio[rounds / 2],
	       ratio[rounds / 4], ratio[rounds * 3 / 4]);
	free(t);
}

static void touched(char **at)
{
	memory_pool_t *first = fill(at, 10, false), *second = fill(at, 10, true); /* so that there is room for two pools' structures */

	arm(false);
	destroy_memory_pool(first);
	destroy_memory_pool(second);
	for (size_t n = 10; n <= 10000; n *= 10) {
		double empty = (double)physical(), plain, turned;
		memory_pool_t *a = fill(at, n, false), *b;

		plain = (double)physical() - empty;
		b = fill(at, n, true);
		turned = (double)physical() - empty - plain;
		printf("%zu blocks: plain %.0f KiB, turned %.0f\n", n, plain / 1024, turned / 1024);
		arm(false);
		destroy_memory_pool(a);
		destroy_memory_pool(b);
	}
}

int main(int argc, char **argv)
{
	size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 0) : 41;
	char **plain = NULL, **turned = NULL;
	memory_pool_t *a, *b;

	block = argc > 1 ? strtoul(argv[1], NULL, 0) : 64;
	count = block >= 16 ? ((argc > 2 ? strtoul(argv[2], NULL, 0) : 32) << 20) / block : 0;
	if (!count || !rounds || !(plain = calloc(count, sizeof(*plain))) || !(turned = calloc(count, sizeof(*turned))))
		fail("BLOCK must be at least 16, MIB and ROUNDS at least 1");
	memset(plain, 1, count * sizeof(*plain));
	memset(turned, 1, count * sizeof(*turned));
	arm(true);
	arm(false);
	left(plain, RANDOM, true, &(double){ 0 }, &(size_t){ 0 }); /* for structures that stay */
	touched(plain);
	printf("left after merging, of before: plain, turned; first pass us; mappings\n");
	for (enum pattern p = 0; p < PATTERNS; p++) {
		size_t maps[2];
		double us[2], share[2];

		for (int armed = 0; armed < 2; armed++)
			share[armed] = left(plain, p, armed, &us[armed], &maps[armed]);
		printf("%-10s %.3f %.3f; %.0f %.0f; %zu %zu\n", names[p], share[0], share[1], us[0], us[1], maps[0], maps[1]);
	}
	a = fill(plain, count, false);
	b = fill(turned, count, true);
	compare("walk", walk, plain, turned, rounds);
	chain(plain);
	chain(turned);
	compare("list", follow, plain, turned, rounds);
	destroy_memory_pool(a);
	destroy_memory_pool(b);
	return 0;
}
