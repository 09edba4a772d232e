/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which units share a frame, and the system calls that make it so. See merge.h.
 *
 * The spans of a class that may take part are first claimed: off their list and QUEUED, under the cache's lock. From then on nothing is allocated from
 * them, so what lives in them can only become less. Their units are packed like goods into bins: the fullest first, each
 * into the first bin that none of its slots stand against. (Pairs that are merged in rounds, as Mesh does, copy each
 * block once a round and reach less: benchmarks/merging.) Then bin by bin, by address, so that neighbours get neighbouring frames: contents are written to
 * the file, and one address range after the other is mapped onto it. A frame that is there already is the bin's: what comes is stored through the
 * addresses of its host.
 *
 * A call that fails leaves what was done: units that are mapped are on the frame with their contents, the others are as they were, for contents are copied and
 * never moved.
 *
 * Cost: a claim 20 ns a span; packing at most PROBES looks a unit, a few ns each; a unit that is merged two system calls.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "cache/check.h"
#include "cache/merge.h"
#include "os/os.h"
#include "pool/frames.h"
#include "pool/lost.h"

#define PROBES 4096 /* bins that a unit is tried against */

struct item {
	struct na_span *span;
	struct na_frame *frame; /* all that is on it, by its host; NULL: a private unit */
	uint32_t index;		/* unit of the span */
	uint32_t live;
	uint32_t next; /* in the same bin; NONE */
	uint32_t bits; /* where they begin */
};

struct bin {
	uint32_t first, last;
	uint32_t target; /* the item that the others come to */
	uint32_t live;
};

#define NONE UINT32_MAX

struct work {
	struct na_cache *c;
	unsigned int cls;
	const struct na_merge_limits *limits;
	struct na_span **spans; /* claimed, by address */
	struct item *items;
	struct bin *bins;
	uint32_t *open; /* bins that units are still tried against, oldest first */
	uint64_t *bits;
	char *page; /* where a frame is composed */
	uint32_t span_count, item_count, bin_count, open_count;
	uint32_t per, words, unit_bytes, units; /* of a unit; of a span */
	void *memory;
	size_t memory_bytes;
};

/* ---- claiming ---- */

static bool may_take_part(const struct na_span *span)
{
	return na_span_carved(span) == span->slots && !na_lost_in(span->base, span->slices * NA_SLICE);
}

static bool claim(struct na_cache *c, struct na_span *span, struct na_span **list)
{
	uint32_t flag = atomic_load_explicit(&span->flag, memory_order_relaxed);

	if (!may_take_part(span) || flag == NA_QUEUED)
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

static void unclaim_all(struct work *w)
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

static int open_work(struct work *w, struct na_span *list, uint32_t spans)
{
	size_t items = (size_t)spans * w->units, at = 0;
	size_t sizes[] = { spans * sizeof(*w->spans), items * sizeof(*w->items),	   items * sizeof(*w->bins),
			   items * sizeof(*w->open),  items * w->words * sizeof(uint64_t), w->unit_bytes };
	void **fields[] = { (void **)&w->spans, (void **)&w->items, (void **)&w->bins,
			    (void **)&w->open,	(void **)&w->bits,  (void **)&w->page };
	int rc;

	for (size_t i = 0; i < 6; i++)
		w->memory_bytes += round64(sizes[i]);
	w->memory_bytes = (w->memory_bytes + NA_PAGE - 1) & ~(NA_PAGE - 1);
	rc = na_os.map(NULL, w->memory_bytes, &w->memory);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < 6; at += round64(sizes[i]), i++)
		*fields[i] = (char *)w->memory + at;
	for (; list; list = list->next_queued)
		w->spans[w->span_count++] = list;
	return 0;
}

/* By address: what is sorted is nearly so, for spans are cut from the low end. (qsort of the C library allocates.) */
static void sort_spans(struct work *w)
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

static uint32_t unit_bits(const struct work *w, const struct na_span *span, uint32_t index, uint64_t *out)
{
	uint32_t live = 0;

	for (uint32_t i = 0; i < w->words; i++) {
		uint32_t n = w->per - i * 64 < 64 ? w->per - i * 64 : 64;

		out[i] |= na_merge_bits(living(span), index * w->per + i * 64, n);
		live += na_popcount(out[i]);
	}
	return live;
}

static void add_item(struct work *w, struct na_span *span, uint32_t index, struct na_frame *frame)
{
	struct item *item = &w->items[w->item_count];
	uint64_t *bits = w->bits + (size_t)w->item_count * w->words;

	*item = (struct item){ span, frame, index, 0, NONE, w->item_count * w->words };
	memset(bits, 0, w->words * sizeof(*bits));
	if (!frame)
		item->live = unit_bits(w, span, index, bits);
	for (const struct na_unit *u = frame ? frame->units : NULL; u; u = u->next)
		item->live = unit_bits(w, u->of->span, u->index, bits);
	if (item->live && item->live < w->per)
		w->item_count++;
	/* A frame on which nothing lives any more: its memory goes back, and comes again when a slot of it is given out. */
	if (frame && !item->live && !frame->empty && na_frames_punch(w->c->pool, frame->at, frame->bytes) == 0) {
		frame->empty = 1;
		na_merge_count(&na_merge_figures.frame_bytes, -(int64_t)frame->bytes);
	}
}

/* Runs of private units in which nothing lives go back, if the span has emptied since that was last done. */
static void purge_empty(struct work *w, struct na_span *span)
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

static void find_items(struct work *w)
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

/* ---- packing ---- */

/* The order in which they are packed: the fullest first, and of equals by address. */
static uint32_t order_by_live(struct work *w, uint32_t *order, uint32_t *place)
{
	uint32_t at = 0;

	memset(place, 0, (w->per + 1) * sizeof(*place));
	for (uint32_t i = 0; i < w->item_count; i++)
		place[w->items[i].live]++;
	for (uint32_t live = w->per + 1; live-- > 0;) {
		uint32_t n = place[live];

		place[live] = at;
		at += n;
	}
	for (uint32_t i = 0; i < w->item_count; i++)
		order[place[w->items[i].live]++] = i;
	return at;
}

static bool fits(const struct work *w, const uint64_t *a, const uint64_t *b)
{
	for (uint32_t i = 0; i < w->words; i++)
		if (a[i] & b[i])
			return false;
	return true;
}

static uint64_t *bin_bits(const struct work *w, const struct bin *bin)
{
	return w->bits +
	       w->items[bin->first].bits; /* what lives in the bin is gathered where its first item's bits were */
}

static void put_into(struct work *w, struct bin *bin, uint32_t i)
{
	struct item *item = &w->items[i];
	const uint64_t *bits = w->bits + item->bits;

	w->items[bin->last].next = i;
	bin->last = i;
	bin->live += item->live;
	for (uint32_t k = 0; k < w->words; k++)
		bin_bits(w, bin)[k] |= bits[k];
	if (item->frame && !w->items[bin->target].frame)
		bin->target = i;
}

/* Two frames that become one cost a mapping for each of their units: it is done if the smaller has few. */
#define FEW 8
static bool worth_it(const struct work *w, const struct bin *bin, const struct item *item)
{
	const struct na_frame *there = w->items[bin->target].frame;

	return !item->frame || !there || item->frame->count <= FEW || there->count <= FEW;
}

static void pack_item(struct work *w, uint32_t i)
{
	struct item *item = &w->items[i];

	for (uint32_t k = 0, tries = 0; k < w->open_count && tries < PROBES; k++, tries++) {
		struct bin *bin = &w->bins[w->open[k]];

		if (bin->live + item->live > w->per || !fits(w, bin_bits(w, bin), w->bits + item->bits) ||
		    !worth_it(w, bin, item))
			continue;
		put_into(w, bin, i);
		if (bin->live == w->per)
			memmove(&w->open[k], &w->open[k + 1], (--w->open_count - k) * sizeof(*w->open));
		return;
	}
	/* All the older half of so many stood against it: the oldest are as full as they get. */
	if (w->open_count >= 2 * PROBES) {
		memmove(w->open, w->open + PROBES / 2, (w->open_count - PROBES / 2) * sizeof(*w->open));
		w->open_count -= PROBES / 2;
	}
	w->bins[w->bin_count] = (struct bin){ i, i, i, item->live };
	w->open[w->open_count++] = w->bin_count++;
}

static uintptr_t address_of(const struct work *w, const struct item *item)
{
	return item->span->base + (uintptr_t)item->index * w->unit_bytes;
}

/* Bins with something to merge, by the addresses of their targets. */
static void sort_bins(struct work *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->bin_count; i++)
		if (w->bins[i].first != w->bins[i].last)
			w->bins[n++] = w->bins[i];
	w->bin_count = n;
	for (uint32_t gap = n / 2; gap; gap /= 2)
		for (uint32_t i = gap; i < n; i++) {
			struct bin b = w->bins[i];
			uintptr_t at = address_of(w, &w->items[b.target]);
			uint32_t k = i;

			for (; k >= gap && address_of(w, &w->items[w->bins[k - gap].target]) > at; k -= gap)
				w->bins[k] = w->bins[k - gap];
			w->bins[k] = b;
		}
}

/* The order lies where bins will: each is read before a bin can come there, for there are no more bins than items looked at. */
static int pack(struct work *w)
{
	size_t bytes = ((size_t)w->item_count + w->per + 1) * sizeof(uint32_t);
	void *order;
	int rc;

	bytes = (bytes + NA_PAGE - 1) & ~(NA_PAGE - 1);
	rc = na_os.map(NULL, bytes, &order);
	if (rc < 0)
		return rc;
	order_by_live(w, order, (uint32_t *)order + w->item_count);
	for (uint32_t i = 0; i < w->item_count; i++)
		pack_item(w, ((uint32_t *)order)[i]);
	na_os.unmap(order, bytes);
	sort_bins(w);
	return 0;
}

/* ---- merging ---- */

/* Live slots of a unit to where they lie in a frame. */
static void copy_slots(const struct work *w, char *to, const struct na_span *span, uint32_t index)
{
	const char *from = (const char *)span->base + (size_t)index * w->unit_bytes;

	for (uint32_t i = 0; i < w->per; i += 64) {
		uint32_t n = w->per - i < 64 ? w->per - i : 64;
		uint64_t bits = na_merge_bits(living(span), index * w->per + i, n);

		for (; bits; bits &= bits - 1) {
			size_t at = (size_t)(i + (uint32_t)__builtin_ctzll(bits)) * span->size;

			memcpy(to + at, from + at, span->size);
			na_merge_count(&na_merge_figures.copied, span->size);
		}
	}
}

/* One private unit onto the frame, where its contents are already. */
static int move_private(struct work *w, struct na_frame *frame, struct na_span *span, uint32_t index)
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
	na_merge_count(&na_merge_figures.merges, 1);
	return 0;
}

/* Every unit of a frame onto another one. */
static int move_frame(struct work *w, struct na_frame *to, struct na_frame *from)
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
		na_merge_count(&na_merge_figures.merges, 1);
		if (ended) {
			na_merge_end_frame(w->c, from);
			return 0;
		}
	}
	return 0;
}

/* A frame with the contents of all items of the bin, which are private. */
static int new_frame(struct work *w, const struct bin *bin, struct na_frame **out)
{
	struct na_frame *frame = na_arena_take(&w->c->pool->arena, sizeof(*frame), NULL);
	int rc;

	if (!frame)
		return -ENOMEM;
	memset(frame, 0, sizeof(*frame));
	memset(w->page, 0, w->unit_bytes);
	for (uint32_t i = bin->first; i != NONE; i = w->items[i].next)
		copy_slots(w, w->page, w->items[i].span, w->items[i].index);
	frame->bytes = w->unit_bytes;
	rc = na_frames_write(w->c->pool, w->page, w->unit_bytes, &frame->at);
	if (rc < 0) {
		na_arena_give(&w->c->pool->arena, frame, sizeof(*frame));
		return rc;
	}
	na_merge_count(&na_merge_figures.frame_bytes, frame->bytes);
	*out = frame;
	return 0;
}

/* Contents of an item into a frame that is there, through its host's addresses. */
static void store_item(struct work *w, const struct na_frame *frame, const struct item *item)
{
	char *to = (char *)frame->host->of->span->base + (size_t)frame->host->index * w->unit_bytes;

	if (!item->frame)
		copy_slots(w, to, item->span, item->index);
	for (const struct na_unit *u = item->frame ? item->frame->units : NULL; u; u = u->next)
		copy_slots(w, to, u->of->span, u->index);
}

static int merge_bin(struct work *w, const struct bin *bin)
{
	struct na_frame *frame = w->items[bin->target].frame;
	bool fresh = !frame;
	int rc = fresh ? new_frame(w, bin, &frame) : 0;

	if (rc < 0)
		return rc;
	for (uint32_t i = bin->first; i != NONE && rc == 0; i = w->items[i].next) {
		const struct item *item = &w->items[i];

		if (item->frame == frame)
			continue;
		if (!fresh)
			store_item(w, frame, item);
		rc = item->frame ? move_frame(w, frame, item->frame) : move_private(w, frame, item->span, item->index);
	}
	if (!frame->mapped)
		na_merge_end_frame(w->c, frame);
	return rc;
}

/* Mappings are counted before: a unit between two private ones costs two. */
static bool has_mappings(const struct work *w, const struct bin *bin)
{
	uint64_t units = 0;

	for (uint32_t i = bin->first; i != NONE; i = w->items[i].next)
		units += w->items[i].frame ? w->items[i].frame->count : 1;
	return __atomic_load_n(&na_merge_figures.edges, __ATOMIC_RELAXED) + 2 * units <= w->limits->edges;
}

static uint64_t bin_ns = 20000; /* under na_merging_lock: running mean of a bin */

static int merge_bins(struct work *w, bool *more)
{
	for (uint32_t i = 0; i < w->bin_count; i++) {
		uint64_t began = na_os_now_ns(), ns;
		int rc;

		if (w->limits->deadline && began + bin_ns > w->limits->deadline) {
			*more = true;
			return 0;
		}
		if (!has_mappings(w, &w->bins[i])) {
			na_merge_count(&na_merge_figures.bound, 1);
			continue;
		}
		rc = merge_bin(w, &w->bins[i]);
		if (rc < 0) {
			na_merge_count(&na_merge_figures.refused, 1);
			return rc;
		}
		ns = na_os_now_ns() - began;
		ns = ns > 4 * bin_ns ? 4 * bin_ns : ns;
		bin_ns = ns > bin_ns ? (ns + bin_ns) / 2 : bin_ns - (bin_ns - ns) / 8;
	}
	return 0;
}

int na_merge_class(struct na_cache *c, unsigned int cls, const struct na_merge_limits *limits, bool *more)
{
	struct work w = { .c = c, .cls = cls, .limits = limits };
	struct na_span *list;
	uint32_t count;
	int rc;

	*more = false;
	w.unit_bytes = na_merge_unit_pages(cls) * (uint32_t)NA_PAGE * limits->grain;
	w.per = (uint32_t)(w.unit_bytes / na_class_size(cls));
	w.words = (w.per + 63) / 64;
	w.units = (uint32_t)(na_class_slices(cls) * NA_SLICE / w.unit_bytes);
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
		rc = pack(&w);
	if (rc == 0 && w.item_count > 1)
		rc = merge_bins(&w, more);
	unclaim_all(&w);
	na_os.unmap(w.memory, w.memory_bytes);
	return rc;
}

uint64_t na_merge_winnable(struct na_cache *c, unsigned int cls, uint64_t *units)
{
	uint32_t bytes = na_merge_unit_pages(cls) * (uint32_t)NA_PAGE, count;
	uint64_t held = 0, live = 0, n = 0;
	struct na_span *span, *next;

	na_lock(&c->lock);
	na_cache_each (&c->kind[cls], span, next, count) {
		if (na_span_merge(span) || na_span_carved(span) != span->slots)
			continue;
		n += span->slices * NA_SLICE / bytes;
		held += span->slices * NA_SLICE;
		live += (uint64_t)span->used * span->size;
	}
	na_unlock(&c->lock);
	if (units)
		*units += bytes / na_class_size(cls) > 1 ? n : 0;
	live = (live + NA_PAGE - 1) & ~(uint64_t)(NA_PAGE - 1);
	return held > live ? held - live : 0;
}
