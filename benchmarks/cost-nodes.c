/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cost-nodes NODES THREADS LIVE SIZE OPERATIONS: benchmarks/cost on numarena's heap as it would be on a machine with NODES NUMA
 * nodes, thread i on node i modulo NODES. What the heap keeps and does for each node is all real; that there are so many nodes, and
 * on which one a thread runs, it is told by a table of system calls made for this. Pages all come from this machine's
 * memory, so nothing of this tells what distance costs. Other allocators cannot be told such things: for
 * them this axis is not available.
 */
#include "bench.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "heap/heap.h"
#include "os/os.h"
#include "pool/nodes.h"

/* cost.c as it is, but on the heap that is linked in, and with a thread's number known to it. */
static __thread int my_node;
static int nodes;
static _Atomic int started;

static void *heap_malloc(size_t bytes)
{
	return na_heap_allocate(bytes);
}

#define malloc	  heap_malloc
#define free	  na_heap_release
#define main	  cost_main
#define COST_HERE (my_node = (int)(started++ % nodes))
int cost_main(int argc, char **argv);
#include "cost.c"
#undef main

static int our_node(void)
{
	return my_node;
}

static size_t our_nodes(int *numbers, size_t capacity)
{
	size_t i;

	for (i = 0; i < (size_t)nodes && i < capacity; i++)
		numbers[i] = (int)i;
	return i;
}

static int bind_nowhere(void *at, size_t bytes, int node)
{
	(void)at;
	(void)bytes;
	(void)node;
	return 0;
}

int main(int argc, char **argv)
{
	nodes = argc == 6 ? atoi(argv[1]) : 0;
	if (nodes < 1 || nodes > NA_MAX_POOLS) {
		fprintf(stderr, "Usage: cost-nodes NODES THREADS LIVE SIZE OPERATIONS   (at most %d nodes)\n",
			NA_MAX_POOLS);
		return 2;
	}
	na_os.nodes = our_nodes;
	na_os.current_node = our_node;
	na_os.bind = bind_nowhere;
	na_pools_boot();
	if (na_pool_count != (uint32_t)nodes)
		bench_fail("the heap was up before it could be told of %d nodes", nodes);
	return cost_main(argc - 1, argv + 1);
}
