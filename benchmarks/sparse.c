/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sparse-matrix assembly: the elements of an irregular mesh scatter into rows that grow as entries arrive (4, 8, 12, ... entries), in
 * an order that jumps through the matrix; then the rows are compressed into three large arrays (CSR), multiplied with, and everything
 * is freed before the next time step. Many small blocks that grow, and few large ones, at the same time.
 */
#include "bench.h"

#include <string.h>

struct row {
	int *columns;
	double *values;
	int length, capacity;
};

struct csr {
	size_t *starts;
	int *columns;
	double *values;
};

static void *must(void *block)
{
	if (!block)
		bench_fail("out of memory");
	return block;
}

static void add(struct bench_thread *me, struct row *row, int column, double value)
{
	int i = 0;

	while (i < row->length && row->columns[i] < column)
		i++;
	if (i < row->length && row->columns[i] == column) {
		row->values[i] += value;
		return;
	}
	if (row->length == row->capacity) {
		row->capacity += 4;
		row->columns = must(realloc(row->columns, (size_t)row->capacity * sizeof(*row->columns)));
		row->values = must(realloc(row->values, (size_t)row->capacity * sizeof(*row->values)));
		me->operations += 2;
	}
	memmove(row->columns + i + 1, row->columns + i, (size_t)(row->length - i) * sizeof(*row->columns));
	memmove(row->values + i + 1, row->values + i, (size_t)(row->length - i) * sizeof(*row->values));
	row->columns[i] = column;
	row->values[i] = value;
	row->length++;
}

/* Bilinear elements on a side x side mesh; an odd stride visits them all, far apart from one to the next. */
static void assemble(struct bench_thread *me, struct row *rows, int side, unsigned int stride)
{
	unsigned int elements = (unsigned int)(side - 1) * (unsigned int)(side - 1), e, visit;
	int corner[4], i, j;

	for (visit = 0; visit < elements; visit++) {
		e = (unsigned int)((uint64_t)visit * stride % elements);
		corner[0] = (int)(e / (unsigned int)(side - 1)) * side + (int)(e % (unsigned int)(side - 1));
		corner[1] = corner[0] + 1;
		corner[2] = corner[0] + side;
		corner[3] = corner[2] + 1;
		for (i = 0; i < 4; i++)
			for (j = 0; j < 4; j++)
				add(me, &rows[corner[i]], corner[j], i == j ? 3.0 : -1.0);
	}
}

static struct csr compress(struct bench_thread *me, struct row *rows, size_t count)
{
	struct csr csr = { .starts = must(malloc((count + 1) * sizeof(*csr.starts))) };
	size_t i, entries = 0;

	for (i = 0; i < count; i++)
		entries += (size_t)rows[i].length;
	csr.columns = must(malloc(entries * sizeof(*csr.columns)));
	csr.values = must(malloc(entries * sizeof(*csr.values)));
	me->operations += 3;
	for (csr.starts[0] = i = 0; i < count; i++) {
		memcpy(csr.columns + csr.starts[i], rows[i].columns, (size_t)rows[i].length * sizeof(*csr.columns));
		memcpy(csr.values + csr.starts[i], rows[i].values, (size_t)rows[i].length * sizeof(*csr.values));
		csr.starts[i + 1] = csr.starts[i] + (size_t)rows[i].length;
		free(rows[i].columns);
		free(rows[i].values);
	}
	return csr;
}

/* The matrix times a vector of ones is zero in every row, exactly: whole numbers. */
static void multiply(struct bench_thread *me, const struct csr *csr, size_t count)
{
	double *x = must(malloc(count * sizeof(*x))), *y = must(malloc(count * sizeof(*y)));
	size_t i, k;

	me->operations += 2;
	for (i = 0; i < count; i++)
		x[i] = 1.0;
	for (i = 0; i < count; i++)
		for (y[i] = 0, k = csr->starts[i]; k < csr->starts[i + 1]; k++)
			y[i] += csr->values[k] * x[csr->columns[k]];
	for (i = 0; i < count; i++)
		me->errors += y[i] != 0.0;
	free(x);
	free(y);
}

static void work(struct bench_thread *me)
{
	int side = bench.scale < 0.02 ? 60 : 220, step;
	int steps = (int)bench_scaled(24, 2);
	size_t count = (size_t)side * (size_t)side;

	for (step = 0; step < steps; step++) {
		struct row *rows = must(calloc(count, sizeof(*rows)));
		struct csr csr;

		me->operations++;
		/* 104729 is a prime above the square's roots: coprime to (side - 1)^2. */
		assemble(me, rows, side, 104729);
		csr = compress(me, rows, count);
		free(rows);
		multiply(me, &csr, count);
		me->checksum += csr.starts[count];
		free(csr.starts);
		free(csr.columns);
		free(csr.values);
	}
}

static const struct bench_pattern pattern = {
	.name = "sparse",
	.about = "Assembly of a sparse matrix row by row, and its compression into CSR, in every time step.",
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
