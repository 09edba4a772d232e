/* SPDX-License-Identifier: BSD-3-Clause */
#include "recovery/oom.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "heap/beyond.h"
#include "heap/heap.h"
#include "heap/hooks.h"
#include "heap/pressure.h"
#include "heap/snapshot.h"
#include "os/limit.h"
#include "os/os.h"

#define LEAST_FREED  ((uint64_t)64 << 20)
#define MOST_POOLS   8
#define MOST_CLASSES 6

struct held_pool {
	char name[32];
	int node;
	uint64_t held, large, limit;
};

/* Under `writing`. */
static struct {
	struct na_snapshot snapshot;
	struct held_pool pools[MOST_POOLS];
	uint32_t pool_count;
	int fd;
} report;

static _Atomic bool writing;	 /* acquire and release: `report` is one thread's */
static _Atomic uint64_t reports; /* relaxed: a statistic */
static uint64_t purged_at,
	after; /* under `writing`: what had gone back at the last report, and what must for another */

uint64_t na_oom_reports(void)
{
	return atomic_load_explicit(&reports, memory_order_relaxed);
}

static void to_file(const char *text)
{
	char line[1024];
	size_t n = na_format(line, sizeof(line), "%s\n", text);

	if (report.fd >= 0 && write(report.fd, line, n) < 0) { /* full, say: what is on standard error must do */
		close(report.fd);
		report.fd = -1;
	}
}

static void line_of(const char *text, void *unused)
{
	(void)unused;
	na_log(NA_LOG_WARNING, "  %s", text);
	to_file(text);
}

static __attribute__((format(printf, 1, 2))) void line(const char *format, ...)
{
	char text[800];
	va_list args;

	va_start(args, format);
	na_vformat(text, sizeof(text), format, args);
	va_end(args);
	line_of(text, NULL);
}

static unsigned long long kib(uint64_t bytes)
{
	return (unsigned long long)(bytes >> 10);
}

static void head(const struct na_request *r)
{
	char text[400], why[200];

	na_recovery_why(r->size, why, sizeof(why));
	na_format(text, sizeof(text), "out of memory: %zu bytes%s%s on node %d: %s", r->size,
		  r->kind == NA_REQUEST_NAMED ? " of pool " : "",
		  r->kind == NA_REQUEST_NAMED ? na_named_name(r->named) : "", na_pool_here()->node, why);
	na_log(NA_LOG_WARNING, "%s; who holds what (KiB):", text);
	to_file(text);
}

/* Of this process, as the kernel counts it. */
static uint64_t resident(void)
{
	char text[128], *s;
	uint64_t pages = 0;

	if (na_limits_text("/proc/self/statm", text, sizeof(text)) <= 0 || !(s = strchr(text, ' ')))
		return NA_UNKNOWN;
	for (s++; *s >= '0' && *s <= '9'; s++)
		pages = pages * 10 + (uint64_t)(*s - '0');
	return pages * NA_PAGE;
}

static void process(void)
{
	const struct na_snapshot *s = &report.snapshot;
	uint64_t physical = resident();

	line("process: live %llu, peak %llu, held %llu, of that kept for reuse %llu, bookkeeping %llu, addresses %llu",
	     kib(s->live_bytes), kib(s->peak_bytes), kib(s->held_bytes), kib(s->dirty_bytes), kib(s->metadata_bytes),
	     kib(s->reserved_bytes));
	if (physical != NA_UNKNOWN)
		line("resident, with all that is not numarena's: %llu", kib(physical));
	if (na_beyond_bytes())
		line("beyond the limit, from the system allocator: %llu", kib(na_beyond_bytes()));
}

static void limit_line(const char *name, uint64_t bound, uint64_t room)
{
	if (bound == NA_LIMIT_NONE)
		return;
	if (room == NA_LIMIT_NONE)
		line("limit: %s %llu", name, kib(bound));
	else
		line("limit: %s %llu, %llu of it left", name, kib(bound), kib(room));
}

static void limits(void)
{
	uint64_t limit = na_pool_ask_limit(), counted = na_pool_counted(), bound, room, maps, most;
	struct na_limits_memory m;

	na_limits_memory(&m);
	limit_line(na_pressure_follows() ? "of the pools, by the machine or the cgroup," : "total_size", limit,
		   limit > counted ? limit - counted : 0);
	limit_line("of the machine", m.physical, m.in_group ? NA_LIMIT_NONE : m.room);
	limit_line("of the cgroup", m.group, m.in_group ? m.room : NA_LIMIT_NONE);
	room = na_limits_address_room(&bound);
	limit_line("of addresses (ulimit -v, -d)", bound, room);
	maps = na_limits_maps();
	most = na_limits_most_maps();
	if (maps != NA_LIMIT_NONE && most != NA_LIMIT_NONE)
		line("limit: mappings %llu of %llu (vm.max_map_count)", (unsigned long long)maps,
		     (unsigned long long)most);
}

static void nodes(void)
{
	for (uint32_t i = 0; i < report.snapshot.node_count; i++) {
		const struct na_node_figures *f = &report.snapshot.nodes[i];
		uint64_t memory = na_os_node_memory(f->node);

		if (memory)
			line("node %d: live %llu, held %llu, kept %llu; the node has %llu free of %llu", f->node,
			     kib(f->live_bytes), kib(f->held_bytes), kib(f->dirty_bytes), kib(na_os_node_free(f->node)),
			     kib(memory));
		else
			line("node %d: live %llu, held %llu, kept %llu", f->node, kib(f->live_bytes),
			     kib(f->held_bytes), kib(f->dirty_bytes));
	}
}

/* Keeps those that hold most, in order. */
static uint64_t note_pool(struct na_pool *pool, void *unused)
{
	struct held_pool h = { .node = pool->node, .limit = pool->limit };
	uint32_t at;

	(void)unused;
	na_lock(&pool->lock);
	h.held = (pool->used_slices + pool->dirty_slices) * NA_SLICE + pool->huge_bytes + pool->huge_kept_bytes;
	h.large = pool->large_live;
	memcpy(h.name, pool->name, sizeof(h.name));
	na_unlock(&pool->lock);
	if (!h.held)
		return 0;
	at = report.pool_count < MOST_POOLS ? report.pool_count++ : MOST_POOLS;
	for (; at > 0 && report.pools[at - 1].held < h.held; at--)
		if (at < MOST_POOLS)
			report.pools[at] = report.pools[at - 1];
	if (at < MOST_POOLS)
		report.pools[at] = h;
	return 0;
}

static void named_pools(void)
{
	report.pool_count = 0;
	na_named_each(note_pool, NULL);
	for (uint32_t i = 0; i < report.pool_count; i++) {
		const struct held_pool *h = &report.pools[i];

		if (h->limit)
			line("pool \"%s\" on node %d: held %llu of %llu, in blocks above 32 KiB %llu", h->name, h->node,
			     kib(h->held), kib(h->limit), kib(h->large));
		else
			line("pool \"%s\" on node %d: held %llu, in blocks above 32 KiB %llu", h->name, h->node,
			     kib(h->held), kib(h->large));
	}
}

static uint64_t bytes_of(const struct na_snapshot *s, uint32_t cls)
{
	return (int64_t)s->class_live_blocks[cls] > 0 ? s->class_live_blocks[cls] * s->class_size[cls] : 0;
}

/* The classes with most live bytes; each that was named is emptied in the snapshot, which is ours. */
static void sizes(void)
{
	struct na_snapshot *s = &report.snapshot;

	line("blocks above 32 KiB: live %llu", kib(s->large_live_bytes));
	for (int n = 0; n < MOST_CLASSES; n++) {
		uint32_t best = 0;

		for (uint32_t i = 1; i < s->class_count; i++)
			if (bytes_of(s, i) > bytes_of(s, best))
				best = i;
		if (!bytes_of(s, best))
			return;
		line("blocks of %llu bytes: %llu live, %llu", (unsigned long long)s->class_size[best],
		     (unsigned long long)s->class_live_blocks[best], kib(bytes_of(s, best)));
		s->class_live_blocks[best] = 0;
	}
}

static void write_report(const struct na_request *r)
{
	report.fd = na_heap_hooks.report_file ? na_heap_hooks.report_file() : -1;
	na_heap_snapshot(&report.snapshot);
	head(r);
	process();
	limits();
	nodes();
	named_pools();
	sizes();
	if (na_heap_hooks.describe)
		na_heap_hooks.describe(line_of, NULL);
	if (report.fd >= 0)
		close(report.fd);
}

void na_oom_after_fork(void)
{
	atomic_store_explicit(&writing, false, memory_order_relaxed); /* another thread's, which is not here */
}

void na_oom_report(const struct na_request *r)
{
	uint64_t purged;
	int saved = errno;

	if (NA_ABSURD(r->size) || atomic_exchange_explicit(&writing, true, memory_order_acquire))
		return;
	purged = atomic_load_explicit(&na_pool_purged, memory_order_relaxed);
	if (!na_oom_reports() || purged - purged_at > after) {
		atomic_fetch_add_explicit(&reports, 1, memory_order_relaxed);
		purged_at = purged;
		after = after ? 2 * after : na_pool_counted() > LEAST_FREED ? na_pool_counted() : LEAST_FREED;
		write_report(r);
	}
	atomic_store_explicit(&writing, false, memory_order_release);
	errno = saved;
}
