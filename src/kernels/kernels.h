/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dense loops, once for each instruction set, and which of them this processor runs.
 *
 * A variant is a file that includes loops.inc with the width of its registers (portable.c, avx2.c, avx512.c, sve.c) and fills a table of
 * pointers. All compute the same bits: elementwise loops have one order of operations and no fused multiply-add (the layer is
 * compiled with -ffp-contract=off), and sums run in NA_KERNEL_LANES lanes whatever the width. Streaming stores go past
 * the caches: a variant uses them when it is told to, for whole cache lines, and ends with a fence where the processor orders them less than
 * others (x86 does, ARM does not), so that what was written is visible to whoever synchronises with the thread afterwards.
 *
 * Who may call: any thread, with no lock held: the first call may read the settings, and the first of 1 MiB or more discovers the topology. Arguments are
 * checked above, in api/: here none is NULL but with n = 0, and none overlaps but where a loop says so.
 */
#ifndef NA_KERNELS_KERNELS_H
#define NA_KERNELS_KERNELS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* sve.c is compiled: clang has no switch to SVE within a file. */
#if defined(__aarch64__) && (!defined(__clang__) || defined(__ARM_FEATURE_SVE))
#define NA_KERNELS_HAVE_SVE 1
#endif

#define NA_KERNEL_LANES	 32
#define NA_KERNEL_FIELDS 64 /* most of a structure */

/* dst may be a or b, exactly; `stream` is then false. Sums of floats are kept in double. What returns an int returns 0, so that the call in api/ is a
 * jump. */
#define NA_KERNEL_LOOPS(T)                                                                                             \
	{                                                                                                              \
		int (*fill)(T * dst, T value, size_t n, bool stream);                                                  \
		int (*scale)(T * dst, const T *a, T s, size_t n, bool stream);                                         \
		int (*add)(T * dst, const T *a, const T *b, size_t n, bool stream);                                    \
		int (*triad)(T * dst, const T *a, const T *b, T s, size_t n, bool stream);                             \
		double (*sum)(const T *a, size_t n);                                                                   \
		double (*dot)(const T *a, const T *b, size_t n);                                                       \
		void (*stencil7)(T * dst, const T *a, size_t nx, size_t ny, size_t nz, const T *w, bool stream);       \
		void (*split)(T *const *soa, const T *aos, size_t fields, size_t n, bool stream);                      \
		void (*join)(T * aos, const T *const *soa, size_t fields, size_t n, bool stream);                      \
	}

struct na_kernels {
	const char *name;
	int (*copy)(void *dst, const void *src, size_t bytes, bool stream); /* equal, or apart */
	struct NA_KERNEL_LOOPS(double) f64;
	struct NA_KERNEL_LOOPS(float) f32;
};

extern const struct na_kernels na_kernels_portable, na_kernels_avx2, na_kernels_avx512, na_kernels_sve;

/* Bytes of a scalable register. Only on a processor that has them. */
size_t na_kernels_sve_bytes(void);

/* One of enum na_kernels_variant, base/options.h: its table; NULL if this build or this processor has none such. AUTO: the best. */
const struct na_kernels *na_kernels_table(uint64_t variant);

/* Chooses by the setting and the processor; warns if the setting asks for what there is not. */
const struct na_kernels *na_kernels_choose(void);

/* Relaxed: what is stored is the address of a constant, the same by every thread that chooses. */
extern _Atomic(const struct na_kernels *) na_kernels_chosen;

static inline const struct na_kernels *na_kernels(void)
{
	const struct na_kernels *k = atomic_load_explicit(&na_kernels_chosen, memory_order_relaxed);

	return __builtin_expect(k != NULL, 1) ? k : na_kernels_choose();
}

/* Bytes that a call touches in all from which on it is to ask whether it streams: the threshold, 1 MiB until somebody has asked for
 * that, and 0 until a table is chosen, so that one comparison tells that a call is small and that there is a table.
 * Release by whoever chooses, after the table; acquire in na_kernels_small(): who sees more than 0 sees the table. What is stored later needs no order. */
extern _Atomic size_t na_kernels_stream_bytes;
#define NA_KERNELS_STREAM_LEAST ((size_t)1 << 20)

/* The table, for a call that does not stream; NULL: ask na_kernels_stream(), and na_kernels(). */
static inline const struct na_kernels *na_kernels_small(size_t bytes)
{
	if (__builtin_expect(bytes >= atomic_load_explicit(&na_kernels_stream_bytes, memory_order_acquire), 0))
		return NULL;
	return atomic_load_explicit(&na_kernels_chosen, memory_order_relaxed);
}

/* Whether a call that touches so many bytes streams. The first of 1 MiB or more asks the topology. */
bool na_kernels_stream(size_t bytes);

/* The same, found in a comparison where it does not. */
static inline bool na_kernels_streams(size_t bytes)
{
	return __builtin_expect(bytes >= atomic_load_explicit(&na_kernels_stream_bytes, memory_order_relaxed), 0) &&
	       na_kernels_stream(bytes);
}

/* The threshold in force, asking for it now; what the setting says, or the last-level cache. */
size_t na_kernels_stream_threshold(void);

#endif
