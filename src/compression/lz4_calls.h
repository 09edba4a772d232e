/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LZ4 and xxHash as the rest of compression sees them: the only file that knows whether this build has them.
 *
 * liblz4 is loaded by na_lz4_load(), when compression is first initialised (base/library.h; doc/design/startup.md). Of its
 * functions only those are used whose state the caller provides: the others allocate, and we run where malloc may not be called
 * (on a pin's slow path, in the thread that answers page faults). xxHash is the header, compiled in: nothing to load.
 *
 * Any thread, no lock; nothing here keeps anything but the table of functions.
 */
#ifndef NA_COMPRESSION_LZ4_CALLS_H
#define NA_COMPRESSION_LZ4_CALLS_H

#include <stddef.h>
#include <stdint.h>

#define NA_LZ4_STATE                                                                                                   \
	(16416 + 64) /* of LZ4's fast compressor, by lz4.h; checked in lz4_calls.c and when the library is loaded */
#define NA_LZ4HC_STATE	(262200 + 64) /* of the high one */
#define NA_LZ4_BOUND(n) ((n) + (n) / 255 + 16)

/* 0; -ENOENT: no such library here, -ENOSYS: not in this build. */
int na_lz4_load(void);

/* Why it is not: a sentence's end in static storage, "" if it is. */
const char *na_lz4_why_not(void);

/* Bytes written, 0 if they would be more than `room`. high 0: LZ4, `speed` (1, 2 ...) its acceleration; else LZ4HC of that
 * level. `state` is aligned to 16 and has NA_LZ4_STATE or NA_LZ4HC_STATE bytes. */
size_t na_lz4_compress(void *state, int high, int speed, const void *from, size_t size, void *to, size_t room);

/* 0 if `length` bytes at `from` are an LZ4 block of just `size` bytes; -EBADMSG. Never reads or writes beyond either. */
int na_lz4_restore(const void *from, size_t length, void *to, size_t size);

/* XXH3 of 64 bits, never 0. */
uint64_t na_hash(const void *p, size_t size);
uint64_t na_hash_avx2(const void *p, size_t size); /* for na_hash(), where the processor has AVX2; may be 0 */

/* XXH3 of 128 bits: two contents of one hash are one content. */
struct na_hash128 {
	uint64_t low, high;
};
struct na_hash128 na_hash128(const void *p, size_t size);

#endif
