/* SPDX-License-Identifier: BSD-3-Clause */
/* Planes of differences: planes.h. */
#include <string.h>

#include "compression/planes.h"

#if defined(__x86_64__)

#include "compression/planes_avx2.h"
#include "compression/rotate_x86.def"

/* The sections of a block: 4 of elements of 8 bytes, 8 of 4; of a register the lower half has those of the first half of them. A round takes 16
 * elements of each. So that a sum is one addition for all sections, and waits for the one before only, an element of each comes to lie in a register;
 * SIDES registers at a time, whose elements follow one another. */
#define SIDES(width) (16 / (width))
#define AHEAD	     64 /* elements of a section: four rounds */

/* Registers of one element of each section, to registers of neighbours of one section. */
static inline TARGET INLINE void cross(__m256i *v, unsigned int width)
{
	__m256i a, b, c, d;

	if (width == 8) {
		a = _mm256_unpacklo_epi64(v[0], v[1]);
		v[1] = _mm256_unpackhi_epi64(v[0], v[1]);
		v[0] = a;
		return;
	}
	a = _mm256_unpacklo_epi32(v[0], v[1]);
	b = _mm256_unpackhi_epi32(v[0], v[1]);
	c = _mm256_unpacklo_epi32(v[2], v[3]);
	d = _mm256_unpackhi_epi32(v[2], v[3]);
	v[0] = _mm256_unpacklo_epi64(a, c);
	v[1] = _mm256_unpackhi_epi64(a, c);
	v[2] = _mm256_unpacklo_epi64(b, d);
	v[3] = _mm256_unpackhi_epi64(b, d);
}

/* What 16 bytes have in front of them. */
static inline TARGET INLINE __m256i before(const uint8_t *at, size_t far, bool nothing, unsigned int width)
{
	__m128i own;

	if (!nothing)
		return GET2(at - width, far);
	own = _mm_loadu_si128((const __m128i *)(const void *)at);
	own = width == 8 ? _mm_slli_si128(own, 8) : _mm_slli_si128(own, 4);
	return _mm256_inserti128_si256(_mm256_castsi128_si256(own),
				       _mm_loadu_si128((const __m128i *)(const void *)(at + far - width)), 1);
}

/* `width` elements of each section: 4 or 8 bytes of each section in a register, of each plane one. */
static inline TARGET INLINE void split_some(const uint8_t *p, size_t each, bool first, unsigned int width, __m256i *v)
{
	size_t far = SIDES(width) * each * width;

	UNROLL
	for (unsigned int k = 0; k < width; k++) {
		const uint8_t *at = width == 8 ? p + k / 4 * each * 8 + (size_t)(k % 4) * 16 : p + k * each * 4;
		__m256i a = GET2(at, far), b = before(at, far, first && k == 0, width);

		v[k] = width == 8 ? _mm256_sub_epi64(a, b) : _mm256_sub_epi32(a, b);
	}
	UNROLL
	for (int round = 0; round < 4; round++)
		rotate_32(v, width);
	fold(v, width);
}

static inline TARGET INLINE void split_round(const uint8_t *p, size_t i, size_t each, bool first, unsigned int width,
					     uint8_t *const *planes)
{
	__m256i v[4][8], w[4];

	UNROLL
	for (unsigned int side = 0; side < SIDES(width); side++)
		split_some(p + (size_t)side * width * width, each, first && side == 0, width, v[side]);
	UNROLL
	for (unsigned int k = 0; k < width; k++) {
		UNROLL
		for (unsigned int side = 0; side < SIDES(width); side++)
			w[side] = v[side][k];
		cross(w, width);
		UNROLL
		for (unsigned int side = 0; side < SIDES(width); side++)
			PUT2(planes[k] + i + side * each, SIDES(width) * each, w[side]);
	}
}

static inline TARGET INLINE size_t split_deltas_width(const uint8_t *from, size_t n, bool first, unsigned int width,
						      uint8_t *const *planes)
{
	size_t each = NA_SECTION(n, width);

	if (each && first)
		split_round(from, 0, each, true, width, planes);
	for (size_t i = first ? 16 : 0; i < each; i += 16)
		split_round(from + i * width, i, each, false, width, planes);
	return 2 * SIDES(width) * each;
}

static inline TARGET INLINE void join_round(const uint8_t *const *planes, size_t i, size_t each, unsigned int width,
					    __m256i *sum, uint8_t *to)
{
	__m256i v[4][8], w[8];

	UNROLL
	for (unsigned int k = 0; k < width; k++) {
		UNROLL
		for (unsigned int side = 0; side < SIDES(width); side++)
			w[side] = GET2(planes[k] + i + side * each, SIDES(width) * each);
		UNROLL
		for (unsigned int bit = 1; bit < SIDES(width); bit *= 2)
			rotate_32(w, SIDES(width));
		UNROLL
		for (unsigned int side = 0; side < SIDES(width); side++)
			v[side][k] = w[side];
	}
	UNROLL
	for (unsigned int side = 0; side < SIDES(width); side++) {
		fold(v[side], width);
		UNROLL
		for (unsigned int bit = 1; bit < width; bit *= 2)
			rotate_32(v[side], width);
		UNROLL
		for (unsigned int k = 0; k < width; k++) {
			*sum = width == 8 ? _mm256_add_epi64(*sum, v[side][k]) : _mm256_add_epi32(*sum, v[side][k]);
			v[side][k] = *sum;
		}
		UNROLL
		for (unsigned int k = 0; k < width; k += SIDES(width)) {
			cross(v[side] + k, width);
			UNROLL
			for (unsigned int s = 0; s < SIDES(width); s++)
				PUT2(to + (i + s * each + side * width + k) * width, SIDES(width) * each * width,
				     v[side][k + s]);
		}
	}
}

/* The lines of all sections that will be written some rounds later, in this block or the next. */
static inline TARGET INLINE void ask_ahead(uint8_t *to, size_t i, size_t each, unsigned int width)
{
	size_t next = i + AHEAD;

	to += next < each ? next * width : NA_DELTAS_BLOCK + (next - each) * width;
	UNROLL
	for (unsigned int s = 0; s < 2 * SIDES(width); s++, to += each * width) {
		__builtin_prefetch(to, 1);
		if (width == 8)
			__builtin_prefetch(to + 64, 1);
	}
}

static inline TARGET INLINE size_t join_deltas_width(const uint8_t *const *planes, size_t n, unsigned int width,
						     const uint8_t *starts, uint8_t *to)
{
	size_t each = NA_SECTION(n, width);
	__m256i sum = _mm256_loadu_si256((const __m256i *)(const void *)starts);

	for (size_t i = 0; i < each; i += 16) {
		ask_ahead(to, i, each, width);
		join_round(planes, i, each, width, &sum, to);
	}
	return 2 * SIDES(width) * each;
}

static TARGET size_t split_deltas_32(const uint8_t *from, size_t n, bool first, unsigned int width,
				     uint8_t *const *planes)
{
	return width == 8 ? split_deltas_width(from, n, first, 8, planes)
			  : split_deltas_width(from, n, first, 4, planes);
}

static TARGET size_t join_deltas_32(const uint8_t *const *planes, size_t n, unsigned int width, const uint8_t *starts,
				    uint8_t *to)
{
	return width == 8 ? join_deltas_width(planes, n, 8, starts, to) : join_deltas_width(planes, n, 4, starts, to);
}

static size_t split_deltas(const uint8_t *from, size_t n, bool first, unsigned int width, uint8_t *const *planes)
{
	return __builtin_cpu_supports("avx2") ? split_deltas_32(from, n, first, width, planes) : 0;
}

static size_t join_deltas(const uint8_t *const *planes, size_t n, unsigned int width, const uint8_t *starts,
			  uint8_t *to)
{
	return __builtin_cpu_supports("avx2") ? join_deltas_32(planes, n, width, starts, to) : 0;
}

#else

static size_t split_deltas(const uint8_t *from, size_t n, bool first, unsigned int width, uint8_t *const *planes)
{
	return 0;
}

static size_t join_deltas(const uint8_t *const *planes, size_t n, unsigned int width, const uint8_t *starts,
			  uint8_t *to)
{
	return 0;
}

#endif

static void put(uint8_t *p, size_t i, unsigned int width, uint64_t v)
{
	uint32_t half = (uint32_t)v;

	if (width == 8)
		memcpy(p + 8 * i, &v, 8);
	else
		memcpy(p + 4 * i, &half, 4);
}

static void split_deltas_plain(const uint8_t *from, size_t i, size_t n, bool first, unsigned int width,
			       uint8_t *const *planes)
{
	for (; i < n; i++) {
		uint64_t last = first && i == 0 ? 0 : na_element(from, (ptrdiff_t)i - 1, width);
		uint64_t v = na_folded(na_element(from, (ptrdiff_t)i, width) - last, width);

		for (unsigned int k = 0; k < width; k++)
			planes[k][i] = (uint8_t)(v >> (8 * NA_PLANE_BYTE(k, width)));
	}
}

static void join_deltas_plain(const uint8_t *const *planes, size_t i, size_t n, bool first, unsigned int width,
			      uint8_t *to)
{
	uint64_t sum = first && i == 0 ? 0 : na_element(to, (ptrdiff_t)i - 1, width), v;

	for (; i < n; i++) {
		v = 0;
		for (unsigned int k = 0; k < width; k++)
			v |= (uint64_t)planes[k][i] << (8 * NA_PLANE_BYTE(k, width));
		sum += na_folded(v, width);
		put(to, i, width, sum);
	}
}

static void find_starts(const uint8_t *from, size_t n, bool first, unsigned int width, uint8_t *starts)
{
	size_t each = NA_SECTION(n, width);

	memset(starts, 0, NA_BLOCK_STARTS);
	for (unsigned int i = first; each && i < 32 / width; i++)
		put(starts, i, width, na_element(from, (ptrdiff_t)(i * each) - 1, width));
}

static void split_blocks(const uint8_t *from, size_t n, unsigned int width, uint8_t *const *planes, uint8_t *starts,
			 bool plain)
{
	size_t block = NA_DELTAS_BLOCK / width, count;
	uint8_t *parts[NA_PLANES];

	for (size_t i = 0; i < n; i += block, from += NA_DELTAS_BLOCK, starts += NA_BLOCK_STARTS) {
		count = n - i < block ? n - i : block;
		for (unsigned int k = 0; k < width; k++)
			parts[k] = planes[k] + i;
		find_starts(from, count, i == 0, width, starts);
		split_deltas_plain(from, plain ? 0 : split_deltas(from, count, i == 0, width, parts), count, i == 0,
				   width, parts);
	}
}

void na_planes_split_deltas(const void *from, size_t n, unsigned int width, uint8_t *const *planes, uint8_t *starts)
{
	split_blocks(from, n, width, planes, starts, false);
}

void na_planes_join_deltas(const uint8_t *const *planes, size_t n, bool first, unsigned int width,
			   const uint8_t *starts, void *to)
{
	join_deltas_plain(planes, join_deltas(planes, n, width, starts, to), n, first, width, to);
}

void na_planes_split_deltas_plain(const void *from, size_t n, unsigned int width, uint8_t *const *planes,
				  uint8_t *starts)
{
	split_blocks(from, n, width, planes, starts, true);
}

void na_planes_join_deltas_plain(const uint8_t *const *planes, size_t n, bool first, unsigned int width, void *to)
{
	join_deltas_plain(planes, 0, n, first, width, to);
}
