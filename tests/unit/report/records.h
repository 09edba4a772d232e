/* SPDX-License-Identifier: BSD-3-Clause */
/* Made-up records whose figures follow from rank and host, so that sums can be known beforehand. */
#ifndef NA_TESTS_RECORDS_H
#define NA_TESTS_RECORDS_H

#include <stdio.h>
#include <string.h>

#include "report/job.h"
#include "report/names.h"

#define START_MS UINT64_C(1795439263000)

static inline struct na_phase_part *record_phase(struct na_record *r, const char *name, uint64_t ns, uint64_t allocated,
						  uint64_t released)
{
	struct na_phase_part *p = &r->breakdown.phases[r->breakdown.phase_count++];

	memset(p, 0, sizeof(*p));
	na_name_clean(p->name, name, sizeof(p->name));
	p->entered = 10;
	p->ns = ns;
	p->allocations = 20;
	p->releases = 10;
	p->allocated_bytes = allocated;
	p->released_bytes = released;
	p->peak = 2 * allocated;
	p->live_at_start = 4096;
	p->live_at_end = 4096 + allocated - released;
	return p;
}

/* Every rank has "setup" and "step", which runs, and one of its own; a pool, a histogram. */
static inline void record_break_down(struct na_record *r, int32_t rank)
{
	struct na_breakdown *b = &r->breakdown;
	uint64_t live = (uint64_t)(rank + 1) << 20;
	char name[32];

	record_phase(r, "setup", 1000000, live, live / 2);
	record_phase(r, "step", 1000000u * (unsigned int)(rank + 1), live, 0)->running = 1;
	snprintf(name, sizeof(name), "only %d", rank);
	record_phase(r, name, 1000, 1000, 2000);
	b->innermost = 2;
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		b->classes[i].size = na_class_size(i);
	b->classes[3] = (struct na_class_part){ 64, 900, 57600, 10, 640, 6400 };
	b->classes[NA_CLASSES] = (struct na_class_part){ 0, 100, 10 * live, 1, live, 2 * live };
	b->fullest_live = 2 * live;
	b->pool_count = 1;
	b->pools[0] = (struct na_pool_part){ "halo", 1, live, live, 2 * live, 30 };
	b->threads = (struct na_threads_part){ 2, 4, { 1000 + rank, 0, 900, live } };
	b->sample_mean = 65536;
	b->latency.samples = 3;
	b->latency.most = 1000u * (unsigned int)(rank + 1);
	b->latency.count = 100;
	b->latency.sum = 99 * 20 + b->latency.most;
	b->latency.bins[na_histogram_bin(20)] = 99;
	b->latency.bins[na_histogram_bin(b->latency.most)] = 1;
	b->site_count = 2;
	b->sites_bytes = 3 * live;
	snprintf(b->sites[0].frames, NA_SITE_TEXT, "assemble (solver)\nmain (solver)");
	b->sites[0].bytes = 2 * live;
	b->sites[0].allocations = 100;
	snprintf(b->sites[1].frames, NA_SITE_TEXT, "only_%d (solver)\nmain (solver)", rank);
	b->sites[1].bytes = live / 2;
	b->sites[1].allocations = 10;
	b->lifetimes.samples = 2;
	b->lifetimes.blocks[10] = 90;
	b->lifetimes.blocks[30] = 10;
	b->lifetimes.bytes[10] = 900;
	b->lifetimes.bytes[30] = 10000;
}

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
	record_break_down(r, rank);
	/* Each rank has its peak at a second of its own. */
	for (int second = 0; second < 5; second++)
		na_series_add(&r->series, START_MS + (uint64_t)second * 1000, second == rank % 5 ? 2 * live : live, 4 * live);
}

#endif
