/* SPDX-License-Identifier: BSD-3-Clause */
/* The default pool: what its blocks are, at every size and alignment, resized, flushed, and from many threads. */
#include "api/api.h"

static void blocks_are_aligned_and_apart(void)
{
	enum { N = 3000 };
	static unsigned char *p[N];
	static size_t size[N];
	uint64_t random = 11;
	size_t n = api_brief() ? 400 : N;

	for (size_t i = 0; i < n; i++) {
		size[i] = check_random(&random) % (i % 100 == 0 ? 3 * MIB : i % 10 == 0 ? 70000 : 2000);
		p[i] = allocate_from_pool(size[i]);
		REQUIRE(p[i]);
		CHECK_MSG(api_aligned(p[i], 64), "block of %zu at %p", size[i], (void *)p[i]);
		CHECK(allocation_size(p[i]) >= size[i]);
		check_fill(p[i], 0, size[i], i);
		if (i % 3 == 2) {
			size_t k = check_random(&random) % i;

			CHECK_EQ(check_filled(p[k], 0, size[k], k), size[k]);
			return_to_pool(p[k]);
			p[k] = allocate_from_pool(size[k]);
			REQUIRE(p[k]);
			check_fill(p[k], 0, size[k], k);
		}
	}
	for (size_t i = 0; i < n; i++) {
		CHECK_EQ(check_filled(p[i], 0, size[i], i), size[i]);
		return_to_pool(p[i]);
	}
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
}

static void the_whole_of_a_block_is_its_owners(void)
{
	for (size_t size = 1; size < (api_brief() ? MIB : 20 * MIB); size = size * 3 + 5) {
		void *a = allocate_from_pool(size), *b = allocate_from_pool(size);

		check_fill(a, 0, allocation_size(a), size);
		check_fill(b, 0, allocation_size(b), size + 1);
		CHECK_EQ(check_filled(a, 0, allocation_size(a), size), allocation_size(a));
		return_to_pool(b);
		CHECK_EQ(check_filled(a, 0, allocation_size(a), size), allocation_size(a));
		return_to_pool(a);
	}
}

static void size_zero_gives_distinct_blocks(void)
{
	void *p[200];

	for (int i = 0; i < 200; i++) {
		p[i] = i % 2 ? allocate_from_pool(0) : allocate_zeroed_from_pool(0);
		REQUIRE(p[i]);
		CHECK(allocation_size(p[i]) > 0);
		for (int k = 0; k < i; k++)
			CHECK(p[k] != p[i]);
	}
	for (int i = 0; i < 200; i++)
		return_to_pool(p[i]);
}

static void zeroed_blocks_are_zero(void)
{
	for (size_t size = 1; size < (api_brief() ? MIB : 12 * MIB); size = size * 2 + 3)
		for (int round = 0; round < 3; round++) {
			unsigned char *p = allocate_from_pool(size), *z;
			size_t at = 0;

			memset(p, 0xa5, allocation_size(p));
			return_to_pool(p);
			z = allocate_zeroed_from_pool(size);
			while (at < size && z[at] == 0)
				at++;
			CHECK_MSG(at == size, "byte %zu of %zu is %d", at, size, z[at]);
			CHECK(api_aligned(z, 64));
			memset(z, 0x5a, size);
			return_to_pool(z);
		}
}

static void any_alignment_up_to_one_gib(void)
{
	const size_t sizes[] = { 0, 1, 100, 4096, 40000, 3 * MIB };

	for (size_t alignment = 1; alignment <= (api_brief() ? 16 * MIB : GIB); alignment *= 2)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			unsigned char *p = allocate_aligned_from_pool(sizes[i], alignment);
			unsigned char *q = allocate_aligned_from_pool(sizes[i], alignment);

			REQUIRE(p && q && p != q);
			CHECK(api_aligned(p, alignment) && api_aligned(q, alignment));
			CHECK_MSG(api_aligned(p, 64), "less aligned than the pool: %p", (void *)p);
			check_fill(p, 0, sizes[i], alignment);
			memset(q, 0, sizes[i]);
			CHECK_EQ(check_filled(p, 0, sizes[i], alignment), sizes[i]);
			return_to_pool(p);
			return_to_pool(q);
		}
}

static void wrong_alignments_are_refused(void)
{
	const size_t bad[] = { 0, 3, 24, 65, 4097, 2 * GIB, SIZE_MAX };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char number[32];

		snprintf(number, sizeof(number), "%zu", bad[i]);
		REFUSED(allocate_aligned_from_pool(100, hide_size(bad[i])), EINVAL, MEMORY_ERROR_INVALID_ARGUMENT,
			"alignment", number, "power of two");
	}
}

static void impossible_sizes_are_refused(void)
{
	const size_t sizes[] = { SIZE_MAX,
				 SIZE_MAX - 15,
				 SIZE_MAX - 64,
				 SIZE_MAX - 4096,
				 SIZE_MAX - 33554432,
				 SIZE_MAX / 2 + 1,
				 (size_t)PTRDIFF_MAX - 4096,
				 (size_t)1 << 47,
				 (size_t)1 << 62 };
	void *kept = allocate_from_pool(500);

	check_fill(kept, 0, 500, 1);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = hide_size(sizes[i]);
		char number[32];

		snprintf(number, sizeof(number), "%zu", size);
		REFUSED(allocate_from_pool(size), ENOMEM, MEMORY_ERROR_ALLOCATION, number);
		REFUSED(allocate_zeroed_from_pool(size), ENOMEM, MEMORY_ERROR_ALLOCATION, number);
		REFUSED(allocate_aligned_from_pool(size, 4096), ENOMEM, MEMORY_ERROR_ALLOCATION, number);
		REFUSED(resize_in_pool(hide(kept), size), ENOMEM, MEMORY_ERROR_ALLOCATION, number);
		REFUSED(resize_in_pool(NULL, size), ENOMEM, MEMORY_ERROR_ALLOCATION, number);
		CHECK_EQ(check_filled(kept, 0, 500, 1), 500);
	}
	return_to_pool(kept);
}

static void resizing_keeps_what_was_written(void)
{
	const size_t sizes[] = { 1,	60,    64,     65,     1000,	1025,	 20000,
				 32768, 32769, 100000, 900000, 3 * MIB, 9 * MIB, 20 * MIB };
	const size_t n = sizeof(sizes) / sizeof(sizes[0]) - (api_brief() ? 3 : 0);

	for (size_t a = 0; a < n; a++)
		for (size_t b = 0; b < n; b++) {
			size_t least = sizes[a] < sizes[b] ? sizes[a] : sizes[b], looked = least < 70000 ? least : 5000;
			unsigned char *p = resize_in_pool(NULL, sizes[a]);

			REQUIRE(p);
			check_fill(p, 0, looked, a);
			p[hide_size(least) - 1] = 7;
			p = resize_in_pool(p, sizes[b]);
			REQUIRE(p);
			CHECK_EQ(check_filled(p, 0, looked - 1, a), looked - 1);
			CHECK_EQ(p[hide_size(least) - 1], 7);
			CHECK(allocation_size(p) >= sizes[b]);
			CHECK_MSG(api_aligned(p, 64), "%zu to %zu bytes: %p", sizes[a], sizes[b], (void *)p);
			memset(p, 3, sizes[b]);
			return_to_pool(p);
		}
}

static void returning_null_is_nothing(void)
{
	memory_stats_t before = api_stats(), after;
	memory_error_t last = last_memory_error();

	errno = 44;
	return_to_pool(NULL);
	CHECK_EQ(errno, 44);
	CHECK_EQ(last_memory_error(), last);
	after = api_stats();
	CHECK_EQ(after.releases, before.releases);
}

static void flushing_gives_back_what_is_free_alone(void)
{
	enum { N = 6000 };
	static unsigned char *p[N];
	memory_stats_t full, flushed;
	unsigned char *large = allocate_from_pool(20 * MIB);

	check_fill(large, 0, 100000, 5);
	for (size_t i = 0; i < N; i++)
		check_fill(p[i] = allocate_from_pool(3000), 0, 3000, i);
	for (size_t i = 0; i < N; i++)
		if (i % 100)
			return_to_pool(p[i]);
	full = api_stats();
	flush_memory_pools();
	flush_memory_pools();
	flushed = api_stats();
	CHECK_EQ(flushed.total_allocated, full.total_allocated);
	CHECK_EQ(flushed.reclaimable_bytes, 0);
	CHECK_MSG(flushed.physical_bytes < full.physical_bytes, "%zu bytes resident, then %zu", full.physical_bytes,
		  flushed.physical_bytes);
	for (size_t i = 0; i < N; i += 100) {
		CHECK_EQ(check_filled(p[i], 0, 3000, i), 3000);
		return_to_pool(p[i]);
	}
	CHECK_EQ(check_filled(large, 0, 100000, 5), 100000);
	return_to_pool(large);
	flush_memory_pools();
	CHECK(api_stats().held_bytes < flushed.held_bytes);
}

/* ---- threads: each fills blocks that the next one checks and returns ---- */

enum { THREADS = 4, BLOCKS = 300 };
static unsigned char *handed[THREADS][BLOCKS];
static pthread_barrier_t barrier;

static size_t size_of(size_t thread, size_t i)
{
	return (thread * 131 + i * 37) % (i % 50 ? 3000 : 200000);
}

static void *pass_round(void *number)
{
	size_t me = (size_t)(uintptr_t)number, other = (me + 1) % THREADS;

	for (size_t round = 0; round < (api_brief() ? 3 : 40); round++) {
		for (size_t i = 0; i < BLOCKS; i++) {
			handed[me][i] = allocate_from_pool(size_of(me, i));
			check_fill(handed[me][i], 0, size_of(me, i), me * 1000 + i + round);
		}
		pthread_barrier_wait(&barrier);
		for (size_t i = 0; i < BLOCKS; i++) {
			unsigned char *p = handed[other][i];

			CHECK_EQ(check_filled(p, 0, size_of(other, i), other * 1000 + i + round), size_of(other, i));
			if (i % 7 == 0)
				p = resize_in_pool(p, size_of(other, i) + 1000);
			return_to_pool(p);
		}
		if (me == round % THREADS)
			flush_memory_pools();
		pthread_barrier_wait(&barrier);
	}
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
	return NULL;
}

static void blocks_go_round_between_threads(void)
{
	memory_stats_t before = api_stats(), after;
	pthread_t threads[THREADS];

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, pass_round, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
	after = api_stats();
	CHECK_EQ(after.total_allocated, before.total_allocated);
	CHECK_EQ(after.allocations - before.allocations, after.releases - before.releases);
	CHECK(after.remote_releases > before.remote_releases);
}

static void *live_briefly(void *unused)
{
	void *p[100];

	(void)unused;
	for (size_t i = 0; i < 100; i++)
		p[i] = allocate_from_pool(i * 100);
	for (int i = 0; i < 100; i++)
		return_to_pool(p[i]);
	return NULL;
}

/* What a thread held is the next one's: thousands of them need no more than a few. */
static void threads_that_come_and_go_leave_nothing(void)
{
	memory_stats_t early = { 0 }, late;

	for (int round = 0; round < (api_brief() ? 60 : 600); round++) {
		pthread_t threads[4];

		for (int i = 0; i < 4; i++)
			REQUIRE(pthread_create(&threads[i], NULL, live_briefly, NULL) == 0);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		if (round == 20)
			early = api_stats();
	}
	late = api_stats();
	CHECK_EQ(late.total_allocated, early.total_allocated);
	CHECK_MSG(late.metadata_bytes <= early.metadata_bytes + MIB, "metadata %zu, then %zu bytes",
		  early.metadata_bytes, late.metadata_bytes);
	CHECK_MSG(late.held_bytes <= early.held_bytes + 4 * MIB, "held %zu, then %zu bytes", early.held_bytes,
		  late.held_bytes);
}

int main(void)
{
	check_watchdog(300);
	RUN(blocks_are_aligned_and_apart);
	RUN(the_whole_of_a_block_is_its_owners);
	RUN(size_zero_gives_distinct_blocks);
	RUN(zeroed_blocks_are_zero);
	RUN(any_alignment_up_to_one_gib);
	RUN(resizing_keeps_what_was_written);
	RUN(returning_null_is_nothing);
	RUN(flushing_gives_back_what_is_free_alone);
	RUN(blocks_go_round_between_threads);
	RUN(threads_that_come_and_go_leave_nothing);
	RUN(wrong_alignments_are_refused);
	RUN(impossible_sizes_are_refused);
	return check_result();
}
