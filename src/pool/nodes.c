/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/nodes.h"

#include <sched.h>

#include "base/settings.h"
#include "os/os.h"

struct na_pool na_pools[NA_MAX_POOLS];
uint32_t na_pool_count;

#define MOST_NODES 1024 /* the kernel's own limit */

enum { COLD, BOOTING, READY };
static _Atomic int state; /* READY is stored with release and read with acquire */
static char complaint[256];

/* A node without a pool of its own (without memory, not allowed, or beyond the pools that there are) uses the nearest one's by
 * distance, or where that is not known the next lower one's. */
static uint8_t pool_of_node[MOST_NODES];
#define MOST_CPUS 8192
#define WORD_BITS (8 * sizeof(unsigned long))
static unsigned long start_cpus[MOST_CPUS / WORD_BITS];

static uint32_t without_pool; /* nodes that have memory for us, and no pool */

static int position_of(int node)
{
	for (uint32_t i = 0; i < na_pool_count; i++)
		if (na_pools[i].node == node)
			return (int)i;
	return -1;
}

static void find_neighbours(void)
{
	static int online[MOST_NODES], near[MOST_NODES]; /* of the one thread that boots */
	size_t count = na_os.online(online, MOST_NODES);

	for (size_t k = 0; k < count; k++) {
		size_t n = position_of(online[k]) < 0 ? na_os.nearest(online[k], near, MOST_NODES) : 0;
		int position = -1;

		for (size_t i = 0; i < n && position < 0; i++)
			position = position_of(near[i]);
		if (position >= 0 && online[k] < (int)sizeof(pool_of_node))
			pool_of_node[online[k]] = (uint8_t)position;
	}
}

static void boot(void)
{
	int nodes[MOST_NODES];
	uint32_t count, all;
	uint64_t limit;

	na_options_load(complaint, sizeof(complaint));
	if (na_options.optimization || na_options.cache_optimization)
		na_settings_follow_levels();
	na_map_slim();
	all = (uint32_t)na_os.nodes(nodes, MOST_NODES);
	count = all < NA_MAX_POOLS ? all : NA_MAX_POOLS;
	without_pool = all - count;
	for (uint32_t i = 0; i < count; i++)
		na_pool_init(&na_pools[i], nodes[i], count > 1);
	/* With one pool the table is right as it is, and its page stays untouched. */
	for (uint32_t node = 0, i = 0; count > 1 && node < sizeof(pool_of_node); node++) {
		while (i + 1 < count && nodes[i + 1] <= (int)node)
			i++;
		pool_of_node[node] = (uint8_t)i;
	}
	limit = na_options.total_size;
	atomic_store_explicit(&na_pool_limit, limit ? limit : NA_POOL_UNASKED, memory_order_relaxed);
	na_pool_count = count;
	if (count > 1) {
		find_neighbours();
		na_os.cpus(start_cpus, sizeof(start_cpus));
	}
}

void na_pools_boot(void)
{
	int expected = COLD;

	if (atomic_load_explicit(&state, memory_order_acquire) == READY)
		return;
	if (atomic_compare_exchange_strong_explicit(&state, &expected, BOOTING, memory_order_acquire,
						    memory_order_relaxed)) {
		boot();
		atomic_store_explicit(&state, READY, memory_order_release);
		return;
	}
	while (atomic_load_explicit(&state, memory_order_acquire) != READY)
		sched_yield();
}

uint64_t na_pool_ask_limit(void)
{
	uint64_t limit = atomic_load_explicit(&na_pool_limit, memory_order_relaxed);

	/* Nobody else's value is overwritten: a program's own limit may come in meanwhile. */
	if (limit == NA_POOL_UNASKED)
		atomic_compare_exchange_strong_explicit(&na_pool_limit, &limit, na_os_memory_limit(),
							memory_order_relaxed, memory_order_relaxed);
	return atomic_load_explicit(&na_pool_limit, memory_order_relaxed);
}

struct na_pool *na_pool_near(int node)
{
	return &na_pools[node >= 0 && node < (int)sizeof(pool_of_node) ? pool_of_node[node] : 0];
}

struct na_pool *na_pool_here(void)
{
	return na_pool_count == 1 ? &na_pools[0] : na_pool_near(na_os.current_node());
}

bool na_pools_cpu(uint32_t cpu)
{
	return cpu < MOST_CPUS && (start_cpus[cpu / WORD_BITS] >> (cpu % WORD_BITS) & 1);
}

struct na_pool *na_pool_of_node(int node)
{
	for (uint32_t i = 0; i < na_pool_count; i++)
		if (na_pools[i].node == node)
			return &na_pools[i];
	return NULL;
}

uint32_t na_pools_missing(void)
{
	return without_pool;
}

const char *na_pools_complaint(void)
{
	return complaint;
}
