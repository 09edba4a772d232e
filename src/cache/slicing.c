/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merging in slices. A few private spans are taken at a time, and what is planned for their units (covering.c) is kept from slice to slice. Between two nothing is
 * claimed: blocks come and go, spans empty and are used for something else. So at the start of a slice every span of the plan is claimed anew, and
 * if one is not what it was, or frames have ended anywhere (na_merge_epoch), the plan is dropped and another one made; and before units are mapped their slots
 * are looked at once more (runs.c).
 *
 * A slice stops before a step that is not expected to end in time, by a running mean: of a call with its copying, and of a plan. But each makes one of these, or those that are
 * shorter than a step, or than the looks that come before the first one, would never come to an end. What it does not do is put units
 * onto frames of earlier plans, or frames onto each other: whole passes do.
 *
 * Under na_merging_lock. Cost: a claim and a return of SPANS spans a slice, 2 us; a plan about 30 to 60.
 */
#include <errno.h>

#include "cache/check.h"
#include "cache/pairing.h"
#include "os/os.h"

#define SPANS 16 /* 256 units of a page */

static struct {
	struct na_pack w;
	bool open;
	uint64_t epoch;
} plan;
static uint64_t plan_ns = 50 * 1000; /* running mean */

static void forget(void)
{
	if (plan.open)
		na_os.unmap(plan.w.memory, plan.w.memory_bytes);
	plan.open = false;
}

void na_merge_slice_end(void)
{
	forget();
}

/* Partial spans from the list's head on, where those are that have waited longest. Under the lock. */
static struct na_span *claim_some(struct na_pack *w, uint32_t *left, uint32_t *count)
{
	struct na_kind *kind = &w->c->kind[w->cls];
	struct na_span *span, *next, *list = NULL;
	uint32_t all;

	*count = 0;
	if (*left == UINT32_MAX)
		*left = na_cache_count(kind);
	na_cache_each (kind, span, next, all) {
		if (!*left || *count == SPANS)
			break;
		--*left;
		/* Of merged ones slots are given out and come back as they are. */
		*count += !na_span_merge(span) && na_pair_claim(w, span, &list);
	}
	return list;
}

/* The plan's spans, if they are still what they were. Under the lock. */
static bool claim_again(struct na_pack *w)
{
	struct na_span *list = NULL;
	uint32_t i = 0;

	for (; i < w->span_count; i++) {
		struct na_span *span = w->spans[i];

		if (na_span_kind(span) != NA_SPAN_SMALL || span->cls != w->cls ||
		    atomic_load_explicit(&span->cache, memory_order_relaxed) != w->c ||
		    w->c->kind[w->cls].span == span || (na_span_merge(span) && na_span_merge(span)->retired) ||
		    !na_pair_claim(w, span, &list))
			break;
	}
	if (i == w->span_count)
		return true;
	w->span_count = i; /* those go back */
	return false;
}

static int make_plan(struct na_cache *c, unsigned int cls, struct na_merge_limits *limits, uint32_t *left)
{
	uint64_t begin = na_os_now_ns(), ns;
	struct na_span *list;
	uint32_t count;
	int rc;

	if (limits->begun && begin + plan_ns > limits->deadline) {
		limits->more = true;
		return 0;
	}
	na_pair_begin(&plan.w, c, cls, limits);
	na_lock(&c->lock);
	list = claim_some(&plan.w, left, &count);
	na_unlock(&c->lock);
	if (!list)
		return 0;
	rc = plan.w.per > 1 ? na_pair_open(&plan.w, list, count) : -ENOENT;
	if (rc < 0) {
		na_pair_unclaim_list(c, list);
		return rc == -ENOENT ? 0 : rc;
	}
	plan.open = limits->begun = true;
	rc = na_runs_plan(&plan.w);
	ns = na_os_now_ns() - begin;
	ns = ns > 4 * plan_ns ? 4 * plan_ns : ns;
	plan_ns = ns > plan_ns ? (ns + plan_ns) / 2 : plan_ns - (plan_ns - ns) / 8;
	return rc;
}

static bool take_up(struct na_cache *c, unsigned int cls)
{
	bool same;

	if (!plan.open)
		return false;
	if (plan.w.c != c || plan.w.cls != cls || plan.epoch != na_merge_epoch) {
		forget();
		return false;
	}
	na_lock(&c->lock);
	same = claim_again(&plan.w);
	na_unlock(&c->lock);
	if (!same) {
		na_pair_unclaim(&plan.w);
		forget();
	}
	return same;
}

int na_merge_slice(struct na_cache *c, unsigned int cls, struct na_merge_limits *limits, uint32_t *left)
{
	int rc = 0;

	limits->more = false;
	do {
		if (!take_up(c, cls))
			rc = make_plan(c, cls, limits, left);
		if (!plan.open)
			break;
		na_pair_limit(&plan.w, limits);
		if (rc == 0)
			rc = na_runs_go(&plan.w);
		na_pair_unclaim(&plan.w);
		plan.epoch = na_merge_epoch;
		if (rc < 0 || !limits->more)
			forget();
	} while (rc == 0 && !limits->more && *left);
	if (rc < 0)
		na_merge_count(&na_merge_figures.refused, 1);
	return rc;
}
