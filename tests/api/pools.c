/* SPDX-License-Identifier: BSD-3-Clause */
/* The documented calls of numarena/pool.h: what they give, and what they say when they are misused. */
#include <errno.h>
#include <numarena/numarena.h>
#include <pthread.h>

#include "support/check.h"
#include "support/child.h"

#define MIB ((size_t)1 << 20)

static void expect_refused(const memory_pool_config_t *config, const char *field)
{
	CHECK_EQ(initialize_memory_pool(config), MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK_MSG(strstr(last_memory_error_message(), field), "'%s' does not name %s", last_memory_error_message(), field);
}

static void works_without_configuration(void)
{
	double *p = allocate_from_pool(1000 * sizeof(double));

	REQUIRE(p);
	CHECK_EQ((uintptr_t)p % 64, 0);
	p[999] = 1;
	CHECK(in_memory_pool(p) && in_memory_pool(&p[999]) && !in_memory_pool(&p) && !in_memory_pool(NULL));
	CHECK(allocation_size(p) >= 8000 && allocation_node(p) >= 0);
	return_to_pool(p);
	CHECK(!in_memory_pool(p));
}

static void configuration(void)
{
	memory_pool_config_t good = { .total_size = 8 * 1024 * 1024 * 1024ull,
				      .block_size = 4096,
				      .alignment = 128,
				      .enable_defragmentation = true,
				      .defrag_threshold = 0.7 },
			     wrong = good;
	void *p;

	CHECK_EQ(initialize_memory_pool(NULL), MEMORY_ERROR_NONE);
	CHECK_EQ(initialize_memory_pool(&good), MEMORY_ERROR_NONE);
	CHECK_EQ(initialize_memory_pool(&good), MEMORY_ERROR_NONE);
	wrong.block_size = 5000;
	expect_refused(&wrong, "block_size");
	wrong.block_size = 2048;
	expect_refused(&wrong, "block_size");
	wrong = good;
	wrong.alignment = 48;
	expect_refused(&wrong, "alignment");
	wrong.alignment = 8192;
	expect_refused(&wrong, "alignment");
	wrong = good;
	wrong.defrag_threshold = 1.5;
	expect_refused(&wrong, "defrag_threshold");
	wrong.defrag_threshold = -0.1;
	expect_refused(&wrong, "defrag_threshold");
	for (size_t size = 1; size < 100000; size = size * 3 + 1) { /* nothing of the wrong ones has come into force */
		p = allocate_from_pool(size);
		CHECK_EQ((uintptr_t)p % 128, 0);
		return_to_pool(p);
	}
	CHECK_EQ(initialize_memory_pool(NULL), MEMORY_ERROR_NONE);
}

static void limit(void)
{
	memory_pool_config_t small = { .total_size = 64 * MIB };
	char *p = allocate_from_pool(40 * MIB), *q;

	REQUIRE(p);
	CHECK_EQ(initialize_memory_pool(&(memory_pool_config_t){ .total_size = MIB }), MEMORY_ERROR_BUSY);
	CHECK_EQ(initialize_memory_pool(&small), MEMORY_ERROR_NONE);
	errno = 0;
	q = allocate_from_pool(60 * MIB);
	CHECK(q == NULL && errno == ENOMEM && last_memory_error() == MEMORY_ERROR_ALLOCATION);
	CHECK(last_memory_error_message()[0] != '\0');
	return_to_pool(p);
	q = allocate_from_pool(50 * MIB); /* what was kept for reuse makes room */
	CHECK(q != NULL);
	return_to_pool(q);
	CHECK(allocate_from_pool(hide_size(SIZE_MAX)) == NULL);
	CHECK(allocate_from_pool(hide_size(SIZE_MAX / 2)) == NULL);
	CHECK_EQ(initialize_memory_pool(NULL), MEMORY_ERROR_NONE);
}

static void zeroed_aligned_resized(void)
{
	for (size_t size = 1; size < 20 * MIB; size = size * 5 + 3) {
		unsigned char *p = allocate_from_pool(size);

		check_fill(p, 0, size, 1);
		return_to_pool(p);
		p = allocate_zeroed_from_pool(size);
		for (size_t i = 0; i < size; i++)
			if (p[i])
				REQUIRE(!"a zeroed block is not");
		return_to_pool(p);
	}
	for (size_t alignment = 1; alignment <= 64 * MIB; alignment *= 2) {
		void *p = allocate_aligned_from_pool(100, alignment);

		REQUIRE(p);
		CHECK_EQ((uintptr_t)p & (alignment - 1), 0);
		return_to_pool(p);
	}
	errno = 0;
	CHECK(allocate_aligned_from_pool(100, 48) == NULL && errno == EINVAL);
	CHECK(allocate_aligned_from_pool(100, 0) == NULL);
	CHECK(allocate_aligned_from_pool(100, hide_size(SIZE_MAX / 2 + 1)) == NULL);
	for (size_t from = 10; from < 12 * MIB; from *= 6)
		for (size_t to = 5; to < 12 * MIB; to *= 9) {
			size_t least = from < to ? from : to;
			char *p = allocate_from_pool(from);

			check_fill(p, 0, least, from);
			p = resize_in_pool(p, to);
			REQUIRE(p);
			CHECK_EQ(check_filled(p, 0, least, from), least);
			return_to_pool(p);
		}
	return_to_pool(resize_in_pool(NULL, 100));
}

static int misuse(void *unused)
{
	int on_stack = 0;
	char *p = allocate_from_pool(100), *large = allocate_from_pool(100000);

	(void)unused;
	CHECK_EQ(get_memory_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT);
	return_to_pool(NULL);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_INVALID_ARGUMENT); /* as it was */
	return_to_pool(p);
	return_to_pool(hide(p));
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_CORRUPTION);
	return_to_pool(hide(&on_stack));
	return_to_pool(hide(large + 64));
	return_to_pool(large);
	return_to_pool(hide(large));
	return_to_pool(hide((void *)(uintptr_t)0xdeadbeefdeadbeef));
	CHECK(resize_in_pool(hide(&on_stack), 100) == NULL);
	p = allocate_from_pool(100); /* and the heap is as good as new */
	memset(p, 1, 100);
	return_to_pool(p);
	return 0;
}

static void misuse_is_reported(void)
{
	struct child c;

	child_run(misuse, NULL, &c);
	CHILD_GOOD(&c, "misuse");
	CHECK_MSG(child_lines_with(&c, "numarena: ") == 6, "%d reports, not 6:\n%s", child_lines_with(&c, "numarena: "), c.text);
	CHECK_MSG(child_lines_with(&c, "called from") >= 5, "the caller is not named:\n%s", c.text);
}

static void *return_all(void *blocks)
{
	for (int i = 0; i < 1000; i++)
		return_to_pool(((void **)blocks)[i]);
	return NULL;
}

static void named_pools(void)
{
	named_pool_config_t config = { .name = "mesh", .node = MEMORY_NODE_ANY, .limit = 4 * MIB, .alignment = 32 };
	memory_pool_stats_t stats;
	memory_pool_t *pool = NULL, *none = NULL;
	pthread_t thread;
	void *p[1000];
	int n;

	CHECK_EQ(create_memory_pool(NULL, &none), MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(create_memory_pool(&config, NULL), MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(create_memory_pool(&(named_pool_config_t){ .node = MEMORY_NODE_ANY }, &none), MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK(strstr(last_memory_error_message(), "name"));
	CHECK_EQ(create_memory_pool(&(named_pool_config_t){ .name = "x", .node = 4711 }, &none), MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK(strstr(last_memory_error_message(), "node"));
	CHECK_EQ(create_memory_pool(&(named_pool_config_t){ .name = "a name of more than thirty-one letters", .node = MEMORY_NODE_ANY }, &none),
		 MEMORY_ERROR_INVALID_ARGUMENT);
	REQUIRE(create_memory_pool(&config, &pool) == MEMORY_ERROR_NONE);
	for (n = 0; n < 1000; n++) {
		p[n] = allocate_from(pool, 8000);
		if (!p[n])
			break;
		CHECK_EQ((uintptr_t)p[n] % 32, 0);
		CHECK(allocation_pool(p[n]) == pool);
	}
	CHECK_MSG(n > 300 && n < 530, "%d blocks of 8000 bytes in 4 MiB", n);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_ALLOCATION);
	CHECK_EQ(get_memory_pool_statistics(pool, &stats), MEMORY_ERROR_NONE);
	CHECK(stats.live_bytes >= (size_t)n * 8000 && stats.held_bytes <= 4 * MIB && stats.peak_bytes == stats.live_bytes);
	CHECK(stats.allocations == (size_t)n && stats.releases == 0 && strcmp(stats.name, "mesh") == 0);
	CHECK_EQ(reset_memory_pool(pool), MEMORY_ERROR_NONE);
	CHECK_EQ(get_memory_pool_statistics(pool, &stats), MEMORY_ERROR_NONE);
	CHECK(stats.live_bytes == 0 && stats.releases == (size_t)n);
	for (int i = 0; i < 1000; i++)
		REQUIRE(p[i] = allocate_from(pool, 16 + (size_t)i));
	REQUIRE(pthread_create(&thread, NULL, return_all, p) == 0);
	pthread_join(thread, NULL);
	CHECK_EQ(get_memory_pool_statistics(pool, &stats), MEMORY_ERROR_NONE);
	CHECK_EQ(stats.live_bytes, 0);
	CHECK(allocate_from(pool, 100000) != NULL);
	CHECK_EQ(destroy_memory_pool(pool), MEMORY_ERROR_NONE);
	CHECK_EQ(get_memory_pool_statistics(NULL, &stats), MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(destroy_memory_pool(NULL), MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK(allocation_pool(&config) == NULL);
}

int main(void)
{
	check_watchdog(300);
	RUN(works_without_configuration);
	RUN(configuration);
	RUN(limit);
	RUN(zeroed_aligned_resized);
	RUN(misuse_is_reported);
	RUN(named_pools);
	return check_result();
}
