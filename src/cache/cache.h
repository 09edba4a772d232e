/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Thread caches: what a thread owns, and the paths of a block in and out.
 *
 * A cache belongs to one pool and, while a thread runs on it, to that thread alone. For each class
 * it has a current span, of which it holds a bundle: up to 64 neighbouring slots as the bits of
 * one word. The fast path of malloc takes the lowest bit and turns the slot's state byte to 0xff. The fast path of free
 * finds the byte, turns it from 0xff to 0 (any other value is a block freed twice), and
 * counts the span's `used` down. No block's own memory is touched by either.
 *
 * A span is, in this order of its life: current (of its bin); full, then "parked": `fast` is NULL so that the first free
 * takes the slow path and lists it; partial, in its bin's list; or empty, and back in the pool.
 *
 * Blocks freed by other threads: the freeing thread sets the slot's bit in the span's remote
 * bitmap, up to 64 neighbours by one atomic OR (it gathers them in `pending`), and tells the owner, by
 * pushing the span on its queue, if the owner is not looking at it (see enum na_span_flag). The
 * owner merges bits into bytes when it looks. So blocks always go home, with no lock.
 *
 * When a thread ends its cache goes idle with its spans, and the next thread of the pool takes it over
 * whole. Anyone may take spans out of an idle cache, holding it off the idle list meanwhile.
 *
 * The lock guards lists, queue draining and `fast`: the owner takes it on slow paths (once a
 * bundle), others when they drain for a thread that sleeps. Lock order: cache, then pool, then arena. No two
 * caches' locks are ever held but by fork. A cache is never unmapped.
 */
#ifndef NA_CACHE_CACHE_H
#define NA_CACHE_CACHE_H

#include <stdalign.h>

#include "pool/nodes.h"
#include "pool/pool.h"

struct na_bin {
	uint64_t bits;		 /* slots of the bundle still to give out */
	uintptr_t base;		 /* address of bit 0's slot */
	uint64_t size;		 /* bytes a slot */
	uint8_t *state;		 /* state byte of bit 0's slot */
	struct na_span *span;	 /* current span, or NULL */
	struct na_span *partial; /* list, under the lock */
	uint64_t taken;		 /* slots ever put into a bundle; written by the owner, read by any */
	uint64_t freed;		 /* blocks of this class ever freed by this thread, wherever they came from; same */
};

_Static_assert(sizeof(struct na_bin) == 64, "one line a bin");

#define NA_PENDING 8

struct na_pending {
	struct na_span *span;
	uint64_t bits;
	uint32_t word;
	uint32_t bytes;
};

enum na_cache_state { NA_CACHE_RUNNING, NA_CACHE_IDLE, NA_CACHE_NAMED };

struct na_cache {
	struct na_bin *direct[NA_DIRECT]; /* by (size + 15) / 16 */
	struct na_bin bins[NA_CLASSES];

	struct na_pool *pool;
	struct na_lock lock;
	_Atomic uint32_t state;
	uint32_t pending_used; /* bit an entry; owner */
	struct na_pending pending[NA_PENDING];
	uint64_t refills;		    /* owner writes, any reads */
	uint64_t remote;		    /* blocks of other caches freed here; same */
	uint64_t since_published;	    /* bytes taken since */
	_Atomic int64_t published;	    /* our share of na_live; of a named pool: bytes live in small blocks */
	_Atomic int64_t away[NA_MAX_POOLS]; /* bytes freed here that belong to another pool than ours */
	struct na_cache *next_idle;
	struct na_cache *next_all; /* constant once registered */

	int error; /* the thread's last memory_error_t, and its sentence */
	char error_text[248];

	alignas(64) _Atomic(struct na_span *) queue; /* spans that others freed into; pushed by any, taken whole */
};

extern __thread struct na_cache *na_cache_current __attribute__((tls_model("initial-exec")));
extern struct na_cache na_cache_none; /* of a thread that has none: every bin is empty */

/* Live bytes as published by caches and large blocks, and their maximum; relaxed. */
extern _Atomic int64_t na_live, na_live_peak;
extern _Atomic bool na_publish_often; /* tracking: publish at every refill */

/* The calling thread's cache, of the pool where it runs; NULL without memory. */
struct na_cache *na_cache_here(void);

/* A block of class cls from the cache c of the calling thread (or under the named pool's lock);
 * NULL without memory. */
void *na_cache_refill(struct na_cache *c, unsigned int cls);

/* The slow half of free, for small blocks and for addresses that are not ours; 0, or -EINVAL (not a live block). */
int na_cache_free_slow(struct na_cache *c, struct na_span *span, void *p);

/* `used` of a span of ours fell to zero. */
void na_cache_span_empty(struct na_cache *c, struct na_span *span);

/* Parts of the above that other files of cache/ need. */
void na_cache_collect(struct na_span *span); /* remote bits into state bytes */
void na_cache_drain(struct na_cache *c);     /* the queue; under c's lock */
void na_cache_flush_pending(struct na_cache *c);
void na_cache_list(struct na_cache *c, struct na_span *span); /* under c's lock */
void na_cache_unlist(struct na_span *span);
bool na_cache_release_if_empty(struct na_cache *c, struct na_span *span); /* under c's lock */
/* Walks a bin's ring of partial spans, of which the body may take out the one it is at. */
#define na_cache_each(bin, span, next, count)                                                                          \
	for ((count) = na_cache_count(bin), (span) = (bin)->partial; (count) && ((next) = (span)->next, 1);            \
	     (count)--, (span) = (next))
static inline uint32_t na_cache_count(const struct na_bin *bin)
{
	uint32_t n = 0;

	for (const struct na_span *span = bin->partial; span; span = span->next == bin->partial ? NULL : span->next)
		n++;
	return n;
}

void na_cache_publish(struct na_cache *c);
void na_live_add(int64_t bytes);

/* Returns bundles and empty spans to the pool; the caller runs on c or holds it. */
void na_cache_trim(struct na_cache *c);
/* The calling thread's cache goes idle. */
void na_cache_leave(void);
/* Sets up a cache for a named pool, used under that pool's lock only. */
void na_cache_init(struct na_cache *c, struct na_pool *pool, enum na_cache_state state);
/* Takes a partial span of class cls out of an idle cache of c's pool. Without c's lock. */
struct na_span *na_cache_steal(struct na_cache *c, unsigned int cls);
/* All caches ever made, newest first; linked by next_all. */
struct na_cache *na_cache_first(void);
/* From the maintenance thread: empties queues of caches whose threads sleep. */
void na_cache_tend(void);
/* In a forked child: other threads' caches are nobody's now. */
void na_cache_after_fork(void);

/* Reports a pointer that cannot be freed, once a call: "freed twice", "not a block of ours". */
void na_cache_complain(const void *p, const char *what, const void *caller);

#endif
