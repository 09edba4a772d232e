/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loops that run at the memory's speed.
 *
 *     kernel_triad(a, b, c, 3.0, n);		a[i] = b[i] + 3.0 * c[i]
 *     double norm = kernel_dot(a, a, n);
 *
 * Each is for double (_f64) and float (_f32); in C the name without picks by what the first argument points to. They are compiled for the
 * processor's vector registers and chosen when the program runs (NUMARENA_KERNELS); calls that touch little are compiled into
 * the program, where that is optimized (numarena/kernels_small.h, kernels_shapes.h). A call that touches more than the
 * last-level cache holds (NUMARENA_KERNEL_STREAM) stores past the caches: it leaves the caches to others, and saves reading what it
 * overwrites.
 *
 * The same bits come out whatever the processor, the alignment and the size: elements are computed in the order written here, without fused
 * multiply-add. Arrays may have any alignment; nothing is read or written outside of them. All calls are
 * thread-safe on arrays that no other thread writes to meanwhile, and one call uses one thread: partition_range() cuts for several.
 *
 * Errors: MEMORY_ERROR_INVALID_ARGUMENT, with the argument's name in last_memory_error_message(), for NULL (unless n is 0), for n elements
 * that no address space holds, and for an array that is written and overlaps one that is read, but not element on element.
 * Then nothing is written.
 */
#ifndef NUMARENA_KERNELS_H
#define NUMARENA_KERNELS_H

#include <stddef.h>

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

/* dst[i] = src[i]. dst may be src: then there is nothing to do. */
memory_error_t kernel_copy_f64(double *dst, const double *src, size_t n) NUMARENA_CALL(kernel_copy_f64);
memory_error_t kernel_copy_f32(float *dst, const float *src, size_t n) NUMARENA_CALL(kernel_copy_f32);

/* dst[i] = value. */
memory_error_t kernel_fill_f64(double *dst, double value, size_t n) NUMARENA_CALL(kernel_fill_f64);
memory_error_t kernel_fill_f32(float *dst, float value, size_t n) NUMARENA_CALL(kernel_fill_f32);

/* dst[i] = scalar * src[i]. dst may be src. */
memory_error_t kernel_scale_f64(double *dst, const double *src, double scalar, size_t n)
	NUMARENA_CALL(kernel_scale_f64);
memory_error_t kernel_scale_f32(float *dst, const float *src, float scalar, size_t n) NUMARENA_CALL(kernel_scale_f32);

/* dst[i] = a[i] + b[i]. dst may be a, or b, or both; a and b may overlap in any way. */
memory_error_t kernel_add_f64(double *dst, const double *a, const double *b, size_t n) NUMARENA_CALL(kernel_add_f64);
memory_error_t kernel_add_f32(float *dst, const float *a, const float *b, size_t n) NUMARENA_CALL(kernel_add_f32);

/* dst[i] = a[i] + scalar * b[i]. As above. */
memory_error_t kernel_triad_f64(double *dst, const double *a, const double *b, double scalar, size_t n)
	NUMARENA_CALL(kernel_triad_f64);
memory_error_t kernel_triad_f32(float *dst, const float *a, const float *b, float scalar, size_t n)
	NUMARENA_CALL(kernel_triad_f32);

/* The sum of a[i], and of a[i] * b[i], in double for both types; 0 for n = 0. NULL: NaN, and last_memory_error().
 *
 * Element i is added to partial sum i % 32, in rising order of i; then partial sum k + 16 is added to k, k + 8 to k, and so on to k + 1. The
 * order is the same on every processor, so results are comparable bit by bit between machines. The error is at most (n / 32 + 5) *
 * 2^-53 times the sum of the magnitudes, a thirty-second of a plain loop's bound; for dot, one 2^-53 more. Products of floats are exact. */
double kernel_sum_f64(const double *a, size_t n) NUMARENA_CALL(kernel_sum_f64);
double kernel_sum_f32(const float *a, size_t n) NUMARENA_CALL(kernel_sum_f32);
double kernel_dot_f64(const double *a, const double *b, size_t n) NUMARENA_CALL(kernel_dot_f64);
double kernel_dot_f32(const float *a, const float *b, size_t n) NUMARENA_CALL(kernel_dot_f32);

/* The 7-point stencil over the inner points of a grid of nx * ny * nz elements, x fastest, in this order:
 *
 *     dst[x,y,z] = w[0] * src[x,y,z] + w[1] * src[x-1,y,z] + w[2] * src[x+1,y,z]
 *                                    + w[3] * src[x,y-1,z] + w[4] * src[x,y+1,z]
 *                                    + w[5] * src[x,y,z-1] + w[6] * src[x,y,z+1]
 *
 * The outermost points of dst are left as they are; with fewer than three points in a direction there are no inner ones. dst and src
 * may not overlap at all. */
memory_error_t kernel_stencil7_f64(double *dst, const double *src, size_t nx, size_t ny, size_t nz,
				   const double weights[7]) NUMARENA_CALL(kernel_stencil7_f64);
memory_error_t kernel_stencil7_f32(float *dst, const float *src, size_t nx, size_t ny, size_t nz,
				   const float weights[7]) NUMARENA_CALL(kernel_stencil7_f32);

/* The most fields that a structure may have below. */
#define KERNEL_MAX_FIELDS 64

/* n structures of `fields` elements each, one behind the other, into as many arrays of n: soa[f][i] = aos[i * fields + f]; and back.
 * No overlap is allowed between what is written and anything else. MEMORY_ERROR_INVALID_ARGUMENT also for 0 fields or more than
 * KERNEL_MAX_FIELDS. */
memory_error_t kernel_aos_to_soa_f64(double *const soa[], const double *aos, size_t fields, size_t n)
	NUMARENA_CALL(kernel_aos_to_soa_f64);
memory_error_t kernel_aos_to_soa_f32(float *const soa[], const float *aos, size_t fields, size_t n)
	NUMARENA_CALL(kernel_aos_to_soa_f32);
memory_error_t kernel_soa_to_aos_f64(double *aos, const double *const soa[], size_t fields, size_t n)
	NUMARENA_CALL(kernel_soa_to_aos_f64);
memory_error_t kernel_soa_to_aos_f32(float *aos, const float *const soa[], size_t fields, size_t n)
	NUMARENA_CALL(kernel_soa_to_aos_f32);

/* Which loops run in this process: "portable", "avx2", "avx512" or "sve". */
const char *kernel_variant(void) NUMARENA_CALL(kernel_variant);

#ifndef __cplusplus
#define kernel_copy(dst, src, n)	_Generic(*(dst), double: kernel_copy_f64, float: kernel_copy_f32)(dst, src, n)
#define kernel_fill(dst, value, n)	_Generic(*(dst), double: kernel_fill_f64, float: kernel_fill_f32)(dst, value, n)
#define kernel_scale(dst, src, s, n)	_Generic(*(dst), double: kernel_scale_f64, float: kernel_scale_f32)(dst, src, s, n)
#define kernel_add(dst, a, b, n)	_Generic(*(dst), double: kernel_add_f64, float: kernel_add_f32)(dst, a, b, n)
#define kernel_triad(dst, a, b, s, n)	_Generic(*(dst), double: kernel_triad_f64, float: kernel_triad_f32)(dst, a, b, s, n)
#define kernel_sum(a, n)		_Generic(*(a), double: kernel_sum_f64, float: kernel_sum_f32)(a, n)
#define kernel_dot(a, b, n)		_Generic(*(a), double: kernel_dot_f64, float: kernel_dot_f32)(a, b, n)
#endif

NUMARENA_END

#include <numarena/kernels_small.h>

#endif
