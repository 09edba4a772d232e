/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages of ours that the machine has lost (uncorrectable memory errors). A handler of SIGBUS notes them; whoever is about to give such memory to
 * somebody else looks here. A small block that lies on one is never used again; a run of slices or a mapping gets
 * fresh pages when it is free.
 *
 * The table is written by the handler, without a lock; all is relaxed but for the count, which is released after the entry.
 */
#ifndef NA_POOL_LOST_H
#define NA_POOL_LOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_LOST_MOST 256

struct na_lost {
	_Atomic uint32_t count;		      /* entries ever written; release, acquire */
	_Atomic uintptr_t page[NA_LOST_MOST]; /* start; 0: it has been replaced by a fresh one */
	_Atomic size_t bytes[NA_LOST_MOST];
	_Atomic uint32_t unsettled; /* entries that na_cache_settle_lost() has not looked at */
};
extern struct na_lost na_lost;

/* Async-signal-safe. False if the table is full, or has it. */
bool na_lost_note(uintptr_t page, size_t bytes);

bool na_lost_look(uintptr_t from, size_t size);

/* Whether some of it lies on a lost page. */
static inline bool na_lost_in(uintptr_t from, size_t size)
{
	return __builtin_expect(atomic_load_explicit(&na_lost.count, memory_order_acquire) != 0, 0) &&
	       na_lost_look(from, size);
}

/* Memory that nobody has gets fresh pages where it lost some. Without a lock. */
void na_lost_replace(uintptr_t from, size_t size);

struct na_segment;
/* A slice: if it is free it is taken out, gets fresh pages, and is free again. False if it is not free. */
bool na_lost_replace_slice(struct na_segment *segment, uint32_t at);

#endif
