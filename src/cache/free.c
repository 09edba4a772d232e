/* SPDX-License-Identifier: BSD-3-Clause */
/* The slow half of free: stacks that are full, spans that empty, and blocks that go home. See cache.h. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "cache/check.h"
#include "cache/fast.h"
#include "cache/merge.h"
#include "pool/lost.h"

#define MANY_SPILLS    3     /* in a row, from which on a thread is taken to go on freeing */
#define SHRINK_CLASSES 16    /* up to 256 bytes a stack keeps room for 64 blocks, above for 16 */
#define PENDING_BYTES  16384 /* an entry is sent when its blocks are together this large */

/* At the tail: a span that was full until just now has one free slot, and by the time it reaches the
 * head it has gathered more. The list is a ring, so that the class needs one pointer. */
void na_cache_list(struct na_cache *c, struct na_span *span)
{
	struct na_kind *kind = &c->kind[span->cls];
	struct na_span *head = kind->partial;

	span->listed = true;
	if (head) {
		span->next = head;
		span->prev = head->prev;
		head->prev->next = span;
		head->prev = span;
	} else {
		span->next = span->prev = span;
		kind->partial = span;
	}
	na_cache_own(c, span);
}

void na_cache_unlist(struct na_cache *c, struct na_span *span)
{
	struct na_kind *kind = &c->kind[span->cls];

	if (span->next == span) {
		kind->partial = NULL;
	} else {
		span->prev->next = span->next;
		span->next->prev = span->prev;
		if (kind->partial == span)
			kind->partial = span->next;
	}
	span->listed = false;
}

/* An empty span goes back to the pool, unless it is current, or QUEUED (then whoever drains it
 * comes here again). */
bool na_cache_release_if_empty(struct na_cache *c, struct na_span *span)
{
	uint32_t silent = NA_SILENT;

	if (na_unlikely(na_span_merge(span) != NULL))
		return na_merge_release(c, span);
	if (span->used != 0 || c->kind[span->cls].span == span)
		return false;
	if (!atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_WATCHED, memory_order_acquire,
						     memory_order_relaxed) &&
	    silent == NA_QUEUED)
		return false;
	if (span->listed)
		na_cache_unlist(c, span);
	na_pool_give_span(c->pool, span);
	return true;
}

/* Slots of a span of c's have been freed: it may be empty now, or it was full, and nobody's business, and from now
 * on is partial. Under the lock. */
void na_cache_settle(struct na_cache *c, struct na_span *span)
{
	uint32_t state = atomic_load_explicit(&c->state, memory_order_relaxed), silent = NA_SILENT;

	if (span->used == 0 && na_cache_release_if_empty(c, span))
		return;
	if (span->listed || c->kind[span->cls].span == span)
		return;
	/* Of an idle cache spans stay silent, so that who frees next says so: there is no owner that looks at those it watches. */
	if (state == NA_CACHE_IDLE || state == NA_CACHE_HELD
		    ? atomic_load_explicit(&span->flag, memory_order_relaxed) == NA_SILENT
		    : atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_WATCHED, memory_order_acquire,
							      memory_order_relaxed))
		na_cache_list(c, span);
}

/* The slot's bit; false if it was free already. Under the lock. */
static inline bool clear_slot(struct na_span *span, uint32_t slot)
{
	uint64_t bit = UINT64_C(1) << (slot % 64);

	if (!(na_span_taken(span, slot / 64) & bit))
		return false;
	na_span_free(span, slot / 64, bit);
	return true;
}

static bool put_slot(struct na_cache *c, struct na_span *span, const void *p)
{
	if (na_unlikely(na_span_merge(span) != NULL))
		return na_merge_put(c, span, na_slot_of(span, p));
	if (!clear_slot(span, na_slot_of(span, p)))
		return false;
	span->used--;
	na_cache_settle(c, span);
	return true;
}

/* A span off the queue. It is SILENT before we look, as in park(): a free that we do not see queues it again. */
static void drain_span(struct na_cache *c, struct na_span *span, bool idle)
{
	uint32_t silent = NA_SILENT;
	bool at_hand;

	atomic_store_explicit(&span->flag, NA_SILENT, memory_order_seq_cst);
	na_cache_collect(span);
	if (na_cache_release_if_empty(c, span))
		return;
	at_hand = span->listed || c->kind[span->cls].span == span;
	if (!at_hand && span->used == span->slots) /* taken again, all of it: parked */
		return;
	if (!idle && !atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_WATCHED, memory_order_acquire,
							      memory_order_relaxed))
		return; /* queued again: it comes back */
	if (!at_hand)
		na_cache_list(c, span);
}

void na_cache_drain(struct na_cache *c)
{
	/* acquire: pairs with the push's release, so that next_queued is seen. */
	struct na_span *span = atomic_exchange_explicit(&c->queue, NULL, memory_order_acquire), *next;
	uint32_t state = atomic_load_explicit(&c->state, memory_order_relaxed);
	bool idle = state == NA_CACHE_IDLE || state == NA_CACHE_HELD;

	for (; span; span = next) {
		next = span->next_queued;
		drain_span(c, span, idle);
	}
}

void na_cache_queue(struct na_cache *c, struct na_span *span)
{
	/* release: pairs with the exchange of drain() and tend(). */
	span->next_queued = atomic_load_explicit(&c->queue, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&c->queue, &span->next_queued, span, memory_order_release,
						      memory_order_relaxed))
		;
}

/* Tells a span's owner which slots were freed. */
static void send(struct na_span *span, uint32_t word, uint64_t bits)
{
	/* seq_cst: pairs with park() and drain(); also releases our writes to the blocks. */
	uint64_t before = atomic_fetch_or_explicit(&span->remote[word], bits, memory_order_seq_cst);
	uint32_t silent = NA_SILENT;

	for (uint64_t twice = before & bits; twice; twice &= twice - 1)
		na_cache_complain(
			(void *)(span->base + ((uintptr_t)word * 64 + (uintptr_t)__builtin_ctzll(twice)) * span->size),
			"freed twice", NULL);
	if (atomic_load_explicit(&span->flag, memory_order_seq_cst) != NA_SILENT ||
	    !atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_QUEUED, memory_order_acq_rel,
						     memory_order_relaxed))
		return;
	/* QUEUED is ours now, and keeps the owner from changing until it has drained us. */
	na_cache_queue(atomic_load_explicit(&span->cache, memory_order_relaxed), span);
}

static void flush_entry(struct na_cache *c, uint32_t i)
{
	struct na_pending e = c->pending[i];

	c->pending_used &= ~(1u << i);
	send(e.span, e.word, e.bits);
}

void na_cache_flush_pending(struct na_cache *c)
{
	while (c->pending_used)
		flush_entry(c, (uint32_t)__builtin_ctz(c->pending_used));
}

/* What is to be known of a span that is not c's. Once its last block is sent it may be another's, and of another size. */
struct origin {
	const struct na_pool *home;
	uint32_t cls, size;
};

static struct origin origin_of(const struct na_span *span)
{
	return (struct origin){ na_span_segment(span)->pool, span->cls, span->size };
}

/* `count` blocks from there have left this thread. */
static void count_remote(struct na_cache *c, const struct origin *from, uint32_t count)
{
	na_kind_hold(&c->kind[from->cls], -(int64_t)count);
	__atomic_store_n(&c->remote, c->remote + count, __ATOMIC_RELAXED);
	if (from->home != c->pool)
		atomic_fetch_add_explicit(&c->away[from->home - na_pools], (int64_t)count * from->size,
					  memory_order_relaxed);
	c->since_published += (uint64_t)count * from->size;
}

/* One slot waits with its neighbours to be sent; false if it waits already. */
static bool gather_remote(struct na_cache *c, struct na_span *span, uint32_t word, uint64_t bit)
{
	uint32_t i = (uint32_t)(((uintptr_t)span >> 7) ^ word) % NA_PENDING;
	struct na_pending *e = &c->pending[i];

	if ((c->pending_used >> i & 1) && (e->span != span || e->word != word))
		flush_entry(c, i);
	if (!(c->pending_used >> i & 1)) {
		*e = (struct na_pending){ span, 0, word, 0 };
		c->pending_used |= 1u << i;
	}
	if (e->bits & bit)
		return false;
	e->bits |= bit;
	e->bytes += span->size;
	if (e->bytes >= PENDING_BYTES || e->bits == ~UINT64_C(0))
		flush_entry(c, i);
	return true;
}

/* A block of a span that is not c's. */
static int free_remote(struct na_cache *c, struct na_span *span, const void *p)
{
	const struct origin from = origin_of(span);
	uint32_t slot = na_slot_of(span, p), word = slot / 64;
	uint64_t bit = UINT64_C(1) << (slot % 64);

	if (slot >= span->slots)
		return -EINVAL;
	if (c == &na_cache_none) { /* a thread past its end, or before its first allocation: nothing to gather in,
				    * nor to count in */
		send(span, word, bit);
		__atomic_fetch_sub(&c->kind[from.cls].held, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&c->remote, 1, __ATOMIC_RELAXED);
		atomic_fetch_add_explicit(&c->away[from.home - na_pools], from.size, memory_order_relaxed);
		na_live_add(-(int64_t)from.size);
		return 0;
	}
	if (!gather_remote(c, span, word, bit))
		return -EINVAL;
	count_remote(c, &from, 1);
	return 0;
}

/* Blocks of named pools are freed under the pool's cache's lock, at once, whoever frees. */
static int free_named(struct na_cache *owner, struct na_span *span, const void *p)
{
	unsigned int cls = span->cls; /* afterwards the span may be the pool's again */
	int64_t size = span->size;
	bool put;

	na_lock(&owner->lock);
	put = put_slot(owner, span, p);
	if (put) {
		na_kind_hold(&owner->kind[cls], -1);
		na_cache_tally(owner, -size);
	}
	na_cache_enforce(owner, "free_named");
	na_unlock(&owner->lock);
	if (!put)
		return -EINVAL;
	na_live_add(-size);
	return 0;
}

/* A block of a span of c's that found no stack. */
static int free_own(struct na_cache *c, struct na_span *span, const void *p)
{
	unsigned int cls = span->cls;
	bool put;

	na_lock(&c->lock);
	put = put_slot(c, span, p);
	if (put)
		na_kind_hold(&c->kind[cls], -1);
	na_cache_enforce(c, "free_own");
	na_unlock(&c->lock);
	return put ? 0 : -EINVAL;
}

int na_cache_free_slow(struct na_cache *c, struct na_span *span, void *p)
{
	struct na_cache *owner = atomic_load_explicit(&span->cache, memory_order_relaxed);

	if (na_span_kind(span) != NA_SPAN_SMALL || !owner || !na_slot_starts(span, p))
		return -EINVAL;
	if (na_lost_in((uintptr_t)p, span->size)) /* it stays taken for ever: its page is no good */
		return 0;
	if (atomic_load_explicit(&owner->state, memory_order_relaxed) == NA_CACHE_NAMED)
		return free_named(owner, span, p);
	if (*na_mark_of(p) == NA_FREED_MARK && na_cache_holds(c, span, p))
		return -EINVAL;
	if (owner == c)
		return free_own(c, span, p);
	*na_mark_of(p) = NA_FREED_MARK;
	return free_remote(c, span, p);
}

/* Blocks that came one after the other out of a stack, of one span of another cache's. */
struct run {
	struct na_span *span;
	uint32_t word; /* of the last block's slot, with the bits of those in `bits` */
	uint64_t bits;
	uint32_t freed; /* slots of the span, with those in `bits` */
};

static void complain_twice(const struct na_span *span, uint32_t slot)
{
	na_cache_complain((void *)(span->base + (uintptr_t)slot * span->size), "freed twice", NULL);
}

/* Neighbours are sent together, and a single slot waits for some. */
static void close_word(struct na_cache *c, struct run *r)
{
	if (!r->bits)
		return;
	if (r->bits & (r->bits - 1)) {
		send(r->span, r->word, r->bits);
	} else if (!gather_remote(c, r->span, r->word, r->bits)) {
		complain_twice(r->span, r->word * 64 + (uint32_t)__builtin_ctzll(r->bits));
		r->freed--;
	}
	r->bits = 0;
}

/* Blocks of another cache's span, as far as they lie in the slice of the first. Returns where another begins. */
static na_entry *give_others(struct na_cache *c, struct na_span *span, na_entry *block, const na_entry *end)
{
	uintptr_t slice = (uintptr_t)*block >> NA_SLICE_SHIFT;
	const struct origin from = origin_of(span);
	struct run r = { .span = span };

	for (; block < end && (uintptr_t)*block >> NA_SLICE_SHIFT == slice; block++) {
		uint32_t slot = na_slot_of(span, *block);
		uint64_t bit = UINT64_C(1) << (slot % 64);

		if (na_unlikely(!na_slot_starts(span, *block))) {
			na_cache_complain(*block, "freed, but is not the start of a block", NULL);
			continue;
		}
		if (slot / 64 != r.word || (r.bits & bit))
			close_word(c, &r); /* a bit that is there already: freed twice, which the next close finds */
		r.word = slot / 64;
		r.bits |= bit;
		r.freed++;
	}
	close_word(c, &r);
	if (r.freed)
		count_remote(c, &from, r.freed);
	return block;
}

/* Blocks of a merged span of c's own, as far as they lie in it. Under the lock. */
static na_entry *give_merged(struct na_cache *c, struct na_span *span, na_entry *block, const na_entry *end)
{
	uint32_t freed = 0, cls = span->cls;

	for (; block < end && (uintptr_t)*block - span->base < (uintptr_t)span->slots * span->size; block++) {
		if (!na_slot_starts(span, *block))
			na_cache_complain(*block, "freed, but is not the start of a block", NULL);
		else if (!na_merge_put(c, span, na_slot_of(span, *block)))
			complain_twice(span, na_slot_of(span, *block));
		else
			freed++;
	}
	na_kind_hold(&c->kind[cls], -(int64_t)freed);
	return block;
}

/* The same of a span of c's own, as far as blocks lie in it: `end` is behind the last. What the loop needs of the span is in registers: it
 * runs for each block that leaves a thread, and in a program that frees in no order at all once for each span. Under the lock. */
static na_entry *give_own(struct na_cache *c, struct na_span *span, na_entry *block, const na_entry *end)
{
	uintptr_t base = span->base, offset = (uintptr_t)*block - base;
	uint64_t reciprocal = span->reciprocal, size = span->size, extent = span->slots * size;
	uint64_t cleared = 0; /* bits, XORed: what the parity changes by */
	uint32_t used = span->used;

	if (na_unlikely(na_span_merge(span) != NULL))
		return give_merged(c, span, block, end);
	do {
		uint64_t slot = (offset * reciprocal) >> 32, bit = UINT64_C(1) << (slot % 64);
		_Atomic uint64_t *word = &span->taken[slot / 64];
		uint64_t taken = atomic_load_explicit(word, memory_order_relaxed);

		if (na_unlikely(slot * size != offset)) {
			na_cache_complain(*block, "freed, but is not the start of a block", NULL);
		} else if (na_unlikely(!(taken & bit))) {
			complain_twice(span, (uint32_t)slot);
		} else {
			atomic_store_explicit(word, taken ^ bit, memory_order_relaxed);
			cleared ^= bit;
			used--;
		}
	} while (++block < end && (offset = (uintptr_t)*block - base) < extent);
	na_kind_hold(&c->kind[span->cls], -(int64_t)(span->used - used));
	span->used = used;
	span->parity ^= cleared;
	if (na_unlikely(used == 0 || !span->listed))
		na_cache_settle(c, span);
	return block;
}

/* Neighbours in a stack are mostly of one slice: its span is looked up and settled once. */
static void give_blocks(struct na_cache *c, na_entry *block, uint32_t count)
{
	for (const na_entry *end = block + count; block < end;) {
		struct na_span *span = na_span_of(*block);

		if (atomic_load_explicit(&span->cache, memory_order_relaxed) == c)
			block = give_own(c, span, block, end);
		else
			block = give_others(c, span, block, end);
	}
}

void na_cache_give(struct na_cache *c, struct na_bin *bin, uint32_t count)
{
	na_entry *oldest = na_bin_at(bin, bin->floor + 1u);
	uint32_t depth = (uint32_t)bin->top - bin->floor;

	give_blocks(c, oldest, count);
	memmove(oldest, oldest + count, (depth - count) * sizeof(*oldest));
	__atomic_store_n(&bin->word, bin->word - count, __ATOMIC_RELAXED);
}

/* Half at first, three times; a thread that goes on freeing keeps less and less, for it will not want it soon, and each block kept may
 * hold a span that is empty but for it. What goes home anyway goes at once. */
void na_cache_spill(struct na_cache *c, struct na_bin *bin)
{
	uint32_t size = (uint32_t)bin->limit - bin->floor, depth = (uint32_t)bin->top - bin->floor;
	bool many = bin->spilled >= MANY_SPILLS, ours = bin == na_cache_bin(c, na_cache_id(c, bin->cls));

	__atomic_store_n(&c->spills, c->spills + 1, __ATOMIC_RELAXED);
	na_lock(&c->lock);
	na_cache_give(c, bin, many || !ours ? depth : (depth + 1) / 2);
	if (many && ours && size > (bin->cls < SHRINK_CLASSES ? 64 : 16)) {
		bin->limit = (uint16_t)(bin->floor + size / 2);
		c->grown_bytes -= na_cache_growth(bin->cls, size) - na_cache_growth(bin->cls, size / 2);
		na_cache_note_shape(c, bin);
	}
	if (bin->spilled < UINT8_MAX)
		bin->spilled++;
	na_cache_enforce(c, "spill");
	na_unlock(&c->lock);
	c->since_published += (uint64_t)depth * na_class_size(bin->cls);
	if (c->since_published >= c->publish_after || atomic_load_explicit(&na_publish_often, memory_order_relaxed))
		na_cache_publish(c);
}

/* Reads what another thread may be writing, a word at a time: a wrong word is one that is changing, and not the one we look for,
 * which is free all the while or not at all. ThreadSanitizer is told to pass over this function alone. */
__attribute__((no_sanitize("thread"))) static bool in_stack(struct na_bin *bin, const void *p)
{
	uint32_t top = __atomic_load_n(&bin->top, __ATOMIC_RELAXED), most = (uint32_t)bin->floor + bin->most;

	for (uint32_t i = bin->floor + 1u; i <= top && i <= most; i++)
		if (__atomic_load_n(na_bin_at(bin, i), __ATOMIC_RELAXED) == p)
			return true;
	return false;
}

static bool in_trap(struct na_cache *c, unsigned int cls, const void *p)
{
	return __atomic_load_n(&c->trap[cls].displaced, __ATOMIC_RELAXED) == p;
}

bool na_cache_holds(struct na_cache *c, const struct na_span *span, const void *p)
{
	uint32_t slot = na_slot_of(span, p);
	uint64_t bit = UINT64_C(1) << (slot % 64);

	if (na_span_kind(span) != NA_SPAN_SMALL || slot >= span->slots)
		return false;
	if (!na_slot_is_out(span, slot) || (atomic_load_explicit(&span->remote[slot / 64], memory_order_relaxed) & bit))
		return true;
	for (uint32_t i = 0; i < NA_PENDING; i++)
		if ((c->pending_used >> i & 1) && c->pending[i].span == span && c->pending[i].word == slot / 64 &&
		    (c->pending[i].bits & bit))
			return true;
	c = na_cache_first();
	for (uint32_t id = na_id_of(p); c && id; c = c->next_all)
		if (in_trap(c, span->cls, p) || in_stack(na_cache_bin(c, id), p) ||
		    (__atomic_load_n(&c->split, __ATOMIC_RELAXED) &&
		     (in_stack(&c->out[span->cls], p) || in_trap(c, span->cls, p))))
			return true; /* twice: the block moves from the one to the other, or back, while we look */
	return false;
}
