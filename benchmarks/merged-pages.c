/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What merging pages of raw blocks gives back, beside what an offline matching of the same pages reaches, and what it costs. A named pool is filled with blocks
 * of one size, all but a share of them are freed at random, then passes are made until one wins nothing. Physical memory is Pss
 * (/proc/self/smaps_rollup), less what it was before the first block.
 *
 * Offline: every page's bitmap of live slots; each in turn is joined with the first that it does not overlap, round after round, until nothing is
 * joined any more. That looks at all pairs, moves nothing, and has no limit of mappings.
 *
 *	merged-pages [BLOCK [SHARE [MIB [busy|slices]]]]	(64 bytes, 0.125, 64; busy: another thread computes meanwhile; slices: made in slices first, whose times
 *							are told)
 *
 * JSON on the last line.
 */
#include <numarena/numarena.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "measures.h"
#include "physical.h"
#include "support/maps.h"

/* How many of `n` pages are left. */
static size_t offline(uint64_t *page, size_t n)
{
	for (size_t before = n + 1; n < before;) {
		size_t kept = 0;

		before = n;
		for (size_t i = n; i > 1; i--) { /* in no order */
			size_t k = random_next() % i;
			uint64_t t = page[i - 1];

			page[i - 1] = page[k];
			page[k] = t;
		}
		for (size_t i = 0; i < n; i++) {
			if (!page[i])
				continue;
			for (size_t k = i + 1; k < n; k++)
				if (page[k] && !(page[i] & page[k])) {
					page[i] |= page[k];
					page[k] = 0;
					break;
				}
			page[kept++] = page[i];
		}
		n = kept;
	}
	return n;
}

/* What one remapping costs here and now: as many pages of ordinary memory, by address, each onto one of a sixth as many of a memory file. */
static double bare(size_t n)
{
	char *p = mmap(NULL, n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int fd = memfd_create("bare", MFD_CLOEXEC);
	double began, took;

	if (p == MAP_FAILED || fd < 0 || ftruncate(fd, (off_t)(n / 6 + 1) * 4096))
		exit(1);
	memset(p, 1, n * 4096);
	began = now_us();
	for (size_t i = 0; i < n; i++)
		if (mmap(p + i * 4096, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)(random_next() % (n / 6 + 1) * 4096)) ==
		    MAP_FAILED)
			exit(1);
	took = (now_us() - began) / (double)n;
	munmap(p, n * 4096);
	close(fd);
	return took;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

static double thread_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* A pass in slices: how long they took. */
static void slices(void)
{
	static double us[1 << 20], own[1 << 20]; /* wall clock, and what the thread computed itself: others may have had the processor */
	size_t n = 0;
	bool more = true;
	defrag_stats_t stats;

	while (more && n < sizeof(us) / sizeof(us[0])) {
		double began = now_us(), computed = thread_us();

		run_defragmentation_slice(&more);
		own[n] = thread_us() - computed;
		us[n++] = now_us() - began;
	}
	qsort(us, n, sizeof(us[0]), ascending);
	qsort(own, n, sizeof(own[0]), ascending);
	get_defragmentation_statistics(&stats);
	printf("%zu slices: median %.0f us, 99th percentile %.0f, longest %.0f (of the thread's own time %.0f, %.0f, %.0f); %zu KiB won, by %zu mappings\n", n,
	       us[n / 2], us[n - 1 - n / 100], us[n - 1], own[n / 2], own[n - 1 - n / 100], own[n - 1], stats.merged_bytes >> 10, stats.merge_mappings);
}

int main(int argc, char **argv)
{
	size_t block = argc > 1 ? strtoul(argv[1], NULL, 0) : 64;
	double share = argc > 2 ? atof(argv[2]) : 0.125, empty, full, sparse, merged, took = 0, first = 0, remap;
	size_t bytes = (argc > 3 ? strtoul(argv[3], NULL, 0) : 64) << 20, count, pages = 0, left, maps;
	defrag_config_t config = { .strategy = DEFRAG_COORDINATED, .threshold = 0.01 };
	char **at;
	uint64_t *page;
	uintptr_t last = 0, *sorted;
	memory_pool_t *pool;
	defrag_stats_t stats;
	struct busy other;
	bool busy;
	int passes = 0;

	if (block < 64 || 4096 % block) {
		fprintf(stderr, "BLOCK is %zu: must be a power of two from 64 to 4096\n", block);
		return 2;
	}
	count = bytes / block;
	at = calloc(count, sizeof(*at));
	page = calloc(count * block / 4096 + 2, sizeof(*page));
	sorted = calloc(count, sizeof(*sorted));
	if (!at || !page || !sorted) {
		fprintf(stderr, "no memory to look after %zu blocks\n", count);
		return 1;
	}
	memset(at, 1, count * sizeof(*at));
	memset(page, 0, (count * block / 4096 + 2) * sizeof(*page));
	memset(sorted, 1, count * sizeof(*sorted));
	if (create_memory_pool(&(named_pool_config_t){ .name = "merging", .node = MEMORY_NODE_ANY }, &pool) ||
	    start_defragmentation(&config))
		return 1;
	empty = (double)physical();
	for (size_t i = 0; i < count; i++) {
		at[i] = allocate_from(pool, block);
		if (!at[i])
			return 1;
		memset(at[i], (int)i, block);
	}
	full = (double)physical() - empty;
	for (size_t i = 0; i < count; i++)
		if ((double)(random_next() >> 11) * 0x1p-53 >= share) {
			return_to_pool(at[i]);
			at[i] = NULL;
		}
	for (size_t i = 0; i < count; i++) /* a span gives out its blocks from a place of its own on */
		sorted[i] = (uintptr_t)at[i];
	qsort(sorted, count, sizeof(*sorted), by_address);
	for (size_t i = 0; i < count; i++) {
		uintptr_t a = sorted[i];

		if (!a)
			continue;
		if (a / 4096 != last)
			page[pages++] = 0;
		last = a / 4096;
		page[pages - 1] |= UINT64_C(1) << a % 4096 / block;
	}
	sparse = (double)physical() - empty;
	maps = count_mappings();
	busy = argc > 4 && strcmp(argv[4], "busy") == 0;
	if (busy && !busy_begin(&other))
		return 1;
	remap = bare(4096);
	if (argc > 4 && strcmp(argv[4], "slices") == 0)
		slices();
	for (size_t won = 1, before = 0; won; passes++) {
		double began = now_us();

		trigger_defragmentation();
		took += now_us() - began;
		get_defragmentation_statistics(&stats);
		won = stats.merged_bytes - before;
		before = stats.merged_bytes;
		if (!passes)
			first = took;
	}
	if (busy)
		busy_end(&other);
	for (size_t i = 0; i < count; i++)
		if (at[i] && (at[i][0] != (char)i || at[i][block - 1] != (char)i)) {
			fprintf(stderr, "block %zu has changed\n", i);
			return 1;
		}
	merged = (double)physical() - empty; /* all pages were touched: those that were not are not in Pss */
	left = offline(page, pages);
	printf("full %.1f MiB, sparse %.1f, merged %.1f (%.3f of before); offline %.3f; first pass %.0f us, %.2f us a page won, %.2f a page mapped, a bare "
	       "remapping %.2f us; %zu mappings more; units of %u; %s\n",
	       full / 1048576, sparse / 1048576, merged / 1048576, merged / sparse, (double)left * 4096 / sparse, first,
	       first / ((double)(stats.merge_addresses - stats.merge_memory) / 4096),
	       first / ((double)stats.merge_addresses / 4096), remap, count_mappings() - maps, stats.merge_grain,
	       stats.merge_refusal[0] ? stats.merge_refusal : "merged");
	printf("{\"block\": %zu, \"share\": %g, \"sparse_bytes\": %.0f, \"merged_bytes\": %.0f, \"ratio\": %.4f, \"offline\": %.4f, "
	       "\"passes\": %d, \"first_us\": %.0f, \"all_us\": %.0f, \"bare_us\": %.2f, \"pages_won\": %zu, \"mappings\": %zu, \"grain\": %u}\n",
	       block, share, sparse, merged, merged / sparse, (double)left * 4096 / sparse, passes, first, took, remap,
	       (stats.merge_addresses - stats.merge_memory) / 4096, count_mappings() - maps, stats.merge_grain);
	return 0;
}
