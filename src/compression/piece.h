/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A piece: up to 64 KiB of a block, compressed by itself. Its payload is what the filter makes of it, plane after plane; struct
 * na_code, 40 bytes, says how to read it and has a checksum over the payload. Neither depends on anything else, so pieces are restored in any
 * order, by any thread.
 *
 *   filter NONE     one plane, the bytes as they are
 *   filter PLANES   element width 4 or 8: a plane for each byte of an element, then the bytes left over
 *   filter DELTAS   the same of differences of neighbours (index ramps, smooth fields)
 *   filter CURVES   the same of second differences, with the elements 4 and 8 before, of elements of 8 bytes (smooth fields)
 *
 * In front of all planes is a table of their lengths, two bytes each, and behind it, of DELTAS only, what they start from.
 *
 * Each plane is RAW, BITS (bits.h: of groups of bytes the bits that vary) or LZ4 (LZ4's block). BITS costs next to
 * nothing; LZ4 must save a fifth more, and is tried on the planes of which the plan has not learnt that it does not. So a plane in which nothing
 * repeats costs a copy and no search, and when restoring nothing, because it is read where it lies.
 *
 * A payload that does not fit its checksum is never looked into; a code that does not fit its payload is -EBADMSG all the same, whatever
 * the checksum says, and nothing is read or written beyond the payload and the piece.
 *
 * Any thread with a workspace of its own; no lock, no allocation.
 */
#ifndef NA_COMPRESSION_PIECE_H
#define NA_COMPRESSION_PIECE_H

#include "compression/workspace.h"

enum na_filter {
	NA_FILTER_NONE,
	NA_FILTER_PLANES4,
	NA_FILTER_PLANES8,
	NA_FILTER_DELTAS4,
	NA_FILTER_DELTAS8,
	NA_FILTER_CURVES8,
	NA_FILTERS
};
enum na_plane_mode { NA_PLANE_RAW, NA_PLANE_LZ4, NA_PLANE_BITS };

/* The planes of `from`, at `planes`; what deltas start from, at `starts`. Any filter of planes. */
void na_filter_split(enum na_filter filter, const void *from, size_t n, uint8_t *const *planes, uint8_t *starts);

/* How hard to try. */
struct na_effort {
	uint8_t speed;	 /* of LZ4: its acceleration */
	uint8_t high;	 /* LZ4HC's level; 0: LZ4 */
	uint8_t filters; /* a bit each: which are considered; CURVES where DELTAS are */
};

/* What was found about a block, and is learnt on the way. */
struct na_plan {
	struct na_effort effort;
	uint8_t filter, second; /* the best on a sample; the runner-up if it is close, else the same */
	uint8_t raw;		/* planes of `filter` that are not for LZ4 */
	uint8_t before;		/* pieces so far, to find out when one of these is tried again */
	float gain;		/* of the best, on the sample */
};

struct na_code {
	uint32_t length;   /* of the payload */
	uint32_t original; /* of the piece */
	uint16_t modes;	   /* two bits a plane */
	uint8_t filter;
	uint8_t unused[5];
	uint64_t checksum; /* of the payload */
	uint64_t seal;	   /* of all that is above */
};

/* Tries the filters on a sample of the block, which is up to 5 % of what compressing it would cost. */
void na_plan_make(struct na_workspace *w, struct na_plan *plan, const struct na_effort *effort, const void *block,
		  size_t size);

/* Whether by that sample it is worth trying. */
bool na_plan_promises(const struct na_plan *plan);

/* Compresses up to NA_PIECE bytes; returns the payload, which lies in the workspace. If nothing helps it is the piece itself. */
const void *na_piece_compress(struct na_workspace *w, struct na_plan *plan, const void *from, size_t size,
			      struct na_code *code);

/* 0; -EBADMSG: damaged, and `to`, code->original bytes, is not to be used. */
int na_piece_restore(struct na_workspace *w, const struct na_code *code, const void *payload, void *to);

/* The code itself is whole: its fields may be relied upon. */
bool na_code_is_whole(const struct na_code *code);

/* Code and payload are whole. */
int na_piece_check(const struct na_code *code, const void *payload);

/* One filter; for the plan. Bytes of the payload at `to`, which has room for size + NA_SLACK; LZ4 is not tried on those that are `raw`. */
size_t na_piece_encode(struct na_workspace *w, const struct na_effort *effort, enum na_filter filter, uint8_t raw,
		       const void *from, size_t size, uint8_t *to, uint16_t *modes);
/* Without looking at checksum and seal: for tests. */
int na_piece_decode(struct na_workspace *w, const struct na_code *code, const void *payload, void *to);

static inline unsigned int na_filter_width(unsigned int filter)
{
	static const uint8_t width[NA_FILTERS] = { 1, 4, 8, 4, 8, 8 };

	return width[filter];
}

static inline bool na_filter_is_delta(unsigned int filter)
{
	return filter == NA_FILTER_DELTAS4 || filter == NA_FILTER_DELTAS8;
}

#endif
