/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Defragmentation: what is free but scattered goes back to the system. A pass returns free spans, free pages of spans that are half
 * empty, and what is kept for reuse; compacts movable blocks (movable.h) toward few dense chunks; and moves pages home that lie on
 * another NUMA node than they should. Under DEFRAG_COORDINATED a pass that is asked for merges pages as well: sparse pages of small blocks of
 * named pools, and of blocks with hints, come to share one page of memory where no two of their blocks lie on the same place of it. Raw pointers and
 * contents never change.
 *
 *     defrag_config_t config = { .threshold = 0.3, .strategy = DEFRAG_INCREMENTAL };
 *     start_defragmentation(&config);
 *
 * All calls are thread-safe; none may be made from a signal handler.
 */
#ifndef NUMARENA_DEFRAGMENTATION_H
#define NUMARENA_DEFRAGMENTATION_H

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

typedef enum defrag_strategy {
	DEFRAG_INCREMENTAL, /* slices: a bounded time and a bounded number of bytes each */
	DEFRAG_FULL,        /* whole passes */
	DEFRAG_COORDINATED  /* nothing by itself: passes are made by trigger_defragmentation() and where the ranks of a job stand still anyway,
	                     * in coordinate_defragmentation() (mpi.h) or by NUMARENA_COORDINATION=1 in windows after collectives.
	                     * trigger_defragmentation() is then the program's word that no thread writes to blocks of named pools or with hints,
	                     * and that no transfer from or to them is pending: they may be merged */
} defrag_strategy_t;

typedef struct defrag_config {
	double threshold;           /* fragmentation, 1 - live bytes / held bytes, above which passes are made; above 0 to 1; 0: 0.7 */
	defrag_strategy_t strategy;
	size_t max_move_size;       /* bytes that a slice moves, 4096 to 1 GiB; 0: 1 MiB; what is larger by itself is moved alone */
	bool enable_logging;        /* a line on standard error for each pass: what it won, and what it cost */
	unsigned int slice_time;    /* microseconds a slice may take, 10 to 1000000; 0: 200 */
	bool enable_background;     /* numarena's maintenance thread makes slices; else only threads of the program do, when
	                             * a movable block finds no room in its chunk, and in run_defragmentation_slice() */
} defrag_config_t;

/* Passes are made from now on whenever fragmentation is above the threshold and there is something to win: at least one chunk of 2 MiB
 * that a perfect packing of the movable blocks would free, or as much that the pools keep. A pass that won nothing is not repeated
 * before there is more. NULL: the defaults. Called again it reconfigures. MEMORY_ERROR_INVALID_ARGUMENT: a field is out of range,
 * named in the message, nothing changed. MEMORY_ERROR_UNSUPPORTED: enable_background, but NUMARENA_BACKGROUND=0. */
memory_error_t start_defragmentation(const defrag_config_t *config) NUMARENA_CALL(start_defragmentation);

/* One full pass now, started or not, whatever the threshold. After start_defragmentation() with DEFRAG_COORDINATED it merges pages too, and while it
 * runs no thread may allocate, resize or write to small blocks of named pools or with hints, nor may a transfer from or to one be pending; reading and
 * freeing may go on. Never merged: pools and hints with no_move, hints of high priority, placed blocks, blocks above 32 KiB, plain malloc and the default pool. Nothing at
 * all is merged where memory may be registered with a device: while the process has pinned or locked pages (io_uring's registered buffers count), or
 * where an InfiniBand transport of UCX (unless UCX_TLS names none that pins memory) or libfabric (unless FI_PROVIDER is tcp or shm) is loaded.
 * merge_refusal says so. With NUMARENA_DEFRAG_CONCURRENT each pass, and each slice, merges blocks of plain malloc and the default pool as well, whatever threads do meanwhile;
 * concurrent_refusal says why not.
 *
 * MEMORY_ERROR_PERMISSION: the kernel does not let pages be moved to their nodes, or refuses the barrier that moving blocks
 * needs; all the rest was done. */
memory_error_t trigger_defragmentation(void) NUMARENA_CALL(trigger_defragmentation);

/* No pass begins any more; one that is being made ends with its slice, which this waits for. No error if none was started. */
memory_error_t stop_defragmentation(void) NUMARENA_CALL(stop_defragmentation);

/* One slice now, on this thread, of the time and size configured, if a pass is due or under way: for programs that know when they have
 * time, between two steps. Under DEFRAG_COORDINATED it merges pages as well, with the same promise for as long as it runs as trigger_defragmentation().
 * *more (may be NULL): whether there is more to do at once. */
memory_error_t run_defragmentation_slice(bool *more) NUMARENA_CALL(run_defragmentation_slice);

typedef struct defrag_stats {
	bool running;          /* started, and not stopped */
	size_t passes;         /* ended, since the start, as all that follow */
	size_t slices;
	size_t purged_bytes;   /* free memory that went back to the system */
	size_t moved_blocks;   /* movable blocks */
	size_t moved_bytes;
	size_t refused_blocks; /* that were pinned when their turn came */
	size_t won_bytes;      /* chunks of movable blocks that became free */
	size_t homed_bytes;    /* pages moved to their node */
	size_t time;           /* microseconds, all slices and passes */
	size_t longest_slice;  /* microseconds */
	size_t late_slices;    /* that took more than twice their time */
	size_t winnable_bytes; /* now */
	size_t merged_bytes;   /* won by merging pages, in all passes */
	size_t merge_addresses; /* now: bytes of addresses that share pages ... */
	size_t merge_memory;    /* ... and of the memory that they share */
	size_t merge_mappings;  /* mappings that this costs, now; at most merge_mappings_most, a third of vm.max_map_count */
	size_t merge_mappings_most; /* 0: there was no pass yet */
	unsigned int merge_grain; /* of the last pass: pages are merged one by one if need be (1), or in runs of so many or more, so that there are enough mappings */
	char merge_refusal[96]; /* why the last pass merged nothing; "" if it was not kept from it */
	/* Pages of malloc's blocks, merged while threads run (NUMARENA_DEFRAG_CONCURRENT); their bytes are in those above. */
	char concurrent_way[16];      /* how threads are kept away meanwhile: "move", "userfaultfd", "mprotect"; "off": none was asked for, or can be had */
	char concurrent_refusal[160]; /* why the last pass merged none, or ended early; "" if it was not kept from it */
	size_t concurrent_busy;       /* pages left alone because they were pinned, or shared with a child of fork, since the start */
} defrag_stats_t;

/* MEMORY_ERROR_INVALID_ARGUMENT if stats is NULL. */
memory_error_t get_defragmentation_statistics(defrag_stats_t *stats) NUMARENA_CALL(get_defragmentation_statistics);

NUMARENA_END
#endif
