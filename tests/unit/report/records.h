/* SPDX-License-Identifier: BSD-3-Clause */
/* Made-up records whose figures follow from rank and host, so that sums can be known beforehand. */
#ifndef NA_TESTS_RECORDS_H
#define NA_TESTS_RECORDS_H

#include <stdio.h>
#include <string.h>

#include "report/job.h"

#define START_MS UINT64_C(1795439263000)

static inline void record_make(struct na_record *r, int32_t rank, int32_t size, const char *host)
{
	uint64_t live = (uint64_t)(rank + 1) << 20;

	na_record_init(r);
	snprintf(r->job, sizeof(r->job), "4711");
	snprintf(r->host, sizeof(r->host), "%s", host);
	snprintf(r->program, sizeof(r->program), "solver");
	r->rank = rank;
	r->size = size;
	r->local_rank = rank;
	r->pid = 1000 + rank;
	r->state = NA_RECORD_COMPLETE;
	r->role = NA_RECORD_RANK;
	r->start_ms = START_MS;
	r->update_ms = START_MS + 5000;
	r->wall_ns = UINT64_C(5000000000);
	r->heap.live_bytes = live;
	r->heap.peak_bytes = 2 * live;
	r->heap.allocations = 1000;
	r->heap.releases = 900;
	r->heap.cache_refills = 10u * (unsigned int)(rank + 1);
	r->heap.large_allocations = 100;
	r->heap.large_reused = 50;
	r->heap.held_bytes = 3 * live;
	r->heap.metadata_bytes = 1 << 20;
	r->heap.class_count = 1;
	r->heap.class_size[0] = 64;
	r->heap.class_allocations[0] = 900;
	r->heap.node_count = 2;
	for (int node = 0; node < 2; node++) {
		r->heap.nodes[node] = (struct na_node_figures){ .node = node, .live_bytes = live / 2, .held_bytes = live,
								.resident_bytes = live, .misplaced_bytes = 4096 };
		r->node_memory[node] = UINT64_C(64) << 30;
	}
	memcpy(r->peak_nodes, r->heap.nodes, sizeof(r->peak_nodes));
	r->peak_node_count = 2;
	r->peak_nodes_ms = r->residency_ms = START_MS + 4000;
	r->rss = r->peak_rss = r->pss = r->physical = r->peak_physical = 4 * live;
	r->swapped = 0;
	r->host_memory = UINT64_C(128) << 30;
	/* Each rank has its peak at a second of its own. */
	for (int second = 0; second < 5; second++)
		na_series_add(&r->series, START_MS + (uint64_t)second * 1000, second == rank % 5 ? 2 * live : live, 4 * live);
}

#endif
