/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/chase.h"

#include <stdatomic.h>
#include <stddef.h>

#include "os/os.h"

#define LINE_GUESS 64
#define PAGES                                                                                                          \
	256 /* one line of each: fewer than a second-level TLB has entries, so that a walk is not what is measured */
#define STEP	 97 /* odd, so that it comes by every page; no prefetcher goes beyond its page */
#define ROUNDS	 3
#define LEAST_NS 20 /* what an emulator that flushes nothing shows is less */
#define MOST_NS	 1000
#define CANNOT	 1

/* ns; 0: not measured yet. Relaxed: whoever measures stores a right value, and nothing else goes by it. */
static _Atomic uint32_t latency;

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

void na_chase_measure(void)
{
	uint64_t best = UINT64_MAX, ns;
	void *base;

	if (atomic_load_explicit(&latency, memory_order_relaxed))
		return;
	if (!CAN_FLUSH || na_os.map(NULL, PAGES * NA_PAGE, &base) < 0) {
		atomic_store_explicit(&latency, CANNOT, memory_order_relaxed);
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

uint32_t na_chase_latency(bool *measured)
{
	uint32_t ns = atomic_load_explicit(&latency, memory_order_relaxed);

	*measured = ns > CANNOT;
	return ns > CANNOT ? ns : NA_CHASE_ASSUMED;
}
