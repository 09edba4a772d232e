/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * held KIND MIB: a burst of MIB MiB is allocated, touched whole and freed; then the process makes no call at all. Somebody
 * else looks at its physical memory, so the program says where it is and waits: it prints "ready", "burst" and "freed", a line each, and
 * goes on when a byte (or the end) comes on standard input. Neither waiting nor printing allocates; the table of
 * the blocks is mapped, not allocated, and unmapped with the burst.
 *
 *   small    16 to 512 bytes, freed in the order of allocation
 *   medium   4 to 64 KiB
 *   large    1 to 16 MiB
 *   mixed    all of these, freed in an order that jumps through them
 *   threads  mixed, a quarter in each of four threads, which then sleep: what they cache is held too
 *   ended    mixed, a quarter in each of four threads, which have ended
 */
#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TEAM = 4, PAGE = 4096 };

enum kind { SMALL, MEDIUM, LARGE, MIXED, THREADS, ENDED, KINDS };
static const char *const kinds[KINDS] = { "small", "medium", "large", "mixed", "threads", "ended" };

struct bench_options bench = { .scale = 1, .seed = 1 };

static enum kind kind;
static size_t share; /* bytes of a thread's burst */
static pthread_barrier_t all;

void bench_fail(const char *format, ...)
{
	(void)format; /* the one message there is */
	fputs("held: out of memory\n", stderr);
	_exit(1);
}

static size_t between(struct bench_thread *me, size_t least, size_t most)
{
	return (least + bench_below(me, most - least)) & ~(size_t)7;
}

/* In the mixture each range has about as many bytes as the others. */
static size_t size_of(struct bench_thread *me)
{
	static const size_t ranges[][2] = { { 16, 512 }, { 4096, 65536 }, { 1 << 20, 16 << 20 } };
	size_t range = (size_t)kind;

	if (kind >= MIXED) {
		uint64_t draw = bench_random(me) % 32768;

		range = draw == 0 ? LARGE : draw < 256 ? MEDIUM : SMALL;
	}
	return between(me, ranges[range][0], ranges[range][1]);
}

static void *touched(struct bench_thread *me, size_t size)
{
	char *block = malloc(size);
	size_t at;

	if (!block)
		bench_fail("out of memory");
	for (at = 0; at < size; at += PAGE)
		block[at] = (char)me->rank;
	block[size - 1] = 1;
	return block;
}

/* The stages of a burst; everyone meets before and after each, and thread 0 speaks in between. */
static void *burst(void *argument)
{
	struct bench_thread *me = argument;
	size_t most = share / 200 + 4096, mapped = most * sizeof(void *), count = 0, size, bytes;
	void **blocks = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (blocks == MAP_FAILED)
		bench_fail("out of memory");
	for (bytes = 0; bytes < share && count < most; bytes += size) {
		size = size_of(me);
		blocks[count++] = touched(me, size);
	}
	pthread_barrier_wait(&all);
	pthread_barrier_wait(&all);
	if (kind >= MIXED)
		bench_shuffle(me, blocks, count);
	for (i = 0; i < count; i++)
		free(blocks[i]);
	munmap(blocks, mapped);
	pthread_barrier_wait(&all);
	if (kind == THREADS)
		pthread_barrier_wait(&all);
	return NULL;
}

static void say_and_wait(const char *stage)
{
	char byte;

	dprintf(STDOUT_FILENO, "%s\n", stage);
	while (read(STDIN_FILENO, &byte, 1) < 0)
		continue;
}

static void begin(struct bench_thread *me, int rank)
{
	memset(me, 0, sizeof(*me));
	me->rank = rank;
	me->random = (uint64_t)rank + 20240229;
}

/* A team's leader, who neither allocates nor frees, or a thread alone, whose stages the helper thread speaks for. */
static void lead(void)
{
	pthread_barrier_wait(&all);
	say_and_wait("burst");
	pthread_barrier_wait(&all);
	pthread_barrier_wait(&all);
}

static void *lead_alone(void *unused)
{
	lead();
	return unused;
}

static void run_team(int threads)
{
	static struct bench_thread members[TEAM];
	pthread_t ids[TEAM];
	int i;

	for (i = 0; i < threads; i++) {
		begin(&members[i], i);
		if (pthread_create(&ids[i], NULL, burst, &members[i]))
			bench_fail("out of memory");
	}
	lead();
	for (i = 0; kind == ENDED && i < threads; i++)
		pthread_join(ids[i], NULL);
	say_and_wait("freed");
	if (kind == THREADS)
		pthread_barrier_wait(&all);
	for (i = 0; kind == THREADS && i < threads; i++)
		pthread_join(ids[i], NULL);
}

static void run_alone(void)
{
	static struct bench_thread me;
	pthread_t leader;

	begin(&me, 0);
	if (pthread_create(&leader, NULL, lead_alone, NULL))
		bench_fail("out of memory");
	burst(&me);
	pthread_join(leader, NULL);
	say_and_wait("freed");
}

int main(int argc, char **argv)
{
	int threads, i;

	for (i = 0; argc == 3 && i < KINDS; i++)
		if (strcmp(argv[1], kinds[i]) == 0)
			break;
	if (argc != 3 || i == KINDS || atol(argv[2]) < 1) {
		fprintf(stderr, "Usage: held small|medium|large|mixed|threads|ended MIB\n");
		return 2;
	}
	kind = (enum kind)i;
	threads = kind >= THREADS ? TEAM : 1;
	share = ((size_t)atol(argv[2]) << 20) / (size_t)threads;
	pthread_barrier_init(&all, NULL, (unsigned int)threads + 1);
	/* A first block, so that "ready" has the allocator's own start in it. */
	free(malloc(64));
	say_and_wait("ready");
	if (threads == 1)
		run_alone();
	else
		run_team(threads);
	return 0;
}
