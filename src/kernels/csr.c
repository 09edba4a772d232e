/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sparse matrix by vector. What is fetched ahead are the vector's elements, over the ends of rows; entries and columns are read in
 * order, which the processor's own prefetchers see. A row is summed in four parts: one sum is a chain of additions, of which each
 * waits for the one before it.
 */
#include <string.h>

#include "kernels/indexed.h"
#include "kernels/kernels.h"

/* The four parts are a register of their own, or two. */
typedef double four_f64 __attribute__((vector_size(32)));
typedef float four_f32 __attribute__((vector_size(16)));
typedef double two_f64 __attribute__((vector_size(16)));

#define ALWAYS static inline __attribute__((always_inline))

/* What is left goes to the parts that are its turn; most rows of stencils and of blocks have none. */
#define ROW_END                                                                                                        \
	if (k < to) {                                                                                                  \
		a += entry[k] * x[column[k]];                                                                          \
		if (k + 1 < to)                                                                                        \
			b += entry[k + 1] * x[column[k + 1]];                                                          \
		if (k + 2 < to)                                                                                        \
			c += entry[k + 2] * x[column[k + 2]];                                                          \
	}                                                                                                              \
	return (a + b) + (c + d);

/* A row that begins behind its end has no entries, as in a plain loop. */
#define ROW(name, V, v, I, i)                                                                                          \
	ALWAYS V name##_row_##v##_##i(const I *column, const V *entry, const V *x, size_t k, size_t to)                \
	{                                                                                                              \
		four_##v sums = { 0 }, of;                                                                             \
		V a, b, c, d;                                                                                          \
                                                                                                                       \
		for (; k + 4 <= to; k += 4) {                                                                          \
			memcpy(&of, entry + k, sizeof(of));                                                            \
			sums += of * (four_##v){ x[column[k]], x[column[k + 1]], x[column[k + 2]], x[column[k + 3]] }; \
		}                                                                                                      \
		a = sums[0], b = sums[1], c = sums[2], d = sums[3];                                                    \
		ROW_END                                                                                                \
	}
/* Where registers have 16 bytes: one of 32 would lie in memory. */
#define ROW_OF_TWO(name, V, v, I, i)                                                                                   \
	ALWAYS V name##_row_##v##_##i(const I *column, const V *entry, const V *x, size_t k, size_t to)                \
	{                                                                                                              \
		two_##v low = { 0 }, high = { 0 }, first, second;                                                      \
		V a, b, c, d;                                                                                          \
                                                                                                                       \
		for (; k + 4 <= to; k += 4) {                                                                          \
			memcpy(&first, entry + k, sizeof(first));                                                      \
			memcpy(&second, entry + k + 2, sizeof(second));                                                \
			low += first * (two_##v){ x[column[k]], x[column[k + 1]] };                                    \
			high += second * (two_##v){ x[column[k + 2]], x[column[k + 3]] };                              \
		}                                                                                                      \
		a = low[0], b = low[1], c = high[0], d = high[1];                                                      \
		ROW_END                                                                                                \
	}
#define ROW_ANY_f64(V, v, I, i) ROW_OF_TWO(any, V, v, I, i)
#define ROW_ANY_f32(V, v, I, i) ROW(any, V, v, I, i)
#define ROW_ANY(V, v, I, i)	ROW_ANY_##v(V, v, I, i)
#define ROW_WIDE(V, v, I, i)	ROW(wide, V, v, I, i)
NA_KERNEL_TYPES(ROW_ANY)
#ifdef __x86_64__
NA_KERNEL_TYPES(ROW_WIDE)
#endif

/* The row's own elements `d` ahead, up to the last entry of all. */
#define FETCH(x, column, from, to, d, last)                                                                            \
	for (size_t k_ = (from) + (d), to_ = (to) + (d) < (last) ? (to) + (d) : (last); k_ < to_; k_++)                \
	__builtin_prefetch(&(x)[(column)[k_]], 0, 3)

/* Rows from r on, one at least, and all that begin before entry `until`; returns the next. With nothing to fetch there is nothing else in the
 * loop: asking the run at each row was a tenth of it. Each is a function for itself, for the registers' sake. */
#define ROWS_WITH(name, target, V, v, I, i)                                                                            \
	target static __attribute__((noinline))                                                                        \
	size_t name##_plain_##v##_##i(V *y, size_t r, size_t rows, const I *start, const I *column, const V *entry,    \
				      const V *x, size_t until)                                                        \
	{                                                                                                              \
		do                                                                                                     \
			y[r] = name##_row_##v##_##i(column, entry, x, (size_t)start[r], (size_t)start[r + 1]);         \
		while (++r < rows && (size_t)start[r] < until);                                                        \
		return r;                                                                                              \
	}                                                                                                              \
	target static __attribute__((noinline))                                                                        \
	size_t name##_ahead_##v##_##i(V *y, size_t r, size_t rows, const I *start, const I *column, const V *entry,    \
				      const V *x, size_t until, size_t d, size_t last)                                 \
	{                                                                                                              \
		do {                                                                                                   \
			size_t from = (size_t)start[r], to = (size_t)start[r + 1];                                     \
                                                                                                                       \
			FETCH(x, column, from, to, d, last);                                                           \
			y[r] = name##_row_##v##_##i(column, entry, x, from, to);                                       \
		} while (++r < rows && (size_t)start[r] < until);                                                      \
		return r;                                                                                              \
	}
#define ROWS_ANY(V, v, I, i) ROWS_WITH(any, , V, v, I, i)
NA_KERNEL_TYPES(ROWS_ANY)
#ifdef __x86_64__
#define ROWS_WIDE(V, v, I, i) ROWS_WITH(wide, __attribute__((target("avx2"))), V, v, I, i)
NA_KERNEL_TYPES(ROWS_WIDE)
#define CHOOSE(call) (na_kernels() == &na_kernels_portable ? any_##call : wide_##call)
#else
#define CHOOSE(call) any_##call
#endif

#define CSR(V, v, I, i)                                                                                                \
	void na_kernel_csr_##v##_##i(V *y, size_t rows, const I *start, const I *column, const V *entry, const V *x)   \
	{                                                                                                              \
		with_prefetched_rows (run, k, (size_t)start[0], (size_t)start[rows], &x[column[k]])                    \
			for (size_t r = 0; r < rows;) {                                                                \
				size_t d = kernel_at_(&run, (size_t)start[r], (size_t)start[r + 1]);                   \
				size_t until = run.cell ? run.until : SIZE_MAX;                                        \
                                                                                                                       \
				if (d)                                                                                 \
					r = CHOOSE(ahead_##v##_##i)(y, r, rows, start, column, entry, x, until, d,     \
								    run.count);                                        \
				else                                                                                   \
					r = CHOOSE(plain_##v##_##i)(y, r, rows, start, column, entry, x, until);       \
				run.seen = (size_t)start[r];                                                           \
			}                                                                                              \
	}
NA_KERNEL_TYPES(CSR)
