/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Byte planes: the first bytes of all elements, then all second bytes, and so on. Neighbours in a field share sign, exponent and the
 * first digits, and nothing else: only apart from the rest do these bytes repeat, and LZ4, which looks for four equal bytes, sees it.
 *
 * And planes of differences: each element less the one before it, of negative ones all bits but the sign turned over, so that small ones of either sign
 * have zeros in front, and the signs, which come in runs, a bit for themselves. What lies before each eighth (elements of 4 bytes) or quarter of a block is kept
 * besides: so the sums of all these sections go on at once.
 *
 * Pure functions. Elements have 2, 4 or 8 bytes and may lie anywhere; planes are apart, each with a pointer of its own, so that one that is
 * kept as it is need not be copied. With AVX2 30 bytes a ns, and of differences 20; else SSE2, and on other processors plain C.
 */
#ifndef NA_COMPRESSION_PLANES_H
#define NA_COMPRESSION_PLANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NA_PLANES 8 /* at most */

/* Which byte of a number is the k-th in memory, by its value. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NA_PLANE_BYTE(k, width) ((width)-1 - (k))
#else
#define NA_PLANE_BYTE(k, width) (k)
#endif

/* Of each 32 elements, in a plane, those of every other 16 bytes come first, then the others: as registers of 32 bytes are transposed, without
 * a step more. What is left at the end is in order. */
#define NA_PLANES_GROUP 32
static inline size_t na_plane_place(size_t i, size_t n, unsigned int width)
{
	size_t some = 16 / width, unit = i % NA_PLANES_GROUP / some;

	if ((i | (NA_PLANES_GROUP - 1)) >= n)
		return i;
	return i - i % NA_PLANES_GROUP + unit % 2 * 16 + unit / 2 * some + i % some;
}

/* The i-th number of 4 or 8 bytes. */
static inline uint64_t na_element(const uint8_t *p, ptrdiff_t i, unsigned int width)
{
	uint64_t whole;
	uint32_t half;

	if (width == 8)
		memcpy(&whole, p + 8 * i, 8);
	else
		memcpy(&half, p + 4 * i, 4);
	return width == 8 ? whole : half;
}

/* Of negative differences all bits but the sign are turned over: the same both ways. */
static inline uint64_t na_folded(uint64_t difference, unsigned int width)
{
	return width == 8 ? difference ^ (difference >> 63 ? INT64_MAX : 0)
			  : difference ^ ((uint32_t)difference >> 31 ? INT32_MAX : 0);
}

/* Lines of elements that will be read or written are asked for so many bytes ahead; a piece is seldom the last of its block. */
#define NA_PLANES_AHEAD 2048

/* `n` elements of `width` bytes to and from `width` planes of n bytes. */
void na_planes_split(const void *from, size_t n, unsigned int width, uint8_t *const *planes);
void na_planes_join(const uint8_t *const *planes, size_t n, unsigned int width, void *to);

/* In the same words, the portable way: for tests. */
void na_planes_split_plain(const uint8_t *from, size_t first, size_t n, unsigned int width, uint8_t *const *planes);
void na_planes_join_plain(const uint8_t *const *planes, size_t first, size_t n, unsigned int width, uint8_t *to);

/* The same of differences, for elements of 4 or 8 bytes; made and undone in the registers that are transposed. `starts`: NA_STARTS(n, width) bytes. */
#define NA_DELTAS_BLOCK	    16384 /* bytes */
#define NA_BLOCK_STARTS	    32
#define NA_STARTS(n, width) (((n) * (width) + NA_DELTAS_BLOCK - 1) / NA_DELTAS_BLOCK * NA_BLOCK_STARTS)
#define NA_SECTION(n, width)                                                                                           \
	((n) / (512 / (width)) * 16) /* elements, of n in a block; the rest follows the last section */
void na_planes_split_deltas(const void *from, size_t n, unsigned int width, uint8_t *const *planes, uint8_t *starts);
/* Of a block, n elements; the first of all, or what is before it lies in front of `to`. `starts`: the block's. */
void na_planes_join_deltas(const uint8_t *const *planes, size_t n, bool first, unsigned int width,
			   const uint8_t *starts, void *to);

/* Planes of second differences, of elements of 8 bytes: each with those 4 and 8 before it. Of a smooth field they are smaller, and they are summed
 * in whole registers. To be joined in parts of whole groups: what is before one lies in front of `to`. */
void na_planes_split_curves(const void *from, size_t n, uint8_t *const *planes);
void na_planes_join_curves(const uint8_t *const *planes, size_t n, bool first, void *to);
void na_planes_split_curves_plain(const void *from, size_t n, uint8_t *const *planes);
void na_planes_join_curves_plain(const uint8_t *const *planes, size_t n, bool first, void *to);

/* In the same words, the portable way: for tests. */
void na_planes_split_deltas_plain(const void *from, size_t n, unsigned int width, uint8_t *const *planes,
				  uint8_t *starts);
void na_planes_join_deltas_plain(const uint8_t *const *planes, size_t n, bool first, unsigned int width, void *to);

#endif
