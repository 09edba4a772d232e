/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Passes of defragmentation, whole or in slices. A pass is a list of steps (defragment.c), each of which does as much as a slice leaves it and says
 * whether it has more to do.
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

/* A window that the ranks of a job have agreed on, on this thread, whatever the mode: slices until the deadline or until nothing is left;
 * with `quiescent` one whole pass, whatever time it takes. */
struct na_defrag_window {
	uint64_t deadline;	     /* na_os_now_ns() */
	uint64_t slice;		     /* nanoseconds of one; 0: as configured */
	bool near;		     /* memory is short: whatever the threshold */
	bool (*over)(void *closure); /* asked between slices; may be NULL */
	void *closure;
	bool quiescent;	  /* as na_defrag_pass() takes it for granted under NA_DEFRAG_COORDINATED: nobody writes */
	uint64_t ns, won; /* what it took, and the bytes that became free or went back */
	bool more;
};
void na_defrag_window(struct na_defrag_window *w);

/* What could be won, if a pass would begin now were slices made; 0: none would. With `near` also below the threshold. Not after na_defrag_stop(),
 * unless the pool's own switch is on. */
uint64_t na_defrag_due(bool near);

/* Called after a slice or a pass that a thread of the program made (not the maintenance thread, not a window): what it took, and won.
 * Set once, by api. */
extern void (*na_defrag_paused)(uint64_t ns, uint64_t won);

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
	uint64_t passes, slices, purged, moved_blocks, moved_bytes, refused, won, merged, homed, ns, longest_ns, late;
};
void na_defrag_figures(struct na_defrag_figures *out);

/* Bytes that are free and scattered: what a perfect packing of movable blocks would free, and what the pools keep. */
uint64_t na_defrag_winnable(void);

/* Held while a pass or a slice is made: fork takes it first of all. */
extern struct na_lock na_defrag_lock;

#endif
