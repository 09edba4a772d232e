/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A survey: one look at all metadata, with every lock of the heap held, that counts faults and, if asked to, mends them.
 *
 * Nothing that it reads is believed before it is checked: a pointer to metadata must lie in a chunk that the table of chunks knows,
 * a list ends after as many elements as there can be, a span is one of a known segment's. So damage ends in a fault that is
 * counted and not in a crash. What one field says, another does as well: doc/design/integrity.md lists which, and what a repair
 * derives from which.
 *
 * Fast paths run meanwhile: a stack is read between two equal readings of its word. What a thread has in its hands between two locks
 * (a span on its way, a mapping that is not listed yet) looks like a fault: the caller surveys again, and believes what stays.
 *
 * The survey owns its scratch memory, mapped before any lock is taken. Under the locks it makes no system call and no allocation;
 * sentences wait in `text` until they are released.
 */
#ifndef NA_HARDEN_SURVEY_H
#define NA_HARDEN_SURVEY_H

#include "heap/heap.h"
#include "heap/named.h"

#define NA_SURVEY_TEXTS 20
#define NA_SURVEY_TEXT	160

enum na_known_from { NA_FROM_TABLE = 1, NA_FROM_LIVE = 2, NA_FROM_KEPT = 4, NA_FROM_VACANT = 8, NA_FROM_MAP = 16 };

/* A segment, and who knows it. */
struct na_known {
	struct na_segment *segment;
	struct na_pool *pool;
	uint8_t from;
};

/* Where a span was found, a byte each. */
enum na_place { NA_PLACE_CURRENT = 1, NA_PLACE_RING = 2, NA_PLACE_QUEUE = 4 };

/* A block in a stack. */
struct na_stacked {
	uintptr_t block;
	struct na_cache *cache;
	struct na_bin *bin;
};

struct na_range {
	uintptr_t from, to;
};

struct na_survey {
	bool fix;
	size_t faults, rebuilt, barred, barred_bytes, lost, lost_bytes;
	char text[NA_SURVEY_TEXTS][NA_SURVEY_TEXT];

	struct na_pool **pools;
	uint32_t pool_count, pool_room;
	struct na_cache **caches; /* those for samples first, then named pools' */
	struct na_named **homes;  /* of each cache; NULL in all but named pools' */
	uint32_t cache_count, cache_room;
	uint32_t sampled_count, named_count; /* where named pools' begin, and where threads' */
	struct na_known *known;		     /* by address */
	uint32_t known_count, known_room;
	uint8_t *place; /* NA_SLICES bytes for each known segment */
	struct na_stacked *stacked;
	uint32_t stacked_count, stacked_room;
	struct na_range *ranges; /* blocks of arenas that are in use */
	uint32_t range_count, range_room;
	struct na_lock **locks;
	uint32_t lock_count, lock_room;
	struct na_segment *spare; /* a copy to try things on */
	uint64_t map_pages[NA_MAP_ENTRIES / 512 / 64];
	int64_t *named_out;	/* NA_CLASSES for each cache that no thread owns */
	uint64_t nowhere_pages; /* pages of zeros that exist */
	uint32_t hint;		/* of na_meta_chunk() */
	bool cramped;		/* there was not room for all: what is missing was made meanwhile */

	void *memory;
	size_t memory_bytes;
};

/* Maps scratch memory for `scale` times what there is now and some more; -ENOMEM. */
int na_survey_open(struct na_survey *v, uint32_t scale);
void na_survey_close(struct na_survey *v);

/* One look. Takes and releases all locks; pauses the maintenance thread. */
void na_survey_run(struct na_survey *v, bool fix);

/* ---- parts, for the other files of harden/ ---- */

/* Counts a fault, and keeps its sentence if there is room. Returns whether to mend. */
bool na_fault(struct na_survey *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether a block of metadata may lie there. */
bool na_survey_meta(struct na_survey *v, const void *p, size_t size, size_t alignment);
struct na_known *na_survey_segment(struct na_survey *v, const struct na_segment *segment);
/* The known segment whose span that is; NULL if it is none. */
struct na_known *na_survey_span(struct na_survey *v, const struct na_span *span);
uint8_t *na_survey_place(struct na_survey *v, const struct na_known *k, const struct na_span *span);
bool na_survey_cache(struct na_survey *v, const struct na_cache *c);
bool na_survey_pool(struct na_survey *v, const struct na_pool *pool);
/* The entry of a pool's table; NULL where its block is not to be believed. */
struct na_segment_ref *na_survey_ref(struct na_survey *v, struct na_pool *pool, uint32_t index);
void na_survey_range(struct na_survey *v, const void *p, size_t size);

/* Heapsort by the first word of each element. */
void na_survey_sort(void *base, size_t count, size_t size);

/* Whether two seals differ in a byte only: then it is the seal that is damaged. */
static inline bool na_survey_near(uint64_t a, uint64_t b)
{
	for (unsigned int shift = 0; shift < 64; shift += 8)
		if (((a ^ b) & ~(UINT64_C(0xff) << shift)) == 0)
			return true;
	return false;
}

/* Finds the one byte of a sealed object that is wrong: tries every value of each of the bytes [from, to) until `whole` says yes. The object is
 * a copy that nobody else sees. */
bool na_survey_mend(void *object, size_t from, size_t to, bool (*whole)(const void *));

/* Before the locks: the two halves of the table of chunks. */
void na_survey_chunks(struct na_survey *v);
/* Which caches and named pools there are; both lists are checked before they are followed. */
void na_survey_sampled(struct na_survey *v);
void na_survey_named(struct na_survey *v);
void na_survey_caches_of(struct na_survey *v, struct na_named *n); /* under its lock */
void na_survey_caches(struct na_survey *v);
void na_survey_pools(struct na_survey *v);    /* what is constant in pools */
void na_survey_segments(struct na_survey *v); /* tables, lists, the map: fills known */
void na_survey_slices(struct na_survey *v);   /* runs of slices, and the pools' counters of them */
void na_survey_stacks(struct na_survey *v);   /* caches: what is constant, bins, stacks */
void na_survey_lists(struct na_survey *v);    /* rings and queues: fills place */
void na_survey_places(struct na_survey *v);   /* whether each span is where it should be, and its slices' ids */
void na_survey_held(struct na_survey *v);     /* slots that are out, counted twice */
void na_survey_arenas(struct na_survey *v);   /* chunks and free lists */

/* One small span, its seal apart: its slots. */
void na_survey_small(struct na_survey *v, struct na_span *span);

/* What is known of its units that share pages, if it has any; before its slots, for what is not to be believed is made to fit. */
void na_survey_merged(struct na_survey *v, struct na_span *span);

/* Rebuilds a cache's rings, or its queue, out of the spans that it owns. */
void na_survey_relist(struct na_survey *v, struct na_cache *c);
void na_survey_requeue(struct na_survey *v, struct na_cache *c);

#endif
