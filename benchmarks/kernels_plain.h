/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops of benchmarks/kernels that are not ours, compiled with -O3 -march=native: what a user would write, rivals, and those that
 * the machine's peak is measured with. */
#ifndef BENCH_KERNELS_PLAIN_H
#define BENCH_KERNELS_PLAIN_H

#include <stddef.h>

/* kernels_plain_peak.c: b and c are only read; what a loop does not need it leaves alone. */
void peak_read(double *a, const double *b, const double *c, size_t n);
void peak_fill(double *a, const double *b, const double *c, size_t n);
void peak_copy(double *a, const double *b, const double *c, size_t n);
void peak_triad(double *a, const double *b, const double *c, size_t n);
double peak_operations(double *a); /* how many it did; 64 doubles */

/* kernels_plain_dense.c */
void plain_copy(double *restrict dst, const double *restrict src, size_t n);
void plain_fill(double *dst, double value, size_t n);
void plain_scale(double *restrict dst, const double *restrict src, double s, size_t n);
void plain_add(double *restrict dst, const double *restrict a, const double *restrict b, size_t n);
void plain_triad(double *restrict dst, const double *restrict a, const double *restrict b, double s, size_t n);
void plain_triad_f32(float *restrict dst, const float *restrict a, const float *restrict b, float s, size_t n);
void ours_copy(double *dst, const double *src, size_t n);
void ours_fill(double *dst, double value, size_t n);
void ours_scale(double *dst, const double *src, double s, size_t n);
void ours_add(double *dst, const double *a, const double *b, size_t n);
void ours_triad(double *dst, const double *a, const double *b, double s, size_t n);
void ours_triad_f32(float *dst, const float *a, const float *b, float s, size_t n);
double plain_sum(const double *a, size_t n);
double plain_sum_f32(const float *a, size_t n);
double plain_dot(const double *a, const double *b, size_t n);
void plain_stencil7(double *restrict dst, const double *restrict src, size_t nx, size_t ny, size_t nz, const double *w);
void ours_stencil7(double *dst, const double *src, size_t nx, size_t ny, size_t nz, const double *w);

struct plain_record3 {
	double f[3];
};
struct plain_record7 {
	double f[7];
};
void plain_split3(double *const *soa, const struct plain_record3 *aos, size_t n);
void plain_split7(double *const *soa, const struct plain_record7 *aos, size_t n);
void plain_join7(struct plain_record7 *aos, double *const *soa, size_t n);
void ours_split3(double *const *soa, const struct plain_record3 *aos, size_t n);
void ours_split7(double *const *soa, const struct plain_record7 *aos, size_t n);
void ours_join7(struct plain_record7 *aos, double *const *soa, size_t n);

/* STREAM's triad: its arrays are static, so the compiler knows their places and length; with streaming stores; with prefetches as well. */
void stream_triad(double *a, const double *b, const double *c, double s, size_t n);
void stream_triad_streaming(double *a, const double *b, const double *c, double s, size_t n);
void stream_triad_prefetching(double *a, const double *b, const double *c, double s, size_t n);

/* kernels_plain_process.c */
void process_elsewhere(double *element); /* in kernels_dense.c */
void process_longer(double *element);
void plain_process_elsewhere(double *data, size_t n);
void documented_process_elsewhere(double *data, size_t n);
void plain_process_longer(double *data, size_t n);
void documented_process_longer(double *data, size_t n);
void plain_process_branching(double *data, size_t n);
void documented_process_branching(double *data, size_t n);
void plain_process_exp(double *data, size_t n);
void documented_process_exp(double *data, size_t n);
void plain_process_linear(double *data, size_t n);
void documented_process_linear(double *data, size_t n);

#endif
