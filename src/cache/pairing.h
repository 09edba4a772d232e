/* SPDX-License-Identifier: BSD-3-Clause */
/* What pairing.c, which merges, and packing.c, which says what goes together, have in common. One pass over one class of a cache. */
#ifndef NA_CACHE_PAIRING_H
#define NA_CACHE_PAIRING_H

#include "cache/merge.h"

#define NA_PACK_NONE UINT32_MAX
#define NA_PACK_RUN  64 /* units that one call maps */

struct na_pack_item {
	struct na_span *span;
	struct na_frame *frame; /* all that is on it, by its host; NULL: a private unit */
	uint32_t index;		/* unit of the span */
	uint32_t live;
	uint32_t next; /* in the same bin; NONE */
	uint32_t bin;
};

struct na_pack_bin {
	uint32_t first, last;
	uint32_t target;	/* the item that the others come to, if it has a frame */
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
	uint32_t *open;			    /* bins that units are still tried against, oldest first */
	uint64_t *open_bits;		    /* and what lives in them */
	uint64_t *bits;			    /* of each item */
	char *page;			    /* where frames are composed */
	struct na_merge *made[NA_PACK_RUN]; /* records of the run's spans, not theirs yet */
	bool merged;			    /* a bin */
	bool no_frames;			    /* merged spans are left as they are */
	uint32_t private;		    /* spans claimed that were not merged */
	uint32_t span_count, item_count, bin_count, open_count;
	uint32_t run, run_count, run_most;	/* items that follow each other, and begin frames */
	uint32_t per, words, unit_bytes, units; /* of a unit; of a span */
	void *memory;
	size_t memory_bytes;
};

/* Puts every item into a bin. 0 or -ENOMEM. */
int na_pack(struct na_pack *w);

#endif
