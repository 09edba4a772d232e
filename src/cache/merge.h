/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Spans of named pools, and in the concurrent mode of threads, whose pages are shared: several units, whose live slots do not overlap, lie on one frame, a part of a memory file
 * that all of their address ranges map. doc/design/merging.md says why it is as it is.
 *
 * A unit is the least run of pages of a span whose slots end where it ends (of 64 bytes a page with 64 slots, of 48 bytes three pages with 256), or
 * 2, 4, 8, 16 of those. All units of a class that count as many slots have the same layout, so any two may be merged. Only spans all of whose slots were
 * carved take part, of caches of named pools, which have one lock and neither stacks nor remote frees; in concurrent mode of threads' caches too: there a slot
 * in a stack, or on its way home, lives, and comes back when its owner collects it.
 *
 * What keeps the slow paths of malloc and free as they are: in a merged unit `taken` does not say what lives but what may not be given out. One unit of
 * a frame is its host: there a bit of `taken` is set if the slot lives in any of the frame's units, and it alone gives out slots.
 * In the others all bits are set. So a span with no host looks full, is in no list, and is never allocated from; one with a host is an ordinary
 * partial span. What lives is in `own`, a bit a slot, and how much in `live`.
 *
 * States of a span with a struct na_merge: merged (on its cache's list `merged`); retired, when nothing lives in it any more (on
 * `retired`): all bits set, in no ring of a frame, but still mapped to it. na_merge_restore() gives it private memory again, and it goes back to the pool.
 *
 * Locks. Who merges, restores or forks holds na_merging_lock (heap/merging.h), which is outside of all locks of the heap. Fields change under the
 * cache's lock as well; a free changes bits and may retire a span that is not QUEUED. While spans are being merged they are
 * QUEUED and in no list: nothing is allocated from them, and frees only clear bits.
 */
#ifndef NA_CACHE_MERGE_H
#define NA_CACHE_MERGE_H

#include "base/budget.h"
#include "cache/cache.h"

struct na_unit {
	struct na_frame *frame; /* NULL: private */
	struct na_unit *next;	/* of the same frame */
	struct na_merge *of;
	uint32_t index; /* in its span */
};

struct na_frame {
	union {
		struct na_unit *units;	     /* that live on it */
		struct na_frame *next_ended; /* nobody maps it any more */
	};
	struct na_unit *host; /* one of them */
	uint32_t count;	      /* of them */
	uint32_t mapped;      /* those, and units of retired spans that still map it */
	uint64_t at;	      /* in the file */
	uint32_t bytes;
	uint32_t empty; /* its memory went back, for nothing lived on it */
};

struct na_merge {
	struct na_span *span;
	struct na_merge *next, *prev;
	uint32_t live;	/* bits in own */
	uint16_t per;	/* slots a unit */
	uint16_t units; /* behind the last there may be slots that are in none: private */
	uint32_t apart; /* units that are private */
	uint32_t bytes; /* of a unit */
	uint32_t size;	/* of this */
	uint32_t retired;
	bool claimed;	       /* while spans are claimed, under the lock */
	_Atomic uint64_t *own; /* written under the cache's lock, read by any, relaxed */
	struct na_unit unit[];
};

static inline struct na_merge *na_span_merge(const struct na_span *span)
{
	return atomic_load_explicit(&span->merge, memory_order_acquire);
}

/* Whether the slot is out, whatever may be given out: what `taken` says of a span that is not merged. Any thread. */
static inline bool na_slot_is_out(const struct na_span *span, uint32_t slot)
{
	const struct na_merge *m = na_span_merge(span);

	return (m ? atomic_load_explicit(&m->own[slot / 64], memory_order_relaxed) : na_span_taken(span, slot / 64)) >>
		       (slot % 64) &
	       1;
}

/* Bits of `taken` that are set for no live slot. Under the lock. */
static inline uint32_t na_merge_shadows(const struct na_span *span)
{
	const struct na_merge *m = na_span_merge(span);

	return m ? span->used - m->live : 0;
}

/* Slots of a merged span were given out, those of a word; or one comes back: false if it was free. Under the lock. */
void na_merge_took(struct na_cache *c, struct na_merge *m, uint32_t word, uint64_t bits);
bool na_merge_put(struct na_cache *c, struct na_span *span, uint32_t slot);
/* The machine has lost a page of a merged span: free slots of its frames that lie on it are withdrawn, wherever they would be given
 * out. How many. Under the lock. */
uint32_t na_merge_bar(const struct na_span *span, uintptr_t page, size_t bytes);
/* Retires a merged span in which nothing lives; true: it is retired, and nobody's business. Under the lock. */
bool na_merge_release(struct na_cache *c, const struct na_span *span);

/* The rest: under na_merging_lock, no other held. */

struct na_merge_figures {
	uint64_t restored;     /* spans that became private again */
	uint64_t frame_bytes;  /* physical memory of frames, now */
	uint64_t mapped_bytes; /* addresses that share it, now */
	uint64_t edges;	       /* mappings more than there would be without, now; an upper bound */
	uint64_t purged;       /* bytes of private units in which nothing lived */
	uint64_t bound;	       /* units left apart because mappings were used up */
	uint64_t refused;      /* calls of the system that failed */
	uint64_t busy;	       /* units left apart because a page was pinned or shared just then */
};
extern struct na_merge_figures
	na_merge_figures; /* written under na_merging_lock and read by any: by relaxed atomic operations */

static inline void na_merge_count(uint64_t *figure, int64_t more)
{
	__atomic_fetch_add(figure, (uint64_t)more, __ATOMIC_RELAXED);
}

struct na_merge_limits {
	uint64_t edges; /* up to which mappings may be used */
	uint32_t grain; /* least units taken as one: 1, 2, 4, ... */
	/* Of spans that threads write to meanwhile; NULL: nobody does. */
	struct na_hold *hold;
	uint32_t spans; /* private ones that are taken at a time */
	/* Of slices; 0 in whole passes. */
	uint64_t
		deadline; /* nothing is begun after it; by na_merge_slice() nothing that is not expected to end before it */
	struct na_move_budget *budget; /* of units, counted down; the caller's */
	bool begun; /* na_merge_slice(): this slice has planned, or mapped something: one of those, however late it is */
	bool cut;   /* out, with `hold`: time or budget ended it */
	bool more;  /* out: there was more to do */
};

/* Merges what can be merged of a cache's class. 0, or -errno of the call that ended it. */
int na_merge_class(struct na_cache *c, unsigned int cls, struct na_merge_limits *limits);
/* The same in slices, a few private spans at a time, among themselves: see slicing.c. *left: spans of the class that it still has to look at, of which the caller
 * keeps count; UINT32_MAX: it has not begun. */
int na_merge_slice(struct na_cache *c, unsigned int cls, struct na_merge_limits *limits, uint32_t *left);
/* Slices forget what they had planned. */
void na_merge_slice_end(void);
extern uint64_t na_merge_epoch; /* counts up whenever frames end, or a cache is emptied */
/* Bytes that a perfect packing of the cache's partial spans would free, class by class, and, if `units` is not NULL, how many units of grain 1 they have;
 * the same of one class, with what is still private of merged spans, for merging while threads write: 0 if that is not worth it yet, as less than three quarters of what they hold can be
 * won. */
uint64_t na_merge_winnable(struct na_cache *c, uint64_t *units);
uint64_t na_merge_winnable_held(struct na_cache *c, unsigned int cls);
/* Retired spans get private memory and go back to the pool. 0, or -errno: the rest stays as it is. */
int na_merge_restore(struct na_cache *c);
/* Everything of a cache ends: contents are nobody's any more (a reset), or kept (na_merge_part(), in a forked child: each span gets memory of its own with its
 * contents). -errno: some spans are as they were; of a reset those are retired. */
int na_merge_drop(struct na_cache *c);
int na_merge_part(struct na_cache *c);
/* The pool's addresses are unmapped: frames go back. */
void na_merge_forget(struct na_cache *c);

/* ---- for the files of cache/ that merge ---- */

uint32_t na_merge_unit_pages(unsigned int cls);
struct na_merge *na_merge_make(struct na_cache *c, const struct na_span *span, uint32_t grain);
void na_merge_unmake(struct na_cache *c, struct na_merge *m);
/* A unit is on the frame from now on, where its pages are mapped. Under the lock. */
void na_merge_join(struct na_cache *c, struct na_merge *m, uint32_t index, struct na_frame *frame);
/* It leaves it for another one that it is mapped to already; true: nobody maps the frame any more. Under the lock. */
bool na_merge_leave(struct na_cache *c, struct na_unit *unit);
/* Given a frame that nobody maps: memory and structure. */
void na_merge_end_frame(struct na_cache *c, struct na_frame *frame);
/* The structure alone: its memory has gone back. */
void na_merge_forget_frame(struct na_cache *c, struct na_frame *frame);
/* Nothing lived on it, and its memory went back. Under the lock. */
void na_merge_emptied(struct na_cache *c, struct na_frame *frame);
void na_merge_filled(struct na_cache *c, struct na_frame *frame); /* and comes again. Under the lock */
void na_merge_begin(struct na_merge *m);			  /* `own` from what is taken; under the lock */
void na_merge_retire(struct na_cache *c, struct na_merge *m);
void na_merge_show(struct na_unit *unit); /* `taken` of a unit by what lives on its frame; under the lock */

/* `count` (up to 64) bits from `from` on. */
static inline uint64_t na_merge_bits(const _Atomic uint64_t *words, uint32_t from, uint32_t count)
{
	uint32_t shift = from % 64;
	uint64_t bits = atomic_load_explicit(&words[from / 64], memory_order_relaxed) >> shift;

	if (shift + count > 64)
		bits |= atomic_load_explicit(&words[from / 64 + 1], memory_order_relaxed) << (64 - shift);
	return count == 64 ? bits : bits & ((UINT64_C(1) << count) - 1);
}

#endif
