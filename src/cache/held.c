/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merging while threads write: what is held is one unit, or a few that follow each other, and only those of few spans at a time. packing.c says which units go
 * together, os/hold.h keeps threads away. Pages of the file are never held: units come to a frame that is there, but no frame to another. See merge.h, and
 * doc/design/merging.md for why nobody can wait for who waits for him: between begin and end nothing here takes a lock, allocates, or writes to what is held.
 *
 * By address, neighbours together (up to 64 KiB): what is dear is begin and end, which split and join mappings. The first unit of a bin becomes a frame, and its contents
 * are written to the file; what comes later is stored through the host's addresses. With a deadline bin by bin, so that what is begun is ended; but if the budget of bytes
 * ends within one, the rest of it stays private, and comes to the frame in another slice.
 *
 * Cost: a run is begin, copy, a mapping for each of its units that does not continue the one before in the file, end.
 */
#include <errno.h>
#include <string.h>

#include "cache/pairing.h"
#include "os/hold.h"
#include "os/os.h"
#include "pool/frames.h"

#define NONE NA_PACK_NONE

static void find_items(struct na_pack *w)
{
	for (uint32_t i = 0; i < w->span_count; i++) {
		struct na_span *span = w->spans[i];
		const struct na_merge *m = na_span_merge(span);

		na_pair_purge(w, span);
		if (span == w->ours[0] || span == w->ours[1]) /* a merged one has private units, too */
			continue;
		if (w->per < 2 || (m && m->per != w->per))
			continue;
		for (uint32_t k = 0; k < w->units; k++)
			if (!m || !m->unit[k].frame)
				na_pair_add(w, span, k, NULL, false);
			else if (!w->no_frames && m->unit[k].frame->host == &m->unit[k])
				na_pair_add(w, span, k, m->unit[k].frame, false);
	}
}

static struct na_frame *frame_of(const struct na_pack *w, uint32_t i)
{
	return w->bins[w->items[w->run + i].bin].frame;
}

static char *address_of(const struct na_pack *w, uint32_t i)
{
	return (char *)na_pair_address(w, &w->items[w->run + i]);
}

/* What becomes a frame is composed in w->page, and written by one call; the rest is stored where it is to be. No lock: who waits for the pages may have any. */
static int copy_run(struct na_pack *w, const char *from)
{
	uint32_t first = 0;
	uint64_t at;
	int rc;

	for (uint32_t i = 0; i < w->run_count; i++, from += w->unit_bytes) {
		const struct na_pack_item *item = &w->items[w->run + i];
		const struct na_frame *frame = frame_of(w, i);
		char *to = w->page + (size_t)first * w->unit_bytes;

		if (!frame->mapped)
			memset(to, 0, w->unit_bytes);
		na_pair_copy(w, frame->mapped ? na_pair_host(w, frame) : to, item->span, item->index, from);
		first += !frame->mapped;
	}
	if (!first)
		return 0;
	rc = na_frames_write(w->c->pool, w->page, (size_t)first * w->unit_bytes, &at);
	for (uint32_t i = 0; i < w->run_count && rc == 0; i++)
		if (!frame_of(w, i)->mapped) {
			frame_of(w, i)->at = at;
			at += w->unit_bytes;
		}
	return rc;
}

/* Frames in the place of units: by one call what lies together in the file too. How many units have come there. No lock. */
static uint32_t switch_run(struct na_pack *w, int *rc)
{
	uint32_t n;

	for (uint32_t i = 0; i < w->run_count; i += n) {
		n = 1;
		while (i + n < w->run_count && frame_of(w, i + n)->at == frame_of(w, i + n - 1)->at + w->unit_bytes)
			n++;
		*rc = na_frames_switch(w->c->pool, frame_of(w, i)->at, (size_t)n * w->unit_bytes, address_of(w, i));
		if (*rc < 0)
			return i;
	}
	return w->run_count;
}

/* Nothing but the kernel between begin and end. How many units are on their frames. */
static uint32_t hold_run(struct na_pack *w, int *rc)
{
	size_t bytes = (size_t)w->run_count * w->unit_bytes, fresh = 0;
	void *at = address_of(w, 0);
	const void *from = at;
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->run_count; i++)
		fresh += frame_of(w, i)->mapped ? 0 : w->unit_bytes;
	*rc = fresh ? na_frames_ready(w->c->pool, fresh) : 0;
	if (*rc == 0)
		*rc = na_os.hold_begin(w->limits->hold, at, bytes, &from);
	if (*rc < 0)
		return 0;
	*rc = copy_run(w, from);
	if (*rc == 0)
		n = switch_run(w, rc);
	if (*rc == -EEXIST) { /* na_memfile_switch() */
		errno = EEXIST;
		na_hold_give_up("another mapping has come there");
	}
	na_os.hold_end(w->limits->hold, (size_t)n * w->unit_bytes);
	return n;
}

static void join_run(struct na_pack *w, uint32_t n)
{
	if (w->limits->deadline)
		na_budget_spend(w->limits->budget, (uint64_t)n * w->unit_bytes);
	na_lock(&w->c->lock);
	for (uint32_t i = 0; i < n; i++) {
		struct na_frame *frame = frame_of(w, i);

		if (!frame->mapped)
			na_merge_count(&na_merge_figures.frame_bytes, w->unit_bytes);
		na_merge_join(w->c, na_pair_record(w, w->run, i), w->items[w->run + i].index, frame);
	}
	na_unlock(&w->c->lock);
}

/* The units behind the first `n` of the run are private as they were. */
static void give_up_run(struct na_pack *w, uint32_t n)
{
	for (uint32_t i = n; i < w->run_count; i++)
		if (frame_of(w, i) && !frame_of(w, i)->mapped && frame_of(w, i)->at != NA_PAIR_NOWHERE)
			na_frames_punch(w->c->pool, frame_of(w, i)->at, w->unit_bytes);
	for (uint32_t i = 0; i < n; i++) /* of a span whose first units have come to their frames */
		w->made[i] = NULL;
	na_pair_give_up_run(w);
}

static int merge_run(struct na_pack *w)
{
	int rc = na_pair_prepare_run(w);
	uint32_t n = 0;

	if (rc == 0)
		n = hold_run(w, &rc);
	if (n)
		join_run(w, n);
	if (n < w->run_count)
		give_up_run(w, n);
	return rc;
}

static int only_busy(int rc)
{
	if (rc != -EBUSY)
		return rc;
	na_merge_count(&na_merge_figures.busy, 1);
	return 0;
}

/* A page that somebody has pinned is left where it is; those beside it come one by one. */
static int end_run(struct na_pack *w)
{
	uint32_t first = w->run, count = w->run_count;
	int rc = count ? merge_run(w) : 0;

	if (rc == -EBUSY && count > 1) {
		rc = 0;
		for (uint32_t i = 0; i < count && rc == 0; i++) {
			w->run = first + i;
			w->run_count = 1;
			rc = only_busy(merge_run(w));
		}
	}
	w->run_count = 0;
	return only_busy(rc);
}

static int add_to_run(struct na_pack *w, uint32_t i)
{
	int rc = 0;

	if (!na_pair_may_add(w, i))
		rc = end_run(w);
	if (rc == 0)
		na_pair_add_to_run(w, i);
	return rc;
}

static int merge_item(struct na_pack *w, uint32_t i)
{
	struct na_pack_bin *bin = &w->bins[w->items[i].bin];
	int rc = 0;

	if (w->items[i].frame)
		return 0;
	if (bin->begun && !bin->frame) { /* that comes with the run, or could not */
		rc = end_run(w);
		if (rc < 0 || !bin->frame)
			return rc;
	}
	bin->begun = true;
	return add_to_run(w, i);
}

/* Counted before: a unit between two private ones costs two. */
static bool has_mappings(const struct na_pack *w, const struct na_pack_bin *bin)
{
	uint64_t units = w->run_count + 1;

	if (w->items[bin->target].frame)
		for (uint32_t i = bin->first; i != NONE; i = w->items[i].next)
			units += w->items[i].frame ? w->items[i].frame->count : 1;
	return na_pair_has_mappings(w, 2 * units);
}

/* Whether the slice may move so many units more. A slice of which nothing is moved yet may always, or it would do nothing for ever. */
static bool has_budget(struct na_pack *w, uint32_t units)
{
	struct na_merge_limits *l = w->limits;

	if (!l->deadline || na_budget_has(l->budget, (uint64_t)units * w->unit_bytes))
		return true;
	l->more = l->cut = true;
	l->budget->left = 0; /* for nobody: the slice is over */
	return false;
}

/* With a deadline. A frame is not begun for one unit only. */
static int merge_bin(struct na_pack *w, const struct na_pack_bin *bin)
{
	uint32_t least = bin->frame ? 1 : 2;
	int rc = 0;

	if (!has_budget(w, least))
		return 0;
	for (uint32_t i = bin->first; i != NONE && rc == 0; i = w->items[i].next) {
		if (w->items[i].frame)
			continue;
		if (least)
			least--;
		else if (!has_budget(w, 1))
			break;
		rc = merge_item(w, i);
		if (rc == 0)
			rc = end_run(w);
	}
	return rc;
}

static bool too_late(struct na_pack *w)
{
	struct na_merge_limits *l = w->limits;

	/* One at least, or a slice that finds little time would do nothing for ever. */
	if (!l->deadline || (l->budget->left && (!w->merged || na_os_now_ns() < l->deadline)))
		return false;
	l->more = l->cut = true;
	return true;
}

static int merge_items(struct na_pack *w)
{
	int rc = 0;

	for (uint32_t i = 0; i < w->bin_count; i++)
		w->bins[i].frame = w->items[w->bins[i].target].frame;
	for (uint32_t i = 0; i < w->item_count && rc == 0 && !too_late(w); i++) {
		const struct na_pack_bin *bin = &w->bins[w->items[i].bin];

		if (bin->first == bin->last || (w->limits->deadline && bin->begun))
			continue;
		if (!has_mappings(w, bin)) {
			na_merge_count(&na_merge_figures.bound, 1);
			continue;
		}
		w->merged = true;
		rc = w->limits->deadline ? merge_bin(w, bin) : merge_item(w, i);
	}
	if (rc == 0)
		rc = end_run(w);
	if (rc < 0)
		na_merge_count(&na_merge_figures.refused, 1);
	return rc;
}

int na_held_merge(struct na_pack *w)
{
	int rc = 0;

	find_items(w);
	if (w->item_count > 1)
		rc = na_pack(w);
	return rc == 0 && w->item_count > 1 ? merge_items(w) : rc;
}
