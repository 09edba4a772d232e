/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All calls that have to do with nodes, from four threads at once, where the kernel may refuse what they need, and where the topology may
 * be another machine's: each works without, or fails with an error that says so. How often that is said on standard error is
 * counted by who runs this, in the guest and on the machine at hand.
 */
#include <numarena/numarena.h>
#include <pthread.h>
#include <stdbool.h>

#include "guest.h"

enum { THREADS = 4, KINDS = 6 };

static _Atomic int placed, failed_strictly, untold;

static void fail(const char *what)
{
	printf("not ok refused: %s: %s\n", what, last_memory_error_message());
	exit(1);
}

static bool is_refusal(void)
{
	memory_error_t e = last_memory_error();

	return e == MEMORY_ERROR_PERMISSION || e == MEMORY_ERROR_ALLOCATION || e == MEMORY_ERROR_INVALID_ARGUMENT;
}

/* A page that the kernel is moving at that moment (NUMA balancing, khugepaged) is told as not there: asked again. */
static void look_at(const void *p)
{
	memory_placement_report_t report;
	memory_error_t e = get_memory_placement(p, &report);

	for (int again = 0; again < 1000 && e == MEMORY_ERROR_NONE && report.resident_bytes == 0; again++) {
		sched_yield();
		e = get_memory_placement(p, &report);
	}
	if (e == MEMORY_ERROR_PERMISSION)
		untold++;
	else if (e != MEMORY_ERROR_NONE || report.resident_bytes == 0)
		fail("get_memory_placement");
}

static void place(int kind, int node, size_t size, bool strict)
{
	memory_placement_config_t c = { .placement = (memory_placement_t)kind, .node = node, .strict = strict };
	char *p = allocate_placed(size, &c), *q;

	if (!p && strict && is_refusal()) {
		failed_strictly++;
		return;
	}
	if (!p)
		fail("allocate_placed");
	memset(p, 3, size);
	look_at(p);
	q = resize_memory(p, size * 2);
	if (!q || q[0] != 3 || q[size - 1] != 3)
		fail("resize_memory");
	memset(q, 4, size * 2);
	release_memory(q);
	placed++;
}

static void named(int node)
{
	memory_pool_t *pool = NULL;
	named_pool_config_t c = { .name = "refused", .node = node };
	char *p;

	if (create_memory_pool(&c, &pool) != MEMORY_ERROR_NONE)
		fail("create_memory_pool");
	p = allocate_from(pool, 100000);
	if (!p)
		fail("allocate_from");
	memset(p, 5, 100000);
	return_to_pool(p);
	destroy_memory_pool(pool);
}

static void *work(void *argument)
{
	static const size_t sizes[] = { 100, 100000, 1200000 };
	int node = *(const int *)argument;
	memory_node_stats_t nodes[NODES];
	memory_stats_t stats;

	for (int round = 0; round < 2; round++) {
		for (int kind = 0; kind < KINDS; kind++)
			for (int s = 0; s < 3; s++) {
				place(kind, node, sizes[s], false);
				place(kind, node, sizes[s], true);
			}
		named(node);
		named(MEMORY_NODE_ANY);
		if (get_memory_statistics(&stats) != MEMORY_ERROR_NONE || get_memory_node_statistics(nodes, NODES) == 0)
			fail("statistics");
	}
	return NULL;
}

int main(void)
{
	memory_node_stats_t first;
	pthread_t t[THREADS];

	if (get_memory_node_statistics(&first, 1) == 0)
		fail("no node");
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, work, &first.node))
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	printf("ok refused: %d blocks placed, %d strict ones refused, of %d the kernel did not tell where they are\n",
	       placed, failed_strictly, untold);
	return 0;
}
