/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pool: the segments of one NUMA node (or of one named pool), and who has which slices.
 *
 * All state is under the pool's lock, which is held for searches of bitmaps and never over a
 * system call. Growing maps outside the lock and then publishes; two threads that grow at once both add a
 * segment, which costs address space only.
 *
 * Freed slices stay committed ("dirty") for the decay time, so that the next time step finds its
 * temporaries without a page fault; the maintenance thread then purges them. Small spans are cut
 * from the low end of a segment, large runs best-fit from the high end, so that they do not mix.
 *
 * Cost: a slice from a warm segment about 50 ns; a run the same plus a scan of at most 512 bits a segment
 * whose bound allows it.
 */
#ifndef NA_POOL_POOL_H
#define NA_POOL_POOL_H

#include "meta/arena.h"
#include "meta/classes.h"
#include "os/lock.h"
#include "pool/segment.h"

#define NA_MAX_POOLS   64
#define NA_TABLE_SHIFT 10 /* segments a table block */

/* An entry of a pool's table: bounds let a search pass a segment by. Both are upper bounds,
 * tightened by a search that fails. */
struct na_segment_ref {
	struct na_segment *segment;
	uint16_t max_free;
	uint16_t max_dirty;
};

struct na_pool {
	struct na_lock lock;
	int node;   /* kernel's number */
	bool bound; /* whether memory is bound to the node (machines of several) */
	bool named;
	bool beyond;	/* na_pool_limit does not count what it holds; set before first use */
	uint64_t limit; /* named pools: bytes; 0 none */
	struct na_arena arena;
	struct na_segment_ref *table[64];
	uint32_t segments;
	struct na_segment *huge_live, *huge_kept;
	struct na_segment *vacant;	 /* structs in the table whose segment was given back; by next */
	_Atomic(struct na_cache *) idle; /* caches without a thread: changed under lock, peeked at without; cache/ owns
	                                  * the meaning */
	_Atomic uint64_t dirty_slices;	 /* written under lock; relaxed */
	uint64_t used_slices;		 /* under lock, as all that follows */
	uint64_t out_slices;		 /* neither used nor free: being purged, or their segment unmapped */
	uint64_t reserved;
	uint64_t huge_bytes, huge_kept_bytes; /* committed */
	_Atomic uint32_t huge_count;	      /* mappings; relaxed */
	uint64_t large_live, large_count, large_freed, large_reused;
	_Atomic int64_t
		shared; /* bytes of merged addresses less the memory that they show: counted twice by who asks for pages by address; relaxed */
	char name[32];
	uint64_t seal; /* na_pool_sealing(), constant */
};

/* Of what is constant in a pool. */
uint64_t na_pool_sealing(const struct na_pool *pool);

/* Limits and the epoch, for all pools. */
extern _Atomic uint64_t na_pool_limit; /* bytes, or NA_POOL_UNASKED; relaxed */
extern __thread uint64_t
	na_pool_grace; /* above it, of a thread that makes room: for images, and where blocks are moved to */
extern _Atomic uint64_t na_pool_held;	  /* bytes in slices used or dirty, and huge; relaxed */
extern _Atomic uint64_t na_pool_beyond;	  /* of those, of pools that are beyond the limit; relaxed */
extern _Atomic uint32_t na_pool_epoch;	  /* low byte stamps releases; relaxed */
extern _Atomic uint64_t na_pool_purged;	  /* bytes; relaxed */
extern _Atomic uint64_t na_pool_mappings; /* blocks with a mapping of their own, kept ones too; relaxed */
#define NA_EPOCHS_KEPT 8		  /* the decay time in epochs */

/* The default limit is the machine's or the cgroup's, four files of /proc and /sys that take a tenth of a millisecond to read: a
 * process asks when it holds this much, and most never do. */
#define NA_POOL_UNASKED (((uint64_t)16 << 20) + 1)

/* na_pool_limit, asked for now if need be. Any thread, also under a pool's lock: reads files, allocates nothing. */
uint64_t na_pool_ask_limit(void);

void na_pool_init(struct na_pool *pool, int node, bool bound);

/* Charges memory that a pool is about to hold against the limits; false if they forbid it. `used` is what
 * a named pool's own limit counts. Under the pool's lock. */
bool na_pool_charge(struct na_pool *pool, uint64_t more, uint64_t used);
/* Takes a charge back: the memory went to the system, or was not to be had. Any thread. */
void na_pool_refund(const struct na_pool *pool, uint64_t bytes);

/* Of so many held bytes, what counts against na_pool_limit. */
static inline uint64_t na_pool_inside(uint64_t held)
{
	uint64_t beyond = atomic_load_explicit(&na_pool_beyond, memory_order_relaxed);

	return held > beyond ? held - beyond : 0; /* between two updates of another thread's it may look negative */
}

static inline uint64_t na_pool_counted(void)
{
	return na_pool_inside(atomic_load_explicit(&na_pool_held, memory_order_relaxed));
}

/* Binds new memory to the pool's node; where that is forbidden it says so once, and placement is left to
 * first touch, which the statistics of misplaced pages then show. */
void na_pool_bind(const struct na_pool *pool, void *base, size_t length);

/* A run of `slices`, aligned to `align` slices (a power of two), for a small span (low end) or a
 * large block. Returns 0 and the first slice's span, -ENOMEM past a limit or without memory. */
int na_pool_take_run(struct na_pool *pool, uint32_t slices, uint32_t align, bool small, bool *zero,
		     struct na_span **out);
void na_pool_give_run(struct na_pool *pool, struct na_span *first, uint32_t slices);

/* Makes a large block's run `slices` long, if those behind it are free, and kept if it says so; -EAGAIN if not, -ENOMEM past
 * a limit. */
int na_pool_extend_run(struct na_pool *pool, struct na_span *first, uint32_t slices, bool dirty_only);

/* Address space of a segment, or of less at its place, next to the last one's if it can be. */
int na_pool_map_segment(size_t size, void **out);

/* Whether a span could probably be had without touching fresh memory. */
static inline bool na_pool_has_kept(const struct na_pool *pool)
{
	return atomic_load_explicit(&pool->dirty_slices, memory_order_relaxed) >= 4;
}

/* Huge pages as the settings want them; see pages.c. Whether blocks' own mappings are of whole huge pages, a length that suits them, hugetlb memory for a block's own mapping (negative:
 * none, take ordinary), and advice for a segment and for a block's mapping, of which it uses `length` bytes. */
bool na_pages_whole(void);
size_t na_pages_round(size_t length);
int na_pages_map(size_t length, size_t alignment, void **out);
void na_pages_advise_segment(void *base, size_t length);
void na_pages_advise_block(const struct na_pool *pool, void *base, size_t length, size_t mapped);

/* Bytes that the two bitmaps of a span of so many words take in the arena, the second at half of them. One word has none there. */
static inline size_t na_bitmap_bytes(uint32_t groups)
{
	return 2 * (((size_t)groups * 8 + 63) & ~(size_t)63);
}

/* A span of class cls, empty, owned by nobody; NULL without memory. */
struct na_span *na_pool_take_span(struct na_pool *pool, unsigned int cls);
/* Says where in a cache blocks of the span go when they are freed; see na_cache_id(). By the owner. */
void na_pool_set_id(struct na_span *span, uint32_t id);
/* Takes back an empty span that is in no list and not QUEUED. */
void na_pool_give_span(struct na_pool *pool, struct na_span *span);

/* Large blocks, of any size and alignment. Zeroed if asked. */
void *na_large_take(struct na_pool *pool, size_t size, size_t alignment, bool zero);
/* A block in a mapping of its own, with its own placement; *refused: the error of binding, or 0. */
void *na_large_take_placed(struct na_pool *pool, size_t size, size_t alignment, const struct na_placement *placement,
			   int *refused);
/* 0; -EINVAL if p is not the start of a live large block (freed twice, say). */
int na_large_give(struct na_span *span, void *p);
/* Grows or shrinks where it lies or by moving pages; NULL if that cannot be (copy then). */
void *na_large_resize(struct na_span *span, void *p, size_t size);

/* Gives back free memory: what is older than the decay time, or all. Returns bytes. Not under any lock. */
uint64_t na_pool_purge(struct na_pool *pool, bool all);

/* Gives back free memory of any age until it is `most` bytes, or a run more. */
uint64_t na_pool_purge_some(struct na_pool *pool, uint64_t most);
/* Gives back a kept mapping that a freed block had of its own; nothing else. */
uint64_t na_pool_purge_huge(struct na_pool *pool);

/* Unmaps the segments in which nothing lives and nothing is kept: for when addresses are short. Returns bytes of
 * address space. Not under any lock. */
uint64_t na_pool_release(struct na_pool *pool);
/* A struct whose segment is gone, for a new one; NULL if there is none. It is given back, or opened. */
struct na_segment *na_pool_take_vacant(struct na_pool *pool);
void na_pool_give_vacant(struct na_pool *pool, struct na_segment *segment);
void na_pool_open_vacant(struct na_pool *pool, struct na_segment *segment, void *base, size_t length);

/* Everything a named pool has becomes free memory, at once; no other thread may use it. Its pages are na_pool_purge()'s. */
void na_pool_reset(struct na_pool *pool);

/* Maps ours onto addresses. */
void na_map_set(struct na_segment *segment);
void na_map_clear(struct na_segment *segment);
void na_map_clear_range(uintptr_t from, uintptr_t to);

/* Under a tight address limit the map gives back what no address of this process needs; called once, at boot. What it then
 * does not cover is not ours, and must not be looked up. */
void na_map_slim(void);
bool na_map_covers(uintptr_t at, size_t length);
/* New memory, aligned, that the map covers. */
int na_map_reserve(size_t length, size_t alignment, void **out);

#endif
