/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lifetimes [STEPS]: what hints on lifetimes are worth. A tree grows while messages come and go: in each step its nodes (one block
 * in twenty, 32 to 480 bytes) are allocated among the step's messages (of the same sizes), and a few nodes are replaced; when the
 * step ends its messages are freed, all of them. That is the low point: the tree is all that lives. Physical memory is
 * what the kernel says is resident in the pools, when free memory has gone back: flush_memory_pools(), and then until
 * it stays the same for half a second, so that the maintenance thread has had its say.
 *
 * The same program runs twice, in processes of their own: plain (allocate_from_pool), and hinted (optimized_allocate with
 * LIFETIME_LONG and LIFETIME_SHORT). It prints a line of JSON: bytes at the low points, worst and last, of both, live bytes, the part that is
 * saved at the last, and nanoseconds of an allocation and its free. It fails if less than 30% is saved.
 */
#include <numarena/numarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measures.h"

enum { MESSAGES = 100000, EVERY = 20, NODES = MESSAGES / EVERY, MOST_STEPS = 64 };

struct result {
	size_t worst, last, live;
	double ns;
};

static void *messages[MESSAGES], *tree[NODES * MOST_STEPS];
static size_t nodes;
static int hinted;

static void die(const char *what)
{
	fprintf(stderr, "lifetimes: %s\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *make(memory_lifetime_t lifetime)
{
	size_t size = 32 + random_next() % 449;
	memory_hints_t hints = { .lifetime = lifetime };
	void *p = hinted ? optimized_allocate(size, &hints) : allocate_from_pool(size);

	if (!p)
		die("out of memory");
	return memset(p, 1, size);
}

static void step(void)
{
	for (size_t i = 0; i < MESSAGES; i++) {
		messages[i] = make(LIFETIME_SHORT);
		if (i % EVERY)
			continue;
		tree[nodes++] = make(LIFETIME_LONG);
		if (nodes > 10 && random_next() % 10 == 0) {
			size_t old = random_next() % (nodes - 1);

			return_to_pool(tree[old]);
			tree[old] = tree[--nodes];
		}
	}
	for (size_t i = 0; i < MESSAGES; i++)
		return_to_pool(messages[i]);
}

static memory_stats_t statistics(void)
{
	memory_stats_t s;

	if (get_memory_statistics(&s))
		die(last_memory_error_message());
	return s;
}

static size_t low_point(void)
{
	size_t before, after;

	flush_memory_pools();
	after = statistics().physical_bytes;
	do {
		before = after;
		usleep(500000);
		after = statistics().physical_bytes;
	} while (before != after);
	return after;
}

static struct result measure(int steps)
{
	struct result r = { 0 };
	double spent = 0, start;

	for (int i = 0; i < steps; i++) {
		start = now();
		step();
		spent += now() - start;
		r.last = low_point();
		r.worst = r.last > r.worst ? r.last : r.worst;
	}
	r.live = statistics().total_allocated;
	r.ns = spent / steps / (MESSAGES + NODES);
	return r;
}

static struct result in_a_process(int with_hints, int steps)
{
	struct result r;
	int pipes[2], status;
	pid_t child;

	fflush(NULL);
	if (pipe(pipes) < 0)
		die("no pipe");
	child = fork();
	if (child < 0)
		die("no process");
	if (child == 0) {
		hinted = with_hints;
		r = measure(steps);
		_exit(write(pipes[1], &r, sizeof(r)) != (ssize_t)sizeof(r));
	}
	if (read(pipes[0], &r, sizeof(r)) != (ssize_t)sizeof(r) || waitpid(child, &status, 0) < 0 || status)
		die("a process failed");
	close(pipes[0]);
	close(pipes[1]);
	return r;
}

int main(int argc, char **argv)
{
	int steps = argc > 1 ? atoi(argv[1]) : 5;
	struct result plain, hints;
	double saved;

	if (argc > 2 || steps < 1 || steps > MOST_STEPS) {
		fprintf(stderr, "usage: lifetimes [STEPS], 1 to %d\n", MOST_STEPS);
		return 2;
	}
	plain = in_a_process(0, steps);
	hints = in_a_process(1, steps);
	saved = 1.0 - (double)hints.last / (double)plain.last;
	printf("{\"steps\":%d,\"live_bytes\":%zu,\"plain_bytes\":%zu,\"plain_worst_bytes\":%zu,\"hinted_bytes\":%zu,"
	       "\"hinted_worst_bytes\":%zu,\"saved\":%.3f,\"plain_ns\":%.0f,\"hinted_ns\":%.0f}\n",
	       steps, plain.live, plain.last, plain.worst, hints.last, hints.worst, saved, plain.ns, hints.ns);
	if (saved >= 0.3)
		return 0;
	fprintf(stderr, "lifetimes: hints save %.0f%% at the low point, less than 30%%\n", saved * 100);
	return 1;
}
