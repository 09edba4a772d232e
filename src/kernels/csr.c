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

#define ALWAYS static inline __attribute__((always_inline))

/* The rest goes to the parts that are its turn; most rows of stencils and of blocks have none. */
#define ROW(V, v, I, i)                                                                                                \
	ALWAYS V row_##v##_##i(const I *column, const V *entry, const V *x, size_t k, size_t to)                       \
	{                                                                                                              \
		four_##v sums = { 0 }, of;                                                                             \
                                                                                                                       \
		for (; to - k >= 4; k += 4) {                                                                          \
			memcpy(&of, entry + k, sizeof(of));                                                            \
			sums += of * (four_##v){ x[column[k]], x[column[k + 1]], x[column[k + 2]], x[column[k + 3]] }; \
		}                                                                                                      \
		if (k < to) {                                                                                          \
			sums[0] += entry[k] * x[column[k]];                                                            \
			if (k + 1 < to)                                                                                \
				sums[1] += entry[k + 1] * x[column[k + 1]];                                            \
			if (k + 2 < to)                                                                                \
				sums[2] += entry[k + 2] * x[column[k + 2]];                                            \
		}                                                                                                      \
		return (sums[0] + sums[1]) + (sums[2] + sums[3]);                                                      \
	}
NA_KERNEL_TYPES(ROW)

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
			y[r] = row_##v##_##i(column, entry, x, (size_t)start[r], (size_t)start[r + 1]);                \
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
			y[r] = row_##v##_##i(column, entry, x, from, to);                                              \
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
