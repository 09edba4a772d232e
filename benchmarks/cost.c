/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cost THREADS LIVE SIZE OPERATIONS: the point of a cost model. Each of THREADS threads keeps LIVE blocks of three quarters of SIZE up to
 * SIZE bytes (so that no allocator is lucky with its classes) and replaces random ones, OPERATIONS times over all threads. Of
 * every block one word a page is written, and its last byte. It prints one line of JSON:
 *
 *   ns           processor time of an operation: a free, a malloc, the writes
 *   control_ns   the same loop and the same writes without the two calls: what the memory itself costs
 *   live_bytes   asked for and live at the end
 *   held_bytes   by how much physical memory (Pss) has grown for it since before the first block
 *
 * The table of the blocks is mapped and touched before that, the threads run and have stacks, and nothing but the blocks is
 * allocated in between, so the growth is the allocator's. Held bytes may be fewer than live ones: of large blocks the
 * last page alone may be untouched, and Pss is in pages.
 */
#include "bench.h"
#include "physical.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MOST_THREADS = 1024, PAGE = 4096, STACK = 128 << 10 };

struct slot {
	char *block;
	size_t size;
};

struct worker {
	struct bench_thread random;
	struct slot *slots;
	uint64_t ns, control_ns;
	uint64_t bytes;
} __attribute__((aligned(2 * BENCH_LINE)));

struct bench_options bench = { .scale = 1, .seed = 20240229 };

static struct worker workers[MOST_THREADS];
static size_t live, size;
static long operations; /* of each thread */
static pthread_barrier_t stage;

void bench_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("cost: ", stderr);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

static uint64_t thread_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void touch(char *block, size_t bytes, char value)
{
	size_t at;

	for (at = 0; at < bytes; at += PAGE)
		block[at] = value;
	block[bytes - 1] = value;
	bench_escape(block);
}

static size_t draw(struct worker *me)
{
	return size - bench_below(&me->random, size / 4 + 1);
}

static void take(struct worker *me, struct slot *slot)
{
	slot->size = draw(me);
	slot->block = malloc(slot->size);
	if (!slot->block)
		bench_fail("malloc(%zu) failed", slot->size);
	touch(slot->block, slot->size, (char)slot->size);
}

static void replace(struct worker *me, long count)
{
	struct slot *slot;
	long i;

	for (i = 0; i < count; i++) {
		slot = &me->slots[bench_below(&me->random, live)];
		free(slot->block);
		take(me, slot);
	}
}

static void control(struct worker *me, long count)
{
	struct slot *slot;
	long i;

	for (i = 0; i < count; i++) {
		slot = &me->slots[bench_below(&me->random, live)];
		bench_escape((void *)draw(me));
		touch(slot->block, slot->size, (char)i);
	}
}

static void *work(void *argument)
{
	struct worker *me = argument;
	uint64_t began;
	size_t i;

#ifdef COST_HERE
	COST_HERE; /* cost-nodes.c */
#endif
	pthread_barrier_wait(&stage); /* all run: main notes the physical memory */
	pthread_barrier_wait(&stage);
	for (i = 0; i < live; i++)
		take(me, &me->slots[i]);
	replace(me, operations / 4);
	pthread_barrier_wait(&stage);
	began = thread_time();
	replace(me, operations);
	me->ns = thread_time() - began;
	pthread_barrier_wait(&stage); /* all hold their blocks: main looks again */
	pthread_barrier_wait(&stage);
	began = thread_time();
	control(me, operations);
	me->control_ns = thread_time() - began;
	for (i = 0; i < live; i++) {
		me->bytes += me->slots[i].size;
		free(me->slots[i].block);
	}
	return NULL;
}

static void start(pthread_t *ids, long threads)
{
	struct slot *slots = mmap(NULL, (size_t)threads * live * sizeof(*slots), PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	pthread_attr_t small;
	long t;

	if (slots == MAP_FAILED || pthread_barrier_init(&stage, NULL, (unsigned int)threads + 1))
		bench_fail("no memory for the table");
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	for (t = 0; t < threads; t++) {
		workers[t].slots = slots + (size_t)t * live;
		workers[t].random.random = bench.seed + (uint64_t)t * 0xd1342543de82ef95u;
		if (pthread_create(&ids[t], &small, work, &workers[t]))
			bench_fail("cannot start thread %ld", t);
	}
}

static void print(long threads, uint64_t held)
{
	double count = (double)threads * (double)operations;
	uint64_t ns = 0, control_ns = 0, bytes = 0;
	Dl_info from;
	long t;

	for (t = 0; t < threads; t++) {
		ns += workers[t].ns;
		control_ns += workers[t].control_ns;
		bytes += workers[t].bytes;
	}
	if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &from))
		bench_fail("cannot tell where malloc comes from");
	printf("{\"malloc\": \"%s\", \"threads\": %ld, \"live\": %zu, \"size\": %zu, \"ns\": %.3f, \"control_ns\": "
	       "%.3f, "
	       "\"live_bytes\": %llu, \"held_bytes\": %lld}\n",
	       from.dli_fname, threads, live, size, (double)ns / count, (double)control_ns / count,
	       (unsigned long long)bytes, (long long)held);
}

int main(int argc, char **argv)
{
	static pthread_t ids[MOST_THREADS];
	uint64_t before, after;
	long threads, t;

	threads = argc == 5 ? atol(argv[1]) : 0;
	live = argc == 5 ? strtoul(argv[2], NULL, 10) : 0;
	size = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
	operations = threads > 0 ? atol(argv[4]) / threads : 0;
	if (threads < 1 || threads > MOST_THREADS || live < 1 || size < 8 || operations < 1) {
		fprintf(stderr, "Usage: cost THREADS LIVE SIZE OPERATIONS   (at most %d threads)\n", MOST_THREADS);
		return 2;
	}
	start(ids, threads);
	pthread_barrier_wait(&stage);
	before = physical();
	pthread_barrier_wait(&stage);
	pthread_barrier_wait(&stage);
	pthread_barrier_wait(&stage);
	after = physical();
	pthread_barrier_wait(&stage);
	for (t = 0; t < threads; t++)
		pthread_join(ids[t], NULL);
	print(threads, after - before);
	return 0;
}
