/* SPDX-License-Identifier: BSD-3-Clause */
/* Placed blocks on a made-up machine of three nodes, whose kernel puts pages where it was told to, or does not. */
#include "heap/placed.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "heap/heap.h"
#include "heap/snapshot.h"
#include "os/os.h"
#include "support/unit.h"

enum { NODES = 3, LIMIT = 4000, EVERYWHERE = -2 };

static const int node_numbers[NODES] = { 1, 4, 9 };
static struct {
	uintptr_t from, to;
	int node;
} bound[LIMIT];
static size_t bound_count;
static int here = 1, refusal, lies;
static size_t huge_bytes;
static bool kept_lies; /* pages of freed blocks lie elsewhere until they are given back */
static struct na_os real;
static int16_t spread_over[8];
static size_t spread_count;

static size_t three_nodes(int *nodes, size_t capacity)
{
	assert_true(capacity >= NODES);
	memcpy(nodes, node_numbers, sizeof(node_numbers));
	return NODES;
}

static size_t no_neighbours(int from, int *nodes, size_t capacity)
{
	(void)from;
	(void)nodes;
	(void)capacity;
	return 0;
}

static int current_node(void)
{
	return here;
}

static int note(void *at, size_t size, int node)
{
	if (refusal)
		return refusal;
	assert_true(bound_count < LIMIT);
	bound[bound_count].from = (uintptr_t)at;
	bound[bound_count].to = (uintptr_t)at + size;
	bound[bound_count++].node = node;
	return 0;
}

static int note_interleave(void *at, size_t size, const int16_t *nodes, size_t count)
{
	assert_true(count <= 8);
	memcpy(spread_over, nodes, count * sizeof(*nodes));
	spread_count = count;
	return note(at, size, EVERYWHERE);
}

static int note_huge(void *at, size_t size)
{
	(void)at;
	huge_bytes += size;
	return 0;
}

static int accept(void *at, size_t size)
{
	(void)at;
	(void)size;
	return 0;
}

static int bound_to(const void *p)
{
	for (size_t i = bound_count; i-- > 0;)
		if ((uintptr_t)p >= bound[i].from && (uintptr_t)p < bound[i].to)
			return bound[i].node;
	return -1;
}

/* The kernel's answer for each page, all of which count as touched; while `lies` lasts, another node than it was told. */
static int locate(void **pages, int *status, size_t count)
{
	if (refusal)
		return refusal;
	for (size_t i = 0; i < count; i++) {
		int node = bound_to(pages[i]);

		status[i] = node == EVERYWHERE ? node_numbers[(uintptr_t)pages[i] / NA_PAGE % NODES] : node;
		if (lies > 0 || kept_lies)
			status[i] = 77;
	}
	lies--;
	return 0;
}

static int note_purge(void *at, size_t size)
{
	kept_lies = false;
	return real.purge(at, size);
}

static int note_unmap(void *at, size_t size)
{
	kept_lies = false;
	return real.unmap(at, size);
}

static void *place(struct na_wish wish, size_t size)
{
	char why[200] = "";
	void *p = NULL;

	if (!wish.alignment)
		wish.alignment = 16;
	assert_int_equal(na_placed_allocate(size, &wish, &p, why), 0);
	assert_int_equal((uintptr_t)p % wish.alignment, 0);
	memset(p, 1, size);
	return p;
}

/* Kind and node as kept, and all pages there. */
static void check(const void *p, enum na_placed placement, int node)
{
	struct na_whereabouts where;

	lies = 0;
	assert_int_equal(na_placed_where(p, &where), 0);
	assert_int_equal(where.placement, placement);
	assert_int_equal(where.node, node);
	assert_int_equal(where.misplaced, 0);
	assert_true(where.resident > 0);
	if (node >= 0)
		assert_int_equal(where.on[node], where.resident);
}

static const size_t sizes[] = { 1, 100, 5000, 40000, 100000, 3000000, 20000000 };

static void blocks_of_a_node_stay_there_whatever_their_size_becomes(void **state)
{
	(void)state;
	for (int huge = 0; huge < 2; huge++)
		for (size_t from = 0; from < 7; from++)
			for (size_t to = 0; to < 7; to++) {
				char *p = place((struct na_wish){ .placement = NA_ON_NODE,
								  .node = 4,
								  .huge = huge,
								  .alignment = from % 2 ? 4096 : 8192 },
						sizes[from]);

				here = 9;
				check(p, NA_ON_NODE, 4);
				p = na_heap_resize(p, sizes[to]);
				assert_non_null(p);
				check(p, NA_ON_NODE, 4);
				assert_int_equal(p[0], 1);
				assert_int_equal(p[(sizes[to] < sizes[from] ? sizes[to] : sizes[from]) - 1], 1);
				na_heap_release(p);
				here = 1;
			}
}

static void huge_pages_are_asked_for_on_one_node_too(void **state)
{
	char *p;

	(void)state;
	huge_bytes = 0;
	p = place((struct na_wish){ .placement = NA_ON_NODE, .node = 9, .huge = true }, 5 << 20);
	assert_int_equal(huge_bytes, 6 << 20);
	assert_int_equal((uintptr_t)p % (2 << 20), 0);
	check(p, NA_ON_NODE, 9);
	na_heap_release(p);
}

static void local_is_where_the_thread_runs_now(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		char *p;

		here = node_numbers[i % NODES];
		p = place((struct na_wish){ .placement = NA_LOCAL }, 100);
		check(p, NA_ON_NODE, here);
		na_heap_release(p);
	}
	here = 1;
}

static void interleaved_blocks_are_spread_over_all_nodes(void **state)
{
	static const size_t again[] = { 65536, 70000, 5000000, 12000000, 400000 };
	char *p = place((struct na_wish){ .placement = NA_INTERLEAVED }, 1000000);
	int turns[10] = { 0 };

	(void)state;
	assert_int_equal(spread_count, NODES);
	for (int n = 0; n < NODES; n++)
		assert_int_equal(spread_over[n], node_numbers[n]);
	check(p, NA_INTERLEAVED, -1);
	for (size_t i = 0; i < 5; i++) {
		p = na_heap_resize(p, again[i]);
		check(p, NA_INTERLEAVED, -1);
		assert_int_equal(p[60000], 1);
	}
	p = na_heap_resize(p, 100); /* a page may be all there is */
	assert_int_equal(p[99], 1);
	na_heap_release(p);
	for (int i = 0; i < 30; i++) {
		struct na_block block;

		p = place((struct na_wish){ .placement = NA_INTERLEAVED }, 5000);
		assert_true(na_heap_find(p, &block));
		turns[block.pool->node]++;
	}
	for (int n = 0; n < NODES; n++)
		assert_int_equal(turns[node_numbers[n]], 10);
}

static void partitioned_blocks_keep_their_parts_when_resized(void **state)
{
	static const size_t lengths[] = { 300000, 310000, 9000000, 200000, 199999 };
	char *p = place((struct na_wish){ .placement = NA_PARTITIONED, .parts = 6 }, 1000000);

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		p = na_heap_resize(p, lengths[i]);
		assert_int_equal(p[100000], 1);
		check(p, NA_PARTITIONED, -1);
		for (uint32_t part = 0; part < 6; part++) {
			size_t from = na_placed_cut(lengths[i], 6, part, false),
			       to = na_placed_cut(lengths[i], 6, part + 1, false);

			assert_int_equal(bound_to(p + from), node_numbers[part / 2]);
			assert_int_equal(bound_to(p + to - 1), node_numbers[part / 2]);
		}
	}
	na_heap_release(p);
}

static void freed_spread_blocks_serve_their_like_and_nobody_else(void **state)
{
	const size_t size = 20000000;
	char *p, *q, *r;

	(void)state;
	na_heap_flush();
	p = place((struct na_wish){ .placement = NA_INTERLEAVED }, size);
	na_heap_release(p);
	q = na_heap_allocate((size_t)18 << 20); /* which would fit there */
	assert_ptr_not_equal(q, p);
	r = place((struct na_wish){ .placement = NA_PARTITIONED, .parts = 3 }, size);
	assert_ptr_not_equal(r, p);
	na_heap_release(q);
	q = place((struct na_wish){ .placement = NA_INTERLEAVED }, size - 8192);
	assert_ptr_not_equal(q, p);
	na_heap_release(q);
	q = place((struct na_wish){ .placement = NA_INTERLEAVED }, size);
	assert_ptr_equal(q, p);
	check(q, NA_INTERLEAVED, -1);
	na_heap_release(q);
	na_heap_release(r);
	assert_true(na_heap_flush() >= 3 * size); /* they do go back */
}

static int strictly(int node, size_t size, char *why, void **out)
{
	struct na_wish wish = { .placement = NA_ON_NODE, .node = node, .strict = true, .alignment = 16 };

	return na_placed_allocate(size, &wish, out, why);
}

static uint64_t live(void)
{
	struct na_snapshot s;

	na_heap_snapshot(&s);
	return s.live_bytes;
}

static void strict_blocks_lie_there_or_are_none(void **state)
{
	uint64_t before = live();
	char why[200];
	void *p;

	(void)state;
	for (size_t s = 0; s < 7; s++) {
		lies = 1000000;
		assert_int_equal(strictly(4, sizes[s], why, &p), -ENOMEM);
		assert_non_null(strstr(why, "node 4"));
		assert_int_equal(live(), before);
		lies = 0;
	}
	/* What is kept for reuse lies elsewhere, fresh pages do not. */
	for (size_t s = 3; s < 7; s++) {
		na_heap_release(place((struct na_wish){ .placement = NA_ON_NODE, .node = 4 }, sizes[s]));
		kept_lies = true;
		assert_int_equal(strictly(4, sizes[s], why, &p), 0);
		assert_false(kept_lies);
		check(p, NA_ON_NODE, 4);
		na_heap_release(p);
	}
	assert_int_equal(strictly(2, 100, why, &p), -EINVAL);
	assert_non_null(strstr(why, "node 2"));
}

static void what_the_kernel_refuses_hinders_only_strict_ones(void **state)
{
	static const enum na_placed placements[] = { NA_LOCAL, NA_ON_NODE, NA_INTERLEAVED, NA_PARTITIONED };
	char why[200];

	(void)state;
	na_heap_flush();
	refusal = -EPERM;
	for (size_t i = 0; i < 4; i++)
		for (size_t s = 0; s < 7; s++) {
			struct na_wish wish = { .placement = placements[i], .node = 4, .huge = s % 2, .alignment = 16 };
			struct na_whereabouts where;
			void *p = place(wish, sizes[s]);

			assert_int_equal(na_placed_where(p, &where), -EPERM);
			na_heap_release(p);
			wish.strict = true;
			assert_int_equal(na_placed_allocate(sizes[s], &wish, &p, why), -EPERM);
		}
	refusal = 0;
	/* What was freed then has no policy, and serves none that shall have one. */
	check(place((struct na_wish){ .placement = NA_INTERLEAVED }, sizes[6]), NA_INTERLEAVED, -1);
}

/* Each costs an entry of vm.max_map_count, past which nothing at all can be mapped. */
static void very_many_spread_blocks_lie_on_one_node_each(void **state)
{
	struct na_wish wish = { .placement = NA_INTERLEAVED, .alignment = 16 };
	struct na_whereabouts where;
	char why[200];
	void *p, *q;

	(void)state;
	atomic_fetch_add(&na_pool_mappings, 40000);
	p = place(wish, 1000000);
	assert_int_equal(na_placed_where(p, &where), 0);
	assert_int_equal(where.placement, NA_ON_NODE);
	wish.strict = true;
	assert_int_equal(na_placed_allocate(1000000, &wish, &q, why), -ENOMEM);
	assert_non_null(strstr(why, "mappings"));
	atomic_fetch_sub(&na_pool_mappings, 40000);
	na_heap_release(p);
	p = place(wish, 1000000);
	check(p, NA_INTERLEAVED, -1);
	na_heap_release(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_a_node_stay_there_whatever_their_size_becomes),
		cmocka_unit_test(huge_pages_are_asked_for_on_one_node_too),
		cmocka_unit_test(local_is_where_the_thread_runs_now),
		cmocka_unit_test(interleaved_blocks_are_spread_over_all_nodes),
		cmocka_unit_test(partitioned_blocks_keep_their_parts_when_resized),
		cmocka_unit_test(freed_spread_blocks_serve_their_like_and_nobody_else),
		cmocka_unit_test(strict_blocks_lie_there_or_are_none),
		cmocka_unit_test(what_the_kernel_refuses_hinders_only_strict_ones),
		cmocka_unit_test(very_many_spread_blocks_lie_on_one_node_each),
	};

	/* A made-up topology, so that this machine's CPUs and nodes play no part. */
	setenv("HWLOC_SYNTHETIC", "node:3 pu:1", 1);
	real = na_os;
	na_os.purge = note_purge;
	na_os.unmap = note_unmap;
	na_os.nodes = three_nodes;
	na_os.online = three_nodes;
	na_os.nearest = no_neighbours;
	na_os.current_node = current_node;
	na_os.bind = note;
	na_os.interleave = note_interleave;
	na_os.advise_huge = note_huge;
	na_os.advise_ordinary = accept;
	na_os.locate = locate;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
