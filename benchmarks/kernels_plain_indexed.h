/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops of the indexed cases, both sides compiled alike: `plain_` is what a user has, `ahead_` the same loop by numarena/indexed.h. */
#ifndef BENCH_KERNELS_PLAIN_INDEXED_H
#define BENCH_KERNELS_PLAIN_INDEXED_H

#include <numarena/indexed.h>
#include <stddef.h>
#include <stdint.h>

struct node {
	struct node *next, *jump;
	double value;
	char rest[40];
};

double plain_work(const double *x, const int32_t *index, size_t n);
double ahead_work(const double *x, const int32_t *index, size_t n);
double plain_force(const double *x, const int32_t *start, const int32_t *list, size_t count, double *f);
double ahead_force(const double *x, const int32_t *start, const int32_t *list, size_t count, double *f);
void plain_gather(double *to, const double *from, const int32_t *index, size_t n);
void ahead_gather(double *to, const double *from, const int32_t *index, size_t n);
void plain_gather_f32(float *to, const float *from, const int64_t *index, size_t n);
void plain_scatter(double *to, const int32_t *index, const double *from, size_t n);
void plain_scatter_add(double *to, const int32_t *index, const double *from, size_t n);
void plain_histogram(size_t *counts, size_t bins, const double *value, size_t n);
void plain_csr(double *y, size_t rows, const int32_t *start, const int32_t *column, const double *entry,
	       const double *x);
double plain_lists(struct node **heads, size_t lists);
double ahead_lists(struct node **heads, size_t lists, size_t at_once);
double chains_8(struct node **heads, size_t lists, size_t length);
double chains_16(struct node **heads, size_t lists, size_t length);
double chains_32(struct node **heads, size_t lists, size_t length);
double known_nodes(const struct node *nodes, const uint32_t *order, size_t n, size_t ahead);
double plain_list(struct node *head);
double ahead_list(struct node *head);
void plain_probe(const uint64_t *table, size_t slots, const uint64_t *keys, size_t n, size_t *slot);
void ours_csr(double *y, size_t rows, const int32_t *start, const int32_t *column, const double *entry, const double *x);
void ours_probe(const kernel_hash_t *table, const uint64_t *keys, size_t n, size_t *slot);

#endif
