/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merging pages of sparse spans (cache/merge.h), as far as it is a matter of the whole process: which pools take part, when it must not be done at
 * all, how many mappings it may cost, fork.
 *
 * Pools that take part are those that the program made itself without `no_move`, and groups of hinted blocks, but for: no_move, high priority,
 * placed blocks, and pools of the hardened mode. numarena's own (of movable blocks, of images) never do.
 *
 * It is done only when the program says that nobody writes to blocks of its pools and no transfer is pending: the caller's word for it is
 * the call. And not at all where memory may be registered with a device behind our back:
 *   - the process has pinned pages (VmPin of /proc/self/status counts what io_uring, InfiniBand and the like have registered), or locked ones
 *     (VmLck: a remapped page would not be);
 *   - a library is loaded that keeps a registration cache: UCX's InfiniBand transport, unless UCX_TLS names none but those that pin nothing; libfabric,
 *     unless FI_PROVIDER is tcp, shm or the like.
 */
#ifndef NA_HEAP_MERGING_H
#define NA_HEAP_MERGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "os/lock.h"

struct na_merge_limits;

/* Held by who merges, gives merged spans private memory, resets a pool, looks at all metadata, or forks. Outside of all locks of the heap, and of
 * tracking's: fork takes those first, so nothing of tracking is called with this one held. */
extern struct na_lock na_merging_lock;

enum na_merging_off {
	NA_MERGING_ON,
	NA_MERGING_PINNED,     /* pages of the process are pinned */
	NA_MERGING_LOCKED,     /* or locked */
	NA_MERGING_REGISTERED, /* a registration cache may exist */
	NA_MERGING_MAPPINGS, /* vm.max_map_count is unknown, or too small; or private memory may be refused when it is wanted back */
	NA_MERGING_REFUSED /* the kernel has no memory files for us */
};

struct na_merging {
	uint64_t restored, frame_bytes, mapped_bytes, mappings, ns;
	uint64_t bound;	  /* units left apart because mappings were used up, since the start */
	uint64_t refused; /* calls of the system that failed */
	uint32_t
		grain; /* of the last pass: units that a mapping must cover so that there are enough; 1: they do not bind */
	uint64_t most_mappings;	 /* that it may use */
	enum na_merging_off off; /* why the last pass merged nothing, or ended early */
	char why[96];		 /* the same as a sentence, with the figure or the library; "" if it did all */
};

/* Every pool that takes part; bytes of physical memory that were won. What kept it from more: na_merging_figures(). */
uint64_t na_merging_run(void);
/* The same in slices, each of which begins no step that is not expected to end by the deadline (but one), and none that does not fit into the budget, which it counts
 * down. Adds to *won; true if there is more to do, by the next one. Does nothing while another thread merges. */
bool na_merging_slice(uint64_t deadline, struct na_move_budget *budget, uint64_t *won);
void na_merging_figures(struct na_merging *out);
/* Bytes that a perfect packing of what takes part would free. */
uint64_t na_merging_winnable(void);

struct na_named;
/* Whether its pages may come to be merged; constant once the pool has its first block. */
bool na_merging_takes_part(const struct na_named *named);
/* A pool that is no group takes part from now on. */
void na_merging_allow(struct na_named *named);
/* Merging is to be expected, or no more: from then on spans of what takes part give out their slots so that they stay mergeable (cache/turns.h). */
void na_merging_arm(bool on);

/* For heap/concurrent.h, under na_merging_lock: 0 and what mappings may be used, or -EBUSY and why not. */
int na_merging_look(struct na_merge_limits *limits, const char **why);

/* What emptied goes back; does nothing while somebody merges. */
void na_merging_restore(void);
/* Before a pool is emptied, with na_merging_lock held; and after its memory was unmapped. */
void na_merging_drop(struct na_named *named);
void na_merging_forget(struct na_named *named);

#endif
