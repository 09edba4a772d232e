/* SPDX-License-Identifier: BSD-3-Clause */
/* The dense loops with registers of 64 bytes: a streaming store is a whole line. tests/unit/kernels/emulated.c includes this file with the
 * instructions replaced, for processors that have none such. */
#ifdef __x86_64__
#ifndef NA_KERNELS_EMULATED
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f")))
#else
#define TARGET
#endif

#define VARIANT avx512
#define WIDTH	64

#define STREAM_F64(p, v)	_mm512_stream_pd((double *)(p), (__m512d)(v))
#define STREAM_F32(p, v)	_mm512_stream_ps((float *)(p), (__m512)(v))
#define STREAM_SQUARE_F64(p, v) _mm256_stream_pd((double *)(p), (__m256d)(v))
#define STREAM_SQUARE_F32(p, v) _mm_stream_ps((float *)(p), (__m128)(v))
#define FENCE()			_mm_sfence()

#include "kernels/variant.inc"
#endif
