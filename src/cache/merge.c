/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of merged spans, and how they become private again. Which units are merged, and how, is in runs.c and held.c. See merge.h. */
#include "cache/merge.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/log.h"
#include "os/os.h"
#include "pool/frames.h"

struct na_merge_figures na_merge_figures;
uint64_t na_merge_epoch;

/* ---- bits ---- */

/* Up to 64 bits of `taken` become these. Under the lock. */
static void set_taken(struct na_span *span, uint32_t from, uint32_t count, uint64_t bits)
{
	while (count) {
		uint32_t shift = from % 64, n = 64 - shift < count ? 64 - shift : count;
		uint64_t mask = (n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << shift, now = bits << shift & mask,
			 before = na_span_taken(span, from / 64) & mask;

		span->used += na_popcount(now);
		span->used -= na_popcount(before);
		na_span_take(span, from / 64, now);
		na_span_free(span, from / 64, mask & ~now);
		bits = n == 64 ? 0 : bits >> n;
		from += n;
		count -= n;
	}
}

/* Of a unit what may not be given out: for the host of a frame what lives on it, for others everything. */
void na_merge_show(struct na_unit *unit)
{
	struct na_merge *m = unit->of;
	const struct na_frame *frame = unit->frame;

	for (uint32_t i = 0; i < m->per; i += 64) {
		uint32_t n = m->per - i < 64 ? m->per - i : 64;
		uint64_t bits = frame->host == unit ? 0 : ~UINT64_C(0);

		for (const struct na_unit *u = frame->units; u && frame->host == unit; u = u->next)
			bits |= na_merge_bits(u->of->own, u->index * m->per + i, n);
		set_taken(m->span, unit->index * m->per + i, n, bits);
	}
}

/* The record of a span that lies beside this one, if it is merged, of the same class and cache, and so under the same lock; `side` is -1 or 1. */
static const struct na_merge *beside(const struct na_span *span, int side)
{
	uint32_t at = (span->base >> NA_SLICE_SHIFT) & (NA_SLICES - 1);
	const struct na_span *other = span + side * (int)span->slices;

	if ((side < 0 ? at < span->slices : at + 2 * span->slices > NA_SLICES) ||
	    na_span_kind(other) != NA_SPAN_SMALL || other->cls != span->cls ||
	    atomic_load_explicit(&other->cache, memory_order_relaxed) !=
		    atomic_load_explicit(&span->cache, memory_order_relaxed))
		return NULL;
	return na_span_merge(other);
}

static const struct na_frame *frame_before(const struct na_merge *m, uint32_t i)
{
	if (i)
		return m->unit[i - 1].frame;
	if ((size_t)m->units * m->bytes != m->span->slices * NA_SLICE) /* something private lies at the end of each */
		return NULL;
	m = beside(m->span, -1);
	return m ? m->unit[m->units - 1].frame : NULL;
}

static const struct na_frame *frame_after(const struct na_merge *m, uint32_t i)
{
	if (i < m->units)
		return m->unit[i].frame;
	if ((size_t)m->units * m->bytes != m->span->slices * NA_SLICE)
		return NULL;
	m = beside(m->span, 1);
	return m ? m->unit[0].frame : NULL;
}

/* A mapping ends where a unit is followed by one that does not continue it in the file. */
static int edge(const struct na_merge *m, uint32_t i)
{
	const struct na_frame *a = frame_before(m, i), *b = frame_after(m, i);

	return a && b ? a->at + a->bytes != b->at : a || b;
}

static void set_frame(struct na_unit *unit, struct na_frame *frame)
{
	struct na_merge *m = unit->of;
	uint32_t i = unit->index;
	int before = edge(m, i) + edge(m, i + 1);

	m->apart += (unit->frame != NULL) - (frame != NULL);
	unit->frame = frame;
	na_merge_count(&na_merge_figures.edges, edge(m, i) + edge(m, i + 1) - before);
}

/* ---- frames ---- */

/* Addresses that show the frame past the first. */
static int64_t shared(const struct na_frame *frame)
{
	return frame->empty || !frame->mapped ? 0 : (int64_t)(frame->mapped - 1) * frame->bytes;
}

/* Units more or less that map it; or it has no memory any more, or again. */
static void account(struct na_cache *c, struct na_frame *frame, int more, bool empty)
{
	int64_t before = shared(frame);

	if (empty != (frame->empty != 0))
		na_merge_count(&na_merge_figures.frame_bytes, empty ? -(int64_t)frame->bytes : frame->bytes);
	frame->mapped += (uint32_t)more;
	frame->empty = empty;
	na_merge_count(&na_merge_figures.mapped_bytes, more * (int64_t)frame->bytes);
	atomic_fetch_add_explicit(&c->pool->shared, shared(frame) - before, memory_order_relaxed);
}

void na_merge_emptied(struct na_cache *c, struct na_frame *frame)
{
	account(c, frame, 0, true);
}

void na_merge_filled(struct na_cache *c, struct na_frame *frame)
{
	account(c, frame, 0, false);
}

void na_merge_join(struct na_cache *c, struct na_merge *m, uint32_t index, struct na_frame *frame)
{
	struct na_unit *unit = &m->unit[index];

	if (!m->span->merge) {
		na_merge_begin(m);
		m->prev = NULL;
		m->next = c->merged;
		if (m->next)
			m->next->prev = m;
		c->merged = m;
		/* release: who asks about a block sees the record whole */
		atomic_store_explicit(&m->span->merge, m, memory_order_release);
		na_span_seal(m->span);
	}
	unit->next = frame->units;
	frame->units = unit;
	frame->count++;
	account(c, frame, 1, frame->empty);
	set_frame(unit, frame);
	if (!frame->host)
		frame->host = unit;
	na_merge_show(unit);
	if (frame->host != unit)
		na_merge_show(frame->host);
}

/* Out of the frame's ring; a host hands over to another unit, whose span may then have slots to give. */
static void take_out(struct na_cache *c, struct na_unit *unit)
{
	struct na_frame *frame = unit->frame;
	struct na_unit **link = &frame->units;

	while (*link != unit)
		link = &(*link)->next;
	*link = unit->next;
	frame->count--;
	if (frame->host == unit) {
		frame->host = frame->units;
		if (frame->host) {
			const struct na_span *span = frame->host->of->span;

			na_merge_show(frame->host);
			if (span->used < span->slots)
				na_cache_settle(c, frame->host->of->span);
		}
	} else if (frame->host) {
		na_merge_show(frame->host);
	}
}

bool na_merge_leave(struct na_cache *c, struct na_unit *unit)
{
	struct na_frame *frame = unit->frame;

	take_out(c, unit);
	set_frame(unit, NULL);
	account(c, frame, -1, frame->empty);
	return frame->mapped == 0;
}

void na_merge_forget_frame(struct na_cache *c, struct na_frame *frame)
{
	na_merge_epoch++;
	if (!frame->empty)
		na_merge_count(&na_merge_figures.frame_bytes, -(int64_t)frame->bytes);
	na_arena_give(&c->pool->arena, frame, sizeof(*frame));
}

void na_merge_end_frame(struct na_cache *c, struct na_frame *frame)
{
	if (!frame->empty && na_frames_punch(c->pool, frame->at, frame->bytes) < 0)
		na_merge_count(&na_merge_figures.refused, 1);
	na_merge_forget_frame(c, frame);
}

/* ---- records ---- */

static uint32_t words_of(const struct na_span *span)
{
	return (span->slots + 63u) / 64 + 1; /* and one, so that 64 bits may be read from anywhere */
}

static uint32_t gcd_with_page(uint32_t size)
{
	return size % NA_PAGE == 0 ? (uint32_t)NA_PAGE : size & -size; /* a page is a power of two */
}

uint32_t na_merge_unit_pages(unsigned int cls)
{
	uint32_t size = (uint32_t)na_class_size(cls);

	return size / gcd_with_page(size);
}

static size_t record_bytes(const struct na_span *span, uint32_t units)
{
	return ((sizeof(struct na_merge) + units * sizeof(struct na_unit) + 7) & ~(size_t)7) +
	       words_of(span) * sizeof(uint64_t);
}

struct na_merge *na_merge_make(struct na_cache *c, const struct na_span *span, uint32_t grain)
{
	uint32_t bytes = na_merge_unit_pages(span->cls) * (uint32_t)NA_PAGE * grain, per = bytes / span->size,
		 units = (uint32_t)(span->slices * NA_SLICE / bytes);
	struct na_merge *m;

	if (!units)
		return NULL;
	m = na_arena_take(&c->pool->arena, record_bytes(span, units), NULL);
	if (!m)
		return NULL;
	memset(m, 0, record_bytes(span, units));
	m->span = (struct na_span *)(uintptr_t)span;
	m->size = (uint32_t)record_bytes(span, units);
	m->per = (uint16_t)per;
	m->units = (uint16_t)units;
	m->apart = units;
	m->bytes = bytes;
	m->own =
		(_Atomic uint64_t *)(void *)((char *)m + record_bytes(span, units) - words_of(span) * sizeof(uint64_t));
	for (uint32_t i = 0; i < units; i++) {
		m->unit[i].of = m;
		m->unit[i].index = i;
	}
	return m;
}

void na_merge_unmake(struct na_cache *c, struct na_merge *m)
{
	if (m)
		na_arena_give(&c->pool->arena, m, m->size);
}

void na_merge_begin(struct na_merge *m)
{
	const struct na_span *span = m->span;

	m->live = 0;
	for (uint32_t i = 0; i < span->slots; i += 64) {
		uint32_t n = span->slots - i < 64 ? span->slots - i : 64;
		uint64_t bits = na_merge_bits(span->taken, i, n);

		atomic_store_explicit(&m->own[i / 64], bits, memory_order_relaxed);
		m->live += na_popcount(bits);
	}
}

static void unlink_merge(struct na_cache *c, struct na_merge *m)
{
	if (m->prev)
		m->prev->next = m->next;
	else
		*(m->retired ? &c->retired : &c->merged) = m->next;
	if (m->next)
		m->next->prev = m->prev;
}

static void set_aside(struct na_cache *c, struct na_merge *m)
{
	m->retired = 1;
	m->prev = NULL;
	m->next = c->retired;
	if (m->next)
		m->next->prev = m;
	c->retired = m;
}

/* Nothing lives in the span any more. It gives out nothing from now on, and waits for memory of its own. */
void na_merge_retire(struct na_cache *c, struct na_merge *m)
{
	struct na_span *span = m->span;

	if (span->listed)
		na_cache_unlist(c, span);
	if (c->kind[span->cls].span == span)
		c->kind[span->cls].span = NULL;
	/* Nobody who frees has to tell; and a frame may have two units of this span: while the one hands over to the other it must not be listed. */
	atomic_store_explicit(&span->flag, NA_WATCHED, memory_order_relaxed);
	unlink_merge(c, m);
	set_aside(c, m);
	for (uint32_t i = 0; i < m->units; i++)
		if (m->unit[i].frame)
			take_out(c, &m->unit[i]); /* it stays mapped */
	for (uint32_t i = 0; i < span->slots; i += 64)
		set_taken(span, i, span->slots - i < 64 ? span->slots - i : 64, ~UINT64_C(0));
}

/* ---- blocks come and go ---- */

void na_merge_took(struct na_cache *c, struct na_merge *m, uint32_t word, uint64_t bits)
{
	atomic_store_explicit(&m->own[word], atomic_load_explicit(&m->own[word], memory_order_relaxed) | bits,
			      memory_order_relaxed);
	m->live += na_popcount(bits);
	for (; bits; bits &= bits - 1) {
		uint32_t unit = (word * 64 + (uint32_t)__builtin_ctzll(bits)) / m->per;
		struct na_frame *frame = unit < m->units ? m->unit[unit].frame : NULL;

		if (frame && frame->empty)
			account(c, frame, 0, false);
	}
}

/* Whoever frees the last block may be about to look whether it must tell us: from WATCHED on it does not. If it has told, the span is on the
 * queue, and who drains that comes here again. */
static bool try_retire(struct na_cache *c, struct na_merge *m)
{
	uint32_t silent = NA_SILENT;

	if (!atomic_compare_exchange_strong_explicit(&m->span->flag, &silent, NA_WATCHED, memory_order_acquire,
						     memory_order_relaxed) &&
	    silent == NA_QUEUED)
		return false;
	na_merge_retire(c, m);
	return true;
}

bool na_merge_release(struct na_cache *c, const struct na_span *span)
{
	struct na_merge *m = na_span_merge(span);

	return m->retired || (m->live == 0 && try_retire(c, m));
}

/* A slot that lives nowhere, but whose bit of `own` is set, is given out by nobody, whoever becomes the frame's host. */
uint32_t na_merge_bar(const struct na_span *span, uintptr_t page, size_t bytes)
{
	const struct na_merge *m = na_span_merge(span);
	uint32_t n = 0;

	for (uint32_t slot = na_slot_of(span, (void *)page); slot < span->slots; slot++) {
		const struct na_unit *unit = slot / m->per < m->units ? &m->unit[slot / m->per] : NULL;
		struct na_span *giver = m->span;
		uint32_t at = slot;

		if (span->base + (uintptr_t)slot * span->size >= page + bytes)
			break;
		if (unit && unit->frame) {
			if (!unit->frame->host) /* its spans are retired */
				continue;
			giver = unit->frame->host->of->span;
			at = unit->frame->host->index * m->per + slot % m->per;
		}
		if (na_span_taken(giver, at / 64) >> at % 64 & 1)
			continue;
		set_taken(giver, at, 1, 1);
		if (na_span_merge(giver))
			na_merge_took(atomic_load_explicit(&giver->cache, memory_order_relaxed), na_span_merge(giver),
				      at / 64, UINT64_C(1) << at % 64);
		n++;
	}
	return n;
}

bool na_merge_put(struct na_cache *c, struct na_span *span, uint32_t slot)
{
	struct na_merge *m = na_span_merge(span);
	uint64_t bit = UINT64_C(1) << slot % 64, own = atomic_load_explicit(&m->own[slot / 64], memory_order_relaxed);
	struct na_span *giver = span;
	const struct na_frame *frame;
	uint32_t at = slot;

	if (!(own & bit)) /* freed twice: the span may be retired, and its frames have no host */
		return false;
	frame = slot / m->per < m->units ? m->unit[slot / m->per].frame : NULL;
	if (frame) {
		giver = frame->host->of->span;
		at = frame->host->index * m->per + slot % m->per;
	}
	atomic_store_explicit(&m->own[slot / 64], own & ~bit, memory_order_relaxed);
	set_taken(giver, at, 1, 0);
	if (--m->live == 0 && try_retire(c, m) && giver == span)
		return true;
	na_cache_settle(c, giver);
	return true;
}

/* ---- private again ---- */

/* Frames that a span maps no more; those that nobody maps come as a list. Under the lock. */
static struct na_frame *let_go(struct na_cache *c, struct na_merge *m)
{
	struct na_frame *ended = NULL;

	for (uint32_t i = 0; i < m->units; i++) {
		struct na_frame *frame = m->unit[i].frame;

		if (!frame)
			continue;
		if (!m->retired)
			take_out(c, &m->unit[i]);
		set_frame(&m->unit[i], NULL);
		account(c, frame, -1, frame->empty);
		if (frame->mapped)
			continue;
		frame->next_ended = ended;
		ended = frame;
	}
	return ended;
}

static void end_frames(struct na_cache *c, struct na_frame *ended, bool ours)
{
	na_merge_epoch++;
	while (ended) {
		struct na_frame *next = ended->next_ended;

		if (!ours) { /* the parent's memory */
			if (!ended->empty)
				na_merge_count(&na_merge_figures.frame_bytes, -(int64_t)ended->bytes);
			na_arena_give(&c->pool->arena, ended, sizeof(*ended));
		} else {
			na_merge_end_frame(c, ended);
		}
		ended = next;
	}
}

static size_t extent(const struct na_span *span)
{
	return span->slices * NA_SLICE;
}

int na_merge_restore(struct na_cache *c)
{
	for (;;) {
		struct na_frame *ended;
		struct na_span *span;
		struct na_merge *m;
		int rc;

		na_lock(&c->lock);
		m = c->retired;
		if (m)
			unlink_merge(c, m);
		na_unlock(&c->lock);
		if (!m)
			return 0;
		span = m->span;
		rc = na_frames_unmap(c->pool, (void *)span->base, extent(span));
		na_lock(&c->lock);
		if (rc < 0) {
			set_aside(c, m);
			na_unlock(&c->lock);
			na_merge_count(&na_merge_figures.refused, 1);
			return rc;
		}
		ended = let_go(c, m);
		atomic_store_explicit(&span->merge, NULL, memory_order_relaxed);
		na_span_seal(span);
		atomic_store_explicit(&span->flag, NA_WATCHED, memory_order_relaxed);
		na_unlock(&c->lock);
		na_merge_unmake(c, m);
		na_pool_give_span(c->pool, span);
		na_merge_count(&na_merge_figures.restored, 1);
		end_frames(c, ended, true);
	}
}

/* Its record is gone, and its memory its own: what is taken is what lives again. Under the lock. */
static void as_before(struct na_cache *c, struct na_merge *m)
{
	struct na_span *span = m->span;

	for (uint32_t i = 0; i < span->slots; i += 64) {
		uint32_t n = span->slots - i < 64 ? span->slots - i : 64;

		set_taken(span, i, n, na_merge_bits(m->own, i, n));
	}
	atomic_store_explicit(&span->merge, NULL, memory_order_release);
	na_span_seal(span);
	/* One that is QUEUED has blocks to collect. */
	if (!span->listed && c->kind[span->cls].span != span &&
	    atomic_load_explicit(&span->flag, memory_order_relaxed) != NA_QUEUED)
		atomic_store_explicit(&span->flag, NA_SILENT, memory_order_relaxed);
	na_cache_settle(c, span);
}

/* One span with its contents into private memory; `scratch` has room for it. */
static int part_span(struct na_cache *c, struct na_merge *m, char *scratch)
{
	struct na_span *span = m->span;
	struct na_frame *ended;
	int rc;

	for (uint32_t slot = 0; slot < span->slots; slot++)
		if (na_merge_bits(m->own, slot, 1))
			memcpy(scratch + (size_t)slot * span->size, (char *)span->base + (size_t)slot * span->size,
			       span->size);
	rc = na_frames_unmap(c->pool, (void *)span->base, extent(span));
	if (rc < 0)
		return rc;
	for (uint32_t slot = 0; slot < span->slots; slot++)
		if (na_merge_bits(m->own, slot, 1))
			memcpy((char *)span->base + (size_t)slot * span->size, scratch + (size_t)slot * span->size,
			       span->size);
	na_lock(&c->lock);
	unlink_merge(c, m);
	ended = let_go(c, m);
	as_before(c, m);
	na_unlock(&c->lock);
	na_merge_unmake(c, m);
	na_merge_count(&na_merge_figures.restored, 1);
	end_frames(c, ended, false);
	return 0;
}

/* A span that is retired has no contents: for a child of fork it must not stay shared all the same, lest a write after free reach the parent. */
int na_merge_part(struct na_cache *c)
{
	const size_t most = 4 * NA_SLICE;
	void *scratch;
	int rc = 0;

	if (!c->merged && !c->retired)
		return 0;
	rc = na_os.map(NULL, most, &scratch);
	if (rc < 0)
		return rc;
	while (rc == 0 && (c->merged || c->retired))
		rc = part_span(c, c->merged ? c->merged : c->retired, scratch);
	na_os.unmap(scratch, most);
	return rc;
}

int na_merge_drop(struct na_cache *c)
{
	na_merge_epoch++;
	na_lock(&c->lock);
	while (c->merged) {
		struct na_merge *m = c->merged;

		for (uint32_t i = 0; i < (m->span->slots + 63u) / 64; i++)
			atomic_store_explicit(&m->own[i], 0, memory_order_relaxed);
		m->live = 0;
		na_merge_retire(c, m);
	}
	na_unlock(&c->lock);
	return na_merge_restore(c);
}

void na_merge_forget(struct na_cache *c)
{
	struct na_merge *m;

	while ((m = c->retired)) {
		struct na_frame *ended;

		na_lock(&c->lock);
		unlink_merge(c, m);
		ended = let_go(c, m);
		na_unlock(&c->lock);
		end_frames(c, ended, true);
	}
}
