/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/planes.h"

#include <string.h>

void na_planes_split_plain(const uint8_t *from, size_t first, size_t n, unsigned int width, uint8_t *const *planes)
{
	for (size_t i = first; i < n; i++)
		for (unsigned int k = 0; k < width; k++)
			planes[k][na_plane_place(i, n, width)] = from[i * width + k];
}

void na_planes_join_plain(const uint8_t *const *planes, size_t first, size_t n, unsigned int width, uint8_t *to)
{
	for (size_t i = first; i < n; i++)
		for (unsigned int k = 0; k < width; k++)
			to[i * width + k] = planes[k][na_plane_place(i, n, width)];
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
#define VEC	  __m128i
#define STEP	  16
#define LO	  _mm_unpacklo_epi8
#define HI	  _mm_unpackhi_epi8
#define GET(p)	  _mm_loadu_si128((const __m128i *)(const void *)(p))
#define PUT(p, v) _mm_storeu_si128((__m128i *)(void *)(p), v)
#define NAME(x)	  x##_16
#include "compression/rotate_x86.def"
#include "compression/planes_x86.def"
#undef TARGET
#undef VEC
#undef STEP
#undef LO
#undef HI
#undef GET
#undef PUT
#undef NAME

#include "compression/planes_avx2.h"
#include "compression/rotate_x86.def"
#include "compression/planes_x86.def"

static size_t split(const uint8_t *from, size_t n, unsigned int width, uint8_t *const *planes)
{
	return __builtin_cpu_supports("avx2") ? split_32(from, n, width, planes) : split_16(from, n, width, planes);
}

static size_t join(const uint8_t *const *planes, size_t n, unsigned int width, uint8_t *to)
{
	return __builtin_cpu_supports("avx2") ? join_32(planes, n, width, to) : join_16(planes, n, width, to);
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

#endif

void na_planes_split(const void *from, size_t n, unsigned int width, uint8_t *const *planes)
{
	na_planes_split_plain(from, split(from, n, width, planes), n, width, planes);
}

void na_planes_join(const uint8_t *const *planes, size_t n, unsigned int width, void *to)
{
	na_planes_join_plain(planes, join(planes, n, width, to), n, width, to);
}
