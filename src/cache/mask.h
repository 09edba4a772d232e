/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of 64 state bytes are zero (free), as the bits of a word; and marking them. The one place with SIMD in the heap. */
#ifndef NA_CACHE_MASK_H
#define NA_CACHE_MASK_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline uint64_t na_mask_portable(const uint8_t *state)
{
	uint64_t mask = 0;

	for (unsigned int i = 0; i < 64; i += 8) {
		uint64_t eight;

		/* Bytes are 0, 1 or 0xff: keep one bit of each and gather them with a multiplication. */
		memcpy(&eight, state + i, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		eight = __builtin_bswap64(eight);
#endif
		eight = ~eight & UINT64_C(0x0101010101010101);
		mask |= (eight * UINT64_C(0x0102040810204080) >> 56) << i;
	}
	return mask;
}

static inline uint64_t na_mask_free(const uint8_t *state)
{
#if defined(__SSE2__)
	const __m128i zero = _mm_setzero_si128();
	uint64_t mask = 0;

	for (unsigned int i = 0; i < 4; i++) {
		__m128i bytes = _mm_load_si128((const __m128i *)(const void *)(state + 16 * i));

		mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, zero)) << (16 * i);
	}
	return mask;
#else
	return na_mask_portable(state);
#endif
}

/* Turns the free bytes at the mask's bits into 1. */
static inline void na_mask_set_aside(uint8_t *state, uint64_t mask)
{
	if (mask == ~UINT64_C(0)) {
		memset(state, 1, 64);
		return;
	}
	for (; mask; mask &= mask - 1)
		state[__builtin_ctzll(mask)] = 1;
}

#endif
