/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one merge of two pages of 4 KiB costs: 64 blocks of 64 bytes each, of which lower ones live on in the one and upper ones in the other (keeps()). Several pairs in a pass, and
 * other pages between those of each, so that no two share a call. A pass that merges nothing is subtracted; medians of rounds, with quarters.
 *
 * Beside it, in the same round, bare: a page of a memory file written, and mapped in place of both pages with mmap(MAP_FIXED), half a page copied; and one such mapping alone.
 *
 *	one-merge [quiescent|move|userfaultfd|mprotect [idle|busy [PAIRS [ROUNDS]]]]	(quiescent idle 64 21)
 *
 * quiescent: blocks of a pool, nobody writes. The others: of malloc, while threads write (NUMARENA_DEFRAG_CONCURRENT). busy: another thread computes meanwhile.
 */
#include <numarena/numarena.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "measures.h"
#include "physical.h"

#define BLOCK 64
#define PAGE  4096
#define EACH  (PAGE / BLOCK)
#define MOST  4096 /* pages */

static memory_pool_t *pool;
static bool concurrent;
static void *blocks[MOST * EACH];

static void fail(const char *what)
{
	fprintf(stderr, "one-merge: %s\n", what);
	exit(1);
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)*(void *const *)a, y = (uintptr_t)*(void *const *)b;

	return x < y ? -1 : x > y;
}

static void give(void *p)
{
	if (concurrent)
		free(p);
	else
		return_to_pool(p);
}

/* Of pages all of whose blocks are ours: of each four the first keeps its lower part, the third its upper one, or all their lower ones, so that no two fit. Those between
 * are full, so that no two share a call. While threads write a class is merged only once three quarters of it can be won: there the parts are an eighth, and
 * pages between are empty. */
static bool keeps(size_t page, size_t k, bool fit)
{
	size_t part = concurrent ? EACH / 8 : EACH / 2;

	if (page % 2)
		return !concurrent;
	return page % 4 && fit ? k >= EACH - part : k < part;
}

static void prepare(size_t pages, bool fit)
{
	size_t count = pages * EACH, page = 0;

	if (!concurrent && create_memory_pool(&(named_pool_config_t){ .name = "pairs", .node = MEMORY_NODE_ANY }, &pool))
		fail("no pool");
	for (size_t i = 0; i < count; i++) {
		blocks[i] = concurrent ? malloc(BLOCK) : allocate_from(pool, BLOCK);
		if (!blocks[i])
			fail("no memory");
		memset(blocks[i], (int)i, BLOCK);
	}
	qsort(blocks, count, sizeof(*blocks), by_address);
	for (size_t i = 0; i + EACH <= count;) {
		if ((uintptr_t)blocks[i] % PAGE || (uintptr_t)blocks[i + EACH - 1] != (uintptr_t)blocks[i] + PAGE - BLOCK) {
			i++;
			continue;
		}
		for (size_t k = 0; k < EACH; k++)
			if (!keeps(page, k, fit)) {
				give(blocks[i + k]);
				blocks[i + k] = NULL;
			}
		i += EACH;
		page++;
	}
	if (concurrent)
		free_unused_memory(); /* what a thread keeps counts as taken */
}

static void finish(size_t pages)
{
	for (size_t i = 0; i < pages * EACH; i++)
		if (blocks[i])
			give(blocks[i]);
	if (!concurrent)
		destroy_memory_pool(pool);
}

static double pass(size_t *won)
{
	defrag_stats_t before, after;
	double began;

	get_defragmentation_statistics(&before);
	began = now_us();
	trigger_defragmentation();
	began = now_us() - began;
	get_defragmentation_statistics(&after);
	if (*after.merge_refusal && !concurrent)
		fail(after.merge_refusal);
	if (concurrent && *after.concurrent_refusal)
		fail(after.concurrent_refusal);
	*won = (after.merge_addresses - after.merge_memory - (before.merge_addresses - before.merge_memory)) / PAGE;
	return began;
}

/* A merge by bare calls, of pages that lie as those do; and one mapping of it. */
static void bare(size_t pairs, double *merge, double *mapping)
{
	size_t bytes = pairs * 4 * PAGE;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *at = p;
	int file = memfd_create("bare", MFD_CLOEXEC);
	double began, one = 0;

	if (p == MAP_FAILED || file < 0)
		fail("no memory for the comparison");
	memset(p, 1, bytes);
	began = now_us();
	for (size_t i = 0; i < pairs; i++, at += 4 * PAGE) {
		double then;

		if (pwrite(file, at, PAGE, (off_t)(i * PAGE)) != PAGE ||
		    mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, (off_t)(i * PAGE)) == MAP_FAILED)
			fail("bare merging was refused");
		memcpy(at + PAGE / 2, at + 2 * PAGE + PAGE / 2, PAGE / 2);
		then = now_us();
		if (mmap(at + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, (off_t)(i * PAGE)) == MAP_FAILED)
			fail("bare merging was refused");
		one += now_us() - then;
	}
	*merge = (now_us() - began) / (double)pairs;
	*mapping = one / (double)pairs;
	munmap(p, bytes);
	close(file);
}

static void tell(const char *what, double *us, size_t n)
{
	qsort(us, n, sizeof(*us), ascending);
	printf("%s %.1f us (%.1f to %.1f)", what, us[n / 2], us[n / 4], us[n * 3 / 4]);
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "quiescent";
	size_t pairs = argc > 3 ? strtoul(argv[3], NULL, 0) : 64, rounds = argc > 4 ? strtoul(argv[4], NULL, 0) : 21, pages = (pairs + 16) * 4, all = 0;
	defrag_config_t config = { .threshold = 0.01 };
	static double merge[1000], whole[1000], mapping[1000];
	struct busy other;
	bool busy;

	concurrent = strcmp(way, "quiescent") != 0;
	if (pairs < 1 || pages > MOST || rounds < 1 || rounds > 1000) {
		fprintf(stderr, "one-merge: PAIRS must be from 1 to %d, ROUNDS from 1 to 1000\n", MOST / 4 - 16);
		return 2;
	}
	if (concurrent && !getenv("NUMARENA_DEFRAG_CONCURRENT")) { /* read before main() */
		setenv("NUMARENA_DEFRAG_CONCURRENT", way, 1);
		execv("/proc/self/exe", argv);
		fail("it could not start itself anew");
	}
	memset(blocks, 1, sizeof(blocks));
	config.strategy = concurrent ? DEFRAG_FULL : DEFRAG_COORDINATED;
	if (start_defragmentation(&config))
		fail(last_memory_error_message());
	busy = argc > 2 && strcmp(argv[2], "busy") == 0;
	if (busy && !busy_begin(&other))
		fail("no thread");
	for (size_t r = 0; r < rounds; r++) {
		size_t won, none;
		double us, rest = 0; /* of a pass that merges nothing */

		if (concurrent) {
			prepare(pages, false);
			rest = pass(&none);
			finish(pages);
			pass(&none);
		}
		prepare(pages, true);
		us = pass(&won);
		if (!concurrent)
			rest = pass(&none);
		if (!won)
			fail("nothing was merged");
		merge[r] = (us - rest) / (double)won;
		all += won;
		bare(pairs, &whole[r], &mapping[r]);
		finish(pages);
		pass(&none); /* what emptied goes back */
	}
	if (busy)
		busy_end(&other);
	printf("%s, %s: ", way, busy ? "busy" : "idle");
	tell("a merge", merge, rounds);
	tell("; bare", whole, rounds);
	tell(", a mapping of it", mapping, rounds);
	printf("; %zu merges a pass\n", all / rounds);
	return 0;
}
