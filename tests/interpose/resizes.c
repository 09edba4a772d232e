/* SPDX-License-Identifier: BSD-3-Clause */
/* realloc keeps the contents: all size pairs over every path, random walks, growth by small steps. */
#include "interpose.h"

#include <malloc.h>
#include <pthread.h>

#define MIB ((size_t)1 << 20)

static void every_pair_of_sizes(void)
{
	const size_t sizes[] = { 1,	16,	17,	 100,	  256,	  257,	  1000,	    1025,     4096,	 20000,
				 32768, 32769,	65536,	 65537,	  300000, MIB - 1, 3 * MIB, 8 * MIB, 8 * MIB + 1,
				 12 * MIB, 40 * MIB };
	const size_t n = sizeof(sizes) / sizeof(sizes[0]);

	for (size_t a = 0; a < n; a++)
		for (size_t b = 0; b < n; b++) {
			size_t least = sizes[a] < sizes[b] ? sizes[a] : sizes[b];
			size_t looked = least < 100000 ? least : 4096;
			char *p = malloc(hide_size(sizes[a]));

			REQUIRE(p);
			check_fill(p, 0, looked, a * 100 + b);
			p[hide_size(least) - 1] = 77;
			p = realloc(p, sizes[b]);
			REQUIRE(p);
			CHECK_MSG(check_filled(p, 0, looked - 1, a * 100 + b) >= looked - 1, "%zu to %zu", sizes[a], sizes[b]);
			CHECK_EQ(p[least - 1], 77);
			CHECK(malloc_usable_size(p) >= sizes[b]);
			p[sizes[b] - 1] = 1;
			free(p);
		}
}

static void walk(uint64_t seed, int steps, size_t most)
{
	enum { N = 30 };
	unsigned char *p[N] = { NULL };
	size_t size[N] = { 0 };
	uint64_t random = seed;

	for (int step = 0; step < steps; step++) {
		size_t i = check_random(&random) % N, shift = check_random(&random) % 24;
		size_t fresh = (check_random(&random) & (((size_t)1 << shift) - 1)) % most + 1;
		size_t least = size[i] < fresh ? size[i] : fresh;

		p[i] = realloc(p[i], fresh);
		REQUIRE(p[i]);
		CHECK_MSG(check_filled(p[i], 0, least, seed + i) == least, "%zu to %zu bytes: wrong at %zu", size[i], fresh,
			  check_filled(p[i], 0, least, seed + i));
		check_fill(p[i], least, fresh, seed + i);
		size[i] = fresh;
	}
	for (size_t i = 0; i < N; i++) {
		CHECK_EQ(check_filled(p[i], 0, size[i], seed + i), size[i]);
		free(p[i]);
	}
}

static void random_walks(void)
{
	walk(1, 3000, 4 * MIB);
	walk(2, 30000, 2000);
}

static void *walker(void *seed)
{
	walk((uint64_t)(uintptr_t)seed * 1000, 800, 2 * MIB);
	return NULL;
}

static void walks_of_threads_at_once(void)
{
	pthread_t t[4];

	for (uintptr_t i = 0; i < 4; i++)
		REQUIRE(pthread_create(&t[i], NULL, walker, (void *)(i + 5)) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

/* As a vector that grows: in quadratic time if each step copied. 96 MiB in 4 KiB steps would copy 1 TiB. */
static void growth_by_small_steps_does_not_copy(void)
{
	unsigned char *p = malloc(8 * MIB);
	size_t size = 8 * MIB;

	while (size < 96 * MIB) {
		p = realloc(p, size + 4096);
		REQUIRE(p);
		memset(p + size, (int)(size / 4096), 4096);
		size += 4096;
	}
	for (size_t at = 8 * MIB; at < size; at += 4096)
		CHECK_EQ(p[at], (unsigned char)(at / 4096));
	free(p);
}

/* Many huge blocks that grow in turn: moving one must not disturb the others' places. */
static void huge_blocks_grow_side_by_side(void)
{
	enum { N = 6 };
	unsigned char *p[N];
	size_t size = 9 * MIB;

	for (size_t i = 0; i < N; i++)
		check_fill(p[i] = malloc(size), size - 5000, size, i);
	for (int round = 0; round < 5; round++, size += 9 * MIB)
		for (size_t i = 0; i < N; i++) {
			p[i] = realloc(p[i], size + 9 * MIB);
			REQUIRE(p[i]);
			CHECK_EQ(check_filled(p[i], size - 5000, size, i), size);
			check_fill(p[i], size + 9 * MIB - 5000, size + 9 * MIB, i);
		}
	for (size_t i = 0; i < N; i++) {
		CHECK(malloc_usable_size(p[i]) >= size);
		free(p[i]);
	}
}

static void *grower(void *seed)
{
	for (int round = 0; round < 40; round++) {
		unsigned char *p = malloc(9 * MIB);
		size_t size = 9 * MIB;

		REQUIRE(p);
		memset(p, (int)(uintptr_t)seed, 100);
		for (; size < 80 * MIB; size += 11 * MIB) {
			p = realloc(p, size + 11 * MIB);
			if (!p) {
				check_fail(__FILE__, __LINE__, "realloc of %zu to %zu bytes gave NULL", size, size + 11 * MIB);
				return NULL;
			}
			CHECK_EQ(p[99], (unsigned char)(uintptr_t)seed);
			CHECK(malloc_usable_size(p) >= size + 11 * MIB);
		}
		free(p);
	}
	return NULL;
}

static void huge_blocks_of_threads_grow_at_once(void)
{
	pthread_t t[4];

	for (uintptr_t i = 0; i < 4; i++)
		REQUIRE(pthread_create(&t[i], NULL, grower, (void *)(i + 1)) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	(void)argc;
	interpose_enter(argv);
	RUN(every_pair_of_sizes);
	RUN(random_walks);
	RUN(walks_of_threads_at_once);
	RUN(growth_by_small_steps_does_not_copy);
	RUN(huge_blocks_grow_side_by_side);
	RUN(huge_blocks_of_threads_grow_at_once);
	return check_result();
}
