/* SPDX-License-Identifier: BSD-3-Clause */
/* The dense loops for any processor: 16 bytes are SSE2 on x86-64, NEON on 64-bit ARM, and elements where there is neither. */
#define VARIANT portable
#define WIDTH	16
#define TARGET

#ifdef __x86_64__
#include <emmintrin.h>

#define STREAM_F64(p, v)  _mm_stream_pd((double *)(p), (__m128d)(v))
#define STREAM_F32(p, v)  _mm_stream_ps((float *)(p), (__m128)(v))
#define STREAM_SQUARE_F64 STREAM_F64
#define STREAM_SQUARE_F32 STREAM_F32
#define FENCE()		  _mm_sfence()
#else
/* 64-bit ARM's STNP is a hint that its cores hardly follow, and they notice lines that are written whole by themselves. */
#define STREAM_F64(p, v)	STORE(p, v)
#define STREAM_F32(p, v)	STORE(p, v)
#define STREAM_SQUARE_F64(p, v) (*(square_anywhere_f64_portable *)(p) = (v))
#define STREAM_SQUARE_F32(p, v) (*(square_anywhere_f32_portable *)(p) = (v))
#define FENCE()			((void)0)
#endif

#include "kernels/variant.inc"
