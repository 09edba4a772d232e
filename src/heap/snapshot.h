/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the heap knows of itself at one moment, for statistics and reports. na_heap_snapshot()
 * walks all thread caches and pools: O(thread caches x classes + nodes), about 10 us, no system
 * call; other threads run on, so their figures are as of some moment during the call.
 * na_heap_residency() asks the kernel where every page lies: about 50 us for each 32 MiB.
 * Any thread; takes locks of caches and pools, one at a time; never allocates.
 */
#ifndef NA_HEAP_SNAPSHOT_H
#define NA_HEAP_SNAPSHOT_H

#include <stdint.h>

#define NA_MAX_NODES   64
#define NA_MAX_CLASSES 80
#define NA_UNKNOWN     UINT64_MAX

struct na_node_figures {
	int32_t node; /* kernel's number */
	uint32_t unused;
	uint64_t live_bytes;	  /* blocks of this node's pool that are out */
	uint64_t held_bytes;	  /* slices in use or kept */
	uint64_t dirty_bytes;	  /* of those, free and kept for reuse */
	uint64_t reserved_bytes;  /* address space */
	uint64_t resident_bytes;  /* na_heap_residency only, else NA_UNKNOWN */
	uint64_t misplaced_bytes; /* na_heap_residency only; NA_UNKNOWN if the kernel does not tell */
	uint64_t huge_bytes;	  /* of the resident, in huge pages; as misplaced_bytes */
};

struct na_snapshot {
	uint64_t live_bytes;
	uint64_t peak_bytes;
	uint64_t allocations;
	uint64_t releases;
	uint64_t cache_refills;
	uint64_t remote_releases;
	uint64_t large_allocations;
	uint64_t large_reused;
	uint64_t large_live_bytes;
	uint64_t held_bytes;
	uint64_t dirty_bytes;
	uint64_t reserved_bytes;
	uint64_t metadata_bytes;
	uint64_t maintenance_ns; /* time in our maintenance thread's work */
	uint64_t system_calls;	 /* mmap, munmap, madvise, mbind, mremap made for the heap */
	uint64_t purged_bytes;	 /* returned to the system so far */
	uint32_t thread_caches;	 /* in use */
	uint32_t class_count;
	uint32_t node_count;
	uint32_t unused;
	uint64_t class_size[NA_MAX_CLASSES];
	uint64_t class_allocations[NA_MAX_CLASSES];
	uint64_t class_live_blocks[NA_MAX_CLASSES];
	struct na_node_figures nodes[NA_MAX_NODES];
};

void na_heap_snapshot(struct na_snapshot *out);

/* As above, and fills resident and misplaced bytes. */
void na_heap_residency(struct na_snapshot *out);

#endif
