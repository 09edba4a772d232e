/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packed planes: of each 64 bytes only the bits that vary among them. A group is its first byte, a mask of the bits in which any of the others
 * differs from it, and the bits of the mask of all 64, 8 bytes for each; if the mask is 0, one byte: how many more groups are just as it. So a plane of
 * signs and exponents takes two or three bits a byte, the leading bytes of differences as many as their size needs, and noise of few bits just these,
 * none of which LZ4 sees, which looks for four equal bytes.
 *
 * The bits lie as rows (all bytes' highest bit of the mask first) or, where the processor gathers and scatters bits (pext, pdep) in a cycle, as fields
 * (the first byte's bits, then the second's): as long, and a group takes the same few cycles whatever its mask. A process uses one of them.
 *
 * There is nothing to search: of 8 KiB with five bits that vary, measured on Zen 3, packing takes 0.6 us as fields, 2.4 as rows with AVX2, ten times that in plain C,
 * where LZ4 takes 16.
 *
 * Pure functions. Packed bytes are for the machine that made them.
 */
#ifndef NA_COMPRESSION_BITS_H
#define NA_COMPRESSION_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_BITS_GROUP 64
/* Of n bytes in which every bit varies. */
#define NA_BITS_BOUND(n) (((n) + NA_BITS_GROUP - 1) / NA_BITS_GROUP * (NA_BITS_GROUP + 2))

/* Bytes that na_bits_pack() will write; *varies: the bits that vary within any group, or between groups. */
size_t na_bits_measure(const uint8_t *from, size_t n, uint8_t *varies);
size_t na_bits_pack(const uint8_t *from, size_t n, uint8_t *to);

/* Where one is in a packed plane, which is unpacked part by part. */
struct na_bits_reader {
	const uint8_t *at, *end; /* what is left of it */
	const uint8_t *safe;	 /* may be read up to here, not used: `end` or behind it */
	unsigned int more;	 /* groups still to come that are `byte` throughout */
	uint8_t byte;
};

/* The plane's next n bytes, whole groups but at its end, to `to`; false: it does not fit. At the end r->at is r->end, and r->more 0. */
bool na_bits_read(struct na_bits_reader *r, uint8_t *to, size_t n);

/* Whether they are r->byte throughout: then they count as read, and nothing is written. */
bool na_bits_run(struct na_bits_reader *r, size_t n);

/* The same, each way that there is, fastest first: the first that runs here is taken. For tests. */
#define NA_BITS_WAYS 3
struct na_bits_way {
	bool (*runs)(void);
	size_t (*measure)(const uint8_t *from, size_t n, uint8_t *varies);
	size_t (*pack)(const uint8_t *from, size_t n, uint8_t *to);
	bool (*read)(struct na_bits_reader *r, uint8_t *to, size_t n);
};
extern const struct na_bits_way na_bits_ways[NA_BITS_WAYS];

#endif
