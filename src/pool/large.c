/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large blocks: runs of slices up to 8 MiB, and mappings of their own ("huge") above. Freed ones are
 * kept for reuse until they decay.
 *
 * A block that grows is expected to grow again. A run takes in the free slices behind it; where there are none, and it is
 * large enough, it moves, once, into a mapping of its own with address space to spare, in which it grows without a system call
 * or a copy. When that is full the mapping grows, or its pages move by mremap. A mapping's "committed" bytes are what
 * counts against the limits; what is behind a block that did not grow goes back after the decay time.
 *
 * A kept huge mapping is handed out again whole: to a request of 80% to 100% of its committed bytes, to one that is larger, or to a
 * block that grows, also to one that outgrows the mapping it has. Its metadata block goes back to the arena when it is unmapped, all zero (the grow path of pool.c relies on it).
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/options.h"
#include "os/os.h"
#include "pool/away.h"
#include "pool/lost.h"
#include "pool/pool.h"

#define HUGE_UNIT ((size_t)1 << 21) /* lengths are rounded to this, so that THP can back all of it */
#define GROW_MIN  ((size_t)1 << 17) /* from here on a growing run may get a mapping of its own */
#define GROWN_MAX 4096		    /* such mappings a pool: each may cost an entry of vm.max_map_count */

struct na_away na_away;

/* What counts as live, and what malloc_usable_size says: whole pages, the least that can be touched. */
static size_t pages_of(size_t size)
{
	return (size + NA_PAGE - 1) & ~(NA_PAGE - 1);
}

/*
 * Cache colouring: blocks begin at different lines of their first page. A processor finds a line's place in its first-level cache by the address within a page, so
 * a loop over a dozen arrays that all begin with a page has all their lines in one place, which holds eight: it runs at a
 * half to a third of its speed. The colour is of the place, so that a block that comes again touches the pages that it touched before.
 */
#define LINE	    ((size_t)64)
#define COLOURS	    64
#define COLOUR_MOST ((COLOURS - 1) * LINE)
#define COLOURED_FROM                                                                                                  \
	((size_t)1                                                                                                     \
	 << 19) /* from here on room is made for a colour; below, it is what a block's last slice has to spare */

/* Where a block begins behind its place, if it may: at most `room`. */
static size_t colour_of(uintptr_t place, size_t room)
{
	size_t colour = (size_t)((place >> NA_SLICE_SHIFT) * UINT64_C(0x9e3779b97f4a7c15) >> 58) * LINE;

	return colour < room ? colour : room & ~(LINE - 1);
}

/* What a block's colour is. Aligned ones have none. */
static size_t colour(const struct na_span *span)
{
	return span->base & (NA_SLICE - 1);
}

static bool may_be_coloured(size_t alignment)
{
	return alignment <= LINE;
}

/* What can be used of a block of `size` bytes that begins so far behind a page. */
static size_t usable(size_t size, size_t begins)
{
	return pages_of((size ? size : 1) + begins) - begins;
}

static void list_push(struct na_segment **head, struct na_segment *s)
{
	s->prev = NULL;
	s->next = *head;
	if (*head)
		(*head)->prev = s;
	*head = s;
}

static void list_remove(struct na_segment **head, struct na_segment *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		*head = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

enum wish {
	FITTING, /* for a block that stays as it is: little more than it needs, or less */
	GROWING, /* for one that will grow: some more than it needs, or less */
	TOUCHED	 /* for one that has outgrown its own: all that it needs, and some more */
};

/* A block that grows gets what is at most so many times longer: a longer one would lie idle beside it, for most blocks stop. */
#define ROOM 4

/* How well a kept mapping suits: less is better; SIZE_MAX: not at all. The least that is enough, or the most of what is not, for the rest must
 * be touched afresh. */
static size_t misfit(const struct na_segment *s, size_t length, size_t mapped, size_t alignment, enum wish wish)
{
	if (s->busy || s->placement.kind || s->length < mapped || (s->base & (alignment - 1)))
		return SIZE_MAX;
	if (s->committed < length)
		return wish == TOUCHED ? SIZE_MAX : SIZE_MAX / 2 - s->committed;
	if (wish == FITTING ? s->committed - s->committed / 5 > length : s->committed / ROOM > length)
		return SIZE_MAX;
	return s->committed - length;
}

/* A kept mapping of at least `mapped` bytes for a block that will commit `length`. */
static struct na_segment *take_kept(struct na_pool *pool, size_t length, size_t mapped, size_t alignment,
				    enum wish wish)
{
	struct na_segment *best = NULL;
	size_t least = SIZE_MAX, more;

	na_lock(&pool->lock);
	for (struct na_segment *s = pool->huge_kept; s; s = s->next) {
		size_t m = misfit(s, length, mapped, alignment, wish);

		if (m < least) {
			least = m;
			best = s;
		}
	}
	if (best) {
		more = length > best->committed ? length - best->committed : 0;
		if (!na_pool_charge(pool, more, best->committed + more)) {
			best = NULL;
		} else {
			list_remove(&pool->huge_kept, best);
			list_push(&pool->huge_live, best);
			pool->huge_kept_bytes -= best->committed;
			pool->huge_bytes += best->committed + more;
			pool->large_reused++;
		}
	}
	na_unlock(&pool->lock);
	return best;
}

static bool charge(struct na_pool *pool, size_t length)
{
	bool ok;

	na_lock(&pool->lock);
	ok = na_pool_charge(pool, length, length);
	if (ok)
		pool->huge_bytes += length;
	na_unlock(&pool->lock);
	return ok;
}

static void refund(struct na_pool *pool, size_t length)
{
	na_lock(&pool->lock);
	pool->huge_bytes -= length;
	na_unlock(&pool->lock);
	na_pool_refund(pool, length);
}

/* A mapping of `mapped` bytes, or if that is not to be had (ulimit -v) of `length`. */
static int map_place(size_t length, size_t *mapped, size_t alignment, void **out)
{
	int rc = *mapped == NA_SEGMENT && alignment <= NA_SEGMENT
			 ? na_pool_map_segment(NA_SEGMENT, out)
			 : na_map_reserve(*mapped, alignment > NA_SEGMENT ? alignment : NA_SEGMENT, out);

	if (rc < 0 && *mapped > length) {
		*mapped = length;
		rc = na_map_reserve(length, alignment > NA_SEGMENT ? alignment : NA_SEGMENT, out);
	}
	return rc;
}

static struct na_segment *map_huge(struct na_pool *pool, size_t length, size_t mapped, size_t alignment,
				   const struct na_placement *placement)
{
	struct na_segment *segment;
	void *base;
	int fresh;

	if (!charge(pool, length)) {
		if (na_pool_purge(pool, true) == 0 || !charge(pool, length))
			return NULL;
	}
	segment = na_arena_take(&pool->arena, sizeof(*segment), &fresh);
	if (!segment)
		goto refund_length;
	*(void **)segment = NULL;
	segment->hugetlb = !placement && mapped == length && na_pages_map(length, alignment, &base) == 0;
	if (!segment->hugetlb && map_place(length, &mapped, alignment, &base) < 0)
		goto give_segment;
	if (placement) {
		segment->placement = *placement;
		segment->placement.length = length;
		segment->placement.refused = na_placement_apply(placement, base, length);
	} else {
		na_pool_bind(pool, base, mapped);
		if (!segment->hugetlb)
			na_pages_advise_block(pool, base, length, mapped);
	}
	segment->pool = pool;
	segment->base = (uintptr_t)base;
	segment->length = mapped;
	segment->huge = true;
	na_segment_seal(segment);
	na_map_set(segment);
	na_lock(&pool->lock);
	list_push(&pool->huge_live, segment);
	pool->reserved += mapped;
	atomic_fetch_add_explicit(&pool->huge_count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&na_pool_mappings, 1, memory_order_relaxed);
	na_unlock(&pool->lock);
	return segment;

give_segment:
	na_arena_give(&pool->arena, segment, sizeof(*segment));
refund_length:
	refund(pool, length);
	return NULL;
}

/* A mapping becomes a live block, for which `length` bytes of it are charged. */
static void *make_live(struct na_segment *segment, size_t size, size_t length, bool coloured)
{
	struct na_span *span = &segment->span[0];
	struct na_pool *pool = segment->pool;

	span->base = segment->base + (coloured ? colour_of(segment->base, length - size) : 0);
	span->length = usable(size, colour(span));
	na_lock(&pool->lock);
	if (segment->committed < length)
		segment->committed = length;
	segment->huge_stamp = (uint8_t)atomic_load_explicit(&na_pool_epoch, memory_order_relaxed);
	na_segment_seal(segment);
	pool->large_count++;
	pool->large_live += span->length;
	atomic_store_explicit(&span->kind, NA_SPAN_HUGE, memory_order_release);
	na_span_seal(span);
	na_unlock(&pool->lock);
	return (void *)span->base;
}

/* A huge block that commits `length` bytes of at least `mapped`. */
static void *take_huge(struct na_pool *pool, size_t size, size_t length, size_t mapped, size_t alignment, bool zero,
		       enum wish wish)
{
	struct na_segment *segment = take_kept(pool, length, mapped, alignment, wish);
	size_t touched = segment ? segment->committed : 0, begins;
	char *p;

	if (!segment)
		segment = map_huge(pool, length, mapped, alignment, NULL);
	if (!segment)
		return NULL;
	p = make_live(segment, size, length, may_be_coloured(alignment));
	begins = colour(&segment->span[0]);
	if (zero && touched > begins)
		memset(p, 0, size < touched - begins ? size : touched - begins);
	return p;
}

/* Rounds up; 0 if that is more than there are addresses. */
static size_t round_length(size_t size, size_t unit)
{
	size_t length;

	if (__builtin_add_overflow(size ? size : 1, unit - 1, &length) || length >> (NA_ADDRESS_BITS - 1))
		return 0;
	return length & ~(unit - 1);
}

/* A kept mapping of just this length and placement: its policy is laid over its length. */
static struct na_segment *take_kept_placed(struct na_pool *pool, size_t length, size_t alignment,
					   const struct na_placement *placement)
{
	struct na_segment *s;

	na_lock(&pool->lock);
	for (s = pool->huge_kept; s; s = s->next)
		if (!s->busy && s->placement.kind && s->length == length && s->placement.length == length &&
		    !(s->base & (alignment - 1)) && na_placement_same(&s->placement, placement))
			break;
	/* Some of it may have been given back meanwhile, and is to be charged again. */
	if (s && na_pool_charge(pool, length - s->committed, length)) {
		list_remove(&pool->huge_kept, s);
		list_push(&pool->huge_live, s);
		pool->huge_kept_bytes -= s->committed;
		pool->huge_bytes += length;
		pool->large_reused++;
	} else {
		s = NULL;
	}
	na_unlock(&pool->lock);
	return s;
}

/* The policy is laid over the pages of the block alone, so nothing is mapped beyond them. */
void *na_large_take_placed(struct na_pool *pool, size_t size, size_t alignment, const struct na_placement *placement,
			   int *refused)
{
	size_t length = round_length(size, placement->huge ? HUGE_UNIT : NA_PAGE);
	struct na_segment *segment;

	if (!length)
		return NULL;
	segment = take_kept_placed(pool, length, alignment, placement);
	if (!segment)
		segment = map_huge(pool, length, length, alignment, placement);
	if (!segment)
		return NULL;
	*refused = segment->placement.refused;
	return make_live(segment, size, length, false);
}

/* What is charged for a huge block: whole huge pages, and where they leave no room for a colour, a slice more. */
static size_t huge_length(size_t size, size_t alignment)
{
	size_t length = na_pages_round(round_length(size, HUGE_UNIT));

	if (length && may_be_coloured(alignment) && length - size < COLOUR_MOST && !na_pages_whole())
		length += NA_SLICE;
	return length;
}

void *na_large_take(struct na_pool *pool, size_t size, size_t alignment, bool zero)
{
	bool coloured = may_be_coloured(alignment);
	uint32_t slices, align;
	struct na_span *span;
	bool clean;

	if (size > NA_RUN_MAX || alignment > NA_RUN_MAX) {
		size_t length = huge_length(size, alignment);

		return length ? take_huge(pool, size, length, length, alignment, zero, FITTING) : NULL;
	}
	slices = (uint32_t)((size + (coloured && size >= COLOURED_FROM ? COLOUR_MOST : 0) + NA_SLICE - 1) >>
			    NA_SLICE_SHIFT);
	if (slices == 0)
		slices = 1;
	align = alignment > NA_SLICE ? (uint32_t)(alignment >> NA_SLICE_SHIFT) : 1;
	if (na_pool_take_run(pool, slices, align, false, &clean, &span) < 0)
		return NULL;
	if (coloured)
		span->base += colour_of(span->base, slices * NA_SLICE - size);
	atomic_store_explicit(&span->cache, NULL, memory_order_relaxed);
	span->length = usable(size, colour(span));
	na_lock(&pool->lock);
	pool->large_count++;
	pool->large_reused += !clean;
	pool->large_live += span->length;
	atomic_store_explicit(&span->kind, NA_SPAN_LARGE, memory_order_release);
	na_span_seal(span);
	na_unlock(&pool->lock);
	if (zero && !clean)
		memset((void *)span->base, 0, size);
	return (void *)span->base;
}

/* Under the lock: whether the block is live; makes it dead. */
static bool retire(struct na_pool *pool, struct na_span *span, void *p, uint8_t kind)
{
	if (na_span_kind(span) != kind || (uintptr_t)p != span->base)
		return false;
	atomic_store_explicit(&span->kind, kind == NA_SPAN_LARGE ? NA_SPAN_CLAIMED : NA_SPAN_NONE,
			      memory_order_relaxed);
	pool->large_live -= span->length;
	pool->large_freed++;
	span->seal = 0;
	return true;
}

int na_large_give(struct na_span *span, void *p)
{
	struct na_segment *segment = na_segment_of(p);
	struct na_pool *pool = segment->pool;
	uint8_t kind = na_span_kind(span);
	bool live;

	if (!pool || (kind != NA_SPAN_LARGE && kind != NA_SPAN_HUGE))
		return -EINVAL;
	if ((uintptr_t)p == span->base)
		na_away_end(p, false);
	if ((uintptr_t)p == span->base && na_lost_in(span->base, span->length))
		na_lost_replace(span->base, span->length);
	na_lock(&pool->lock);
	live = retire(pool, span, p, kind);
	if (live && kind == NA_SPAN_HUGE) {
		list_remove(&pool->huge_live, segment);
		list_push(&pool->huge_kept, segment);
		segment->huge_stamp = (uint8_t)atomic_load_explicit(&na_pool_epoch, memory_order_relaxed);
		pool->huge_bytes -= segment->committed;
		pool->huge_kept_bytes += segment->committed;
	}
	na_unlock(&pool->lock);
	if (!live)
		return -EINVAL;
	if (kind == NA_SPAN_LARGE)
		na_pool_give_run(pool, span, span->slices);
	return 0;
}

/* Maps more for a huge block: where it lies, or by moving its pages to a new place. The block is the caller's alone, as
 * realloc's argument must be, so only the lists need the lock. NULL if it cannot be. */
static void *grow_mapping(struct na_segment *segment, size_t mapped)
{
	struct na_pool *pool = segment->pool;
	size_t old = segment->length, begins = colour(&segment->span[0]);
	void *to;

	if (segment->hugetlb)
		return NULL;
	if (na_map_covers(segment->base, mapped) && na_os.remap((void *)segment->base, old, mapped, NULL) == 0) {
		to = (void *)segment->base;
	} else {
		if (na_map_reserve(mapped, NA_SEGMENT, &to) < 0)
			return NULL;
		na_map_clear(
			segment); /* before its place is free: another thread's segment may come to lie there at once */
		if (na_os.remap((void *)segment->base, old, mapped, to) < 0) {
			na_map_set(segment);
			na_os.unmap(to, mapped);
			return NULL;
		}
	}
	na_pool_bind(pool, to, mapped); /* an area that grew in place keeps its policy, a fresh target has none */
	na_lock(&pool->lock);
	segment->base = (uintptr_t)to;
	segment->length = mapped;
	segment->span[0].base = segment->base + begins;
	na_span_seal(&segment->span[0]);
	na_segment_seal(segment);
	pool->reserved += mapped - old;
	na_unlock(&pool->lock);
	na_map_set(segment);
	return (char *)to + begins;
}

/* Commits `length` bytes, more than before, in a mapping that nobody else changes meanwhile. NULL if it cannot be. */
static void *commit_more(struct na_segment *segment, void *p, size_t length)
{
	struct na_pool *pool = segment->pool;
	size_t more = length - segment->committed, mapped;

	/* At the limit, as in map_huge(): a copy, the caller's other way, would need room for two of the block. */
	if (!charge(pool, more) && (na_pool_purge(pool, true) == 0 || !charge(pool, more)))
		return NULL;
	if (length > segment->length) {
		mapped = round_length(length * 2, HUGE_UNIT);
		p = mapped ? grow_mapping(segment, mapped) : NULL;
		if (!p) /* address space is scarce */
			p = grow_mapping(segment, round_length(length, HUGE_UNIT));
	}
	if (!p)
		refund(pool, more);
	return p;
}

/* Its place to change a huge block is the caller's alone from here on. */
static void begin_change(struct na_pool *pool, struct na_segment *segment)
{
	na_lock(&pool->lock);
	while (segment->busy) { /* the maintenance thread gives back what lies behind the block, where it may grow */
		na_unlock(&pool->lock);
		sched_yield();
		na_lock(&pool->lock);
	}
	segment->busy = NA_BUSY;
	na_unlock(&pool->lock);
}

/* A block that has outgrown what it has touched goes on in a kept mapping where all was touched: that it is copied costs no more than the
 * faults of as much fresh memory, and what is kept comes into use instead of lying beside it. */
static void *move_to_kept(struct na_segment *segment, void *p, size_t size, size_t length)
{
	struct na_span *span = &segment->span[0];
	struct na_segment *to = take_kept(segment->pool, length, length, 16, TOUCHED);
	void *q;

	if (!to)
		return NULL;
	q = make_live(to, size, length, true);
	memcpy(q, p, span->length);
	na_large_give(span, p);
	return q;
}

/* The bytes that a huge block which grows commits to begin with, or when it has come to their end. */
static size_t growing_length(size_t size, size_t begins)
{
	return size >> (NA_ADDRESS_BITS - 1) ? 0
					     : round_length(size + begins, size > NA_RUN_MAX ? HUGE_UNIT : NA_SLICE);
}

static void *resize_huge(struct na_segment *segment, void *p, size_t size)
{
	struct na_span *span = &segment->span[0];
	size_t begins = colour(span), length = growing_length(size, begins), most = growing_length(size, COLOUR_MOST);
	struct na_pool *pool = segment->pool;
	bool outgrown = length && size + begins > segment->committed;
	void *q;

	if (!length || (segment->placement.kind && outgrown) ||
	    (size < segment->committed / 2 && size < span->length / 2))
		return NULL; /* much smaller: the caller moves it */
	q = outgrown ? move_to_kept(segment, p, size, most) : NULL;
	if (q)
		return q;
	begin_change(pool, segment);
	outgrown = size + begins > segment->committed; /* what lies behind the block may have gone back meanwhile */
	if (outgrown)
		p = commit_more(segment, p, length);
	na_lock(&pool->lock);
	if (p) {
		if (outgrown) /* else its end may lie anywhere in a unit, of which not all need be there */
			segment->committed = length;
		pool->large_live += usable(size, begins) - span->length;
		span->length = usable(size, begins);
		na_span_seal(span);
		na_segment_seal(segment);
	}
	segment->huge_stamp = (uint8_t)atomic_load_explicit(&na_pool_epoch, memory_order_relaxed);
	segment->busy = 0;
	na_unlock(&pool->lock);
	return p;
}

/* A run that cannot grow where it lies, and is large enough, gets a mapping of its own. */
static void *grow_run(struct na_pool *pool, struct na_span *span, void *p, size_t size)
{
	uint32_t slices = (uint32_t)((size + colour(span) + NA_SLICE - 1) >> NA_SLICE_SHIFT);
	size_t length, mapped;
	void *q;

	/* From GROW_MIN on there may be a kept mapping to go on in: rather that than fresh memory. */
	if (size <= NA_RUN_MAX && na_pool_extend_run(pool, span, slices, size >= GROW_MIN) == 0)
		return p;
	if (size < GROW_MIN || atomic_load_explicit(&pool->huge_count, memory_order_relaxed) >= GROWN_MAX)
		return NULL;
	length = growing_length(size, COLOUR_MOST);
	mapped = length <= NA_SEGMENT / 2 ? NA_SEGMENT : round_length(length * 2, HUGE_UNIT);
	if (!length || !mapped)
		return NULL;
	q = take_huge(pool, size, length, mapped, 16, false, GROWING);
	if (!q)
		return NULL;
	memcpy(q, p, span->length);
	na_large_give(span, p);
	return q;
}

void *na_large_resize(struct na_span *span, void *p, size_t size)
{
	struct na_segment *segment = na_segment_of(p);
	struct na_pool *pool = segment->pool;
	size_t begins = colour(span), capacity = (size_t)span->slices * NA_SLICE - begins;
	void *q = p;

	na_away_end(p, true);
	if (na_span_kind(span) == NA_SPAN_HUGE)
		return resize_huge(segment, p, size);
	if (size < capacity / 2 && size + NA_SLICE < capacity)
		return NULL; /* much smaller: the caller moves it, and the rest serves others */
	if (size > capacity)
		q = grow_run(pool, span, p, size);
	if (q != p) /* a block of its own, with its length, or none */
		return q;
	na_lock(&pool->lock);
	pool->large_live += usable(size, begins) - span->length;
	span->length = usable(size, begins);
	na_span_seal(span);
	na_unlock(&pool->lock);
	return p;
}
