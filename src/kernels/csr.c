/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sparse matrix by vector. What is fetched ahead are the vector's elements, over the ends of rows; entries and columns are read in
 * order, which the processor's own prefetchers see. A row is summed in four parts: one sum is a chain of additions, of which each
 * waits for the one before it.
 */
#include "kernels/indexed.h"

/* The rest goes to the parts that are its turn. */
#define ROW(V, v, I, i)                                                                                                \
	static inline __attribute__((always_inline))                                                                   \
	V row_##v##_##i(const I *column, const V *entry, const V *x, size_t from, size_t to)                           \
	{                                                                                                              \
		V a = 0, b = 0, c = 0, d = 0;                                                                          \
		size_t k = from;                                                                                       \
                                                                                                                       \
		for (; to - k >= 4; k += 4) {                                                                          \
			a += entry[k] * x[column[k]];                                                                  \
			b += entry[k + 1] * x[column[k + 1]];                                                          \
			c += entry[k + 2] * x[column[k + 2]];                                                          \
			d += entry[k + 3] * x[column[k + 3]];                                                          \
		}                                                                                                      \
		if (k < to)                                                                                            \
			a += entry[k] * x[column[k]];                                                                  \
		if (k + 1 < to)                                                                                        \
			b += entry[k + 1] * x[column[k + 1]];                                                          \
		if (k + 2 < to)                                                                                        \
			c += entry[k + 2] * x[column[k + 2]];                                                          \
		return (a + b) + (c + d);                                                                              \
	}
NA_KERNEL_TYPES(ROW)

/* The row's own elements `d` ahead, up to the last entry of all. */
#define FETCH(x, column, from, to, d, last)                                                                            \
	for (size_t k_ = (from) + (d), to_ = (to) + (d) < (last) ? (to) + (d) : (last); k_ < to_; k_++)                \
	__builtin_prefetch(&(x)[(column)[k_]], 0, 3)

#define CSR(V, v, I, i)                                                                                                \
	void na_kernel_csr_##v##_##i(V *y, size_t rows, const I *start, const I *column, const V *entry, const V *x)   \
	{                                                                                                              \
		with_prefetched_rows (run, k, (size_t)start[0], (size_t)start[rows], &x[column[k]])                    \
			if (!run.cell && !run.distance) /* small, or nothing to gain: nothing else in the loop */      \
				for (size_t r = 0; r < rows; r++)                                                      \
					y[r] = row_##v##_##i(column, entry, x, (size_t)start[r],                       \
							     (size_t)start[r + 1]);                                    \
			else                                                                                           \
				for (size_t r = 0; r < rows; r++) {                                                    \
					size_t from = (size_t)start[r], to = (size_t)start[r + 1];                     \
					size_t d = kernel_at_(&run, from, to);                                         \
                                                                                                                       \
					if (d)                                                                         \
						FETCH(x, column, from, to, d, run.count);                              \
					y[r] = row_##v##_##i(column, entry, x, from, to);                              \
				}                                                                                      \
	}
NA_KERNEL_TYPES(CSR)
