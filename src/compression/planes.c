/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/planes.h"

#include <string.h>

#define TILE 512 /* elements that are worked on while they are in the first-level cache */

void na_planes_split_plain(const uint8_t *from, size_t first, size_t n, unsigned int width, uint8_t *const *planes)
{
	for (size_t i = first; i < n; i++)
		for (unsigned int k = 0; k < width; k++)
			planes[k][i] = from[i * width + k];
}

void na_planes_join_plain(const uint8_t *const *planes, size_t first, size_t n, unsigned int width, uint8_t *to)
{
	for (size_t i = first; i < n; i++)
		for (unsigned int k = 0; k < width; k++)
			to[i * width + k] = planes[k][i];
}

#if defined(__x86_64__)

#include <immintrin.h>

/* The registers are arrays whose indices must be constants to be in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

#define TARGET
#define VEC	       __m128i
#define STEP	       16
#define LO	       _mm_unpacklo_epi8
#define HI	       _mm_unpackhi_epi8
#define GET(p, far)    _mm_loadu_si128((const __m128i *)(const void *)(p))
#define PUT(p, far, v) _mm_storeu_si128((__m128i *)(void *)(p), v)
#define NAME(x)	       x##_16
#include "compression/planes_x86.def"
#undef TARGET
#undef VEC
#undef STEP
#undef LO
#undef HI
#undef GET
#undef PUT
#undef NAME

/* Two transpositions side by side: a register's halves come from and go to places that lie `far` bytes apart. */
#define TARGET __attribute__((target("avx2")))
#define VEC    __m256i
#define STEP   32
#define LO     _mm256_unpacklo_epi8
#define HI     _mm256_unpackhi_epi8
#define GET(p, far)                                                                                                    \
	_mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(p))),           \
				_mm_loadu_si128((const __m128i *)(const void *)((p) + (far))), 1)
#define PUT(p, far, v)                                                                                                 \
	do {                                                                                                           \
		_mm_storeu_si128((__m128i *)(void *)(p), _mm256_castsi256_si128(v));                                   \
		_mm_storeu_si128((__m128i *)(void *)((p) + (far)), _mm256_extracti128_si256(v, 1));                    \
	} while (0)
#define NAME(x) x##_32
#include "compression/planes_x86.def"

static size_t split(const uint8_t *from, size_t n, unsigned int width, uint8_t *const *planes)
{
	return __builtin_cpu_supports("avx2") ? split_32(from, n, width, planes) : split_16(from, n, width, planes);
}

static size_t join(const uint8_t *const *planes, size_t n, unsigned int width, uint8_t *to)
{
	return __builtin_cpu_supports("avx2") ? join_32(planes, n, width, to) : join_16(planes, n, width, to);
}

/* From the second element on, in whole registers; the number of the first element that is left. The differences need no carry, the
 * sums have one for a register, of which only an addition waits for the one before. */
static TARGET size_t make_vectors(const uint8_t *p, size_t n, unsigned int width, uint8_t *q)
{
	size_t i = 1, lanes = 32 / width;

	for (; i + lanes <= n; i += lanes) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + i * width));
		__m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + (i - 1) * width));

		if (width == 8) {
			v = _mm256_sub_epi64(v, b);
			v = _mm256_xor_si256(_mm256_add_epi64(v, v), _mm256_cmpgt_epi64(_mm256_setzero_si256(), v));
		} else {
			v = _mm256_sub_epi32(v, b);
			v = _mm256_xor_si256(_mm256_add_epi32(v, v), _mm256_srai_epi32(v, 31));
		}
		_mm256_storeu_si256((__m256i *)(void *)(q + i * width), v);
	}
	return i;
}

static TARGET size_t undo_vectors_8(uint8_t *p, size_t first, size_t n)
{
	const __m256i one = _mm256_set1_epi64x(1), zero = _mm256_setzero_si256();
	__m256i carry = zero;
	size_t i;

	if (first)
		carry = _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(p + (first - 1) * 8)));
	for (i = first; i + 4 <= n; i += 4) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + i * 8));

		v = _mm256_xor_si256(_mm256_srli_epi64(v, 1), _mm256_sub_epi64(zero, _mm256_and_si256(v, one)));
		v = _mm256_add_epi64(v, _mm256_slli_si256(v, 8));
		v = _mm256_add_epi64(v, _mm256_blend_epi32(zero, _mm256_permute4x64_epi64(v, 0x55), 0xf0));
		_mm256_storeu_si256((__m256i *)(void *)(p + i * 8), _mm256_add_epi64(v, carry));
		carry = _mm256_add_epi64(carry, _mm256_permute4x64_epi64(v, 0xff));
	}
	return i;
}

static TARGET size_t undo_vectors_4(uint8_t *p, size_t first, size_t n)
{
	const __m256i one = _mm256_set1_epi32(1), zero = _mm256_setzero_si256(), third = _mm256_set1_epi32(3),
		      last = _mm256_set1_epi32(7);
	__m256i carry = zero;
	size_t i;

	if (first)
		carry = _mm256_broadcastd_epi32(_mm_loadu_si32(p + (first - 1) * 4));
	for (i = first; i + 8 <= n; i += 8) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + i * 4));

		v = _mm256_xor_si256(_mm256_srli_epi32(v, 1), _mm256_sub_epi32(zero, _mm256_and_si256(v, one)));
		v = _mm256_add_epi32(v, _mm256_slli_si256(v, 4));
		v = _mm256_add_epi32(v, _mm256_slli_si256(v, 8));
		v = _mm256_add_epi32(v, _mm256_blend_epi32(zero, _mm256_permutevar8x32_epi32(v, third), 0xf0));
		_mm256_storeu_si256((__m256i *)(void *)(p + i * 4), _mm256_add_epi32(v, carry));
		carry = _mm256_add_epi32(carry, _mm256_permutevar8x32_epi32(v, last));
	}
	return i;
}

static size_t make_some(const uint8_t *p, size_t n, unsigned int width, uint8_t *q)
{
	return __builtin_cpu_supports("avx2") ? make_vectors(p, n, width, q) : 1;
}

static size_t undo_some(uint8_t *p, size_t first, size_t n, unsigned int width)
{
	if (!__builtin_cpu_supports("avx2"))
		return first;
	return width == 8 ? undo_vectors_8(p, first, n) : undo_vectors_4(p, first, n);
}

#else

static size_t split(const uint8_t *from, size_t n, unsigned int width, uint8_t *const *planes)
{
	return 0;
}

static size_t join(const uint8_t *const *planes, size_t n, unsigned int width, uint8_t *to)
{
	return 0;
}

static size_t make_some(const uint8_t *p, size_t n, unsigned int width, uint8_t *q)
{
	return 1;
}

static size_t undo_some(uint8_t *p, size_t first, size_t n, unsigned int width)
{
	return first;
}

#endif

void na_planes_split(const void *from, size_t n, unsigned int width, uint8_t *const *planes)
{
	na_planes_split_plain(from, split(from, n, width, planes), n, width, planes);
}

void na_planes_join(const uint8_t *const *planes, size_t n, unsigned int width, void *to)
{
	na_planes_join_plain(planes, join(planes, n, width, to), n, width, to);
}

static uint64_t element(const uint8_t *p, size_t i, unsigned int width)
{
	uint64_t whole;
	uint32_t half;

	if (width == 8)
		memcpy(&whole, p + 8 * i, 8);
	else
		memcpy(&half, p + 4 * i, 4);
	return width == 8 ? whole : half;
}

static void put(uint8_t *p, size_t i, unsigned int width, uint64_t v)
{
	uint32_t half = (uint32_t)v;

	if (width == 8)
		memcpy(p + 8 * i, &v, 8);
	else
		memcpy(p + 4 * i, &half, 4);
}

static uint64_t folded(uint64_t difference, unsigned int width)
{
	return width == 8 ? difference << 1 ^ -(difference >> 63)
			  : (uint32_t)difference << 1 ^ -((uint32_t)difference >> 31);
}

void na_deltas_make_plain(const uint8_t *from, size_t first, size_t n, unsigned int width, uint8_t *to)
{
	for (size_t i = first; i < n; i++)
		put(to, i, width, folded(element(from, i, width) - (i ? element(from, i - 1, width) : 0), width));
}

void na_deltas_undo_plain(uint8_t *at, size_t first, size_t n, unsigned int width)
{
	uint64_t sum = first ? element(at, first - 1, width) : 0;

	for (size_t i = first; i < n; i++) {
		uint64_t v = element(at, i, width);

		sum += v >> 1 ^ -(v & 1);
		put(at, i, width, sum);
	}
}

void na_deltas_make(const void *from, size_t n, unsigned int width, void *to)
{
	na_deltas_make_plain(from, 0, n ? 1 : 0, width, to);
	if (n)
		na_deltas_make_plain(from, make_some(from, n, width, to), n, width, to);
}

void na_deltas_undo(void *at, size_t n, unsigned int width)
{
	na_deltas_undo_plain(at, undo_some(at, 0, n, width), n, width);
}

void na_planes_split_deltas(const void *from, size_t n, unsigned int width, uint8_t *const *planes)
{
	uint8_t space[(TILE + 1) * NA_PLANES], *parts[NA_PLANES];
	const uint8_t *p = from;

	for (size_t i = 0; i < n; i += TILE) {
		size_t count = n - i < TILE ? n - i : TILE;

		if (i == 0)
			na_deltas_make(p, count, width, space + width);
		else /* the tile's first is the second here */
			na_deltas_make(p + (i - 1) * width, count + 1, width, space);
		for (unsigned int k = 0; k < width; k++)
			parts[k] = planes[k] + i;
		na_planes_split(space + width, count, width, parts);
	}
}

void na_planes_join_deltas(const uint8_t *const *planes, size_t n, unsigned int width, void *to)
{
	const uint8_t *parts[NA_PLANES];
	uint8_t *p = to;

	for (size_t i = 0; i < n; i += TILE) {
		size_t end = n - i < TILE ? n : i + TILE;

		for (unsigned int k = 0; k < width; k++)
			parts[k] = planes[k] + i;
		na_planes_join(parts, end - i, width, p + i * width);
		na_deltas_undo_plain(p, undo_some(p, i, end, width), end, width);
	}
}
