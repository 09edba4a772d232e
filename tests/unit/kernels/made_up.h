/* SPDX-License-Identifier: BSD-3-Clause */
/* The tuner on made-up time: what an element takes at each distance is planted, and the clock goes by that. For one test program. */
#ifndef TEST_KERNELS_MADE_UP_H
#define TEST_KERNELS_MADE_UP_H

#include <stdio.h>
#include <string.h>

#include "base/settings.h"
#include "heap/heap.h"
#include "kernels/tune.h"
#include "os/chase.h"
#include "support/unit.h"

#define MIB ((uint64_t)1 << 20)

static uint64_t now = 1000000000;
static uint64_t (*cost)(size_t distance); /* picoseconds an element */
static uint64_t chunks, timed;		  /* of all runs; those that were measured */

static uint64_t fake_clock(void)
{
	return now;
}

/* Addresses as a loop over so many bytes would have them, neighbours a third of them apart. Nothing is read there. */
static void make_probe(const void **probe, uint64_t bytes)
{
	for (uint64_t i = 0; i < KERNEL_PROBES; i++)
		probe[i] = (const void *)(uintptr_t)(0x10000000000 + bytes / KERNEL_PROBES * (i * 11 % KERNEL_PROBES));
}

/* One call of a loop; the distance that most of it ran with. */
static size_t run_loop(kernel_site_t *site, size_t n, uint64_t bytes, enum na_tune_kind kind)
{
	kernel_run_t run = kernel_plain_(0, n);
	size_t at[NA_TUNE_FARTHEST + 1] = { 0 }, most = 0;
	const void *probe[KERNEL_PROBES];

	make_probe(probe, bytes);
	na_tune_begin(&run, site, probe, kind);
	while (run.from < n) {
		assert_true(run.until > run.from && run.until <= n && run.distance <= NA_TUNE_FARTHEST);
		now += (run.until - run.from) * cost(run.distance) / 1000;
		at[run.distance] += run.until - run.from;
		chunks++;
		timed += run.cell != NULL;
		if (run.cell)
			na_tune_next(&run, run.until);
		else
			run.from = run.until;
	}
	for (size_t d = 0; d <= NA_TUNE_FARTHEST; d++)
		most = at[d] > at[most] ? d : most;
	return most;
}

#endif
