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
typedef void plain_element(double *element);
void plain_process(double *data, size_t n);
void plain_process_documented(double *data, size_t n);

#endif
