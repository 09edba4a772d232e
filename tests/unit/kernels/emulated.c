/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AVX-512 variant, run where no processor has it: its source as it stands, its instructions by SIMDe (libsimde-dev), compared as
 * loops.c compares all others. Vectors of 64 bytes are the compiler's, which makes several registers of one here. SIMDe has no
 * streaming stores of 64 bytes: they are its aligned ones, and an address that the real ones would fault on is a failure.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__x86_64__) && __has_include(<simde/x86/avx512.h>)
#define SIMDE_NO_NATIVE /* this processor's own would be tested elsewhere */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

static inline void aligned(const void *p, size_t bytes)
{
	if ((uintptr_t)p % bytes == 0)
		return;
	fprintf(stderr, "a streaming store of %zu bytes to %p faults\n", bytes, p);
	abort();
}

static inline void stream_pd512(void *p, simde__m512d v)
{
	aligned(p, 64);
	simde_mm512_store_pd(p, v);
}

static inline void stream_ps512(void *p, simde__m512 v)
{
	aligned(p, 64);
	simde_mm512_store_ps(p, v);
}

static inline void stream_pd256(double *p, simde__m256d v)
{
	aligned(p, 32);
	simde_mm256_stream_pd(p, v);
}

static inline void stream_ps128(float *p, simde__m128 v)
{
	aligned(p, 16);
	simde_mm_stream_ps(p, v);
}

#undef _mm256_stream_pd
#undef _mm_stream_ps
#define _mm512_stream_pd stream_pd512
#define _mm512_stream_ps stream_ps512
#define _mm256_stream_pd stream_pd256
#define _mm_stream_ps	 stream_ps128

#define NA_KERNELS_EMULATED
#include "../../../src/kernels/avx512.c"

/* What variant.inc has left, of which loops.c has its own. */
#undef T
#undef F
#undef V
#undef NAMED
#undef LOOP
#undef ONE
#undef PASTE2
#define NA_TEST_ALONE avx512
#include "loops.c"
#else
#include <string.h>

/* NA_TEST_CROSS_REQUIRED=1, in continuous integration: it may not be skipped where it can be had. */
int main(void)
{
	const char *required = getenv("NA_TEST_CROSS_REQUIRED");

	printf("SKIP: not x86-64, or SIMDe (libsimde-dev) is not installed\n");
#ifdef __x86_64__
	if (required && strcmp(required, "1") == 0)
		return 1;
#else
	(void)required;
#endif
	return 77;
}
#endif
