/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Movable blocks under load: threads allocate, pin, write, check, resize and release blocks of their own and read those of
 * others, each block with a pattern that is its shadow copy, while passes and ordered compactions run in between. A block's contents or a
 * handle's verdict that is wrong ends the program.
 *
 *	movable SECONDS|OPERATIONSk [SEED [THREADS]]
 */
#include <numarena/numarena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCKS	    3000 /* of a thread */
#define SHARED	    64	 /* that all threads pin and read, and nobody writes */
#define MOST	    16   /* threads */
#define NESTED	    40   /* pins at once: more than a thread has slots */

struct mine {
	memory_handle_t handle;
	size_t size;
	uint64_t seed;
};

struct worker {
	pthread_t thread;
	uint64_t random, operations, pins;
	struct mine block[BLOCKS];
	memory_handle_t stale;
};

static struct worker workers[MOST];
static struct mine shared[SHARED];
static _Atomic int stop;
static uint64_t most_operations;
static int threads = 4;

static void fail(const char *what, uint64_t a, uint64_t b)
{
	printf("movable: %s (%llx, %llx): %s\n", what, (unsigned long long)a, (unsigned long long)b,
	       last_memory_error_message());
	abort();
}

static uint64_t next(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Words at a stride, the first and the last byte: enough to tell a block from another, and a copy from half a copy. */
static void fill(unsigned char *p, size_t size, uint64_t seed)
{
	for (size_t i = 0; i + 8 <= size; i += size < 1024 ? 8 : 520) {
		uint64_t v = seed ^ i * UINT64_C(0x9e3779b97f4a7c15);

		memcpy(p + i, &v, 8);
	}
	p[size - 1] = (unsigned char)seed;
}

static void verify(const unsigned char *p, size_t size, uint64_t seed, memory_handle_t handle)
{
	for (size_t i = 0; i + 8 < size; i += size < 1024 ? 8 : 520) {
		uint64_t v;

		memcpy(&v, p + i, 8);
		if (v != (seed ^ i * UINT64_C(0x9e3779b97f4a7c15)))
			fail("a block's contents have changed", handle, i);
	}
	if (p[size - 1] != (unsigned char)seed)
		fail("a block's last byte has changed", handle, size);
}

static size_t some_size(uint64_t r)
{
	switch (r % 16) {
	case 0:
		return 1 + r / 16 % 200000; /* some with memory of their own */
	case 1:
	case 2:
		return 1 + r / 16 % 20000;
	default:
		return 1 + r / 16 % 600;
	}
}

static unsigned char *pin(memory_handle_t handle)
{
	unsigned char *p = pin_memory(handle);

	if (!p)
		fail("a live block cannot be pinned", handle, 0);
	return p;
}

static void unpin(memory_handle_t handle)
{
	if (unpin_memory(handle))
		fail("a pin is gone", handle, 0);
}

static void make(struct worker *w, struct mine *b)
{
	unsigned char *p;

	b->size = some_size(next(&w->random));
	b->seed = next(&w->random);
	b->handle = allocate_movable(b->size);
	if (!b->handle)
		fail("no memory", b->size, 0);
	p = pin(b->handle);
	fill(p, b->size, b->seed);
	unpin(b->handle);
}

static void end(struct worker *w, struct mine *b)
{
	unsigned char *p = pin(b->handle);

	verify(p, b->size, b->seed, b->handle);
	if (release_movable(b->handle) != MEMORY_ERROR_BUSY)
		fail("a pinned block was released", b->handle, 0);
	unpin(b->handle);
	if (release_movable(b->handle))
		fail("a block cannot be released", b->handle, 0);
	w->stale = b->handle;
	b->handle = 0;
}

static void change(struct worker *w, struct mine *b)
{
	unsigned char *p = pin(b->handle);

	verify(p, b->size, b->seed, b->handle);
	b->seed = next(&w->random);
	fill(p, b->size, b->seed);
	unpin(b->handle);
}

static void resize(struct worker *w, struct mine *b)
{
	size_t size = some_size(next(&w->random)), same = size < b->size ? size : b->size;
	memory_error_t error = resize_movable(b->handle, size);
	unsigned char *p;

	if (error)
		fail("a block of nobody else's cannot be resized", b->handle, size);
	p = pin(b->handle);
	if (same > 8)
		for (size_t i = 0; i + 8 < same; i += b->size < 1024 ? 8 : 520) {
			uint64_t v;

			memcpy(&v, p + i, 8);
			if (v != (b->seed ^ i * UINT64_C(0x9e3779b97f4a7c15)))
				fail("a resized block's contents have changed", b->handle, i);
		}
	b->size = size;
	fill(p, size, b->seed);
	unpin(b->handle);
}

/* Many at once, in no order, some of them twice. */
static void nest(struct worker *w)
{
	struct mine *held[NESTED];
	unsigned char *at[NESTED];

	for (int i = 0; i < NESTED; i++) {
		held[i] = &w->block[next(&w->random) % BLOCKS];
		at[i] = held[i]->handle ? pin(held[i]->handle) : NULL;
	}
	for (int i = 0; i < NESTED; i++)
		if (at[i] && at[i] != pin(held[i]->handle))
			fail("a pinned block has moved", held[i]->handle, 0);
		else if (at[i])
			unpin(held[i]->handle);
	for (int i = NESTED; i-- > 0;)
		if (at[i]) {
			verify(at[i], held[i]->size, held[i]->seed, held[i]->handle);
			unpin(held[i]->handle);
		}
}

static void read_shared(struct worker *w)
{
	struct mine *b = &shared[next(&w->random) % SHARED];
	unsigned char *p = next(&w->random) % 8 ? pin(b->handle) : pin_memory_shared(b->handle);

	verify(p, b->size, b->seed, b->handle);
	unpin(b->handle);
}

static void use_stale(struct worker *w)
{
	if (w->stale && (pin_memory(w->stale) || last_memory_error() != MEMORY_ERROR_CORRUPTION ||
			 release_movable(w->stale) != MEMORY_ERROR_CORRUPTION))
		fail("a stale handle was taken", w->stale, 0);
}

struct walk {
	struct worker *w;
	int at;
};

static memory_handle_t *next_block(void *closure)
{
	struct walk *walk = closure;

	while (walk->at < BLOCKS && !walk->w->block[walk->at].handle)
		walk->at++;
	return walk->at < BLOCKS ? &walk->w->block[walk->at++].handle : NULL;
}

static void order(struct worker *w)
{
	struct walk walk = { w, 0 };
	compaction_order_t o = { .next = next_block, .closure = &walk, .renew_handles = next(&w->random) % 2 };

	if (compact_in_order(&o, NULL))
		fail("no order", 0, 0);
}

static void operate(struct worker *w)
{
	struct mine *b = &w->block[next(&w->random) % BLOCKS];
	uint64_t what = next(&w->random) % 4000;

	w->operations++;
	if (what == 0)
		trigger_defragmentation();
	else if (what == 1)
		order(w);
	else if (what < 40)
		nest(w);
	else if (what < 60)
		use_stale(w);
	else if (what < 1500)
		read_shared(w);
	else if (!b->handle)
		make(w, b);
	else if (what < 2500)
		end(w, b);
	else if (what < 2700)
		resize(w, b);
	else
		change(w, b);
}

static void *work(void *worker)
{
	struct worker *w = worker;

	while (!atomic_load(&stop) && (!most_operations || w->operations < most_operations))
		operate(w);
	return NULL;
}

static void release_all(struct worker *w)
{
	for (int i = 0; i < BLOCKS; i++)
		if (w->block[i].handle)
			end(w, &w->block[i]);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, operations = 0;
	movable_stats_t stats;

	if (argc > 1 && strchr(argv[1], 'k'))
		most_operations = strtoull(argv[1], NULL, 0) * 1000;
	if (argc > 3)
		threads = atoi(argv[3]) < MOST ? atoi(argv[3]) : MOST;
	for (int i = 0; i < SHARED; i++) {
		workers[0].random = seed + (uint64_t)i;
		make(&workers[0], &shared[i]);
	}
	for (int i = 0; i < threads; i++) {
		workers[i].random = seed * 1000 + (uint64_t)i;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 2;
	}
	if (!most_operations) {
		nanosleep(&(struct timespec){ .tv_sec = (time_t)seconds, .tv_nsec = (long)(seconds * 1e9) % 1000000000 },
			  NULL);
		atomic_store(&stop, 1);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		operations += workers[i].operations;
	}
	if (validate_memory_blocks())
		fail("the heap is damaged", 0, 0);
	for (int i = 0; i < threads; i++)
		release_all(&workers[i]);
	for (int i = 0; i < SHARED; i++)
		end(&workers[0], &shared[i]);
	get_movable_statistics(&stats);
	if (stats.blocks || stats.bytes || stats.pinned_slots)
		fail("something is left", stats.blocks, stats.bytes);
	printf("%llu operations, %zu moves of %zu bytes, %zu refused, %zu bytes won, %zu slow pins\n",
	       (unsigned long long)operations, stats.moves, stats.moved_bytes, stats.moves_refused, stats.won_bytes,
	       stats.slow_pins);
	return 0;
}
