/* SPDX-License-Identifier: BSD-3-Clause */
#include "hints/prefetch.h"

#include <unistd.h>

#include "base/options.h"
#include "os/chase.h"

#define LINE_GUESS   64
#define ELEMENT_NS   1 /* the loop that the formula is made for */
#define ELEMENT_SIZE 8

size_t na_prefetch_distance = 104; /* what na_prefetch_derive() makes of the assumed latency */
size_t na_cache_line = LINE_GUESS;

size_t na_prefetch_derive(uint32_t latency_ns, uint64_t reach_percent, size_t line)
{
	size_t lap = line / ELEMENT_SIZE;
	uint64_t elements = ((uint64_t)latency_ns * reach_percent / ELEMENT_NS + 99) / 100;

	return (elements + lap - 1) / lap * lap;
}

static size_t line_size(bool ask)
{
	uint64_t set = __atomic_load_n(&na_options.cache_line_size, __ATOMIC_RELAXED);
	long found = 0;

	if (set)
		return set;
	if (!ask)
		return na_cache_line;
#ifdef _SC_LEVEL1_DCACHE_LINESIZE
	found = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);
#endif
	return found >= 16 && found <= 4096 && (found & (found - 1)) == 0 ? (size_t)found : LINE_GUESS;
}

void na_prefetch_follow(bool ask)
{
	uint64_t set = __atomic_load_n(&na_options.prefetch_distance, __ATOMIC_RELAXED);
	bool on = __atomic_load_n(&na_options.prefetch, __ATOMIC_RELAXED), measured;
	size_t line = line_size(ask), distance = on ? set : 0;

	if (on && !set) {
		if (ask)
			na_chase_measure();
		distance = na_prefetch_derive(na_chase_latency(&measured),
					      __atomic_load_n(&na_options.prefetch_reach, __ATOMIC_RELAXED), line);
	}
	/* relaxed, as are the loads of numarena/cache.h: nothing else goes by them. What stays is not written: at the start their page is clean. */
	if (na_cache_line != line)
		__atomic_store_n(&na_cache_line, line, __ATOMIC_RELAXED);
	if (na_prefetch_distance != distance)
		__atomic_store_n(&na_prefetch_distance, distance, __ATOMIC_RELAXED);
}
