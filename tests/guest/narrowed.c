/* SPDX-License-Identifier: BSD-3-Clause */
/* A node is forbidden while the process runs, by its cgroup: it carries on with the others' memory, and the statistics say what is
 * no longer where it should be. */
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

/* This process's pages on the node, but for those of files. Not asked of move_pages: what is not bound is under automatic balancing, and a
 * page that the kernel watches for its next access is told as not there. */
static uint64_t pages_on(int node)
{
	FILE *f = fopen("/proc/self/numa_maps", "r");
	static char line[8192];
	unsigned long pages;
	uint64_t sum = 0;
	char key[16];

	snprintf(key, sizeof(key), " N%d=", node);
	while (f && fgets(line, sizeof(line), f)) {
		char *s = strstr(line, key);

		if (s && !strstr(line, " file=") && sscanf(s + strlen(key), "%lu", &pages) == 1)
			sum += pages;
	}
	if (f)
		fclose(f);
	return sum;
}

int main(void)
{
	uint64_t before, after, others = 0;
	memory_node_stats_t nodes[NODES];
	size_t known, misplaced = 0;
	bool bad;

	guest_run_on(FORBIDDEN);
	fill(0);
	before = pages_on(FORBIDDEN);
	forbid("1-4");
	fill(BLOCKS);
	/* The kernel moves pages off the node in its own time. */
	for (int tries = 0; (after = pages_on(FORBIDDEN)) != 0 && tries < 200; tries++)
		usleep(50000);
	for (int n = 1; n < 5; n++)
		others += pages_on(n);
	known = get_memory_node_statistics(nodes, NODES);
	for (size_t i = 0; i < known && i < NODES; i++)
		misplaced += nodes[i].node == FORBIDDEN ? nodes[i].misplaced_bytes : 0;
	bad = before < BLOCKS * 256 || after != 0 || others < 2 * BLOCKS * 256 || misplaced < (size_t)BLOCKS * MIB;
	printf("%s narrowed: %llu pages on node 0 while it is allowed; then %llu, and %llu on others; misplaced, by "
	       "the "
	       "statistics: %zu KiB\n",
	       bad ? "not ok" : "ok", (unsigned long long)before, (unsigned long long)after, (unsigned long long)others,
	       misplaced / 1024);
	return bad;
}
