/* SPDX-License-Identifier: BSD-3-Clause */
/* Counting bits. Without -mpopcnt the compiler's builtin is a library call with a table. */
#ifndef NA_BASE_BITS_H
#define NA_BASE_BITS_H

#include <stdint.h>

static inline uint32_t na_popcount(uint64_t v)
{
#if defined(__POPCNT__)
	return (uint32_t)__builtin_popcountll(v);
#else
	v -= v >> 1 & UINT64_C(0x5555555555555555);
	v = (v & UINT64_C(0x3333333333333333)) + (v >> 2 & UINT64_C(0x3333333333333333));
	v = (v + (v >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (uint32_t)(v * UINT64_C(0x0101010101010101) >> 56);
#endif
}

#endif
