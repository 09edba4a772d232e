/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks that others free: large ones, one way only, by threads that come and go, and resized on another node than their own. After
 * each, fresh blocks lie on their thread's node, and so does all that the pools hold.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>

#include "guest.h"

enum { THREADS = 4, BLOCKS = 32, ROUNDS = 24, SMALL = 20000, GENERATIONS = 16 };

static void *table[THREADS][SMALL];
static size_t sizes[THREADS][SMALL];
static pthread_barrier_t barrier;
static uint64_t own, all;
static pthread_mutex_t tally = PTHREAD_MUTEX_INITIALIZER;

static void *take(size_t size)
{
	void *p = malloc(size);

	if (!p) {
		printf("not ok trade: no memory for %zu bytes\n", size);
		exit(1);
	}
	memset(p, 1, size);
	return p;
}

static void count(const void *p, size_t size, int node)
{
	uint64_t counts[NODES] = { 0 };

	guest_count(p, size, counts);
	pthread_mutex_lock(&tally);
	own += counts[node];
	for (int n = 0; n < NODES; n++)
		all += counts[n];
	pthread_mutex_unlock(&tally);
}

/* Blocks of the thread's own, of which none has been anybody else's. */
static void fresh(int blocks, size_t least, size_t most)
{
	unsigned int seed = 7;

	for (int i = 0; i < blocks; i++) {
		size_t size = least + (size_t)rand_r(&seed) % (most - least);
		void *p = take(size);

		count(p, size, guest_node_here());
		if (i % 2)
			free(p); /* the others stay, so that not one place serves all */
	}
}

static void *large(void *argument)
{
	static const size_t some[] = { 40000, 70000, 300000, 1500000, 9000000 };
	int me = (int)(intptr_t)argument;

	guest_run_on(me);
	for (int round = 0; round < ROUNDS; round++) {
		int n = round % 8 == 0 ? 5 : 4;

		for (int i = 0; i < n; i++)
			table[me][i] = take(some[i]);
		pthread_barrier_wait(&barrier);
		for (int i = 0; i < n; i++)
			free(table[(me + 1 + round % 3) % THREADS][i]);
		pthread_barrier_wait(&barrier);
	}
	fresh(12, 40000, 2000000);
	return NULL;
}

static void *one_way(void *argument)
{
	int me = (int)(intptr_t)argument;
	unsigned int seed = (unsigned int)me;

	guest_run_on(me);
	for (int round = 0; round < 6; round++) {
		for (int i = 0; me == 0 && i < SMALL; i++) {
			sizes[0][i] = 16 + (size_t)rand_r(&seed) % 500;
			table[0][i] = take(sizes[0][i]);
		}
		pthread_barrier_wait(&barrier);
		for (int i = me - 1; me > 0 && i < SMALL; i += THREADS - 1)
			free(table[0][i]);
		pthread_barrier_wait(&barrier);
	}
	fresh(2000, 16, 500);
	return NULL;
}

static void *generation(void *argument)
{
	int me = (int)(intptr_t)argument, next = me % 2;

	guest_run_on(me % THREADS);
	for (int i = 0; i < 2000; i++)
		table[next][i] = take(16 + (size_t)i % 900);
	for (int i = 0; i < 2000; i++)
		count(table[next][i], 16 + (size_t)i % 900, guest_node_here());
	for (int i = 0; i < 2000; i++)
		free(table[!next][i]); /* of a thread that is gone, and was on another node */
	return NULL;
}

/* Where a block goes that is resized elsewhere is the heap's choice; its pages lie where it says. */
static void *resized(void *argument)
{
	int me = (int)(intptr_t)argument, other = (me + 1) % THREADS;
	int (*home)(const void *);

	*(void **)&home = dlsym(RTLD_DEFAULT, "numarena_allocation_node");
	guest_run_on(me);
	for (int i = 0; i < BLOCKS; i++)
		table[me][i] = take((size_t)100 << (i % 16));
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < BLOCKS; i++) {
		size_t size = (size_t)170 << (i % 16);
		char *p = realloc(table[other][i], size);

		if (!p || p[0] != 1 || p[((size_t)100 << (i % 16)) - 1] != 1)
			exit(1);
		memset(p, 2, size);
		table[other][i] = p;
		count(p, size, home ? home(p) : guest_node_here());
	}
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < BLOCKS; i++)
		free(table[me][i]);
	fresh(300, 16, 60000);
	return NULL;
}

static int run(const char *name, void *(*what)(void *), int threads, bool in_turn)
{
	pthread_t t[GENERATIONS];
	uint64_t bound, elsewhere;
	bool bad;

	own = all = 0;
	for (int i = 0; i < threads; i++) {
		if (pthread_create(&t[i], NULL, what, (void *)(intptr_t)i))
			exit(1);
		if (in_turn)
			pthread_join(t[i], NULL);
	}
	for (int i = 0; i < threads && !in_turn; i++)
		pthread_join(t[i], NULL);
	bound = guest_bound_pages(&elsewhere);
	bad = all == 0 || own != all || bound == 0 || elsewhere != 0;
	printf("%s %s: %llu of %llu pages of blocks at home; of %llu pages in mappings bound to a node %llu "
	       "elsewhere\n",
	       bad ? "not ok" : "ok", name, (unsigned long long)own, (unsigned long long)all, (unsigned long long)bound,
	       (unsigned long long)elsewhere);
	return bad;
}

int main(void)
{
	int bad = 0;

	pthread_barrier_init(&barrier, NULL, THREADS);
	bad |= run("large blocks freed elsewhere", large, THREADS, false);
	bad |= run("one producer, three who free", one_way, THREADS, false);
	memset(table, 0, sizeof(table));
	bad |= run("threads that come and go", generation, GENERATIONS, true);
	bad |= run("resized elsewhere", resized, THREADS, false);
	return bad;
}
