/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Vectors of doubles that grow by realloc: time series, particle arrays, buffers of unknown length. 256 vectors grow
 * side by side, by half whenever they are full, to between 8 doubles and a million; most stay short. What
 * counts is whether realloc grows in place, moves pages or copies, and what becomes of the sizes left behind.
 */
#include "bench.h"

enum { VECTORS = 256 };

struct vector {
	double *values;
	size_t length, capacity, wanted;
};

static void push(struct bench_thread *me, struct vector *vector, double value)
{
	if (vector->length == vector->capacity) {
		size_t capacity = vector->capacity ? vector->capacity + vector->capacity / 2 : 8;
		double *values = realloc(vector->values, capacity * sizeof(*values));

		if (!values)
			bench_fail("realloc to %zu doubles failed", capacity);
		vector->values = values;
		vector->capacity = capacity;
		me->operations++;
	}
	vector->values[vector->length++] = value;
}

/* Long vectors are rare: each power of two is half as frequent as the one before. */
static size_t wanted(struct bench_thread *me, int vector)
{
	size_t most = vector == 0 ? (size_t)1 << 20 : (size_t)1 << 17;
	size_t length = (size_t)64 << __builtin_ctzll(bench_random(me) | (1 << 11));

	if (vector == 0 || length > most)
		length = most;
	return length / 2 + bench_below(me, length / 2);
}

static void check(struct bench_thread *me, const struct vector *vector)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < vector->length; i++)
		sum += vector->values[i];
	/* Whole numbers below 2^53 add exactly. */
	me->errors += sum != (double)vector->length * (double)(vector->length - 1) / 2;
	me->checksum += (uint64_t)sum;
}

static void work(struct bench_thread *me)
{
	struct vector vectors[VECTORS];
	long rounds = bench_scaled(120, 1), r;
	int v, growing;
	size_t i;

	for (r = 0; r < rounds; r++) {
		for (v = 0; v < VECTORS; v++)
			vectors[v] = (struct vector){ .wanted = wanted(me, v) };
		do {
			for (growing = v = 0; v < VECTORS; v++) {
				struct vector *vector = &vectors[v];

				for (i = 0; i < 64 + vector->length / 4 && vector->length < vector->wanted; i++)
					push(me, vector, (double)vector->length);
				growing += vector->length < vector->wanted;
			}
		} while (growing);
		for (v = 0; v < VECTORS; v++) {
			check(me, &vectors[v]);
			free(vectors[v].values);
		}
	}
}

static const struct bench_pattern pattern = {
	.name = "vectors",
	.about = "Vectors of doubles growing side by side by realloc, up to 8 MiB.",
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
