/* SPDX-License-Identifier: BSD-3-Clause */
#include "hints/prefetch.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/options.h"
#include "os/os.h"

#define LINE_GUESS 64
#define PAGES                                                                                                          \
	256 /* one line of each: fewer than a second-level TLB has entries, so that a walk is not what is measured */
#define STEP	     97 /* odd, so that it comes by every page; no prefetcher goes beyond its page */
#define ROUNDS	     3
#define LEAST_NS     20 /* what an emulator that flushes nothing shows is less */
#define MOST_NS	     1000
#define ELEMENT_NS   1 /* the loop that the formula is made for */
#define ELEMENT_SIZE 8

size_t na_prefetch_distance = 104; /* what na_prefetch_derive() makes of the assumed latency */
size_t na_cache_line = LINE_GUESS;

static _Atomic uint32_t
	latency; /* ns; 0: not measured yet, 1: cannot be. Relaxed: whoever measures stores a right value */

#if defined(__x86_64__)
#define CAN_FLUSH 1
static void flush(void *p)
{
	__builtin_ia32_clflush(p);
}
static void settle(void)
{
	__builtin_ia32_mfence();
}
#elif defined(__aarch64__)
#define CAN_FLUSH 1
static void flush(void *p)
{
	__asm__ volatile("dc civac, %0" : : "r"(p) : "memory");
}
static void settle(void)
{
	__asm__ volatile("dsb ish" : : : "memory");
}
#else
#define CAN_FLUSH 0
static void flush(void *p)
{
	(void)p;
}
static void settle(void)
{
}
#endif

/* A ring through all pages, each place holding the address of the next. */
static void **make_ring(char *base)
{
	size_t at = 0;

	for (size_t i = 0; i < PAGES; i++) {
		size_t next = (at + STEP) % PAGES;

		/* At another line of each page: else all would fall into a few sets of the caches. */
		*(void **)(base + at * NA_PAGE + at * LINE_GUESS % NA_PAGE) =
			base + next * NA_PAGE + next * LINE_GUESS % NA_PAGE;
		at = next;
	}
	return (void **)base;
}

static uint64_t walk(void **ring)
{
	void *volatile *at = ring;
	uint64_t start;

	for (size_t i = 0; i < PAGES; i++) { /* the pages' translations stay */
		void **line = (void **)at;

		at = *line;
		flush(line);
	}
	settle();
	start = na_os_now_ns();
	for (size_t i = 0; i < PAGES; i++)
		at = *at;
	return na_os_now_ns() - start;
}

static void measure(void)
{
	uint64_t best = UINT64_MAX, ns;
	void *base;

	if (!CAN_FLUSH || na_os.map(NULL, PAGES * NA_PAGE, &base) < 0) {
		atomic_store_explicit(&latency, 1, memory_order_relaxed);
		return;
	}
	for (int i = 0; i < ROUNDS; i++) {
		ns = walk(make_ring(base));
		best = ns < best ? ns : best;
	}
	na_os.unmap(base, PAGES * NA_PAGE);
	ns = best / PAGES;
	ns = ns < LEAST_NS ? LEAST_NS : ns > MOST_NS ? MOST_NS : ns;
	atomic_store_explicit(&latency, (uint32_t)ns, memory_order_relaxed);
}

uint32_t na_prefetch_latency(bool *measured)
{
	uint32_t ns = atomic_load_explicit(&latency, memory_order_relaxed);

	*measured = ns > 1;
	return ns > 1 ? ns : NA_LATENCY_ASSUMED;
}

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
		if (ask && atomic_load_explicit(&latency, memory_order_relaxed) == 0)
			measure();
		distance = na_prefetch_derive(na_prefetch_latency(&measured),
					      __atomic_load_n(&na_options.prefetch_reach, __ATOMIC_RELAXED), line);
	}
	/* relaxed, as are the loads of numarena/cache.h: nothing else goes by them. What stays is not written: at the start their page is clean. */
	if (na_cache_line != line)
		__atomic_store_n(&na_cache_line, line, __ATOMIC_RELAXED);
	if (na_prefetch_distance != distance)
		__atomic_store_n(&na_prefetch_distance, distance, __ATOMIC_RELAXED);
}
