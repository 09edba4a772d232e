/* SPDX-License-Identifier: BSD-3-Clause */
/* The slow half of malloc: slots of spans for an empty stack. See cache.h. */
#include <string.h>

#include "base/log.h"
#include "cache/check.h"
#include "cache/fast.h"
#include "cache/merge.h"
#include "cache/traps.h"
#include "cache/turns.h"
#include "os/os.h"

#define MOST	     128 /* slots a refill */
#define GROWTH_LEAST (INT64_C(256) << 10)
#define GROWTH_MOST  (INT64_C(2) << 20)
#define TIDY_SPANS   16 /* spans taken of what is kept before stacks out of use are looked for */

_Atomic bool na_turns_armed;

/* The same of a merged span, which may be retired by it. */
static void collect_merged(struct na_span *span, uint32_t word, uint64_t bits)
{
	struct na_cache *c = atomic_load_explicit(&span->cache, memory_order_relaxed);

	for (; bits; bits &= bits - 1) {
		uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);

		if (!na_merge_put(c, span, slot))
			na_cache_complain((void *)(span->base + (uintptr_t)slot * span->size), "freed twice", NULL);
	}
}

/* Slots that others freed in this group are free. */
static void collect_word(struct na_span *span, uint32_t word)
{
	/* acquire: pairs with the freeing thread's OR, so that its last writes to the blocks come
	 * before whatever their next user does. */
	uint64_t bits = atomic_exchange_explicit(&span->remote[word], 0, memory_order_acquire);

	if (na_unlikely(na_span_merge(span) != NULL)) {
		collect_merged(span, word, bits);
		return;
	}
	for (uint64_t twice = bits & ~na_span_taken(span, word); twice;
	     twice &= twice - 1) /* the owner had freed it as well */
		na_cache_complain(
			(void *)(span->base + ((uintptr_t)word * 64 + (uintptr_t)__builtin_ctzll(twice)) * span->size),
			"freed twice", NULL);
	bits &= na_span_taken(span, word);
	span->used -= na_popcount(bits);
	na_span_free(span, word, bits);
}

void na_cache_collect(struct na_span *span)
{
	for (uint32_t word = 0; word < (span->slots + 63u) / 64; word++)
		if (atomic_load_explicit(&span->remote[word], memory_order_relaxed))
			collect_word(span, word);
}

/* Up to `want` free slots of the span, lowest first, so that what lies low is used again before what lies high; written
 * downwards, for the lowest is to lie on top. */
static uint32_t take_slots(const struct na_cache *c, struct na_span *span, na_entry *top, uint32_t want)
{
	uint32_t groups = (na_span_carved(span) + 63) / 64, got = 0;

	for (uint32_t group = 0; group < groups && got < want; group++) {
		uintptr_t base = span->base + (uintptr_t)group * 64 * span->size;
		uint64_t bits, rest;

		if (atomic_load_explicit(&span->remote[group], memory_order_relaxed))
			collect_word(span, group);
		bits = rest = ~na_span_taken(span, group) & ~(group ? 0 : na_turn_bits(c, span));
		if (!bits)
			continue;
		for (; rest && got < want; rest &= rest - 1)
			top[-(ptrdiff_t)got++] = (void *)(base + (uintptr_t)__builtin_ctzll(rest) * span->size);
		na_span_take(span, group, bits & ~rest);
		if (na_unlikely(na_span_merge(span) !=
				NULL)) /* at once: what lives on its frames may be looked at before we end */
			na_merge_took(atomic_load_explicit(&span->cache, memory_order_relaxed), na_span_merge(span),
				      group, bits & ~rest);
	}
	span->used += got;
	return got;
}

/* Slots that nobody had before. Those that are put off are free ones from the start on. */
static uint32_t carve_slots(const struct na_cache *c, struct na_span *span, na_entry *top, uint32_t want)
{
	uint32_t carved = na_span_carved(span) ? na_span_carved(span) : na_turn_of(c, span),
		 left = span->slots - carved, got = want < left ? want : left;
	uintptr_t slot = span->base + (uintptr_t)carved * span->size;

	if (na_unlikely(carved && !na_span_carved(span)))
		na_span_free(span, 0, (UINT64_C(1) << carved) - 1);
	for (uint32_t i = 0; i < got; i++, slot += span->size)
		top[-(ptrdiff_t)i] = (void *)slot;
	na_span_set_carved(span, carved + got);
	span->used += got;
	return got;
}

/* The current span is full. Its owner stops looking: whoever frees into it from now on must say
 * so. False if somebody freed in between and it is worth another look. seq_cst pairs with send() of free.c:
 * of the two, at least one sees the other's store. A span that is QUEUED stays so: it is on its way to drain(), which looks. */
static bool park(struct na_kind *kind, struct na_span *span)
{
	uint32_t expected = NA_WATCHED;

	kind->span = NULL;
	if (!atomic_compare_exchange_strong_explicit(&span->flag, &expected, NA_SILENT, memory_order_seq_cst,
						     memory_order_seq_cst) &&
	    expected == NA_QUEUED)
		return true;
	expected = NA_SILENT;
	for (uint32_t word = 0; word < (span->slots + 63u) / 64; word++) {
		if (!atomic_load_explicit(&span->remote[word], memory_order_seq_cst))
			continue;
		if (!atomic_compare_exchange_strong_explicit(&span->flag, &expected, NA_WATCHED, memory_order_acquire,
							     memory_order_relaxed))
			return true; /* queued meanwhile: it will come by the queue */
		kind->span = span;
		return false;
	}
	return true;
}

void na_cache_own(struct na_cache *c, struct na_span *span)
{
	span->moving = 0;
	if (atomic_load_explicit(&span->cache, memory_order_relaxed) == c)
		return;
	atomic_store_explicit(&span->cache, c, memory_order_relaxed);
	if (atomic_load_explicit(&c->state, memory_order_relaxed) != NA_CACHE_NAMED)
		na_pool_set_id(span, na_cache_id(c, span->cls));
	na_span_seal(span);
}

/* Makes the span the class's current one. Under the lock. */
static void make_current(struct na_cache *c, struct na_span *span)
{
	c->kind[span->cls].span = span;
	na_cache_own(c, span);
}

#define LOOK 8 /* spans of a ring that are looked at for free slots */

/* The next span of the ring to take from: with a carved slot that is free, or if there is none the first. Under the lock. */
static struct na_span *best_partial(const struct na_cache *c, struct na_kind *kind, bool *has_free)
{
	struct na_span *span = kind->partial;

	*has_free = false;
	for (int i = 0; span && i < LOOK; i++, span = span->next) {
		uint32_t off = na_popcount(na_turn_bits(c, span));

		if (span->used + off == na_span_carved(span)) {
			na_cache_collect(span);
			off = na_popcount(na_turn_bits(c, span));
		}
		if (span->used + off < na_span_carved(span)) {
			*has_free = true;
			return span;
		}
		if (span->next == kind->partial)
			break;
	}
	return kind->partial;
}

/* A span of the ring becomes current. */
static void take_partial(struct na_cache *c, struct na_span *span)
{
	uint32_t silent = NA_SILENT;

	na_cache_unlist(c, span);
	/* One taken over idle is SILENT; QUEUED stays until it is drained. */
	if (atomic_load_explicit(&span->flag, memory_order_relaxed) == NA_SILENT)
		atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_WATCHED, memory_order_acquire,
							memory_order_relaxed);
	make_current(c, span);
}

/* Up to `want` slots of spans that c has, downwards from `top`: of one span, or of several if it has but few; and untouched
 * ones only when all that were touched are out. Under the lock. */
static uint32_t gather(struct na_cache *c, struct na_kind *kind, na_entry *top, uint32_t want)
{
	uint32_t got = 0;

	for (;;) {
		struct na_span *span = kind->span, *other;
		bool has_free;

		if (span) {
			got += take_slots(c, span, top - got, want - got);
			if (got * 2 >= want)
				return got;
		}
		if (atomic_load_explicit(&c->queue, memory_order_relaxed))
			na_cache_drain(c);
		other = best_partial(c, kind, &has_free);
		span = kind->span; /* it may have been merged, and have emptied just now */
		if (span && na_span_carved(span) < span->slots) {
			if (!has_free)
				return got + carve_slots(c, span, top - got, want - got);
			kind->span = NULL;
			na_cache_list(c, span);
		} else if (span && (span->used < span->slots || !park(kind, span))) { /* something came back into it */
			continue;
		}
		if (!other)
			return got;
		take_partial(c, other);
	}
}

/* Sets the size of a stack that has no more blocks than that. One that outgrows its place moves: from the first, for NA_STACK_FIRST blocks, to
 * one for NA_STACK_MIDDLE, and from there to where there is room for all it may become. So the stacks of a small program lie together on few pages. */
static void resize_stack(struct na_cache *c, struct na_bin *bin, uint32_t size)
{
	na_entry *place = na_bin_at(bin, bin->floor), *to = NULL;
	uint32_t depth = (uint32_t)bin->top - bin->floor;

	if (size > NA_STACK_MIDDLE && place < c->grown_first) {
		to = c->grown_next;
		c->grown_next += bin->most + 1;
		if (place < c->middle_first) /* whatever is there has had a middle place */
			c->middle_next += NA_STACK_MIDDLE + 1;
	} else if (size > NA_STACK_FIRST && place < c->middle_first) {
		to = c->middle_next;
		c->middle_next += NA_STACK_MIDDLE + 1;
	}
	if (to) {
		memcpy(to, place, (depth + 1) * sizeof(*to)); /* with the NULL below */
		bin->floor = (uint16_t)(to - na_bin_at(bin, 0));
		__atomic_store_n(&bin->word, (bin->word & ~UINT64_C(0xffff)) | (bin->floor + depth), __ATOMIC_RELAXED);
	}
	if (!to && bin->limit == bin->floor + size)
		return;
	bin->limit = (uint16_t)(bin->floor + size);
	na_cache_note_shape(c, bin);
}

/* Bytes by which all stacks of a cache may grow beyond what each may have: a sixteenth of what is live, but of small programs more, and of large ones no
 * more than serves. */
static int64_t growth_allowed(void)
{
	int64_t share = atomic_load_explicit(&na_live, memory_order_relaxed) / 16;

	return share < GROWTH_LEAST ? GROWTH_LEAST : share < GROWTH_MOST ? share : GROWTH_MOST;
}

#define SWINGS 2 /* spills before a stack ran empty: what it gave then it would want now */

/* Whether a stack may grow, at that cost, which is then taken; `in` is the one that free fills. */
static bool may_grow(struct na_cache *c, const struct na_bin *in, int64_t cost)
{
	int64_t allowed = growth_allowed();

	if (in->spilled > SWINGS || c->grown_bytes + cost > (in->spilled ? allowed : allowed / 2))
		return false;
	c->grown_bytes += cost;
	return true;
}

/* How many slots to fetch: half of the stack. It grows if it runs empty without having been full before, and surely if it was full a
 * little before: a program that takes a batch and frees a batch swings wider than the stack is. Half of what stacks may grow by is kept for
 * those. One that was full many times is of a thread that frees much and would not use the room. */
static uint32_t appetite(struct na_cache *c, struct na_bin *bin)
{
	uint32_t size = bin->limit - bin->floor, larger = size * 2 < bin->most ? size * 2 : bin->most;
	struct na_bin *in = c->mean ? na_cache_bin(c, na_cache_id(c, bin->cls)) : bin;

	if (larger > size && may_grow(c, in, na_cache_growth(bin->cls, larger) - na_cache_growth(bin->cls, size)))
		size = larger;
	in->spilled = 0;
	resize_stack(c, bin, size);
	if (in != bin)
		resize_stack(c, in, size);
	return size / 2 < MOST ? (size + 1) / 2 : MOST;
}

/* With separate stacks for malloc and free: what was freed is there to be taken. Entries are
 * counted from the bin, so they are moved by the distance of the two. Under the lock. */
static bool swap_stacks(struct na_bin *out, struct na_bin *in)
{
	int distance = (int)((na_entry *)in - (na_entry *)out);
	struct na_bin was = *out;

	if (in->top == in->floor)
		return false;
	out->word = (was.word & ~UINT64_C(0xffff)) | (uint16_t)(in->top + distance);
	out->floor = (uint16_t)(in->floor + distance);
	out->limit = (uint16_t)(in->limit + distance);
	in->word = (uint16_t)(was.top - distance);
	in->floor = (uint16_t)(was.floor - distance);
	in->limit = (uint16_t)(in->floor + (out->limit - out->floor));
	return true;
}

/* Slots of the cache's spans on top of a stack, up to `want`; how many. Under the lock. */
static uint32_t put_slots(struct na_cache *c, struct na_bin *bin, uint32_t want)
{
	struct na_kind *kind = &c->kind[bin->cls];
	na_entry *lowest = na_bin_at(bin, bin->top + 1u);
	uint32_t got = gather(c, kind, lowest + want - 1, want);

	if (got < want)
		memmove(lowest, lowest + want - got, got * sizeof(*lowest));
	__atomic_store_n(&bin->word, bin->word + got, __ATOMIC_RELAXED);
	na_kind_hold(kind, got);
	c->since_published += got * na_class_size(bin->cls);
	return got;
}

/* A cache that samples is split on one node too, and there each swap is a visit of the slow path that costs as much as a refill. So the
 * two stacks grow together, until what goes round in them fills one; as the blocks are in the one or in the other, it counts once. */
static bool widen(struct na_cache *c, struct na_bin *out, struct na_bin *in)
{
	uint32_t size = (uint32_t)in->limit - in->floor, larger = size * 2 < in->most ? size * 2 : in->most;

	if (larger <= size || !may_grow(c, in, na_cache_growth(in->cls, larger) - na_cache_growth(in->cls, size)))
		return false;
	resize_stack(c, in, larger);
	resize_stack(c, out, larger);
	return true;
}

/* With separate stacks: what was freed is what is taken next. False if nothing was. */
static bool take_freed(struct na_cache *c, struct na_bin *out)
{
	struct na_bin *in = na_cache_bin(c, na_cache_id(c, out->cls));
	bool wider = c->mean && in->top != in->floor && widen(c, out, in);
	uint32_t size, depth;

	if (!swap_stacks(out, in))
		return false;
	na_cache_note_shape(c, out);
	na_cache_note_shape(c, in);
	if (!c->mean)
		return true;
	in->spilled = 0; /* malloc has emptied a stack since */
	size = (uint32_t)out->limit - out->floor;
	depth = (uint32_t)out->top - out->floor;
	if (wider && depth < size)
		put_slots(c, out, size - depth);
	return true;
}

/* Under the lock. The stack is empty. */
static bool fill(struct na_cache *c, struct na_bin *bin)
{
	if (c->split && take_freed(c, bin))
		return true;
	return put_slots(c, bin, appetite(c, bin)) != 0;
}

void *na_cache_refill(struct na_cache *c, unsigned int cls)
{
	struct na_bin *bin = na_cache_out(c, cls);
	struct na_span *span = NULL;
	bool found;
	void *p;

	__atomic_store_n(&c->refills, c->refills + 1, __ATOMIC_RELAXED);
	na_trap_follow(c);
	bin = na_cache_out(c, cls); /* another one if the stacks have just been split */
	/* The next allocation is a sample: its latency is that of this refill. */
	c->began = c->mean && c->trap[cls].left <= (int64_t)na_class_size(cls) ? na_os_now_ns() : 0;
	if (c->pending_used)
		na_cache_flush_pending(c);
	for (;;) {
		na_lock(&c->lock);
		if (span && c->kind[cls].span) /* a hook of ours' callers allocated meanwhile: ours joins the list */
			na_cache_list(c, span);
		else if (span)
			make_current(c, span);
		found = bin->top != bin->floor;
		if (!found && fill(c, bin)) {
			found = true;
			na_trap_set(c, cls);
		}
		na_cache_enforce(c, "refill");
		na_unlock(&c->lock);
		if (found)
			break;
		span = na_cache_steal(c, cls);
		if (!span) {
			if (!na_pool_has_kept(c->pool) || ++c->untidy >= TIDY_SPANS)
				na_cache_tidy(c);
			span = na_pool_take_span(c->pool, cls);
		}
		if (!span)
			return NULL;
	}
	if (c->since_published >= c->publish_after || atomic_load_explicit(&na_publish_often, memory_order_relaxed))
		na_cache_publish(c);
	p = na_bin_pop(bin);
	return na_likely(p != NULL) ? p : na_trap_spring(c, cls, c->began);
}

/* Counts are in the words of `out`, of which there are no stacks here. Two threads may come with a fresh span each: the second's joins the list. */
void *na_cache_take_one(struct na_cache *c, unsigned int cls)
{
	struct na_kind *kind = &c->kind[cls];
	struct na_span *span = NULL;
	na_entry p = NULL;

	for (;;) {
		na_lock(&c->lock);
		if (span && kind->span) /* another thread was first */
			na_cache_list(c, span);
		else if (span)
			make_current(c, span);
		if (gather(c, kind, &p, 1)) {
			na_kind_hold(kind, 1);
			__atomic_store_n(&c->out[cls].word, c->out[cls].word + NA_BIN_POP + 1, __ATOMIC_RELAXED);
			__atomic_store_n(&c->refills, c->refills + 1, __ATOMIC_RELAXED);
			na_cache_tally(c, (int64_t)na_class_size(cls));
		}
		na_cache_enforce(c, "take_one");
		na_unlock(&c->lock);
		if (p)
			break;
		span = na_pool_take_span(c->pool, cls);
		if (!span)
			break;
	}
	if (p)
		*na_mark_of(p) = 0;
	return p;
}
