/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages of raw blocks merged on four nodes, in a pool on each: every page that shows a block lies on its pool's node, by the kernel's word; mappings stay within what the
 * library counts. Then all of them are moved off their nodes (MPOL_MF_MOVE_ALL, for a page that is mapped more than once does not move otherwise), and come
 * home with the next pass; contents and addresses as they were.
 */
#include "../support/maps.h"
#include "guest.h"

#include <numarena/numarena.h>

#define MOVE_ALL 4 /* MPOL_MF_MOVE_ALL */

enum { POOLS = 4, BLOCKS = 12000, SIZE = 64 };

static unsigned char *blocks[POOLS][BLOCKS];

static void fail(const char *what)
{
	printf("not ok merged: %s: %s\n", what, last_memory_error_message());
	exit(1);
}

static void fill(int node)
{
	named_pool_config_t config = { .name = "node", .node = node };
	unsigned int seed = (unsigned int)node + 1;
	memory_pool_t *pool;

	if (create_memory_pool(&config, &pool))
		fail("no pool");
	for (int i = 0; i < BLOCKS; i++) {
		blocks[node][i] = allocate_from(pool, SIZE);
		if (!blocks[node][i])
			fail("no memory");
		memset(blocks[node][i], node * 50 + i % 50 + 1, SIZE);
	}
	for (int i = 0; i < BLOCKS; i++)
		if (rand_r(&seed) % 8) {
			return_to_pool(blocks[node][i]);
			blocks[node][i] = NULL;
		}
}

/* Blocks that are on another node than they should be; every byte is read, so that every page is there. */
static size_t away(size_t *changed)
{
	size_t n = 0;

	for (int node = 0; node < POOLS; node++)
		for (int i = 0; i < BLOCKS; i++) {
			const unsigned char *p = blocks[node][i];

			for (int k = 0; p && k < SIZE; k++)
				*changed += p[k] != node * 50 + i % 50 + 1;
			n += p && guest_node_of(p) != node;
		}
	return n;
}

/* To the next node; how many blocks the kernel has moved. */
static size_t scatter(int flag)
{
	size_t moved = 0;

	for (int node = 0; node < POOLS; node++)
		for (int i = 0; i < BLOCKS; i++) {
			void *page = (void *)((uintptr_t)blocks[node][i] & ~(PAGE - 1));
			int to = (node + 1) % POOLS, status = -1;

			if (page && guest_node_of(page) != to && syscall(SYS_move_pages, 0, 1ul, &page, &to, &status, flag) == 0)
				moved += status == to;
		}
	return moved;
}

int main(void)
{
	defrag_config_t config = { .strategy = DEFRAG_COORDINATED, .threshold = 0.01 };
	size_t changed = 0, before, first, plain, moved, left, after;
	defrag_stats_t stats;

	if (start_defragmentation(&config))
		fail("defragmentation does not start");
	for (int node = 0; node < POOLS; node++)
		fill(node);
	before = count_mappings();
	if (trigger_defragmentation())
		fail("a pass");
	get_defragmentation_statistics(&stats);
	first = away(&changed);
	after = count_mappings();
	if (first || changed || stats.merge_addresses < 2 * stats.merge_memory || after > before + stats.merge_mappings + 8 ||
	    stats.merge_mappings > stats.merge_mappings_most) {
		printf("not ok merged: %zu blocks on other nodes, %zu bytes changed, %zu KiB on %zu; %zu mappings were %zu, and %zu are counted of %zu; %s\n", first,
		       changed, stats.merge_addresses >> 10, stats.merge_memory >> 10, after, before, stats.merge_mappings, stats.merge_mappings_most,
		       stats.merge_refusal);
		return 1;
	}
	plain = scatter(2 /* MPOL_MF_MOVE */);
	moved = scatter(MOVE_ALL);
	left = away(&changed);
	if (trigger_defragmentation())
		fail("a pass");
	after = away(&changed);
	if (!left || after || changed) {
		printf("not ok merged: %zu blocks were moved away (%zu by pages mapped once), %zu were elsewhere, %zu are, %zu bytes changed\n", moved + plain, plain, left,
		       after, changed);
		return 1;
	}
	printf("ok merged: %zu KiB of addresses on %zu KiB, %zu mappings; %zu blocks came home\n", stats.merge_addresses >> 10, stats.merge_memory >> 10,
	       stats.merge_mappings, left);
	return 0;
}
