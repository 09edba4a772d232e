/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers of 32 bytes, for the templates planes_x86.def and rotate_x86.def: two transpositions side by side. Included by planes.c, curves.c and
 * deltas.c, once, on x86-64 only. */
#ifndef NA_COMPRESSION_PLANES_AVX2_H
#define NA_COMPRESSION_PLANES_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#ifndef UNROLL
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#elif defined(__SANITIZE_ADDRESS__)
#define UNROLL /* gcc does not find the loops again, and says so */
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#endif

#define INLINE	  __attribute__((always_inline))
#define TARGET	  __attribute__((target("avx2")))
#define VEC	  __m256i
#define STEP	  32
#define LO	  _mm256_unpacklo_epi8
#define HI	  _mm256_unpackhi_epi8
#define GET(p)	  _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define PUT(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
/* A register's halves from and to places that lie `far` bytes apart. */
#define GET2(p, far)                                                                                                   \
	_mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(p))),           \
				_mm_loadu_si128((const __m128i *)(const void *)((p) + (far))), 1)
#define PUT2(p, far, v)                                                                                                \
	do {                                                                                                           \
		_mm_storeu_si128((__m128i *)(void *)(p), _mm256_castsi256_si128(v));                                   \
		_mm_storeu_si128((__m128i *)(void *)((p) + (far)), _mm256_extracti128_si256(v, 1));                    \
	} while (0)
#define NAME(x) x##_32

/* Turns over all bits but the sign of the elements that are negative, in their planes, of which the last says which these are. */
static inline TARGET INLINE void fold(__m256i *v, unsigned int width)
{
	__m256i negative = _mm256_cmpgt_epi8(_mm256_setzero_si256(), v[width - 1]);

	UNROLL
	for (unsigned int k = 0; k < width - 1; k++)
		v[k] = _mm256_xor_si256(v[k], negative);
	v[width - 1] = _mm256_xor_si256(v[width - 1], _mm256_and_si256(negative, _mm256_set1_epi8(INT8_MAX)));
}

#endif
