/* SPDX-License-Identifier: BSD-3-Clause */
/* A node is forbidden while the process runs, by its cgroup: it carries on, on the others, and the statistics say what is no longer where it should. */
#include <numarena/numarena.h>
#include <stdbool.h>

#include "guest.h"

enum { FORBIDDEN = 0, MIB = 1 << 20, BLOCKS = 48 };

/* Into the file of our own cgroup. */
static void forbid(const char *left)
{
	char path[256], line[200] = "";
	FILE *f = fopen("/proc/self/cgroup", "r");

	if (!f || !fgets(line, sizeof(line), f) || strncmp(line, "0::", 3) != 0)
		exit(1);
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpuset.mems", line + 3);
	f = fopen(path, "w");
	if (!f || fputs(left, f) < 0 || fclose(f)) {
		printf("not ok narrowed: %s: %s\n", path, strerror(errno));
		exit(1);
	}
}

static char *blocks[2 * BLOCKS];

static void fill(int from)
{
	for (int i = from; i < from + BLOCKS; i++) {
		blocks[i] = allocate_memory(MIB);
		if (!blocks[i]) {
			printf("not ok narrowed: no memory, though other nodes have\n");
			exit(1);
		}
		memset(blocks[i], 1, MIB);
	}
}

/* How many pages there are on each node; the kernel moves pages off a node in its own time, and they are on none meanwhile. */
static uint64_t count(int blocks_filled, uint64_t counts[NODES])
{
	uint64_t all = 0;

	for (int tries = 0; tries < 200 && all != (uint64_t)blocks_filled * 256; tries++) {
		if (tries)
			usleep(50000);
		all = 0;
		memset(counts, 0, NODES * sizeof(*counts));
		for (int i = 0; i < blocks_filled; i++)
			guest_count(blocks[i], MIB, counts);
		for (int n = 0; n < NODES; n++)
			all += counts[n];
	}
	return all;
}

int main(void)
{
	uint64_t before[NODES], after[NODES], all;
	memory_node_stats_t nodes[NODES];
	size_t known, misplaced = 0;
	bool bad;

	guest_run_on(FORBIDDEN);
	fill(0);
	all = count(BLOCKS, before);
	bad = all != BLOCKS * 256 || before[FORBIDDEN] != all;
	forbid("1-4");
	fill(BLOCKS);
	all = count(2 * BLOCKS, after);
	known = get_memory_node_statistics(nodes, NODES);
	for (size_t i = 0; i < known && i < NODES; i++)
		misplaced += nodes[i].node == FORBIDDEN ? nodes[i].misplaced_bytes : 0;
	bad |= all != 2 * BLOCKS * 256 || misplaced < (all - after[FORBIDDEN]) * PAGE;
	printf("%s narrowed: %llu pages on node 0 while it is allowed; then of %llu, old and new, %llu; misplaced, by "
	       "the "
	       "statistics: %zu KiB\n",
	       bad ? "not ok" : "ok", (unsigned long long)before[FORBIDDEN], (unsigned long long)all,
	       (unsigned long long)after[FORBIDDEN], misplaced / 1024);
	return bad;
}
