/* SPDX-License-Identifier: BSD-3-Clause */
/* A node that is full: allocation goes on with memory of the nearest by distance, and the statistics say so. */
#include <dlfcn.h>
#include <numarena/numarena.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "guest.h"

enum { NODE = 1, NEAREST = 3, LEAVE = 24 << 20, BIND = 2 };

/* Fills the node but for LEAVE, and holds it until it is killed. */
static pid_t hog(void)
{
	int ready[2];
	char byte;
	pid_t child;

	if (pipe(ready))
		exit(1);
	child = fork();
	if (child == 0) {
		unsigned long mask[16] = { 1ul << NODE };

		while (guest_meminfo(NODE, "MemFree") > LEAVE) {
			size_t size = 4 << 20;
			char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			syscall(SYS_mbind, p, size, BIND, mask, 1024ul, 0);
			memset(p, 1, size);
		}
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		printf("not ok spill: the node could not be filled\n");
		exit(1);
	}
	return child;
}

int main(void)
{
	enum { BLOCKS = 80, SIZE = 1 << 20 };
	size_t (*statistics)(memory_node_stats_t *, size_t);
	uint64_t counts[NODES] = { 0 }, elsewhere = 0, all = 0, misplaced = 0;
	memory_node_stats_t nodes[NODES];
	size_t count = 0;
	void *blocks[BLOCKS];
	pid_t child;
	int bad;

	*(void **)&statistics = dlsym(RTLD_DEFAULT, "numarena_get_memory_node_statistics");
	guest_run_on(NODE);
	child = hog();
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(SIZE);
		if (!blocks[i]) {
			printf("not ok spill: block %d: no memory, though other nodes have\n", i);
			return 1;
		}
		memset(blocks[i], 1, SIZE);
		guest_count(blocks[i], SIZE, counts);
	}
	for (int n = 0; n < NODES; n++) {
		all += counts[n];
		if (n != NODE && n != NEAREST)
			elsewhere += counts[n];
	}
	if (statistics)
		count = statistics(nodes, NODES);
	for (size_t i = 0; i < count && i < NODES; i++)
		misplaced += nodes[i].node == NODE ? nodes[i].misplaced_bytes : 0;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	bad = counts[NEAREST] < all / 2 || elsewhere > all / 50 || !statistics || misplaced < counts[NEAREST] * PAGE;
	printf("%s spill: of %llu pages %llu on node %d, %llu on %d, the nearest, %llu elsewhere; misplaced, by the "
	       "statistics: %llu KiB\n",
	       bad ? "not ok" : "ok", (unsigned long long)all, (unsigned long long)counts[NODE], NODE,
	       (unsigned long long)counts[NEAREST], NEAREST, (unsigned long long)elsewhere,
	       (unsigned long long)misplaced / 1024);
	return bad;
}
