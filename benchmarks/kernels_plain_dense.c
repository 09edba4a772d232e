/* SPDX-License-Identifier: BSD-3-Clause */
/* Dense loops as a user would write them. */
#include <numarena/kernels.h>

#include "kernels_plain.h"

void plain_copy(double *restrict dst, const double *restrict src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = src[i];
}

void plain_fill(double *dst, double value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = value;
}

void plain_scale(double *restrict dst, const double *restrict src, double s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = s * src[i];
}

void plain_add(double *restrict dst, const double *restrict a, const double *restrict b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = a[i] + b[i];
}

void plain_triad(double *restrict dst, const double *restrict a, const double *restrict b, double s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = a[i] + s * b[i];
}

void plain_triad_f32(float *restrict dst, const float *restrict a, const float *restrict b, float s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = a[i] + s * b[i];
}

/* And ours in their place: what is small is compiled with the program's flags. */
void ours_copy(double *dst, const double *src, size_t n)
{
	kernel_copy_f64(dst, src, n);
}

void ours_fill(double *dst, double value, size_t n)
{
	kernel_fill_f64(dst, value, n);
}

void ours_scale(double *dst, const double *src, double s, size_t n)
{
	kernel_scale_f64(dst, src, s, n);
}

void ours_add(double *dst, const double *a, const double *b, size_t n)
{
	kernel_add_f64(dst, a, b, n);
}

void ours_triad(double *dst, const double *a, const double *b, double s, size_t n)
{
	kernel_triad_f64(dst, a, b, s, n);
}

void ours_triad_f32(float *dst, const float *a, const float *b, float s, size_t n)
{
	kernel_triad_f32(dst, a, b, s, n);
}

void ours_split3(double *const *soa, const struct plain_record3 *aos, size_t n)
{
	kernel_aos_to_soa_f64(soa, aos->f, 3, n);
}

void ours_split7(double *const *soa, const struct plain_record7 *aos, size_t n)
{
	kernel_aos_to_soa_f64(soa, aos->f, 7, n);
}

void ours_join7(struct plain_record7 *aos, double *const *soa, size_t n)
{
	kernel_soa_to_aos_f64(aos->f, (const double *const *)soa, 7, n);
}

void ours_stencil7(double *dst, const double *src, size_t nx, size_t ny, size_t nz, const double *w)
{
	kernel_stencil7_f64(dst, src, nx, ny, nz, w);
}

double plain_sum(const double *a, size_t n)
{
	double s = 0;

	for (size_t i = 0; i < n; i++)
		s += a[i];
	return s;
}

double plain_sum_f32(const float *a, size_t n)
{
	double s = 0;

	for (size_t i = 0; i < n; i++)
		s += a[i];
	return s;
}

double plain_dot(const double *a, const double *b, size_t n)
{
	double s = 0;

	for (size_t i = 0; i < n; i++)
		s += a[i] * b[i];
	return s;
}

void plain_stencil7(double *restrict dst, const double *restrict src, size_t nx, size_t ny, size_t nz, const double *w)
{
	for (size_t z = 1; z < nz - 1; z++)
		for (size_t y = 1; y < ny - 1; y++)
			for (size_t x = 1; x < nx - 1; x++) {
				size_t i = (z * ny + y) * nx + x;

				dst[i] = w[0] * src[i] + w[1] * src[i - 1] + w[2] * src[i + 1] + w[3] * src[i - nx] +
					 w[4] * src[i + nx] + w[5] * src[i - nx * ny] + w[6] * src[i + nx * ny];
			}
}

void plain_split3(double *const *soa, const struct plain_record3 *aos, size_t n)
{
	double *restrict a = soa[0], *restrict b = soa[1], *restrict c = soa[2];

	for (size_t i = 0; i < n; i++) {
		a[i] = aos[i].f[0];
		b[i] = aos[i].f[1];
		c[i] = aos[i].f[2];
	}
}

void plain_split7(double *const *soa, const struct plain_record7 *aos, size_t n)
{
	double *restrict a = soa[0], *restrict b = soa[1], *restrict c = soa[2], *restrict d = soa[3], *restrict e = soa[4],
	       *restrict f = soa[5], *restrict g = soa[6];

	for (size_t i = 0; i < n; i++) {
		a[i] = aos[i].f[0];
		b[i] = aos[i].f[1];
		c[i] = aos[i].f[2];
		d[i] = aos[i].f[3];
		e[i] = aos[i].f[4];
		f[i] = aos[i].f[5];
		g[i] = aos[i].f[6];
	}
}

void plain_join7(struct plain_record7 *restrict aos, double *const *soa, size_t n)
{
	const double *a = soa[0], *b = soa[1], *c = soa[2], *d = soa[3], *e = soa[4], *f = soa[5], *g = soa[6];

	for (size_t i = 0; i < n; i++)
		aos[i] = (struct plain_record7){ { a[i], b[i], c[i], d[i], e[i], f[i], g[i] } };
}

void stream_triad(double *a, const double *b, const double *c, double s, size_t n)
{
#pragma GCC ivdep
	for (size_t i = 0; i < n; i++)
		a[i] = b[i] + s * c[i];
}

#ifdef __AVX2__
#include <immintrin.h>

static inline __attribute__((always_inline)) void streaming(double *a, const double *b, const double *c, double s, size_t n,
							     size_t ahead)
{
	__m256d v = _mm256_set1_pd(s);
	size_t i = 0;

	for (; i < n && (size_t)(a + i) % 64; i++)
		a[i] = b[i] + s * c[i];
	for (; i + 8 <= n; i += 8) {
		if (ahead) {
			_mm_prefetch((const char *)(b + i + ahead), _MM_HINT_NTA);
			_mm_prefetch((const char *)(c + i + ahead), _MM_HINT_NTA);
		}
		for (int k = 0; k < 8; k += 4)
			_mm256_stream_pd(a + i + k,
					 _mm256_fmadd_pd(v, _mm256_loadu_pd(c + i + k), _mm256_loadu_pd(b + i + k)));
	}
	_mm_sfence();
	for (; i < n; i++)
		a[i] = b[i] + s * c[i];
}

void stream_triad_streaming(double *a, const double *b, const double *c, double s, size_t n)
{
	streaming(a, b, c, s, n, 0);
}

void stream_triad_prefetching(double *a, const double *b, const double *c, double s, size_t n)
{
	streaming(a, b, c, s, n, 64);
}
#else
void stream_triad_streaming(double *a, const double *b, const double *c, double s, size_t n)
{
	stream_triad(a, b, c, s, n);
}

void stream_triad_prefetching(double *a, const double *b, const double *c, double s, size_t n)
{
	stream_triad(a, b, c, s, n);
}
#endif
