/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that merge (runs.c, held.c), those that say what goes together (covering.c, packing.c) and pairing.c, which serves both, have in common. One pass over
 * one class of a cache. */
#ifndef NA_CACHE_PAIRING_H
#define NA_CACHE_PAIRING_H

#include "cache/merge.h"

#define NA_PACK_NONE UINT32_MAX
#define NA_PACK_RUN  64 /* units that one call maps */

struct na_pack_item {
	struct na_span *span;
	struct na_frame
		*frame; /* all that is on it, by its host; NULL: a private unit (staging.c: or its own, on the way) */
	uint32_t index; /* unit of the span */
	uint32_t live;
	uint32_t next; /* in the same bin; NONE */
	uint32_t bin;
};

struct na_pack_bin {
	uint32_t first, last;
	uint32_t target;	/* the item that the others come to, if it has a frame */
	uint32_t group;		/* na_cover(): of frames that are made together or not at all */
	bool apart;		/* the same: it does not lie behind the bin before */
	bool used;		/* the same: something comes to it, or to its group */
	struct na_frame *frame; /* of private units: made when the first of them is mapped */
	bool begun;		/* that is done, or about to be */
};

struct na_pack {
	struct na_cache *c;
	unsigned int cls;
	struct na_merge_limits *limits;
	const struct na_span *ours[2]; /* the calling thread's stack or thread-local variables may lie there */
	struct na_span **spans;	       /* claimed, by address */
	struct na_pack_item *items;    /* private units are by address */
	struct na_pack_bin *bins;
	uint32_t *
		open; /* bins that units are still tried against, oldest first; of na_cover(): in the order in which they are made */
	uint64_t *open_bits;		    /* and what lives in them */
	uint64_t *bits;			    /* of each item */
	char *page;			    /* where frames are composed */
	uint32_t page_units;		    /* so many at a time */
	struct na_merge *made[NA_PACK_RUN]; /* records of the run's spans, not theirs yet */
	bool merged;			    /* a bin */
	bool no_frames;			    /* merged spans are left as they are */
	bool plenty;	  /* na_cover() has found mappings for every unit, and has placed one by one */
	uint32_t private; /* spans claimed that were not merged */
	uint32_t span_count, item_count, bin_count, open_count;
	uint32_t next_bin, next_item;		/* where merging goes on */
	uint32_t run, run_count, run_most;	/* items that follow each other */
	uint32_t per, words, unit_bytes, units; /* of a unit; of a span */
	void *memory;
	size_t memory_bytes;
};

/* The order in which items are tried: by what lives in them, the fullest first, of equals by address. `place` has per + 1 words. */
void na_pack_order(const struct na_pack *w, uint32_t *order, uint32_t *place);
/* Puts every item into a bin. 0 or -ENOMEM. */
int na_pack(struct na_pack *w);
/* Items are private units, by address, also those in which nothing lives, and bins what frames there are, by their place in the file. Gives items a
 * bin where they are to go, or NONE, and makes bins for frames to come, which `open` has in order: `first` is the unit that becomes one. 0 or -ENOMEM. */
int na_cover(struct na_pack *w);

/* ---- for the other files that merge; under na_merging_lock ---- */

#define NA_PACK_SLICE_RUN ((size_t)32 << 10) /* bytes that one call maps in a slice */

/* pairing.c. What is constant of a class. */
void na_pair_begin(struct na_pack *w, struct na_cache *c, unsigned int cls, struct na_merge_limits *limits);
/* What this slice may; of a plan that is taken up again no more at a time than it was made for. */
void na_pair_limit(struct na_pack *w, struct na_merge_limits *limits);
/* A span is the pass's, and put on the list; under the cache's lock. */
bool na_pair_claim(struct na_pack *w, struct na_span *span, struct na_span **list);
/* Those that are claimed go back to where they belong. */
void na_pair_unclaim(struct na_pack *w);
void na_pair_unclaim_list(struct na_cache *c, struct na_span *list);
/* Memory, and w->spans, by address. */
int na_pair_open(struct na_pack *w, struct na_span *list, uint32_t spans);
/* What lives in a unit is added to the bits; how much lives in those. */
uint32_t na_pair_unit_bits(const struct na_pack *w, const struct na_span *span, uint32_t index, uint64_t *out);
/* Whether the machine has lost a page of it. */
bool na_pair_is_lost(const struct na_pack *w, const struct na_span *span, uint32_t index, const struct na_frame *frame);
/* Private units in which nothing lives go back. */
void na_pair_purge(struct na_pack *w, struct na_span *span);
uintptr_t na_pair_address(const struct na_pack *w, const struct na_pack_item *item);
char *na_pair_unit_at(const struct na_pack *w, const struct na_unit *u);
/* Live slots of a unit, whose contents are at `from`, to where they lie in a frame. */
void na_pair_copy(const struct na_pack *w, char *to, const struct na_span *span, uint32_t index, const char *from);
/* Where a frame that is there can be written. */
char *na_pair_host(const struct na_pack *w, const struct na_frame *frame);

/* What lives on a frame; the bits are cleared before. */
uint32_t na_pair_frame_bits(const struct na_pack *w, const struct na_frame *frame, uint64_t *bits);
/* A frame on which nothing lives any more: its memory goes back, and comes again when a slot of it is given out. */
void na_pair_empty_frame(struct na_pack *w, struct na_frame *frame);
/* A private unit (`frame` NULL) or a frame, by its host, becomes an item; whatever lives in it, or only if some of it does, and not all. */
void na_pair_add(struct na_pack *w, struct na_span *span, uint32_t index, struct na_frame *frame, bool any);

/* Runs: items that follow each other in memory. At rest each is the first of its frame, and they come to the file by one call. Whether the i-th item lies behind the one before;
 * whether it is one run with those of w->run; it becomes the last of them. */
bool na_pair_continues(const struct na_pack *w, uint32_t i);
bool na_pair_may_add(const struct na_pack *w, uint32_t i);
void na_pair_add_to_run(struct na_pack *w, uint32_t i);
/* Records for the spans of items, each with the first of its items: in w->made until the units have joined. After a failure they are unmade. */
int na_pair_make_records(struct na_pack *w, uint32_t first, uint32_t count);
void na_pair_unmake_records(struct na_pack *w, uint32_t count);
struct na_merge *na_pair_record(const struct na_pack *w, uint32_t first, uint32_t i);
/* A frame of a unit's size that is not in the file yet; NULL: no memory. */
#define NA_PAIR_NOWHERE UINT64_MAX /* its `at` */
struct na_frame *na_pair_make_frame(const struct na_pack *w);
/* Records, and frames for items whose bin has none, for a run; those are given up after a failure, if nobody maps them. */
int na_pair_prepare_run(struct na_pack *w);
void na_pair_give_up_run(struct na_pack *w);
/* A run's contents, at `from`, into the file, and the file in their place. No lock. */
int na_pair_map_run(struct na_pack *w, const char *from, uint64_t *at);
void na_pair_join_run(struct na_pack *w, uint64_t at);
/* Whether there may be so many more edges between mappings. */
bool na_pair_has_mappings(const struct na_pack *w, uint64_t more);

/* held.c. A pass over what is claimed while threads write to it. */
int na_held_merge(struct na_pack *w);

/* runs.c. A whole pass over what is claimed: by runs of units, then frames with frames. */
int na_runs_merge(struct na_pack *w);
/* Which units go where, of what is private and no frames that were there; then does it, from next_bin and next_item on. */
int na_runs_plan(struct na_pack *w);
int na_runs_go(struct na_pack *w);
/* Every unit of a frame, whose contents are there already, onto another one. */
int na_runs_move_frame(struct na_pack *w, struct na_frame *to, struct na_frame *from);

/* rehoming.c. Frames on other nodes than the pool's come home. */
int na_rehome(struct na_pack *w);

/* staging.c. The same by way of frames of their own, for whole passes where other threads run: whether calls are so slow now that it is faster, and doing it. */
enum na_staging { NA_STAGING_AUTO, NA_STAGING_NEVER, NA_STAGING_ALWAYS };
extern enum na_staging na_staging; /* tests choose */
bool na_staging_is_slow(const struct na_pack *w);
int na_staging_go(struct na_pack *w);

#endif
