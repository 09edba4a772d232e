/* SPDX-License-Identifier: BSD-3-Clause */
/* Every power-of-two alignment from 1 byte to 256 MiB with sizes from 0 up, through each call that takes one. */
#include "interpose.h"

#include <errno.h>
#include <malloc.h>

#define MIB ((size_t)1 << 20)

static void touch(char *p, size_t size)
{
	if (size)
		p[0] = p[size - 1] = p[size / 2] = 1;
}

static void *take(int call, size_t alignment, size_t size)
{
	void *p = NULL;

	switch (call) {
	case 0:
		return aligned_alloc(alignment, size);
	case 1:
		return memalign(alignment, size);
	default:
		return alignment < sizeof(void *)	      ? malloc(size) :
		       posix_memalign(&p, alignment, size) == 0 ? p :
								  NULL;
	}
}

static void each_alignment_with_each_size(void)
{
	const size_t sizes[] = { 0, 1, 8, 15, 17, 63, 100, 1000, 4095, 4097, 30000, 32768, 32769, 65536, 65537, 200000,
				 MIB + 1, 5 * MIB, 9 * MIB };

	for (size_t alignment = 1; alignment <= 256 * MIB; alignment *= 2)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			void *p[6];

			for (int i = 0; i < 6; i++) {
				p[i] = take(i % 3, alignment, hide_size(sizes[s]));
				CHECK_MSG(p[i] != NULL, "alignment %zu, size %zu: NULL, errno %d", alignment, sizes[s], errno);
				CHECK_MSG(((uintptr_t)p[i] & (alignment - 1)) == 0, "alignment %zu, size %zu: %p", alignment,
					  sizes[s], p[i]);
				for (int k = 0; k < i; k++)
					CHECK_MSG(p[k] != p[i], "alignment %zu, size %zu: the same block twice", alignment,
						  sizes[s]);
				CHECK(malloc_usable_size(p[i]) >= sizes[s]);
				touch(p[i], sizes[s]);
			}
			for (int i = 0; i < 6; i++)
				free(p[i]);
		}
}

static void aligned_blocks_do_not_overlap(void)
{
	enum { N = 2000 };
	static unsigned char *p[N];
	static size_t size[N];
	uint64_t random = 99;

	for (size_t i = 0; i < N; i++) {
		size_t alignment = (size_t)1 << check_random(&random) % 15;

		size[i] = check_random(&random) % 5000;
		p[i] = memalign(alignment, size[i]);
		REQUIRE(p[i]);
		check_fill(p[i], 0, size[i], i);
		if (i % 3 == 2) {
			size_t victim = check_random(&random) % i;

			CHECK_EQ(check_filled(p[victim], 0, size[victim], victim), size[victim]);
			free(p[victim]);
			p[victim] = memalign(alignment * 2, size[victim]);
			check_fill(p[victim], 0, size[victim], victim);
		}
	}
	for (size_t i = 0; i < N; i++) {
		CHECK_EQ(check_filled(p[i], 0, size[i], i), size[i]);
		free(p[i]);
	}
}

static void aligned_blocks_can_be_resized(void)
{
	for (size_t alignment = 32; alignment <= 64 * MIB; alignment *= 4)
		for (size_t size = 10; size < 20 * MIB; size *= 30) {
			char *p = memalign(alignment, size);

			check_fill(p, 0, size, size);
			p = realloc(p, size * 2);
			REQUIRE(p);
			CHECK_EQ(check_filled(p, 0, size, size), size);
			p = realloc(p, size / 3);
			CHECK_EQ(check_filled(p, 0, size / 3, size), size / 3);
			free(p);
		}
}

/* What is not written is not held: a 256 MiB alignment must not cost 256 MiB. */
static void alignment_costs_no_memory(void)
{
	void *p[40];

	for (int i = 0; i < 40; i++) {
		p[i] = memalign(64 * MIB, 100);
		REQUIRE(p[i]);
		memset(p[i], 1, 100);
	}
	for (int i = 0; i < 40; i++)
		free(p[i]);
}

int main(int argc, char **argv)
{
	(void)argc;
	interpose_enter(argv);
	RUN(each_alignment_with_each_size);
	RUN(aligned_blocks_do_not_overlap);
	RUN(aligned_blocks_can_be_resized);
	RUN(alignment_costs_no_memory);
	return check_result();
}
