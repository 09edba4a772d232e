/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages that were moved off their nodes come home by trigger_defragmentation(): of small, large and huge blocks of each node's pool, of a named
 * pool, and of a block spread over all nodes; contents and addresses as they were.
 */
#include "guest.h"

#include <numarena/numarena.h>

#define MIB ((size_t)1 << 20)

enum { BLOCKS = 400 };

static struct {
	unsigned char *p;
	size_t size;
} blocks[BLOCKS];
static int count;

static void keep(void *p, size_t size)
{
	if (!p) {
		printf("not ok homing: no memory for %zu bytes\n", size);
		exit(1);
	}
	memset(p, count + 1, size);
	blocks[count].p = p;
	blocks[count++].size = size;
}

static size_t misplaced(void)
{
	memory_placement_report_t where;
	size_t sum = 0;

	for (int i = 0; i < count; i++)
		if (get_memory_placement(blocks[i].p, &where) == MEMORY_ERROR_NONE)
			sum += where.misplaced_bytes;
	return sum;
}

/* Every block to the node after that of its first page, by the kernel's call. (Of a huge page it moves all.) */
static void scatter(void)
{
	for (int i = 0; i < count; i++) {
		int to = (guest_node_of(blocks[i].p) + 1) % 4, status;

		for (size_t at = 0; at < blocks[i].size; at += PAGE) {
			void *page = (void *)((uintptr_t)(blocks[i].p + at) & ~(PAGE - 1));

			syscall(SYS_move_pages, 0, 1ul, &page, &to, &status, 2 /* MPOL_MF_MOVE */);
		}
	}
}

static int changed(void)
{
	for (int i = 0; i < count; i++)
		for (size_t at = 0; at < blocks[i].size; at += 61)
			if (blocks[i].p[at] != (unsigned char)(i + 1))
				return 1;
	return 0;
}

int main(void)
{
	named_pool_config_t config = { .name = "there", .node = 3 };
	memory_placement_config_t parts = { .placement = PLACEMENT_PARTITIONED, .parts = 4 };
	memory_pool_t *pool;
	size_t before, after;

	if (create_memory_pool(&config, &pool))
		return 1;
	for (int cpu = 0; cpu < 4; cpu++) {
		guest_run_on(cpu);
		for (int i = 0; i < 20; i++)
			keep(allocate_from_pool(3000), 3000);
		keep(allocate_from_pool(300000), 300000);
		keep(allocate_from_pool(9 * MIB), 2 * MIB);
	}
	keep(allocate_from(pool, 2 * MIB), 2 * MIB);
	keep(allocate_placed(2 * MIB, &parts), 2 * MIB);
	scatter();
	before = misplaced();
	if (trigger_defragmentation()) {
		printf("not ok homing: %s\n", last_memory_error_message());
		return 1;
	}
	after = misplaced();
	if (before < 8 * MIB || after || changed()) {
		printf("not ok homing: %zu bytes were misplaced, %zu are, contents %s\n", before, after,
		       changed() ? "have changed" : "are the same");
		return 1;
	}
	printf("ok homing: %zu KiB moved home\n", before >> 10);
	return 0;
}
