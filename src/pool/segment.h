/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments, slices, spans: how address space is cut, and how a pointer finds its metadata.
 *
 * A segment is 32 MiB of address space, aligned to its size, belonging to one pool (so to one NUMA
 * node). It has 512 slices of 64 KiB. A span is one slice cut into slots of one size class, or
 * a run of slices that is one large block. A block above NA_RUN_MAX has a segment of its own ("huge"), whose
 * length is its own.
 *
 * Metadata lie elsewhere, in the pool's arena: struct na_segment has one struct na_span a slice. The map
 * (32 MiB of address space in .bss, of which a page for each 16 GiB in use is touched) leads from
 * address / 32 MiB to the segment. Its entries are distances from the map's start, where a segment of
 * zeros lies, in which nothing is live and no cache owns anything: so an address that is not ours (entry
 * 0) needs no test on the fast path.
 *
 * A struct na_segment is never returned, so a late reader of stale metadata reads a span's, if another one's.
 */
#ifndef NA_POOL_SEGMENT_H
#define NA_POOL_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
struct na_pool;

enum na_span_kind {
	NA_SPAN_NONE,  /* free, or never used */
	NA_SPAN_SMALL, /* slots of a size class */
	NA_SPAN_LARGE, /* one block, this is its first slice */
	NA_SPAN_TAIL,  /* a later slice of a large block */
	NA_SPAN_HUGE   /* one block, the whole segment */
};

/* Whether the one who frees a block from outside must tell the owner. Transitions:
 * WATCHED -> SILENT by the owner, under its lock; SILENT -> QUEUED by a freeing thread, which
 * then pushes the span on the owner's queue; any -> WATCHED by the owner, under its lock, from
 * QUEUED only after taking the span off the queue. While QUEUED a span is neither released nor
 * given to another owner. */
enum na_span_flag { NA_WATCHED, NA_SILENT, NA_QUEUED };

/* Free is all zero, so that fresh memory is; out plus one overflows, which is the test of free's fast path. */
enum na_slot_state {
	NA_SLOT_FREE = 0,
	NA_SLOT_ASIDE = 1, /* in a thread's bundle: not free any more, nobody's yet */
	NA_SLOT_OUT = 0xff
};

struct na_span {
	/* What a free by the owner needs, one cache line. */
	_Atomic(struct na_cache *) fast; /* the cache whose thread may free here on the fast path; NULL:
	                                  * nobody. Written by the owner under its lock */
	uintptr_t base;			 /* first slot, or the large block */
	uint8_t *state;			 /* owner: a byte a slot, enum na_slot_state; slots past the end are OUT */
	uint64_t reciprocal;		 /* ceil(2^32 / size) */
	struct na_bin *bin;		 /* owner's bin of the class */
	uint32_t used;			 /* owner: slots that are not FREE */
	uint32_t size;			 /* bytes a slot */
	uint16_t slots;
	uint16_t group; /* owner: group of 64 slots to search first */
	uint8_t cls;
	_Atomic uint8_t kind; /* enum na_span_kind; written under the pool's lock */
	bool listed;	      /* owner, under its lock: in the list of partial spans */
	uint32_t slices;      /* large: length of the run; tail: distance to the first slice */

	/* What other threads and slow paths need. */
	_Atomic(struct na_cache *) cache; /* owner, also while parked; NULL for large */
	_Atomic(uint64_t) *remote;	  /* a bit a slot freed by others; fetch_or by them, exchange by the owner */
	_Atomic uint32_t flag;		  /* enum na_span_flag */
	struct na_span *next_queued;	  /* while QUEUED: whoever holds the queue */
	struct na_span *next, *prev;	  /* list of partial spans; owner, under its lock */
	size_t length;			  /* large and huge: bytes usable */
} __attribute__((aligned(128)));

_Static_assert(sizeof(struct na_span) == 128, "the slice's metadata are found by shifting");

struct na_segment {
	struct na_span span[NA_SLICES];
	struct na_pool *pool; /* set before the segment is in the map, then constant */
	uintptr_t base;
	size_t length; /* mapped bytes; more or less than NA_SEGMENT only if huge or scarce */
	bool huge;
	uint32_t index;			/* in the pool's table */
	uint64_t free[NA_SLICE_WORDS];	/* pool lock: slices nobody has */
	uint64_t dirty[NA_SLICE_WORDS]; /* pool lock: of those, which may hold data and pages */
	uint8_t stamp[NA_SLICES];	/* pool lock: epoch of the slice's release */
	struct na_segment *next, *prev; /* huge: pool's lists, pool lock */
	uint8_t huge_stamp;
};

struct na_map {
	struct na_segment nowhere; /* all zero, never written */
	_Atomic uintptr_t entry[NA_MAP_ENTRIES];
};

extern struct na_map na_map;

static inline struct na_segment *na_segment_of(const void *p)
{
	struct na_map *map = &na_map;

	/* Hides where the map is, so that the array's offset stays in the load's displacement: else the
	 * compiler adds it to the index, an instruction more on the path of every free. */
	__asm__("" : "+r"(map));
	/* relaxed: published with the pointer itself */
	return (struct na_segment *)((uintptr_t)map +
				     atomic_load_explicit(&map->entry[(uintptr_t)p >> NA_SEGMENT_SHIFT],
							  memory_order_relaxed));
}

static inline struct na_span *na_span_of(const void *p)
{
	return (struct na_span *)((char *)na_segment_of(p) +
				  (((uintptr_t)p >> (NA_SLICE_SHIFT - 7)) & ((NA_SLICES - 1) << 7)));
}

static inline bool na_address_valid(const void *p)
{
	return (uintptr_t)p >> NA_ADDRESS_BITS == 0;
}

/* Only for spans in use, whose segment is really one. */
static inline struct na_segment *na_span_segment(const struct na_span *span)
{
	return na_segment_of((const void *)span->base);
}

static inline uint8_t na_span_kind(const struct na_span *span)
{
	return atomic_load_explicit(&span->kind, memory_order_relaxed);
}

static inline uint32_t na_slot_of(const struct na_span *span, const void *p)
{
	return (uint32_t)((((uintptr_t)p - span->base) * span->reciprocal) >> 32);
}

#endif
