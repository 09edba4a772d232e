/* SPDX-License-Identifier: BSD-3-Clause */
/* Dense loops as a user would write them. */
#include <numarena/cache.h>

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

/* The documentation's processing loop, without its prefetch and as it stands: with a function of another file, as on the page; one with a few
 * dependent operations and a branch, inlined; and one that compilers make vector code of, which a prefetch keeps them from. */
static inline void process_branching(double *element)
{
	double v = *element;

	for (int k = 0; k < 4; k++)
		v = v * v * 0.5 + 0.25;
	*element = v > 0.9 ? v - 0.5 : v + 0.01;
}

static inline void process_linear(double *element)
{
	*element = *element * 0.999 + 0.001;
}

#define PROCESS(name, process_element)                                                                                 \
	void plain_process_##name(double *data, size_t size)                                                           \
	{                                                                                                              \
		data = align_to_cache_line(data);                                                                      \
		for (size_t i = 0; i < size; i++)                                                                      \
			process_element(&data[i]);                                                                     \
	}                                                                                                              \
                                                                                                                       \
	void documented_process_##name(double *data, size_t size)                                                      \
	{                                                                                                              \
		data = align_to_cache_line(data);                                                                      \
		for (size_t i = 0; i < size; i++) {                                                                    \
			prefetch_next_block(&data[i + PREFETCH_DISTANCE]);                                             \
			process_element(&data[i]);                                                                     \
		}                                                                                                      \
	}

PROCESS(elsewhere, process_elsewhere)
PROCESS(branching, process_branching)
PROCESS(linear, process_linear)
