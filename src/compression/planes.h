/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Byte planes: the first bytes of all elements, then all second bytes, and so on. Neighbours in a field share sign, exponent and the
 * first digits, and nothing else: only apart from the rest do these bytes repeat, and LZ4, which looks for four equal bytes, sees it.
 *
 * And differences: each element less the one before it, folded so that small ones of either sign have zeros in front.
 *
 * Pure functions. Elements have 2, 4 or 8 bytes and may lie anywhere; planes are apart, each with a pointer of its own, so that one that is
 * kept as it is need not be copied. With AVX2 about 10 bytes a ns; else SSE2, and on other processors plain C.
 */
#ifndef NA_COMPRESSION_PLANES_H
#define NA_COMPRESSION_PLANES_H

#include <stddef.h>
#include <stdint.h>

#define NA_PLANES 8 /* at most */

/* `n` elements of `width` bytes to and from `width` planes of n bytes. */
void na_planes_split(const void *from, size_t n, unsigned int width, uint8_t *const *planes);
void na_planes_join(const uint8_t *const *planes, size_t n, unsigned int width, void *to);

/* In the same words, the portable way: for tests. */
void na_planes_split_plain(const uint8_t *from, size_t first, size_t n, unsigned int width, uint8_t *const *planes);
void na_planes_join_plain(const uint8_t *const *planes, size_t first, size_t n, unsigned int width, uint8_t *to);

/* Elements of 4 or 8 bytes; `to` must not overlap `from`. Undone in place. */
void na_deltas_make(const void *from, size_t n, unsigned int width, void *to);
void na_deltas_undo(void *at, size_t n, unsigned int width);

/* Both at once, some KiB at a time: the planes of differences, and back. */
void na_planes_split_deltas(const void *from, size_t n, unsigned int width, uint8_t *const *planes);
void na_planes_join_deltas(const uint8_t *const *planes, size_t n, unsigned int width, void *to);

/* From the element `first` on, the portable way. */
void na_deltas_make_plain(const uint8_t *from, size_t first, size_t n, unsigned int width, uint8_t *to);
void na_deltas_undo_plain(uint8_t *at, size_t first, size_t n, unsigned int width);

#endif
