/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small calls of kernels do not reach the library, whatever the compiler: the library is not linked here. What its second names stand for
 * is in this file, and counts. A compiler that does not inline a call has no symbol to link it to. Built as the rest is, and by
 * tests/api/inlined with clang.
 */
#include <numarena/numarena.h>

#include <stdio.h>
#include <string.h>

#ifdef KERNEL_SMALL_CALL_

static int far_calls, failures;

#define COUNTED(call)                                                                                                  \
	memory_error_t numarena_far_##call(void);                                                                      \
	memory_error_t numarena_far_##call(void)                                                                       \
	{                                                                                                              \
		far_calls++;                                                                                           \
		return MEMORY_ERROR_NONE;                                                                              \
	}
#define COUNTED_EACH(call) COUNTED(call##_f64) COUNTED(call##_f32)

COUNTED_EACH(kernel_copy)
COUNTED_EACH(kernel_fill)
COUNTED_EACH(kernel_scale)
COUNTED_EACH(kernel_add)
COUNTED_EACH(kernel_triad)
COUNTED_EACH(kernel_aos_to_soa)
COUNTED_EACH(kernel_soa_to_aos)
COUNTED_EACH(kernel_stencil7)
COUNTED(kernel_csr_f64_i32)
COUNTED(kernel_csr_f64_i64)
COUNTED(kernel_csr_f32_i32)
COUNTED(kernel_csr_f32_i64)
COUNTED(kernel_hash_probe_u64)

/* Counts that the compiler does not know. */
static volatile size_t small = 41, large = 1000000;

#define EXPECT(what, calls)                                                                                            \
	do {                                                                                                           \
		far_calls = 0;                                                                                         \
		what;                                                                                                  \
		if (far_calls != (calls)) {                                                                            \
			printf("FAIL: %s: %d calls of the library, not %d\n", #what, far_calls, calls);                \
			failures++;                                                                                    \
		}                                                                                                      \
	} while (0)

#define TRY(T, suffix)                                                                                                 \
	static void try_##suffix(void)                                                                                 \
	{                                                                                                              \
		static T a[512], b[512], c[512];                                                                       \
		static const T w[7] = { 1, 2, 3, 4, 5, 6, 7 };                                                         \
		static const int32_t start32[3] = { 0, 3, 6 }, column32[6] = { 0, 1, 2, 3, 4, 5 };                     \
		static const int64_t start64[3] = { 0, 3, 6 }, column64[6] = { 0, 1, 2, 3, 4, 5 };                     \
		T *const soa[3] = { b, b + 64, b + 128 };                                                              \
		const size_t n = small, rows = small / 16;                                                             \
                                                                                                                       \
		EXPECT(kernel_fill_##suffix(b, 2, n), 0);                                                              \
		EXPECT(kernel_copy_##suffix(c, b, n), 0);                                                              \
		EXPECT(kernel_scale_##suffix(c, c, 3, n), 0);                                                          \
		EXPECT(kernel_add_##suffix(a, b, c, n), 0);                                                            \
		EXPECT(kernel_triad_##suffix(a, a, c, 4, n), 0);                                                       \
		if (a[0] != 32 || a[n - 1] != 32 || a[n] != 0) {                                                       \
			printf("FAIL: " #suffix ": 2 + 3 * 2 + 4 * 6 is %g\n", (double)a[0]);                          \
			failures++;                                                                                    \
		}                                                                                                      \
		EXPECT(kernel_aos_to_soa_##suffix(soa, a, 3, n), 0);                                                   \
		EXPECT(kernel_soa_to_aos_##suffix(c, (const T *const *)soa, 3, n), 0);                                 \
		EXPECT(kernel_stencil7_##suffix(c, a, 6, 4, 4, w), 0);                                                 \
		EXPECT(kernel_csr_##suffix##_i32(c, rows, start32, column32, a, b), 0);                                \
		EXPECT(kernel_csr_##suffix##_i64(c, rows, start64, column64, a, b), 0);                                \
		EXPECT(kernel_fill_##suffix(b, 2, large), 1);                                                          \
		EXPECT(kernel_copy_##suffix(c, b, large), 1);                                                          \
		EXPECT(kernel_scale_##suffix(c, c, 3, large), 1);                                                      \
		EXPECT(kernel_add_##suffix(a, b, c, large), 1);                                                        \
		EXPECT(kernel_triad_##suffix(a, a, c, 4, large), 1);                                                   \
		EXPECT(kernel_aos_to_soa_##suffix(soa, a, 3, large), 1);                                               \
		EXPECT(kernel_soa_to_aos_##suffix(c, (const T *const *)soa, 3, large), 1);                             \
		EXPECT(kernel_stencil7_##suffix(c, a, large, 7, 7, w), 1);                                             \
		EXPECT(kernel_csr_##suffix##_i32(c, large, start32, column32, a, b), 1);                               \
		EXPECT(kernel_csr_##suffix##_i64(c, large, start64, column64, a, b), 1);                               \
		EXPECT(kernel_triad_##suffix(a, a + 1, c, 4, n), 1); /* who says what is wrong with it */              \
	}
TRY(double, f64)
TRY(float, f32)

static void try_probes(void)
{
	static uint64_t taken[16];
	static const uint64_t keys[5] = { 3, 4, 5, 6, 7 };
	const kernel_hash_t table = { taken, 0, 16 };
	size_t slot[5];

	EXPECT(kernel_hash_probe_u64(&table, keys, small / 8, slot), 0);
	EXPECT(kernel_hash_probe_u64(&table, keys, large, slot), 1);
}

int main(void)
{
	try_f64();
	try_f32();
	try_probes();
	return failures != 0;
}
#else
int main(void)
{
	puts("SKIP: not optimized, or a processor whose registers are not known");
	return 77;
}
#endif
