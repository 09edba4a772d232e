/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small calls of kernels, which numarena/kernels_small.h compiles into the program, against the library's: the same bits at every length,
 * alignment and overlap, nothing written beside the arrays, the same errors. Built four times: with the flags of the rest, with those that
 * tempt a compiler to other bits (registers of the machine, products fused with additions), as GCC before 12 sees the headers, and with a bound that
 * leaves next to nothing small.
 */
#if defined(NA_TEST_OLD_GCC) && !defined(__clang__)
#include "old_gcc.h"
#endif

#include "api.h"

#include <numarena/indexed.h>

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

#define FIELDS(T, suffix, fields)                                                                                      \
	do {                                                                                                           \
		int d = 0, a = 1, b = fields;                                                                          \
                                                                                                                       \
		make(n, sizeof(T) == sizeof(float));                                                                   \
		near_error = kernel_aos_to_soa_##suffix(soa, (T *)(void *)(mine[1] + from), fields, n);                \
		far_error = FAR(kernel_aos_to_soa_##suffix)(soa2, (T *)(void *)(theirs[1] + from), fields, n);         \
		COMPARE("split " #suffix);                                                                             \
		near_error = kernel_soa_to_aos_##suffix((T *)(void *)mine[2], (const T *const *)soa, fields, n);       \
		far_error = FAR(kernel_soa_to_aos_##suffix)((T *)(void *)theirs[2], (const T *const *)soa2, fields, n); \
		COMPARE("join " #suffix);                                                                              \
	} while (0);

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
	/* The first array as fields, `gap` bytes apart, falling if it is negative; the second as structures. */         \
	static void structures_##suffix(size_t n, size_t from, long gap)                                               \
	{                                                                                                              \
		T *soa[8], *soa2[8];                                                                                   \
		size_t to = gap < 0 ? (size_t)(7 * -gap) : 0;                                                          \
		memory_error_t near_error, far_error;                                                                  \
                                                                                                                       \
		for (int f = 0; f < 8; f++) {                                                                          \
			soa[f] = (T *)(void *)(mine[0] + (long)to + f * gap + (long)from);                             \
			soa2[f] = (T *)(void *)(theirs[0] + (long)to + f * gap + (long)from);                          \
		}                                                                                                      \
		FIELDS(T, suffix, 1)                                                                                   \
		FIELDS(T, suffix, 2)                                                                                   \
		FIELDS(T, suffix, 3)                                                                                   \
		FIELDS(T, suffix, 4)                                                                                   \
		FIELDS(T, suffix, 5)                                                                                   \
		FIELDS(T, suffix, 6)                                                                                   \
		FIELDS(T, suffix, 7)                                                                                   \
		FIELDS(T, suffix, 8)                                                                                   \
	}                                                                                                              \
                                                                                                                       \
	static void stencil_##suffix(size_t nx, size_t ny, size_t nz, size_t from, size_t to, int d)                   \
	{                                                                                                              \
		static const T weights[7] = { (T)0.7, (T)-1.3, (T)-0.0, (T)1.1, (T)0.3, (T)1e-30, (T)-0.9 };           \
		int a = 1, b = 1;                                                                                      \
		size_t n = nx * ny * nz;                                                                               \
		memory_error_t near_error, far_error;                                                                  \
                                                                                                                       \
		make(n, sizeof(T) == sizeof(float));                                                                   \
		near_error = kernel_stencil7_##suffix((T *)(void *)(mine[d] + to), (T *)(void *)(mine[1] + from), nx, ny, nz, \
						      weights);                                                        \
		far_error = FAR(kernel_stencil7_##suffix)((T *)(void *)(theirs[d] + to), (T *)(void *)(theirs[1] + from), nx, \
							  ny, nz, weights);                                            \
		COMPARE("stencil " #suffix);                                                                           \
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
			for (long gap = -472; n <= 60 && gap <= 472; gap += 118) { /* close together they overlap */
				structures_f64(n, offs[o], gap);
				structures_f32(n, offs[o], gap);
			}
		}
}

static void small_stencils_are_the_library_s(void)
{
	for (size_t nx = 1; nx <= 12; nx++)
		for (size_t ny = 2; ny <= 5; ny++)
			for (size_t nz = 2; nz <= 5; nz++)
				for (size_t o = 0; o < 3; o++) {
					stencil_f64(nx, ny, nz, o * 8, (nx + o) % 3 * 12, 0);
					stencil_f32(nx, ny, nz, o * 8, (nx + o) % 3 * 12, 2);
					stencil_f64(nx, ny, nz, o * 200, 480, 1); /* apart or not */
					stencil_f32(nx, ny, nz, 480, o * 200, 1);
				}
}

/* Tables from empty to full, at whose end searches go on at the beginning; the key that stands for none; slots on keys. */
static void small_probes_are_the_library_s(void)
{
	enum { SLOTS = 32, KEYS = 2 * SLOTS + 3 };
	uint64_t keys[KEYS], slots_of[SLOTS], state = 1;
	size_t near[KEYS + 1], far[KEYS + 1];
	kernel_hash_t table = { .keys = slots_of, .slots = SLOTS, .empty = 7 };

	for (size_t in = 0; in <= SLOTS; in++) {
		for (size_t i = 0; i < SLOTS; i++)
			slots_of[i] = table.empty;
		for (size_t i = 0; i < KEYS; i++)
			keys[i] = check_random(&state) | 8;
		keys[KEYS / 2] = table.empty;
		CHECK_EQ(kernel_hash_insert_u64(&table, keys, in), MEMORY_ERROR_NONE);
		for (size_t n = 0; n <= KEYS; n += n < 9 ? 1 : 29) {
			memset(near, 1, sizeof(near));
			memset(far, 1, sizeof(far));
			CHECK_EQ(kernel_hash_probe_u64(&table, keys, n, near), MEMORY_ERROR_NONE);
			CHECK_EQ(FAR(kernel_hash_probe_u64)(&table, keys, n, far), MEMORY_ERROR_NONE);
			CHECK_MSG(memcmp(near, far, sizeof(near)) == 0, "%zu of %d taken, %zu keys", in, SLOTS, n);
			for (size_t i = 0; i < n && i < in && i != KEYS / 2; i++)
				CHECK_EQ(slots_of[near[i]], keys[i]);
		}
		CHECK_EQ(kernel_hash_probe_u64(&table, keys, KEYS, near), MEMORY_ERROR_NONE);
		CHECK_EQ(near[KEYS / 2], SIZE_MAX);
		CHECK_EQ(near[KEYS - 1], SIZE_MAX);
	}
	ERROR(kernel_hash_probe_u64(&table, keys, 3, (size_t *)keys + 2), MEMORY_ERROR_INVALID_ARGUMENT, "slot overlaps keys");
	ERROR(kernel_hash_probe_u64(&table, slots_of + SLOTS - 1, 1, near), MEMORY_ERROR_INVALID_ARGUMENT, "keys overlaps");
	ERROR(kernel_hash_probe_u64(&table, keys, 1, (size_t *)slots_of), MEMORY_ERROR_INVALID_ARGUMENT, "slot overlaps table");
	table.slots = 12;
	ERROR(kernel_hash_probe_u64(&table, keys, 1, near), MEMORY_ERROR_INVALID_ARGUMENT, "slots is 12");
}

/* A constant of 0 leaves nothing out: 0 times infinity is no number, whatever the program's flags. */
static void nothing_is_left_out(void)
{
	static const double weights[7] = { 1, 0.5, 0.25, 0, 0, 0.125, 0.5 };
	double *to = (double *)(void *)mine[0], *x = (double *)(void *)mine[1], *far = (double *)(void *)theirs[0];
	const uint64_t infinity = UINT64_C(0x7ff) << 52;

	make(5, false);
	memcpy(&x[61], &infinity, sizeof(infinity));
	kernel_scale_f64(to, x, 0.0, 125);
	FAR(kernel_scale_f64)(far, x, 0.0, 125);
	CHECK_MSG(memcmp(to, far, 125 * sizeof(*to)) == 0, "scale by 0");
	kernel_triad_f64(to, x + 125, x, 0.0, 125);
	FAR(kernel_triad_f64)(far, x + 125, x, 0.0, 125);
	CHECK_MSG(memcmp(to, far, 125 * sizeof(*to)) == 0, "triad of 0");
	kernel_stencil7_f64(to, x, 5, 5, 5, weights);
	FAR(kernel_stencil7_f64)(far, x, 5, 5, 5, weights);
	CHECK_MSG(memcmp(to, far, 125 * sizeof(*to)) == 0, "stencil in two dimensions");
}

#define SPARSE(V, v, I, i)                                                                                             \
	static void sparse_##v##_##i(void)                                                                             \
	{                                                                                                              \
		enum { ROWS = 24, WIDE = 19, ENTRIES = ROWS * WIDE };                                                  \
		static V entry[ENTRIES], x[ENTRIES], near[ROWS + 1], far[ROWS + 1];                                    \
		static I column[ENTRIES], start[ROWS + 1];                                                             \
		uint64_t state = 3;                                                                                    \
                                                                                                                       \
		for (size_t k = 0; k < ENTRIES; k++) {                                                                 \
			entry[k] = (V)((double)(check_random(&state) >> 11) * 0x1p-53 - 0.5);                          \
			x[k] = (V)((double)(check_random(&state) >> 11) * 0x1p-53 - 0.5);                              \
			column[k] = (I)(check_random(&state) % ENTRIES);                                               \
		}                                                                                                      \
		for (size_t wide = 0; wide <= WIDE; wide++)                                                            \
			for (size_t rows = 0; rows <= ROWS; rows += rows < 4 ? 1 : 5) {                                \
				for (size_t r = 0; r <= rows; r++) /* some of them empty */                            \
					start[r] = (I)(2 + (r - r % 3) * wide / 3);                                    \
				memset(near, 1, sizeof(near));                                                         \
				memset(far, 1, sizeof(far));                                                           \
				CHECK_EQ(kernel_csr_##v##_##i(near, rows, start, column, entry, x), MEMORY_ERROR_NONE); \
				CHECK_EQ(FAR(kernel_csr_##v##_##i)(far, rows, start, column, entry, x),                \
					 MEMORY_ERROR_NONE);                                                           \
				CHECK_MSG(memcmp(near, far, sizeof(near)) == 0, #v " " #i ": %zu rows of %zu", rows,   \
					  wide);                                                                       \
			}                                                                                              \
		start[0] = 4;                                                                                          \
		start[1] = 2;                                                                                          \
		ERROR(kernel_csr_##v##_##i(near, 1, start, column, entry, x), MEMORY_ERROR_INVALID_ARGUMENT,           \
		      "start goes from 4 to 2");                                                                       \
		start[1] = 6;                                                                                          \
		ERROR(kernel_csr_##v##_##i(entry + 4, 1, start, column, entry, x), MEMORY_ERROR_INVALID_ARGUMENT,      \
		      "y overlaps entry");                                                                             \
		ERROR(kernel_csr_##v##_##i(x, 1, start, column, entry, x), MEMORY_ERROR_INVALID_ARGUMENT,              \
		      "y overlaps x");                                                                                 \
	}
SPARSE(double, f64, int32_t, i32)
SPARSE(double, f64, int64_t, i64)
SPARSE(float, f32, int32_t, i32)
SPARSE(float, f32, int64_t, i64)

static void nothing_is_refused_silently(void)
{
	static const double weights[7] = { 1 };

	double *a = (double *)(void *)mine[0], *none = NULL;
	double *const fields[3] = { a, NULL, a + 64 };

	ERROR(kernel_triad_f64(a, a + 1, a + 100, 2, 40), MEMORY_ERROR_INVALID_ARGUMENT, "kernel_triad_f64", "overlaps a");
	ERROR(kernel_copy_f64(none, a, 10), MEMORY_ERROR_INVALID_ARGUMENT, "dst is NULL");
	ERROR(kernel_fill_f64(none, 1, 10), MEMORY_ERROR_INVALID_ARGUMENT, "dst is NULL");
	ERROR(kernel_add_f64(a, a + 100, none, 10), MEMORY_ERROR_INVALID_ARGUMENT, "b is NULL");
	ERROR(kernel_scale_f64(a, a + 100, 1, SIZE_MAX), MEMORY_ERROR_INVALID_ARGUMENT, "no address space");
	ERROR(kernel_aos_to_soa_f64(fields, a + 200, 3, 10), MEMORY_ERROR_INVALID_ARGUMENT, "soa[1] is NULL");
	ERROR(kernel_soa_to_aos_f64(a, (const double *const *)fields, 3, 10), MEMORY_ERROR_INVALID_ARGUMENT, "soa[0] overlaps aos");
	ERROR(kernel_stencil7_f64(a, a + 30, 4, 4, 4, weights), MEMORY_ERROR_INVALID_ARGUMENT, "dst overlaps src");
	ERROR(kernel_stencil7_f64(a, none, 4, 4, 4, weights), MEMORY_ERROR_INVALID_ARGUMENT, "src is NULL");
	ERROR(kernel_stencil7_f64(a, a + 64, 4, 4, 4, none), MEMORY_ERROR_INVALID_ARGUMENT, "weights is NULL");
	GOOD(kernel_copy_f64(none, none, 0));
}

int main(void)
{
	small_calls_are_the_library_s();
	small_stencils_are_the_library_s();
	small_probes_are_the_library_s();
	nothing_is_left_out();
	sparse_f64_i32();
	sparse_f64_i64();
	sparse_f32_i32();
	sparse_f32_i64();
	nothing_is_refused_silently();
	return check_result();
}
