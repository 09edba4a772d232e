/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numarena/kernels.h: what is wrong with arguments is found here, in a handful of instructions before each call goes on to the processor's
 * loops (src/kernels); the sentences about it are made out of line. Each function is there twice, for double and for float, by one macro.
 */
#define NUMARENA_KERNEL_INLINE 0 /* here are the calls themselves */
#include <numarena/kernels.h>

#include <math.h>

#include "api/error.h"
#include "api/far.h"
#include "kernels/kernels.h"

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

_Static_assert(KERNEL_MAX_FIELDS == NA_KERNEL_FIELDS,
	       "a block of the loops has room for a structure of so many fields");

/* Partly on one another: neither equal nor apart. In unsigned numbers one comparison makes it for both directions. */
static inline bool partly(const void *a, const void *b, size_t bytes)
{
	uintptr_t distance = (uintptr_t)a - (uintptr_t)b;

	return distance != 0 && distance + (bytes - 1) < 2 * bytes - 1;
}

static inline bool meet(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
	return (uintptr_t)a < (uintptr_t)b + b_bytes && (uintptr_t)b < (uintptr_t)a + a_bytes;
}

#define COLD static __attribute__((cold, noinline))

COLD memory_error_t refuse(const char *call, size_t n, size_t size, const void *dst, const void *a, const char *a_name,
			   const void *b, const char *b_name)
{
	if (n > PTRDIFF_MAX / size)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: n is %zu: no address space holds so many", call, n);
	if (!dst || !a || !b)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: %s is NULL", call,
				!dst ? "dst"
				: !a ? a_name
				     : b_name);
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
			"%s: dst overlaps %s: must be the same array, or apart, for n = %zu", call,
			partly(dst, a, n * size) ? a_name : b_name, n);
}

static inline bool wrong(size_t n, size_t size, const void *dst, const void *a, const void *b)
{
	return UNLIKELY(n > PTRDIFF_MAX / size || !dst || !a || !b || partly(dst, a, n * size) ||
			partly(dst, b, n * size));
}

/* What is read is in the caches after that, so there is nothing to save where it is what is written. */
static bool streams(size_t bytes, const void *dst, const void *a, const void *b)
{
	return na_kernels_stream(bytes) && dst != a && dst != b;
}

COLD double no_sum(const char *call, const void *a)
{
	na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: %s is NULL", call, a ? "b" : "a");
	return NAN;
}

/* A small call with nothing wrong is a few comparisons and a jump; anything else is sorted out in ..._large. */
#define ELEMENTWISE(T, suffix)                                                                                         \
	COLD memory_error_t copy_large_##suffix(T *dst, const T *src, size_t n)                                        \
	{                                                                                                              \
		size_t bytes = 2 * n * sizeof(T);                                                                      \
                                                                                                                       \
		if (n == 0)                                                                                            \
			return MEMORY_ERROR_NONE;                                                                      \
		if (wrong(n, sizeof(T), dst, src, src))                                                                \
			return refuse("kernel_copy_" #suffix, n, sizeof(T), dst, src, "src", src, "src");              \
		if (dst == src)                                                                                        \
			return MEMORY_ERROR_NONE;                                                                      \
		na_kernels()->copy(dst, src, n * sizeof(T), na_kernels_stream(bytes));                                 \
		return MEMORY_ERROR_NONE;                                                                              \
	}                                                                                                              \
                                                                                                                       \
	memory_error_t kernel_copy_##suffix(T *dst, const T *src, size_t n)                                            \
	{                                                                                                              \
		const struct na_kernels *k = na_kernels_small(2 * n * sizeof(T));                                      \
                                                                                                                       \
		if (UNLIKELY(!k || wrong(n, sizeof(T), dst, src, src)))                                                \
			return copy_large_##suffix(dst, src, n);                                                       \
		if (dst == src)                                                                                        \
			return MEMORY_ERROR_NONE;                                                                      \
		return (memory_error_t)k->copy(dst, src, n * sizeof(T), false);                                        \
	}                                                                                                              \
                                                                                                                       \
	COLD memory_error_t fill_large_##suffix(T *dst, T value, size_t n)                                             \
	{                                                                                                              \
		size_t bytes = 1 * n * sizeof(T);                                                                      \
                                                                                                                       \
		if (n == 0)                                                                                            \
			return MEMORY_ERROR_NONE;                                                                      \
		if (wrong(n, sizeof(T), dst, dst, dst))                                                                \
			return refuse("kernel_fill_" #suffix, n, sizeof(T), dst, dst, "dst", dst, "dst");              \
		na_kernels()->suffix.fill(dst, value, n, na_kernels_stream(bytes));                                    \
		return MEMORY_ERROR_NONE;                                                                              \
	}                                                                                                              \
                                                                                                                       \
	memory_error_t kernel_fill_##suffix(T *dst, T value, size_t n)                                                 \
	{                                                                                                              \
		const struct na_kernels *k = na_kernels_small(1 * n * sizeof(T));                                      \
                                                                                                                       \
		if (UNLIKELY(!k || wrong(n, sizeof(T), dst, dst, dst)))                                                \
			return fill_large_##suffix(dst, value, n);                                                     \
		return (memory_error_t)k->suffix.fill(dst, value, n, false);                                           \
	}                                                                                                              \
                                                                                                                       \
	COLD memory_error_t scale_large_##suffix(T *dst, const T *src, T scalar, size_t n)                             \
	{                                                                                                              \
		size_t bytes = 2 * n * sizeof(T);                                                                      \
                                                                                                                       \
		if (n == 0)                                                                                            \
			return MEMORY_ERROR_NONE;                                                                      \
		if (wrong(n, sizeof(T), dst, src, src))                                                                \
			return refuse("kernel_scale_" #suffix, n, sizeof(T), dst, src, "src", src, "src");             \
		na_kernels()->suffix.scale(dst, src, scalar, n, streams(bytes, dst, src, src));                        \
		return MEMORY_ERROR_NONE;                                                                              \
	}                                                                                                              \
                                                                                                                       \
	memory_error_t kernel_scale_##suffix(T *dst, const T *src, T scalar, size_t n)                                 \
	{                                                                                                              \
		const struct na_kernels *k = na_kernels_small(2 * n * sizeof(T));                                      \
                                                                                                                       \
		if (UNLIKELY(!k || wrong(n, sizeof(T), dst, src, src)))                                                \
			return scale_large_##suffix(dst, src, scalar, n);                                              \
		return (memory_error_t)k->suffix.scale(dst, src, scalar, n, false);                                    \
	}                                                                                                              \
                                                                                                                       \
	COLD memory_error_t add_large_##suffix(T *dst, const T *a, const T *b, size_t n)                               \
	{                                                                                                              \
		size_t bytes = 3 * n * sizeof(T);                                                                      \
                                                                                                                       \
		if (n == 0)                                                                                            \
			return MEMORY_ERROR_NONE;                                                                      \
		if (wrong(n, sizeof(T), dst, a, b))                                                                    \
			return refuse("kernel_add_" #suffix, n, sizeof(T), dst, a, "a", b, "b");                       \
		na_kernels()->suffix.add(dst, a, b, n, streams(bytes, dst, a, b));                                     \
		return MEMORY_ERROR_NONE;                                                                              \
	}                                                                                                              \
                                                                                                                       \
	memory_error_t kernel_add_##suffix(T *dst, const T *a, const T *b, size_t n)                                   \
	{                                                                                                              \
		const struct na_kernels *k = na_kernels_small(3 * n * sizeof(T));                                      \
                                                                                                                       \
		if (UNLIKELY(!k || wrong(n, sizeof(T), dst, a, b)))                                                    \
			return add_large_##suffix(dst, a, b, n);                                                       \
		return (memory_error_t)k->suffix.add(dst, a, b, n, false);                                             \
	}                                                                                                              \
                                                                                                                       \
	COLD memory_error_t triad_large_##suffix(T *dst, const T *a, const T *b, T scalar, size_t n)                   \
	{                                                                                                              \
		size_t bytes = 3 * n * sizeof(T);                                                                      \
                                                                                                                       \
		if (n == 0)                                                                                            \
			return MEMORY_ERROR_NONE;                                                                      \
		if (wrong(n, sizeof(T), dst, a, b))                                                                    \
			return refuse("kernel_triad_" #suffix, n, sizeof(T), dst, a, "a", b, "b");                     \
		na_kernels()->suffix.triad(dst, a, b, scalar, n, streams(bytes, dst, a, b));                           \
		return MEMORY_ERROR_NONE;                                                                              \
	}                                                                                                              \
                                                                                                                       \
	memory_error_t kernel_triad_##suffix(T *dst, const T *a, const T *b, T scalar, size_t n)                       \
	{                                                                                                              \
		const struct na_kernels *k = na_kernels_small(3 * n * sizeof(T));                                      \
                                                                                                                       \
		if (UNLIKELY(!k || wrong(n, sizeof(T), dst, a, b)))                                                    \
			return triad_large_##suffix(dst, a, b, scalar, n);                                             \
		return (memory_error_t)k->suffix.triad(dst, a, b, scalar, n, false);                                   \
	}                                                                                                              \
                                                                                                                       \
	double kernel_sum_##suffix(const T *a, size_t n)                                                               \
	{                                                                                                              \
		if (UNLIKELY(!a && n))                                                                                 \
			return no_sum("kernel_sum_" #suffix, a);                                                       \
		return na_kernels()->suffix.sum(a, n);                                                                 \
	}                                                                                                              \
                                                                                                                       \
	double kernel_dot_##suffix(const T *a, const T *b, size_t n)                                                   \
	{                                                                                                              \
		if (UNLIKELY((!a || !b) && n))                                                                         \
			return no_sum("kernel_dot_" #suffix, a);                                                       \
		return na_kernels()->suffix.dot(a, b, n);                                                              \
	}

ELEMENTWISE(double, f64)
ELEMENTWISE(float, f32)

NA_FAR(kernel_copy_f64)
NA_FAR(kernel_copy_f32)
NA_FAR(kernel_fill_f64)
NA_FAR(kernel_fill_f32)
NA_FAR(kernel_scale_f64)
NA_FAR(kernel_scale_f32)
NA_FAR(kernel_add_f64)
NA_FAR(kernel_add_f32)
NA_FAR(kernel_triad_f64)
NA_FAR(kernel_triad_f32)

/* Elements of a grid; SIZE_MAX if there are more than addresses. */
static size_t grid(size_t nx, size_t ny, size_t nz, size_t size)
{
	size_t n;

	return __builtin_mul_overflow(nx, ny, &n) || __builtin_mul_overflow(n, nz, &n) || n > PTRDIFF_MAX / size
		       ? SIZE_MAX
		       : n;
}

static memory_error_t check_grid(const char *call, const void *dst, const void *src, const void *weights, size_t n,
				 size_t size)
{
	if (n == SIZE_MAX)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"%s: nx * ny * nz: no address space holds so many elements", call);
	if (!dst || !src || !weights)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: %s is NULL", call,
				!dst   ? "dst"
				: !src ? "src"
				       : "weights");
	if (meet(dst, n * size, src, n * size))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: dst overlaps src: must be apart", call);
	return MEMORY_ERROR_NONE;
}

#define STENCIL(T, suffix)                                                                                             \
	memory_error_t kernel_stencil7_##suffix(T *dst, const T *src, size_t nx, size_t ny, size_t nz,                 \
						const T weights[7])                                                    \
	{                                                                                                              \
		size_t n = grid(nx, ny, nz, sizeof(T));                                                                \
		memory_error_t e = check_grid("kernel_stencil7_" #suffix, dst, src, weights, n, sizeof(T));            \
                                                                                                                       \
		if (e != MEMORY_ERROR_NONE || n == 0)                                                                  \
			return n == 0 ? MEMORY_ERROR_NONE : e;                                                         \
		na_kernels()->suffix.stencil7(dst, src, nx, ny, nz, weights, na_kernels_streams(2 * n * sizeof(T)));   \
		return MEMORY_ERROR_NONE;                                                                              \
	}

STENCIL(double, f64)
STENCIL(float, f32)
NA_FAR(kernel_stencil7_f64)
NA_FAR(kernel_stencil7_f32)

/* Of one field against the structures, and what is written against the fields behind. */
static memory_error_t check_field(const char *call, const void *const *soa, size_t f, const void *aos, size_t fields,
				  size_t bytes, bool soa_written)
{
	if (!soa[f])
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: soa[%zu] is NULL", call, f);
	if (meet(soa[f], bytes, aos, bytes * fields))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: soa[%zu] overlaps aos", call, f);
	for (size_t g = f + 1; soa_written && g < fields; g++)
		if (meet(soa[f], bytes, soa[g], bytes))
			return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: soa[%zu] overlaps soa[%zu]", call, f, g);
	return MEMORY_ERROR_NONE;
}

COLD memory_error_t check_fields_closely(const char *call, const void *const *soa, const void *aos, size_t fields,
					 size_t n, size_t size, bool soa_written)
{
	memory_error_t e = MEMORY_ERROR_NONE;

	if (fields == 0 || fields > KERNEL_MAX_FIELDS)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: fields is %zu: must be from 1 to %d", call, fields,
				KERNEL_MAX_FIELDS);
	if (n > PTRDIFF_MAX / size / fields)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: n is %zu: no address space holds so many", call, n);
	if (n && (!soa || !aos))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: %s is NULL", call, aos ? "soa" : "aos");
	if (n == 0)
		return e;
	for (size_t f = 0; f < fields && e == MEMORY_ERROR_NONE; f++)
		e = check_field(call, soa, f, aos, fields, n * size, soa_written);
	return e;
}

/* Most calls are seen to be right at once. */
static inline memory_error_t check_fields(const char *call, const void *const *soa, const void *aos, size_t fields,
					  size_t n, size_t size, bool soa_written)
{
	if (!UNLIKELY(fields - 1 >= KERNEL_MAX_FIELDS || n >= (size_t)1 << 48 || !soa || !aos ||
		      !kernel_in_line_(soa, aos, fields, n * size)))
		return MEMORY_ERROR_NONE;
	return check_fields_closely(call, soa, aos, fields, n, size, soa_written);
}

#define FIELDS(T, suffix)                                                                                              \
	memory_error_t kernel_aos_to_soa_##suffix(T *const soa[], const T *aos, size_t fields, size_t n)               \
	{                                                                                                              \
		memory_error_t e = check_fields("kernel_aos_to_soa_" #suffix, (const void *const *)soa, aos, fields,   \
						n, sizeof(T), true);                                                   \
                                                                                                                       \
		if (e == MEMORY_ERROR_NONE && n)                                                                       \
			na_kernels()->suffix.split(soa, aos, fields, n,                                                \
						   na_kernels_streams(2 * n * fields * sizeof(T)));                    \
		return e;                                                                                              \
	}                                                                                                              \
                                                                                                                       \
	memory_error_t kernel_soa_to_aos_##suffix(T *aos, const T *const soa[], size_t fields, size_t n)               \
	{                                                                                                              \
		memory_error_t e = check_fields("kernel_soa_to_aos_" #suffix, (const void *const *)soa, aos, fields,   \
						n, sizeof(T), false);                                                  \
                                                                                                                       \
		if (e == MEMORY_ERROR_NONE && n)                                                                       \
			na_kernels()->suffix.join(aos, soa, fields, n,                                                 \
						  na_kernels_streams(2 * n * fields * sizeof(T)));                     \
		return e;                                                                                              \
	}

FIELDS(double, f64)
FIELDS(float, f32)
NA_FAR(kernel_aos_to_soa_f64)
NA_FAR(kernel_aos_to_soa_f32)
NA_FAR(kernel_soa_to_aos_f64)
NA_FAR(kernel_soa_to_aos_f32)

const char *kernel_variant(void)
{
	return na_kernels()->name;
}
