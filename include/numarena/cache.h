/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The processor's caches: lines and prefetching.
 *
 *     for (size_t i = 0; i < n; i++) {
 *             prefetch_next_block(&data[i + PREFETCH_DISTANCE]);
 *             process_element(&data[i]);
 *     }
 *
 * Nothing needs initialising: until then the distance covers a latency of 100 ns. All calls are thread-safe.
 */
#ifndef NUMARENA_CACHE_H
#define NUMARENA_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

/* Each is a list of settings, which numarena-info --levels prints. What the environment or the program has set goes before a level. */
typedef enum cache_optimization_level {
	CACHE_OPT_NONE,		/* sets nothing */
	CACHE_OPT_CONSERVATIVE, /* prefetch_reach 50: for loops that take 2 ns or more an element */
	CACHE_OPT_BALANCED,	/* prefetch_reach 150 */
	CACHE_OPT_AGGRESSIVE /* prefetch_reach 300: for loops of a few instructions an element; alignment 128: pool blocks begin on a
				 * pair of lines, which processors fetch together */
} cache_optimization_level_t;

typedef struct cache_config {
	size_t cache_line_size; /* bytes, a power of two from 16 to 4096; 0: as the processor says. Above the pool's alignment it
				   * raises that for blocks from now on, unless the alignment was set itself */
	size_t prefetch_distance; /* elements of 8 bytes, up to 65536; 0: from the memory's latency */
	bool enable_prefetch;	  /* false: PREFETCH_DISTANCE is 0 */
	cache_optimization_level_t optimization_level;
	bool monitor_cache_misses; /* count the processor's cache misses, where the kernel lets us */
} cache_config_t;

/* NULL: prefetching, CACHE_OPT_BALANCED, and zeros. Repeated with equal values it does nothing, with others it takes
 * effect at once. MEMORY_ERROR_INVALID_ARGUMENT: a field is out of range, named in the message, nothing changed.
 *
 * A distance of 0 is derived: as many elements as a loop that takes a nanosecond for each gets through while one line comes from
 * memory, times prefetch_reach percent, rounded up to whole lines. The latency is measured here, once in a process, in about
 * 0.2 ms: dependent loads of 256 lines that were flushed from the caches before, the best of three rounds, bounded to
 * 20 to 1000 ns; on processors that cannot flush a line it is taken to be 100 ns. */
memory_error_t initialize_cache_system(const cache_config_t *config) NUMARENA_CALL(initialize_cache_system);

/* For reading only: the distance in force, and the size of a line. Words that change when they are configured; whoever reads one sees
 * the old or the new. */
extern size_t memory_prefetch_distance NUMARENA_DATA(prefetch_distance);
extern size_t memory_cache_line_size NUMARENA_DATA(cache_line_size);

/* How far ahead to prefetch, in elements of 8 bytes; 0 while prefetching is off: what is then prefetched is at hand. A plain load and no
 * atomic one, so that a compiler may take it out of a loop: a loop goes on with the distance that it began with. */
#define PREFETCH_DISTANCE memory_prefetch_distance

/* Asks for the line at an address, to be read soon. Never faults, whatever the address is. Compilers do not vectorise a loop that asks:
 * where elements are processed in order by a few operations, which the processor's own prefetcher and its vector registers do
 * best, define NUMARENA_NO_PREFETCH before this header is included, and nothing is left of it, or call numarena/kernels.h. */
static inline void prefetch_next_block(const void *p)
{
#ifdef NUMARENA_NO_PREFETCH
	(void)p;
#else
	__builtin_prefetch(p, 0, 3);
#endif
}

/* p itself if a line begins there, as every block of allocate_from_pool does, else the next place where one does. */
#ifndef __cplusplus
static inline void *align_to_cache_line(const void *p)
{
	uintptr_t line = __atomic_load_n(&memory_cache_line_size, __ATOMIC_RELAXED);

	return (void *)(((uintptr_t)p + line - 1) & ~(line - 1));
}
#endif

NUMARENA_END

#ifdef __cplusplus
template <typename T> static inline T *align_to_cache_line(T *p)
{
	uintptr_t line = __atomic_load_n(&memory_cache_line_size, __ATOMIC_RELAXED);

	return reinterpret_cast<T *>((reinterpret_cast<uintptr_t>(p) + line - 1) & ~(line - 1));
}
#endif

#endif
