/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Part of numarena/kernels_small.h: small calls of the kernels that are no plain loop over elements, structures and the stencil, compiled into
 * the program.
 *
 * Structures of a constant number of fields, 2 to 8: elements that lie side by side are moved together, two at a time, and one instruction
 * makes a column of two such registers, or back. So nothing is read beyond a record, whatever the number of fields. Records that are
 * left over are moved with some before them again: nothing overlaps, so they come out the same.
 *
 * The stencil's order of operations is the header's; what keeps it so is in kernels_small.h.
 */
#ifndef NUMARENA_KERNELS_SHAPES_H
#define NUMARENA_KERNELS_SHAPES_H

#include <numarena/base.h>

NUMARENA_BEGIN

/* What most programs have: arrays by rising or by falling addresses, structures behind or in front of all, none NULL. Then nothing
 * overlaps. Two loops, as a compiler unrolls them where `fields` is a constant. */
extern __attribute__((gnu_inline, always_inline)) inline bool kernel_in_line_(const void *const *soa, const void *aos,
									      size_t fields, size_t bytes)
{
	const uintptr_t head = (uintptr_t)soa[0], tail = (uintptr_t)soa[fields - 1], from = (uintptr_t)aos;
	const uintptr_t end = from + fields * bytes;
	bool apart = true;

	if (tail >= head) {
		for (size_t f = 1; f < fields; f++)
			apart &= (uintptr_t)soa[f] >= (uintptr_t)soa[f - 1] + bytes;
		return apart && head && (from >= tail + bytes || end <= head);
	}
	for (size_t f = 1; f < fields; f++)
		apart &= (uintptr_t)soa[f - 1] >= (uintptr_t)soa[f] + bytes;
	return apart && tail && (from >= head + bytes || end <= tail);
}

NUMARENA_END

#ifdef KERNEL_SMALL_CALL_

NUMARENA_BEGIN

typedef double kernel_two_f64_ __attribute__((vector_size(16), aligned(1), may_alias));
typedef float kernel_four_f32_ __attribute__((vector_size(16), aligned(1), may_alias));
typedef double kernel_bits_ __attribute__((aligned(1), may_alias)); /* two floats */

/* Elements of x, y, both of f64's registers or of four floats, by their numbers; and two registers of two as one. */
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define KERNEL_SHUFFLE_(suffix, x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#define KERNEL_BESIDE_(low, high)	   __builtin_shufflevector(low, high, 0, 1, 2, 3)
#endif
#endif
#ifndef KERNEL_SHUFFLE_ /* GCC before 12 */
typedef int64_t kernel_lanes_f64_ __attribute__((vector_size(KERNEL_WIDTH_)));
typedef int32_t kernel_lanes_f32_ __attribute__((vector_size(16)));
#define KERNEL_SHUFFLE_(suffix, x, y, ...) __builtin_shuffle(x, y, (kernel_lanes_##suffix##_){ __VA_ARGS__ })
#define KERNEL_BESIDE_(low, high)	   __builtin_ia32_vinsertf128_pd256(__builtin_ia32_pd256_pd(low), high, 1)
#endif

/* All fields of so many records to where the arrays go on; and back. */
#ifdef __AVX__
#define KERNEL_RECORDS_f64_ 4
/* Two elements side by side of record 0 or 1, and those of the one two behind, are a register. */
KERNEL_SMALL_CALL_ void kernel_split_some_f64_(double *const *p, size_t i, const double *from, size_t fields)
{
	kernel_vector_f64_ two[8];

	KERNEL_SMALL_FIELDS_
	for (size_t k = 0; k < fields; k++) {
		const kernel_two_f64_ low = *(const kernel_two_f64_ *)(from + 2 * k),
				      high = *(const kernel_two_f64_ *)(from + 2 * (fields + k));

		two[k] = KERNEL_BESIDE_(low, high);
	}
	KERNEL_SMALL_FIELDS_
	for (size_t f = 0; f < fields; f++) {
		const kernel_vector_f64_ x = two[f / 2], y = two[(fields + f) / 2];
		const bool next = (fields + f) % 2;

		*(kernel_vector_f64_ *)(p[f] + i) =
			f % 2 ? (next ? KERNEL_SHUFFLE_(f64, x, y, 1, 5, 3, 7) : KERNEL_SHUFFLE_(f64, x, y, 1, 4, 3, 6))
			      : (next ? KERNEL_SHUFFLE_(f64, x, y, 0, 5, 2, 7)
				      : KERNEL_SHUFFLE_(f64, x, y, 0, 4, 2, 6));
	}
}
KERNEL_SMALL_CALL_ void kernel_join_some_f64_(double *at, const double *const *p, size_t i, size_t fields)
{
	kernel_vector_f64_ column[8], two[8];

	KERNEL_SMALL_FIELDS_
	for (size_t f = 0; f < fields; f++)
		column[f] = *(const kernel_vector_f64_ *)(p[f] + i);
	KERNEL_SMALL_FIELDS_
	for (size_t k = 0; k < fields; k++) {
		const kernel_vector_f64_ x = column[2 * k % fields], y = column[(2 * k + 1) % fields];

		two[k] = 2 * k + 1 < fields ? KERNEL_SHUFFLE_(f64, x, y, 0, 4, 2, 6)
			 : 2 * k >= fields  ? KERNEL_SHUFFLE_(f64, x, y, 1, 5, 3, 7)
					    : KERNEL_SHUFFLE_(f64, x, y, 0, 5, 2, 7);
	}
	KERNEL_SMALL_FIELDS_
	for (size_t k = 0; k < fields; k++) {
		const kernel_vector_f64_ x = two[2 * k % fields], y = two[(2 * k + 1) % fields];

		*(kernel_vector_f64_ *)(at + 4 * k) = 2 * k + 1 < fields ? KERNEL_SHUFFLE_(f64, x, y, 0, 1, 4, 5)
						      : 2 * k >= fields	 ? KERNEL_SHUFFLE_(f64, x, y, 2, 3, 6, 7)
									 : KERNEL_SHUFFLE_(f64, x, y, 0, 1, 6, 7);
	}
}
#else
#define KERNEL_RECORDS_f64_ 2
KERNEL_SMALL_CALL_ void kernel_split_some_f64_(double *const *p, size_t i, const double *from, size_t fields)
{
	kernel_two_f64_ two[8];

	KERNEL_SMALL_FIELDS_
	for (size_t k = 0; k < fields; k++)
		two[k] = *(const kernel_two_f64_ *)(from + 2 * k);
	KERNEL_SMALL_FIELDS_
	for (size_t f = 0; f < fields; f++) {
		const kernel_two_f64_ x = two[f / 2], y = two[(fields + f) / 2];
		const bool next = (fields + f) % 2;

		*(kernel_two_f64_ *)(p[f] + i) =
			f % 2 ? (next ? KERNEL_SHUFFLE_(f64, x, y, 1, 3) : KERNEL_SHUFFLE_(f64, x, y, 1, 2))
			      : (next ? KERNEL_SHUFFLE_(f64, x, y, 0, 3) : KERNEL_SHUFFLE_(f64, x, y, 0, 2));
	}
}
KERNEL_SMALL_CALL_ void kernel_join_some_f64_(double *at, const double *const *p, size_t i, size_t fields)
{
	kernel_two_f64_ column[8];

	KERNEL_SMALL_FIELDS_
	for (size_t f = 0; f < fields; f++)
		column[f] = *(const kernel_two_f64_ *)(p[f] + i);
	KERNEL_SMALL_FIELDS_
	for (size_t k = 0; k < fields; k++) {
		const kernel_two_f64_ x = column[2 * k % fields], y = column[(2 * k + 1) % fields];

		*(kernel_two_f64_ *)(at + 2 * k) = 2 * k + 1 < fields ? KERNEL_SHUFFLE_(f64, x, y, 0, 2)
						   : 2 * k >= fields  ? KERNEL_SHUFFLE_(f64, x, y, 1, 3)
								      : KERNEL_SHUFFLE_(f64, x, y, 0, 3);
	}
}
#endif

/* Two floats are moved as one double, which no load or store changes. */
#define KERNEL_RECORDS_f32_ 4
KERNEL_SMALL_CALL_ void kernel_split_pair_f32_(float *x, float *y, const float *at, size_t step, bool both)
{
	const kernel_two_f64_ r01 = { *(const kernel_bits_ *)at, *(const kernel_bits_ *)(at + step) },
			      r23 = { *(const kernel_bits_ *)(at + 2 * step), *(const kernel_bits_ *)(at + 3 * step) };
	const kernel_four_f32_ low = (kernel_four_f32_)r01, high = (kernel_four_f32_)r23;

	if (both)
		*(kernel_four_f32_ *)x = KERNEL_SHUFFLE_(f32, low, high, 0, 2, 4, 6);
	*(kernel_four_f32_ *)y = KERNEL_SHUFFLE_(f32, low, high, 1, 3, 5, 7);
}
KERNEL_SMALL_CALL_ void kernel_join_pair_f32_(float *at, const float *x, const float *y, size_t step)
{
	const kernel_four_f32_ a = *(const kernel_four_f32_ *)x, b = *(const kernel_four_f32_ *)y;
	const kernel_two_f64_ r01 = (kernel_two_f64_)KERNEL_SHUFFLE_(f32, a, b, 0, 4, 1, 5),
			      r23 = (kernel_two_f64_)KERNEL_SHUFFLE_(f32, a, b, 2, 6, 3, 7);

	*(kernel_bits_ *)at = r01[0];
	*(kernel_bits_ *)(at + step) = r01[1];
	*(kernel_bits_ *)(at + 2 * step) = r23[0];
	*(kernel_bits_ *)(at + 3 * step) = r23[1];
}

KERNEL_SMALL_CALL_ void kernel_join_some_f32_(float *at, const float *const *p, size_t i, size_t fields)
{
	KERNEL_SMALL_FIELDS_
	for (size_t f = 0; f + 1 < fields; f += 2)
		kernel_join_pair_f32_(at + f, p[f] + i, p[f + 1] + i, fields);
	if (fields % 2)
		kernel_join_pair_f32_(at + fields - 2, p[fields - 2] + i, p[fields - 1] + i, fields);
}

KERNEL_SMALL_CALL_ void kernel_split_some_f32_(float *const *p, size_t i, const float *from, size_t fields)
{
	KERNEL_SMALL_FIELDS_
	for (size_t f = 0; f + 1 < fields; f += 2)
		kernel_split_pair_f32_(p[f] + i, p[f + 1] + i, from + f, fields, true);
	if (fields % 2)
		kernel_split_pair_f32_(NULL, p[fields - 1] + i, from + fields - 2, fields, false);
}

#define KERNEL_SPLIT_SOME_(suffix, i) kernel_split_some_##suffix##_(p, i, from + (i)*fields, fields)
#define KERNEL_JOIN_SOME_(suffix, i)  kernel_join_some_##suffix##_(from + (i)*fields, p, i, fields)

/* Too few records for a register are left to the loop by elements behind. */
#define KERNEL_SMALL_TURNED_(suffix, some)                                                                             \
	if (n >= KERNEL_RECORDS_##suffix##_) {                                                                         \
		const size_t last = n - KERNEL_RECORDS_##suffix##_;                                                    \
                                                                                                                       \
		for (size_t i = 0; i < last; i += KERNEL_RECORDS_##suffix##_)                                          \
			some(suffix, i);                                                                               \
		some(suffix, last);                                                                                    \
		return MEMORY_ERROR_NONE;                                                                              \
	}

/* `arrays` is of pointers to const in one direction, and `structures` in the other. */
#define KERNEL_SMALL_STRUCTURES_(T, suffix, arrays, structures, some, move)                                            \
	{                                                                                                              \
		if (__builtin_constant_p(fields) && fields >= 2 && fields <= 8 &&                                      \
		    n - 1 < NUMARENA_KERNEL_INLINE / 2 / sizeof(T) / (fields ? fields : 1) && soa && aos &&            \
		    __builtin_expect(kernel_in_line_((const void *const *)soa, aos, fields, n * sizeof(T)), 1)) {      \
			structures *const from = aos;                                                                  \
			arrays *p[8];                                                                                  \
                                                                                                                       \
			KERNEL_SMALL_FIELDS_                                                                           \
			for (size_t f = 0; f < fields; f++)                                                            \
				p[f] = soa[f];                                                                         \
			KERNEL_SMALL_TURNED_(suffix, some)                                                             \
			for (size_t i = 0; i < n; i++) {                                                               \
				KERNEL_SMALL_FIELDS_                                                                   \
				for (size_t f = 0; f < fields; f++)                                                    \
					move(T, suffix, f, i);                                                         \
			}                                                                                              \
			return MEMORY_ERROR_NONE;                                                                      \
		}                                                                                                      \
	}

#define KERNEL_SPLIT_ONE_(T, suffix, f, i)                                                                             \
	(*(kernel_one_##suffix##_ *)(p[f] + (i)) = *(const kernel_one_##suffix##_ *)(from + (i)*fields + (f)))
#define KERNEL_JOIN_ONE_(T, suffix, f, i)                                                                              \
	(*(kernel_one_##suffix##_ *)(from + (i)*fields + (f)) = *(const kernel_one_##suffix##_ *)(p[f] + (i)))

/* ---- the stencil ---- */

/* One point, half a register of them or a whole one: `type` at point i of src. */
#define KERNEL_TERM_(type, k, at)                                                                                      \
	do {                                                                                                           \
		type term_ = w[k] * *(const type *)(at);                                                               \
		KERNEL_ROUND_(term_);                                                                                  \
		sum_ += term_;                                                                                         \
		KERNEL_ROUND_(sum_);                                                                                   \
	} while (0)
#define KERNEL_POINTS_(type, i)                                                                                        \
	do {                                                                                                           \
		type sum_ = w[0] * *(const type *)(src + (i));                                                         \
                                                                                                                       \
		KERNEL_ROUND_(sum_);                                                                                   \
		KERNEL_TERM_(type, 1, src + (i)-1);                                                                    \
		KERNEL_TERM_(type, 2, src + (i) + 1);                                                                  \
		KERNEL_TERM_(type, 3, src + (i)-nx);                                                                   \
		KERNEL_TERM_(type, 4, src + (i) + nx);                                                                 \
		KERNEL_TERM_(type, 5, src + (i)-plane);                                                                \
		KERNEL_TERM_(type, 6, src + (i) + plane);                                                              \
		*(type *)(dst + (i)) = sum_;                                                                           \
	} while (0)

/* Rows of at least one `type` of inner points; the last takes in some again. */
#define KERNEL_SMALL_GRID_(T, type)                                                                                    \
	if (nx - 2 >= sizeof(type) / sizeof(T)) {                                                                      \
		const size_t per = sizeof(type) / sizeof(T), last = nx - 1 - per;                                      \
		type w[7];                                                                                             \
                                                                                                                       \
		KERNEL_SMALL_FIELDS_                                                                                   \
		for (int k = 0; k < 7; k++) {                                                                          \
			for (size_t lane = 0; lane < per; lane++)                                                      \
				w[k][lane] = weights[k];                                                               \
			KERNEL_ROUND_(w[k]); /* a constant 0 is no way to leave its neighbour out */                   \
		}                                                                                                      \
		for (size_t z = 1; z < nz - 1; z++)                                                                    \
			for (size_t row = z * plane + nx; row < (z + 1) * plane - nx; row += nx) {                     \
				for (size_t x = 1; x < last; x += per)                                                 \
					KERNEL_POINTS_(type, row + x);                                                 \
				KERNEL_POINTS_(type, row + last);                                                      \
			}                                                                                              \
		return MEMORY_ERROR_NONE;                                                                              \
	}

#define KERNEL_SMALL_GRID_BYTES_ (NUMARENA_KERNEL_INLINE < 65536 ? (size_t)NUMARENA_KERNEL_INLINE : (size_t)65536)

#define KERNEL_SHAPES_(T, suffix, half)                                                                                \
	memory_error_t kernel_aos_to_soa_##suffix##_(T *const soa[], const T *aos, size_t fields, size_t n)            \
		NUMARENA_FAR(kernel_aos_to_soa_##suffix);                                                              \
	memory_error_t kernel_soa_to_aos_##suffix##_(T *aos, const T *const soa[], size_t fields, size_t n)            \
		NUMARENA_FAR(kernel_soa_to_aos_##suffix);                                                              \
	memory_error_t kernel_stencil7_##suffix##_(T *dst, const T *src, size_t nx, size_t ny, size_t nz,              \
						   const T weights[7]) NUMARENA_FAR(kernel_stencil7_##suffix);         \
                                                                                                                       \
	KERNEL_SMALL_CALL_ memory_error_t kernel_aos_to_soa_##suffix(T *const soa[], const T *aos, size_t fields,      \
								     size_t n)                                         \
	{                                                                                                              \
		KERNEL_SMALL_STRUCTURES_(T, suffix, T, const T, KERNEL_SPLIT_SOME_, KERNEL_SPLIT_ONE_)                 \
		return kernel_aos_to_soa_##suffix##_(soa, aos, fields, n);                                             \
	}                                                                                                              \
	KERNEL_SMALL_CALL_ memory_error_t kernel_soa_to_aos_##suffix(T *aos, const T *const soa[], size_t fields,      \
								     size_t n)                                         \
	{                                                                                                              \
		KERNEL_SMALL_STRUCTURES_(T, suffix, const T, T, KERNEL_JOIN_SOME_, KERNEL_JOIN_ONE_)                   \
		return kernel_soa_to_aos_##suffix##_(aos, soa, fields, n);                                             \
	}                                                                                                              \
	KERNEL_SMALL_CALL_ memory_error_t kernel_stencil7_##suffix(T *dst, const T *src, size_t nx, size_t ny,         \
								   size_t nz, const T weights[7])                      \
	{                                                                                                              \
		const size_t most = KERNEL_SMALL_GRID_BYTES_ / 2 / sizeof(T), plane = nx * ny, n = plane * nz,         \
			     bytes = n * sizeof(T);                                                                    \
                                                                                                                       \
		if (__builtin_expect(nx - 3 < most && ny - 3 < most && nz - 3 < most && n <= most && dst && src &&     \
					     weights &&                                                                \
					     (uintptr_t)dst - (uintptr_t)src + (bytes - 1) >= 2 * bytes - 1,           \
				     1)) {                                                                             \
			KERNEL_SMALL_GRID_(T, kernel_vector_##suffix##_)                                               \
			KERNEL_SMALL_GRID_(T, half)                                                                    \
		}                                                                                                      \
		return kernel_stencil7_##suffix##_(dst, src, nx, ny, nz, weights);                                     \
	}

KERNEL_SHAPES_(double, f64, kernel_two_f64_)
KERNEL_SHAPES_(float, f32, kernel_four_f32_)

NUMARENA_END

#endif
#endif
