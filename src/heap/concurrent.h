/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merging pages of malloc's blocks while threads run (NUMARENA_DEFRAG_CONCURRENT): the spans of threads' caches, each cache's among themselves. How a page
 * is kept from threads while it is copied is os/hold.h, what is merged with what cache/pairing.c, why nobody can wait for anybody who waits for him
 * doc/design/merging.md.
 *
 * Which way: `auto` is `move` where the kernel has it, else none; the others only by name, for each has programs in which it does harm. Not at all in the hardened
 * mode, and not where pages of pools would not be merged either (heap/merging.h: registration caches, locked and pinned memory).
 */
#ifndef NA_HEAP_CONCURRENT_H
#define NA_HEAP_CONCURRENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/budget.h"

struct na_concurrent_figures {
	const char *way; /* "move" and so on; "off": none was asked for, or can be had */
	char why[160];	 /* why none, or why the last pass merged nothing or ended early; "" if it did all */
	uint64_t passes, won, ns;
	uint64_t busy; /* units left apart because a page was pinned or shared just then */
};

/* All threads' caches (a deadline of 0; no budget), or until the deadline, or until the budget is spent: then `more` is set, and the next call goes on. Bytes of
 * physical memory that were won. Any thread; `wait` for na_merging_lock only without a lock, and never on the maintenance thread, for which its holder may be waiting. */
uint64_t na_concurrent_run(uint64_t deadline, struct na_move_budget *budget, bool wait, bool *more);
/* Bytes that a perfect packing would free; 0 if it is off. */
uint64_t na_concurrent_winnable(void);
void na_concurrent_figures(struct na_concurrent_figures *out);

/* Under na_merging_lock: what emptied goes back. */
void na_concurrent_restore(void);
/* In a forked child: what keeps threads away is the parent's. */
void na_concurrent_forget(void);

#endif
