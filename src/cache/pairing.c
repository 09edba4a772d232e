/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merging, for both ways of it: which spans take part, what lives in their units, how contents come into the file. runs.c merges where nobody writes, held.c
 * while threads do. See merge.h.
 *
 * The spans of a class that may take part are first claimed: off their list and QUEUED, under the cache's lock. From then on nothing is allocated from
 * them, so what lives in them can only become less.
 *
 * Neighbours that come first to their frames get neighbouring frames, and are one mapping. A call that fails leaves what was done: units that are mapped are on the
 * frame with their contents, the others are as they were, for contents are copied and never moved.
 *
 * Cost: a claim 20 ns a span.
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

	w->page_units = w->run_most;
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

uint32_t na_pair_frame_bits(const struct na_pack *w, const struct na_frame *frame, uint64_t *bits)
{
	uint32_t live = 0;

	memset(bits, 0, w->words * sizeof(*bits));
	for (const struct na_unit *u = frame->units; u; u = u->next)
		live = na_pair_unit_bits(w, u->of->span, u->index, bits);
	return live;
}

void na_pair_empty_frame(struct na_pack *w, struct na_frame *frame)
{
	if (frame->empty || na_frames_punch(w->c->pool, frame->at, frame->bytes) < 0)
		return;
	na_lock(&w->c->lock);
	na_merge_emptied(w->c, frame);
	na_unlock(&w->c->lock);
}

void na_pair_add(struct na_pack *w, struct na_span *span, uint32_t index, struct na_frame *frame, bool any)
{
	struct na_pack_item *item = &w->items[w->item_count];
	uint64_t *bits = w->bits + (size_t)w->item_count * w->words;

	if (na_pair_is_lost(w, span, index, frame))
		return;
	*item = (struct na_pack_item){ span, frame, index, 0, NONE, NONE };
	memset(bits, 0, w->words * sizeof(*bits));
	item->live = frame ? na_pair_frame_bits(w, frame, bits) : na_pair_unit_bits(w, span, index, bits);
	if (any || (item->live && item->live < w->per))
		w->item_count++;
	if (frame && !item->live)
		na_pair_empty_frame(w, frame);
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

/* ---- contents ---- */

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
	return na_pair_unit_at(w, frame->host);
}

/* ---- the first units of frames, those that follow each other at once ---- */

uintptr_t na_pair_address(const struct na_pack *w, const struct na_pack_item *item)
{
	return item->span->base + (uintptr_t)item->index * w->unit_bytes;
}

char *na_pair_unit_at(const struct na_pack *w, const struct na_unit *u)
{
	return (char *)u->of->span->base + (size_t)u->index * w->unit_bytes;
}

bool na_pair_continues(const struct na_pack *w, uint32_t i)
{
	return na_pair_address(w, &w->items[i]) == na_pair_address(w, &w->items[i - 1]) + w->unit_bytes;
}

bool na_pair_may_add(const struct na_pack *w, uint32_t i)
{
	return w->run_count && w->run_count < w->run_most && i == w->run + w->run_count && na_pair_continues(w, i);
}

void na_pair_add_to_run(struct na_pack *w, uint32_t i)
{
	if (!w->run_count)
		w->run = i;
	w->run_count++;
}

int na_pair_make_records(struct na_pack *w, uint32_t first, uint32_t count)
{
	memset(w->made, 0, sizeof(w->made));
	for (uint32_t i = 0; i < count; i++) {
		const struct na_pack_item *item = &w->items[first + i];

		if (na_span_merge(item->span) || (i && item[-1].span == item->span))
			continue;
		w->made[i] = na_merge_make(w->c, item->span, w->limits->grain);
		if (!w->made[i])
			return -ENOMEM;
	}
	return 0;
}

void na_pair_unmake_records(struct na_pack *w, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		na_merge_unmake(w->c, w->made[i]);
}

struct na_merge *na_pair_record(const struct na_pack *w, uint32_t first, uint32_t i)
{
	return w->made[i] ? w->made[i] : na_span_merge(w->items[first + i].span);
}

struct na_frame *na_pair_make_frame(const struct na_pack *w)
{
	struct na_frame *frame = na_arena_take(&w->c->pool->arena, sizeof(*frame), NULL);

	if (frame)
		*frame = (struct na_frame){ .at = NA_PAIR_NOWHERE, .bytes = w->unit_bytes };
	return frame;
}

int na_pair_prepare_run(struct na_pack *w)
{
	int rc = na_pair_make_records(w, w->run, w->run_count);

	for (uint32_t i = 0; i < w->run_count && rc == 0; i++) {
		struct na_pack_bin *bin = &w->bins[w->items[w->run + i].bin];

		if (!bin->frame)
			bin->frame = na_pair_make_frame(w);
		if (!bin->frame)
			return -ENOMEM;
	}
	return rc;
}

void na_pair_give_up_run(struct na_pack *w)
{
	for (uint32_t i = 0; i < w->run_count; i++) {
		struct na_pack_bin *bin = &w->bins[w->items[w->run + i].bin];

		if (!bin->frame || bin->frame->mapped)
			continue;
		na_arena_give(&w->c->pool->arena, bin->frame, sizeof(*bin->frame));
		bin->frame = NULL;
	}
	na_pair_unmake_records(w, w->run_count);
}

int na_pair_map_run(struct na_pack *w, const char *from, uint64_t *at)
{
	size_t bytes = (size_t)w->run_count * w->unit_bytes;
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
	rc = na_frames_map(w->c->pool, *at, bytes, (void *)na_pair_address(w, &w->items[w->run]));
	if (rc < 0)
		na_frames_punch(w->c->pool, *at, bytes);
	return rc;
}

void na_pair_join_run(struct na_pack *w, uint64_t at)
{
	na_lock(&w->c->lock);
	for (uint32_t i = 0; i < w->run_count; i++) {
		const struct na_pack_item *item = &w->items[w->run + i];
		struct na_frame *frame = w->bins[item->bin].frame;

		frame->at = at + (uint64_t)i * w->unit_bytes;
		na_merge_join(w->c, na_pair_record(w, w->run, i), item->index, frame);
	}
	na_unlock(&w->c->lock);
	na_merge_count(&na_merge_figures.frame_bytes, (int64_t)w->run_count * w->unit_bytes);
}

bool na_pair_has_mappings(const struct na_pack *w, uint64_t more)
{
	return __atomic_load_n(&na_merge_figures.edges, __ATOMIC_RELAXED) + more <= w->limits->edges;
}

/* ---- one class ---- */

void na_pair_limit(struct na_pack *w, struct na_merge_limits *limits)
{
	uint64_t run = limits->hold ? HELD_BYTES : limits->deadline ? NA_PACK_SLICE_RUN : RUN_BYTES;

	if (limits->deadline && run > limits->budget->most)
		run = limits->budget->most;
	w->limits = limits;
	w->run_most = run / w->unit_bytes < NA_PACK_RUN ? (uint32_t)(run / w->unit_bytes) : NA_PACK_RUN;
	w->run_most = w->run_most ? w->run_most : 1;
	if (w->page && w->run_most > w->page_units)
		w->run_most = w->page_units;
}

void na_pair_begin(struct na_pack *w, struct na_cache *c, unsigned int cls, struct na_merge_limits *limits)
{
	*w = (struct na_pack){ .c = c, .cls = cls, .limits = limits };
	w->unit_bytes = na_merge_unit_pages(cls) * (uint32_t)NA_PAGE * limits->grain;
	w->per = (uint32_t)(w->unit_bytes / na_class_size(cls));
	w->words = (w->per + 63) / 64;
	w->units = (uint32_t)(na_class_slices(cls) * NA_SLICE / w->unit_bytes);
	na_pair_limit(w, limits);
}

/* Of larger blocks free pages go back by themselves (pages.c), and merging wins no more than their ends. They may be threads' stacks, too (from
 * PTHREAD_STACK_MIN on), in which the C library keeps what the kernel writes and wakes at the thread's end: by the page, if who joins it sleeps on a futex that is
 * not private, and not at all while the page is away. */
#define LARGEST_HELD (NA_PAGE / 2)

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
	limits->cut = false;
	if (!list)
		return 0;
	rc = na_pair_open(&w, list, count);
	if (rc < 0) {
		na_pair_unclaim_list(c, list);
		return rc;
	}
	rc = limits->hold ? na_held_merge(&w) : na_runs_merge(&w);
	na_pair_unclaim(&w);
	na_os.unmap(w.memory, w.memory_bytes);
	return rc;
}

/* Of a class, and what its spans hold for it; under the lock. */
static uint64_t winnable(const struct na_kind *kind, unsigned int cls, uint64_t *units, uint64_t *held)
{
	uint32_t bytes = na_merge_unit_pages(cls) * (uint32_t)NA_PAGE;
	uint64_t live = 0, n = 0;
	const struct na_span *span = kind->partial;

	*held = 0;
	for (; span; span = span->next == kind->partial ? NULL : span->next) {
		if (na_span_merge(span) || na_span_carved(span) != span->slots)
			continue;
		n += span->slices * NA_SLICE / bytes;
		*held += span->slices * NA_SLICE;
		live += (uint64_t)span->used * span->size;
	}
	if (units)
		*units += bytes / na_class_size(cls) > 1 ? n : 0;
	live = (live + NA_PAGE - 1) & ~(uint64_t)(NA_PAGE - 1);
	return *held > live ? *held - live : 0;
}

/* The same of what is left private of a merged span: units that have come to no frame yet, but for those in which nothing lives, whose pages have gone back. */
static uint64_t winnable_apart(const struct na_merge *m, uint64_t *held)
{
	uint64_t won = 0;

	for (uint32_t i = 0; i < m->units; i++) {
		uint64_t live = 0;

		if (m->unit[i].frame)
			continue;
		for (uint32_t k = 0; k < m->per; k += 64)
			live += na_popcount(na_merge_bits(m->own, i * m->per + k, m->per - k < 64 ? m->per - k : 64));
		if (!live)
			continue;
		*held += m->bytes;
		won += m->bytes - live * m->span->size;
	}
	return won;
}

/* Pages come to the file once, and do not merge again: what is merged while it is still dense costs most and wins least, for good. */
uint64_t na_merge_winnable_held(struct na_cache *c, unsigned int cls)
{
	uint64_t bytes, held;

	if (na_class_size(cls) > LARGEST_HELD)
		return 0;
	na_lock(&c->lock);
	bytes = winnable(&c->kind[cls], cls, NULL, &held);
	for (const struct na_merge *m = c->merged; m; m = m->next)
		if (m->apart && m->span->cls == cls)
			bytes += winnable_apart(m, &held);
	na_unlock(&c->lock);
	return bytes >= held / 4 * 3 ? bytes : 0;
}

/* The lock once, and again after each class that has partial spans, so that nobody waits for more than one walk. */
uint64_t na_merge_winnable(struct na_cache *c, uint64_t *units)
{
	uint64_t sum = 0, held;

	na_lock(&c->lock);
	for (unsigned int cls = 0; cls < NA_CLASSES; cls++) {
		if (!c->kind[cls].partial)
			continue;
		sum += winnable(&c->kind[cls], cls, units, &held);
		na_unlock(&c->lock);
		na_lock(&c->lock);
	}
	na_unlock(&c->lock);
	return sum;
}
