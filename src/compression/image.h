/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The image of a block: a header with a table, and a payload for each piece of 64 KiB, all blocks of a named pool of numarena's own on the
 * block's node ("compressed"). So images count in every statistic, and are found by the validation of the heap.
 *
 * An image is never trusted: the header has a seal over itself and the table, each piece a checksum, and all are looked at before a byte of
 * what they describe. Damage is -EBADMSG, reported once an image, and counted as corruption.
 *
 * Who owns the image keeps it from being used and dropped at once; any number may restore from one at the same time. Nothing here takes a
 * lock but a workspace's and, for the payloads, the pool's. Making one does not make room: it is what room is made by.
 *
 * Cost: about 1 ns a byte, and 0.3 to restore (benchmarks/compression).
 */
#ifndef NA_COMPRESSION_IMAGE_H
#define NA_COMPRESSION_IMAGE_H

#include "compression/piece.h"

struct na_pool;

struct na_image_piece {
	void *payload; /* NULL: not there, which only pieces of an image under construction are */
	struct na_code code;
};

struct na_image {
	uint64_t magic;
	uint64_t size;	/* of the block */
	uint64_t bytes; /* that the image's blocks take, with this one */
	uint32_t pieces, flags;
	struct na_hash128 contents; /* of the block: of its parts' hashes */
	uint64_t seal;		    /* of what is above and the table */
	uint64_t reported;	    /* atomic, relaxed: that it is damaged has been said */
	struct na_image_piece piece[];
};

#define NA_IMAGE_GAIN_NUMERATOR	  4 /* what is not 4/3 smaller is not kept */
#define NA_IMAGE_GAIN_DENOMINATOR 3

/* Asked before a further piece that would probably end later than a slice after it was asked last, and between parts (NA_IMAGE_PART) that are compared, with
 * nothing locked: false ends it with -EAGAIN. */
#define NA_IMAGE_SLICE_NS 200000
struct na_breath {
	bool (*go_on)(void *closure);
	void *closure;
};
#define NA_IMAGE_PART (4 * NA_PIECE)

/* 0 and an image of the block, on the pool's node; -ENODATA: it would not shrink enough; -ENOMEM; -EAGAIN. The block must not change meanwhile. breath may
 * be NULL. */
int na_image_make(const struct na_pool *home, const void *block, size_t size, const struct na_effort *effort,
		  const struct na_breath *breath, struct na_image **out);

/* The block, or its i-th piece of NA_PIECE bytes, at `to`. 0, or -EBADMSG: nothing at `to` is to be used. */
int na_image_restore(struct na_image *image, void *to);
int na_image_restore_piece(struct na_image *image, uint32_t i, void *to);

/* Whether the block is what it was: 1, or 0, also if the image is damaged; -EAGAIN. */
int na_image_is_of(const struct na_image *image, const void *block, size_t size, const struct na_breath *breath);

/* Everything is whole: 0 or -EBADMSG. Says nothing. */
int na_image_check(const struct na_image *image);

/* NULL is none. One whose header is damaged stays, for what it says of its pieces is not to be trusted: returns the bytes that went back. */
uint64_t na_image_drop(struct na_image *image);

/* ---- single pieces, for who keeps them apart ---- */

/* Memory for a payload of `bytes` on the pool's node, one attempt; NULL. */
void *na_image_room(const struct na_pool *home, size_t bytes);
void na_image_give(void *payload);
/* Whether the pool is one of images. */
bool na_image_owns(const struct na_pool *pool);

/* ---- figures: of all images since the start, relaxed ---- */

struct na_image_figures {
	uint64_t images;			      /* there now */
	uint64_t original, compressed;		      /* bytes now */
	uint64_t made, restored, dropped_unchanged;   /* pieces */
	uint64_t incompressible, incompressible_size; /* blocks, and their bytes, that were tried in vain */
	uint64_t compress_ns, restore_ns;
	uint64_t damaged; /* images */
};
void na_image_figures(struct na_image_figures *out);

/* From who keeps pieces of its own; negative numbers take away. */
void na_image_count(int64_t images, int64_t original, int64_t compressed);
void na_image_count_made(uint64_t pieces, uint64_t ns);
void na_image_count_restored(uint64_t pieces, uint64_t ns);
void na_image_count_unchanged(uint64_t pieces);
void na_image_count_vain(uint64_t size);

/* Says and counts that an image of the block at that address is damaged. */
void na_image_report(const void *of, size_t size);

#endif
