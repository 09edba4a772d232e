/* SPDX-License-Identifier: BSD-3-Clause */
/* Which pages blocks get. hugetlb pages are made up of ordinary ones here; a guest with reserved ones shows the real thing. */
#include "os/hugepages.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "heap/snapshot.h"
#include "os/os.h"
#include "pool/nodes.h"
#include "pool/pool.h"
#include "support/unit.h"

#include "support/files.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static struct na_os real;
static size_t reserved;	       /* made-up hugetlb bytes left */
static size_t mapped_page;     /* of the last one that was given */
static size_t advised, purged; /* bytes */

static int map_hugetlb(void *at, size_t size, size_t page, void **out)
{
	char *p = NULL;
	int rc;

	if (size > reserved || (page == GIB && reserved < GIB))
		return -ENOMEM;
	assert_int_equal(size % page, 0);
	rc = at ? real.map(at, size, out) : na_os_map_aligned(size, page, (void **)&p);
	if (rc == 0 && !at)
		*out = p;
	if (rc == 0)
		mapped_page = page;
	return rc;
}

static int advise(void *at, size_t size)
{
	(void)at;
	advised += size;
	return 0;
}

static int purge(void *at, size_t size)
{
	purged += size;
	return real.purge(at, size);
}

static int begin(void **state)
{
	(void)state;
	real = na_os;
	na_os.map_hugetlb = map_hugetlb;
	na_os.advise_huge = advise;
	na_os.purge = purge;
	reserved = mapped_page = advised = purged = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	na_os = real;
	na_options.hugepages = NA_PAGES_ORDINARY;
	return 0;
}

static struct na_pool *new_pool(void)
{
	static struct na_pool pools[16];
	static size_t next;

	na_pool_init(&pools[next], 0, false);
	return &pools[next++];
}

static void free_all(struct na_pool *pool, void *p)
{
	assert_int_equal(na_large_give(na_span_of(p), p), 0);
	na_pool_purge(pool, true);
	assert_int_equal(pool->huge_kept_bytes, 0);
}

static void advice_goes_where_the_setting_says(void **state)
{
	struct na_pool *pool = new_pool();
	void *run, *huge;

	(void)state;
	for (uint64_t mode = NA_PAGES_ORDINARY; mode <= NA_PAGES_AUTO; mode++) {
		na_options.hugepages = mode;
		pool = new_pool();
		advised = 0;
		run = na_large_take(pool, MIB, 16, false);
		assert_int_equal(advised, mode == NA_PAGES_TRANSPARENT ? NA_SEGMENT : 0);
		advised = 0;
		huge = na_large_take(pool, 21 * MIB, 16, false);
		assert_int_equal(advised, mode == NA_PAGES_ORDINARY ? 0 : 22 * MIB);
		free_all(pool, huge);
		free_all(pool, run);
	}
	/* A vector that grows has a mapping larger than what it touches, and auto leaves that alone while it is small. */
	pool = new_pool();
	run = na_large_take(pool, MIB, 16, false);
	huge = na_large_take(pool, MIB, 16, false);
	advised = 0;
	run = na_large_resize(na_span_of(run), run, 3 * MIB);
	assert_non_null(run);
	assert_int_equal(advised, 0);
	free_all(pool, run);
	free_all(pool, huge);
}

static void hugetlb_pages_serve_large_blocks_and_go_back_whole(void **state)
{
	struct na_pool *pool = new_pool();
	unsigned char *p, *q;

	(void)state;
	na_options.hugepages = NA_PAGES_HUGETLB;
	reserved = 100 * MIB;
	p = na_large_take(pool, 40 * MIB, 16, false);
	assert_non_null(p);
	assert_true(na_segment_of(p)->hugetlb);
	assert_int_equal(mapped_page, 2 * MIB);
	assert_int_equal((uintptr_t)p % NA_SEGMENT, 0);
	assert_int_equal(advised, 0);
	memset(p, 3, 40 * MIB);
	/* Shrinking in place gives nothing back: a purged hugetlb page may be gone for good. */
	p = na_large_resize(na_span_of(p), p, 25 * MIB);
	assert_non_null(p);
	na_pool_purge(pool, true);
	assert_int_equal(purged, 0);
	/* Growing it past its end is the caller's affair: by a copy. */
	assert_null(na_large_resize(na_span_of(p), p, 80 * MIB));
	assert_int_equal(p[25 * MIB - 1], 3);
	assert_int_equal(na_large_give(na_span_of(p), p), 0);
	q = na_large_take(pool, 40 * MIB, 16, true); /* kept, and its pages are not clean */
	assert_ptr_equal(q, p);
	for (size_t i = 0; i < 40 * MIB; i += 509)
		assert_int_equal(q[i], 0);
	free_all(pool, q);
	assert_int_equal(pool->reserved, 0);
	assert_int_equal(purged, 0);
}

static void without_reserved_pages_there_are_others(void **state)
{
	struct na_pool *pool = new_pool();
	void *p;

	(void)state;
	na_options.hugepages = NA_PAGES_HUGETLB;
	p = na_large_take(pool, 40 * MIB, 16, false);
	assert_non_null(p);
	assert_false(na_segment_of(p)->hugetlb);
	assert_int_equal(advised, 40 * MIB); /* transparent ones are asked for */
	memset(p, 1, 40 * MIB);
	free_all(pool, p);
}

static void gigantic_pages_serve_what_wastes_little_of_them(void **state)
{
	struct na_pool *pool = new_pool();
	void *p;

	(void)state;
	na_options.hugepages = NA_PAGES_HUGETLB;
	reserved = 8 * GIB;
	p = na_large_take(pool, 2 * GIB - 100 * MIB, 16, false);
	assert_non_null(p);
	assert_int_equal(mapped_page, GIB);
	assert_int_equal(na_segment_of(p)->base % GIB, 0);
	free_all(pool, p);
	p = na_large_take(pool, GIB + 100 * MIB, 16, false);
	assert_non_null(p);
	assert_int_equal(mapped_page, 2 * MIB);
	assert_int_equal(na_segment_of(p)->length, GIB + 100 * MIB);
	free_all(pool, p);
}

/* ---- coverage ---- */

static void add(uintptr_t start, uint64_t bytes, void *closure)
{
	uint64_t *sum = closure;

	sum[0] += bytes;
	sum[1] += start;
}

static void smaps_is_read_line_by_line(void **state)
{
	uint64_t sum[2] = { 0, 0 };
	char *text = malloc(60000);
	size_t n = 0;

	(void)state;
	files_begin();
	for (int i = 0; i < 100; i++) /* longer than what is read at once */
		n += (size_t)sprintf(
			text + n,
			"%x000-%x000 rw-p 00000000 00:00 0    /some/long/path/of/a/library/that/is/mapped\n"
			"Size:               4096 kB\nAnonHugePages:  %8d kB\nShmemPmdMapped:        4 kB\n"
			"Private_Hugetlb:    %4d kB\nVmFlags: rd wr mr mw me ac sd\n",
			0x1000 + i, 0x1001 + i, i % 10 == 3 ? 2048 : 0, i == 50 ? 4096 : 0);
	files_put("/proc/self/smaps", text);
	assert_int_equal(na_hugepages_of_maps(add, sum), 0);
	assert_int_equal(sum[0], (10 * 2048 + 4096) * 1024);
	files_end();
	free(text);
}

/* What a huge block really has, by both ways of asking; where the kernel gives transparent huge pages. */
static void coverage_is_what_the_kernel_says(void **state)
{
	struct na_pool *pool = new_pool();
	uint64_t by_range = 0, by_maps[2] = { 0, 0 };
	unsigned char *p, *ordinary;
	int rc;

	(void)state;
	na_os = real;
	ordinary = na_large_take(pool, 32 * MIB, 16, false);
	memset(ordinary, 1, 32 * MIB);
	if (strcmp(na_hugepages_mode(), "always") != 0 &&
	    na_hugepages_in((uintptr_t)ordinary, 32 * MIB, &by_range) == 0)
		assert_int_equal(by_range, 0);
	assert_int_equal(na_hugepages_of_maps(add, by_maps), 0);
	na_options.hugepages = NA_PAGES_AUTO;
	p = na_large_take(pool, 64 * MIB, 16, false);
	memset(p, 1, 64 * MIB);
	rc = na_hugepages_in((uintptr_t)p, 64 * MIB, &by_range);
	by_maps[0] = 0;
	assert_int_equal(na_hugepages_of_maps(add, by_maps), 0);
	if (rc == 0 && strcmp(na_hugepages_mode(), "always") != 0)
		assert_int_equal(by_range, by_maps[0]);
	if (strcmp(na_hugepages_mode(), "madvise") == 0) /* memory may be too fragmented for all of it */
		assert_true(by_maps[0] % (2 * MIB) == 0 && by_maps[0] <= 64 * MIB);
	free_all(pool, p);
	free_all(pool, ordinary);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(advice_goes_where_the_setting_says),
		CASE(hugetlb_pages_serve_large_blocks_and_go_back_whole),
		CASE(without_reserved_pages_there_are_others),
		CASE(gigantic_pages_serve_what_wastes_little_of_them),
		CASE(smaps_is_read_line_by_line),
		CASE(coverage_is_what_the_kernel_says),
	};

	na_pools_boot();
	na_options.verbose = 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
