/* SPDX-License-Identifier: BSD-3-Clause */
/* Part of numarena/indexed.h: small calls compiled into the program, as in numarena/kernels_small.h and under the same conditions. */
#ifndef NUMARENA_INDEXED_SMALL_H
#define NUMARENA_INDEXED_SMALL_H

#include <numarena/indexed.h>
#include <numarena/kernels.h>

#define KERNEL_HASH_CALL_ extern __attribute__((gnu_inline, always_inline)) inline

NUMARENA_BEGIN

/* Whoever searches a table to its end goes on out of line: it is rare, and a loop there slows down the one here. */
typedef size_t kernel_hash_wrap_t(const kernel_hash_t *table, uint64_t key);

/* The slot of a key, or SIZE_MAX. Found first is the shortest way; the key that stands for none is nowhere. */
KERNEL_HASH_CALL_ size_t kernel_hash_find_(const kernel_hash_t *table, uint64_t key, kernel_hash_wrap_t *wrap)
{
	size_t at = kernel_hash_first_(table->slots, key);
	uint64_t found = table->keys[at];

	if (__builtin_expect(found == key, 1))
		return key == table->empty ? SIZE_MAX : at;
	for (;;) {
		if (found == table->empty)
			return SIZE_MAX;
		if (__builtin_expect(++at == table->slots, 0))
			return wrap(table, key);
		found = table->keys[at];
		if (found == key)
			return key == table->empty ? SIZE_MAX : at;
	}
}

/* Four by hand: compilers do not unroll a loop that has one within. The table is the caller's own, which stores into slot do not change. */
KERNEL_HASH_CALL_ void kernel_hash_find_all_(const kernel_hash_t *table, const uint64_t *keys, size_t n, size_t *slot,
					     kernel_hash_wrap_t *wrap)
{
	size_t k = 0;

	for (; k + 4 <= n; k += 4) {
		slot[k] = kernel_hash_find_(table, keys[k], wrap);
		slot[k + 1] = kernel_hash_find_(table, keys[k + 1], wrap);
		slot[k + 2] = kernel_hash_find_(table, keys[k + 2], wrap);
		slot[k + 3] = kernel_hash_find_(table, keys[k + 3], wrap);
	}
	for (; k < n; k++)
		slot[k] = kernel_hash_find_(table, keys[k], wrap);
}

NUMARENA_END

#ifdef KERNEL_SMALL_CALL_

NUMARENA_BEGIN

memory_error_t kernel_hash_probe_u64_(const kernel_hash_t *table, const uint64_t *keys, size_t n, size_t *slot)
	NUMARENA_FAR(kernel_hash_probe_u64);

KERNEL_SMALL_CALL_ size_t kernel_hash_wrap_(const kernel_hash_t *table, uint64_t key)
{
	const kernel_hash_t copy = *table;
	size_t slot = SIZE_MAX;

	kernel_hash_probe_u64_(&copy, &key, 1, &slot);
	return slot;
}
KERNEL_SMALL_CALL_ bool kernel_apart_(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
	return (uintptr_t)a - (uintptr_t)b + (a_bytes - 1) >= a_bytes + b_bytes - 1;
}

KERNEL_SMALL_CALL_ memory_error_t kernel_hash_probe_u64(const kernel_hash_t *of, const uint64_t *keys, size_t n,
							size_t *slot)
{
	const size_t most = NUMARENA_KERNEL_INLINE / sizeof(uint64_t) / 2, bytes = n * sizeof(*keys);

	if (__builtin_expect(of && n - 1 < most && of->slots - 1 < most && (of->slots & (of->slots - 1)) == 0, 1)) {
		const kernel_hash_t table = *of;
		const size_t taken = table.slots * sizeof(*keys);

		if (__builtin_expect(table.keys && keys && slot && kernel_apart_(table.keys, taken, keys, bytes) &&
					     kernel_apart_(slot, bytes, keys, bytes) &&
					     kernel_apart_(slot, bytes, table.keys, taken),
				     1)) {
			kernel_hash_find_all_(&table, keys, n, slot, kernel_hash_wrap_);
			return MEMORY_ERROR_NONE;
		}
	}
	return kernel_hash_probe_u64_(of, keys, n, slot);
}

/* Sparse matrices: the library's four sums of a row, as one register where there are such; products are rounded, lest they become one with
 * the additions. */
#define KERNEL_CSR_PART_(sum, k)                                                                                       \
	do {                                                                                                           \
		product_ = entry[k] * x[column[k]];                                                                    \
		KERNEL_ROUND_(product_);                                                                               \
		sum += product_;                                                                                       \
	} while (0)

typedef float kernel_four_f32_ __attribute__((vector_size(16)));
#ifdef __AVX__
typedef double kernel_four_f64_ __attribute__((vector_size(32)));
#define KERNEL_CSR_FOURS_f64_ KERNEL_CSR_FOURS_
#else
#define KERNEL_CSR_FOURS_f64_ KERNEL_CSR_ONES_
#endif
#define KERNEL_CSR_FOURS_f32_ KERNEL_CSR_FOURS_

#define KERNEL_CSR_FOURS_(v)                                                                                           \
	do {                                                                                                           \
		kernel_four_##v##_ sums_ = { 0 }, of_, by_;                                                            \
                                                                                                                       \
		for (; k + 4 <= to; k += 4) {                                                                          \
			__builtin_memcpy(&of_, entry + k, sizeof(of_));                                                \
			by_ = (kernel_four_##v##_){ x[column[k]], x[column[k + 1]], x[column[k + 2]], x[column[k + 3]] }; \
			of_ *= by_;                                                                                    \
			KERNEL_ROUND_(of_);                                                                            \
			sums_ += of_;                                                                                  \
		}                                                                                                      \
		a = sums_[0];                                                                                          \
		b = sums_[1];                                                                                          \
		c = sums_[2];                                                                                          \
		d = sums_[3];                                                                                          \
	} while (0)
#define KERNEL_CSR_ONES_(v)                                                                                            \
	for (; k + 4 <= to; k += 4) {                                                                                  \
		KERNEL_CSR_PART_(a, k);                                                                                \
		KERNEL_CSR_PART_(b, k + 1);                                                                            \
		KERNEL_CSR_PART_(c, k + 2);                                                                            \
		KERNEL_CSR_PART_(d, k + 3);                                                                            \
	}

#define KERNEL_CSR_SMALL_(V, v, I, i)                                                                                  \
	memory_error_t kernel_csr_##v##_##i##_(V *y, size_t rows, const I *start, const I *column, const V *entry,     \
					       const V *x) NUMARENA_FAR(kernel_csr_##v##_##i);                        \
	KERNEL_SMALL_CALL_ V kernel_csr_row_##v##_##i##_(const I *column, const V *entry, const V *x, size_t k,        \
							 size_t to)                                                    \
	{                                                                                                              \
		V a = 0, b = 0, c = 0, d = 0, product_;                                                                \
                                                                                                                       \
		KERNEL_CSR_FOURS_##v##_(v);                                                                            \
		if (k < to) {                                                                                          \
			KERNEL_CSR_PART_(a, k);                                                                        \
			if (k + 1 < to)                                                                                \
				KERNEL_CSR_PART_(b, k + 1);                                                            \
			if (k + 2 < to)                                                                                \
				KERNEL_CSR_PART_(c, k + 2);                                                            \
		}                                                                                                      \
		a += b;                                                                                                \
		KERNEL_ROUND_(a); /* in this order under -ffast-math too */                                            \
		c += d;                                                                                                \
		KERNEL_ROUND_(c);                                                                                      \
		return a + c;                                                                                          \
	}                                                                                                              \
	KERNEL_SMALL_CALL_ memory_error_t kernel_csr_##v##_##i(V *y, size_t rows, const I *start, const I *column,     \
							       const V *entry, const V *x)                             \
	{                                                                                                              \
		const size_t most = NUMARENA_KERNEL_INLINE / (sizeof(V) + sizeof(I));                                  \
                                                                                                                       \
		if (__builtin_expect(rows - 1 < most && y && start, 1)) {                                              \
			const size_t first = (size_t)start[0], n = (size_t)start[rows] - first;                        \
                                                                                                                       \
			if (__builtin_expect(start[0] >= 0 && n - 1 < most && column && entry && x && y != x &&        \
						     kernel_apart_(y, rows * sizeof(V), start,                         \
								   (rows + 1) * sizeof(I)) &&                          \
						     kernel_apart_(y, rows * sizeof(V), column + first,                \
								   n * sizeof(I)) &&                                   \
						     kernel_apart_(y, rows * sizeof(V), entry + first, n * sizeof(V)), \
					     1)) {                                                                     \
				for (size_t r = 0; r < rows; r++)                                                      \
					y[r] = kernel_csr_row_##v##_##i##_(column, entry, x, (size_t)start[r],         \
									   (size_t)start[r + 1]);                      \
				return MEMORY_ERROR_NONE;                                                              \
			}                                                                                              \
		}                                                                                                      \
		return kernel_csr_##v##_##i##_(y, rows, start, column, entry, x);                                      \
	}
KERNEL_CSR_SMALL_(double, f64, int32_t, i32)
KERNEL_CSR_SMALL_(double, f64, int64_t, i64)
KERNEL_CSR_SMALL_(float, f32, int32_t, i32)
KERNEL_CSR_SMALL_(float, f32, int64_t, i64)

NUMARENA_END

#endif
#endif
