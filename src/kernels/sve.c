/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dense loops for 64-bit ARM with scalable vectors, whatever their length: a predicate leaves out what lies beyond the end, so there is
 * no tail, and no access outside of the arrays. The order of operations is loops.inc's, and so are the bits. Structures and arrays
 * are turned by the 16 bytes of the portable variant: registers of unknown length are no squares.
 *
 * Sums have 32 partial sums in memory's order: as many registers as hold them, from 16 of 128 bits to one of 2048.
 *
 * Chosen (dispatch.c) where registers are longer than 128 bits: as long, they do what NEON does, with a predicate more.
 */
#include "kernels/kernels.h"

#ifdef NA_KERNELS_HAVE_SVE
#include <string.h>
#ifndef __ARM_FEATURE_SVE
#pragma GCC target("+sve")
#endif
#include <arm_sve.h>

#define VARIANT sve
#define WIDTH	16
#define TARGET

#define STREAM_F64(p, v)	STORE(p, v)
#define STREAM_F32(p, v)	STORE(p, v)
#define STREAM_SQUARE_F64(p, v) (*(square_anywhere_f64_sve *)(p) = (v))
#define STREAM_SQUARE_F32(p, v) (*(square_anywhere_f32_sve *)(p) = (v))
#define FENCE()			((void)0) /* stores without a place in the cache are ordered as any here */

#define NA_KERNELS_OWN_TABLE
#include "kernels/variant.inc"

#define SVE_ONE(f, p) (*(const one_##f##_sve *)(p)) /* wherever it lies */

/* The loop over whole arrays: `work` computes v of the elements at i under `pg`. Each step loads before it stores. */
#define SVE_LOOP(T, bits, work)                                                                                        \
	for (uint64_t i = 0; i < n; i += svcntb() / sizeof(T)) {                                                       \
		svbool_t pg = svwhilelt_b##bits(i, (uint64_t)n);                                                       \
		svfloat##bits##_t v = work;                                                                            \
                                                                                                                       \
		if (stream)                                                                                            \
			svstnt1(pg, dst + i, v);                                                                       \
		else                                                                                                   \
			svst1(pg, dst + i, v);                                                                         \
	}                                                                                                              \
	return 0

#define SVE_MAPS(T, f, bits)                                                                                           \
	static int sve_fill_##f(T *dst, T value, size_t n, bool stream)                                                \
	{                                                                                                              \
		SVE_LOOP(T, bits, svdup_f##bits(value));                                                               \
	}                                                                                                              \
                                                                                                                       \
	static int sve_scale_##f(T *dst, const T *a, T s, size_t n, bool stream)                                       \
	{                                                                                                              \
		SVE_LOOP(T, bits, svmul_x(pg, svld1(pg, a + i), s));                                                   \
	}                                                                                                              \
                                                                                                                       \
	static int sve_add_##f(T *dst, const T *a, const T *b, size_t n, bool stream)                                  \
	{                                                                                                              \
		SVE_LOOP(T, bits, svadd_x(pg, svld1(pg, a + i), svld1(pg, b + i)));                                    \
	}                                                                                                              \
                                                                                                                       \
	static int sve_triad_##f(T *dst, const T *a, const T *b, T s, size_t n, bool stream)                           \
	{                                                                                                              \
		SVE_LOOP(T, bits, svadd_x(pg, svld1(pg, a + i), svmul_x(pg, svld1(pg, b + i), s)));                    \
	}                                                                                                              \
                                                                                                                       \
	static void sve_row_##f(T *dst, const struct rows_##f##_sve *r, const T *w, size_t n)                          \
	{                                                                                                              \
		for (uint64_t i = 1; i < n; i += svcntb() / sizeof(T)) {                                               \
			svbool_t pg = svwhilelt_b##bits(i, (uint64_t)n);                                               \
			svfloat##bits##_t v = svmul_x(pg, svld1(pg, r->at + i), w[0]);                                 \
                                                                                                                       \
			v = svadd_x(pg, v, svmul_x(pg, svld1(pg, r->at + i - 1), w[1]));                               \
			v = svadd_x(pg, v, svmul_x(pg, svld1(pg, r->at + i + 1), w[2]));                               \
			v = svadd_x(pg, v, svmul_x(pg, svld1(pg, r->y0 + i), w[3]));                                   \
			v = svadd_x(pg, v, svmul_x(pg, svld1(pg, r->y1 + i), w[4]));                                   \
			v = svadd_x(pg, v, svmul_x(pg, svld1(pg, r->z0 + i), w[5]));                                   \
			v = svadd_x(pg, v, svmul_x(pg, svld1(pg, r->z1 + i), w[6]));                                   \
			svst1(pg, dst + i, v);                                                                         \
		}                                                                                                      \
	}                                                                                                              \
                                                                                                                       \
	/* Blocks as in stencil.inc. */                                                                                \
	static void sve_stencil7_##f(T *dst, const T *a, size_t nx, size_t ny, size_t nz, const T *w, bool stream)     \
	{                                                                                                              \
		size_t plane = nx * ny, block = stencil_block_##f##_sve(nx, ny);                                       \
                                                                                                                       \
		(void)stream;                                                                                          \
		if (nx < 3 || ny < 3 || nz < 3)                                                                        \
			return;                                                                                        \
		for (size_t first = 1; first < ny - 1; first += block)                                                 \
			for (size_t z = 1; z < nz - 1; z++)                                                            \
				for (size_t y = first; y < ny - 1 && y < first + block; y++) {                         \
					const T *at = a + z * plane + y * nx;                                          \
					struct rows_##f##_sve r = { at, at - nx, at + nx, at - plane, at + plane };    \
                                                                                                                       \
					sve_row_##f(dst + (at - a), &r, w, nx - 1);                                    \
				}                                                                                      \
	}

SVE_MAPS(double, f64, 64)
SVE_MAPS(float, f32, 32)

/* A register of doubles, from as many elements. */
static inline svfloat64_t sve_take_f64(svbool_t pg, const double *p)
{
	return svld1(pg, p);
}

/* Each float is loaded into the lower half of a double's place. */
static inline svfloat64_t sve_take_f32(svbool_t pg, const float *p)
{
	return svcvt_f64_x(pg, svreinterpret_f32(svld1uw_u64(pg, (const uint32_t *)(const void *)p)));
}

/* Lane k is element k of each 32, as in loops.inc. Registers cannot be in arrays, so there are four: 512 bits go through the array once, 256
 * twice, each time over half of its elements. */
#define SVE_PART(f, k)                                                                                                 \
	do {                                                                                                           \
		svfloat64_t x = sve_take_##f(all, a + i + lane + (k)*per);                                             \
                                                                                                                       \
		if (product)                                                                                           \
			x = svmul_x(all, x, sve_take_##f(all, b + i + lane + (k)*per));                                \
		s##k = svadd_x(all, s##k, x);                                                                          \
	} while (0)

#define SVE_SUMS(T, f)                                                                                                 \
	static inline                                                                                                  \
		__attribute__((always_inline)) double sve_reduce_##f(bool product, const T *a, const T *b, size_t n)   \
	{                                                                                                              \
		const size_t per = svcntd(), whole = n / NA_KERNEL_LANES * NA_KERNEL_LANES;                            \
		const svbool_t all = svptrue_b64();                                                                    \
		double lanes[NA_KERNEL_LANES];                                                                         \
		size_t lane = 0;                                                                                       \
                                                                                                                       \
		for (; lane + 4 * per <= NA_KERNEL_LANES; lane += 4 * per) {                                           \
			svfloat64_t s0 = svdup_f64(0), s1 = s0, s2 = s0, s3 = s0;                                      \
                                                                                                                       \
			for (size_t i = 0; i < whole; i += NA_KERNEL_LANES) {                                          \
				SVE_PART(f, 0);                                                                        \
				SVE_PART(f, 1);                                                                        \
				SVE_PART(f, 2);                                                                        \
				SVE_PART(f, 3);                                                                        \
			}                                                                                              \
			svst1(all, lanes + lane, s0);                                                                  \
			svst1(all, lanes + lane + per, s1);                                                            \
			svst1(all, lanes + lane + 2 * per, s2);                                                        \
			svst1(all, lanes + lane + 3 * per, s3);                                                        \
		}                                                                                                      \
		for (; lane < NA_KERNEL_LANES; lane += per) { /* 1024 bits and more, and lengths that do not divide */ \
			const svbool_t all = svwhilelt_b64((uint64_t)lane, (uint64_t)NA_KERNEL_LANES);                 \
			svfloat64_t s0 = svdup_f64(0);                                                                 \
                                                                                                                       \
			for (size_t i = 0; i < whole; i += NA_KERNEL_LANES)                                            \
				SVE_PART(f, 0);                                                                        \
			svst1(all, lanes + lane, s0);                                                                  \
		}                                                                                                      \
		for (size_t k = 0; whole + k < n; k++)                                                                 \
			lanes[k] += product ? (double)SVE_ONE(f, a + whole + k) * (double)SVE_ONE(f, b + whole + k)    \
					    : (double)SVE_ONE(f, a + whole + k);                                       \
		for (size_t half = NA_KERNEL_LANES / 2; half; half /= 2)                                               \
			for (size_t k = 0; k < half; k++)                                                              \
				lanes[k] += lanes[k + half];                                                           \
		return lanes[0];                                                                                       \
	}                                                                                                              \
                                                                                                                       \
	static double sve_sum_##f(const T *a, size_t n)                                                                \
	{                                                                                                              \
		return sve_reduce_##f(false, a, a, n);                                                                 \
	}                                                                                                              \
                                                                                                                       \
	static double sve_dot_##f(const T *a, const T *b, size_t n)                                                    \
	{                                                                                                              \
		return sve_reduce_##f(true, a, b, n);                                                                  \
	}

SVE_SUMS(double, f64)
SVE_SUMS(float, f32)

size_t na_kernels_sve_bytes(void)
{
	return svcntb();
}

#define SVE_ALL(f)                                                                                                     \
	{                                                                                                              \
		.fill = sve_fill_##f, .scale = sve_scale_##f, .add = sve_add_##f, .triad = sve_triad_##f,              \
		.sum = sve_sum_##f, .dot = sve_dot_##f, .stencil7 = sve_stencil7_##f, NAMED(split, f), NAMED(join, f)  \
	}

const struct na_kernels na_kernels_sve = { .name = "sve", .copy = V(copy), .f64 = SVE_ALL(f64), .f32 = SVE_ALL(f32) };
#endif
