/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/statistics.h */
#include <numarena/statistics.h>

#include <math.h>

#include "api/error.h"
#include "api/life.h"
#include "heap/figures.h"
#include "heap/heap.h"
#include "heap/snapshot.h"
#include "movable/movable.h"
#include "os/os.h"

memory_error_t get_memory_statistics(memory_stats_t *stats)
{
	struct na_snapshot s;
	uint64_t physical = 0, huge = 0, cached;

	if (!stats)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "stats is NULL");
	na_heap_residency(&s);
	for (uint32_t i = 0; i < s.node_count; i++)
		physical += s.nodes[i].resident_bytes;
	for (uint32_t i = 0; i < s.node_count && huge != NA_UNKNOWN; i++)
		huge = s.nodes[i].huge_bytes == NA_UNKNOWN ? NA_UNKNOWN : huge + s.nodes[i].huge_bytes;
	cached = s.allocations - s.large_allocations;
	*stats = (memory_stats_t){
		.total_allocated = s.live_bytes,
		.peak_usage = s.peak_bytes,
		/* Blocks that were never touched can exceed what is resident; that is not fragmentation. */
		.fragmentation = s.live_bytes >= physical ? 0.0 : 1.0 - (double)s.live_bytes / (double)physical,
		.physical_bytes = physical,
		.held_bytes = s.held_bytes,
		.reclaimable_bytes = s.dirty_bytes,
		.reserved_bytes = s.reserved_bytes,
		.metadata_bytes = s.metadata_bytes + na_movable_metadata(),
		.allocations = s.allocations,
		.releases = s.releases,
		.cache_refills = s.cache_refills,
		.thread_cache_hit_rate = cached ? 1.0 - (double)s.cache_refills / (double)cached : NAN,
		.remote_releases = s.remote_releases,
		.large_allocations = s.large_allocations,
		.large_reused = s.large_reused,
		.huge_page_bytes = huge == NA_UNKNOWN ? MEMORY_METRIC_UNAVAILABLE : huge,
	};
	return MEMORY_ERROR_NONE;
}

size_t get_memory_node_statistics(memory_node_stats_t *nodes, size_t capacity)
{
	uint64_t allocations[NA_MAX_POOLS];
	struct na_snapshot s;

	na_heap_residency(&s);
	na_heap_nodes(allocations);
	for (uint32_t i = 0; nodes && i < s.node_count && i < capacity; i++)
		nodes[i] = (memory_node_stats_t){
			.node = s.nodes[i].node,
			.requested_bytes = s.nodes[i].live_bytes,
			.resident_bytes = s.nodes[i].resident_bytes,
			.misplaced_bytes = s.nodes[i].misplaced_bytes == NA_UNKNOWN ? MEMORY_METRIC_UNAVAILABLE
										    : s.nodes[i].misplaced_bytes,
			.total_memory = na_os_node_memory(s.nodes[i].node),
			.allocations = allocations[i],
		};
	return s.node_count;
}

/* A sum over threads that run meanwhile may be off for a moment. */
static size_t not_negative(uint64_t v)
{
	return (int64_t)v < 0 ? 0 : v;
}

size_t get_memory_class_statistics(memory_class_stats_t *classes, size_t capacity)
{
	struct na_class_figures all[NA_CLASSES + 1];

	if (!classes || !capacity)
		return NA_CLASSES + 1;
	na_heap_classes(all);
	for (size_t i = 0; i <= NA_CLASSES && i < capacity; i++)
		classes[i] = (memory_class_stats_t){ .block_size = all[i].size,
						     .allocations = all[i].allocations,
						     .releases = not_negative(all[i].allocations - all[i].live_blocks),
						     .live_blocks = not_negative(all[i].live_blocks),
						     .live_bytes = not_negative(all[i].live_bytes) };
	return NA_CLASSES + 1;
}

size_t get_memory_thread_statistics(memory_thread_stats_t *threads, size_t capacity)
{
	return na_heap_threads((struct na_thread_figures *)threads, threads ? capacity : 0);
}

/* So that the heap fills the caller's array, of whatever length. */
#define SAME(theirs, ours)                                                                                             \
	_Static_assert(offsetof(memory_thread_stats_t, theirs) == offsetof(struct na_thread_figures, ours), #theirs)
SAME(thread, thread);
SAME(node, node);
SAME(allocations, totals.allocations);
SAME(releases, totals.releases);
SAME(allocated_bytes, totals.allocated_bytes);
SAME(released_bytes, totals.released_bytes);
_Static_assert(sizeof(memory_thread_stats_t) == sizeof(struct na_thread_figures),
	       "an array of the one is one of the other");
