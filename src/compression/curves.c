/* SPDX-License-Identifier: BSD-3-Clause */
/* Planes of second differences: planes.h. */
#include <string.h>

#include "compression/planes.h"

#define WIDTH 8
#define NEAR  4 /* elements: a register of 32 bytes */
#define FAR   (2 * NEAR)

/* What the i-th is expected to be; `before`: elements that there are in front of p. */
static uint64_t expected(const uint8_t *p, size_t i, size_t before)
{
	uint64_t near = i + before < NEAR ? 0 : na_element(p, (ptrdiff_t)i - NEAR, WIDTH),
		 far = i + before < FAR ? 0 : na_element(p, (ptrdiff_t)i - FAR, WIDTH);

	return 2 * near - far;
}

static void split_plain(const uint8_t *from, size_t i, size_t n, uint8_t *const *planes)
{
	for (; i < n; i++) {
		uint64_t v = na_folded(na_element(from, (ptrdiff_t)i, WIDTH) - expected(from, i, 0), WIDTH);

		for (unsigned int k = 0; k < WIDTH; k++)
			planes[k][na_plane_place(i, n, WIDTH)] = (uint8_t)(v >> (8 * NA_PLANE_BYTE(k, WIDTH)));
	}
}

static void join_plain(const uint8_t *const *planes, size_t i, size_t n, bool first, uint8_t *to)
{
	for (; i < n; i++) {
		uint64_t v = 0;

		for (unsigned int k = 0; k < WIDTH; k++)
			v |= (uint64_t)planes[k][na_plane_place(i, n, WIDTH)] << (8 * NA_PLANE_BYTE(k, WIDTH));
		v = na_folded(v, WIDTH) + expected(to, i, first ? 0 : FAR);
		memcpy(to + WIDTH * i, &v, WIDTH);
	}
}

#if defined(__x86_64__)

#include "compression/planes_avx2.h"
#include "compression/rotate_x86.def"

static TARGET size_t split_32(const uint8_t *from, size_t n, uint8_t *const *planes)
{
	__m256i last = _mm256_setzero_si256(), rise = last;
	size_t i;

	for (i = 0; i + NA_PLANES_GROUP <= n; i += NA_PLANES_GROUP) {
		__m256i v[WIDTH];

		UNROLL
		for (unsigned int k = 0; k < WIDTH; k++) {
			__m256i now = GET(from + i * WIDTH + 32 * k), more = _mm256_sub_epi64(now, last);

			if (k % 2 == 0)
				__builtin_prefetch(from + i * WIDTH + 32 * k + NA_PLANES_AHEAD);
			v[k] = _mm256_sub_epi64(more, rise);
			last = now;
			rise = more;
		}
		UNROLL
		for (int round = 0; round < 4; round++)
			rotate_32(v, WIDTH);
		fold(v, WIDTH);
		UNROLL
		for (unsigned int k = 0; k < WIDTH; k++)
			PUT(planes[k] + i, v[k]);
	}
	return i;
}

static TARGET size_t join_32(const uint8_t *const *planes, size_t n, bool first, uint8_t *to)
{
	__m256i last = _mm256_setzero_si256(), rise = last;
	size_t i;

	if (!first) {
		last = GET(to - 32);
		rise = _mm256_sub_epi64(last, GET(to - 64));
	}
	for (i = 0; i + NA_PLANES_GROUP <= n; i += NA_PLANES_GROUP) {
		__m256i v[WIDTH];

		UNROLL
		for (unsigned int k = 0; k < WIDTH; k++)
			v[k] = GET(planes[k] + i);
		fold(v, WIDTH);
		UNROLL
		for (unsigned int bit = 1; bit < WIDTH; bit *= 2)
			rotate_32(v, WIDTH);
		UNROLL
		for (unsigned int k = 0; k < WIDTH; k++) {
			rise = _mm256_add_epi64(rise, v[k]);
			last = _mm256_add_epi64(last, rise);
			PUT(to + i * WIDTH + 32 * k, last);
			if (k % 2 == 0)
				__builtin_prefetch(to + i * WIDTH + 32 * k + NA_PLANES_AHEAD, 1);
		}
	}
	return i;
}

static size_t split(const uint8_t *from, size_t n, uint8_t *const *planes)
{
	return __builtin_cpu_supports("avx2") ? split_32(from, n, planes) : 0;
}

static size_t join(const uint8_t *const *planes, size_t n, bool first, uint8_t *to)
{
	return __builtin_cpu_supports("avx2") ? join_32(planes, n, first, to) : 0;
}

#else

static size_t split(const uint8_t *from, size_t n, uint8_t *const *planes)
{
	return 0;
}

static size_t join(const uint8_t *const *planes, size_t n, bool first, uint8_t *to)
{
	return 0;
}

#endif

void na_planes_split_curves(const void *from, size_t n, uint8_t *const *planes)
{
	split_plain(from, split(from, n, planes), n, planes);
}

void na_planes_join_curves(const uint8_t *const *planes, size_t n, bool first, void *to)
{
	join_plain(planes, join(planes, n, first, to), n, first, to);
}

void na_planes_split_curves_plain(const void *from, size_t n, uint8_t *const *planes)
{
	split_plain(from, 0, n, planes);
}

void na_planes_join_curves_plain(const uint8_t *const *planes, size_t n, bool first, void *to)
{
	join_plain(planes, 0, n, first, to);
}
