/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs of ones in a segment's bitmap of 512 slices. Pure functions. */
#ifndef NA_POOL_BITS_H
#define NA_POOL_BITS_H

#include <stdbool.h>
#include <stdint.h>

#include "pool/segment.h"

static inline uint32_t na_bits_next(const uint64_t *map, uint32_t from, bool set)
{
	while (from < NA_SLICES) {
		uint64_t word = (set ? map[from / 64] : ~map[from / 64]) >> (from % 64);

		if (word)
			return from + (uint32_t)__builtin_ctzll(word);
		from = (from | 63) + 1;
	}
	return NA_SLICES;
}

/* The lowest place for `count` ones, or the best-fitting run's high end; -1 if there is none, with the
 * longest run seen in *longest either way. */
static inline int na_bits_find(const uint64_t *map, uint32_t count, uint32_t align, bool low, uint32_t *longest)
{
	uint32_t best_length = NA_SLICES + 1;
	int best = -1;

	*longest = 0;
	for (uint32_t start = na_bits_next(map, 0, true); start < NA_SLICES;) {
		uint32_t end = na_bits_next(map, start, false), at;

		if (end - start > *longest)
			*longest = end - start;
		if (end - start >= count) {
			at = low ? (start + align - 1) & ~(align - 1) : (end - count) & ~(align - 1);
			if (at >= start && at + count <= end) {
				if (low)
					return (int)at;
				if (end - start <= best_length) {
					best_length = end - start;
					best = (int)at;
				}
			}
		}
		start = na_bits_next(map, end, true);
	}
	return best;
}

static inline uint32_t na_bits_count(const uint64_t *map, uint32_t from, uint32_t count)
{
	uint32_t n = 0;

	for (uint32_t i = from; i < from + count; i++)
		n += map[i / 64] >> (i % 64) & 1;
	return n;
}

/* Sets or clears `count` bits. */
static inline void na_bits_put(uint64_t *map, uint32_t from, uint32_t count, bool set)
{

	while (count) {
		uint32_t shift = from % 64, n = 64 - shift < count ? 64 - shift : count;
		uint64_t mask = (n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << shift;

		if (set)
			map[from / 64] |= mask;
		else
			map[from / 64] &= ~mask;
		from += n;
		count -= n;
	}
}

#endif
