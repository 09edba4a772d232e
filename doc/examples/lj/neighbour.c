/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For each of our particles, all others within cutoff + skin, ghosts included. Cells as wide as that reach make
 * it a look into 27 cells. Cells are of one build; the lists stay until a particle has moved by half the skin.
 */
#include <string.h>

#include "lj.h"

struct cells {
	int n[3];
	double from[3], width[3];
	int *head, *next;
};

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

static void cells_fill(struct cells *c, const struct domain *d, const struct atoms *a, double reach)
{
	long total = a->count + a->ghosts, number = 1;

	for (int k = 0; k < 3; k++) {
		double length = d->hi[k] - d->lo[k] + 2 * reach;

		c->n[k] = (int)(length / reach);
		c->width[k] = length / c->n[k];
		c->from[k] = d->lo[k] - reach;
		number *= c->n[k];
	}
	c->head = need(malloc((size_t)number * sizeof(int)), "cells");
	c->next = need(malloc(((size_t)total + 1) * sizeof(int)), "cells");
	memset(c->head, 0xff, (size_t)number * sizeof(int)); /* -1: empty */
	for (long i = total - 1; i >= 0; i--) {
		int cell = cell_of(c, a->x + 3 * i);

		c->next[i] = c->head[cell];
		c->head[cell] = (int)i;
	}
}

static void append(struct neighbours *n, long at, int j)
{
	if (at == n->capacity) {
		n->capacity += n->capacity / 2 + 4096;
		n->list = need(realloc(n->list, (size_t)n->capacity * sizeof(int)), "neighbour lists");
	}
	n->list[at] = j;
}

/* Appends the neighbours of particle i from `at` on; returns the new end. */
static long search(struct neighbours *n, const struct cells *c, const struct atoms *a, long i, double reach, long at)
{
	const double *x = a->x + 3 * i;
	int cell = cell_of(c, x), mid[3] = { cell % c->n[0], cell / c->n[0] % c->n[1], cell / c->n[0] / c->n[1] };

	for (int dz = -1; dz <= 1; dz++)
		for (int dy = -1; dy <= 1; dy++)
			for (int dx = -1; dx <= 1; dx++) {
				int p[3] = { mid[0] + dx, mid[1] + dy, mid[2] + dz };

				if (p[0] < 0 || p[1] < 0 || p[2] < 0 || p[0] >= c->n[0] || p[1] >= c->n[1] ||
				    p[2] >= c->n[2])
					continue;
				for (int j = c->head[(p[2] * c->n[1] + p[1]) * c->n[0] + p[0]]; j >= 0; j = c->next[j]) {
					double r[3] = { x[0] - a->x[3 * (long)j], x[1] - a->x[3 * (long)j + 1],
							x[2] - a->x[3 * (long)j + 2] };

					if (j != i && r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < reach * reach)
						append(n, at++, j);
				}
			}
	return at;
}

void neighbours_build(struct neighbours *n, const struct domain *d, struct atoms *a, double reach)
{
	struct cells c;
	long at = 0;

	cells_fill(&c, d, a, reach);
	if (a->count + 1 > n->start_capacity) {
		n->start_capacity = a->count + a->count / 2 + 1;
		n->start = need(realloc(n->start, (size_t)n->start_capacity * sizeof(long)), "neighbour lists");
	}
	for (long i = 0; i < a->count; i++) {
		n->start[i] = at;
		at = search(n, &c, a, i, reach, at);
	}
	n->start[a->count] = at;
	memcpy(a->home, a->x, (size_t)a->count * 3 * sizeof(double));
	free(c.head);
	free(c.next);
}

int neighbours_stale(const struct domain *d, const struct atoms *a, double skin)
{
	double most = 0, everywhere;

	for (long i = 0; i < a->count; i++) {
		double r[3] = { a->x[3 * i] - a->home[3 * i], a->x[3 * i + 1] - a->home[3 * i + 1],
				a->x[3 * i + 2] - a->home[3 * i + 2] };
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
}
