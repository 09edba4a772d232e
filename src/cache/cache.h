/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Thread caches: what a thread owns, and the paths of a block in and out.
 *
 * Stacks. For each size class a cache has a stack of free blocks. The fast path of malloc takes the topmost, that of
 * free puts one on, whoever's span it is from: last out, first in again, while it is warm. Neither
 * looks at a span. A stack that runs empty is refilled with slots of the cache's own spans; one that is full gives its
 * older half back, each block to the span that it came from. All that must be done now and then is done there.
 *
 * Where free finds the stack: the pool's segment has an "id" for each slice, which is the distance from a
 * cache's start to the bin (top and limit of a stack). There is a region of bins for each pool, of which
 * a cache uses the one of its own pool. All others stay zero: stacks that are full at nothing, so that a block of another
 * node, a foreign pointer or a large block (id 0 is such a bin as well) takes the slow path with no test of its own. Of classes
 * below a cache line there are NA_OWNERS sets of bins in a region, of which malloc uses one; what is in the others only waits to go
 * home. So blocks that share a line with others return to the thread that allocated them, and no two threads' counters come to
 * lie on a line by being freed and allocated again. (Two caches may have the same set; then it costs them only that.)
 *
 * Double frees. free writes a mark into the block's second word, and malloc clears it. A block with the mark that comes
 * to free is looked for in the bitmap of its span and in all stacks, and if it is there it was free already.
 *
 * Spans belong to a cache: current (slots are taken from it); full, "parked"; partial, in the ring of its
 * class; or empty, and back in the pool. A bit a slot says what is not free; a block in a stack is not.
 *
 * Blocks of spans that belong to another cache go home: the giving thread sets the slot's bit in the span's remote
 * bitmap, up to 64 neighbours by one atomic OR (it gathers them in `pending`), and tells the owner, by
 * pushing the span on its queue, if the owner is not looking at it (see enum na_span_flag). The
 * owner merges the bitmaps when it looks.
 *
 * On machines of several nodes a thread must notice that it has been moved to another. There the stack that free fills is
 * not the one that malloc empties: they are swapped when that is empty, so a thread is on a slow path, where it asks for its node, at
 * least once in 64 allocations.
 *
 * When a thread ends the cache goes idle as it is, and the next thread of the pool takes it over whole. If none does, the
 * maintenance thread empties its stacks. Anyone may take spans out of an idle cache, holding it off the idle list meanwhile.
 *
 * The lock guards spans, lists, queue draining, and stacks where more than the top changes: the owner takes it on slow
 * paths, others when they drain for a thread that sleeps, and fork. Lock order: cache, then pool, then arena. No two
 * caches' locks are ever held but by fork. A cache is never unmapped.
 */
#ifndef NA_CACHE_CACHE_H
#define NA_CACHE_CACHE_H

#include <stdalign.h>

#include "cache/failure.h"
#include "pool/nodes.h"
#include "pool/pool.h"

/* Top and limit of a stack. Entries are words; they are counted from the bin's own address. */
struct na_bin {
	union {
		uint64_t word; /* owner: bits 16 and up count what malloc took here; others read it, relaxed */
		struct {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
			uint16_t count[3];
			uint16_t top;
#else
			uint16_t top; /* of the topmost block; `floor` if there is none */
			uint16_t count[3];
#endif
		};
	};
	uint16_t limit;	 /* top of a full stack */
	uint16_t floor;	 /* of an entry that is NULL */
	uint16_t most;	 /* blocks of the largest stack */
	uint8_t cls;	 /* the class of blocks */
	uint8_t spilled; /* owner: full stacks since the last empty one */
};

_Static_assert(sizeof(struct na_bin) == 16, "four bins a line");

typedef void *__attribute__((may_alias)) na_entry;

#define NA_STACK_FIRST	16 /* blocks for which every stack has room at first */
#define NA_STACK_MIDDLE 64 /* blocks for which it has room in its second place */

#define NA_BIN_POP ((UINT64_C(1) << 16) - 1) /* added to word: one more taken, one entry less */

#define NA_LINE_CLASSES 3  /* 16, 32 and 48 bytes: blocks that share a line with others */
#define NA_OWNERS	16 /* sets of bins for those */
#define NA_REGION_BINS	(NA_CLASSES + NA_OWNERS * NA_LINE_CLASSES)
#define NA_REGION_BYTES 2048

_Static_assert(NA_REGION_BINS * sizeof(struct na_bin) <= NA_REGION_BYTES, "a region's bins have room");

/* What the slow paths know of a class. */
struct na_kind {
	struct na_span *span;	 /* current span, or NULL; under the lock */
	struct na_span *partial; /* ring; under the lock */
	int64_t held; /* slots taken out of spans here, less those given back; owner writes, any reads. What is not in the
	               * stacks is out. Negative where a thread frees what others allocate */
	int64_t not_held; /* -held; written with it, but by threads without a cache */
};

/* A sample that waits in malloc's stack; see traps.h. */
struct na_trap {
	int64_t left;	    /* bytes of the class until the next sample, past what is in the stack if that is counted */
	na_entry displaced; /* the block whose place has the trap; NULL: none. Under the lock; read by any, relaxed */
	uint16_t at;	    /* that place; under the lock, as the rest */
	bool counted;	    /* what is in the stack has been counted down */
};

/* What blocks a thread took and gave back that were in none of its stacks: large ones, of named pools, samples. The owner
 * writes, any reads; of threads without a cache by atomic additions. Relaxed. */
struct na_other {
	uint64_t taken, given, taken_bytes, given_bytes;
};

#define NA_PENDING 8

struct na_pending {
	struct na_span *span;
	uint64_t bits;
	uint32_t word;
	uint32_t bytes;
};

/* IDLE: on its pool's list, and only then; HELD: taken off it by somebody who looks for spans. Under the pool's lock. Two bits apart. */
enum na_cache_state { NA_CACHE_RUNNING = 0, NA_CACHE_IDLE = 3, NA_CACHE_NAMED = 5, NA_CACHE_HELD = 6 };

#define NA_CACHE_TABLE 4096 /* caches that are known by number as well */

struct na_cache {
	struct na_bin never; /* id 0: full at nothing */
	uint16_t direct[NA_DIRECT_MAX +
			1]; /* by size: the distance to the bin that malloc takes from; 0 in a named pool's */
	struct na_kind kind[NA_CLASSES];

	struct na_pool *pool;
	struct na_lock lock;
	_Atomic uint32_t state;
	uint32_t number; /* of caches made before */
	bool split;	 /* malloc's bins are `out`, not free's */
	bool settled;	 /* idle: its stacks are empty, its spans SILENT; who holds it off the list */
	bool merges;	 /* of a named pool: its pages may come to be merged: turns.h. Set before its first block */
	na_entry *middle_first; /* where stacks move to that outgrow their first place */
	na_entry *middle_next;
	na_entry *grown_first; /* and their second */
	na_entry *grown_next;
	int64_t grown_bytes;   /* of blocks that stacks have room for beyond what they had at first; owner */
	uint32_t pending_used; /* bit an entry; owner */
	struct na_pending pending[NA_PENDING];
	uint64_t refills; /* owner writes, any reads */
	uint64_t spills;  /* same */
	uint64_t tended;  /* maintenance thread: refills and spills when it last looked */
	uint64_t remote;  /* blocks of other caches freed here; same */
	struct na_other other;
	struct na_other before;		    /* all that was counted before this thread had the cache; under the lock */
	_Atomic int32_t thread;		    /* the kernel's number of the thread that has it, or had it last; relaxed */
	uint64_t mean;			    /* owner, under the lock: bytes a sample; 0: none are taken */
	uint64_t chance;		    /* owner, as all until `within`: random numbers */
	int64_t other_left;		    /* bytes until a sample of blocks that came from no stack */
	uint64_t began;			    /* when the refill under way began; 0: nobody wants to know */
	bool within;			    /* a sample is being told of */
	uint64_t since_published;	    /* bytes taken since */
	uint64_t publish_after;		    /* owner: when they are as many it publishes */
	_Atomic int64_t published;	    /* our share of na_live; of a named pool: bytes live in small blocks */
	_Atomic int64_t away[NA_MAX_POOLS]; /* bytes freed here that belong to another pool than ours */
	_Atomic uint32_t asleep; /* times in a row that they were the same; written under the lock, relaxed */
	struct na_cache *next_idle;
	struct na_cache *next_all; /* constant once registered */
	struct na_merge *merged;   /* spans with units on shared pages, by next; under the lock */
	struct na_merge *retired;  /* those in which nothing lives, which wait for memory of their own; same */

	uint64_t seal; /* na_cache_sealing(), constant once it is set up */
	int error;     /* the thread's last memory_error_t, and its sentence */
	char error_text[248];
	struct na_failure failure;

	uint32_t untidy;	       /* spans taken since na_cache_tidy() looked */
	uint64_t seen[NA_REGION_BINS]; /* each bin's word when na_cache_tidy() last looked */
	uint64_t shape[NA_REGION_BINS +
		       NA_CLASSES]; /* na_bin_shape() of each bin of our region, and of out; under the lock */
	alignas(64) _Atomic(struct na_span *) queue; /* spans that others freed into; pushed by any, taken whole */
	alignas(64) struct na_bin out[NA_CLASSES];   /* if split; of named pools the words alone, as counts */
	struct na_trap trap[NA_CLASSES];	     /* if it samples */
						     /* A region of bins for each pool, then the stacks, follow. */
};

/* Exported for libnumarena-malloc, which has the fast paths inline. */
extern __thread struct na_cache *na_cache_current __asm__("numarena_internal_cache")
	__attribute__((tls_model("initial-exec"), visibility("default")));

/* Of a thread that has none: all zero, so every stack is empty, and full. */
struct na_cache_without {
	struct na_cache cache;
	char regions[NA_MAX_POOLS * NA_REGION_BYTES];
};
extern struct na_cache_without na_cache_without;
#define na_cache_none na_cache_without.cache

/* Live bytes as published by caches and large blocks, and their maximum; relaxed. */
extern _Atomic int64_t na_live, na_live_peak;
extern _Atomic int64_t na_live_window; /* the maximum since a phase of the program began or ended; same */
extern _Atomic bool na_publish_often;  /* tracking: publish at every refill and spill */

/* Where blocks of the class from a span of cache c go when they are freed: the distance from any cache of theirs to the
 * bin. 0 for named pools, whose blocks never enter a stack. */
static inline uint32_t na_cache_id(const struct na_cache *c, unsigned int cls)
{
	uint32_t bin = cls < NA_LINE_CLASSES ? NA_CLASSES + c->number % NA_OWNERS * NA_LINE_CLASSES + cls : cls;

	return (uint32_t)(sizeof(struct na_cache) + (size_t)(c->pool - na_pools) * NA_REGION_BYTES +
			  bin * sizeof(struct na_bin));
}

static inline struct na_bin *na_cache_bin(struct na_cache *c, uint32_t id)
{
	return (struct na_bin *)((char *)c + id);
}

#define NA_STACK_OWN (INT64_C(16) << 10) /* bytes of blocks that every stack may have room for */

/* What a stack of `count` blocks takes of the bytes that a cache's stacks may grow by together. */
static inline int64_t na_cache_growth(unsigned int cls, uint32_t count)
{
	int64_t bytes = (int64_t)(count * na_class_size(cls));

	return bytes > NA_STACK_OWN ? bytes - NA_STACK_OWN : 0;
}

/* The bins of c's own pool. */
static inline struct na_bin *na_cache_region(struct na_cache *c)
{
	return (struct na_bin *)((char *)(c + 1) + (size_t)(c->pool - na_pools) * NA_REGION_BYTES);
}

/* Where malloc takes blocks of the class from. */
static inline struct na_bin *na_cache_out(struct na_cache *c, unsigned int cls)
{
	return c->split || !c->pool ? &c->out[cls] : na_cache_bin(c, na_cache_id(c, cls));
}

/* What only slow paths change of a bin. */
static inline uint64_t na_bin_shape(const struct na_bin *bin)
{
	return (uint64_t)bin->limit << 40 | (uint64_t)bin->floor << 24 | (uint64_t)bin->most << 8 | bin->cls;
}

/* Notes a bin's shape after it has changed. Under the lock. */
static inline void na_cache_note_shape(struct na_cache *c, const struct na_bin *bin)
{
	size_t i = bin >= c->out && bin < c->out + NA_CLASSES ? NA_REGION_BINS + (size_t)(bin - c->out)
							      : (size_t)(bin - na_cache_region(c));

	c->shape[i] = na_bin_shape(bin);
}

static inline void na_kind_hold(struct na_kind *kind, int64_t more)
{
	int64_t held = kind->held + more;

	__atomic_store_n(&kind->held, held, __ATOMIC_RELAXED);
	__atomic_store_n(&kind->not_held, -held, __ATOMIC_RELAXED);
}

/* Of what is constant in a cache. */
uint64_t na_cache_sealing(const struct na_cache *c);

/* Caches by their number, of those that have one below NA_CACHE_TABLE; stored with release once each. */
extern _Atomic(struct na_cache *) na_cache_table[NA_CACHE_TABLE];
/* Whether a fork has lost what other threads of the parent had in hand. */
extern bool na_cache_forked;
/* Caches ever made; one may not be registered yet. */
uint32_t na_cache_made(void);
/* For repairs: another first one. */
void na_cache_set_first(struct na_cache *c);

/* The calling thread's cache, of the pool where it runs; NULL without memory. */
struct na_cache *na_cache_here(void);

/* For a thread that has no cache and frees: whether it has one now. Not so at its end, when the C library frees what was the
 * thread's own and nobody would take the cache back. */
bool na_cache_begin_to_free(void);

/* A block of class cls from the cache c of the calling thread, whose stack is empty; NULL without memory. */
void *na_cache_refill(struct na_cache *c, unsigned int cls);

/* Of a named pool's cache, by any thread, or for a sample: one block; NULL without memory. */
void *na_cache_take_one(struct na_cache *c, unsigned int cls);

/* Makes room in a full stack of ours. */
void na_cache_spill(struct na_cache *c, struct na_bin *bin);

/* Frees a block that goes into no stack of the calling thread's. 0, or -EINVAL (not a live block). */
int na_cache_free_slow(struct na_cache *c, struct na_span *span, void *p);

/* Whether a block of the span, which has the mark of a freed one, is free: in its span, in a stack, or on its way home.
 * Other threads' stacks are read while they change: a block that is free all the while is found. */
bool na_cache_holds(struct na_cache *c, const struct na_span *span, const void *p);

/* Parts of the above that other files of cache/ need. */
void na_cache_own(struct na_cache *c, struct na_span *span); /* a span is c's from now on; under c's lock */
void na_cache_give(struct na_cache *c, struct na_bin *bin, uint32_t count); /* the oldest `count` of a stack */
void na_cache_collect(struct na_span *span);				    /* remote bits become free slots */
void na_cache_drain(struct na_cache *c);				    /* the queue; under c's lock */
void na_cache_queue(struct na_cache *c, struct na_span *span);		    /* a span that the caller has made QUEUED */
void na_cache_flush_pending(struct na_cache *c);
void na_cache_list(struct na_cache *c, struct na_span *span); /* under c's lock */
void na_cache_unlist(struct na_cache *c, struct na_span *span);
bool na_cache_release_if_empty(struct na_cache *c, struct na_span *span); /* under c's lock */
void na_cache_settle(struct na_cache *c, struct na_span *span);		  /* slots of it were freed; under c's lock */
/* Walks a class's ring of partial spans, of which the body may take out the one it is at. */
#define na_cache_each(kind, span, after, count)                                                                        \
	for ((count) = na_cache_count(kind), (span) = (kind)->partial; (count) && ((after) = (span)->next, 1);         \
	     (count)--, (span) = (after))
static inline uint32_t na_cache_count(const struct na_kind *kind)
{
	uint32_t n = 0;

	for (const struct na_span *span = kind->partial; span; span = span->next == kind->partial ? NULL : span->next)
		n++;
	return n;
}

/* Slots of the class that are in stacks of c. By the owner, or under the lock. */
static inline int64_t na_cache_depth(struct na_cache *c, unsigned int cls)
{
	const struct na_bin *in = c->pool ? na_cache_region(c) + cls : &c->never;
	int64_t depth = __atomic_load_n(&in->top, __ATOMIC_RELAXED) - in->floor;

	for (uint32_t i = 0; c->pool && cls < NA_LINE_CLASSES && i < NA_OWNERS; i++) {
		in = na_cache_region(c) + NA_CLASSES + i * NA_LINE_CLASSES + cls;
		depth += __atomic_load_n(&in->top, __ATOMIC_RELAXED) - in->floor;
	}
	if (c->split)
		depth += __atomic_load_n(&c->out[cls].top, __ATOMIC_RELAXED) - c->out[cls].floor;
	return depth;
}

/* Empties stacks that were not touched since the last call: blocks that nobody asks for hold spans that others could
 * use. Called by the owner when it is about to take fresh memory, and now and then. */
void na_cache_tidy(struct na_cache *c);

/* Of a named pool's cache, which nobody owns: its current spans go back if they are empty, and it has not been used since the last
 * call, or `any` is said. */
void na_cache_tidy_shared(struct na_cache *c, bool any);

/* Of a named pool's cache, under its lock: bytes of blocks that are out. Others read them, relaxed. */
static inline void na_cache_tally(struct na_cache *c, int64_t bytes)
{
	atomic_store_explicit(&c->published, atomic_load_explicit(&c->published, memory_order_relaxed) + bytes,
			      memory_order_relaxed);
}

void na_cache_publish(struct na_cache *c);

/* Counts in `other` of the calling thread. */
void na_cache_count_taken(uint64_t blocks, uint64_t bytes);
void na_cache_count_given(uint64_t blocks, uint64_t bytes);

/* All that was taken and given back on a cache since it was made; by the owner, or under the lock. */
void na_cache_totals(struct na_cache *c, struct na_other *out);
void na_live_add(int64_t bytes);

/* Separates malloc's stacks from free's, which come out empty. By the owner, under the lock. */
void na_cache_split(struct na_cache *c);
/* Returns empty spans to the pool. Under the lock. */
void na_cache_trim_spans(struct na_cache *c);

/* Empties the stacks, and returns empty spans to the pool; the caller runs on c or holds it. */
void na_cache_trim(struct na_cache *c);
/* Of a named pool's cache, which has no stacks, under the named pool's lock. */
void na_cache_trim_spans(struct na_cache *c);
/* The calling thread's cache goes idle. */
void na_cache_leave(void);
/* Bytes of a cache, for the pools that there are. */
size_t na_cache_bytes(void);
/* Sets up a cache, all zero. One for a named pool has no regions and no stacks. */
void na_cache_init(struct na_cache *c, struct na_pool *pool, enum na_cache_state state);
/* Takes a partial span of class cls out of an idle cache of c's pool. Without c's lock. */
struct na_span *na_cache_steal(struct na_cache *c, unsigned int cls);
/* All caches ever made, newest first; linked by next_all. */
struct na_cache *na_cache_first(void);
/* From the maintenance thread: empties queues of caches whose threads sleep. */
void na_cache_tend(void);
/* Gives back the free pages of partial spans that are half empty or more; bytes. Any thread, no lock held. */
uint64_t na_cache_purge_pages(void);
/* The same, of idle caches too. */
uint64_t na_cache_purge_all_pages(void);
/* Free memory on pages that the machine has lost is replaced, or withdrawn from use. From the maintenance thread, or before a validation; no
 * lock held. */
void na_cache_settle_lost(void);
/* The same of threads that have done nothing for a decay time: what their stacks hold keeps whole spans from going back. */
uint64_t na_cache_purge_sleepers(void);
/* In a forked child: other threads' caches are nobody's now. */
void na_cache_after_fork(void);

/* What programs did that they must not, since the start; relaxed. */
struct na_misuse {
	_Atomic uint64_t double_frees, invalid_frees, canary_faults, writes_after_free, memory_errors;
};
extern struct na_misuse na_misuse;
/* Corruption was reported on this thread: the program's handler hears of it where no lock is held. */
void na_cache_note_corruption(void);

/* Reports a pointer that cannot be freed, once a call: "freed twice", "not a block of ours". */
void na_cache_complain(const void *p, const char *what, const void *caller);

#endif
