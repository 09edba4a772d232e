/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every benchmark program shares: options, threads, the clock, a deterministic random
 * source, and blocks that know whether somebody else wrote into them.
 *
 * A program fills a struct bench_pattern and returns bench_main(). The harness runs work() once on
 * each thread, thread 0 being the main thread (a program of one thread stays one: allocators have a cheaper
 * path for that), starts the clock when all are ready, and prints one line of JSON. It allocates nothing
 * itself between the start and the end of the clock.
 *
 * A block taken by bench_take() carries a tag in its first word (random bits above, its size below), the
 * complement of the tag in its last word, and the tag in every cache line between, so memory
 * is touched as a program touches it. bench_give() checks both ends and adds the tag to the thread's checksum. The sum over the
 * threads depends on the seed alone, never on which thread freed what: it is the same under every
 * allocator, or the allocator (or the benchmark) is broken. A mismatch makes the program exit with 1.
 *
 * Thread safety: a struct bench_thread belongs to its thread; the options are read-only after bench_main()
 * has parsed them.
 */
#ifndef NA_BENCHMARKS_BENCH_H
#define NA_BENCHMARKS_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_THREADS_MAX 256
#define BENCH_LINE	  64

struct bench_thread {
	int rank;
	uint64_t random;
	uint64_t checksum;
	uint64_t operations; /* blocks taken, or calls of realloc */
	uint64_t errors;
	/* Two lines, for the adjacent-line prefetcher: the harness must not share lines where the pattern does not. */
} __attribute__((aligned(2 * BENCH_LINE)));

struct bench_pattern {
	const char *name;
	const char *about;	  /* what of real life it stands for */
	const char *const *modes; /* NULL-terminated, or NULL; the first is the default */
	int least_threads;	  /* 0 counts as 1 */
	void (*prepare)(void);	  /* before the clock, on the main thread */
	void (*work)(struct bench_thread *me);
	void (*finish)(struct bench_thread *me); /* after the clock, on the main thread */
};

struct bench_options {
	int threads;
	int mode; /* index into the pattern's modes */
	double scale;
	uint64_t seed;
};

extern struct bench_options bench;

int bench_main(int argc, char **argv, const struct bench_pattern *pattern);

/* Sets up a thread record besides those of the harness, for patterns with threads of their own. */
void bench_thread_init(struct bench_thread *me, int rank);

/* Adds a short-lived thread's sums to those of the thread that joined it. */
void bench_thread_merge(struct bench_thread *into, const struct bench_thread *from);

/* A figure of the pattern's own for the JSON line; name is a literal, at most eight of them. */
void bench_note(const char *name, double value);

/* Page faults of this process so far. */
long bench_faults(void);

void bench_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* count * scale, but at least `least`. */
static inline long bench_scaled(long count, long least)
{
	double n = (double)count * bench.scale;

	return n < (double)least ? least : (long)n;
}

/* splitmix64: one multiplication chain, no table, and any seed is a good one. */
static inline uint64_t bench_random(struct bench_thread *me)
{
	uint64_t z = (me->random += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Uniform in [0, n): the high half of a product, as a division would cost as much as a malloc. */
static inline size_t bench_below(struct bench_thread *me, size_t n)
{
	return (size_t)(((bench_random(me) >> 32) * (uint64_t)n) >> 32);
}

/*
 * Sizes as programs have them: every power of two from 16 to `most` (a power of two as well) is half as frequent
 * as the one before it and uniform inside, so bytes, not blocks, are spread evenly.
 */
static inline size_t bench_small_size(struct bench_thread *me, size_t most)
{
	uint64_t bits = bench_random(me);
	size_t size = 16u << __builtin_ctzll(bits | ((uint64_t)1 << 40));

	if (size >= most)
		size = most / 2;
	return size + ((size_t)(bits >> 44) & (size - 1));
}

/* Tells the compiler that the block escapes: it may neither elide the call nor the stores. */
static inline void bench_escape(void *block)
{
	__asm__ volatile("" : : "g"(block) : "memory");
}

static inline void *bench_mark(void *block, uint64_t tag, size_t size)
{
	char *bytes = (char *)block;
	uint64_t end = ~tag;
	size_t at;

	for (at = 0; at + 2 * sizeof(tag) <= size; at += BENCH_LINE)
		__builtin_memcpy(bytes + at, &tag, sizeof(tag));
	__builtin_memcpy(bytes + size - sizeof(end), &end, sizeof(end));
	bench_escape(block);
	return block;
}

/* size is 16 or more and below 4 GiB. */
static inline void *bench_take(struct bench_thread *me, size_t size)
{
	uint64_t tag = (bench_random(me) << 32) | size;
	void *block = malloc(size);

	if (!block)
		bench_fail("malloc(%zu) failed", size);
	me->operations++;
	return bench_mark(block, tag, size);
}

static inline size_t bench_size(const void *block)
{
	uint32_t size;

	__builtin_memcpy(&size, block, sizeof(size));
	return size;
}

static inline void bench_check(struct bench_thread *me, const void *block)
{
	uint64_t tag, end;
	size_t size;

	__builtin_memcpy(&tag, block, sizeof(tag));
	size = (uint32_t)tag;
	__builtin_memcpy(&end, (const char *)block + size - sizeof(end), sizeof(end));
	me->errors += end != ~tag || ((uintptr_t)block & 15) != 0;
	me->checksum += tag * 0x9e3779b97f4a7c15u;
}

static inline void bench_give(struct bench_thread *me, void *block)
{
	bench_check(me, block);
	free(block);
}

/* Reads every cache line of a block, as the program that works on it would. */
static inline void bench_read(struct bench_thread *me, const void *block)
{
	const char *bytes = (const char *)block;
	size_t size = bench_size(block), at;
	uint64_t tag, word, differ = 0;

	__builtin_memcpy(&tag, bytes, sizeof(tag));
	for (at = 0; at + 2 * sizeof(tag) <= size; at += BENCH_LINE) {
		__builtin_memcpy(&word, bytes + at, sizeof(word));
		differ |= word ^ tag;
	}
	me->errors += differ != 0;
}

static inline void bench_shuffle(struct bench_thread *me, void **blocks, size_t count)
{
	size_t i, j;
	void *swap;

	for (i = count; i > 1; i--) {
		j = bench_below(me, i);
		swap = blocks[i - 1];
		blocks[i - 1] = blocks[j];
		blocks[j] = swap;
	}
}

#ifdef __cplusplus
}
#endif

#endif
