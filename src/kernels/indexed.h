/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernels of numarena/indexed.h behind their checks: api/ has looked at the arguments. They are loops of for_each_prefetched, so
 * that what is true of that interface is of these: plain below KERNEL_LEAST (a scatter below a million elements), tuned on the call, nothing read past an end. Any thread.
 */
#ifndef NA_KERNELS_INDEXED_H
#define NA_KERNELS_INDEXED_H

/* What the compiler makes of these loops is what they are for. Their loops begin on a line of code: where several branches share one, a
 * loop of six instructions takes twice as long. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "align-loops=32")
#endif

#define KERNEL_NAME (__func__ + 3) /* without na_ */
#include <numarena/indexed.h>

/* Each combination of value and index: X(type, its name, type, its name). */
#define NA_KERNEL_TYPES(X)                                                                                             \
	X(double, f64, int32_t, i32)                                                                                   \
	X(double, f64, int64_t, i64)                                                                                   \
	X(float, f32, int32_t, i32)                                                                                    \
	X(float, f32, int64_t, i64)

#define NA_DECLARE(V, v, I, i)                                                                                         \
	void na_kernel_gather_##v##_##i(V *to, const V *from, const I *index, size_t n);                               \
	void na_kernel_scatter_##v##_##i(V *to, const I *index, const V *from, size_t n);                              \
	void na_kernel_scatter_add_##v##_##i(V *to, const I *index, const V *from, size_t n);                          \
	void na_kernel_csr_##v##_##i(V *y, size_t rows, const I *start, const I *column, const V *entry, const V *x);
NA_KERNEL_TYPES(NA_DECLARE)
#undef NA_DECLARE

void na_kernel_histogram_i32(size_t *counts, size_t bins, const int32_t *bin, size_t n);
void na_kernel_histogram_i64(size_t *counts, size_t bins, const int64_t *bin, size_t n);
void na_kernel_histogram_f64(size_t *counts, size_t bins, const double *value, size_t n, double low, double high);
void na_kernel_histogram_f32(size_t *counts, size_t bins, const float *value, size_t n, float low, float high);

/* How many keys went in: less than n if there is no room, or a key stands for none. */
size_t na_kernel_hash_insert(const kernel_hash_t *table, const uint64_t *keys, size_t n);
void na_kernel_hash_probe(const kernel_hash_t *table, const uint64_t *keys, size_t n, size_t *slot);

void na_kernel_walk_lists(void *const *heads, size_t lists, size_t next, void (*visit)(void *, size_t, void *),
			  void *context);
void na_kernel_build_jumps(void *head, size_t next, size_t jump, size_t distance);

#endif
