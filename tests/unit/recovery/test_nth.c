/* SPDX-License-Identifier: BSD-3-Clause */
/* Every path of failure that a scenario reaches, by failing each of its system calls in turn: support/nth.h. */
#include <numarena/numarena.h>
#include <unistd.h>

#include "heap/placed.h"
#include "heap/pressure.h"
#include "support/nth.h"

#define MIB ((size_t)1 << 20)

/* ---- a machine of three nodes, for what one node never asks of the kernel; the program runs itself once more on it ---- */

#define THREE "NA_TEST_THREE_NODES"

static int node_here;

static size_t three_nodes(int *nodes, size_t capacity)
{
	REQUIRE(capacity >= 3);
	for (int i = 0; i < 3; i++)
		nodes[i] = i;
	return 3;
}

static size_t as_numbered(int from, int *nodes, size_t capacity)
{
	size_t n = 0;

	for (int i = 0; i < 3 && n < capacity; i++)
		nodes[n++] = (from + i) % 3;
	return n;
}

static int on_node_here(void)
{
	return node_here;
}

static int bind_nowhere(void *at, size_t size, int node)
{
	(void)at;
	(void)size;
	(void)node;
	return 0;
}

static int interleave_nowhere(void *at, size_t size, const int16_t *nodes, size_t count)
{
	(void)at;
	(void)size;
	(void)nodes;
	(void)count;
	return 0;
}

/* All pages are touched, and lie on node 0: two thirds of them wrongly. */
static int all_on_node_0(void **pages, int *status, size_t count)
{
	(void)pages;
	memset(status, 0, count * sizeof(*status));
	return 0;
}

static int move_all(void **pages, const int *nodes, int *status, size_t count)
{
	(void)pages;
	memcpy(status, nodes, count * sizeof(*status));
	return 0;
}

/* Before the library's own constructor, which finds out the nodes. */
static __attribute__((constructor(101))) void on_three_nodes(void)
{
	if (!getenv(THREE))
		return;
	na_os.nodes = na_os.online = three_nodes;
	na_os.nearest = as_numbered;
	na_os.current_node = on_node_here;
	na_os.bind = bind_nowhere;
	na_os.interleave = interleave_nowhere;
	na_os.locate = all_on_node_0;
	na_os.move = move_all;
}

/* ---- scenarios ---- */

static void first_allocation(void)
{
	nth_keep(na_heap_allocate(100), 100);
}

static void refills(void)
{
	static const size_t sizes[] = { 16, 64, 1000, 30000 };

	for (size_t s = 0; s < 4; s++)
		for (int i = 0; i < 300; i++)
			nth_keep(na_heap_allocate(sizes[s]), sizes[s]);
	nth_keep(na_heap_allocate_aligned(4096, 5000, false), 5000);
	nth_keep(na_heap_allocate_zeroed(700), 700);
}

static void large_blocks(void)
{
	for (int i = 0; i < 10; i++) {
		nth_keep(na_heap_allocate(40000), 40000);
		nth_keep(na_heap_allocate(5 * MIB), 5 * MIB);
	}
	nth_keep(na_heap_allocate_aligned(MIB, 3 * MIB, true), 3 * MIB);
}

static void huge_blocks(void)
{
	for (size_t i = 1; i < 6; i++)
		nth_keep(na_heap_allocate(10 * i * MIB), 10 * i * MIB);
	nth_keep(na_heap_allocate_aligned(64 * MIB, 20 * MIB, false), 20 * MIB);
}

static void huge_blocks_on_huge_pages(void)
{
	na_options.hugepages = NA_PAGES_HUGETLB;
	huge_blocks();
	na_options.hugepages = NA_PAGES_TRANSPARENT;
	huge_blocks();
	na_options.hugepages = NA_PAGES_ORDINARY;
}

/* A block that cannot grow is as it was; so what is kept is always the last that was got. */
static void grow(size_t from, size_t to)
{
	void *p = na_heap_allocate(from), *q;
	size_t size = from;

	if (!nth_keep(p, size))
		return;
	while (size < to) {
		size_t seed = --nth_count, larger = size + size / 2;

		errno = 0;
		q = na_heap_resize(p, larger);
		CHECK_MSG(check_filled(q ? q : p, 0, size < 20000 ? size : 20000, seed) ==
				  (size < 20000 ? size : 20000),
			  "contents have changed between %zu and %zu bytes", size, larger);
		if (!q) {
			CHECK_EQ(errno, ENOMEM);
			nth_refused++;
			nth_count++;
			return;
		}
		p = q;
		size = larger;
		nth_keep(p, size);
	}
}

static void growing_blocks(void)
{
	grow(100, 100 * MIB);
	grow(200000, 3 * MIB);
	grow(9 * MIB, 80 * MIB);
	grow(20 * MIB, 40 * MIB);
}

static void place(enum na_placed placement, int node, size_t size, bool huge, bool strict)
{
	struct na_wish wish = { .placement = placement, .node = node, .strict = strict, .huge = huge, .alignment = 16 };
	char why[200] = "";
	void *p = NULL;
	int rc = na_placed_allocate(size, &wish, &p, why);

	if (rc == 0) {
		nth_keep(p, size);
		return;
	}
	CHECK_MSG(rc == -ENOMEM || (strict && rc == -EPERM), "error %d: %s", rc, why);
	CHECK_MSG(why[0], "a placement failed, and nothing says why");
}

static void placed_blocks(void)
{
	static const size_t sizes[] = { 1000, 300000, 20 * MIB };

	for (size_t i = 0; i < 3; i++) {
		place(NA_ON_NODE, 1, sizes[i], false, false);
		place(NA_ON_NODE, 0, sizes[i], false, true);
		place(NA_ON_NODE, 2, sizes[i], true, false);
		place(NA_INTERLEAVED, 0, sizes[i], false, false);
		place(NA_PARTITIONED, 0, sizes[i], i == 2, false);
		place(NA_LOCAL, 0, sizes[i], false, false);
	}
}

static void resized_placed_blocks(void)
{
	place(NA_INTERLEAVED, 0, 300000, false, false);
	place(NA_ON_NODE, 2, 4 * MIB, true, false);
	for (size_t i = 0; i < nth_count; i++) {
		size_t size = nth_blocks[i].size;
		void *q = na_heap_resize(nth_blocks[i].p, 3 * size);

		if (!q) {
			CHECK_EQ(errno, ENOMEM);
			continue;
		}
		check_fill(q, 3 * size - 5000, 3 * size, i);
		nth_blocks[i] = (struct nth_block){ q, 3 * size };
	}
}

/* A thread that has no memory even for its cache has no place for a last error either. */
static int named_or_voiceless(const char *what)
{
	return last_memory_error() == MEMORY_ERROR_NONE ||
	       (last_memory_error() == MEMORY_ERROR_ALLOCATION && strstr(last_memory_error_message(), what));
}

/* As a program uses them: what the calls say of a failure names the pool. */
static void named_pools(void)
{
	named_pool_config_t config = { .name = "lattice", .node = MEMORY_NODE_ANY, .limit = 100 * MIB };
	memory_pool_t *pool = NULL;
	void *p[4];

	if (create_memory_pool(&config, &pool)) {
		CHECK(named_or_voiceless("lattice"));
		return;
	}
	for (size_t i = 0; i < 4; i++) {
		static const size_t sizes[] = { 64, 20000, 200000, 12 * MIB };

		errno = 0;
		p[i] = allocate_from(pool, sizes[i]);
		if (p[i])
			check_fill(p[i], 0, sizes[i], i);
		else
			CHECK(errno == ENOMEM && named_or_voiceless("lattice"));
	}
	if (p[1])
		CHECK_EQ(check_filled(p[1], 0, 20000, 1), 20000);
	return_to_pool(p[3]);
	CHECK_EQ(reset_memory_pool(pool), MEMORY_ERROR_NONE);
	CHECK_EQ(destroy_memory_pool(pool), MEMORY_ERROR_NONE);
}

static void tracking_on_and_off(void)
{
	na_options.background = 1;
	na_options.sampling_interval = 1;
	if (start_memory_tracking(NULL) == MEMORY_ERROR_NONE) {
		nth_keep(na_heap_allocate(30 * MIB), 30 * MIB);
		for (int i = 0; i < 2000 && get_memory_samples(NULL, 0) == 0; i++)
			usleep(1000);
		CHECK(get_memory_samples(NULL, 0) > 0);
	} else {
		CHECK(last_memory_error_message()[0]);
	}
	CHECK_EQ(stop_memory_monitoring(), MEMORY_ERROR_NONE);
	na_maintenance_stop();
	na_options.background = 0;
}

/* Memory of all kinds is kept, and some lives beside it. */
static void keep_some(void)
{
	void *p[60];

	nth_keep(na_heap_allocate(3000), 3000);
	nth_keep(na_heap_allocate(200000), 200000);
	nth_keep(na_heap_allocate(12 * MIB), 12 * MIB);
	for (size_t i = 0; i < 60; i++)
		p[i] = na_heap_allocate(i % 3 == 0 ? 500 : i % 3 == 1 ? 100000 : 10 * MIB);
	for (size_t i = 0; i < 60; i++)
		na_heap_release(p[i]);
}

static void flushing(void)
{
	keep_some();
	flush_memory_pools();
}

static void maintenance(void)
{
	keep_some();
	na_cache_tend();
	na_cache_purge_sleepers();
	na_cache_purge_pages();
	for (uint32_t i = 0; i < na_pool_count; i++) {
		na_pool_purge_some(&na_pools[i], 5 * MIB);
		na_pool_purge(&na_pools[i], true);
		na_pool_release(&na_pools[i]);
	}
	na_named_purge(true);
	na_named_release();
}

static void thin_out(void)
{
	void *p[2000];

	for (size_t i = 0; i < 2000; i++)
		p[i] = na_heap_allocate(700);
	for (size_t i = 0; i < 2000; i++) {
		if (p[i] && i % 40 == 0)
			nth_keep(p[i], 700);
		else
			na_heap_release(p[i]);
	}
}

static void defragmentation(void)
{
	node_here = 1; /* where pages should be, and are not */
	thin_out();
	nth_keep(na_heap_allocate(12 * MIB), 12 * MIB);
	node_here = 0;
	if (trigger_defragmentation() != MEMORY_ERROR_NONE)
		CHECK(last_memory_error() == MEMORY_ERROR_PERMISSION &&
		      strstr(last_memory_error_message(), "move_pages"));
}

/* Past a limit, with each rung of the ladder tried. */
/* What looks at the heap needs memory itself; without it says that it knows nothing, and never that something is wrong. */
static void validation(void)
{
	size_t found;

	nth_keep(na_heap_allocate(3000), 3000);
	found = validate_memory_blocks();
	CHECK(found == 0 || found == MEMORY_METRIC_UNAVAILABLE);
}

/* A repair that cannot be made changes nothing. */
static void repair(void)
{
	struct na_span *span;
	uintptr_t was;

	nth_keep(na_heap_allocate(3000), 3000);
	if (!nth_count)
		return;
	span = na_span_of(nth_blocks[0].p);
	was = span->base;
	span->base ^= 1 << 20;
	if (repair_corruption() != MEMORY_ERROR_NONE) {
		CHECK_EQ(last_memory_error(), MEMORY_ERROR_ALLOCATION);
		CHECK_EQ(span->base, was ^ 1 << 20);
		span->base = was;
	}
	CHECK_EQ(span->base, was);
}

static void recovery_with(recovery_fallback_t fallback)
{
	recovery_config_t config = { .max_retries = 1, .retry_delay = 1, .fallback_strategy = fallback };
	uint64_t limit = atomic_load(&na_pool_limit);

	na_pressure_follow(false); /* the limit is the test's */
	if (initialize_memory_recovery(&config)) {
		CHECK(named_or_voiceless("fallback_strategy"));
		return;
	}
	atomic_store(&na_pool_limit, na_pool_counted() + 16 * MIB);
	for (int i = 0; i < 6; i++) {
		nth_keep(na_heap_allocate(4 * MIB), 4 * MIB);
		nth_keep(na_heap_allocate(2000), 2000);
	}
	atomic_store(&na_pool_limit, limit);
}

static void recovery_from_the_system(void)
{
	recovery_with(FALLBACK_SYSTEM_ALLOC);
}

static void recovery_from_other_nodes(void)
{
	recovery_with(FALLBACK_OTHER_NODE);
}

static void cleaned_up(void)
{
	CHECK_EQ(cleanup_memory_resources(), MEMORY_ERROR_NONE);
}

static void on_one_node(void)
{
	nth_scenario("first allocation", first_allocation, NULL);
	nth_scenario("refills", refills, NULL);
	nth_scenario("large blocks", large_blocks, NULL);
	nth_scenario("huge blocks", huge_blocks, NULL);
	nth_scenario("huge blocks on huge pages", huge_blocks_on_huge_pages, NULL);
	nth_scenario("growth by realloc", growing_blocks, NULL);
	nth_scenario("named pools", named_pools, NULL);
	nth_scenario("tracking", tracking_on_and_off, NULL);
	nth_scenario("flush", flushing, NULL);
	nth_scenario("maintenance", maintenance, NULL);
	nth_stride = 97; /* most calls ask which pages of the map are there, one after another */
	nth_scenario("validation", validation, NULL);
	nth_scenario("repair", repair, NULL);
	nth_stride = 1;
	nth_scenario("recovery, the system", recovery_from_the_system, cleaned_up);
}

static void on_three(void)
{
	REQUIRE(na_pool_count == 3);
	nth_scenario("three nodes: refills", refills, NULL);
	nth_scenario("placed blocks", placed_blocks, NULL);
	nth_scenario("placed blocks resized", resized_placed_blocks, NULL);
	nth_scenario("defragmentation", defragmentation, NULL);
	nth_scenario("recovery, other nodes", recovery_from_other_nodes, cleaned_up);
}

int main(int argc, char **argv)
{
	check_watchdog(900);
	na_options.background = 0;
	(void)argc;
	if (getenv(THREE)) {
		on_three();
		return check_result();
	}
	on_one_node();
	if (check_failures)
		return check_result();
	setenv(THREE, "1", 1);
	execv("/proc/self/exe", argv);
	return 99;
}
