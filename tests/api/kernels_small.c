/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small calls of kernels, which numarena/kernels_small.h compiles into the program, against the library's: the same bits at every length,
 * alignment and overlap, nothing written beside the arrays, the same errors. Built three times: with the flags of the rest, with those that
 * tempt a compiler to other bits (registers of the machine, products fused with additions), and with a bound that leaves next to nothing small.
 */
#include "api.h"

#if defined(__OPTIMIZE__) && (defined(__SSE2__) || defined(__ARM_NEON)) && !defined(KERNEL_SMALL_CALL_)
#error "nothing is compiled in: this would hold the library against itself"
#endif

enum { MOST = 150, ROOM = 4096 };

static char mine[3][ROOM], theirs[3][ROOM];

static void make(size_t seed, bool is_float)
{
	uint64_t state = seed + 1;

	for (int r = 0; r < 3; r++)
		for (size_t at = 0; at < ROOM; at += is_float ? sizeof(float) : sizeof(double)) {
			double v = (double)(check_random(&state) >> 11) * 0x1p-53 - 0.5;
			float f = (float)v;

			memcpy(mine[r] + at, is_float ? (void *)&f : (void *)&v, is_float ? sizeof(f) : sizeof(v));
		}
	memcpy(theirs, mine, sizeof(mine));
}

/* A call that a compiler does not see through is the library's. */
#define FAR(name) ((__typeof__(&name))(uintptr_t)hide((void *)(uintptr_t)&name))

#define COMPARE(what)                                                                                                  \
	CHECK_MSG(memcmp(mine, theirs, sizeof(mine)) == 0 && near_error == far_error,                                  \
		  "%s: n %zu, from %zu to %zu, arrays %d %d %d: %d, the library %d", what, n, from, to, d, a, b,        \
		  (int)near_error, (int)far_error)

#define ALL(T, suffix)                                                                                                 \
	static void all_##suffix(size_t n, size_t from, size_t to, int d, int a, int b)                                \
	{                                                                                                              \
		T *dst = (T *)(void *)(mine[d] + to), *x = (T *)(void *)(mine[a] + from), *y = (T *)(void *)mine[b];   \
		T *dst2 = (T *)(void *)(theirs[d] + to), *x2 = (T *)(void *)(theirs[a] + from),                        \
		  *y2 = (T *)(void *)theirs[b];                                                                        \
		memory_error_t near_error, far_error;                                                                  \
                                                                                                                       \
		make(n, sizeof(T) == sizeof(float));                                                                   \
		near_error = kernel_copy_##suffix(dst, x, n);                                                          \
		far_error = FAR(kernel_copy_##suffix)(dst2, x2, n);                                                    \
		COMPARE("copy " #suffix);                                                                              \
		near_error = kernel_scale_##suffix(dst, x, (T)1.1, n);                                                 \
		far_error = FAR(kernel_scale_##suffix)(dst2, x2, (T)1.1, n);                                           \
		COMPARE("scale " #suffix);                                                                             \
		near_error = kernel_add_##suffix(dst, x, y, n);                                                        \
		far_error = FAR(kernel_add_##suffix)(dst2, x2, y2, n);                                                 \
		COMPARE("add " #suffix);                                                                               \
		near_error = kernel_triad_##suffix(dst, x, y, (T)1.1, n);                                              \
		far_error = FAR(kernel_triad_##suffix)(dst2, x2, y2, (T)1.1, n);                                       \
		COMPARE("triad " #suffix);                                                                             \
		near_error = kernel_fill_##suffix(dst, (T)-0.0, n);                                                    \
		far_error = FAR(kernel_fill_##suffix)(dst2, (T)-0.0, n);                                               \
		COMPARE("fill " #suffix);                                                                              \
	}                                                                                                              \
                                                                                                                       \
	/* The second array as two, three or seven fields, `gap` bytes apart; falling if it is negative. */            \
	static void structures_##suffix(size_t n, size_t from, long gap)                                               \
	{                                                                                                              \
		T *soa[7], *soa2[7];                                                                                   \
		size_t to = gap < 0 ? (size_t)(6 * -gap) : 0;                                                          \
		int d = 0, a = 1, b = 1;                                                                               \
		memory_error_t near_error, far_error;                                                                  \
                                                                                                                       \
		make(n, sizeof(T) == sizeof(float));                                                                   \
		for (int f = 0; f < 7; f++) {                                                                          \
			soa[f] = (T *)(void *)(mine[0] + (long)to + f * gap + (long)from);                             \
			soa2[f] = (T *)(void *)(theirs[0] + (long)to + f * gap + (long)from);                          \
		}                                                                                                      \
		near_error = kernel_aos_to_soa_##suffix(soa, (T *)(void *)(mine[1] + from), 7, n);                     \
		far_error = FAR(kernel_aos_to_soa_##suffix)(soa2, (T *)(void *)(theirs[1] + from), 7, n);              \
		COMPARE("split 7 " #suffix);                                                                           \
		near_error = kernel_soa_to_aos_##suffix((T *)(void *)mine[2], (const T *const *)soa, 3, n);            \
		far_error = FAR(kernel_soa_to_aos_##suffix)((T *)(void *)theirs[2], (const T *const *)soa2, 3, n);     \
		COMPARE("join 3 " #suffix);                                                                            \
		near_error = kernel_aos_to_soa_##suffix(soa, (T *)(void *)mine[1], 2, n);                              \
		far_error = FAR(kernel_aos_to_soa_##suffix)(soa2, (T *)(void *)theirs[1], 2, n);                       \
		COMPARE("split 2 " #suffix);                                                                           \
	}

ALL(double, f64)
ALL(float, f32)

static void small_calls_are_the_library_s(void)
{
	static const size_t offs[] = { 0, 1, 4, 8, 12, 20, 24, 40, 60 };

	for (size_t n = 0; n < MOST; n += n < 70 ? 1 : 13)
		for (size_t o = 0; o < sizeof(offs) / sizeof(offs[0]); o++) {
			size_t other = offs[(o * 5 + n) % 9];

			all_f64(n, offs[o], other, 0, 1, 2); /* apart */
			all_f32(n, offs[o], other, 0, 1, 2);
			all_f64(n, offs[o], offs[o], 1, 1, 2); /* in place */
			all_f32(n, offs[o], offs[o], 1, 1, 2);
			all_f64(n, offs[o], 0, 2, 1, 2);
			all_f32(n, offs[o], 0, 2, 1, 2);
			all_f64(n, offs[o], other, 1, 1, 1); /* partly on one another, or all the same */
			all_f32(n, offs[o], other, 1, 1, 1);
			for (long gap = -520; n <= 72 && gap <= 520; gap += 104) { /* close together they overlap */
				structures_f64(n, offs[o], gap);
				structures_f32(n, offs[o], gap);
			}
		}
}

static void nothing_is_refused_silently(void)
{
	double *a = (double *)(void *)mine[0], *none = NULL;
	double *const fields[3] = { a, NULL, a + 64 };

	ERROR(kernel_triad_f64(a, a + 1, a + 100, 2, 40), MEMORY_ERROR_INVALID_ARGUMENT, "kernel_triad_f64", "overlaps a");
	ERROR(kernel_copy_f64(none, a, 10), MEMORY_ERROR_INVALID_ARGUMENT, "dst is NULL");
	ERROR(kernel_fill_f64(none, 1, 10), MEMORY_ERROR_INVALID_ARGUMENT, "dst is NULL");
	ERROR(kernel_add_f64(a, a + 100, none, 10), MEMORY_ERROR_INVALID_ARGUMENT, "b is NULL");
	ERROR(kernel_scale_f64(a, a + 100, 1, SIZE_MAX), MEMORY_ERROR_INVALID_ARGUMENT, "no address space");
	ERROR(kernel_aos_to_soa_f64(fields, a + 200, 3, 10), MEMORY_ERROR_INVALID_ARGUMENT, "soa[1] is NULL");
	GOOD(kernel_copy_f64(none, none, 0));
}

int main(void)
{
	small_calls_are_the_library_s();
	nothing_is_refused_silently();
	return check_result();
}
