/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels as a program calls them: results, what is refused, and that every way to run them gives the same bits. */
#include "api.h"

enum { N = 100003 };

static double *array(size_t n, uint64_t seed)
{
	double *a = allocate_memory(n * sizeof(*a));

	REQUIRE(a != NULL);
	for (size_t i = 0; i < n; i++)
		a[i] = (double)(check_random(&seed) >> 11) * 0x1p-53 - 0.5;
	return a;
}

static void loops_do_what_is_written(void)
{
	double *a = array(N, 1), *b = array(N, 2), *dst = array(N, 3);
	float *f = (float *)array(N, 4), *g = (float *)array(N, 5);
	size_t wrong = 0;

	for (size_t i = 0; i < N; i++)
		f[i] = (float)i;
	GOOD(kernel_triad(dst, a, b, 3.0, N));
	for (size_t i = 0; i < N; i++) {
		volatile double product = 3.0 * b[i];

		wrong += dst[i] != a[i] + product;
	}
	GOOD(kernel_copy(dst, a, N));
	wrong += memcmp(dst, a, N * sizeof(*a)) != 0;
	GOOD(kernel_scale(dst, dst, 2.0, N)); /* in place */
	GOOD(kernel_add(dst, dst, dst, N));
	for (size_t i = 0; i < N; i++)
		wrong += dst[i] != 4 * a[i];
	GOOD(kernel_fill(dst, -0.0, N));
	for (size_t i = 0; i < N; i++)
		wrong += dst[i] != 0 || !signbit(dst[i]);
	GOOD(kernel_triad(g, f, f, 1.0f, N));
	for (size_t i = 0; i < N; i++)
		wrong += g[i] != 2 * f[i];
	CHECK_EQ(wrong, 0);
	CHECK(kernel_sum(f, N) == (double)N * (N - 1) / 2);
	CHECK(kernel_dot_f32(f, f, 4) == 14);
	CHECK(kernel_sum_f64(NULL, 0) == 0);
	release_memory(a);
	release_memory(b);
	release_memory(dst);
	release_memory(f);
	release_memory(g);
}

static void wrong_arguments_are_named(void)
{
	double *a = array(1000, 1), *b = array(1000, 2), weights[7] = { 0 };
	double *fields[2] = { b, b + 400 };
	double first = a[10];

	ERROR(kernel_copy_f64(a + 1, a, 500), MEMORY_ERROR_INVALID_ARGUMENT, "kernel_copy_f64", "overlaps src");
	ERROR(kernel_copy_f64(a, a + 499, 500), MEMORY_ERROR_INVALID_ARGUMENT, "overlaps src");
	ERROR(kernel_copy_f64((double *)hide((char *)a + 1), a, 1), MEMORY_ERROR_INVALID_ARGUMENT, "overlaps");
	ERROR(kernel_triad_f64(a, b, a + 3, 1, 500), MEMORY_ERROR_INVALID_ARGUMENT, "kernel_triad_f64", "overlaps b");
	ERROR(kernel_add_f64(a, NULL, b, 5), MEMORY_ERROR_INVALID_ARGUMENT, "a is NULL");
	ERROR(kernel_add_f64(a, b, NULL, 5), MEMORY_ERROR_INVALID_ARGUMENT, "b is NULL");
	ERROR(kernel_scale_f64(NULL, b, 1, 5), MEMORY_ERROR_INVALID_ARGUMENT, "dst is NULL");
	ERROR(kernel_fill_f64(NULL, 1, 5), MEMORY_ERROR_INVALID_ARGUMENT, "kernel_fill_f64", "dst is NULL");
	ERROR(kernel_fill_f64(a, 1, SIZE_MAX / 8), MEMORY_ERROR_INVALID_ARGUMENT, "no address space");
	ERROR(kernel_copy_f32((float *)a, (float *)b, SIZE_MAX), MEMORY_ERROR_INVALID_ARGUMENT, "no address space");
	ERROR(kernel_stencil7_f64(a, a + 999, 10, 10, 10, weights), MEMORY_ERROR_INVALID_ARGUMENT, "overlaps src");
	ERROR(kernel_stencil7_f64(a, b, 10, 10, 10, NULL), MEMORY_ERROR_INVALID_ARGUMENT, "weights is NULL");
	ERROR(kernel_stencil7_f64(a, b, SIZE_MAX, 3, 3, weights), MEMORY_ERROR_INVALID_ARGUMENT, "no address space");
	ERROR(kernel_aos_to_soa_f64(fields, a, 0, 1), MEMORY_ERROR_INVALID_ARGUMENT, "fields is 0", "64");
	ERROR(kernel_aos_to_soa_f64(fields, a, 65, 1), MEMORY_ERROR_INVALID_ARGUMENT, "fields is 65");
	ERROR(kernel_aos_to_soa_f64(fields, a, 2, 401), MEMORY_ERROR_INVALID_ARGUMENT, "soa[0] overlaps soa[1]");
	ERROR(kernel_aos_to_soa_f64(fields, b + 799, 2, 400), MEMORY_ERROR_INVALID_ARGUMENT, "soa[1] overlaps aos");
	ERROR(kernel_soa_to_aos_f64(b, (const double *const *)fields, 2, 10), MEMORY_ERROR_INVALID_ARGUMENT, "soa[0] overlaps aos");
	fields[1] = NULL;
	ERROR(kernel_soa_to_aos_f64(a, (const double *const *)fields, 2, 10), MEMORY_ERROR_INVALID_ARGUMENT, "soa[1] is NULL");
	CHECK(a[10] == first);
	CHECK(isnan(kernel_sum_f64(NULL, 1)));
	ERROR(last_memory_error(), MEMORY_ERROR_INVALID_ARGUMENT, "kernel_sum_f64", "a is NULL");
	CHECK(isnan(kernel_dot_f64(a, NULL, 1)));
	ERROR(last_memory_error(), MEMORY_ERROR_INVALID_ARGUMENT, "b is NULL");

	/* No elements: no array is looked at. */
	GOOD(kernel_copy_f64(NULL, NULL, 0));
	GOOD(kernel_triad_f64(a, a + 1, NULL, 1, 0));
	GOOD(kernel_aos_to_soa_f64(NULL, NULL, 3, 0));
	GOOD(kernel_stencil7_f64(NULL, NULL, 0, 10, 10, NULL));
	GOOD(kernel_copy_f64(a, a, 1000));
	GOOD(kernel_copy_f64(a, a + 500, 500));
	release_memory(a);
	release_memory(b);
}

/* Rows of 4 to 7 entries; small ones are the program's, others the library's. */
static memory_error_t sparse(double *y, const double *entry, const double *x, size_t n)
{
	static const int32_t at[] = { 0, 4, 9, 15 };
	size_t rows = n / 6;
	int32_t *start = allocate_memory((rows + 1) * sizeof(*start)), *column = allocate_memory(n * sizeof(*column));
	memory_error_t error;

	REQUIRE(start && column);
	for (size_t r = 0; r <= rows; r++)
		start[r] = (int32_t)(22 * (r / 4)) + at[r % 4];
	for (size_t k = 0; k < n; k++)
		column[k] = (int32_t)(k * 7919 % n);
	error = kernel_csr_f64_i32(y, rows, start, column, entry, x);
	release_memory(start);
	release_memory(column);
	return error;
}

/* Everything over sizes around the threshold, folded into one number. */
static int digest(void)
{
	static const size_t sizes[] = { 1, 31, 4000, N };
	static const double weights[7] = { 0.4, 0.1, 0.11, 0.12, 0.13, 0.14, 0.15 };
	uint64_t hash = 0;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size_t n = sizes[s];
		double *a = array(n, 1), *b = array(n, 2), *dst = array(n, 3), sums[2];
		double *soa[3] = { dst, dst + n / 3, dst + n / 3 * 2 };

		for (int step = 0; step < 6; step++) {
			GOOD(step == 0	 ? kernel_triad(dst, a, b, 1.1, n)
			     : step == 1 ? kernel_scale(dst, a, 1.1, n)
			     : step == 2 ? kernel_stencil7_f64(dst, a, n / 16, 4, 4, weights)
			     : step == 3 ? kernel_aos_to_soa_f64(soa, a, 3, n / 3)
			     : step == 4 ? kernel_soa_to_aos_f64(b, (const double *const *)soa, 3, n / 3)
					 : sparse(dst, a, b, n));
			sums[0] = kernel_sum(step == 4 ? b : dst, n);
			sums[1] = kernel_dot(a, b, n);
			for (size_t i = 0; i < n + 2; i++) {
				uint64_t bits;

				memcpy(&bits, i < n ? &dst[i] : &sums[i - n], sizeof(bits));
				hash = (hash ^ bits) * UINT64_C(0x9e3779b97f4a7c15);
			}
		}
		release_memory(a);
		release_memory(b);
		release_memory(dst);
	}
	printf("%s %016llx\n", kernel_variant(), (unsigned long long)hash);
	return check_result();
}

static void digest_with(const char *variant, const char *stream, char *out, size_t capacity)
{
	char command[4200], self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	FILE *pipe;

	REQUIRE(n > 0);
	self[n] = '\0';
	snprintf(command, sizeof(command), "NUMARENA_KERNELS=%s NUMARENA_KERNEL_STREAM=%s NUMARENA_VERBOSE=0 '%s' digest", variant,
		 stream, self);
	pipe = popen(command, "r");
	REQUIRE(pipe && fgets(out, (int)capacity, pipe));
	CHECK_EQ(pclose(pipe), 0);
}

/* A variant that the processor has not runs as its best, and says so: the digest must agree all the same. */
static void every_variant_gives_the_same_bits(void)
{
	static const char *const variants[] = { "portable", "avx2", "avx512", "sve", "auto" };
	static const char *const streams[] = { "1", "1T" };
	char first[80] = "", line[80];

	for (size_t v = 0; v < sizeof(variants) / sizeof(variants[0]); v++)
		for (size_t s = 0; s < sizeof(streams) / sizeof(streams[0]); s++) {
			digest_with(variants[v], streams[s], line, sizeof(line));
			REQUIRE(strchr(line, ' '));
			if (!*first)
				snprintf(first, sizeof(first), "%s", strchr(line, ' '));
			CHECK_MSG(strcmp(strchr(line, ' '), first) == 0, "%s, stream %s: %s", variants[v], streams[s], line);
			if (v == 0)
				CHECK_MSG(strncmp(line, "portable ", 9) == 0, "asked for portable, ran %s", line);
		}
}

static void a_variant_that_is_none_is_refused(void)
{
	static const char *const settings[] = { "NUMARENA_KERNELS=sse9", NULL };
	struct child c;

	api_again("digest", settings, &c);
	CHECK_MSG(c.status != 0, "went on with NUMARENA_KERNELS=sse9");
	CHECK_MSG(strstr(c.text, "portable, avx2, avx512 or sve") != NULL, "says %s", c.text);
}

int main(int argc, char **argv)
{
	check_watchdog(120);
	if (argc > 1 && strcmp(argv[1], "digest") == 0)
		return digest();
	RUN(loops_do_what_is_written);
	RUN(wrong_arguments_are_named);
	if (!api_brief())
		RUN(every_variant_gives_the_same_bits);
	RUN(a_variant_that_is_none_is_refused);
	return check_result();
}
