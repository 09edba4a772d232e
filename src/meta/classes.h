/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Size classes: steps of 16 bytes to 256, then eight steps a doubling to 32 KiB. A request
 * of more than 128 bytes wastes at most 12.5% (at most 15 bytes below). Constant time, no table.
 *
 *   class  0..15   16, 32, ... 256
 *   class 16..23   288, 320, ... 512
 *   ...
 *   class 64..71   18432, 20480, ... 32768
 */
#ifndef NA_META_CLASSES_H
#define NA_META_CLASSES_H

#include <stddef.h>
#include <stdint.h>

#define NA_CLASSES    72
#define NA_SMALL_MAX  ((size_t)32768)
#define NA_DIRECT_MAX ((size_t)1024) /* each size looked up without arithmetic */

static inline unsigned int na_class_of(size_t size)
{
	unsigned int log, step;

	if (size <= 256)
		return size ? (unsigned int)((size - 1) >> 4) : 0;
	log = 63u - (unsigned int)__builtin_clzl(size - 1); /* 8 for 257..512 */
	step = (unsigned int)((size - 1) >> (log - 3)) & 7;
	return 16 + (log - 8) * 8 + step;
}

static inline size_t na_class_size(unsigned int cls)
{
	unsigned int log;

	if (cls < 16)
		return ((size_t)cls + 1) << 4;
	log = (cls - 16) / 8 + 8;
	return ((size_t)1 << log) + (((size_t)(cls & 7) + 1) << (log - 3));
}

/* Slices of 64 KiB in a span of the class: the least with which its slots leave at most a sixteenth
 * over at its end, or else, up to four, the one that leaves least. */
static inline unsigned int na_class_slices(unsigned int cls)
{
	size_t size = na_class_size(cls), best = 1, least = SIZE_MAX;

	for (size_t slices = 1; slices <= 4; slices++) {
		size_t left = (slices << 16) % size * 12 / slices; /* in twelfths, so that they compare */

		if (left < least) {
			least = left;
			best = slices;
		}
		if (left <= 12 * 4096)
			break;
	}
	return (unsigned int)best;
}

/* The first class that holds `size` and whose slots, in a span whose base is aligned to 64 KiB,
 * are all aligned to `alignment` (a power of two up to 4096): every multiple of 4096 up to 32 KiB
 * is a class, so there is one whenever size rounded up is at most NA_SMALL_MAX. */
static inline unsigned int na_class_aligned(size_t size, size_t alignment)
{
	unsigned int cls = na_class_of((size + alignment - 1) & ~(alignment - 1));

	while (na_class_size(cls) & (alignment - 1))
		cls++;
	return cls;
}

#endif
