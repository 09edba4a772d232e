/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels_plain_indexed.h"

#include <math.h>
#include <numarena/indexed.h>

double plain_work(const double *x, const int32_t *index, size_t n)
{
	double sum = 0;

	for (size_t k = 0; k < n; k++)
		sum += exp(-sqrt(x[index[k]]));
	return sum;
}

double ahead_work(const double *x, const int32_t *index, size_t n)
{
	double sum = 0;

	for_each_prefetched (k, n, &x[index[k]])
		sum += exp(-sqrt(x[index[k]]));
	return sum;
}

static inline void pair(const double *x, size_t i, size_t j, double f[3], double *energy)
{
	double r[3] = { x[3 * i] - x[3 * j], x[3 * i + 1] - x[3 * j + 1], x[3 * i + 2] - x[3 * j + 2] };
	double r2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2], inverse, r6, strength;

	if (r2 >= 0.5) /* about six in ten of what is within a unit box */
		return;
	inverse = 1 / (r2 + 0.01);
	r6 = inverse * inverse * inverse;
	strength = 48 * r6 * (r6 - 0.5) * inverse;
	for (int c = 0; c < 3; c++)
		f[c] += strength * r[c];
	*energy += 4 * r6 * (r6 - 1);
}

double plain_force(const double *x, const int32_t *start, const int32_t *list, size_t count, double *f)
{
	double energy = 0;

	for (size_t i = 0; i < count; i++) {
		double sum[3] = { 0 };

		for (int32_t k = start[i]; k < start[i + 1]; k++)
			pair(x, i, (size_t)list[k], sum, &energy);
		for (int c = 0; c < 3; c++)
			f[3 * i + (size_t)c] = sum[c];
	}
	return energy;
}

double ahead_force(const double *x, const int32_t *start, const int32_t *list, size_t count, double *f)
{
	double energy = 0;

	with_prefetched_rows (rows, k, start[0], start[count], (const double(*)[3]) & x[3 * list[k]])
		for (size_t i = 0; i < count; i++) {
			double sum[3] = { 0 };

			for_each_in_row (rows, k, start[i], start[i + 1], (const double(*)[3]) & x[3 * list[k]])
				pair(x, i, (size_t)list[k], sum, &energy);
			for (int c = 0; c < 3; c++)
				f[3 * i + (size_t)c] = sum[c];
		}
	return energy;
}

void plain_gather(double *to, const double *from, const int32_t *index, size_t n)
{
	for (size_t k = 0; k < n; k++)
		to[k] = from[index[k]];
}

void ahead_gather(double *to, const double *from, const int32_t *index, size_t n)
{
	for_each_prefetched (k, n, &from[index[k]])
		to[k] = from[index[k]];
}

void plain_gather_f32(float *to, const float *from, const int64_t *index, size_t n)
{
	for (size_t k = 0; k < n; k++)
		to[k] = from[index[k]];
}

void plain_scatter(double *to, const int32_t *index, const double *from, size_t n)
{
	for (size_t k = 0; k < n; k++)
		to[index[k]] = from[k];
}

void plain_scatter_add(double *to, const int32_t *index, const double *from, size_t n)
{
	for (size_t k = 0; k < n; k++)
		to[index[k]] += from[k];
}

void plain_histogram(size_t *counts, size_t bins, const double *value, size_t n)
{
	double scale = (double)bins;

	for (size_t k = 0; k < n; k++)
		if (value[k] >= 0 && value[k] < 1) {
			size_t bin = (size_t)(value[k] * scale);

			counts[bin < bins ? bin : bins - 1]++;
		}
}

void plain_csr(double *y, size_t rows, const int32_t *start, const int32_t *column, const double *entry,
	       const double *x)
{
	for (size_t r = 0; r < rows; r++) {
		double sum = 0;

		for (int32_t k = start[r]; k < start[r + 1]; k++)
			sum += entry[k] * x[column[k]];
		y[r] = sum;
	}
}

double plain_lists(struct node **heads, size_t lists)
{
	double sum = 0;

	for (size_t i = 0; i < lists; i++)
		for (struct node *at = heads[i]; at; at = at->next)
			sum += at->value;
	return sum;
}

/* What the machine can do with so many lists at once: their length is known, places do not change, nothing is called, nothing ends. */
#define CHAINS(m)                                                                                                      \
	double chains_##m(struct node **heads, size_t lists, size_t length)                                            \
	{                                                                                                              \
		double sum = 0;                                                                                        \
		size_t i = 0;                                                                                          \
                                                                                                                       \
		for (; i + (m) <= lists; i += (m)) {                                                                   \
			struct node *at[m];                                                                            \
                                                                                                                       \
			for (int k = 0; k < (m); k++)                                                                  \
				at[k] = heads[i + (size_t)k];                                                          \
			for (size_t step = 0; step < length; step++) {                                                 \
				_Pragma("GCC unroll 32")                                                               \
				for (int k = 0; k < (m); k++) {                                                        \
					sum += at[k]->value;                                                           \
					at[k] = at[k]->next;                                                           \
				}                                                                                      \
			}                                                                                              \
		}                                                                                                      \
		return sum + plain_lists(heads + i, lists - i);                                                        \
	}
CHAINS(8)
CHAINS(16)
CHAINS(32)

/* And with as many misses as it follows: all addresses known, `ahead` of them fetched. */
double known_nodes(const struct node *nodes, const uint32_t *order, size_t n, size_t ahead)
{
	double sum = 0;

	for (size_t k = 0; k < n; k++) {
		if (ahead)
			__builtin_prefetch(&nodes[order[k + ahead < n ? k + ahead : k]]);
		sum += nodes[order[k]].value;
	}
	return sum;
}

static inline void *step(void *node, size_t list, void *sum)
{
	struct node *at = node;

	(void)list;
	*(double *)sum += at->value;
	return at->next;
}

double ahead_lists(struct node **heads, size_t lists, size_t at_once)
{
	double sum = 0;

	walk_paths((void *const *)heads, lists, at_once, step, &sum);
	return sum;
}

double plain_list(struct node *head)
{
	double sum = 0;

	for (; head; head = head->next)
		sum += head->value;
	return sum;
}

static inline void visit(void *node, void *sum)
{
	*(double *)sum += ((struct node *)node)->value;
}

double ahead_list(struct node *head)
{
	double sum = 0;

	walk_jumps(head, offsetof(struct node, next), offsetof(struct node, jump), visit, &sum);
	return sum;
}

void plain_probe(const uint64_t *table, size_t slots, const uint64_t *keys, size_t n, size_t *slot)
{
	for (size_t k = 0; k < n; k++) {
		uint64_t mixed = (keys[k] ^ keys[k] >> 32) * 0x9e3779b97f4a7c15u;
		size_t at = (size_t)(mixed ^ mixed >> 32) & (slots - 1);

		while (table[at] != keys[k] && table[at])
			at = (at + 1) & (slots - 1);
		slot[k] = table[at] ? at : SIZE_MAX;
	}
}

void ours_probe(const kernel_hash_t *table, const uint64_t *keys, size_t n, size_t *slot)
{
	kernel_hash_probe_u64(table, keys, n, slot);
}

void ours_csr(double *y, size_t rows, const int32_t *start, const int32_t *column, const double *entry, const double *x)
{
	kernel_csr_f64_i32(y, rows, start, column, entry, x);
}
