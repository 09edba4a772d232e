/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics/ticks.h"

#include <stdatomic.h>

#include "os/os.h"

#define LEAST_NS 1000000

/* The start: ticks before ns are written, by the constructor, when there is one thread; else by each who asks for itself. */
static uint64_t first_ticks, first_ns;
static _Atomic uint64_t ps_of_1024; /* picoseconds of 1024 ticks; 0: not known yet. relaxed: a constant */

void na_ticks_begin(void)
{
	first_ns = na_os_now_ns();
	first_ticks = na_os_ticks();
}

static uint64_t measure(void)
{
	uint64_t from_ns = first_ns, from = first_ticks, ns, ticks;

	if (from_ns == 0) { /* no constructor: a unit test, or very early */
		from_ns = na_os_now_ns();
		from = na_os_ticks();
	}
	do {
		ns = na_os_now_ns() - from_ns;
		ticks = na_os_ticks() - from;
	} while (ns < LEAST_NS);
	return ticks ? (uint64_t)((__uint128_t)ns * 1000 * 1024 / ticks) : 0;
}

uint64_t na_ticks_to_ps(uint64_t ticks)
{
	uint64_t unit = atomic_load_explicit(&ps_of_1024, memory_order_relaxed);

	if (unit == 0) {
		unit = measure();
		atomic_store_explicit(&ps_of_1024, unit, memory_order_relaxed);
	}
	return (uint64_t)((__uint128_t)ticks * unit / 1024);
}
