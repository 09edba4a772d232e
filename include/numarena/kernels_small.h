/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Part of numarena/kernels.h: calls of the elementwise kernels that touch little, compiled into the program. A call of the library costs
 * about 5 ns, half of what a loop over 1 KiB takes. What is not small, too small for a register, wrong or in part on
 * one another goes to the library, which says what is wrong.
 *
 * The bits are those of the library whatever the program's flags: products are kept from being fused with the addition, or anything
 * reordered, by an empty statement of assembler. The loop is the library's: whole registers, and one at the end that takes in some of
 * the elements before it again; it is computed first, so that an array may be written in place.
 *
 * NUMARENA_KERNEL_INLINE, defined before numarena/kernels.h: the most bytes that such a call touches; 0: all are calls. Optimized
 * programs of GCC and of clang. Taking a kernel's address gives the library's. What is not small is called by a second name, numarena_far_kernel_...,
 * which is for the functions here and not for programs: it is there as long as the first.
 */
#ifndef NUMARENA_KERNELS_SMALL_H
#define NUMARENA_KERNELS_SMALL_H

#include <numarena/kernels.h>

#ifdef NUMARENA_KERNEL_INLINE
#define KERNEL_COPY_INLINE_ NUMARENA_KERNEL_INLINE
#else
#define KERNEL_COPY_INLINE_ 16384 /* memcpy() has the registers of the machine */
#if defined(__AVX__)
#define NUMARENA_KERNEL_INLINE 16384
#else
#define NUMARENA_KERNEL_INLINE 2048 /* beyond, the library's wider registers gain more than the call costs */
#endif
#endif

#if defined(__OPTIMIZE__) && !defined(__OPTIMIZE_SIZE__) && NUMARENA_KERNEL_INLINE > 0 &&                              \
	(defined(__SSE2__) || (defined(__aarch64__) && defined(__ARM_NEON)))

#ifdef __AVX__
#define KERNEL_WIDTH_ 32
#define KERNEL_ALL_f64_(x)                                                                                             \
	{                                                                                                              \
		x, x, x, x                                                                                             \
	}
#define KERNEL_ALL_f32_(x)                                                                                             \
	{                                                                                                              \
		x, x, x, x, x, x, x, x                                                                                 \
	}
#else
#define KERNEL_WIDTH_ 16
#define KERNEL_ALL_f64_(x)                                                                                             \
	{                                                                                                              \
		x, x                                                                                                   \
	}
#define KERNEL_ALL_f32_(x)                                                                                             \
	{                                                                                                              \
		x, x, x, x                                                                                             \
	}
#endif

/* The value is rounded here, and no operation before may become one with an operation behind. */
#ifdef __aarch64__
#define KERNEL_ROUND_(v) __asm__("" : "+w"(v))
#else
#define KERNEL_ROUND_(v) __asm__("" : "+x"(v))
#endif

/* Where few instructions share a line of code with other branches, a round takes twice as long. */
#ifdef __clang__
#define KERNEL_SMALL_UNROLL_ _Pragma("clang loop unroll_count(4)")
#define KERNEL_SMALL_FIELDS_ _Pragma("clang loop unroll(full)")
#else
#define KERNEL_SMALL_UNROLL_ _Pragma("GCC unroll 4")
#define KERNEL_SMALL_FIELDS_ _Pragma("GCC unroll 8")
#endif

#define KERNEL_SMALL_CALL_ extern __attribute__((gnu_inline, always_inline)) inline

NUMARENA_BEGIN

/* Partly on one another, as the library sees it; likely is: apart. */
KERNEL_SMALL_CALL_ bool kernel_clear_(const void *dst, const void *src, size_t bytes)
{
	const uintptr_t distance = (uintptr_t)dst - (uintptr_t)src;

	return __builtin_expect(distance + (bytes - 1) >= 2 * bytes - 1, 1) || distance == 0;
}

#define KERNEL_SMALL_LOOP_(T, suffix, arrays, easy, work, call)                                                        \
	const size_t per = KERNEL_WIDTH_ / sizeof(T), most = NUMARENA_KERNEL_INLINE / (arrays) / sizeof(T);            \
                                                                                                                       \
	if (__builtin_expect(most >= per && n - per <= most - per && (easy), 1)) {                                     \
		const size_t last = n - per;                                                                           \
		kernel_vector_##suffix##_ end_, v_;                                                                    \
                                                                                                                       \
		work(T, suffix, end_, last);                                                                           \
		KERNEL_SMALL_UNROLL_                                                                                   \
		for (size_t i = 0; i < last; i += per) {                                                               \
			work(T, suffix, v_, i);                                                                        \
			*(kernel_vector_##suffix##_ *)(dst + i) = v_;                                                  \
		}                                                                                                      \
		*(kernel_vector_##suffix##_ *)(dst + last) = end_;                                                     \
		return MEMORY_ERROR_NONE;                                                                              \
	}                                                                                                              \
	return call;

#define KERNEL_SMALL_EASY_(T)                                                                                          \
	(dst && a && b && kernel_clear_(dst, a, n * sizeof(T)) && kernel_clear_(dst, b, n * sizeof(T)))
#define KERNEL_AT_(suffix, p, i) (*(const kernel_vector_##suffix##_ *)((p) + (i)))
#define KERNEL_FILL_(T, suffix, v, i)                                                                                  \
	do {                                                                                                           \
		const kernel_vector_##suffix##_ all_ = KERNEL_ALL_##suffix##_(value);                                  \
		(v) = all_;                                                                                            \
	} while (0)
#define KERNEL_SCALE_(T, suffix, v, i)                                                                                 \
	do {                                                                                                           \
		(v) = scalar * KERNEL_AT_(suffix, src, i);                                                             \
		KERNEL_ROUND_(v);                                                                                      \
	} while (0)
#define KERNEL_ADD_(T, suffix, v, i)                                                                                   \
	do {                                                                                                           \
		(v) = KERNEL_AT_(suffix, a, i) + KERNEL_AT_(suffix, b, i);                                             \
		KERNEL_ROUND_(v);                                                                                      \
	} while (0)
#define KERNEL_TRIAD_(T, suffix, v, i)                                                                                 \
	do {                                                                                                           \
		(v) = scalar * KERNEL_AT_(suffix, b, i);                                                               \
		KERNEL_ROUND_(v);                                                                                      \
		(v) = KERNEL_AT_(suffix, a, i) + (v);                                                                  \
		KERNEL_ROUND_(v);                                                                                      \
	} while (0)

#define KERNEL_SMALL_(T, suffix)                                                                                       \
	typedef T kernel_one_##suffix##_ __attribute__((aligned(1), may_alias));                                       \
	typedef T kernel_vector_##suffix##_ __attribute__((vector_size(KERNEL_WIDTH_), aligned(1), may_alias));        \
                                                                                                                       \
	memory_error_t kernel_copy_##suffix##_(T *dst, const T *src, size_t n) NUMARENA_FAR(kernel_copy_##suffix);    \
	memory_error_t kernel_fill_##suffix##_(T *dst, T value, size_t n) NUMARENA_FAR(kernel_fill_##suffix);         \
	memory_error_t kernel_scale_##suffix##_(T *dst, const T *src, T scalar, size_t n)                              \
		NUMARENA_FAR(kernel_scale_##suffix);                                                                  \
	memory_error_t kernel_add_##suffix##_(T *dst, const T *a, const T *b, size_t n)                                \
		NUMARENA_FAR(kernel_add_##suffix);                                                                    \
	memory_error_t kernel_triad_##suffix##_(T *dst, const T *a, const T *b, T scalar, size_t n)                    \
		NUMARENA_FAR(kernel_triad_##suffix);                                                                  \
                                                                                                                       \
	/* memcpy() is what the plain loop becomes. */                                                                 \
	KERNEL_SMALL_CALL_ memory_error_t kernel_copy_##suffix(T *dst, const T *src, size_t n)                         \
	{                                                                                                              \
		const size_t distance = (uintptr_t)dst - (uintptr_t)src, bytes = n * sizeof(T);                        \
                                                                                                                       \
		if (__builtin_expect(n - 1 < KERNEL_COPY_INLINE_ / 2 / sizeof(T) && dst && src &&                   \
					     distance + (bytes - 1) >= 2 * bytes - 1,                                  \
				     1)) {                                                                             \
			__builtin_memcpy(dst, src, bytes);                                                             \
			return MEMORY_ERROR_NONE;                                                                      \
		}                                                                                                      \
		return kernel_copy_##suffix##_(dst, src, n);                                                           \
	}                                                                                                              \
	KERNEL_SMALL_CALL_ memory_error_t kernel_fill_##suffix(T *dst, T value, size_t n)                              \
	{                                                                                                              \
		KERNEL_SMALL_LOOP_(T, suffix, 1, dst != NULL, KERNEL_FILL_, kernel_fill_##suffix##_(dst, value, n))    \
	}                                                                                                              \
	KERNEL_SMALL_CALL_ memory_error_t kernel_scale_##suffix(T *dst, const T *src, T scalar, size_t n)              \
	{                                                                                                              \
		KERNEL_ROUND_(scalar); /* a constant 0 times infinity is no 0 under -ffast-math either */              \
		KERNEL_SMALL_LOOP_(T, suffix, 2, dst && src && kernel_clear_(dst, src, n * sizeof(T)), KERNEL_SCALE_,  \
				   kernel_scale_##suffix##_(dst, src, scalar, n))                                      \
	}                                                                                                              \
	KERNEL_SMALL_CALL_ memory_error_t kernel_add_##suffix(T *dst, const T *a, const T *b, size_t n)                \
	{                                                                                                              \
		KERNEL_SMALL_LOOP_(T, suffix, 3, KERNEL_SMALL_EASY_(T), KERNEL_ADD_, kernel_add_##suffix##_(dst, a, b, n)) \
	}                                                                                                              \
	KERNEL_SMALL_CALL_ memory_error_t kernel_triad_##suffix(T *dst, const T *a, const T *b, T scalar, size_t n)    \
	{                                                                                                              \
		KERNEL_ROUND_(scalar);                                                                                         \
		KERNEL_SMALL_LOOP_(T, suffix, 3, KERNEL_SMALL_EASY_(T), KERNEL_TRIAD_,                                 \
				   kernel_triad_##suffix##_(dst, a, b, scalar, n))                                     \
	}

KERNEL_SMALL_(double, f64)
KERNEL_SMALL_(float, f32)

NUMARENA_END

#endif

#include <numarena/kernels_shapes.h>

#endif
