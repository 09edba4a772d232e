/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which units share a frame, and the system calls that make it so. See merge.h.
 *
 * The spans of a class that may take part are first claimed: off their list and QUEUED, under the cache's lock. From then on nothing is allocated from
 * them, so what lives in them can only become less. packing.c says which units go together. Then, by address, each is mapped onto its frame; the first
 * of a frame has the contents of all of them written to the file before, so that neighbours that come first get neighbouring frames, and are one mapping. Going by
 * address also spares the kernel splitting a mapping in the middle. Where a frame is there already what comes is stored through the addresses of its host.
 *
 * A call that fails leaves what was done: units that are mapped are on the frame with their contents, the others are as they were, for contents are copied and
 * never moved.
 *
 * Cost: a claim 20 ns a span; a unit that is merged one system call, a frame another.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "cache/check.h"
#include "cache/pairing.h"
#include "os/os.h"
#include "pool/frames.h"
#include "pool/lost.h"

#define NONE	   NA_PACK_NONE
#define RUN_BYTES  ((size_t)256 << 10)
#define HELD_BYTES ((size_t)64 << 10) /* the same where threads wait for it meanwhile */

/* ---- claiming ---- */

static bool may_take_part(const struct na_pack *w, const struct na_span *span)
{
	if (na_span_carved(span) != span->slots || na_lost_in(span->base, span->slices * NA_SLICE))
		return false;
	return !w->limits->hold || (w->private < w->limits->spans && span->used * 8u <= span->slots * 7u &&
				    span != w->ours[0] && span != w->ours[1]);
}

bool na_pair_claim(struct na_pack *w, struct na_span *span, struct na_span **list)
{
	uint32_t flag = atomic_load_explicit(&span->flag, memory_order_relaxed);
	bool merged = na_span_merge(span) != NULL;

	/* Merged ones always, or a free would take them off the frames while these are looked at. */
	if ((!merged && !may_take_part(w, span)) || flag == NA_QUEUED)
		return false;
	/* Threads that free from outside may be about to queue it; of named pools there are none. acq_rel: as theirs in free.c. */
	if (!atomic_compare_exchange_strong_explicit(&span->flag, &flag, NA_QUEUED, memory_order_acq_rel,
						     memory_order_relaxed))
		return false;
	w->private += !merged;
	if (span->listed)
		na_cache_unlist(w->c, span);
	span->next_queued = *list;
	*list = span;
	return true;
}

/* One that a thread has just queued, for it freed into it, is claimed when it is off the queue again. If that thread does not come to it, frames are left
 * alone: units of that span may leave them meanwhile. */
static uint32_t claim_merged(struct na_pack *w, struct na_span **list)
{
	uint32_t count = 0, missed = 1;

	for (int tries = 0; tries < 4 && missed; tries++) {
		na_cache_drain(w->c);
		missed = 0;
		for (struct na_merge *m = w->c->merged; m; m = m->next) {
			if (m->span->cls != w->cls || m->claimed)
				continue;
			m->claimed = na_pair_claim(w, m->span, list);
			count += m->claimed;
			missed += !m->claimed;
		}
	}
	for (struct na_merge *m = w->c->merged; m; m = m->next)
		m->claimed = false;
	w->no_frames = missed != 0;
	return count;
}

/* The current span stays what it is, if it is not merged: then it ends being current. Under the lock. */
static struct na_span *claim_all(struct na_pack *w, uint32_t *count)
{
	struct na_cache *c = w->c;
	struct na_kind *kind = &c->kind[w->cls];
	struct na_span *span, *next, *list = NULL;
	uint32_t left;

	*count = 0;
	if (kind->span && (na_span_merge(kind->span) || na_span_carved(kind->span) == kind->span->slots)) {
		span = kind->span;
		kind->span = NULL;
		na_cache_list(c, span);
	}
	na_cache_each (kind, span, next, left)
		if (!na_span_merge(span))
			*count += na_pair_claim(w, span, &list);
	*count += claim_merged(w, &list);
	return list;
}

/* Back to where it belongs by what lives in it now; one that others free into by way of the queue, as if they just had. Under the lock. */
static void unclaim(struct na_cache *c, struct na_span *span)
{
	struct na_merge *m = na_span_merge(span);

	if (atomic_load_explicit(&c->state, memory_order_relaxed) != NA_CACHE_NAMED) {
		na_cache_queue(c, span);
		return;
	}
	atomic_store_explicit(&span->flag, NA_SILENT, memory_order_relaxed);
	if (m && m->live == 0)
		na_merge_retire(c, m);
	else if (span->used < span->slots)
		na_cache_settle(c, span);
}

void na_pair_unclaim_list(struct na_cache *c, struct na_span *list)
{
	struct na_span *next;

	na_lock(&c->lock);
	for (; list; list = next) {
		next = list->next_queued;
		unclaim(c, list);
	}
	na_cache_drain(c);
	na_cache_enforce(c, "unclaim");
	na_unlock(&c->lock);
}

void na_pair_unclaim(struct na_pack *w)
{
	na_lock(&w->c->lock);
	for (uint32_t i = 0; i < w->span_count; i++)
		unclaim(w->c, w->spans[i]);
	na_cache_drain(w->c);
	na_cache_enforce(w->c, "unclaim");
	na_unlock(&w->c->lock);
}

/* ---- scratch memory ---- */

static size_t round64(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

/* By address: what is sorted is nearly so, for spans are cut from the low end. (qsort of the C library allocates.) */
static void sort_spans(struct na_pack *w)
{
	for (uint32_t gap = w->span_count / 2; gap; gap /= 2)
		for (uint32_t i = gap; i < w->span_count; i++) {
			struct na_span *s = w->spans[i];
			uint32_t k = i;

			for (; k >= gap && w->spans[k - gap]->base > s->base; k -= gap)
				w->spans[k] = w->spans[k - gap];
			w->spans[k] = s;
		}
}

int na_pair_open(struct na_pack *w, struct na_span *list, uint32_t spans)
{
	size_t items = (size_t)spans * w->units, words = items * w->words * sizeof(uint64_t), at = 0;
	size_t sizes[] = { spans * sizeof(*w->spans),
			   items * sizeof(*w->items),
			   items * sizeof(*w->bins),
			   items * sizeof(*w->open),
			   words,
			   words,
			   w->run_most * (size_t)w->unit_bytes };
	void **fields[] = { (void **)&w->spans,	    (void **)&w->items, (void **)&w->bins, (void **)&w->open,
			    (void **)&w->open_bits, (void **)&w->bits,	(void **)&w->page };
	int rc;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		w->memory_bytes += round64(sizes[i]);
	w->memory_bytes = (w->memory_bytes + NA_PAGE - 1) & ~(NA_PAGE - 1);
	rc = na_os.map(NULL, w->memory_bytes, &w->memory);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); at += round64(sizes[i]), i++)
		*fields[i] = (char *)w->memory + at;
	for (; list; list = list->next_queued)
		w->spans[w->span_count++] = list;
	sort_spans(w);
	return 0;
}

/* ---- what there is ---- */

static const _Atomic uint64_t *living(const struct na_span *span)
{
	const struct na_merge *m = na_span_merge(span);

	return m ? m->own : span->taken;
}

uint32_t na_pair_unit_bits(const struct na_pack *w, const struct na_span *span, uint32_t index, uint64_t *out)
{
	uint32_t live = 0;

	for (uint32_t i = 0; i < w->words; i++) {
		uint32_t n = w->per - i * 64 < 64 ? w->per - i * 64 : 64;

		out[i] |= na_merge_bits(living(span), index * w->per + i * 64, n);
		live += na_popcount(out[i]);
	}
	return live;
}

bool na_pair_is_lost(const struct na_pack *w, const struct na_span *span, uint32_t index, const struct na_frame *frame)
{
	bool lost = na_lost_in(span->base + (uintptr_t)index * w->unit_bytes, w->unit_bytes);

	for (const struct na_unit *u = frame ? frame->units : NULL; u && !lost; u = u->next)
		lost = na_lost_in(u->of->span->base + (uintptr_t)u->index * w->unit_bytes, w->unit_bytes);
	return lost;
}

static void add_item(struct na_pack *w, struct na_span *span, uint32_t index, struct na_frame *frame)
{
	struct na_pack_item *item = &w->items[w->item_count];
	uint64_t *bits = w->bits + (size_t)w->item_count * w->words;

	if (na_pair_is_lost(w, span, index, frame))
		return;
	*item = (struct na_pack_item){ span, frame, index, 0, NONE, NONE };
	memset(bits, 0, w->words * sizeof(*bits));
	if (!frame)
		item->live = na_pair_unit_bits(w, span, index, bits);
	for (const struct na_unit *u = frame ? frame->units : NULL; u; u = u->next)
		item->live = na_pair_unit_bits(w, u->of->span, u->index, bits);
	if (item->live && item->live < w->per)
		w->item_count++;
	/* A frame on which nothing lives any more: its memory goes back, and comes again when a slot of it is given out. */
	if (frame && !item->live && !frame->empty && na_frames_punch(w->c->pool, frame->at, frame->bytes) == 0) {
		na_lock(&w->c->lock);
		na_merge_emptied(w->c, frame);
		na_unlock(&w->c->lock);
	}
}

static uint32_t live_in(struct na_pack *w, const struct na_span *span)
{
	uint32_t live;

	na_lock(&w->c->lock);
	live = span->used - na_merge_shadows(span);
	na_unlock(&w->c->lock);
	return live;
}

/* Runs of private units in which nothing lives go back, if the span has emptied since that was last done. */
void na_pair_purge(struct na_pack *w, struct na_span *span)
{
	const struct na_merge *m = na_span_merge(span);
	uint32_t live = live_in(w, span), bytes = na_merge_unit_pages(w->cls) * (uint32_t)NA_PAGE,
		 per = bytes / span->size, units = (uint32_t)(span->slices * NA_SLICE / bytes);

	/* Where threads go on it is not worth it for each block. */
	if (live + (w->limits->hold ? span->slots / 8u : 0) >= span->left_at)
		return;
	span->left_at = (uint16_t)live;
	for (uint32_t i = 0, end; i < units; i = end + 1) {
		for (end = i; end < units; end++) {
			uint64_t any = 0;

			for (uint32_t k = 0; k < per; k += 64)
				any |= na_merge_bits(living(span), end * per + k, per - k < 64 ? per - k : 64);
			if (any || (m && end * per / m->per < m->units && m->unit[end * per / m->per].frame))
				break;
		}
		if (end > i && na_os.purge((void *)(span->base + (uintptr_t)i * bytes), (size_t)(end - i) * bytes) == 0)
			na_merge_count(&na_merge_figures.purged, (int64_t)(end - i) * bytes);
	}
}

static void find_items(struct na_pack *w)
{
	for (uint32_t i = 0; i < w->span_count; i++) {
		struct na_span *span = w->spans[i];
		const struct na_merge *m = na_span_merge(span);

		na_pair_purge(w, span);
		if (w->limits->hold &&
		    (span == w->ours[0] || span == w->ours[1])) /* a merged one has private units, too */
			continue;
		if (w->per < 2 || (m && m->per != w->per))
			continue;
		for (uint32_t k = 0; k < w->units; k++)
			if (!m || !m->unit[k].frame)
				add_item(w, span, k, NULL);
			else if (!w->no_frames && m->unit[k].frame->host == &m->unit[k])
				add_item(w, span, k, m->unit[k].frame);
	}
}

/* ---- merging ---- */

static char *unit_at(const struct na_pack *w, const struct na_span *span, uint32_t index)
{
	return (char *)span->base + (size_t)index * w->unit_bytes;
}

/* Live slots of a unit, whose contents are at `from`, to where they lie in a frame. */
void na_pair_copy(const struct na_pack *w, char *to, const struct na_span *span, uint32_t index, const char *from)
{
	for (uint32_t i = 0; i < w->per; i += 64) {
		uint32_t n = w->per - i < 64 ? w->per - i : 64;
		uint64_t bits = na_merge_bits(living(span), index * w->per + i, n);

		for (; bits; bits &= bits - 1) {
			size_t at = (size_t)(i + (uint32_t)__builtin_ctzll(bits)) * span->size;

			memcpy(to + at, from + at, span->size);
		}
	}
}

char *na_pair_host(const struct na_pack *w, const struct na_frame *frame)
{
	return unit_at(w, frame->host->of->span, frame->host->index);
}

/* Contents and addresses of a private unit to a frame. What lies between begin and end takes no lock: who waits for the page may have any. */
static int switch_held(struct na_pack *w, const struct na_frame *frame, struct na_span *span, uint32_t index)
{
	char *at = unit_at(w, span, index);
	const void *from = at;
	int rc = na_os.hold_begin(w->limits->hold, at, w->unit_bytes, &from);

	if (rc < 0)
		return rc;
	na_pair_copy(w, na_pair_host(w, frame), span, index, from);
	rc = na_frames_switch(w->c->pool, frame->at, frame->bytes, at);
	na_os.hold_end(w->limits->hold, rc == 0);
	return rc;
}

static int switch_unit(struct na_pack *w, const struct na_frame *frame, struct na_span *span, uint32_t index)
{
	if (w->limits->hold)
		return switch_held(w, frame, span, index);
	na_pair_copy(w, na_pair_host(w, frame), span, index, unit_at(w, span, index));
	return na_frames_map(w->c->pool, frame->at, frame->bytes, unit_at(w, span, index));
}

/* A page that somebody has pinned is left where it is. */
static bool only_busy(const struct na_pack *w, int rc)
{
	if (rc != -EBUSY || !w->limits->hold)
		return false;
	na_merge_count(&na_merge_figures.busy, 1);
	return true;
}

/* One private unit onto the frame. */
static int move_private(struct na_pack *w, struct na_frame *frame, struct na_span *span, uint32_t index)
{
	struct na_merge *m = na_span_merge(span), *made = NULL;
	int rc;

	if (!m)
		m = made = na_merge_make(w->c, span, w->limits->grain);
	if (!m)
		return -ENOMEM;
	rc = switch_unit(w, frame, span, index);
	if (rc < 0) {
		na_merge_unmake(w->c, made);
		return only_busy(w, rc) ? 0 : rc;
	}
	na_lock(&w->c->lock);
	na_merge_join(w->c, m, index, frame);
	na_unlock(&w->c->lock);
	return 0;
}

/* Every unit of a frame onto another one. */
static int move_frame(struct na_pack *w, struct na_frame *to, struct na_frame *from)
{
	while (from->units) {
		struct na_unit *u = from->units;
		bool ended;
		int rc = na_frames_map(w->c->pool, to->at, to->bytes,
				       (char *)u->of->span->base + (size_t)u->index * w->unit_bytes);

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
		na_pair_copy(w, na_pair_host(w, to), u->of->span, u->index, unit_at(w, u->of->span, u->index));
}

int na_pair_join(struct na_pack *w, struct na_frame *to, struct na_frame *from)
{
	store_frame(w, to, from);
	return move_frame(w, to, from);
}

/* ---- the first units of frames, those that follow each other at once ---- */

uintptr_t na_pair_address(const struct na_pack *w, const struct na_pack_item *item)
{
	return item->span->base + (uintptr_t)item->index * w->unit_bytes;
}

/* Records and frames for a run; what was made before a failure is in w->made and the bins. */
static int prepare_run(struct na_pack *w)
{
	for (uint32_t i = 0; i < w->run_count; i++) {
		struct na_pack_item *item = &w->items[w->run + i];
		struct na_frame *frame = na_arena_take(&w->c->pool->arena, sizeof(*frame), NULL);

		if (!frame)
			return -ENOMEM;
		memset(frame, 0, sizeof(*frame));
		frame->bytes = w->unit_bytes;
		w->bins[item->bin].frame = frame;
		if (na_span_merge(item->span) || (i && item[-1].span == item->span))
			continue;
		w->made[i] = na_merge_make(w->c, item->span, w->limits->grain);
		if (!w->made[i])
			return -ENOMEM;
	}
	return 0;
}

static void give_up_run(struct na_pack *w)
{
	for (uint32_t i = 0; i < w->run_count; i++) {
		struct na_pack_bin *bin = &w->bins[w->items[w->run + i].bin];

		if (bin->frame)
			na_arena_give(&w->c->pool->arena, bin->frame, sizeof(*bin->frame));
		bin->frame = NULL;
		na_merge_unmake(w->c, w->made[i]);
	}
}

/* The run's contents into the file, and the file in their place. */
static int write_run(struct na_pack *w, char *to, const char *from, size_t bytes, uint64_t *at)
{
	int rc;

	memset(w->page, 0, bytes);
	for (uint32_t i = 0; i < w->run_count; i++) {
		const struct na_pack_item *item = &w->items[w->run + i];
		size_t offset = (size_t)i * w->unit_bytes;

		na_pair_copy(w, w->page + offset, item->span, item->index, from + offset);
	}
	rc = na_frames_write(w->c->pool, w->page, bytes, at);
	if (rc < 0)
		return rc;
	rc = (w->limits->hold ? na_frames_switch : na_frames_map)(w->c->pool, *at, bytes, to);
	if (rc < 0)
		na_frames_punch(w->c->pool, *at, bytes);
	return rc;
}

static int map_run(struct na_pack *w, uint64_t *at)
{
	size_t bytes = (size_t)w->run_count * w->unit_bytes;
	char *to = (char *)na_pair_address(w, &w->items[w->run]);
	const void *from = to;
	int rc;

	if (!w->limits->hold)
		return write_run(w, to, from, bytes, at);
	rc = na_frames_ready(w->c->pool, bytes);
	if (rc == 0)
		rc = na_os.hold_begin(w->limits->hold, to, bytes, &from);
	if (rc < 0)
		return rc;
	rc = write_run(w, to, from, bytes, at); /* no lock: see switch_held() */
	na_os.hold_end(w->limits->hold, rc == 0);
	return rc;
}

static void join_run(struct na_pack *w, uint64_t at)
{
	struct na_merge *m = NULL;

	na_lock(&w->c->lock);
	for (uint32_t i = 0; i < w->run_count; i++) {
		const struct na_pack_item *item = &w->items[w->run + i];
		struct na_frame *frame = w->bins[item->bin].frame;

		m = w->made[i] ? w->made[i] : na_span_merge(item->span);
		frame->at = at + (uint64_t)i * w->unit_bytes;
		na_merge_join(w->c, m, item->index, frame);
		w->made[i] = NULL;
	}
	na_unlock(&w->c->lock);
	na_merge_count(&na_merge_figures.frame_bytes, (int64_t)w->run_count * w->unit_bytes);
}

static int end_run(struct na_pack *w)
{
	uint64_t at = 0;
	int rc;

	if (!w->run_count)
		return 0;
	memset(w->made, 0, sizeof(w->made));
	rc = prepare_run(w);
	if (rc == 0)
		rc = map_run(w, &at);
	if (rc == 0)
		join_run(w, at);
	else
		give_up_run(w);
	w->run_count = 0;
	return only_busy(w, rc) ? 0 : rc;
}

/* The item is the first of its frame. */
static int add_to_run(struct na_pack *w, uint32_t i)
{
	int rc = 0;

	if (w->run_count == w->run_most ||
	    (w->run_count &&
	     (i != w->run + w->run_count ||
	      na_pair_address(w, &w->items[i]) != na_pair_address(w, &w->items[i - 1]) + w->unit_bytes)))
		rc = end_run(w);
	if (rc < 0)
		return rc;
	if (!w->run_count)
		w->run = i;
	w->run_count++;
	w->bins[w->items[i].bin].begun = true;
	return 0;
}

/* ---- bin by bin, and by address ---- */

/* A bin whose units come to a frame that is there. */
static int merge_into(struct na_pack *w, const struct na_pack_bin *bin)
{
	struct na_frame *frame = w->items[bin->target].frame;
	int rc = 0;

	for (uint32_t i = bin->first; i != NONE && rc == 0; i = w->items[i].next) {
		const struct na_pack_item *item = &w->items[i];

		if (item->frame == frame)
			continue;
		rc = item->frame ? na_pair_join(w, frame, item->frame)
				 : move_private(w, frame, item->span, item->index);
	}
	return rc;
}

static int merge_item(struct na_pack *w, uint32_t i)
{
	struct na_pack_item *item = &w->items[i];
	struct na_pack_bin *bin = &w->bins[item->bin];
	int rc;

	if (w->items[bin->target].frame) {
		if (bin->begun)
			return 0;
		bin->begun = true;
		return merge_into(w, bin);
	}
	if (!bin->begun)
		return add_to_run(w, i);
	rc = end_run(w);
	if (rc < 0 || !bin->frame)
		return rc;
	return move_private(w, bin->frame, item->span, item->index);
}

/* Counted before: a unit between two private ones costs two. */
static bool has_mappings(const struct na_pack *w, const struct na_pack_bin *bin)
{
	uint64_t units = w->run_count + 1;

	if (w->items[bin->target].frame)
		for (uint32_t i = bin->first; i != NONE; i = w->items[i].next)
			units += w->items[i].frame ? w->items[i].frame->count : 1;
	return __atomic_load_n(&na_merge_figures.edges, __ATOMIC_RELAXED) + 2 * units <= w->limits->edges;
}

/* With a deadline bin by bin, so that what is begun is ended. */
static int merge_bin(struct na_pack *w, struct na_pack_bin *bin)
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
		struct na_pack_bin *bin = &w->bins[w->items[i].bin];

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

void na_pair_begin(struct na_pack *w, struct na_cache *c, unsigned int cls, struct na_merge_limits *limits)
{
	size_t run = limits->hold ? HELD_BYTES : limits->deadline ? NA_PACK_SLICE_RUN : RUN_BYTES;

	*w = (struct na_pack){ .c = c, .cls = cls, .limits = limits };
	w->unit_bytes = na_merge_unit_pages(cls) * (uint32_t)NA_PAGE * limits->grain;
	w->per = (uint32_t)(w->unit_bytes / na_class_size(cls));
	w->words = (w->per + 63) / 64;
	w->units = (uint32_t)(na_class_slices(cls) * NA_SLICE / w->unit_bytes);
	w->run_most = run / w->unit_bytes < NA_PACK_RUN ? (uint32_t)(run / w->unit_bytes) : NA_PACK_RUN;
	w->run_most = w->run_most ? w->run_most : 1;
}

/* While threads write: what is held is a unit, or a few neighbours, and only those of few spans at a time. */
static int merge_held(struct na_pack *w)
{
	int rc = 0;

	find_items(w);
	if (w->item_count > 1)
		rc = na_pack(w);
	return rc == 0 && w->item_count > 1 ? merge_items(w) : rc;
}

/* PTHREAD_STACK_MIN. Larger blocks may be threads' stacks, in which the C library keeps what the kernel writes and wakes at the thread's end: by the page,
 * if who joins it sleeps on a futex that is not private, and not at all while the page is away. */
#define LARGEST_HELD 16384

int na_merge_class(struct na_cache *c, unsigned int cls, struct na_merge_limits *limits)
{
	struct na_span *list;
	struct na_pack w;
	uint32_t count;
	int rc;

	if (limits->hold && na_class_size(cls) > LARGEST_HELD)
		return 0;
	na_pair_begin(&w, c, cls, limits);
	if (limits->hold) {
		w.ours[0] = na_span_of(__builtin_frame_address(0));
		w.ours[1] = na_span_of(&errno);
	}
	na_lock(&c->lock);
	list = claim_all(&w, &count);
	na_unlock(&c->lock);
	limits->more = limits->hold && w.private == limits->spans;
	if (!list)
		return 0;
	rc = na_pair_open(&w, list, count);
	if (rc < 0) {
		na_pair_unclaim_list(c, list);
		return rc;
	}
	rc = limits->hold ? merge_held(&w) : na_runs_merge(&w);
	na_pair_unclaim(&w);
	na_os.unmap(w.memory, w.memory_bytes);
	return rc;
}

/* Of a class; under the lock. */
static uint64_t winnable(const struct na_kind *kind, unsigned int cls, uint64_t *units)
{
	uint32_t bytes = na_merge_unit_pages(cls) * (uint32_t)NA_PAGE;
	uint64_t held = 0, live = 0, n = 0;
	const struct na_span *span = kind->partial;

	for (; span; span = span->next == kind->partial ? NULL : span->next) {
		if (na_span_merge(span) || na_span_carved(span) != span->slots)
			continue;
		n += span->slices * NA_SLICE / bytes;
		held += span->slices * NA_SLICE;
		live += (uint64_t)span->used * span->size;
	}
	if (units)
		*units += bytes / na_class_size(cls) > 1 ? n : 0;
	live = (live + NA_PAGE - 1) & ~(uint64_t)(NA_PAGE - 1);
	return held > live ? held - live : 0;
}

uint64_t na_merge_winnable_of(struct na_cache *c, unsigned int cls)
{
	uint64_t bytes;

	na_lock(&c->lock);
	bytes = winnable(&c->kind[cls], cls, NULL);
	na_unlock(&c->lock);
	return bytes;
}

/* The lock once, and again after each class that has partial spans, so that nobody waits for more than one walk. */
uint64_t na_merge_winnable(struct na_cache *c, uint64_t *units)
{
	uint64_t sum = 0;

	na_lock(&c->lock);
	for (unsigned int cls = 0; cls < NA_CLASSES; cls++) {
		if (!c->kind[cls].partial)
			continue;
		sum += winnable(&c->kind[cls], cls, units);
		na_unlock(&c->lock);
		na_lock(&c->lock);
	}
	na_unlock(&c->lock);
	return sum;
}
