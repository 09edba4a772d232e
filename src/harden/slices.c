/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Slices: each is free, or of exactly one run, or out to be purged; and the pools' counters, which say how many. What a run is stands in
 * its first slice, sealed; what belongs to it is said once more by each further slice. See survey.h.
 */
#include <string.h>

#include "base/bits.h"
#include "harden/survey.h"
#include "os/os.h"
#include "pool/away.h"
#include "pool/bits.h"

struct sums {
	uint64_t used, dirty, unowned; /* slices; unowned: neither free nor of a run */
	uint64_t live, blocks;	       /* bytes and number of large blocks */
	uint64_t huge, kept, reserved; /* bytes */
};

static bool whole(const void *span)
{
	return ((const struct na_span *)span)->seal == na_span_sealing(span);
}

static bool bit(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

/* How many slices follow that say they are of the run. */
static uint32_t tails(const struct na_segment *s, uint32_t at, uint32_t end)
{
	uint32_t n = 1;

	while (at + n < end && na_span_kind(&s->span[at + n]) == NA_SPAN_TAIL && s->span[at + n].slices == n)
		n++;
	return n;
}

static void set_class(struct na_span *span, unsigned int cls)
{
	size_t size = na_class_size(cls);

	span->cls = (uint8_t)cls;
	span->size = (uint32_t)size;
	span->slices = na_class_slices(cls);
	span->slots = (uint16_t)(span->slices * NA_SLICE / size);
	span->reciprocal = (UINT64_C(0x100000000) + size - 1) / size;
}

/* Sealed again if nothing but the seal, or what cannot be told otherwise, is in doubt. */
static bool small_fits(struct na_survey *v, const struct na_span *span, uintptr_t base)
{
	struct na_span like = *span;
	uint32_t groups = (span->slots + 63u) / 64;
	const struct na_cache *c = atomic_load_explicit(&span->cache, memory_order_relaxed);

	if (span->cls >= NA_CLASSES || span->base != base || (c && !na_survey_cache(v, c)))
		return false;
	set_class(&like, span->cls);
	if (like.size != span->size || like.slices != span->slices || like.slots != span->slots ||
	    like.reciprocal != span->reciprocal)
		return false;
	return groups == 1 || (na_survey_meta(v, span->taken, na_bitmap_bytes(groups), 64) &&
			       (char *)span->remote == (char *)span->taken + na_bitmap_bytes(groups) / 2);
}

/* Tries, on a copy, what other fields say of those that are sealed. */
static bool mend_small(struct na_survey *v, struct na_span *copy, const struct na_span *span, uintptr_t base)
{
	const struct na_span was = *copy;
	unsigned int by_size = copy->size && copy->size <= NA_SMALL_MAX ? na_class_of(copy->size) : NA_CLASSES;
	const unsigned int classes[] = { copy->cls, by_size };

	copy->base = base;
	if (whole(copy))
		return true;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t groups;
		size_t half;

		*copy = was;
		copy->base = base;
		if (classes[i] >= NA_CLASSES)
			continue;
		set_class(copy, classes[i]);
		if (whole(copy))
			return true;
		groups = (copy->slots + 63u) / 64;
		half = na_bitmap_bytes(groups) / 2;
		copy->remote = groups == 1 ? (_Atomic(uint64_t) *)(uintptr_t)&span->own_remote
					   : (_Atomic(uint64_t) *)(void *)((char *)copy->taken + half);
		if (whole(copy))
			return true;
		copy->remote = was.remote;
		copy->taken = groups == 1 ? (_Atomic(uint64_t) *)(uintptr_t)&span->own_taken
					  : (_Atomic(uint64_t) *)(void *)((char *)copy->remote - half);
		if (whole(copy))
			return true;
		copy->taken = was.taken;
		for (uint32_t k = 0; k < v->cache_count; k++) {
			atomic_store_explicit(&copy->cache, v->caches[k], memory_order_relaxed);
			if (whole(copy))
				return true;
		}
		atomic_store_explicit(&copy->cache, NULL, memory_order_relaxed);
		if (whole(copy))
			return true;
		atomic_store_explicit(&copy->cache, atomic_load_explicit(&was.cache, memory_order_relaxed),
				      memory_order_relaxed);
		atomic_store_explicit(&copy->merge, NULL, memory_order_relaxed);
		if (whole(copy))
			return true;
	}
	*copy = was;
	return false;
}

static bool mend_bytes(struct na_span *copy)
{
	static const struct {
		size_t at, size;
	} fields[] = {
#define FIELD(f) { offsetof(struct na_span, f), sizeof(((struct na_span *)0)->f) }
		FIELD(base), FIELD(taken),  FIELD(remote), FIELD(cache), FIELD(reciprocal), FIELD(length),
		FIELD(size), FIELD(slices), FIELD(slots),  FIELD(cls),	 FIELD(kind)
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (na_survey_mend(copy, fields[i].at, fields[i].at + fields[i].size, whole))
			return true;
	return false;
}

static void write_back(struct na_span *span, const struct na_span *copy)
{
	span->base = copy->base;
	span->taken = copy->taken;
	span->remote = copy->remote;
	atomic_store_explicit(&span->cache, atomic_load_explicit(&copy->cache, memory_order_relaxed),
			      memory_order_relaxed);
	span->reciprocal = copy->reciprocal;
	span->length = copy->length;
	span->size = copy->size;
	span->slices = copy->slices;
	span->slots = copy->slots;
	span->cls = copy->cls;
	atomic_store_explicit(&span->kind, na_span_kind(copy), memory_order_relaxed);
}

static void bar_span(struct na_survey *v, struct na_span *span, uint32_t slices)
{
	span->slices = slices;
	atomic_store_explicit(&span->kind, NA_SPAN_BARRED, memory_order_relaxed);
	v->barred++;
	v->barred_bytes += (size_t)slices * NA_SLICE;
}

/* Large blocks begin at a line of their first page, which line only the seal tells. */
#define LINE	64
#define OFFSETS ((uintptr_t)NA_PAGE - LINE)

static bool mend_place(struct na_span *copy, uintptr_t place)
{
	uintptr_t was = copy->base;

	for (uintptr_t offset = 0; offset <= OFFSETS; offset += LINE) {
		copy->base = place + offset;
		if (whole(copy))
			return true;
	}
	copy->base = was;
	return false;
}

/* The first slice of a run whose seal is broken. `told`: the slices that follow it. */
static void mend_run(struct na_survey *v, struct na_span *span, uintptr_t base, uint32_t told)
{
	struct na_span copy;
	uint8_t kind = na_span_kind(span);

	v->rebuilt++;
	if (na_survey_near(span->seal, na_span_sealing(span)) && (kind != NA_SPAN_SMALL || small_fits(v, span, base))) {
		na_span_seal(span);
		return;
	}
	memcpy(&copy, span, sizeof(copy));
	if (kind == NA_SPAN_SMALL ? mend_small(v, &copy, span, base) : (copy.slices = told, mend_place(&copy, base)))
		goto mended;
	memcpy(&copy, span, sizeof(copy));
	if (mend_bytes(&copy))
		goto mended;
	if (kind == NA_SPAN_SMALL) {
		if (small_fits(v, span, base))
			na_span_seal(span);
		else
			bar_span(v, span, told);
		return;
	}
	/* Of a large block whose length is gone all that is its own counts as its. */
	span->base = base + (span->base & OFFSETS);
	span->slices = told;
	if (!span->length || span->length > (size_t)told * NA_SLICE || (span->base + span->length) % NA_PAGE)
		span->length = base + (size_t)told * NA_SLICE - span->base;
	na_span_seal(span);
	return;
mended:
	write_back(span, &copy);
}

/* What a slice that says it is no first one, or is of no kind, might be by its seal. */
static uint8_t kind_by_seal(const struct na_span *span)
{
	static const uint8_t kinds[] = { NA_SPAN_SMALL, NA_SPAN_LARGE };
	struct na_span copy;

	memcpy(&copy, span, sizeof(copy));
	for (size_t i = 0; i < sizeof(kinds) && span->seal; i++) {
		atomic_store_explicit(&copy.kind, kinds[i], memory_order_relaxed);
		if (whole(&copy))
			return kinds[i];
	}
	return NA_SPAN_NONE;
}

static bool heads_run(uint8_t kind)
{
	return kind == NA_SPAN_SMALL || kind == NA_SPAN_LARGE || kind == NA_SPAN_CLAIMED || kind == NA_SPAN_BARRED;
}

/* A run that begins at `at`; its length. */
static uint32_t check_run(struct na_survey *v, struct na_segment *s, uint32_t at, uint32_t end, struct sums *sums)
{
	struct na_span *span = &s->span[at];
	uintptr_t base = s->base + (uintptr_t)at * NA_SLICE;
	uint8_t kind = na_span_kind(span);
	uint32_t told = tails(s, at, end), slices;
	bool sealed = kind == NA_SPAN_SMALL || kind == NA_SPAN_LARGE;
	bool fresh = kind == NA_SPAN_SMALL && span->moving == NA_MOVING &&
		     !atomic_load_explicit(&span->cache, memory_order_relaxed);

	if (sealed && !fresh && !whole(span) &&
	    na_fault(v, "span %p: what is constant in it has changed", (void *)base)) {
		mend_run(v, span, base, told);
		kind = na_span_kind(span);
		sealed = kind == NA_SPAN_SMALL || kind == NA_SPAN_LARGE;
	}
	slices = span->slices;
	if (slices == 0 || at + slices > end || (sealed && !whole(span)) || (!sealed && slices != told)) {
		if (!sealed && kind != NA_SPAN_CLAIMED && na_fault(v, "span %p: its length is in doubt", (void *)base))
			span->slices = told;
		else if (kind == NA_SPAN_CLAIMED && slices != told &&
			 na_fault(v, "span %p: its length is in doubt", (void *)base))
			span->slices = told;
		slices = told;
	}
	for (uint32_t i = 1; i < slices; i++)
		if ((na_span_kind(&span[i]) != NA_SPAN_TAIL || span[i].slices != i) &&
		    na_fault(v, "slice %p: it does not say that it is the %uth of a run",
			     (void *)(base + (uintptr_t)i * NA_SLICE), i + 1)) {
			span[i].slices = i;
			atomic_store_explicit(&span[i].kind, NA_SPAN_TAIL, memory_order_relaxed);
			v->rebuilt++;
		}
	for (uint32_t i = at; i < at + slices; i++)
		if (bit(s->free, i) &&
		    na_fault(v, "slice %p: it is in use, and free", (void *)(s->base + (uintptr_t)i * NA_SLICE))) {
			na_bits_put(s->free, i, 1, false);
			na_bits_put(s->dirty, i, 1, false);
			v->rebuilt++;
		}
	sums->used += slices;
	if (sealed && !fresh && whole(span) && kind == NA_SPAN_SMALL) {
		uint32_t groups = (span->slots + 63u) / 64;

		if (groups > 1)
			na_survey_range(v, span->taken, na_bitmap_bytes(groups));
		na_survey_small(v, span);
	} else if (kind == NA_SPAN_LARGE) {
		sums->live += span->length;
		sums->blocks++;
	}
	return slices;
}

static void check_slices(struct na_survey *v, struct na_segment *s, struct sums *sums)
{
	uint32_t end = s->length <= NA_SEGMENT ? (uint32_t)(s->length / NA_SLICE) : NA_SLICES;

	for (uint32_t at = 0, count; at < end; at += count) {
		struct na_span *span = &s->span[at];
		uint8_t kind = na_span_kind(span), should = kind;

		count = 1;
		if (!heads_run(kind) && (kind != NA_SPAN_NONE || !bit(s->free, at))) {
			should = bit(s->free, at) ? NA_SPAN_NONE : kind_by_seal(span);
			if (should != kind && na_fault(v, "slice %p: its kind is %u, not %u",
						       (void *)(s->base + (uintptr_t)at * NA_SLICE), kind, should)) {
				atomic_store_explicit(&span->kind, should, memory_order_relaxed);
				v->rebuilt++;
				kind = should;
			}
		}
		if (heads_run(kind) && bit(s->free, at) && !tails(s, at, end)) {
			kind = NA_SPAN_NONE;
		} else if (heads_run(kind)) {
			count = check_run(v, s, at, end, sums);
			continue;
		}
		if (!bit(s->free, at))
			sums->unowned++;
	}
	for (uint32_t i = 0; i < NA_SLICES; i++) {
		if (i >= end && bit(s->free, i) &&
		    na_fault(v, "segment %p: a slice is free that it does not have", (void *)s->base)) {
			na_bits_put(s->free, i, 1, false);
			v->rebuilt++;
		}
		if (bit(s->dirty, i) && !bit(s->free, i) &&
		    na_fault(v, "slice %p: it is kept for reuse, and not free",
			     (void *)(s->base + (uintptr_t)i * NA_SLICE))) {
			na_bits_put(s->dirty, i, 1, false);
			v->rebuilt++;
		}
		sums->dirty += bit(s->dirty, i);
	}
}

static void check_huge(struct na_survey *v, struct na_known *k, struct sums *sums)
{
	struct na_segment *s = k->segment;
	struct na_span *span = &s->span[0];
	uint8_t kind = na_span_kind(span);

	sums->reserved += s->length;
	if (kind != NA_SPAN_NONE && kind != NA_SPAN_HUGE) {
		struct na_span copy;

		memcpy(&copy, span, sizeof(copy));
		atomic_store_explicit(&copy.kind, NA_SPAN_HUGE, memory_order_relaxed);
		if (na_fault(v, "huge block %p: its kind is %u", (void *)s->base, kind)) {
			atomic_store_explicit(&span->kind, whole(&copy) && span->seal ? NA_SPAN_HUGE : NA_SPAN_NONE,
					      memory_order_relaxed);
			kind = na_span_kind(span);
			v->rebuilt++;
		}
	} else if (kind == NA_SPAN_NONE && (k->from & NA_FROM_LIVE) && span->seal) {
		struct na_span copy;

		memcpy(&copy, span, sizeof(copy));
		atomic_store_explicit(&copy.kind, NA_SPAN_HUGE, memory_order_relaxed);
		if (whole(&copy) &&
		    na_fault(v, "huge block %p: it is live by its seal, and says it is not", (void *)s->base)) {
			atomic_store_explicit(&span->kind, NA_SPAN_HUGE, memory_order_relaxed);
			kind = NA_SPAN_HUGE;
			v->rebuilt++;
		}
	}
	if (k->from & NA_FROM_KEPT)
		sums->kept += s->committed;
	else if (k->from & NA_FROM_LIVE)
		sums->huge += s->committed;
	if (kind != NA_SPAN_HUGE)
		return;
	if (!whole(span) && na_fault(v, "huge block %p: its place or length has changed", (void *)s->base)) {
		struct na_span copy;

		memcpy(&copy, span, sizeof(copy));
		if (na_survey_near(span->seal, na_span_sealing(span)) || mend_place(&copy, s->base) ||
		    mend_bytes(&copy)) {
			write_back(span, &copy);
		} else { /* its length is gone: as far as it may have been touched */
			span->base = s->base + (span->base & OFFSETS);
			span->length = s->base + s->committed - span->base;
		}
		na_span_seal(span);
		v->rebuilt++;
	}
	sums->live += span->length;
	sums->blocks++;
}

/* ---- the pools' counters ---- */

static void same(struct na_survey *v, uint64_t *counter, uint64_t should, const char *what)
{
	if (*counter != should && na_fault(v, "a pool counts %llu %s, and has %llu", (unsigned long long)*counter, what,
					   (unsigned long long)should)) {
		*counter = should;
		v->rebuilt++;
	}
}

/* Slices that nobody has, though they are not free: given back, as if they held data. */
static void free_unowned(struct na_survey *v, struct na_pool *pool, struct sums *sums)
{
	for (uint32_t i = 0; i < v->known_count; i++) {
		struct na_segment *s = v->known[i].segment;
		uint32_t end = s->length <= NA_SEGMENT ? (uint32_t)(s->length / NA_SLICE) : NA_SLICES;
		struct na_segment_ref *ref;

		if (v->known[i].pool != pool || s->huge)
			continue;
		for (uint32_t at = 0; at < end; at++) {
			uint8_t kind = na_span_kind(&s->span[at]);

			if (heads_run(kind)) {
				at += s->span[at].slices ? s->span[at].slices - 1 : 0;
				continue;
			}
			if (bit(s->free, at))
				continue;
			atomic_store_explicit(&s->span[at].kind, NA_SPAN_NONE, memory_order_relaxed);
			na_bits_put(s->free, at, 1, true);
			na_bits_put(s->dirty, at, 1, true);
			sums->dirty++;
			sums->unowned--;
		}
		ref = na_survey_ref(v, pool, s->index);
		if (ref)
			ref->max_free = ref->max_dirty = NA_SLICES;
	}
	v->rebuilt++;
}

/* What is kept for reuse counts as such from now on, whatever it was: nothing that holds data may be taken for zeros. */
static void all_dirty(struct na_survey *v, struct na_pool *pool, struct sums *sums)
{
	sums->dirty = 0;
	for (uint32_t i = 0; i < v->known_count; i++) {
		struct na_segment *s = v->known[i].segment;
		struct na_segment_ref *ref;

		if (v->known[i].pool != pool || s->huge)
			continue;
		memcpy(s->dirty, s->free, sizeof(s->dirty));
		sums->dirty += na_bits_count(s->dirty, 0, NA_SLICES);
		ref = na_survey_ref(v, pool, s->index);
		if (ref)
			ref->max_free = ref->max_dirty = NA_SLICES;
	}
	v->rebuilt++;
}

static void check_bounds(struct na_survey *v, struct na_known *k)
{
	struct na_segment *s = k->segment;
	struct na_segment_ref *ref = na_survey_ref(v, k->pool, s->index);
	uint32_t free, dirty;

	na_bits_find(s->free, NA_SLICES + 1, 1, true, &free);
	na_bits_find(s->dirty, NA_SLICES + 1, 1, true, &dirty);
	if (ref && ref->segment == s && (ref->max_free < free || ref->max_dirty < dirty) &&
	    na_fault(v, "segment %p: runs of %u and %u slices are free and kept, and its bounds say less",
		     (void *)s->base, free, dirty)) {
		ref->max_free = ref->max_dirty = NA_SLICES;
		v->rebuilt++;
	}
}

static void check_counters(struct na_survey *v, struct na_pool *pool, struct sums *sums)
{
	uint64_t dirty = atomic_load_explicit(&pool->dirty_slices, memory_order_relaxed);

	if (sums->unowned > pool->out_slices && pool->out_slices == 0) {
		if (na_fault(v, "%llu slices of a pool are neither free nor in use", (unsigned long long)sums->unowned))
			free_unowned(v, pool, sums);
	} else {
		same(v, &pool->out_slices, sums->unowned, "slices that are out to be purged");
	}
	same(v, &pool->used_slices, sums->used, "slices in use");
	if (dirty != sums->dirty && na_fault(v, "a pool counts %llu slices kept for reuse, and has %llu",
					     (unsigned long long)dirty, (unsigned long long)sums->dirty)) {
		all_dirty(v, pool, sums);
		atomic_store_explicit(&pool->dirty_slices, sums->dirty, memory_order_relaxed);
	}
	same(v, &pool->reserved, sums->reserved, "bytes of addresses");
	same(v, &pool->large_live, sums->live, "bytes in large blocks");
	same(v, &pool->huge_bytes, sums->huge, "bytes in huge blocks");
	same(v, &pool->huge_kept_bytes, sums->kept, "bytes of huge blocks kept for reuse");
	if (pool->large_count - pool->large_freed != sums->blocks &&
	    na_fault(v, "a pool has given %llu large blocks and taken back %llu, and %llu are live",
		     (unsigned long long)pool->large_count, (unsigned long long)pool->large_freed,
		     (unsigned long long)sums->blocks)) {
		if (pool->large_count >= sums->blocks)
			pool->large_freed = pool->large_count - sums->blocks;
		else
			pool->large_count = pool->large_freed + sums->blocks;
		v->rebuilt++;
	}
}

void na_survey_slices(struct na_survey *v)
{
	uint64_t held = 0, said;
	bool still = true;

	for (uint32_t p = 0; p < v->pool_count; p++) {
		struct na_pool *pool = v->pools[p];
		struct sums sums = { 0 };

		for (uint32_t i = 0; i < v->known_count; i++) {
			struct na_known *k = &v->known[i];

			if (k->pool != pool)
				continue;
			if (k->segment->huge) {
				check_huge(v, k, &sums);
				continue;
			}
			sums.reserved += k->segment->length;
			check_slices(v, k->segment, &sums);
			if (k->from & NA_FROM_TABLE)
				check_bounds(v, k);
		}
		check_counters(v, pool, &sums);
		held += (sums.used + sums.dirty) * NA_SLICE + sums.huge + sums.kept;
		still = still && pool->out_slices == 0;
	}
	said = atomic_load_explicit(&na_pool_held, memory_order_relaxed);
	/* What is kept elsewhere comes and goes meanwhile, in two steps. */
	if (still && said != held && atomic_load_explicit(&na_away.blocks, memory_order_acquire) == 0 &&
	    na_fault(v, "%llu bytes are held, and %llu counted", (unsigned long long)held, (unsigned long long)said)) {
		atomic_store_explicit(&na_pool_held, held, memory_order_relaxed);
		v->rebuilt++;
	}
}
