/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merging where other threads run, though none of them writes: each call that takes pages out of the page table interrupts all processors that the process runs on, 20 us or
 * more, and a unit by itself is a call. So units come to the file first, up to 256 KiB of neighbours by one write and one mapping, each on a frame of its own; and from
 * there onto the frames that covering.c has chosen. That second mapping takes no page out of the table, for nobody has touched the file's pages at these addresses since,
 * so nobody is interrupted. (Contents are therefore read from the file, not through the addresses.) Whoever reads blocks meanwhile sees them at every moment; dropping pages by
 * one process_madvise(2) before they are mapped anew would be as fast, but a reader would find zeros.
 *
 * A call that fails leaves units on frames of their own, or private, with their contents (but see na_memfile_map() for kernels before 6.12). Where files may only be so large it is not
 * done: every unit takes room in the file, whose places are given out once.
 *
 * Cost: of a unit a write, a read, and the mapping; of up to 64 neighbours one interruption. Where no other thread runs that is a third more than without, so a pass
 * measures first what an interruption takes. Only in whole passes, and where units are placed one by one: where they go by runs, a mapping has several anyway, and by this way neighbours
 * in the plan are fewer neighbours in the file (16 slots: 25 us a page won became 35). Under na_merging_lock.
 */
#include <errno.h>
#include <string.h>

#include "cache/pairing.h"
#include "os/memfile.h"
#include "os/os.h"
#include "pool/frames.h"

#define NONE   NA_PACK_NONE
#define LEAST  64 /* units: fewer are not worth the measuring */
#define PROBES 3
#define SLOW                                                                                                           \
	8000 /* nanoseconds: to give a page back takes 2 us where nobody is interrupted, and 20 where somebody is */

enum na_staging na_staging = NA_STAGING_AUTO;

/* The shortest of some, for this thread may lose the processor. On scratch memory. */
bool na_staging_is_slow(const struct na_pack *w)
{
	uint64_t least = UINT64_MAX;

	if (na_staging != NA_STAGING_AUTO || w->limits->deadline || w->item_count < LEAST)
		return na_staging == NA_STAGING_ALWAYS;
	if (na_memfile_most() != UINT64_MAX)
		return false;
	for (int i = 0; i < PROBES; i++) {
		uint64_t begin, ns;

		*(volatile char *)w->page = 1;
		begin = na_os_now_ns();
		if (na_os.purge(w->page, NA_PAGE) < 0)
			return false;
		ns = na_os_now_ns() - begin;
		least = ns < least ? ns : least;
	}
	return least > SLOW;
}

/* ---- into the file ---- */

static bool is_first(const struct na_pack *w, uint32_t i)
{
	return w->bins[w->items[i].bin].first == i;
}

/* Where a frame of the item's own is, if it is the first of its bin or on its way to another one. */
static struct na_frame **own_frame(struct na_pack *w, uint32_t i)
{
	return is_first(w, i) ? &w->bins[w->items[i].bin].frame : &w->items[i].frame;
}

static bool takes_part(const struct na_pack *w, uint32_t i)
{
	const struct na_pack_item *item = &w->items[i];
	const struct na_merge *m = na_span_merge(item->span);

	return item->bin != NONE && (w->bins[item->bin].frame || w->bins[item->bin].used) &&
	       !(m && m->unit[item->index].frame);
}

static int make_frames(struct na_pack *w)
{
	int rc = na_pair_make_records(w, w->run, w->run_count);

	for (uint32_t i = 0; i < w->run_count && rc == 0; i++) {
		struct na_frame *frame = na_pair_make_frame(w);

		if (!frame)
			return -ENOMEM;
		*own_frame(w, w->run + i) = frame;
	}
	return rc;
}

static void give_up(struct na_pack *w)
{
	for (uint32_t i = w->run; i < w->run + w->run_count; i++) {
		struct na_frame **frame = own_frame(w, i);

		if (*frame)
			na_arena_give(&w->c->pool->arena, *frame, sizeof(**frame));
		*frame = NULL;
	}
	na_pair_unmake_records(w, w->run_count);
}

static void join(struct na_pack *w, uint64_t at)
{
	na_lock(&w->c->lock);
	for (uint32_t i = 0; i < w->run_count; i++) {
		struct na_frame *frame = *own_frame(w, w->run + i);

		frame->at = at + (uint64_t)i * w->unit_bytes;
		na_merge_join(w->c, na_pair_record(w, w->run, i), w->items[w->run + i].index, frame);
	}
	na_unlock(&w->c->lock);
	na_merge_count(&na_merge_figures.frame_bytes, (int64_t)w->run_count * w->unit_bytes);
}

static int stage_run(struct na_pack *w, uint32_t first, uint32_t count)
{
	uint64_t at = 0;
	int rc;

	if (!na_pair_has_mappings(w, 2)) {
		na_merge_count(&na_merge_figures.bound, count);
		return 0;
	}
	w->run = first;
	w->run_count = count;
	rc = make_frames(w);
	if (rc == 0)
		rc = na_pair_map_run(w, (const char *)na_pair_address(w, &w->items[first]), &at);
	if (rc == 0)
		join(w, at);
	else
		give_up(w);
	w->run_count = 0;
	return rc;
}

static int stage(struct na_pack *w)
{
	int rc = 0;

	for (uint32_t i = 0, end; i < w->item_count && rc == 0; i = end) {
		end = i + 1;
		if (!takes_part(w, i))
			continue;
		while (end < w->item_count && end - i < w->run_most && na_pair_continues(w, end) && takes_part(w, end))
			end++;
		rc = stage_run(w, i, end - i);
	}
	return rc;
}

/* ---- and from there onto frames ---- */

/* Where the item goes; NULL: nowhere. */
static struct na_frame *target(const struct na_pack *w, uint32_t i)
{
	const struct na_pack_item *item = &w->items[i];

	return item->frame && !is_first(w, i) ? w->bins[item->bin].frame : NULL;
}

/* Items that follow each other in memory and go onto frames that do. */
static uint32_t run_from(const struct na_pack *w, uint32_t i, uint32_t end)
{
	uint32_t n = 1;

	for (; i + n < end; n++) {
		const struct na_frame *before = target(w, i + n - 1), *frame = target(w, i + n);

		if (!frame || before->at + before->bytes != frame->at)
			break;
	}
	return n;
}

static void store(struct na_pack *w, uint32_t i, const char *from)
{
	struct na_frame *frame = target(w, i);

	if (!w->items[i].live)
		return;
	na_pair_copy(w, na_pair_host(w, frame), w->items[i].span, w->items[i].index, from);
	if (!frame->empty)
		return;
	na_lock(&w->c->lock);
	na_merge_filled(w->c, frame);
	na_unlock(&w->c->lock);
}

static int move_run(struct na_pack *w, uint32_t first, uint32_t count, const char *from)
{
	int rc;

	for (uint32_t i = 0; i < count; i++)
		store(w, first + i, from + (size_t)i * w->unit_bytes);
	rc = na_frames_map(w->c->pool, target(w, first)->at, (size_t)count * w->unit_bytes,
			   (void *)na_pair_address(w, &w->items[first]));
	if (rc < 0)
		return rc;
	na_lock(&w->c->lock);
	for (uint32_t i = first; i < first + count; i++) {
		struct na_merge *m = na_span_merge(w->items[i].span);
		struct na_unit *u = &m->unit[w->items[i].index];

		na_merge_leave(w->c, u); /* nobody else is on it */
		na_merge_join(w->c, m, u->index, target(w, i));
	}
	na_unlock(&w->c->lock);
	return 0;
}

static bool has_left(const struct na_pack *w, uint32_t i)
{
	const struct na_pack_item *item = &w->items[i];

	return target(w, i) && na_span_merge(item->span)->unit[item->index].frame != item->frame;
}

/* Frames that were left go back, those that follow each other by one call. */
static void end_frames(struct na_pack *w, uint32_t first, uint32_t end)
{
	for (uint32_t i = first, behind; i < end; i = behind + 1) {
		for (behind = i; behind < end && has_left(w, behind); behind++)
			;
		if (behind > i &&
		    na_frames_punch(w->c->pool, w->items[i].frame->at, (size_t)(behind - i) * w->unit_bytes) < 0)
			na_merge_count(&na_merge_figures.refused, 1);
		for (; i < behind; i++) {
			na_merge_forget_frame(w->c, w->items[i].frame);
			w->items[i].frame = NULL;
		}
	}
}

/* Items whose own frames follow each other in the file; at most a page's. */
static uint32_t staged_from(struct na_pack *w, uint32_t i)
{
	uint32_t n = 1;

	for (; n < w->run_most && i + n < w->item_count && na_pair_continues(w, i + n); n++) {
		const struct na_frame *before = *own_frame(w, i + n - 1), *frame;

		if (w->items[i + n].bin == NONE)
			break;
		frame = *own_frame(w, i + n);
		if (!frame || before->at + before->bytes != frame->at)
			break;
	}
	return n;
}

static int move_staged(struct na_pack *w, uint32_t first, uint32_t end)
{
	int rc = na_frames_read(w->c->pool, w->page, (size_t)(end - first) * w->unit_bytes, (*own_frame(w, first))->at);

	for (uint32_t i = first, n; i < end && rc == 0; i += n) {
		n = 1;
		if (!target(w, i))
			continue;
		n = run_from(w, i, end);
		if (na_pair_has_mappings(w, 2))
			rc = move_run(w, i, n, w->page + (size_t)(i - first) * w->unit_bytes);
		else
			na_merge_count(&na_merge_figures.bound, n);
	}
	end_frames(w, first, end);
	return rc;
}

/* Nobody comes to it: it is there for what lies beside it. */
static void empty_first(struct na_pack *w, uint32_t i)
{
	const struct na_pack_bin *bin = &w->bins[w->items[i].bin];
	uint64_t *bits = w->open_bits + (size_t)w->items[i].bin * w->words;

	if (bin->frame && !na_pair_frame_bits(w, bin->frame, bits))
		na_pair_empty_frame(w, bin->frame);
}

int na_staging_go(struct na_pack *w)
{
	int rc = stage(w), moved = 0; /* what has come there goes on, even if not all has */

	for (uint32_t i = 0, n; i < w->item_count && moved == 0; i += n) {
		n = 1;
		if (w->items[i].bin == NONE || !*own_frame(w, i))
			continue;
		n = staged_from(w, i);
		moved = move_staged(w, i, i + n);
	}
	for (uint32_t i = 0; i < w->item_count; i++)
		if (w->items[i].bin != NONE && is_first(w, i))
			empty_first(w, i);
	return rc < 0 ? rc : moved;
}
