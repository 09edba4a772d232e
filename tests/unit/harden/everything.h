/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A heap with a bit of everything, for tests that damage it: spans of many classes partly full, current, listed, parked and queued, stacks,
 * blocks on their way home, an idle cache, runs, huge blocks live and kept, named pools, groups. Every live block is stamped.
 * With EVERYTHING_SAMPLED caches sample as well: their stacks are split, and have traps.
 */
#ifndef NA_TESTS_EVERYTHING_H
#define NA_TESTS_EVERYTHING_H

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/fast.h"
#include "cache/traps.h"
#include "heap/groups.h"
#include "heap/heap.h"

#define EVERYTHING_MOST 20000

struct live_block {
	unsigned char *at;
	size_t size;
};

static struct live_block everything[EVERYTHING_MOST];
static size_t everything_count;
static struct na_named *everything_named[2], *everything_group;
static sem_t everything_ready, everything_end;
static pthread_t everything_sleeper;

static unsigned char stamp_of(const struct live_block *b, size_t i)
{
	return (unsigned char)(((uintptr_t)b->at >> 4) * 31 + i * 7 + b->size);
}

static void keep(void *p, size_t size)
{
	struct live_block *b = &everything[everything_count++];

	*b = (struct live_block){ p, size };
	for (size_t i = 0; i < 32 && i < size; i++) {
		b->at[i] = stamp_of(b, i);
		b->at[size - 1 - i] = stamp_of(b, size - 1 - i);
	}
}

/* The first block whose contents have changed, or that is not known to be live any more; or NULL. */
static inline const struct live_block *damaged_block(void)
{
	for (size_t k = 0; k < everything_count; k++) {
		const struct live_block *b = &everything[k];
		struct na_block found;

		for (size_t i = 0; i < 32 && i < b->size; i++)
			if (b->at[i] != stamp_of(b, i) || b->at[b->size - 1 - i] != stamp_of(b, b->size - 1 - i))
				return b;
		if (!na_heap_find(b->at, &found) || !found.live || found.start != (uintptr_t)b->at ||
		    found.size < b->size)
			return b;
	}
	return NULL;
}

static inline void ignore_sample(void *p, size_t size, uint64_t mean, uint64_t ns)
{
	(void)p, (void)size, (void)mean, (void)ns;
}

static inline void ignore_block(const void *p)
{
	(void)p;
}

static inline void ignore_pool(const struct na_pool *pool)
{
	(void)pool;
}

static inline void begin_to_sample(void)
{
	na_traps_prepare();
	na_sample_hooks = (struct na_sample_hooks){ ignore_sample, ignore_block, ignore_pool };
	na_sample_hooked = true;
	na_sample_mean = 3000;
}

/* Of a group, whose caches are chosen by the thread's number. */
static void fill_group(void)
{
	for (size_t i = 0; i < 300; i++) {
		size_t size = i % 100 == 99 ? 100000 : 24 + i % 5 * 40;
		void *p = na_group_allocate(everything_group, 16, size);

		if (i % 4 == 1)
			na_heap_release(p);
		else
			keep(p, size);
	}
}

static void *passing_thread(void *unused)
{
	static void *mine[1500];

	(void)unused;
	for (size_t i = 0; i < 1500; i++)
		mine[i] = na_heap_allocate(80 + i % 3 * 100);
	for (size_t i = 0; i < 1500; i++)
		if (i % 2)
			na_heap_release(mine[i]);
		else
			keep(mine[i], 80 + i % 3 * 100);
	fill_group();
	return NULL;
}

static void *lent[6000];

static void *sleeping_thread(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < 6000; i++)
		lent[i] = na_heap_allocate(i < 4096 ? 64 : 192);
	sem_post(&everything_ready);
	sem_wait(&everything_end);
	return NULL;
}

static inline void make_everything(void)
{
	static const size_t sizes[] = { 8,   16,   32,	 48,   64,   100,  128,	  200,	 256,	300,  512,
					640, 1000, 2048, 3000, 4096, 8000, 16384, 20000, 24000, 32768 };
	static void *freed[4000];
	size_t n = 0;
	pthread_t t;

	sem_init(&everything_ready, 0, 0);
	sem_init(&everything_end, 0, 0);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (size_t i = 0; i < (sizes[s] < 1024 ? 200u : 20u); i++) {
			void *p = na_heap_allocate(sizes[s]);

			if (i % 3 == 1)
				freed[n++] = p;
			else
				keep(p, sizes[s]);
		}
	while (n)
		na_heap_release(freed[--n]);
	everything_group = na_group_of(na_pool_here(), 2);
	fill_group();
#ifdef EVERYTHING_SAMPLED
	begin_to_sample();
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (size_t i = 0; i < (sizes[s] < 1024 ? 200u : 20u); i++) {
			void *p = na_heap_allocate(sizes[s]);

			if (i % 3 == 1)
				na_heap_release(p);
			else
				keep(p, sizes[s]);
		}
#endif
	/* A span that is full: parked. */
	for (size_t i = 0; i < 2 * NA_SLICE / 1024 + 40; i++)
		keep(na_heap_allocate(1024), 1024);
	pthread_create(&everything_sleeper, NULL, sleeping_thread, NULL);
	sem_wait(&everything_ready);
	/* Its cache is idle from then on: it must come second, or the other would take it over. */
	pthread_create(&t, NULL, passing_thread, NULL);
	pthread_join(t, NULL);
	for (size_t i = 0; i < 6000; i++) /* home it goes, in words; the last few wait */
		if (i % 4 == 3)
			keep(lent[i], i < 4096 ? 64 : 192);
		else
			na_heap_release(lent[i]);
	for (size_t i = 0; i < 12; i++) {
		void *p = na_heap_allocate(70000 * (i + 1));

		if (i % 3 == 2)
			na_heap_release(p);
		else
			keep(p, 70000 * (i + 1));
	}
	for (size_t i = 0; i < 4; i++) {
		void *p = na_heap_allocate(((size_t)9 + i) << 20);

		if (i % 2)
			na_heap_release(p);
		else
			keep(p, ((size_t)9 + i) << 20);
	}
	for (int k = 0; k < 2; k++) {
		na_named_create(k ? "second" : "first", -1, k ? (uint64_t)1 << 30 : 0, 16, &everything_named[k]);
		for (size_t i = 0; i < 300; i++) {
			void *p = na_named_allocate(everything_named[k], i % 100 == 99 ? 100000 : 24 + i % 5 * 40);

			if (i % 4 == 1)
				na_heap_release(p);
			else
				keep(p, i % 100 == 99 ? 100000 : 24 + i % 5 * 40);
		}
	}
}

/* Frees every live block; how many were refused. */
static inline size_t end_everything(void)
{
	size_t refused = 0;

	for (size_t k = 0; k < everything_count; k++)
		if (na_heap_release_checked(everything[k].at) < 0) {
			refused++;
			fprintf(stderr, "refused: %p of %zu bytes; span of kind %u, id %u\n", (void *)everything[k].at,
				everything[k].size, na_span_kind(na_span_of(everything[k].at)),
				na_id_of(everything[k].at));
		}
	everything_count = 0;
	sem_post(&everything_end);
	pthread_join(everything_sleeper, NULL);
	return refused;
}

#endif
