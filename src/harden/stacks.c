/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Caches: what is constant in them, their bins and stacks, rings of partial spans, queues, and the idle lists. See survey.h.
 *
 * A stack of a thread that runs is its own: its top moves without a lock. It is read between two equal readings of the bin's word,
 * which has a count that grows with every pop, and is mended only if nobody uses it: the caller's own, or an idle cache's.
 */
#include <string.h>

#include "cache/fast.h"
#include "harden/survey.h"

#define TRIES	    8 /* of reading a stack that moves */
#define LEAST_STACK 4 /* blocks for which every stack has room; see init_bin() of cache/registry.c */

static bool at_rest(const struct na_cache *c)
{
	uint32_t state = atomic_load_explicit(&c->state, memory_order_relaxed);

	return c == na_cache_current || state == NA_CACHE_IDLE || state == NA_CACHE_NAMED;
}

/* ---- constants ---- */

static bool whole(const struct na_cache *c)
{
	return c->seal == na_cache_sealing(c);
}

static na_entry *first_places(const struct na_cache *c)
{
	return (na_entry *)((char *)(uintptr_t)(c + 1) + na_pool_count * NA_REGION_BYTES);
}

static size_t first_count(const struct na_cache *c)
{
	return NA_CLASSES * (c->split ? 2 : 1) + NA_OWNERS * NA_LINE_CLASSES -
	       NA_LINE_CLASSES; /* our own set of these is malloc's */
}

/* Whether one pointer of a cache's layout, with another byte, makes its seal whole. */
static bool mend_layout(struct na_cache *c)
{
	na_entry **const pointers[] = { &c->middle_first, &c->grown_first };

	for (uint32_t i = 0; i < 2; i++) {
		na_entry *was = *pointers[i];

		if (i == 0 && c->grown_first) {
			*pointers[0] = first_places(c) + first_count(c) * (NA_STACK_FIRST + 1);
			if (whole(c))
				return true;
		}
		for (uintptr_t offset = 0; i == 1 && offset < na_cache_bytes(); offset += sizeof(na_entry)) {
			*pointers[1] = (na_entry *)((char *)c + offset);
			if (whole(c))
				return true;
		}
		*pointers[i] = was;
	}
	return false;
}

/* Whether its stacks are separate, of which both are possible. */
static bool mend_split(struct na_cache *c)
{
	unsigned char was;

	memcpy(&was, &c->split, 1);
	for (int split = 0; split < 2; split++) {
		c->split = split;
		if (whole(c))
			return true;
	}
	c->split = was < 2 ? was : c->direct[0] >= offsetof(struct na_cache, out) && c->direct[0] < sizeof(*c);
	return false;
}

static void mend_cache(struct na_survey *v, struct na_cache *c, struct na_named *home, bool named)
{
	struct na_pool *pool = c->pool;
	uint32_t number = c->number;

	v->rebuilt++;
	if (na_survey_near(c->seal, na_cache_sealing(c))) {
		c->seal = na_cache_sealing(c);
		return;
	}
	for (uint32_t i = 0; i < v->pool_count; i++) {
		c->pool = v->pools[i];
		if (whole(c))
			return;
	}
	c->pool = pool;
	for (uint32_t i = 0; i < NA_CACHE_TABLE; i++)
		if (atomic_load_explicit(&na_cache_table[i], memory_order_acquire) == c) {
			c->number = i;
			if (whole(c))
				return;
		}
	c->number = named ? 0 : number;
	if (whole(c))
		return;
	c->number = number;
	if (mend_split(c))
		return;
	/* The layout follows from the sizes of all stacks, so that one pointer is known by the others: a byte of one is wrong. */
	if (mend_layout(c))
		return;
	if (!na_survey_pool(v, c->pool))
		c->pool = home ? &home->pool : &na_pools[0];
	c->seal = na_cache_sealing(c);
}

static void check_constants(struct na_survey *v, struct na_cache *c, struct na_named *home, bool named)
{
	static const struct na_bin zero;
	uint32_t state = atomic_load_explicit(&c->state, memory_order_relaxed);
	bool listed = false;
	uint32_t n = 0;

	if ((!whole(c) || !na_survey_pool(v, c->pool)) &&
	    na_fault(v, "cache %u: its pool, number or layout has changed", c->number))
		mend_cache(v, c, home, named);
	if (memcmp(&c->never, &zero, sizeof(zero)) &&
	    na_fault(v, "cache %u: the stack that is never filled is not empty", c->number)) {
		memset(&c->never, 0, sizeof(zero));
		v->rebuilt++;
	}
	for (struct na_cache *i =
		     na_survey_pool(v, c->pool) ? atomic_load_explicit(&c->pool->idle, memory_order_relaxed) : NULL;
	     i && na_survey_cache(v, i) && n < v->cache_count && !listed; i = i->next_idle, n++)
		listed = i == c;
	if (state == (named		       ? NA_CACHE_NAMED
		      : listed		       ? NA_CACHE_IDLE
		      : state == NA_CACHE_HELD ? NA_CACHE_HELD
					       : NA_CACHE_RUNNING))
		return;
	if (na_fault(v, "cache %u: its state is %u, and it is %s", c->number, state,
		     named    ? "no thread's"
		     : listed ? "on the list of idle ones"
			      : "on no list of idle ones")) {
		/* IDLE and on no list: idle it is, and the list has lost it. See check_idle(). */
		if (state == NA_CACHE_IDLE && !named)
			return;
		atomic_store_explicit(&c->state,
				      named    ? NA_CACHE_NAMED
				      : listed ? NA_CACHE_IDLE
					       : NA_CACHE_RUNNING,
				      memory_order_relaxed);
		v->rebuilt++;
	}
}

static void check_direct(struct na_survey *v, struct na_cache *c)
{
	for (size_t size = 0; size <= NA_DIRECT_MAX; size++) {
		uint16_t should = (uint16_t)((char *)na_cache_out(c, na_class_of(size)) - (char *)c);

		if (c->direct[size] != should &&
		    na_fault(v, "cache %u: blocks of %zu bytes come from elsewhere", c->number, size)) {
			c->direct[size] = should;
			v->rebuilt++;
		}
	}
}

/* ---- bins and stacks ---- */

/* Whether a shape may be that of the bin: its class, and its place and size within the cache. */
static bool shape_fits(const struct na_cache *c, struct na_bin *bin, uint64_t shape, unsigned int cls)
{
	uint32_t limit = (uint32_t)(shape >> 40) & 0xffff, floor = (uint32_t)(shape >> 24) & 0xffff,
		 most = (uint32_t)(shape >> 8) & 0xffff;
	na_entry *bottom = na_bin_at(bin, floor), *end = (na_entry *)((char *)(uintptr_t)c + na_cache_bytes());

	if ((shape & 0xff) != cls || limit < floor + LEAST_STACK || limit > floor + most || bottom < first_places(c) ||
	    bottom >= end)
		return false;
	if (bottom < c->middle_first)
		return (bottom - first_places(c)) % (NA_STACK_FIRST + 1) == 0 && limit - floor <= NA_STACK_FIRST;
	if (bottom < c->grown_first)
		return (bottom - c->middle_first) % (NA_STACK_MIDDLE + 1) == 0 && limit - floor <= NA_STACK_MIDDLE;
	return bottom < c->grown_next && bottom + limit - floor < end;
}

static uint64_t word_of(const struct na_bin *bin)
{
	return __atomic_load_n(&bin->word, __ATOMIC_RELAXED);
}

/* The trap of the stack, if it may have one: it changes under the cache's lock alone, which we hold. */
static struct na_trap *trap_of(struct na_cache *c, const struct na_bin *bin)
{
	return bin >= c->out && bin < c->out + NA_CLASSES ? &c->trap[bin - c->out] : NULL;
}

/* The block of a place of the stack: where a trap is, the one that it has put by. */
static uintptr_t entry_at(struct na_cache *c, struct na_bin *bin, uint32_t i)
{
	const struct na_trap *t = trap_of(c, bin);
	uintptr_t block = (uintptr_t)__atomic_load_n(na_bin_at(bin, i), __ATOMIC_ACQUIRE);

	return !block && t && t->at == i ? (uintptr_t)t->displaced : block;
}

static void forget_trap(struct na_cache *c, const struct na_bin *bin)
{
	struct na_trap *t = trap_of(c, bin);

	if (!t || !t->displaced)
		return;
	__atomic_store_n(&t->displaced, NULL, __ATOMIC_RELAXED);
	t->counted = false;
}

/* A stack whose contents nobody can vouch for: the blocks stay with whoever has them, or with nobody. */
static void empty_stack(struct na_survey *v, struct na_cache *c, struct na_bin *bin)
{
	uint32_t depth = (uint32_t)(bin->top - bin->floor) & 0xffff;

	forget_trap(c, bin);
	if (depth <= bin->most) {
		v->barred += depth;
		v->barred_bytes += depth * na_class_size(bin->cls);
	}
	bin->top = bin->floor;
	*na_bin_at(bin, bin->floor) = NULL;
	v->rebuilt++;
}

static const char *wrong_block(struct na_survey *v, uintptr_t block, unsigned int cls, bool rest)
{
	struct na_segment *segment =
		block >> NA_ADDRESS_BITS || !na_map_covers(block, 1) ? NULL : na_segment_of((void *)block);
	struct na_known *k = segment ? na_survey_segment(v, segment) : NULL;
	struct na_span *span;
	uint32_t at, slot;

	if (!k || segment->huge)
		return "no block of ours";
	at = (uint32_t)((block - segment->base) >> NA_SLICE_SHIFT);
	if (block < segment->base || at >= NA_SLICES)
		return "no block of ours";
	span = &segment->span[at];
	if (na_span_kind(span) == NA_SPAN_TAIL && span->slices <= at)
		span -= span->slices;
	if (na_span_kind(span) != NA_SPAN_SMALL || span->cls != cls)
		return "of another class";
	if (span->seal != na_span_sealing(span))
		return NULL; /* is told of the span */
	slot = na_slot_of(span, (void *)block);
	if (block < span->base || slot >= na_span_carved(span) || !na_slot_starts(span, (void *)block))
		return "not the start of a block";
	if (!(na_span_taken(span, slot / 64) >> (slot % 64) & 1))
		return "free in its span as well";
	if (rest && (atomic_load_explicit(&span->remote[slot / 64], memory_order_relaxed) >> (slot % 64) & 1))
		return "on its way home as well";
	return NULL;
}

static void remove_entry(struct na_survey *v, struct na_cache *c, struct na_bin *bin, uint32_t i)
{
	struct na_trap *t = trap_of(c, bin);

	if (t && t->displaced && t->at == i)
		forget_trap(c, bin);
	else if (t && t->displaced && t->at > i)
		t->at--;
	v->barred++;
	v->barred_bytes += na_class_size(bin->cls);
	for (; i < bin->top; i++)
		*na_bin_at(bin, i) = *na_bin_at(bin, i + 1);
	bin->word--;
	v->rebuilt++;
}

/* Notes the blocks of a stack; false if it moved. */
static bool note_stack(struct na_survey *v, struct na_cache *c, struct na_bin *bin, uint64_t word)
{
	uint32_t before = v->stacked_count;

	for (uint32_t i = bin->floor + 1u; i <= (uint16_t)word; i++) {
		if (v->stacked_count == v->stacked_room) {
			v->cramped = true;
			break;
		}
		v->stacked[v->stacked_count++] = (struct na_stacked){ entry_at(c, bin, i), c, bin };
	}
	/* acquire, in entry_at(): the entries are read before the word is again. */
	if (word_of(bin) == word)
		return true;
	v->stacked_count = before;
	return false;
}

static void check_blocks(struct na_survey *v, struct na_cache *c, struct na_bin *bin, uint32_t first)
{
	for (uint32_t i = first; i < v->stacked_count; i++) {
		const char *wrong = wrong_block(v, v->stacked[i].block, bin->cls, at_rest(c));

		/* One that moves: it may have been given out, freed and collected since. */
		if (!wrong || (!at_rest(c) && entry_at(c, bin, bin->floor + 1u + i - first) != v->stacked[i].block))
			continue;
		if (na_fault(v, "cache %u: %p in a stack of %zu bytes is %s", c->number, (void *)v->stacked[i].block,
			     na_class_size(bin->cls), wrong) &&
		    at_rest(c)) {
			remove_entry(v, c, bin, bin->floor + 1u + i - first);
			memmove(&v->stacked[i], &v->stacked[i + 1], (v->stacked_count - i - 1) * sizeof(v->stacked[0]));
			v->stacked_count--;
			i--;
		}
	}
}

/* Where a trap is there is a NULL within the stack, and there alone. What is in the stack above is all that moves meanwhile. */
static void check_trap(struct na_survey *v, struct na_cache *c, struct na_bin *bin)
{
	struct na_trap *t = trap_of(c, bin);

	if (!t || !t->displaced || (t->at > bin->floor && t->at <= bin->top && !*na_bin_at(bin, t->at)))
		return;
	if (!na_fault(v, "cache %u: the place of a sample of %zu bytes is in doubt", c->number,
		      na_class_size(bin->cls)) ||
	    !at_rest(c))
		return;
	v->rebuilt++;
	for (uint32_t i = bin->floor + 1u; i <= bin->top; i++)
		if (!*na_bin_at(bin, i)) {
			t->at = (uint16_t)i;
			return;
		}
	v->barred++;
	v->barred_bytes += na_class_size(bin->cls);
	forget_trap(c, bin);
}

static void check_bin(struct na_survey *v, struct na_cache *c, struct na_bin *bin, uint64_t *shape, unsigned int cls)
{
	uint32_t first = v->stacked_count;
	uint64_t word = word_of(bin);

	if (na_bin_shape(bin) != *shape && na_fault(v, "cache %u: a stack of %zu bytes has changed its place or size",
						    c->number, na_class_size(cls))) {
		if (shape_fits(c, bin, *shape, cls)) {
			bin->limit = (uint16_t)(*shape >> 40);
			bin->floor = (uint16_t)(*shape >> 24);
			bin->most = (uint16_t)(*shape >> 8);
			bin->cls = (uint8_t)*shape;
		} else {
			*shape = na_bin_shape(bin);
		}
		v->rebuilt++;
	}
	if (!shape_fits(c, bin, na_bin_shape(bin), cls)) {
		na_fault(v, "cache %u: a stack of %zu bytes lies outside of the cache", c->number, na_class_size(cls));
		return;
	}
	if (((uint16_t)word < bin->floor || (uint16_t)word > bin->limit || *na_bin_at(bin, bin->floor)) &&
	    (word_of(bin) == word || at_rest(c)) &&
	    na_fault(v, "cache %u: the top of a stack of %zu bytes is outside of it, or its bottom is no NULL",
		     c->number, na_class_size(cls)) &&
	    at_rest(c))
		empty_stack(v, c, bin);
	check_trap(v, c, bin);
	for (int tries = 0; tries < TRIES; tries++) {
		word = word_of(bin);
		if ((uint16_t)word < bin->floor || (uint16_t)word > bin->limit)
			return;
		if (note_stack(v, c, bin, word))
			break;
	}
	check_blocks(v, c, bin, first);
}

/* Where stacks that outgrew their first place go on: behind all that have. */
static void check_grown(struct na_survey *v, struct na_cache *c)
{
	na_entry *next = c->grown_first, *middle = c->middle_first;

	for (uint32_t i = 0; i < NA_REGION_BINS + (c->split ? NA_CLASSES : 0); i++) {
		struct na_bin *bin = i < NA_REGION_BINS ? na_cache_region(c) + i : &c->out[i - NA_REGION_BINS];

		if (bin->most && na_bin_at(bin, bin->floor) >= c->grown_first)
			next += bin->most + 1;
		/* Whatever is in the largest places has been in a middle one before. */
		if (bin->most && na_bin_at(bin, bin->floor) >= c->middle_first)
			middle += NA_STACK_MIDDLE + 1;
	}
	if (c->middle_next != middle &&
	    na_fault(v, "cache %u: the room for its middle stacks is not what they take", c->number)) {
		c->middle_next = middle;
		v->rebuilt++;
	}
	if (c->grown_next != next &&
	    na_fault(v, "cache %u: the room for its stacks is not what they take", c->number)) {
		c->grown_next = next;
		v->rebuilt++;
	}
}

static void check_bins(struct na_survey *v, struct na_cache *c)
{
	check_grown(v, c);
	for (uint32_t i = 0; i < NA_REGION_BINS; i++) {
		struct na_bin *bin = na_cache_region(c) + i;
		unsigned int cls = i < NA_CLASSES ? i : (i - NA_CLASSES) % NA_LINE_CLASSES;

		/* A class below a line has its bins among the sets of owners alone. */
		if (i < NA_LINE_CLASSES || (!c->shape[i] && !na_bin_shape(bin))) {
			if ((bin->word || na_bin_shape(bin) || c->shape[i]) &&
			    na_fault(v, "cache %u: a stack that is not in use is not zero", c->number)) {
				memset(bin, 0, sizeof(*bin));
				c->shape[i] = 0;
				v->rebuilt++;
			}
			continue;
		}
		check_bin(v, c, bin, &c->shape[i], cls);
	}
	for (unsigned int i = 0; c->split && i < NA_CLASSES; i++)
		check_bin(v, c, &c->out[i], &c->shape[NA_REGION_BINS + i], i);
	/* Regions of other pools: full at nothing, for ever. */
	for (uint32_t i = 0; i < na_pool_count; i++) {
		uint64_t *region = (uint64_t *)(void *)((char *)(c + 1) + (size_t)i * NA_REGION_BYTES);

		for (size_t k = 0; &na_pools[i] != c->pool && k < NA_REGION_BYTES / sizeof(*region); k++)
			if (region[k] &&
			    na_fault(v, "cache %u: a stack for another node's blocks is not zero", c->number)) {
				region[k] = 0;
				v->rebuilt++;
			}
	}
}

/* ---- rings and queues ---- */

static struct na_known *owned(struct na_survey *v, const struct na_span *span, const struct na_cache *c,
			      unsigned int cls)
{
	struct na_known *k = na_survey_span(v, span);

	return k && na_span_kind(span) == NA_SPAN_SMALL && span->cls == cls &&
			       atomic_load_explicit(&span->cache, memory_order_relaxed) == c
		       ? k
		       : NULL;
}

static bool ring_whole(struct na_survey *v, struct na_cache *c, unsigned int cls)
{
	struct na_span *span = c->kind[cls].partial, *before = NULL;
	uint64_t most = (uint64_t)v->known_count * NA_SLICES;

	for (uint64_t n = 0; span; n++) {
		struct na_known *k = owned(v, span, c, cls);
		unsigned char listed;

		if (!k || n == most)
			return false;
		memcpy(&listed, &span->listed, 1);
		if (listed != 1 || (before && span->prev != before) || (*na_survey_place(v, k, span) & NA_PLACE_RING))
			return false;
		*na_survey_place(v, k, span) |= NA_PLACE_RING;
		before = span;
		span = span->next;
		if (span == c->kind[cls].partial)
			return span->prev == before;
	}
	return before == NULL; /* a ring has no end */
}

static void check_queue(struct na_survey *v, struct na_cache *c, bool *broken)
{
	struct na_span *span = atomic_load_explicit(&c->queue, memory_order_acquire);
	uint64_t n = 0, most = (uint64_t)v->known_count * NA_SLICES;

	for (; span && n < most; span = span->next_queued, n++) {
		struct na_known *k = na_survey_span(v, span);

		if (!k || na_span_kind(span) != NA_SPAN_SMALL ||
		    atomic_load_explicit(&span->cache, memory_order_relaxed) != c ||
		    (*na_survey_place(v, k, span) & NA_PLACE_QUEUE))
			break;
		*na_survey_place(v, k, span) |= NA_PLACE_QUEUE;
	}
	if (span) {
		na_fault(v, "cache %u: its queue leads to what is none of its spans", c->number);
		*broken = true;
	}
}

static void unplace(struct na_survey *v, const struct na_span *span, uint8_t bits)
{
	struct na_known *k = na_survey_span(v, span);

	*na_survey_place(v, k, span) &= (uint8_t)~bits;
}

/* One span of c's to where it belongs by what is out of it. */
static void replace_span(struct na_survey *v, struct na_cache *c, struct na_span *span)
{
	bool queued = *na_survey_place(v, na_survey_span(v, span), span) & NA_PLACE_QUEUE;

	unplace(v, span, NA_PLACE_RING);
	span->listed = false;
	if (span == c->kind[span->cls].span || span->moving == NA_MOVING)
		return;
	/* QUEUED and taken off the queue: from now on told anew. */
	if (!queued && atomic_load_explicit(&span->flag, memory_order_relaxed) != NA_WATCHED)
		atomic_store_explicit(&span->flag, NA_SILENT, memory_order_seq_cst);
	if (span->used == span->slots) {
		if (!queued)
			atomic_store_explicit(&span->flag, NA_SILENT, memory_order_seq_cst);
		return;
	}
	na_cache_list(c, span);
	*na_survey_place(v, na_survey_span(v, span), span) |= NA_PLACE_RING;
	if (!queued && atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_IDLE)
		atomic_store_explicit(&span->flag, NA_SILENT, memory_order_seq_cst);
}

void na_survey_requeue(struct na_survey *v, struct na_cache *c)
{
	atomic_store_explicit(&c->queue, NULL, memory_order_seq_cst);
	for (uint32_t i = 0; i < v->known_count; i++)
		for (uint32_t at = 0; at < NA_SLICES && !v->known[i].segment->huge; at++) {
			struct na_span *span = &v->known[i].segment->span[at];

			if (na_span_kind(span) != NA_SPAN_SMALL ||
			    atomic_load_explicit(&span->cache, memory_order_relaxed) != c)
				continue;
			unplace(v, span, NA_PLACE_QUEUE);
			if (atomic_load_explicit(&span->flag, memory_order_relaxed) != NA_QUEUED)
				continue;
			na_cache_queue(c, span);
			*na_survey_place(v, &v->known[i], span) |= NA_PLACE_QUEUE;
		}
	v->rebuilt++;
}

void na_survey_relist(struct na_survey *v, struct na_cache *c)
{
	for (unsigned int cls = 0; cls < NA_CLASSES; cls++)
		c->kind[cls].partial = NULL;
	for (uint32_t i = 0; i < v->known_count; i++)
		for (uint32_t at = 0; at < NA_SLICES && !v->known[i].segment->huge; at++) {
			struct na_span *span = &v->known[i].segment->span[at];

			if (na_span_kind(span) == NA_SPAN_SMALL && span->cls < NA_CLASSES &&
			    atomic_load_explicit(&span->cache, memory_order_relaxed) == c)
				replace_span(v, c, span);
		}
	v->rebuilt++;
}

static void check_lists(struct na_survey *v, struct na_cache *c)
{
	bool broken = false, lost = false;

	for (unsigned int cls = 0; cls < NA_CLASSES; cls++) {
		struct na_span *span = c->kind[cls].span;
		struct na_known *k = span ? owned(v, span, c, cls) : NULL;

		if (span && !k &&
		    na_fault(v, "cache %u: its current span of %zu bytes is none of its spans", c->number,
			     na_class_size(cls))) {
			c->kind[cls].span = NULL;
			broken = true;
		}
		if (k)
			*na_survey_place(v, k, span) |= NA_PLACE_CURRENT;
		if (!ring_whole(v, c, cls)) {
			na_fault(v, "cache %u: the ring of its spans of %zu bytes is broken", c->number,
				 na_class_size(cls));
			broken = true;
		}
	}
	check_queue(v, c, &lost);
	if (lost && v->fix)
		na_survey_requeue(v, c);
	if (broken && v->fix)
		na_survey_relist(v, c);
}

static void check_pending(struct na_survey *v, struct na_cache *c)
{
	if (c->pending_used >> NA_PENDING &&
	    na_fault(v, "cache %u: more than %d words wait to go home", c->number, NA_PENDING)) {
		c->pending_used &= (1u << NA_PENDING) - 1;
		v->rebuilt++;
	}
	for (uint32_t i = 0; i < NA_PENDING && at_rest(c); i++) {
		const struct na_pending *e = &c->pending[i];

		if (!(c->pending_used >> i & 1))
			continue;
		if (na_survey_span(v, e->span) && na_span_kind(e->span) == NA_SPAN_SMALL &&
		    e->word < (e->span->slots + 63u) / 64 && e->bits)
			continue;
		if (na_fault(v, "cache %u: what waits to go home is no span's", c->number)) {
			c->pending_used &= ~(1u << i); /* blocks that stay with nobody */
			v->barred += na_popcount(e->bits);
			v->rebuilt++;
		}
	}
}

static void check_idle(struct na_survey *v, struct na_pool *pool)
{
	struct na_cache *c = atomic_load_explicit(&pool->idle, memory_order_relaxed);
	uint32_t n = 0, idle = 0;

	for (uint32_t i = v->named_count; i < v->cache_count; i++)
		idle += v->caches[i]->pool == pool &&
			atomic_load_explicit(&v->caches[i]->state, memory_order_relaxed) == NA_CACHE_IDLE;
	for (; c && na_survey_cache(v, c) && c->pool == pool && n <= idle; c = c->next_idle)
		n++;
	/* Fewer than there are: some may be held off the list. That is told of each. */
	if ((!c && n == idle) || !na_fault(v, "a pool's list of idle caches is broken after %u of %u", n, idle))
		return;
	atomic_store_explicit(&pool->idle, NULL, memory_order_relaxed);
	for (uint32_t i = v->named_count; i < v->cache_count; i++) {
		c = v->caches[i];
		if (c->pool != pool || atomic_load_explicit(&c->state, memory_order_relaxed) != NA_CACHE_IDLE)
			continue;
		c->next_idle = atomic_load_explicit(&pool->idle, memory_order_relaxed);
		atomic_store_explicit(&pool->idle, c, memory_order_relaxed);
	}
	v->rebuilt++;
}

/* A block in two stacks: certain if the first still has it after the second was seen to have it. */
static void check_twice(struct na_survey *v)
{
	na_survey_sort(v->stacked, v->stacked_count, sizeof(*v->stacked));
	for (uint32_t i = 1; i < v->stacked_count; i++) {
		const struct na_stacked *a = &v->stacked[i - 1], *b = &v->stacked[i];

		if (a->block != b->block || (!(at_rest(a->cache) && at_rest(b->cache)) && a->bin != b->bin))
			continue;
		if (!na_fault(v, "%p is in two stacks of free blocks, or twice in one", (void *)b->block))
			continue;
		for (uint32_t k = b->bin->top; k > b->bin->floor && at_rest(b->cache); k--)
			if (entry_at(b->cache, b->bin, k) == b->block) {
				remove_entry(v, b->cache, b->bin, k);
				v->barred--; /* the other one has it */
				v->barred_bytes -= na_class_size(b->bin->cls);
				break;
			}
	}
}

void na_survey_stacks(struct na_survey *v)
{
	for (uint32_t i = 0; i < v->cache_count; i++)
		check_constants(v, v->caches[i], i < v->named_count ? v->homes[i] : NULL, i < v->named_count);
	for (uint32_t i = 0; i < na_pool_count; i++)
		check_idle(v, &na_pools[i]);
	for (uint32_t i = 0; i < v->cache_count; i++) {
		struct na_cache *c = v->caches[i];

		if (!na_survey_pool(v, c->pool))
			continue; /* has been told */
		/* A damaged link may have led to a cache of a named pool, which has no stacks: that is told of the list. */
		if (i >= v->named_count && c->pool >= na_pools && c->pool < na_pools + na_pool_count) {
			check_direct(v, c);
			check_bins(v, c);
			check_pending(v, c);
		}
	}
	check_twice(v);
}

void na_survey_lists(struct na_survey *v)
{
	for (uint32_t i = 0; i < v->cache_count; i++)
		check_lists(v, v->caches[i]);
}
