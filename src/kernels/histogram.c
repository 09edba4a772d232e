/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counting into bins. A value's bin is computed twice when there is prefetching, which is little to a miss; what is in no bin
 * touches, and fetches, the first. Converted as signed, which is one instruction; there are fewer bins than that has room for.
 */
#include "kernels/indexed.h"

#define OF_BINS(I, U, i)                                                                                               \
	void na_kernel_histogram_##i(size_t *counts, size_t bins, const I *bin, size_t n)                              \
	{                                                                                                              \
		/* negative ones are large as unsigned */                                                              \
		for_each_prefetched (k, n, &counts[(U)bin[k] < bins ? (U)bin[k] : 0])                                  \
			if ((U)bin[k] < bins)                                                                          \
				counts[(U)bin[k]]++;                                                                   \
	}
OF_BINS(int32_t, uint32_t, i32)
OF_BINS(int64_t, uint64_t, i64)

/* SIZE_MAX: in none. NaN is in none. The last bin takes what rounding would put beyond it. */
#define OF_VALUES(V, v)                                                                                                \
	static inline __attribute__((always_inline)) size_t bin_##v(V value, V low, V high, V scale, size_t bins)      \
	{                                                                                                              \
		size_t bin;                                                                                            \
                                                                                                                       \
		if (!(value >= low && value < high))                                                                   \
			return SIZE_MAX;                                                                               \
		bin = (size_t)(int64_t)((value - low) * scale);                                                        \
		return bin < bins ? bin : bins - 1;                                                                    \
	}                                                                                                              \
	static inline __attribute__((always_inline)) size_t near_##v(V value, V low, V high, V scale, size_t bins)     \
	{                                                                                                              \
		size_t bin = bin_##v(value, low, high, scale, bins);                                                   \
                                                                                                                       \
		return bin == SIZE_MAX ? 0 : bin;                                                                      \
	}                                                                                                              \
	void na_kernel_histogram_##v(size_t *counts, size_t bins, const V *value, size_t n, V low, V high)             \
	{                                                                                                              \
		V scale = (V)bins / (high - low);                                                                      \
                                                                                                                       \
		for_each_prefetched (k, n, &counts[near_##v(value[k], low, high, scale, bins)]) {                      \
			size_t bin = bin_##v(value[k], low, high, scale, bins);                                        \
                                                                                                                       \
			if (bin != SIZE_MAX)                                                                           \
				counts[bin]++;                                                                         \
		}                                                                                                      \
	}
OF_VALUES(double, f64)
OF_VALUES(float, f32)
