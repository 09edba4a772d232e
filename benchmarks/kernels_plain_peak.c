/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops that the machine's peak is measured with: streaming stores where there are such. */
#include "kernels_plain.h"

#ifdef __AVX__
#include <immintrin.h>

/* a is at the start of a cache line, and n is cut to whole ones. */
enum { STEP = 16 };

void peak_read(double *a, const double *b, const double *c, size_t n)
{
	__m256d s0 = { 0 }, s1 = s0, s2 = s0, s3 = s0;

	for (size_t i = 0; i + STEP <= n; i += STEP) {
		s0 = _mm256_add_pd(s0, _mm256_loadu_pd(a + i));
		s1 = _mm256_add_pd(s1, _mm256_loadu_pd(a + i + 4));
		s2 = _mm256_add_pd(s2, _mm256_loadu_pd(a + i + 8));
		s3 = _mm256_add_pd(s3, _mm256_loadu_pd(a + i + 12));
	}
	_mm256_storeu_pd(a, _mm256_add_pd(_mm256_add_pd(s0, s1), _mm256_add_pd(s2, s3)));
}

void peak_fill(double *a, const double *b, const double *c, size_t n)
{
	__m256d v = _mm256_set1_pd(1.5);

	for (size_t i = 0; i + STEP <= n; i += STEP)
		for (size_t k = 0; k < STEP; k += 4)
			_mm256_stream_pd(a + i + k, v);
	_mm_sfence();
}

void peak_copy(double *a, const double *b, const double *c, size_t n)
{
	for (size_t i = 0; i + STEP <= n; i += STEP) {
		_mm_prefetch((const char *)(b + i + 64), _MM_HINT_NTA);
		for (size_t k = 0; k < STEP; k += 4)
			_mm256_stream_pd(a + i + k, _mm256_loadu_pd(b + i + k));
	}
	_mm_sfence();
}

void peak_triad(double *a, const double *b, const double *c, size_t n)
{
	__m256d s = _mm256_set1_pd(3);

	for (size_t i = 0; i + STEP <= n; i += STEP)
		for (size_t k = 0; k < STEP; k += 4)
			_mm256_stream_pd(a + i + k, _mm256_add_pd(_mm256_loadu_pd(b + i + k),
								  _mm256_mul_pd(s, _mm256_loadu_pd(c + i + k))));
	_mm_sfence();
}
#else
void peak_read(double *a, const double *b, const double *c, size_t n)
{
	double s[16] = { 0 };

	for (size_t i = 0; i + 16 <= n; i += 16)
		for (size_t k = 0; k < 16; k++)
			s[k] += a[i + k];
	for (size_t k = 0; k < 16; k++)
		a[k] = s[k];
}

void peak_fill(double *a, const double *b, const double *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] = 1.5;
}

void peak_copy(double *a, const double *b, const double *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] = b[i];
}

void peak_triad(double *a, const double *b, const double *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] = b[i] + 3 * c[i];
}
#endif

/* Forty-eight independent chains of multiply-adds: twelve registers of four. */
double peak_operations(double *a)
{
	enum { CHAINS = 48, STEPS = 2000000 };
	double x[CHAINS];

	for (int k = 0; k < CHAINS; k++)
		x[k] = a[k % 64];
	for (int i = 0; i < STEPS; i++)
		for (int k = 0; k < CHAINS; k++)
			x[k] = __builtin_fma(x[k], 0.999, 0.001);
	for (int k = 0; k < CHAINS; k++)
		a[k] += x[k] * 1e-300;
	return 2.0 * CHAINS * STEPS;
}
