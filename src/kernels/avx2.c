/* SPDX-License-Identifier: BSD-3-Clause */
/* The dense loops with registers of 32 bytes. */
#ifdef __x86_64__
#include <immintrin.h>

#define VARIANT avx2
#define WIDTH	32
#define TARGET	__attribute__((target("avx2")))

#define STREAM_F64(p, v)	_mm256_stream_pd((double *)(p), (__m256d)(v))
#define STREAM_F32(p, v)	_mm256_stream_ps((float *)(p), (__m256)(v))
#define STREAM_SQUARE_F64(p, v) _mm256_stream_pd((double *)(p), (__m256d)(v))
#define STREAM_SQUARE_F32(p, v) _mm_stream_ps((float *)(p), (__m128)(v))
#define FENCE()			_mm_sfence()

#include "kernels/variant.inc"
#endif
