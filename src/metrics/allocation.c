/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics/allocation.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "cache/fast.h"
#include "heap/timing.h"
#include "metrics/ticks.h"

#define ROUNDS 64
#define CALLS  16
#define SIZE   64

/* A cache with one stack, that of SIZE. */
struct own {
	struct na_cache cache;
	struct na_bin bin;
	na_entry entries[CALLS + 1];
	char blocks[CALLS][SIZE];
};

/* As malloc: not inlined, its arguments unknown. */
static __attribute__((noinline)) void *take(struct na_cache *c, size_t size)
{
	if (na_unlikely(size > NA_DIRECT_MAX))
		return NULL;
	return na_bin_pop(na_cache_direct(c, size));
}

static void set_up(struct own *own)
{
	na_entry *zeroth = (na_entry *)&own->bin;

	memset(own, 0, sizeof(*own));
	own->cache.direct[SIZE] = (uint16_t)offsetof(struct own, bin);
	own->bin.floor = (uint16_t)(own->entries - zeroth);
	for (int i = 0; i < CALLS; i++)
		own->entries[i + 1] = own->blocks[i];
}

/* Ticks of `calls` calls, and of reading the clock. */
static uint64_t time_round(struct own *own, int calls)
{
	size_t size = SIZE;
	uint64_t from;

	own->bin.top = (uint16_t)(own->bin.floor + CALLS);
	__asm__ volatile("" : "+r"(size) : : "memory");
	from = na_os_ticks();
	for (int i = 0; i < calls; i++) {
		void *p = take(&own->cache, size);

		__asm__ volatile("" : "+r"(p) : : "memory");
	}
	return na_os_ticks() - from;
}

/* Insertion: few, and no call of a library's that might allocate. */
static uint64_t median(uint64_t *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		uint64_t x = v[i];
		size_t at = i;

		for (; at > 0 && v[at - 1] > x; at--)
			v[at] = v[at - 1];
		v[at] = x;
	}
	return v[n / 2];
}

uint64_t na_allocation_hit_time(void)
{
	uint64_t round[ROUNDS], empty[ROUNDS], calls, clock;
	struct own own;

	_Static_assert(offsetof(struct own, bin) <= UINT16_MAX, "the stack is where direct[] can lead");
	set_up(&own);
	for (int i = 0; i < ROUNDS; i++) {
		empty[i] = time_round(&own, 0);
		round[i] = time_round(&own, CALLS);
	}
	calls = median(round, ROUNDS);
	clock = median(empty, ROUNDS);
	return na_ticks_to_ps(calls > clock ? calls - clock : 0) / CALLS;
}

static uint64_t mean_ps(const struct na_timing *t)
{
	uint64_t weight = atomic_load_explicit(&t->weight, memory_order_relaxed);

	return weight ? na_ticks_to_ps(atomic_load_explicit(&t->ticks, memory_order_relaxed)) / weight : 0;
}

int na_allocation_time(const struct na_snapshot *s, uint64_t *out)
{
	uint64_t cached = 0, refills = s->cache_refills, hits;
	__uint128_t sum;

	for (uint32_t i = 0; i < s->class_count; i++)
		cached += s->class_allocations[i];
	if (cached + s->large_allocations == 0)
		return -ENODATA;
	if (refills > cached) /* a refill is counted before its block */
		refills = cached;
	hits = cached - refills;
	sum = (__uint128_t)hits * na_allocation_hit_time();
	sum += (__uint128_t)refills * mean_ps(&na_timing_refills);
	sum += (__uint128_t)s->large_allocations * mean_ps(&na_timing_large);
	*out = (uint64_t)(sum / (cached + s->large_allocations));
	return 0;
}
