/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merging where nobody writes: units that follow each other, and come to frames that do, are mapped by one call and are one mapping. covering.c says what goes
 * where; pairing.c claims spans, and has what merging while threads write (held.c) does as well. See merge.h.
 *
 * Blocks that become frames come first: their contents are written to the file as they are, and it is mapped in their place. Then, by address, so that the kernel need not
 * split a mapping in the middle, runs of units are stored through the addresses of their frames' hosts, and mapped. Between planning and this blocks may have come and gone
 * (slicing.c): what no longer fits is left.
 *
 * A call that fails leaves what was done: contents are copied and never moved.
 *
 * Cost: a run one system call, and its copying; a frame's block another two.
 */
#include <errno.h>
#include <string.h>

#include "cache/pairing.h"
#include "os/os.h"
#include "pool/frames.h"

#define NONE NA_PACK_NONE

/* A frame as an item. */
static void add_frame(struct na_pack *w, struct na_span *span, uint32_t index, struct na_frame *frame)
{
	na_pair_add(w, span, index, frame, false);
}

/* A frame as what units may come to. */
static void add_bin(struct na_pack *w, struct na_span *span, uint32_t index, struct na_frame *frame)
{
	if (!na_pair_is_lost(w, span, index, frame))
		w->bins[w->bin_count++] = (struct na_pack_bin){ .first = NONE, .frame = frame };
}

/* By their place in the file: nearly so when spans are by address. */
static void sort_bins(struct na_pack *w)
{
	for (uint32_t gap = w->bin_count / 2; gap; gap /= 2)
		for (uint32_t i = gap; i < w->bin_count; i++) {
			struct na_pack_bin bin = w->bins[i];
			uint32_t k = i;

			for (; k >= gap && w->bins[k - gap].frame->at > bin.frame->at; k -= gap)
				w->bins[k] = w->bins[k - gap];
			w->bins[k] = bin;
		}
	for (uint32_t i = 0; i < w->bin_count; i++) {
		const struct na_frame *frame = w->bins[i].frame;

		w->bins[i].apart = !i || w->bins[i - 1].frame->at + frame->bytes != frame->at;
		na_pair_frame_bits(w, frame, w->open_bits + (size_t)i * w->words);
	}
}

static void each_frame(struct na_pack *w, void (*work)(struct na_pack *, struct na_span *, uint32_t, struct na_frame *))
{
	w->item_count = w->bin_count = w->open_count = 0;
	for (uint32_t i = 0; i < w->span_count; i++) {
		const struct na_merge *m = na_span_merge(w->spans[i]);

		for (uint32_t k = 0; m && m->per == w->per && k < w->units; k++)
			if (m->unit[k].frame && m->unit[k].frame->host == &m->unit[k])
				work(w, w->spans[i], k, m->unit[k].frame);
	}
}

static void find_private(struct na_pack *w)
{
	for (uint32_t i = 0; i < w->span_count; i++) {
		const struct na_merge *m = na_span_merge(w->spans[i]);

		for (uint32_t k = 0; (!m || m->per == w->per) && k < w->units; k++)
			if (!m || !m->unit[k].frame)
				na_pair_add(w, w->spans[i], k, NULL, true); /* also one in which nothing lives */
	}
}

/* ---- slices ---- */

static uint64_t step_ns = 30 * 1000; /* running mean of a call with what goes with it, before one was measured */

/* Whether another step is expected to fit, of so many units. */
static bool is_time(struct na_pack *w, uint32_t units)
{
	struct na_merge_limits *l = w->limits;

	if (!l->deadline)
		return true;
	l->more = !na_budget_has(l->budget, (uint64_t)units * w->unit_bytes) ||
		  (l->begun && na_os_now_ns() + step_ns > l->deadline);
	if (l->more && l->budget->left)
		step_ns -= step_ns / 64; /* or one that fits into no slice would be the last */
	return !l->more;
}

static uint64_t begin_step(const struct na_pack *w)
{
	return w->limits->deadline ? na_os_now_ns() : 0;
}

static void end_step(const struct na_pack *w, uint64_t begin, uint32_t units)
{
	struct na_merge_limits *l = w->limits;
	uint64_t ns;

	if (!l->deadline)
		return;
	l->begun = true;
	na_budget_spend(l->budget, (uint64_t)units * w->unit_bytes);
	ns = na_os_now_ns() - begin;
	if (ns > 4 * step_ns) /* a thread that lost the processor says nothing of the next */
		ns = 4 * step_ns;
	step_ns = ns > step_ns ? (ns + step_ns) / 2 : step_ns - (step_ns - ns) / 8;
}

/* ---- the first units of frames, those that follow each other at once ---- */

static void join_run(struct na_pack *w, uint64_t at)
{
	na_pair_join_run(w, at);
	for (uint32_t i = 0; i < w->run_count; i++) {
		uint32_t bin = w->items[w->run + i].bin;
		uint64_t any = 0, *bits = w->open_bits + (size_t)bin * w->words;

		for (uint32_t k = 0; k < w->words; k++)
			any |= bits[k];
		/* It is there for what lies beside it, and nothing will come to it. (A slot may have been given out since that was planned.) */
		if (!any && !na_pair_frame_bits(w, w->bins[bin].frame, bits))
			na_pair_empty_frame(w, w->bins[bin].frame);
	}
}

static int end_run(struct na_pack *w)
{
	uint64_t at = 0, begin = begin_step(w);
	int rc;

	if (!w->run_count)
		return 0;
	rc = na_pair_prepare_run(w);
	if (rc == 0)
		rc = na_pair_map_run(w, (const char *)na_pair_address(w, &w->items[w->run]), &at);
	if (rc == 0) {
		na_os.populate((void *)na_pair_address(w, &w->items[w->run]), (size_t)w->run_count * w->unit_bytes);
		join_run(w, at); /* behind it: some are emptied */
	} else {
		na_pair_give_up_run(w);
	}
	end_step(w, begin, w->run_count);
	w->run_count = 0;
	return rc;
}

/* The item is the first of its frame. */
static int add_to_run(struct na_pack *w, uint32_t i)
{
	int rc = 0;

	if (!na_pair_may_add(w, i))
		rc = end_run(w);
	if (rc == 0)
		na_pair_add_to_run(w, i);
	return rc;
}

/* ---- units that follow each other onto frames that do ---- */

/* Items that go onto frames one after the other, from `i` on. */
static uint32_t run_from(const struct na_pack *w, uint32_t i)
{
	const struct na_frame *before = w->bins[w->items[i].bin].frame;
	uint32_t n = 1;

	for (; n < w->run_most && i + n < w->item_count && na_pair_continues(w, i + n); n++) {
		uint32_t bin = w->items[i + n].bin;
		const struct na_frame *frame = bin != NONE && w->bins[bin].first != i + n ? w->bins[bin].frame : NULL;

		if (!frame || before->at + before->bytes != frame->at)
			break;
		before = frame;
	}
	return n;
}

/* How many of the items fit as things are now: between slices blocks come and go. */
static uint32_t still_fit(struct na_pack *w, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct na_pack_item *item = &w->items[first + i];
		const struct na_frame *frame = w->bins[item->bin].frame;
		uint64_t *bits = w->bits + (size_t)(first + i) * w->words,
			 *there = w->open_bits + (size_t)item->bin * w->words, both = 0;
		const struct na_merge *m = na_span_merge(item->span);

		if (!frame->host || (m && m->unit[item->index].frame))
			return i;
		memset(bits, 0, w->words * sizeof(*bits));
		item->live = na_pair_unit_bits(w, item->span, item->index, bits);
		na_pair_frame_bits(w, frame, there);
		for (uint32_t k = 0; k < w->words; k++)
			both |= bits[k] & there[k];
		if (both)
			return i;
	}
	return count;
}

static void store_run(struct na_pack *w, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct na_pack_item *item = &w->items[first + i];
		struct na_frame *frame = w->bins[item->bin].frame;

		if (!item->live)
			continue;
		na_pair_copy(w, na_pair_host(w, frame), item->span, item->index,
			     (const char *)na_pair_address(w, item));
		if (!frame->empty)
			continue;
		na_lock(&w->c->lock);
		na_merge_filled(w->c, frame);
		na_unlock(&w->c->lock);
	}
}

static int map_onto(struct na_pack *w, uint32_t first, uint32_t count)
{
	const struct na_frame *frame = w->bins[w->items[first].bin].frame;
	int rc = na_pair_make_records(w, first, count);

	if (rc == 0) {
		store_run(w, first, count);
		rc = na_frames_map(w->c->pool, frame->at, (size_t)count * w->unit_bytes,
				   (void *)na_pair_address(w, &w->items[first]));
	}
	if (rc < 0) {
		na_pair_unmake_records(w, count);
		return rc;
	}
	na_lock(&w->c->lock);
	for (uint32_t i = 0; i < count; i++) {
		const struct na_pack_item *item = &w->items[first + i];

		na_merge_join(w->c, na_pair_record(w, first, i), item->index, w->bins[item->bin].frame);
	}
	na_unlock(&w->c->lock);
	return 0;
}

static bool still_private(const struct na_pack *w, uint32_t i)
{
	const struct na_merge *m = na_span_merge(w->items[i].span);

	return !m || !m->unit[w->items[i].index].frame;
}

/* Blocks that become frames as they are. */
static int begin_frames(struct na_pack *w)
{
	int rc = 0;

	for (; w->next_bin < w->open_count && rc == 0; w->next_bin++) {
		uint32_t first = w->bins[w->open[w->next_bin]].first;

		if (!still_private(w, first))
			continue;
		if (w->limits->deadline &&
		    !na_pair_may_add(w, first)) { /* a step ends here, before its time is looked at */
			rc = end_run(w);
			if (rc < 0 || !is_time(w, w->run_most))
				break;
		}
		if (na_pair_has_mappings(w, 2 + 2 * (w->run_count != 0)))
			rc = add_to_run(w, first);
		else
			na_merge_count(&na_merge_figures.bound, 1);
	}
	return rc < 0 ? rc : end_run(w);
}

static int cover_units(struct na_pack *w)
{
	int rc = 0;

	for (uint32_t n; w->next_item < w->item_count && rc == 0; w->next_item += n) {
		uint32_t i = w->next_item, bin = w->items[i].bin;
		uint64_t begin = begin_step(w);

		n = 1;
		if (bin == NONE || w->bins[bin].first == i || !w->bins[bin].frame)
			continue;
		n = still_fit(w, i, run_from(w, i));
		if (!n) {
			n = 1;
			continue;
		}
		if (!is_time(w, n))
			break;
		if (na_pair_has_mappings(w, 2))
			rc = map_onto(w, i, n);
		else
			na_merge_count(&na_merge_figures.bound, n);
		end_step(w, begin, n);
	}
	return rc;
}

int na_runs_go(struct na_pack *w)
{
	int rc = begin_frames(w);

	return rc < 0 || w->limits->more ? rc : cover_units(w);
}

static int merge_private(struct na_pack *w)
{
	bool slow;
	int rc = 0;

	each_frame(w, add_bin);
	sort_bins(w);
	find_private(w);
	if (w->item_count + w->bin_count < 2 || !w->item_count)
		return 0;
	slow = na_staging_is_slow(w);
	rc = na_cover(w);
	if (rc < 0)
		return rc;
	/* Milliseconds later: whoever runs beside us does not all the time. */
	slow = slow || na_staging_is_slow(w);
	return slow && (w->plenty || na_staging == NA_STAGING_ALWAYS) ? na_staging_go(w) : na_runs_go(w);
}

/* ---- frames that become one ---- */

int na_runs_move_frame(struct na_pack *w, struct na_frame *to, struct na_frame *from)
{
	while (from->units) {
		struct na_unit *u = from->units;
		bool ended;
		int rc = na_frames_map(w->c->pool, to->at, to->bytes, na_pair_unit_at(w, u));

		if (rc < 0)
			return rc;
		na_lock(&w->c->lock);
		ended = na_merge_leave(w->c, u);
		na_merge_join(w->c, u->of, u->index, to);
		na_unlock(&w->c->lock);
		if (ended) {
			na_merge_end_frame(w->c, from);
			return 0;
		}
	}
	return 0;
}

/* Contents of a frame into another one, through its host's addresses. */
static void store_frame(struct na_pack *w, const struct na_frame *to, const struct na_frame *from)
{
	for (const struct na_unit *u = from->units; u; u = u->next)
		na_pair_copy(w, na_pair_host(w, to), u->of->span, u->index, na_pair_unit_at(w, u));
}

static int join_frames(struct na_pack *w, struct na_frame *to, struct na_frame *from)
{
	store_frame(w, to, from);
	return na_runs_move_frame(w, to, from);
}

static int merge_bin(struct na_pack *w, const struct na_pack_bin *bin)
{
	struct na_frame *frame = w->items[bin->target].frame;
	int rc = 0;

	for (uint32_t i = bin->first; i != NONE && rc == 0; i = w->items[i].next) {
		struct na_frame *from = w->items[i].frame;

		if (from == frame)
			continue;
		if (!na_pair_has_mappings(w, 2 * (uint64_t)from->count)) {
			na_merge_count(&na_merge_figures.bound, from->count);
			continue;
		}
		rc = join_frames(w, frame, from);
	}
	return rc;
}

static int merge_frames(struct na_pack *w)
{
	int rc;

	each_frame(w, add_frame);
	if (w->item_count < 2)
		return 0;
	rc = na_pack(w);
	for (uint32_t i = 0; i < w->bin_count && rc == 0; i++)
		if (w->bins[i].first != w->bins[i].last)
			rc = merge_bin(w, &w->bins[i]);
	return rc;
}

int na_runs_plan(struct na_pack *w)
{
	find_private(w);
	return w->item_count > 1 ? na_cover(w) : 0;
}

int na_runs_merge(struct na_pack *w)
{
	int rc = 0, home = 0;

	for (uint32_t i = 0; i < w->span_count; i++)
		na_pair_purge(w, w->spans[i]);
	if (w->per > 1) {
		home = na_rehome(w); /* what wins memory does not wait for it */
		rc = merge_private(w);
	}
	if (w->per > 1 && rc == 0)
		rc = merge_frames(w);
	rc = rc < 0 ? rc : home;
	if (rc < 0)
		na_merge_count(&na_merge_figures.refused, 1);
	return rc;
}
