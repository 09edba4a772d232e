/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For each of our particles, all others within cutoff + skin, ghosts included. Cells as wide as that reach make
 * it a look into 27 cells. Cells are of one build; the lists stay until a particle has moved by half the skin.
 *
 * With numarena the particles of a cell lie side by side: counted by kernel_histogram_i32, their positions gathered by a loop that
 * fetches ahead. Without it each is the link of a list, as is usual. Both find the same neighbours in the same order.
 */
#include <string.h>

#include "lj.h"

static int cell_of(const struct cells *c, const double *x)
{
	int at[3];

	for (int k = 0; k < 3; k++) {
		at[k] = (int)((x[k] - c->from[k]) / c->width[k]);
		if (at[k] < 0)
			at[k] = 0;
		if (at[k] >= c->n[k])
			at[k] = c->n[k] - 1;
	}
	return (at[2] * c->n[1] + at[1]) * c->n[0] + at[0];
}

static long cells_cut(struct cells *c, const struct domain *d, double reach)
{
	long number = 1;

	for (int k = 0; k < 3; k++) {
		double length = d->hi[k] - d->lo[k] + 2 * reach;

		c->n[k] = (int)(length / reach);
		c->width[k] = length / c->n[k];
		c->from[k] = d->lo[k] - reach;
		number *= c->n[k];
	}
	return number;
}

#ifdef WITHOUT_NUMARENA
void cells_fill(struct cells *c, const struct domain *d, const struct atoms *a, double reach)
{
	long total = a->count + a->ghosts, number = cells_cut(c, d, reach);

	c->head = need(malloc((size_t)number * sizeof(int)), "cells");
	c->next = need(malloc(((size_t)total + 1) * sizeof(int)), "cells");
	memset(c->head, 0xff, (size_t)number * sizeof(int)); /* -1: empty */
	for (long i = total - 1; i >= 0; i--) {
		int cell = cell_of(c, OF(a, x, (long)i));

		c->next[i] = c->head[cell];
		c->head[cell] = (int)i;
	}
}

static void cells_free(struct cells *c)
{
	free(c->head);
	free(c->next);
}
#else
void cells_fill(struct cells *c, const struct domain *d, const struct atoms *a, double reach)
{
	size_t total = (size_t)(a->count + a->ghosts), number = (size_t)cells_cut(c, d, reach);
	int *cell = need(malloc((total + 1) * sizeof(int)), "cells");

	c->first = need(calloc(number + 2, sizeof(size_t)), "cells");
	c->member = need(malloc((total + 1) * sizeof(int)), "cells");
	c->x = need(malloc((total + 1) * 3 * sizeof(double)), "cells");
	for (size_t i = 0; i < total; i++)
		cell[i] = cell_of(c, OF(a, x, (long)i));
	/* Counts two places on, summed, are where cells begin, one place on; filling them moves these to their own. */
	kernel_histogram_i32(c->first + 2, number, cell, total);
	for (size_t k = 2; k < number + 2; k++)
		c->first[k] += c->first[k - 1];
	for_each_prefetched (i, total, &c->first[cell[i] + 1])
		c->member[c->first[cell[i] + 1]++] = (int)i;
	for_each_prefetched (i, total, POSITION(a, c->member[i]))
		memcpy(c->x + 3 * i, OF(a, x, (long)c->member[i]), 3 * sizeof(double));
	free(cell);
}

static void cells_free(struct cells *c)
{
	free(c->first);
	free(c->member);
	free(c->x);
#ifdef MOVABLE
	free(c->at);
#endif
}
#endif

static void reserve(struct neighbours *n, long wanted)
{
	if (wanted <= n->capacity)
		return;
	n->capacity += n->capacity / 2 + 4096 + wanted - n->capacity;
	n->list = need(realloc(n->list, (size_t)n->capacity * sizeof(listed)), "neighbour lists");
}

static int near(const double *a, const double *b, double reach)
{
	double r[3] = { a[0] - b[0], a[1] - b[1], a[2] - b[2] };

	return r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < reach * reach;
}

/* Appends the neighbours of particle i that are in the cells from p[0] - 1 to p[0] + 1, which lie side by side; the new end. */
static long search_three(struct neighbours *n, const struct cells *c, const struct atoms *a, long i, const int p[3],
			 double reach, long at)
{
	const double *x = OF(a, x, i);
	int row = (p[2] * c->n[1] + p[1]) * c->n[0], low = p[0] > 0 ? p[0] - 1 : 0,
	    high = p[0] + 1 < c->n[0] ? p[0] + 1 : p[0];

#ifdef WITHOUT_NUMARENA
	for (int cell = row + low; cell <= row + high; cell++)
		for (int j = c->head[cell]; j >= 0; j = c->next[j])
			if (j != i && near(x, OF(a, x, (long)j), reach)) {
				reserve(n, at + 1);
				n->list[at++] = j;
			}
#else
	/* It is known how many there may be: each is written, and stays if it is near, without a branch that nobody can predict. */
	reserve(n, at + (long)(c->first[row + high + 1] - c->first[row + low]));
	for (size_t k = c->first[row + low]; k < c->first[row + high + 1]; k++) {
#ifdef MOVABLE
		n->list[at] = c->at[k];
#else
		n->list[at] = c->member[k];
#endif
		at += near(x, c->x + 3 * k, reach) & (c->member[k] != i);
	}
#endif
	return at;
}

/* Appends the neighbours of particle i from `at` on; returns the new end. */
static long search(struct neighbours *n, const struct cells *c, const struct atoms *a, long i, double reach, long at)
{
	int cell = cell_of(c, OF(a, x, (long)i)), x = cell % c->n[0], y = cell / c->n[0] % c->n[1],
	    z = cell / c->n[0] / c->n[1];

	for (int dz = -1; dz <= 1; dz++)
		for (int dy = -1; dy <= 1; dy++) {
			int p[3] = { x, y + dy, z + dz };

			if (p[1] >= 0 && p[2] >= 0 && p[1] < c->n[1] && p[2] < c->n[2])
				at = search_three(n, c, a, i, p, reach, at);
		}
	return at;
}

#ifdef MOVABLE
/* Our particles by number or in the order of cells, where neighbours in space follow each other: if they do in memory too, the processor finds
 * most in its caches. */
static void order_rows(struct neighbours *n, struct cells *c, const struct atoms *a)
{
	long k = 0, total = a->count + a->ghosts;

	c->at = need(malloc(((size_t)total + 1) * sizeof(listed)), "cells");
	for_each_prefetched (i, (size_t)total, &a->at[c->member[i]])
		c->at[i] = a->at[c->member[i]];
	n->order = need(realloc(n->order, ((size_t)a->count + 1) * sizeof(int)), "neighbour lists");
	for (long i = 0; i < total; i++)
		if (!n->by_cells && i < a->count)
			n->order[i] = (int)i;
		else if (n->by_cells && c->member[i] < a->count)
			n->order[k++] = c->member[i];
}
#endif

void neighbours_build(struct neighbours *n, struct cells *c, struct atoms *a, double reach)
{
	long at = 0;

	if (a->count + 1 > n->start_capacity) {
		n->start_capacity = a->count + a->count / 2 + 1;
		n->start = need(realloc(n->start, (size_t)n->start_capacity * sizeof(long)), "neighbour lists");
	}
#ifdef MOVABLE
	order_rows(n, c, a);
#endif
	for (long row = 0; row < a->count; row++) {
		long i = row_of(n, row);

		n->start[row] = at;
		at = search(n, c, a, i, reach, at);
		memcpy(OF(a, home, i), OF(a, x, i), 3 * sizeof(double));
	}
	n->start[a->count] = at;
	cells_free(c);
}

int neighbours_stale(const struct domain *d, const struct atoms *a, double skin)
{
	double most = 0, everywhere;

	for (long i = 0; i < a->count; i++) {
		const double *x = OF(a, x, i), *home = OF(a, home, i);
		double r[3] = { x[0] - home[0], x[1] - home[1], x[2] - home[2] };
		double moved = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];

		if (moved > most)
			most = moved;
	}
	MPI_Allreduce(&most, &everywhere, 1, MPI_DOUBLE, MPI_MAX, d->comm);
	return everywhere > skin * skin / 4;
}

void neighbours_free(struct neighbours *n)
{
	free(n->start);
	free(n->list);
#ifdef MOVABLE
	free(n->order);
#endif
}
