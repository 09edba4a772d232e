/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets of nodes and CPUs by the kernel's numbers: arrays of unsigned long, bit n of word n / 64, the
 * layout that mbind(2) and sched_setaffinity(2) read. A set has as many words as the machine's
 * highest possible number needs; nothing here assumes that one word is enough.
 * Plain functions without state; nothing allocates.
 */
#ifndef NA_TOPOLOGY_BITSET_H
#define NA_TOPOLOGY_BITSET_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

#define NA_BITSET_BITS (sizeof(unsigned long) * CHAR_BIT)

/* Numbers above this are taken for nonsense: the kernel's own limits are 1024 nodes and 8192 CPUs. */
#define NA_BITSET_MOST 65536u

static inline size_t na_bitset_words(size_t slots)
{
	return (slots + NA_BITSET_BITS - 1) / NA_BITSET_BITS;
}

static inline bool na_bitset_has(const unsigned long *mask, size_t slots, size_t bit)
{
	return bit < slots && (mask[bit / NA_BITSET_BITS] >> (bit % NA_BITSET_BITS) & 1);
}

static inline void na_bitset_add(unsigned long *mask, size_t slots, size_t bit)
{
	if (bit < slots)
		mask[bit / NA_BITSET_BITS] |= 1ul << (bit % NA_BITSET_BITS);
}

static inline uint32_t na_bitset_count(const unsigned long *mask, size_t slots)
{
	uint32_t n = 0;

	for (size_t i = 0; i < na_bitset_words(slots); i++)
		n += na_popcount(mask[i]);
	return n;
}

/*
 * Reads the kernel's list format ("0-3,8\n"; empty is the empty set) into a mask of `slots` bits,
 * which the caller has cleared; numbers past the mask are dropped. *highest becomes the highest
 * number seen, dropped or not, and -1 for the empty set. mask may be NULL with slots 0.
 * -EINVAL if the text is no list; the mask then holds what came before the fault.
 */
int na_bitset_read_list(const char *text, unsigned long *mask, size_t slots, int *highest);

#endif
