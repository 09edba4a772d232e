/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merging while threads write: what is held is one unit, or a few that follow each other, and only those of few spans at a time. packing.c says which units go
 * together, os/hold.h keeps threads away. Pages of the file are never held: units come to a frame that is there, but no frame to another. See merge.h, and
 * doc/design/merging.md for why nobody can wait for who waits for him: between begin and end nothing here takes a lock, allocates, or writes to what is held.
 *
 * By address. The first unit of a bin becomes a frame, neighbours that are first in one run; what comes later is stored through the host's addresses. With a deadline
 * bin by bin, so that what is begun is ended.
 *
 * Cost: a unit, or a run of first ones, is begin, copy, one mapping, end.
 */
#include <errno.h>

#include "cache/pairing.h"
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

/* A page that somebody has pinned is left where it is. */
static bool only_busy(int rc)
{
	if (rc == -EBUSY)
		na_merge_count(&na_merge_figures.busy, 1);
	return rc == -EBUSY;
}

/* Contents and addresses of a private unit to a frame. What lies between begin and end takes no lock: who waits for the page may have any. */
static int switch_unit(struct na_pack *w, const struct na_frame *frame, const struct na_pack_item *item)
{
	void *at = (void *)na_pair_address(w, item);
	const void *from = at;
	int rc = na_os.hold_begin(w->limits->hold, at, w->unit_bytes, &from);

	if (rc < 0)
		return rc;
	na_pair_copy(w, na_pair_host(w, frame), item->span, item->index, from);
	rc = na_frames_switch(w->c->pool, frame->at, frame->bytes, at);
	na_os.hold_end(w->limits->hold, rc == 0);
	return rc;
}

/* One private unit onto the frame. */
static int move_private(struct na_pack *w, struct na_frame *frame, uint32_t i)
{
	int rc = na_pair_make_records(w, i, 1);

	if (rc == 0)
		rc = switch_unit(w, frame, &w->items[i]);
	if (rc < 0) {
		na_pair_unmake_records(w, 1);
		return only_busy(rc) ? 0 : rc;
	}
	na_lock(&w->c->lock);
	na_merge_join(w->c, na_pair_record(w, i, 0), w->items[i].index, frame);
	na_unlock(&w->c->lock);
	return 0;
}

static int map_run(struct na_pack *w, uint64_t *at)
{
	size_t bytes = (size_t)w->run_count * w->unit_bytes;
	void *to = (void *)na_pair_address(w, &w->items[w->run]);
	const void *from = to;
	int rc = na_frames_ready(w->c->pool, bytes);

	if (rc == 0)
		rc = na_os.hold_begin(w->limits->hold, to, bytes, &from);
	if (rc < 0)
		return rc;
	rc = na_pair_map_run(w, from, na_frames_switch, at); /* no lock: see switch_unit() */
	na_os.hold_end(w->limits->hold, rc == 0);
	return rc;
}

static int end_run(struct na_pack *w)
{
	uint64_t at = 0;
	int rc;

	if (!w->run_count)
		return 0;
	rc = na_pair_prepare_run(w);
	if (rc == 0)
		rc = map_run(w, &at);
	if (rc == 0)
		na_pair_join_run(w, at);
	else
		na_pair_give_up_run(w);
	w->run_count = 0;
	return only_busy(rc) ? 0 : rc;
}

/* The item is the first of its frame. */
static int add_to_run(struct na_pack *w, uint32_t i)
{
	int rc = 0;

	if (!na_pair_may_add(w, i))
		rc = end_run(w);
	if (rc < 0)
		return rc;
	na_pair_add_to_run(w, i);
	w->bins[w->items[i].bin].begun = true;
	return 0;
}

/* A bin whose units come to a frame that is there. */
static int merge_into(struct na_pack *w, struct na_pack_bin *bin)
{
	int rc = 0;

	if (bin->begun)
		return 0;
	bin->begun = true;
	for (uint32_t i = bin->first; i != NONE && rc == 0; i = w->items[i].next)
		if (i != bin->target)
			rc = move_private(w, w->items[bin->target].frame, i);
	return rc;
}

static int merge_item(struct na_pack *w, uint32_t i)
{
	struct na_pack_bin *bin = &w->bins[w->items[i].bin];
	int rc;

	if (w->items[bin->target].frame)
		return merge_into(w, bin);
	if (!bin->begun)
		return add_to_run(w, i);
	rc = end_run(w);
	if (rc < 0 || !bin->frame)
		return rc;
	return move_private(w, bin->frame, i);
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

/* With a deadline bin by bin, so that what is begun is ended. */
static int merge_bin(struct na_pack *w, const struct na_pack_bin *bin)
{
	int rc = 0;

	for (uint32_t i = bin->first; i != NONE && rc == 0; i = w->items[i].next) {
		rc = merge_item(w, i);
		if (rc == 0)
			rc = end_run(w);
	}
	return rc;
}

static bool too_late(struct na_pack *w)
{
	/* One at least, or a slice that finds little time would do nothing for ever. */
	if (!w->limits->deadline || !w->merged || na_os_now_ns() < w->limits->deadline)
		return false;
	w->limits->more = true;
	return true;
}

static int merge_items(struct na_pack *w)
{
	int rc = 0;

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
