/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Passes of defragmentation, whole or in slices. A pass is a list of steps (defragment.c), each of which does as much as a slice leaves it and says
 * whether it has more to do; page merging of raw blocks will be one more (doc/design/merging.md).
 *
 * One pass at a time, under a lock of its own that is outside all others: who finds it taken does nothing, but for a pass that
 * was asked for, which waits. Any thread, no lock of the heap held. Not within a system call of ours (na_os_inside).
 *
 * Settings are words, read relaxed: a slice goes by the old or the new.
 */
#ifndef NA_RECOVERY_DEFRAGMENT_H
#define NA_RECOVERY_DEFRAGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/options.h"
#include "os/lock.h"

enum na_defrag_mode { NA_DEFRAG_OFF, NA_DEFRAG_INCREMENTAL, NA_DEFRAG_FULL, NA_DEFRAG_COORDINATED };

void na_defrag_start(enum na_defrag_mode mode, bool logging, bool background);
/* Returns when no slice is being made. */
void na_defrag_stop(void);

/* A full pass, whatever the threshold: 0, or the -errno of what the kernel refused. */
int na_defrag_pass(void);

/* A slice, if a pass is due or under way; whether there is more to do at once. */
bool na_defrag_slice(void);

/* Whether there is anything for na_defrag_tick() to do: asked each time by every process that has the thread. */
extern _Atomic bool na_defrag_background; /* relaxed: a setting */
static inline bool na_defrag_wants_ticks(void)
{
	return atomic_load_explicit(&na_defrag_background, memory_order_relaxed) ||
	       __atomic_load_n(&na_options.defragmentation, __ATOMIC_RELAXED);
}

/* From the maintenance thread: a slice if it may; milliseconds until the next look, UINT32_MAX: none. */
uint32_t na_defrag_tick(void);
/* From threads that allocate movable blocks. */
void na_defrag_wanted(void);

/* When an allocation fails: movable blocks are compacted; bytes of memory that is free now. Waits for nobody. */
uint64_t na_defrag_make_room(void);

struct na_defrag_figures {
	bool running;
	uint64_t passes, slices, purged, moved_blocks, moved_bytes, refused, won, homed, ns, longest_ns, late;
};
void na_defrag_figures(struct na_defrag_figures *out);

/* Bytes that are free and scattered: what a perfect packing of movable blocks would free, and what the pools keep. */
uint64_t na_defrag_winnable(void);

/* Held while a pass or a slice is made: fork takes it first of all. */
extern struct na_lock na_defrag_lock;

#endif
