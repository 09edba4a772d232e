/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/window.h"

#include "base/options.h"
#include "heap/heap.h"
#include "os/limit.h"
#include "os/os.h"
#include "recovery/defragment.h"
#include "report/paused.h"

#define PRESSURE_MS   20 /* between two looks at the files that tell */
#define TOKENS_A_NODE 4	 /* copying threads that about saturate a NUMA node's memory */

void na_window_settings(struct na_window_settings *out)
{
	*out = (struct na_window_settings){ .on = na_options.coordination,
					    .trace = na_options.pause_trace,
					    .share = na_options.coordination_share,
					    .window_ns = na_options.coordination_window * 1000,
					    .tokens = na_options.coordination_tokens };
	na_pools_boot();
	out->usual_tokens = (uint64_t)TOKENS_A_NODE * (na_pool_count ? na_pool_count : 1);
}

static uint64_t pressure_now(void)
{
	struct na_limits_memory m;

	na_limits_memory(&m);
	if (m.room == NA_LIMIT_NONE || m.ceiling == NA_LIMIT_NONE || m.ceiling < 1000)
		return 0;
	return m.room < m.ceiling ? 1000 - m.room / (m.ceiling / 1000) : 0;
}

void na_window_offer(uint64_t near_from, uint64_t *gain, uint64_t *pressure)
{
	static _Atomic uint64_t again_ns, last; /* relaxed: two that look at the same time find the same */
	uint64_t now = na_os_now_ns();

	if (now >= atomic_load_explicit(&again_ns, memory_order_relaxed)) {
		atomic_store_explicit(&last, pressure_now(), memory_order_relaxed);
		atomic_store_explicit(&again_ns, now + (uint64_t)PRESSURE_MS * 1000000, memory_order_relaxed);
	}
	*pressure = atomic_load_explicit(&last, memory_order_relaxed);
	*gain = na_os_inside ? 0 : na_defrag_due(*pressure >= near_from);
}

void na_window_run(const struct na_window_work *work, struct na_window_done *done)
{
	struct na_defrag_window w = { .deadline = na_os_now_ns() + work->ns,
				      .slice = work->slice_ns,
				      .near = work->near,
				      .quiescent = work->quiescent,
				      .over = work->over,
				      .closure = work->closure };

	na_defrag_window(&w);
	*done = (struct na_window_done){ .ns = w.ns, .bytes = w.won, .more = w.more };
	if (w.ns)
		na_paused(work->kind, w.ns, w.won);
}
