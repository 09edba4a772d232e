/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * XXH3 with vectors of 32 bytes: the header that lz4_calls.c includes, once more, for processors that have them, which a build
 * for any x86-64 does not assume. The same hash, twice as fast. Called by lz4_calls.c only, which asks the processor first.
 */
#include "config.h"

#if NA_HAVE_LZ4 && defined(__x86_64__)

#include <immintrin.h> /* before all functions are for AVX2 */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "compression/lz4_calls.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

#define XXH_VECTOR 2 /* XXH_AVX2, which the header names only later */
#define XXH_INLINE_ALL
#include <xxhash.h>

#if XXH_VECTOR != XXH_AVX2
#error "XXH_AVX2 is another number in this xxhash.h"
#endif

uint64_t na_hash_avx2(const void *p, size_t size)
{
	return XXH3_64bits(p, size);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
