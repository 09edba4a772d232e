/* SPDX-License-Identifier: BSD-3-Clause */
/* Several nodes on any machine: the os table says where the thread runs, and notes what is bound. */
#include "cache/cache.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/options.h"
#include "heap/heap.h"
#include "heap/snapshot.h"
#include "os/os.h"
#include "support/unit.h"

static _Atomic int here;

static struct {
	uintptr_t from, to;
	int node;
} bound[200];
static size_t bound_count;

static size_t three_nodes(int *nodes, size_t capacity)
{
	assert_true(capacity >= 3);
	nodes[0] = 1;
	nodes[1] = 4;
	nodes[2] = 9;
	return 3;
}

static int current_node(void)
{
	return here;
}

static int note_bind(void *at, size_t size, int node)
{
	assert_true(bound_count < 200);
	bound[bound_count].from = (uintptr_t)at;
	bound[bound_count].to = (uintptr_t)at + size;
	bound[bound_count++].node = node;
	return 0;
}

static int bound_to(const void *p)
{
	for (size_t i = bound_count; i-- > 0;)
		if ((uintptr_t)p >= bound[i].from && (uintptr_t)p < bound[i].to)
			return bound[i].node;
	return -1;
}

static int node_of(const void *p)
{
	struct na_block found;

	return na_heap_find(p, &found) && found.live ? found.pool->node : -1;
}

static void blocks_of_every_kind_come_from_the_threads_node(void **state)
{
	const int nodes[] = { 4, 1, 9, 4 };
	const size_t sizes[] = { 100, 5000, 100000, 20000000 };

	(void)state;
	for (size_t n = 0; n < 4; n++) {
		here = nodes[n];
		for (size_t s = 0; s < 4; s++) {
			void *p = NULL;

			for (int i = 0; i < 100; i++) { /* what is left of the last node's bundle comes first */
				na_heap_release(p);
				p = na_heap_allocate(sizes[s]);
			}
			assert_int_equal(node_of(p), here);
			assert_int_equal(bound_to(p), here);
			na_heap_release(p);
		}
	}
}

static void a_thread_that_moves_allocates_there_within_100_calls(void **state)
{
	void *p[100];

	(void)state;
	for (int move = 0; move < 20; move++) {
		here = move % 2 ? 1 : 9;
		for (int i = 0; i < 100; i++)
			p[i] = na_heap_allocate(40);
		assert_int_equal(node_of(p[99]), here);
		for (int i = 0; i < 100; i++)
			na_heap_release(p[i]);
	}
}

static void blocks_go_home_from_another_node(void **state)
{
	static void *p[5000];
	struct na_snapshot s;
	void *q;

	(void)state;
	here = 1;
	for (int i = 0; i < 5000; i++)
		p[i] = na_heap_allocate(256);
	here = 4;
	na_heap_flush();
	for (int i = 0; i < 5000; i++)
		if (node_of(p[i]) == 1)
			na_heap_release(p[i]);
	na_heap_flush();
	q = na_heap_allocate(256);
	q = na_heap_allocate(256);
	assert_int_equal(bound_to(q), node_of(q)); /* never a slot of another node's segment */
	na_heap_snapshot(&s);
	assert_int_equal(s.node_count, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(s.nodes[i].live_bytes < 100000);
}

static void a_node_without_a_pool_is_served_by_a_neighbour(void **state)
{
	void *p;

	(void)state;
	here = 6; /* no memory of its own */
	na_heap_flush();
	p = na_heap_allocate(100000);
	assert_int_equal(node_of(p), 4);
	na_heap_release(p);
	here = 4000; /* no such node at all */
	p = na_heap_allocate(100000);
	assert_int_equal(node_of(p), 1);
	na_heap_release(p);
	here = 1;
}

/* The arena's largest block is what a thread cache must fit in, on the largest machine. */
static void a_thread_cache_of_64_nodes_can_be_had(void **state)
{
	static struct na_arena arena = { .node = -1 };
	uint32_t count = na_pool_count;

	(void)state;
	na_pool_count = NA_MAX_POOLS;
	assert_non_null(na_arena_take(&arena, na_cache_bytes(), NULL));
	na_pool_count = count;
	na_arena_release(&arena);
}

static int refuse_bind(void *at, size_t size, int node)
{
	(void)at;
	(void)size;
	(void)node;
	return -EPERM;
}

static void where_binding_is_forbidden_allocation_goes_on(void **state)
{
	void *p;

	(void)state;
	na_os.bind = refuse_bind;
	p = na_heap_allocate(60 << 20);
	assert_non_null(p);
	memset(p, 1, 60 << 20);
	na_heap_release(p);
	na_os.bind = note_bind;
}

static int pretend(void **state)
{
	(void)state;
	na_os.nodes = three_nodes;
	na_os.current_node = current_node;
	na_os.bind = note_bind;
	here = 1;
	na_pools_boot();
	na_options.verbose = 0;
	na_options.background = 0;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_every_kind_come_from_the_threads_node),
		cmocka_unit_test(a_thread_that_moves_allocates_there_within_100_calls),
		cmocka_unit_test(blocks_go_home_from_another_node),
		cmocka_unit_test(a_thread_cache_of_64_nodes_can_be_had),
		cmocka_unit_test(a_node_without_a_pool_is_served_by_a_neighbour),
		cmocka_unit_test(where_binding_is_forbidden_allocation_goes_on),
	};

	return cmocka_run_group_tests(tests, pretend, NULL);
}
