/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads against each other on one heap: blocks of all sizes go through a table that every thread takes from and puts
 * into, so most are freed by another thread than the one that allocated them; some are resized on the way; threads come and
 * go; children are forked. Every byte that was written is checked before its block is freed. At the end the
 * heap's own count of live bytes must be what it was at the start.
 *
 *     blocks [ROUNDS] [SEED]
 *
 * Work is counted, not timed. Built a second time under ThreadSanitizer (blocks-tsan), without the forks.
 */
#include <numarena/numarena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TABLE 4096
#define STAYING 3
#define COMING 3
#define LIFE 20000 /* operations of a thread that comes and goes */

#ifdef __SANITIZE_THREAD__
#define FORKS 0
#else
#define FORKS 1
#endif

struct block {
	size_t size;
	unsigned char *data;
	unsigned char seed;
	size_t step;
};

static _Atomic(struct block *) table[TABLE];
static long rounds = 60;
static uint64_t seed = 1;

static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static void fail(const char *what, const void *p, size_t size)
{
	fprintf(stderr, "blocks: %s: %p of %zu bytes (last error: %s)\n", what, p, size, last_memory_error_message());
	abort();
}

static void fill(struct block *b)
{
	for (size_t i = 0; i < b->size; i += b->step)
		b->data[i] = (unsigned char)(b->seed + i);
}

static void check(const struct block *b)
{
	for (size_t i = 0; i < b->size; i += b->step)
		if (b->data[i] != (unsigned char)(b->seed + i))
			fail("a byte is not what was written", b->data, b->size);
}

static size_t some_size(uint32_t r, uint32_t *state)
{
	if (r % 1000 < 4)
		return 1 + next(state) % 12000000;
	if (r % 1000 < 20)
		return 1 + next(state) % 300000;
	return 1 + next(state) % (r % 10 ? 400 : 30000);
}

static struct block *make(uint32_t *state)
{
	struct block *b = allocate_memory(sizeof(*b));
	uint32_t r = next(state);
	size_t alignment = (size_t)16 << next(state) % 9;

	if (!b)
		fail("no memory for", NULL, sizeof(*b));
	b->size = some_size(r, state);
	b->seed = (unsigned char)next(state);
	b->step = b->size > 4096 ? 509 : 1;
	if (r % 16 == 0)
		b->data = allocate_aligned_memory(alignment, b->size);
	else if (r % 16 < 4)
		b->data = allocate_zeroed_memory(1, b->size);
	else if (r % 16 < 8)
		b->data = allocate_from_pool(b->size);
	else
		b->data = allocate_memory(b->size);
	if (!b->data)
		fail("no memory for", NULL, b->size);
	if (r % 16 == 0 && ((uintptr_t)b->data & (alignment - 1)))
		fail("not aligned", b->data, alignment);
	for (size_t i = 0; r % 16 && r % 16 < 4 && i < b->size; i += b->step)
		if (b->data[i])
			fail("not zero", b->data, b->size);
	if (allocation_size(b->data) < b->size)
		fail("smaller than asked for", b->data, b->size);
	fill(b);
	return b;
}

static void resize(struct block *b, uint32_t *state)
{
	size_t size = some_size(next(state), state);
	unsigned char *p = resize_memory(b->data, size);

	if (!p)
		fail("no memory to resize", b->data, size);
	b->data = p;
	if (size < b->size)
		b->size = size;
	check(b);
}

static void end(struct block *b)
{
	check(b);
	release_memory(b->data);
	release_memory(b);
}

static void fork_once(uint32_t *state)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return;
	if (pid == 0) {
		alarm(60);
		for (int i = 0; i < 500; i++)
			end(make(state));
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		fail("a child failed", NULL, (size_t)status);
}

static void work(uint32_t *state, long operations)
{
	for (long i = 0; i < operations; i++) {
		_Atomic(struct block *) *slot = &table[next(state) % TABLE];
		/* acq_rel: whoever takes a block out sees what its maker wrote. */
		struct block *b = atomic_exchange_explicit(slot, NULL, memory_order_acq_rel);

		if (b) {
			if (next(state) % 8 == 0)
				resize(b, state);
			end(b);
			continue;
		}
		b = atomic_exchange_explicit(slot, make(state), memory_order_acq_rel);
		if (b)
			end(b);
	}
}

static void *stay(void *number)
{
	uint32_t state = (uint32_t)(seed * 1000 + (uint64_t)(uintptr_t)number);

	for (long i = 0; i < rounds; i++) {
		work(&state, LIFE / 10);
		if (FORKS && (uintptr_t)number == 1 && i % 10 == 3)
			fork_once(&state);
	}
	return NULL;
}

static void *live_briefly(void *number)
{
	uint32_t state = (uint32_t)(seed * 7777 + (uint64_t)(uintptr_t)number);

	work(&state, LIFE / 10);
	return NULL;
}

static void *come_and_go(void *number)
{
	for (long i = 0; i < rounds; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, live_briefly, (void *)((uintptr_t)number + (uintptr_t)i * 100)))
			fail("no thread", NULL, 0);
		pthread_join(thread, NULL);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[STAYING + COMING];
	memory_stats_t before, after;

	alarm(300);
	if (argc > 1)
		rounds = atol(argv[1]);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	get_memory_statistics(&before);
	for (uintptr_t i = 0; i < STAYING + COMING; i++)
		if (pthread_create(&threads[i], NULL, i < STAYING ? stay : come_and_go, (void *)(i + 1)))
			fail("no thread", NULL, 0);
	for (int i = 0; i < STAYING + COMING; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < TABLE; i++) {
		struct block *b = atomic_load_explicit(&table[i], memory_order_acquire);

		if (b)
			end(b);
	}
	flush_memory_pools();
	get_memory_statistics(&after);
	printf("%zu allocations, %zu of them freed by another thread, %zu bytes live\n", after.allocations,
	       after.remote_releases, after.total_allocated);
	if (after.total_allocated != before.total_allocated)
		fail("live bytes do not return to what they were", NULL, after.total_allocated);
	if (after.allocations - before.allocations != after.releases - before.releases)
		fail("allocations and releases differ", NULL, after.releases);
	return 0;
}
