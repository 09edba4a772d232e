/* SPDX-License-Identifier: BSD-3-Clause */
/* Named pools: what their configuration takes, their own limit, node and counts, and their end. */
#include "api/api.h"

static memory_pool_t *make(const char *name, size_t limit, size_t alignment)
{
	named_pool_config_t config = { .name = name, .node = MEMORY_NODE_ANY, .limit = limit, .alignment = alignment };
	memory_pool_t *pool = NULL;

	GOOD(create_memory_pool(&config, &pool));
	REQUIRE(pool);
	return pool;
}

static memory_pool_stats_t figures(memory_pool_t *pool)
{
	memory_pool_stats_t stats;

	memset(&stats, 0xff, sizeof(stats));
	GOOD(get_memory_pool_statistics(pool, &stats));
	return stats;
}

static void refuse(const named_pool_config_t *config, const char *field, const char *value)
{
	memory_pool_t *mark = (memory_pool_t *)&mark, *pool = mark;

	ERROR(create_memory_pool(config, &pool), MEMORY_ERROR_INVALID_ARGUMENT, field, value);
	CHECK(pool == mark); /* written on success only */
}

static void wrong_configurations_are_named(void)
{
	named_pool_config_t good = { .name = "good", .node = MEMORY_NODE_ANY }, c;
	memory_pool_t *pool;

	refuse(NULL, "config", "NULL");
	ERROR(create_memory_pool(&good, NULL), MEMORY_ERROR_INVALID_ARGUMENT, "pool", "NULL");
	c = good, c.name = NULL;
	refuse(&c, "name", "1 to 31");
	c = good, c.name = "";
	refuse(&c, "name", "1 to 31");
	c = good, c.name = "thirty-two characters are 1 more";
	CHECK_EQ(strlen(c.name), 32);
	refuse(&c, "name", c.name);
	c = good, c.node = 4095;
	refuse(&c, "node", "4095");
	c = good, c.alignment = 24;
	refuse(&c, "alignment", "24");
	c = good, c.alignment = 8;
	refuse(&c, "alignment", "8");
	c = good, c.alignment = 8192;
	refuse(&c, "alignment", "8192");
	pool = make("thirty-one characters are right", 0, 0);
	CHECK_EQ(strlen(figures(pool).name), 31);
	GOOD(destroy_memory_pool(pool));
}

static void what_is_no_pool_is_refused(void)
{
	static _Alignas(4096) char zeroes[1 << 20]; /* more than a pool is */
	memory_pool_t *none = hide(zeroes);
	memory_pool_stats_t stats;
	memory_pool_t *ended = make("ended", 0, 0);

	GOOD(destroy_memory_pool(ended));
	REFUSED(allocate_from(NULL, 10), EINVAL, MEMORY_ERROR_INVALID_ARGUMENT, "pool");
	REFUSED(allocate_from(none, 10), EINVAL, MEMORY_ERROR_INVALID_ARGUMENT, "pool");
	REFUSED(allocate_from(ended, 10), EINVAL, MEMORY_ERROR_INVALID_ARGUMENT, "pool");
	ERROR(reset_memory_pool(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "pool");
	ERROR(reset_memory_pool(ended), MEMORY_ERROR_INVALID_ARGUMENT, "pool");
	ERROR(destroy_memory_pool(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "pool");
	ERROR(destroy_memory_pool(ended), MEMORY_ERROR_INVALID_ARGUMENT, "pool");
	ERROR(get_memory_pool_statistics(NULL, &stats), MEMORY_ERROR_INVALID_ARGUMENT, "pool");
	ended = make("statistics", 0, 0);
	ERROR(get_memory_pool_statistics(ended, NULL), MEMORY_ERROR_INVALID_ARGUMENT, "stats", "NULL");
	GOOD(destroy_memory_pool(ended));
}

static void counts_are_exact(void)
{
	memory_pool_t *pool = make("counted", 0, 0);
	memory_pool_stats_t s = figures(pool);
	size_t live = 0, peak = 0;
	void *p[600];

	CHECK_EQ(s.live_bytes | s.peak_bytes | s.held_bytes | s.allocations | s.releases, 0);
	CHECK(strcmp(s.name, "counted") == 0);
	for (size_t i = 0; i < 600; i++) {
		size_t size = i % 50 ? i * 7 : i * 3000;

		p[i] = allocate_from(pool, size);
		REQUIRE(p[i]);
		CHECK(allocation_size(p[i]) >= size);
		CHECK(allocation_pool(p[i]) == pool);
		CHECK_EQ(allocation_node(p[i]), s.node);
		check_fill(p[i], 0, size, i);
		live += allocation_size(p[i]);
	}
	peak = live;
	s = figures(pool);
	CHECK_EQ(s.live_bytes, live);
	CHECK_EQ(s.peak_bytes, peak);
	CHECK(s.held_bytes >= live);
	CHECK_EQ(s.allocations, 600);
	for (size_t i = 0; i < 600; i++) {
		size_t size = i % 50 ? i * 7 : i * 3000;

		CHECK_EQ(check_filled(p[i], 0, size, i), size);
		if (i % 2)
			continue;
		live -= allocation_size(p[i]);
		return_to_pool(p[i]);
	}
	s = figures(pool);
	CHECK_EQ(s.live_bytes, live);
	CHECK_EQ(s.peak_bytes, peak);
	CHECK_EQ(s.releases, 300);
	GOOD(destroy_memory_pool(pool));
}

static void blocks_are_aligned(void)
{
	for (size_t alignment = 16; alignment <= 4096; alignment *= 2) {
		memory_pool_t *pool = make("aligned", 0, alignment);

		for (size_t size = 0; size < 2 * MIB; size = size * 2 + 1)
			for (int i = 0; i < 5; i++) {
				void *p = allocate_from(pool, size);

				CHECK_MSG(p && api_aligned(p, alignment), "size %zu, alignment %zu: %p", size,
					  alignment, p);
			}
		GOOD(destroy_memory_pool(pool));
	}
}

static void the_limit_is_the_pools_own(void)
{
	memory_pool_t *pool = make("limited", 8 * MIB, 0), *other = make("other", 0, 0);
	size_t n = 0;
	void *p = NULL, *q;

	while (n < 100 && (q = allocate_from(pool, 500000)) != NULL) {
		memset(q, 1, 500000);
		p = q;
		n++;
	}
	CHECK_MSG(n >= 8 && n <= 16, "%zu blocks of 500000 bytes under 8 MiB", n);
	REFUSED(allocate_from(pool, 500000), ENOMEM, MEMORY_ERROR_ALLOCATION, "500000", "limited");
	REFUSED(allocate_from(pool, hide_size(SIZE_MAX)), ENOMEM, MEMORY_ERROR_ALLOCATION, "limited");
	REFUSED(allocate_from(pool, hide_size(9 * MIB)), ENOMEM, MEMORY_ERROR_ALLOCATION, "limited");
	CHECK(figures(pool).held_bytes <= 8 * MIB);
	q = allocate_from(other, 20 * MIB);
	CHECK(q != NULL);
	return_to_pool(q);
	REQUIRE(p);
	return_to_pool(p);
	CHECK(allocate_from(pool, 500000) != NULL);
	GOOD(destroy_memory_pool(other));
	GOOD(destroy_memory_pool(pool));
}

static void small_blocks_obey_the_limit_too(void)
{
	memory_pool_t *pool = make("small", MIB, 0);
	size_t n = 0;

	while (n < 100000 && allocate_from(pool, 64))
		n++;
	CHECK_MSG(n >= 8000 && n <= 16384, "%zu blocks of 64 bytes under 1 MiB", n);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_ALLOCATION);
	GOOD(reset_memory_pool(pool));
	CHECK(allocate_from(pool, 500000) != NULL);
	GOOD(destroy_memory_pool(pool));
}

static void reset_takes_all_back(void)
{
	memory_pool_t *pool = make("reset", 0, 0);
	memory_stats_t before = api_stats(), after;

	for (int round = 0; round < (api_brief() ? 3 : 20); round++) {
		unsigned char *p[200];

		for (size_t i = 0; i < 200; i++)
			check_fill(p[i] = allocate_from(pool, i * 300), 0, i * 300, i);
		CHECK(allocate_from(pool, 9 * MIB) != NULL);
		for (size_t i = 0; i < 200; i++) {
			CHECK_EQ(check_filled(p[i], 0, i * 300, i), i * 300);
			if (i % 3 == 0)
				return_to_pool(p[i]);
		}
		GOOD(reset_memory_pool(pool));
		CHECK_EQ(figures(pool).live_bytes, 0);
		CHECK_EQ(figures(pool).releases, figures(pool).allocations);
		CHECK(!in_memory_pool(p[1]) && !in_memory_pool(p[3]));
	}
	after = api_stats();
	CHECK_EQ(after.total_allocated, before.total_allocated);
	GOOD(reset_memory_pool(pool));
	GOOD(destroy_memory_pool(pool));
}

static void a_pools_life_leaves_nothing(void)
{
	memory_stats_t before = { 0 }, after;

	for (int round = 0; round < 120; round += 1 + api_brief()) {
		memory_pool_t *pool = make("brief", 0, 0);

		for (size_t i = 0; i < 50; i++) {
			void *p = allocate_from(pool, 1000 + i * 500);

			memset(p, 1, 1000);
			if (i % 2)
				return_to_pool(p);
		}
		CHECK(allocate_from(pool, 10 * MIB) != NULL);
		GOOD(destroy_memory_pool(pool));
		if (round == 20)
			before = api_stats();
	}
	after = api_stats();
	CHECK_EQ(after.total_allocated, before.total_allocated);
	CHECK_EQ(after.held_bytes, before.held_bytes);
	CHECK_EQ(after.reserved_bytes, before.reserved_bytes);
	CHECK_MSG(after.metadata_bytes <= before.metadata_bytes, "metadata %zu, 100 pools later %zu bytes",
		  before.metadata_bytes, after.metadata_bytes);
}

static void hundreds_at_once(void)
{
	enum { N = 300 };
	static memory_pool_t *pools[N];
	memory_stats_t before = api_stats(), after;
	void *p[N];

	for (size_t i = 0; i < N; i++) {
		pools[i] = make("one of many", 0, 0);
		p[i] = allocate_from(pools[i], 100 + i);
		check_fill(p[i], 0, 100 + i, i);
	}
	for (size_t i = 0; i < N; i++) {
		CHECK(allocation_pool(p[i]) == pools[i]);
		CHECK_EQ(check_filled(p[i], 0, 100 + i, i), 100 + i);
		GOOD(destroy_memory_pool(pools[i]));
	}
	after = api_stats();
	CHECK_EQ(after.held_bytes, before.held_bytes);
	CHECK_EQ(after.reserved_bytes, before.reserved_bytes);
	CHECK_EQ(after.total_allocated, before.total_allocated);
}

static void resizing_stays_in_the_pool(void)
{
	memory_pool_t *pool = make("resized", 0, 0);
	unsigned char *p = allocate_from(pool, 10);
	size_t old = 10;

	check_fill(p, 0, 10, 4);
	for (size_t size = 20; size < (api_brief() ? MIB : 30 * MIB); size *= 3) {
		p = resize_in_pool(p, size);
		REQUIRE(p);
		CHECK_EQ(check_filled(p, 0, old, 4), old);
		CHECK(allocation_pool(p) == pool);
		CHECK(api_aligned(p, 64));
		check_fill(p, 0, size, 4);
		old = size;
	}
	p = resize_in_pool(p, 100);
	CHECK_EQ(check_filled(p, 0, 100, 4), 100);
	CHECK(allocation_pool(p) == pool);
	return_to_pool(p);
	CHECK_EQ(figures(pool).live_bytes, 0);
	GOOD(destroy_memory_pool(pool));
}

static void a_failed_resize_leaves_the_block(void)
{
	memory_pool_t *pool = make("tight", 4 * MIB, 0);
	unsigned char *p = allocate_from(pool, 2 * MIB);

	check_fill(p, 0, 2 * MIB, 6);
	REFUSED(resize_in_pool(hide(p), hide_size(20 * MIB)), ENOMEM, MEMORY_ERROR_ALLOCATION, "20971520");
	CHECK_EQ(check_filled(p, 0, 2 * MIB, 6), 2 * MIB);
	CHECK(allocation_size(p) >= 2 * MIB);
	GOOD(destroy_memory_pool(pool));
}

static void blocks_tell_their_pool(void)
{
	memory_pool_t *a = make("a", 0, 0), *b = make("b", 0, 0);
	void *pa = allocate_from(a, 100), *pb = allocate_from(b, 200000), *p = allocate_from_pool(100);
	int here = 0;

	CHECK(allocation_pool(pa) == a && allocation_pool(pb) == b);
	CHECK(allocation_pool(p) == NULL && allocation_pool(&here) == NULL && allocation_pool(NULL) == NULL);
	return_to_pool(pa);
	CHECK(allocation_pool(hide(pa)) == NULL);
	return_to_pool(p);
	GOOD(destroy_memory_pool(a));
	CHECK(allocation_pool(pb) == b);
	GOOD(destroy_memory_pool(b));
	CHECK(allocation_pool(hide(pb)) == NULL);
}

static void every_node_there_is(void)
{
	memory_node_stats_t nodes[64];
	size_t n = get_memory_node_statistics(nodes, 64);

	for (size_t i = 0; i < n && i < 64; i++) {
		named_pool_config_t config = { .name = "on a node", .node = nodes[i].node };
		memory_pool_t *pool;
		void *p;

		GOOD(create_memory_pool(&config, &pool));
		CHECK_EQ(figures(pool).node, nodes[i].node);
		p = allocate_from(pool, 100000);
		CHECK_EQ(allocation_node(p), nodes[i].node);
		memset(p, 1, 100000);
		GOOD(destroy_memory_pool(pool));
	}
}

/* ---- threads share two pools and return each other's blocks ---- */

enum { THREADS = 4, SLOTS = 256 };
static memory_pool_t *shared[2];
static unsigned char *slots[SLOTS];

static void *exchange(void *number)
{
	uint64_t random = (uint64_t)(uintptr_t)number;

	for (int i = 0; i < (api_brief() ? 500 : 20000); i++) {
		size_t size = 8 + check_random(&random) % (i % 100 ? 1000 : 100000);
		unsigned char *p = allocate_from(shared[i % 2], size);

		REQUIRE(p);
		memcpy(p, &size, sizeof(size));
		check_fill(p, sizeof(size), size, size);
		p = __atomic_exchange_n(&slots[check_random(&random) % SLOTS], p, __ATOMIC_ACQ_REL);
		if (!p)
			continue;
		memcpy(&size, p, sizeof(size));
		CHECK_EQ(check_filled(p, sizeof(size), size, size), size);
		return_to_pool(p);
	}
	return NULL;
}

static void threads_share_pools(void)
{
	pthread_t threads[THREADS];
	memory_pool_stats_t s[2];

	shared[0] = make("first", 0, 0);
	shared[1] = make("second", 0, 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, exchange, (void *)(i + 1)) == 0);
	for (int i = 0; i < 50; i++) {
		memory_stats_t all = api_stats();

		CHECK(all.peak_usage >= all.total_allocated);
		s[0] = figures(shared[0]);
		CHECK(s[0].peak_bytes >= s[0].live_bytes && s[0].releases <= s[0].allocations);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SLOTS; i++)
		return_to_pool(slots[i]);
	for (int i = 0; i < 2; i++) {
		s[i] = figures(shared[i]);
		CHECK_EQ(s[i].live_bytes, 0);
		CHECK_EQ(s[i].allocations, s[i].releases);
		CHECK_EQ(s[i].allocations, (size_t)(api_brief() ? 250 : 10000) * THREADS);
		GOOD(destroy_memory_pool(shared[i]));
	}
}

int main(void)
{
	check_watchdog(200);
	RUN(wrong_configurations_are_named);
	RUN(what_is_no_pool_is_refused);
	RUN(counts_are_exact);
	RUN(blocks_are_aligned);
	RUN(the_limit_is_the_pools_own);
	RUN(small_blocks_obey_the_limit_too);
	RUN(reset_takes_all_back);
	RUN(a_pools_life_leaves_nothing);
	RUN(hundreds_at_once);
	RUN(resizing_stays_in_the_pool);
	RUN(a_failed_resize_leaves_the_block);
	RUN(blocks_tell_their_pool);
	RUN(every_node_there_is);
	RUN(threads_share_pools);
	return check_result();
}
