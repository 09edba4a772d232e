/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where blocks of threads on four nodes lie.
 *   mixed      a million mixed operations; then every page of every block, and of every pool, is on its node
 *   exchange   a million blocks are freed by a thread of another node; then fresh blocks lie on their thread's node
 *              ("exchange compare": only the figure)
 *   cpuless    nothing lies on the node without CPUs, which nobody asked for
 *   nodes A B C D   the threads' memory lies on these: where their own node may not be used, or has none, or no pool
 *   denied     with system calls refused: everything works, and unless nobody tells, lies on its thread's node still
 */
#include <dlfcn.h>
#include <numarena/numarena.h>
#include <pthread.h>
#include <stdbool.h>

#include "guest.h"

enum { THREADS = 4, OPERATIONS = 250000, LIVE = 2000, FRESH = 4000, ROUND = 500, CPULESS = 4 };

struct worker {
	pthread_t thread;
	int cpu, node; /* where its memory shall be */
	unsigned int seed;
	void *blocks[LIVE];
	size_t sizes[LIVE];
	void *handed[ROUND];
	uint64_t counts[NODES];
};

static struct worker workers[THREADS];
static pthread_barrier_t barrier;
static bool exchanging;
static int operations = OPERATIONS; /* of each thread */

static size_t any_size(struct worker *w)
{
	unsigned int r = (unsigned int)rand_r(&w->seed);

	if (r % 1000 == 0)
		return 40000 + r % 200000;
	return 16 + (r >> 8) % (r % 10 == 0 ? 8000 : 400);
}

static void *take(size_t size)
{
	void *p = malloc(size);

	if (!p) {
		printf("not ok pools: no memory for %zu bytes\n", size);
		exit(1);
	}
	memset(p, 1, size);
	return p;
}

static void mixed(struct worker *w)
{
	for (int i = 0; i < operations / 2; i++) {
		int slot = rand_r(&w->seed) % LIVE;

		free(w->blocks[slot]);
		w->sizes[slot] = any_size(w);
		w->blocks[slot] = take(w->sizes[slot]);
	}
}

/* Each frees what its neighbour on another node has allocated. */
static void exchange(struct worker *w)
{
	struct worker *other = &workers[(w->cpu + 1) % THREADS];

	for (int done = 0; done < OPERATIONS; done += ROUND) {
		for (int i = 0; i < ROUND; i++)
			w->handed[i] = take(16 + (size_t)(rand_r(&w->seed) % 400));
		pthread_barrier_wait(&barrier);
		for (int i = 0; i < ROUND; i++)
			free(other->handed[i]);
		pthread_barrier_wait(&barrier);
	}
	for (int i = 0; i < FRESH / 2; i++) {
		w->sizes[i] = 16 + (size_t)(rand_r(&w->seed) % 400);
		w->blocks[i] = take(w->sizes[i]);
	}
}

static void *work(void *argument)
{
	struct worker *w = argument;

	guest_run_on(w->cpu);
	if (w->node < 0)
		w->node = guest_node_here();
	w->seed = (unsigned int)w->cpu + 1;
	pthread_barrier_wait(&barrier);
	if (exchanging)
		exchange(w);
	else
		mixed(w);
	for (int i = 0; i < LIVE; i++)
		if (w->blocks[i])
			guest_count(w->blocks[i], w->sizes[i], w->counts);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void run(void)
{
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		workers[i].cpu = i;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			exit(1);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
}

/* What the library itself says: bytes of all pools on other nodes; -1 if it is not there. */
static long long misplaced(unsigned long long *resident)
{
	size_t (*statistics)(memory_node_stats_t *, size_t);
	memory_node_stats_t nodes[NODES];
	long long sum = 0;
	size_t count;

	*(void **)&statistics = dlsym(RTLD_DEFAULT, "numarena_get_memory_node_statistics");
	if (!statistics)
		return -1;
	count = statistics(nodes, NODES);
	*resident = 0;
	for (size_t i = 0; i < count && i < NODES; i++) {
		if (nodes[i].misplaced_bytes == MEMORY_METRIC_UNAVAILABLE)
			return -2;
		sum += (long long)nodes[i].misplaced_bytes;
		*resident += nodes[i].resident_bytes;
	}
	return sum;
}

struct tally {
	uint64_t own, all, cpuless, bound, elsewhere;
	unsigned long long resident;
	long long away;
};

static struct tally add_up(void)
{
	struct tally t = { 0 };

	for (int i = 0; i < THREADS; i++)
		for (int n = 0; n < NODES; n++) {
			t.all += workers[i].counts[n];
			t.own += n == workers[i].node ? workers[i].counts[n] : 0;
			t.cpuless += n == CPULESS ? workers[i].counts[n] : 0;
		}
	t.bound = guest_bound_pages(&t.elsewhere);
	t.away = misplaced(&t.resident);
	misplaced(&t.resident); /* once more: what is unavailable is said once */
	return t;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "mixed";
	bool chosen = argc == 2 + THREADS, compare = argc == 3, denied = strcmp(what, "denied") == 0, bad;
	struct tally t;

	for (int i = 0; i < THREADS; i++)
		workers[i].node = chosen ? atoi(argv[2 + i]) : -1;
	exchanging = strcmp(what, "exchange") == 0;
	if (!exchanging && strcmp(what, "mixed") != 0)
		operations = OPERATIONS / 5;
	run();
	t = add_up();
	bad = t.own != t.all;
	if (strcmp(what, "cpuless") == 0)
		bad |= t.cpuless != 0;
	if (!denied)
		bad |= t.all == 0 || t.bound == 0 || t.elsewhere != 0 || t.away != 0;
	printf("%s %s: %llu of %llu pages of live blocks on their thread's node", bad && !compare ? "not ok" : "ok",
	       what, (unsigned long long)t.own, (unsigned long long)t.all);
	if (t.bound)
		printf("; of %llu pages in mappings bound to a node %llu elsewhere", (unsigned long long)t.bound,
		       (unsigned long long)t.elsewhere);
	if (t.away >= 0)
		printf("; the library: of the pools' %llu KiB %lld KiB elsewhere", t.resident / 1024, t.away / 1024);
	printf("\n");
	return bad && !compare;
}
