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

#define NONE	  NA_PACK_NONE
#define RUN_BYTES ((size_t)256 << 10)

/* ---- claiming ---- */

static bool may_take_part(const struct na_span *span)
{
	return na_span_carved(span) == span->slots && !na_lost_in(span->base, span->slices * NA_SLICE);
}

static bool claim(struct na_cache *c, struct na_span *span, struct na_span **list)
{
	uint32_t flag = atomic_load_explicit(&span->flag, memory_order_relaxed);

	/* Merged ones always, or a free would take them off the frames while these are looked at. */
	if ((!na_span_merge(span) && !may_take_part(span)) || flag == NA_QUEUED)
		return false;
	if (span->listed)
		na_cache_unlist(c, span);
	atomic_store_explicit(&span->flag, NA_QUEUED, memory_order_relaxed);
	span->next_queued = *list;
	*list = span;
	return true;
}

/* The current span stays what it is, if it is not merged: then it ends being current. Under the lock. */
static struct na_span *claim_all(struct na_cache *c, unsigned int cls, uint32_t *count)
{
	struct na_kind *kind = &c->kind[cls];
	struct na_span *span, *next, *list = NULL;
	uint32_t left;

	*count = 0;
	if (kind->span && (na_span_merge(kind->span) || na_span_carved(kind->span) == kind->span->slots)) {
		span = kind->span;
		kind->span = NULL;
		na_cache_list(c, span);
	}
	na_cache_each (kind, span, next, left)
		*count += claim(c, span, &list);
	for (struct na_merge *m = c->merged; m; m = m->next)
		if (m->span->cls == cls)
			*count += claim(c, m->span, &list);
	return list;
}

/* Back to where it belongs by what lives in it now. Under the lock. */
static void unclaim(struct na_cache *c, struct na_span *span)
{
	struct na_merge *m = na_span_merge(span);

	atomic_store_explicit(&span->flag, NA_SILENT, memory_order_relaxed);
	if (m && m->live == 0)
		na_merge_retire(c, m);
	else if (span->used < span->slots)
		na_cache_settle(c, span);
}

static void unclaim_list(struct na_cache *c, struct na_span *list)
{
	struct na_span *next;

	na_lock(&c->lock);
	for (; list; list = next) {
		next = list->next_queued;
		unclaim(c, list);
	}
	na_cache_enforce(c, "unclaim");
	na_unlock(&c->lock);
}

static void unclaim_all(struct na_pack *w)
{
	na_lock(&w->c->lock);
	for (uint32_t i = 0; i < w->span_count; i++)
		unclaim(w->c, w->spans[i]);
	na_cache_enforce(w->c, "unclaim");
	na_unlock(&w->c->lock);
}

/* ---- scratch memory ---- */

static size_t round64(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

static int open_work(struct na_pack *w, struct na_span *list, uint32_t spans)
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
	return 0;
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

/* ---- what there is ---- */

static const _Atomic uint64_t *living(const struct na_span *span)
{
	const struct na_merge *m = na_span_merge(span);

	return m ? m->own : span->taken;
}

static uint32_t unit_bits(const struct na_pack *w, const struct na_span *span, uint32_t index, uint64_t *out)
{
	uint32_t live = 0;

	for (uint32_t i = 0; i < w->words; i++) {
		uint32_t n = w->per - i * 64 < 64 ? w->per - i * 64 : 64;

		out[i] |= na_merge_bits(living(span), index * w->per + i * 64, n);
		live += na_popcount(out[i]);
	}
	return live;
}

static bool is_lost(const struct na_pack *w, const struct na_span *span, uint32_t index, const struct na_frame *frame)
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

	if (is_lost(w, span, index, frame))
		return;
	*item = (struct na_pack_item){ span, frame, index, 0, NONE, NONE };
	memset(bits, 0, w->words * sizeof(*bits));
	if (!frame)
		item->live = unit_bits(w, span, index, bits);
	for (const struct na_unit *u = frame ? frame->units : NULL; u; u = u->next)
		item->live = unit_bits(w, u->of->span, u->index, bits);
	if (item->live && item->live < w->per)
		w->item_count++;
	/* A frame on which nothing lives any more: its memory goes back, and comes again when a slot of it is given out. */
	if (frame && !item->live && !frame->empty && na_frames_punch(w->c->pool, frame->at, frame->bytes) == 0) {
		na_lock(&w->c->lock);
		na_merge_emptied(w->c, frame);
		na_unlock(&w->c->lock);
	}
}

/* Runs of private units in which nothing lives go back, if the span has emptied since that was last done. */
static void purge_empty(struct na_pack *w, struct na_span *span)
{
	const struct na_merge *m = na_span_merge(span);
	uint32_t live = m ? m->live : span->used, bytes = na_merge_unit_pages(w->cls) * (uint32_t)NA_PAGE,
		 per = bytes / span->size, units = (uint32_t)(span->slices * NA_SLICE / bytes);

	if (live >= span->left_at)
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

		purge_empty(w, span);
		if (w->per < 2 || (m && m->per != w->per))
			continue;
		for (uint32_t k = 0; k < w->units; k++)
			if (!m || !m->unit[k].frame)
				add_item(w, span, k, NULL);
			else if (m->unit[k].frame->host == &m->unit[k])
				add_item(w, span, k, m->unit[k].frame);
	}
}

/* ---- merging ---- */

/* Live slots of a unit to where they lie in a frame. */
static void copy_slots(const struct na_pack *w, char *to, const struct na_span *span, uint32_t index)
{
	const char *from = (const char *)span->base + (size_t)index * w->unit_bytes;

	for (uint32_t i = 0; i < w->per; i += 64) {
		uint32_t n = w->per - i < 64 ? w->per - i : 64;
		uint64_t bits = na_merge_bits(living(span), index * w->per + i, n);

		for (; bits; bits &= bits - 1) {
			size_t at = (size_t)(i + (uint32_t)__builtin_ctzll(bits)) * span->size;

			memcpy(to + at, from + at, span->size);
		}
	}
}

/* One private unit onto the frame, where its contents are already. */
static int move_private(struct na_pack *w, struct na_frame *frame, struct na_span *span, uint32_t index)
{
	struct na_merge *m = na_span_merge(span), *made = NULL;
	int rc;

	if (!m)
		m = made = na_merge_make(w->c, span, w->limits->grain);
	if (!m)
		return -ENOMEM;
	rc = na_frames_map(w->c->pool, frame->at, frame->bytes, (char *)span->base + (size_t)index * w->unit_bytes);
	if (rc < 0) {
		na_merge_unmake(w->c, made);
		return rc;
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

/* Contents of an item into a frame that is there, through its host's addresses. */
static void store_item(struct na_pack *w, const struct na_frame *frame, const struct na_pack_item *item)
{
	char *to = (char *)frame->host->of->span->base + (size_t)frame->host->index * w->unit_bytes;

	if (!item->frame)
		copy_slots(w, to, item->span, item->index);
	for (const struct na_unit *u = item->frame ? item->frame->units : NULL; u; u = u->next)
		copy_slots(w, to, u->of->span, u->index);
}

/* ---- the first units of frames, those that follow each other at once ---- */

static uintptr_t address_of(const struct na_pack *w, const struct na_pack_item *item)
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

static int map_run(struct na_pack *w, uint64_t *at)
{
	size_t bytes = (size_t)w->run_count * w->unit_bytes;
	int rc;

	memset(w->page, 0, bytes);
	for (uint32_t i = 0; i < w->run_count; i++)
		copy_slots(w, w->page + (size_t)i * w->unit_bytes, w->items[w->run + i].span,
			   w->items[w->run + i].index);
	rc = na_frames_write(w->c->pool, w->page, bytes, at);
	if (rc < 0)
		return rc;
	rc = na_frames_map(w->c->pool, *at, bytes, (void *)address_of(w, &w->items[w->run]));
	if (rc < 0)
		na_frames_punch(w->c->pool, *at, bytes);
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
	return rc;
}

/* The item is the first of its frame. */
static int add_to_run(struct na_pack *w, uint32_t i)
{
	int rc = 0;

	if (w->run_count == w->run_most ||
	    (w->run_count && (i != w->run + w->run_count ||
			      address_of(w, &w->items[i]) != address_of(w, &w->items[i - 1]) + w->unit_bytes)))
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
		store_item(w, frame, item);
		rc = item->frame ? move_frame(w, frame, item->frame) : move_private(w, frame, item->span, item->index);
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
	store_item(w, bin->frame, item);
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

static int merge_items(struct na_pack *w)
{
	int rc = 0;

	for (uint32_t i = 0; i < w->item_count && rc == 0; i++) {
		const struct na_pack_bin *bin = &w->bins[w->items[i].bin];

		if (bin->first == bin->last)
			continue;
		if (!has_mappings(w, bin)) {
			na_merge_count(&na_merge_figures.bound, 1);
			continue;
		}
		rc = merge_item(w, i);
	}
	if (rc == 0)
		rc = end_run(w);
	if (rc < 0)
		na_merge_count(&na_merge_figures.refused, 1);
	return rc;
}

int na_merge_class(struct na_cache *c, unsigned int cls, const struct na_merge_limits *limits)
{
	struct na_pack w = { .c = c, .cls = cls, .limits = limits };
	struct na_span *list;
	uint32_t count;
	int rc;

	w.unit_bytes = na_merge_unit_pages(cls) * (uint32_t)NA_PAGE * limits->grain;
	w.per = (uint32_t)(w.unit_bytes / na_class_size(cls));
	w.words = (w.per + 63) / 64;
	w.units = (uint32_t)(na_class_slices(cls) * NA_SLICE / w.unit_bytes);
	w.run_most = RUN_BYTES / w.unit_bytes < NA_PACK_RUN ? (uint32_t)(RUN_BYTES / w.unit_bytes) : NA_PACK_RUN;
	w.run_most = w.run_most ? w.run_most : 1;
	na_lock(&c->lock);
	list = claim_all(c, cls, &count);
	na_unlock(&c->lock);
	if (!list)
		return 0;
	rc = open_work(&w, list, count);
	if (rc < 0) {
		unclaim_list(c, list);
		return rc;
	}
	sort_spans(&w);
	find_items(&w);
	if (w.item_count > 1)
		rc = na_pack(&w);
	if (rc == 0 && w.item_count > 1)
		rc = merge_items(&w);
	unclaim_all(&w);
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
