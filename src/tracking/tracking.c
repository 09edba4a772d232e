/* SPDX-License-Identifier: BSD-3-Clause */
#include "tracking/tracking.h"

#include <string.h>

#include "heap/heap.h"
#include "heap/snapshot.h"
#include "os/os.h"
#include "tracking/timeline.h"

static struct na_lock lock;
static struct na_tracking current; /* under lock */
_Atomic bool na_tracking_begun;
static bool running;	 /* under lock */
static uint64_t next_ms; /* maintenance thread only, from here on */
static uint64_t physical, physical_again_ns;
static _Atomic bool fresh; /* a new series: what was measured for the last one does not count */
static struct na_snapshot snapshot;

int na_tracking_start(const struct na_tracking *wanted)
{
	int rc = 0;

	na_lock(&lock);
	if (!running || memcmp(&current, wanted, sizeof(current)) != 0) {
		if (!running || current.interval_ms != wanted->interval_ms) {
			na_timeline_reset(na_os_now_ns(), wanted->interval_ms);
			atomic_store_explicit(&fresh, true, memory_order_relaxed); /* a hint to the next tick */
		}
		current = *wanted;
		running = true;
		atomic_store_explicit(&na_tracking_begun, true, memory_order_relaxed);
		atomic_store_explicit(&na_publish_often, wanted->allocations, memory_order_relaxed);
	}
	na_unlock(&lock);
	if (wanted->usage || wanted->fragmentation) {
		rc = na_maintenance_start();
		na_maintenance_poke();
	}
	return rc;
}

void na_tracking_stop(void)
{
	na_lock(&lock);
	running = false;
	atomic_store_explicit(&na_publish_often, false, memory_order_relaxed);
	na_unlock(&lock);
}

bool na_tracking_of_usage(void)
{
	bool is;

	na_lock(&lock);
	is = current.usage;
	na_unlock(&lock);
	return is;
}

bool na_tracking_running(void)
{
	bool is;

	na_lock(&lock);
	is = running;
	na_unlock(&lock);
	return is;
}

static uint64_t physical_bytes(uint64_t now_ns)
{
	uint64_t sum = 0;

	if (now_ns < physical_again_ns && !atomic_exchange_explicit(&fresh, false, memory_order_relaxed))
		return physical;
	na_heap_residency(&snapshot);
	for (uint32_t i = 0; i < snapshot.node_count; i++)
		sum += snapshot.nodes[i].resident_bytes;
	physical = sum;
	physical_again_ns = now_ns + 100 * (na_os_now_ns() - now_ns);
	return sum;
}

uint32_t na_tracking_tick(uint64_t now_ns)
{
	uint64_t now_ms = now_ns / 1000000, live = UINT64_MAX, held = UINT64_MAX;
	struct na_tracking wanted;
	bool on;

	na_lock(&lock);
	wanted = current;
	on = running && (current.usage || current.fragmentation);
	na_unlock(&lock);
	if (!on)
		return UINT32_MAX;
	if (now_ms < next_ms && next_ms - now_ms <= wanted.interval_ms)
		return (uint32_t)(next_ms - now_ms);
	if (wanted.fragmentation)
		held = physical_bytes(now_ns);
	na_heap_snapshot(&snapshot);
	live = snapshot.live_bytes;
	na_timeline_add(now_ns, live, held);
	next_ms = now_ms + wanted.interval_ms;
	return wanted.interval_ms;
}

void na_tracking_before_fork(void)
{
	na_lock(&lock);
	na_timeline_before_fork();
}

void na_tracking_after_fork(bool child)
{
	na_timeline_after_fork(child);
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
}
