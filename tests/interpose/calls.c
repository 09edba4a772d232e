/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The C allocation calls, one case for each promise of the C standard, POSIX and glibc: alignment, zeroing, errno,
 * overflow, size 0, NULL. Written against glibc (NA_TEST_LIBC=1), so that what it expects is right.
 */
#include "interpose.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#define MIB ((size_t)1 << 20)

/* Sizes around every edge: classes, the small limit, pages, slices, huge blocks. */
static size_t edge_size(size_t i)
{
	static const size_t bases[] = { 0,     16,    32,     64,    128,	256,	  512,	   1024,   4096,
					8192,  16384, 32768,  65536, 131072,	MIB,	  2 * MIB, 4 * MIB, 8 * MIB,
					16 * MIB, 32 * MIB, 64 * MIB };
	size_t base = bases[i / 5], shift = i % 5;

	if (i / 5 >= sizeof(bases) / sizeof(bases[0]))
		return SIZE_MAX;
	return base + shift < 2 ? 0 : base + shift - 2;
}

static int aligned_to(const void *p, size_t alignment)
{
	return ((uintptr_t)p & (alignment - 1)) == 0;
}

static void blocks_are_aligned_usable_and_apart(void)
{
	char *blocks[128];
	size_t n = 0;

	for (size_t size; n < 128 && (size = edge_size(n)) != SIZE_MAX; n++) {
		blocks[n] = malloc(size);
		REQUIRE(blocks[n]);
		CHECK_MSG(aligned_to(blocks[n], 16), "malloc(%zu) gave %p", size, (void *)blocks[n]);
		CHECK_MSG(malloc_usable_size(blocks[n]) >= size, "usable size of %zu is %zu", size,
			  malloc_usable_size(blocks[n]));
		check_fill(blocks[n], 0, size < MIB ? size : 4096, n);
		if (size)
			blocks[n][size - 1] = (char)check_byte(n, size - 1);
	}
	CHECK(n > 100);
	for (size_t i = 0; i < n; i++) {
		size_t size = edge_size(i), end = size < MIB ? size : 4096;

		CHECK_MSG(check_filled(blocks[i], 0, end, i) == end, "block of %zu was overwritten", size);
		if (size)
			CHECK_EQ((unsigned char)blocks[i][size - 1], check_byte(i, size - 1));
		free(blocks[i]);
	}
}

static void usable_bytes_are_all_ours(void)
{
	enum { N = 400 };
	static unsigned char *p[N];
	static size_t usable[N];
	uint64_t random = 7;

	for (size_t i = 0; i < N; i++) {
		p[i] = malloc(check_random(&random) % (i % 20 ? 3000 : 300000));
		usable[i] = malloc_usable_size(p[i]);
		check_fill(p[i], 0, usable[i], i);
	}
	for (size_t i = 0; i < N; i++) {
		CHECK_MSG(check_filled(p[i], 0, usable[i], i) == usable[i], "block %zu of %zu usable bytes overlaps", i,
			  usable[i]);
		free(p[i]);
	}
	CHECK_EQ(malloc_usable_size(NULL), 0);
}

static void size_zero_gives_distinct_blocks(void)
{
	void *blocks[300];

	for (int i = 0; i < 300; i++) {
		blocks[i] = i % 3 == 0 ? malloc(0) : i % 3 == 1 ? calloc(0, 8) : realloc(NULL, 0);
		REQUIRE(blocks[i]);
		for (int k = 0; k < i; k++)
			CHECK(blocks[k] != blocks[i]);
	}
	for (int i = 0; i < 300; i++)
		free(blocks[i]);
	CHECK(calloc(hide_size(0), hide_size(SIZE_MAX)) != NULL);
}

static void impossible_sizes_are_enomem(void)
{
	const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 16, SIZE_MAX - 4096, SIZE_MAX - 65536,
				 SIZE_MAX - 33554432, SIZE_MAX / 2 + 1, (size_t)PTRDIFF_MAX - 4096, (size_t)1 << 47,
				 (size_t)1 << 62 };
	char *kept = malloc(100);
	void *out;

	check_fill(kept, 0, 100, 3);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = hide_size(sizes[i]);

#define REFUSED(call)                                                     \
	do {                                                              \
		errno = 0;                                                \
		CHECK_MSG((call) == NULL, "%s with %zu", #call, size);    \
		CHECK_MSG(errno == ENOMEM, "%s with %zu: errno %d", #call, size, errno); \
	} while (0)
		REFUSED(malloc(size));
		REFUSED(calloc(1, size));
		REFUSED(calloc(size, 1));
		REFUSED(calloc(size, 2));
		REFUSED(realloc(hide(kept), size));
		REFUSED(realloc(NULL, size));
		REFUSED(reallocarray(hide(kept), 1, size));
		REFUSED(reallocarray(NULL, size, 8));
		REFUSED(aligned_alloc(64, size));
		REFUSED(aligned_alloc(4096, size));
		REFUSED(memalign(65536, size));
		REFUSED(memalign(64 * MIB, size));
		REFUSED(valloc(size));
		REFUSED(pvalloc(size));
		out = &out;
		errno = 77;
		CHECK_MSG(posix_memalign(&out, 64, size) == ENOMEM, "posix_memalign of %zu", size);
		CHECK_MSG(posix_memalign(&out, 16 * MIB, size) == ENOMEM, "posix_memalign of %zu", size);
		CHECK(out == &out); /* not touched on failure */
		if (!interpose_libc()) /* POSIX lets it set errno, and glibc does; ours keeps it */
			CHECK_EQ(errno, 77);
	}
	CHECK_EQ(check_filled(kept, 0, 100, 3), 100);
	free(kept);
}

static void products_that_overflow_are_enomem(void)
{
	const size_t factors[][2] = { { SIZE_MAX, 2 }, { 2, SIZE_MAX }, { (size_t)1 << 32, (size_t)1 << 32 },
				      { SIZE_MAX / 16 + 1, 16 }, { (size_t)1 << 63, 2 }, { SIZE_MAX, SIZE_MAX },
				      { ((size_t)1 << 33) + 1, (size_t)1 << 31 } };
	void *kept = malloc(50);

	for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
		size_t size = hide_size(factors[i][0]), b = hide_size(factors[i][1]);

		REFUSED(calloc(size, b));
		REFUSED(reallocarray(NULL, size, b));
		REFUSED(reallocarray(hide(kept), size, b));
	}
	free(kept);
}

static void calloc_zeroes_what_was_dirty(void)
{
	for (size_t size = 1; size < 80 * MIB; size = size * 7 / 4 + 1) {
		for (int round = 0; round < 3; round++) {
			unsigned char *p = malloc(size), *z;
			size_t usable = malloc_usable_size(p), at = 0;

			memset(p, 0xa5, usable);
			free(p);
			z = calloc(round == 1 ? size : 1, round == 1 ? 1 : size);
			REQUIRE(z);
			while (at < size && z[at] == 0)
				at++;
			CHECK_MSG(at == size, "calloc of %zu: byte %zu is %d", size, at, z[at]);
			memset(z, 0x5a, size);
			free(z);
		}
	}
}

/* A large block that shrank or grew in place, then freed, then zeroed again. */
static void calloc_zeroes_what_was_resized(void)
{
	for (size_t size = 40000; size < 40 * MIB; size *= 3) {
		unsigned char *p = malloc(size), *z;
		size_t at = 0;

		memset(p, 1, size);
		p = realloc(p, size * 3 / 2);
		memset(p, 2, size * 3 / 2);
		p = realloc(p, size * 5 / 4);
		free(p);
		z = calloc(1, size * 3 / 2);
		while (at < size * 3 / 2 && z[at] == 0)
			at++;
		CHECK_MSG(at == size * 3 / 2, "calloc of %zu: byte %zu", size * 3 / 2, at);
		free(z);
	}
}

static void free_keeps_errno(void)
{
	const size_t sizes[] = { 1, 1000, 40000, 10 * MIB, 70 * MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		void *p = malloc(sizes[i]);

		memset(p, 1, sizes[i]);
		errno = 1234;
		free(p);
		CHECK_EQ(errno, 1234);
	}
	errno = 55;
	free(NULL);
	CHECK_EQ(errno, 55);
}

static void success_keeps_errno(void)
{
	for (size_t size = 1; size < 100 * MIB; size *= 3) {
		void *p;

		errno = 4321;
		p = malloc(size);
		CHECK_EQ(errno, 4321);
		p = realloc(p, size * 2);
		CHECK_EQ(errno, 4321);
		free(p);
	}
}

static void posix_memalign_refuses_bad_alignments(void)
{
	const size_t bad[] = { 0, 1, 2, 3, 4, 7, 12, 24, 48, 100, 4095, SIZE_MAX };
	void *out = &out;

	errno = 9;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_MSG(posix_memalign(&out, hide_size(bad[i]), 64) == EINVAL, "alignment %zu", bad[i]);
	CHECK(out == &out);
	CHECK_EQ(errno, 9);
	CHECK_EQ(posix_memalign(&out, 8, 5), 0);
	CHECK(out != &out && aligned_to(out, 8));
	free(out);
}

static void memalign_rounds_odd_alignments_up(void)
{
	const size_t odd[][2] = { { 0, 16 }, { 1, 16 }, { 24, 32 }, { 48, 64 }, { 65, 128 }, { 5000, 8192 } };

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		for (int k = 0; k < 20; k++) {
			void *p = memalign(hide_size(odd[i][0]), 100);

			CHECK_MSG(p && aligned_to(p, odd[i][1]), "memalign(%zu) gave %p", odd[i][0], p);
		}
}

static void valloc_and_pvalloc_give_pages(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t size = 0; size < 100000; size = size * 2 + 1) {
		char *v = valloc(size), *p = pvalloc(size);

		CHECK(v && aligned_to(v, page));
		CHECK(p && aligned_to(p, page));
		CHECK_MSG(malloc_usable_size(p) >= (size + page - 1) / page * page, "pvalloc(%zu): usable %zu", size,
			  malloc_usable_size(p));
		memset(v, 1, size);
		memset(p, 2, (size + page - 1) / page * page);
		free(v);
		free(p);
	}
}

static void realloc_of_nothing_and_to_nothing(void)
{
	char *p = realloc(NULL, 100);

	REQUIRE(p);
	check_fill(p, 0, 100, 1);
	CHECK(realloc(p, hide_size(0)) == NULL); /* glibc: freed */
	p = reallocarray(NULL, 10, 10);
	REQUIRE(p);
	CHECK(reallocarray(p, hide_size(0), 10) == NULL);
}

static void mallinfo2_follows_what_is_live(void)
{
	struct mallinfo2 before = mallinfo2(), during, after;
	void *p[1000];

	for (int i = 0; i < 1000; i++)
		memset(p[i] = malloc(2000), 1, 2000);
	during = mallinfo2();
	for (int i = 0; i < 1000; i++)
		free(p[i]);
	after = mallinfo2();
	CHECK_MSG(during.uordblks >= before.uordblks + 2000000, "uordblks %zu then %zu", before.uordblks, during.uordblks);
	CHECK_MSG(after.uordblks < before.uordblks + 100000, "uordblks %zu, at the end %zu", before.uordblks,
		  after.uordblks);
	CHECK(during.arena + during.hblkhd >= during.uordblks);
}

static size_t resident(void)
{
	char text[200];
	FILE *f = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	if (f && fgets(text, sizeof(text), f))
		pages = strtoul(strchr(text, ' '), NULL, 10);
	if (f)
		fclose(f);
	return pages * 4096;
}

static void malloc_trim_gives_memory_back(void)
{
	enum { N = 20000 };
	static void *p[N];
	size_t full, trimmed;

	for (int i = 0; i < N; i++)
		memset(p[i] = malloc(3000), 1, 3000);
	for (int i = 0; i < N; i++)
		free(p[i]);
	full = resident();
	malloc_trim(0);
	trimmed = resident();
	CHECK_MSG(trimmed < 30 * MIB, "%zu bytes resident, %zu after malloc_trim", full, trimmed);
	CHECK((malloc_trim(0) & ~1) == 0);
	free(malloc(100)); /* and life goes on */
}

int main(int argc, char **argv)
{
	(void)argc;
	interpose_enter(argv);
	RUN(blocks_are_aligned_usable_and_apart);
	RUN(usable_bytes_are_all_ours);
	RUN(size_zero_gives_distinct_blocks);
	RUN(impossible_sizes_are_enomem);
	RUN(products_that_overflow_are_enomem);
	RUN(calloc_zeroes_what_was_dirty);
	RUN(calloc_zeroes_what_was_resized);
	RUN(free_keeps_errno);
	RUN(success_keeps_errno);
	RUN(posix_memalign_refuses_bad_alignments);
	RUN(memalign_rounds_odd_alignments_up);
	RUN(valloc_and_pvalloc_give_pages);
	RUN(realloc_of_nothing_and_to_nothing);
	RUN(mallinfo2_follows_what_is_live);
	RUN(malloc_trim_gives_memory_back);
	return check_result();
}
