/* SPDX-License-Identifier: BSD-3-Clause */
/* A machine of more nodes than there are pools: the others' threads are served by the nearest that has one. */
#include "pool/nodes.h"

#include "os/os.h"
#include "support/unit.h"

enum { ALL = 72, NEAR_66 = 17, NEAR_71 = 25 };

static int here;

static size_t with_memory(int *nodes, size_t capacity)
{
	size_t n = 0;

	for (; n < ALL - 1 && n < capacity; n++) /* the last has none */
		nodes[n] = (int)n;
	return n;
}

static size_t online(int *nodes, size_t capacity)
{
	size_t n = 0;

	for (; n < ALL && n < capacity; n++)
		nodes[n] = (int)n;
	return n;
}

/* Itself, then one that is near, then the others, the nodes without pool first. */
static size_t nearest(int from, int *nodes, size_t capacity)
{
	size_t n = 0;

	nodes[n++] = from;
	if (from == 66 || from == 71)
		nodes[n++] = from == 66 ? NEAR_66 : NEAR_71;
	for (int i = ALL - 1; i >= 0 && n < capacity; i--)
		if (i != from && i != nodes[1])
			nodes[n++] = i;
	return n;
}

static int current_node(void)
{
	return here;
}

static int pool_at(int node)
{
	here = node;
	return na_pool_here()->node;
}

static void every_node_is_served_by_its_own_pool_or_the_nearest(void **state)
{
	(void)state;
	na_os.nodes = with_memory;
	na_os.online = online;
	na_os.nearest = nearest;
	na_os.current_node = current_node;
	na_pools_boot();
	assert_int_equal(na_pool_count, NA_MAX_POOLS);
	assert_int_equal(na_pools_missing(), ALL - 1 - NA_MAX_POOLS);
	for (int node = 0; node < NA_MAX_POOLS; node++)
		assert_int_equal(pool_at(node), node);
	assert_int_equal(pool_at(66), NEAR_66);
	assert_int_equal(pool_at(71), NEAR_71);
	assert_int_equal(pool_at(70), NA_MAX_POOLS - 1); /* nearer than all others with a pool */
	assert_int_equal(pool_at(5000), 0);		 /* nothing that a kernel says */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_node_is_served_by_its_own_pool_or_the_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
