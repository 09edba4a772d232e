/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments, slices, spans: how address space is cut, and how a pointer finds its metadata.
 *
 * A segment is 32 MiB of address space, aligned to its size, belonging to one pool (so to one NUMA
 * node). It has 512 slices of 64 KiB. A span is one slice cut into slots of one size class, or
 * a run of slices that is one large block. A block above NA_RUN_MAX has a segment of its own ("huge"), whose
 * length is its own.
 *
 * Metadata lie elsewhere, in the pool's arena: struct na_segment has one struct na_span a slice, and one "id", which
 * tells free() where in a thread's cache the slice's blocks belong (see cache/cache.h); 0: nowhere, take the slow path.
 *
 * The map (32 MiB of address space in .bss, of which a page for each 16 GiB in use is touched) leads from address / 32 MiB
 * to the segment's ids. What it holds is a distance from the map's own start, less the index that the low half
 * of the segment's address gives: so the low half of any address in it, shifted, finds the id with no mask, and an address that is
 * not ours (entry 0) finds one of the zeros at the map's start, with no test. See na_id_of().
 *
 * A struct na_segment is never returned, so a late reader of stale metadata reads a span's, if another one's.
 */
#ifndef NA_POOL_SEGMENT_H
#define NA_POOL_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/placement.h"

#define NA_SLICE_SHIFT	 16
#define NA_SLICE	 ((size_t)1 << NA_SLICE_SHIFT)
#define NA_SEGMENT_SHIFT 25
#define NA_SEGMENT	 ((size_t)1 << NA_SEGMENT_SHIFT)
#define NA_SLICES	 (NA_SEGMENT / NA_SLICE)
#define NA_SLICE_WORDS	 (NA_SLICES / 64)
#define NA_RUN_MAX	 ((size_t)8 << 20) /* above: huge */
#define NA_ADDRESS_BITS	 47
#define NA_MAP_ENTRIES	 ((size_t)1 << (NA_ADDRESS_BITS - NA_SEGMENT_SHIFT))

struct na_cache;
struct na_bin;
struct na_merge;
struct na_pool;

/* No two differ in one bit alone, so that a flipped one is none of them; so it is with na_span_flag. */
enum na_span_kind {
	NA_SPAN_NONE = 0,     /* free, or never used */
	NA_SPAN_SMALL = 3,    /* slots of a size class */
	NA_SPAN_LARGE = 5,    /* one block, this is its first slice */
	NA_SPAN_TAIL = 6,     /* a later slice of a run */
	NA_SPAN_HUGE = 9,     /* one block, the whole segment */
	NA_SPAN_CLAIMED = 10, /* first slice of a run that is about to be one of these, or was */
	NA_SPAN_BARRED = 12   /* withdrawn from use by a repair, with all that is in it */
};

/* Whether the one who frees a block from outside must tell the owner. Transitions:
 * WATCHED -> SILENT by the owner, under its lock; SILENT -> QUEUED by a freeing thread, which
 * then pushes the span on the owner's queue; any -> WATCHED by the owner, under its lock, from
 * QUEUED only after taking the span off the queue. While QUEUED a span is neither released nor
 * given to another owner. */
enum na_span_flag { NA_WATCHED = 0x57a7, NA_SILENT = 0x5113e, NA_QUEUED = 0x9e0ed };

#define NA_MOVING 0x5a /* a span between two caches, in neither's hands */
#define NA_BUSY	  0xa5 /* na_segment's busy */

struct na_span {
	uintptr_t base;		   /* first slot, or the large block */
	_Atomic(uint64_t) *taken;  /* a bit a slot, 1: not free, or not carved yet. Written by the owner under its lock,
	                          * read by any: both relaxed */
	_Atomic(uint64_t) *remote; /* a bit a slot freed by others; fetch_or by them, exchange by the owner */
	_Atomic(struct na_cache *) cache; /* owner, also while parked; NULL for large */
	uint64_t reciprocal;		  /* ceil(2^32 / size) */
	struct na_span *next, *prev;	  /* list of partial spans; owner, under its lock */
	struct na_span *next_queued;	  /* while QUEUED: whoever holds the queue */
	union {
		size_t length; /* large and huge: bytes usable */
		/* Small: what is known of its merged units (cache/merge.h), or NULL. Written under the owner's lock, with release;
		 * acquire by any that asks about a block. */
		_Atomic(struct na_merge *) merge;
	};
	uint32_t used;	       /* owner, under its lock: carved slots that are not free */
	uint32_t size;	       /* bytes a slot */
	uint32_t slices;       /* length of the run; tail: distance to the first slice */
	_Atomic uint32_t flag; /* enum na_span_flag */
	uint16_t slots;
	_Atomic uint16_t
		carved;	  /* slots ever given out, from the first on; the others' memory is untouched. Owner, under its
	                          * lock; read by any, relaxed */
	uint16_t left_at; /* slots in use when free pages were last given back; owner\'s lock */
	uint8_t cls;
	_Atomic uint8_t kind;	    /* enum na_span_kind; written under the pool's lock */
	bool listed;		    /* owner, under its lock: in the list of partial spans */
	uint8_t moving;		    /* NA_MOVING or 0; under the lock of the cache that it leaves or comes to */
	uint16_t not_carved;	    /* complement of carved; written with it */
	uint32_t seal;		    /* na_span_sealing() of what seldom changes; written where that is */
	_Atomic uint64_t own_taken; /* what taken and remote point to if there are at most 64 slots */
	_Atomic uint64_t own_remote;
	uint64_t parity; /* all words of taken, XORed; owner, under its lock */
} __attribute__((aligned(128)));

_Static_assert(sizeof(struct na_span) == 128, "the slice's metadata are found by shifting");

struct na_segment {
	struct na_span span[NA_SLICES];
	struct na_pool *pool; /* set before the segment is in the map, then constant */
	uintptr_t base;
	size_t length;	  /* mapped bytes; more or less than NA_SEGMENT only if huge or scarce */
	size_t committed; /* huge: of those, charged against the limits: what may have been touched; pool lock */
	bool huge;
	bool hugetlb;	/* huge: of reserved pages, which go back by unmapping alone */
	uint8_t busy;	/* NA_BUSY or 0; huge: being resized, or what lies behind it being purged; pool lock */
	uint32_t seal;	/* na_segment_sealing() of what is above, and of base to index; pool lock */
	uint32_t index; /* in the pool's table */
	uint64_t free[NA_SLICE_WORDS];	/* pool lock: slices nobody has */
	uint64_t dirty[NA_SLICE_WORDS]; /* pool lock: of those, which may hold data and pages */
	uint8_t stamp[NA_SLICES];	/* pool lock: epoch of the slice's release */
	struct na_segment *next, *prev; /* huge: pool's lists, pool lock */
	struct na_placement placement;	/* huge, of a block that was placed; set before it is in the map */
	uint8_t huge_stamp;		/* epoch of the release, or of the last change of size */
	_Atomic uint32_t id[NA_SLICES]; /* owner of the slice's span; read by any thread that frees */
};

#define NA_LOW_SLICES ((size_t)1 << (32 - NA_SLICE_SHIFT)) /* in 4 GiB */

struct na_map {
	uint32_t nowhere[NA_LOW_SLICES]; /* all zero, never written */
	_Atomic uintptr_t entry[NA_MAP_ENTRIES];
};

/* Exported for libnumarena-malloc, which has the fast paths inline. */
extern struct na_map na_map __asm__("numarena_internal_map") __attribute__((visibility("default")));
extern struct na_span na_span_none; /* what an address that is not ours leads to: NA_SPAN_NONE */

/* The id of the slice that p lies in; 0 if it is not ours, or nothing for the fast path. */
static inline uint32_t na_id_of(const void *p)
{
	uintptr_t ids = (uintptr_t)&na_map, i = (uintptr_t)p >> NA_SEGMENT_SHIFT;

	/* relaxed, both loads: published with the pointer itself */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
	/* The compiler would take three instructions, on the path of every free. */
	__asm__ volatile("addq %c2(%0,%1,8), %0" : "+r"(ids) : "r"(i), "i"(offsetof(struct na_map, entry)) : "cc");
#else
	ids += atomic_load_explicit(&na_map.entry[i], memory_order_relaxed);
#endif
	return atomic_load_explicit((_Atomic uint32_t *)ids + ((uint32_t)(uintptr_t)p >> NA_SLICE_SHIFT),
				    memory_order_relaxed);
}

/* The segment that p lies in, or NULL. */
static inline struct na_segment *na_segment_of(const void *p)
{
	uintptr_t entry = atomic_load_explicit(&na_map.entry[(uintptr_t)p >> NA_SEGMENT_SHIFT], memory_order_relaxed);
	uint32_t low = (uint32_t)(uintptr_t)p & ~(uint32_t)(NA_SEGMENT - 1);

	if (!entry)
		return NULL;
	return (struct na_segment *)((uintptr_t)&na_map + entry + (low >> NA_SLICE_SHIFT) * sizeof(uint32_t) -
				     offsetof(struct na_segment, id));
}

static inline bool na_address_valid(const void *p)
{
	return (uintptr_t)p >> NA_ADDRESS_BITS == 0;
}

static inline uint8_t na_span_kind(const struct na_span *span)
{
	return atomic_load_explicit(&span->kind, memory_order_relaxed);
}

/* The span that p lies in; of a run its first slice's, of nothing na_span_none. */
static inline struct na_span *na_span_of(const void *p)
{
	struct na_segment *segment = na_segment_of(p);
	struct na_span *span;

	if (!segment)
		return &na_span_none;
	span = &segment->span[segment->huge ? 0 : ((uintptr_t)p >> NA_SLICE_SHIFT) & (NA_SLICES - 1)];
	return na_span_kind(span) == NA_SPAN_TAIL ? span - span->slices : span;
}

#define NA_SEAL_FACTOR UINT64_C(0x9e3779b97f4a7c15)

/* Zeros have no seal of zero: memory that was never written is no sealed object. */
static inline uint64_t na_seal_add(uint64_t seal, uint64_t v)
{
	seal = (seal ^ v) * NA_SEAL_FACTOR + 1;
	return seal ^ seal >> 29;
}

/* What a span's seal should be: of a small one all that is constant while it has this owner, of a block its place and length. */
static inline uint32_t na_span_sealing(const struct na_span *s)
{
	uint8_t kind = na_span_kind(s);
	uint64_t seal = na_seal_add(kind, s->base);

	seal = na_seal_add(seal, s->slices);
	if (kind == NA_SPAN_SMALL) {
		seal = na_seal_add(seal, (uintptr_t)s->taken);
		seal = na_seal_add(seal, (uintptr_t)s->remote);
		seal = na_seal_add(seal, (uintptr_t)atomic_load_explicit(&s->cache, memory_order_relaxed));
		seal = na_seal_add(seal, s->reciprocal);
		seal = na_seal_add(seal, (uint64_t)s->size << 32 | (uint64_t)s->slots << 8 | s->cls);
		seal = na_seal_add(seal, (uintptr_t)atomic_load_explicit(&s->merge, memory_order_relaxed));
	} else {
		seal = na_seal_add(seal, s->length);
	}
	return (uint32_t)(seal >> 32);
}

static inline void na_span_seal(struct na_span *s)
{
	s->seal = na_span_sealing(s);
}

uint32_t na_segment_sealing(const struct na_segment *s);

/* After every change of a field that it covers, under the pool's lock or before others see the segment. */
static inline void na_segment_seal(struct na_segment *s)
{
	s->seal = na_segment_sealing(s);
}

/* Only for spans in use. */
static inline struct na_segment *na_span_segment(const struct na_span *span)
{
	return na_segment_of((const void *)span->base);
}

static inline uint32_t na_slot_of(const struct na_span *span, const void *p)
{
	return (uint32_t)((((uintptr_t)p - span->base) * span->reciprocal) >> 32);
}

/* Whether a slot starts there. */
static inline bool na_slot_starts(const struct na_span *span, const void *p)
{
	return span->base + (uintptr_t)na_slot_of(span, p) * span->size == (uintptr_t)p;
}

static inline uint64_t na_span_taken(const struct na_span *span, uint32_t word)
{
	return atomic_load_explicit(&span->taken[word], memory_order_relaxed);
}

static inline void na_span_take(struct na_span *span, uint32_t word, uint64_t bits)
{
	uint64_t before = na_span_taken(span, word), after = before | bits;

	span->parity ^= before ^ after;
	atomic_store_explicit(&span->taken[word], after, memory_order_relaxed);
}

static inline void na_span_free(struct na_span *span, uint32_t word, uint64_t bits)
{
	uint64_t before = na_span_taken(span, word), after = before & ~bits;

	span->parity ^= before ^ after;
	atomic_store_explicit(&span->taken[word], after, memory_order_relaxed);
}

static inline uint32_t na_span_carved(const struct na_span *span)
{
	return atomic_load_explicit(&span->carved, memory_order_relaxed);
}

static inline void na_span_set_carved(struct na_span *span, uint32_t carved)
{
	atomic_store_explicit(&span->carved, (uint16_t)carved, memory_order_relaxed);
	span->not_carved = (uint16_t)~carved;
}

#endif
