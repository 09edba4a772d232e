/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/placed_nodes.h"

#include <stdatomic.h>

#include "base/log.h"
#include "os/os.h"
#include "pool/nodes.h"
#include "topology/topology.h"

/* NULL if it is not to be had, or another machine's: its numbers mean nothing to this kernel. */
static const struct na_topology *real_topology(void)
{
	static _Atomic bool told;
	const struct na_topology *t = NULL;

	if (na_topology_get(&t) < 0)
		return NULL;
	if (t->real)
		return t;
	if (!atomic_exchange_explicit(&told, true, memory_order_relaxed))
		na_log(NA_LOG_WARNING,
		       "hwloc's topology is not this machine's (HWLOC_SYNTHETIC, HWLOC_XMLFILE): memory is "
		       "placed by the kernel's nodes, without CPUs, bandwidth and capacity");
	return NULL;
}

void na_placed_usual_nodes(struct na_placement *p)
{
	const struct na_topology *t = real_topology();

	for (uint32_t i = 0; i < na_pool_count && p->count < NA_PLACEMENT_NODES; i++) {
		const struct na_topology_node *n = t ? na_topology_node(t, na_pools[i].node) : NULL;

		if (!n || n->cpu_count > 0)
			p->nodes[p->count++] = (int16_t)na_pools[i].node;
	}
	if (p->count == 0)
		p->nodes[p->count++] = (int16_t)na_pools[0].node;
}

uint32_t na_placed_count_cpus(uint32_t served[NA_MAX_POOLS])
{
	const struct na_topology *t = real_topology();
	uint32_t all = 0;

	for (uint32_t cpu = 0; t && cpu < t->cpu_slots; cpu++) {
		int32_t node = na_topology_node_of_cpu(t, cpu);

		if (node >= 0 && na_pools_cpu(cpu)) {
			served[na_pool_near(node) - na_pools]++;
			all++;
		}
	}
	return all;
}

static uint32_t own_cpus(void)
{
	unsigned long mask[8192 / 64] = { 0 };
	size_t n = na_os.cpus(mask, sizeof(mask));

	return n ? (uint32_t)n : 1;
}

_Static_assert(NA_PLACEMENT_NODES >= NA_MAX_POOLS, "a partition may have a part on each pool's node");

void na_placed_divide(struct na_placement *p, uint32_t parts)
{
	uint32_t served[NA_MAX_POOLS] = { 0 }, weight[NA_PLACEMENT_NODES], all;

	all = na_pool_count > 1 ? na_placed_count_cpus(served) : 0;
	for (uint32_t i = 0; all && i < na_pool_count; i++)
		if (served[i]) {
			weight[p->count] = served[i];
			p->nodes[p->count++] = (int16_t)na_pools[i].node;
		}
	if (all == 0) {
		na_placed_usual_nodes(p);
		for (uint32_t k = 0; k < p->count; k++)
			weight[k] = 1;
		all = own_cpus();
	}
	na_placement_divide(p, weight, parts ? parts : all);
}

int na_placed_best_node(bool bandwidth)
{
	const struct na_topology *t = real_topology();
	int here = na_os.current_node(), best = -1;
	uint64_t most = 0, most_second = 0;
	int32_t from;

	if (!t || here < 0 || (uint32_t)here >= t->node_slots)
		return -1;
	from = t->node_position[here];
	if (from < 0 || (bandwidth && !t->bandwidth))
		return -1;
	for (uint32_t to = 0; to < t->node_count; to++) {
		uint32_t speed = t->bandwidth ? t->bandwidth[(uint32_t)from * t->node_count + to] : NA_TOPOLOGY_UNKNOWN;
		uint64_t first, second;

		if (!na_pool_of_node(t->nodes[to].os_index) || (bandwidth && speed == NA_TOPOLOGY_UNKNOWN))
			continue;
		first = bandwidth ? speed : t->nodes[to].memory >> 20;
		second = bandwidth ? 1000000 - t->distance[(uint32_t)from * t->node_count + to] : UINT32_MAX - speed;
		if (best < 0 || first > most || (first == most && second > most_second)) {
			best = t->nodes[to].os_index;
			most = first;
			most_second = second;
		}
	}
	return best;
}

/* By the CPUs that are best placed for each: another socket's fast memory is slow from here, if the kernel tells at all, but no tier
 * to put away into. */
int na_placed_slow_node(void)
{
	const struct na_topology *t = real_topology();
	int here = na_os.current_node(), slow = -1;
	const struct na_topology_node *own = t ? na_topology_node(t, here) : NULL;
	uint64_t most = 0;

	if (!own || own->bandwidth == NA_TOPOLOGY_UNKNOWN)
		return -1;
	for (uint32_t i = 0; i < t->node_count; i++) {
		const struct na_topology_node *n = &t->nodes[i];

		if (n->cpu_count || n->bandwidth == NA_TOPOLOGY_UNKNOWN || n->bandwidth >= own->bandwidth ||
		    n->memory <= most || !na_pool_of_node(n->os_index))
			continue;
		most = n->memory;
		slow = n->os_index;
	}
	return slow;
}

bool na_placed_allowed(int node)
{
	int nodes[1024];
	size_t n;

	if (na_pool_of_node(node))
		return true;
	n = na_pools_missing() ? na_os.nodes(nodes, 1024) : 0;
	while (n > 0)
		if (nodes[--n] == node)
			return true;
	return false;
}
