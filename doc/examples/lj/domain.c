/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The box is cut into bricks, one a rank. Particles that leave a brick go to the next, one dimension after the
 * other. Each rank has copies ("ghosts") of the particles within reach of its faces, gathered in the same way: what was
 * received in x is passed on in y, so six messages bring the edges and corners too. A rank that is alone in a
 * dimension sends to itself: its ghosts are periodic images.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lj.h"

void *need(void *block, const char *what)
{
	if (!block) {
		fprintf(stderr, "lj: no memory for %s\n", what);
		MPI_Abort(MPI_COMM_WORLD, 1);
	}
	return block;
}

int domain_create(struct domain *d, const struct input *in)
{
	int periodic[3] = { 1, 1, 1 };
	double side = cbrt(4.0 / in->density), reach = in->cutoff + in->skin;

	memset(d, 0, sizeof(*d));
	MPI_Comm_size(MPI_COMM_WORLD, &d->ranks);
	MPI_Dims_create(d->ranks, 3, d->dims);
	MPI_Cart_create(MPI_COMM_WORLD, 3, d->dims, periodic, 0, &d->comm);
	MPI_Comm_rank(d->comm, &d->rank);
	MPI_Cart_coords(d->comm, d->rank, 3, d->coords);
	for (int k = 0; k < 3; k++) {
		d->box[k] = side * in->cells[k];
		d->lo[k] = d->box[k] * d->coords[k] / d->dims[k];
		d->hi[k] = d->box[k] * (d->coords[k] + 1) / d->dims[k];
		MPI_Cart_shift(d->comm, k, 1, &d->neighbour[k][0], &d->neighbour[k][1]);
		if (d->box[k] < 2 * reach || d->box[k] / d->dims[k] < reach) {
			if (d->rank == 0)
				fprintf(stderr,
					"lj: cells: %g by %d ranks in dimension %d: each rank needs cutoff + skin = %g, the box twice that\n",
					d->box[k], d->dims[k], k, reach);
			return 1;
		}
	}
	return 0;
}

void domain_free(struct domain *d)
{
	for (int s = 0; s < SWAPS; s++)
		free(d->send[s]);
	MPI_Comm_free(&d->comm);
}

/* Sends count doubles to one side and receives from the other; returns a buffer from malloc. */
static double *swap(struct domain *d, int s, double *out, int count, int *received)
{
	int to = d->neighbour[s / 2][s % 2], from = d->neighbour[s / 2][1 - s % 2];
	double *in;

	MPI_Sendrecv(&count, 1, MPI_INT, to, 1, received, 1, MPI_INT, from, 1, d->comm, MPI_STATUS_IGNORE);
	in = need(malloc(((size_t)*received + 1) * sizeof(double)), "a message");
	MPI_Sendrecv(out, count, MPI_DOUBLE, to, 2, in, *received, MPI_DOUBLE, from, 2, d->comm, MPI_STATUS_IGNORE);
	return in;
}

#define PACKED 7

static void wrap(const struct domain *d, struct atoms *a, int k)
{
	for (long i = 0; i < a->count; i++) {
		double *x = OF(a, x, i) + k;

		if (*x < 0)
			*x += d->box[k];
		else if (*x >= d->box[k])
			*x -= d->box[k];
		if (*x >= d->box[k]) /* a hair below 0 rounds up to the box itself */
			*x = 0;
	}
}

/* Takes the leavers of swap s out of the arrays: into a buffer, the gap filled with the last particle. */
static double *pack_leavers(const struct domain *d, struct atoms *a, int s, int *count)
{
	int k = s / 2, n = 0;
	double *out = need(malloc(((size_t)a->count * PACKED + 1) * sizeof(double)), "a message");

	for (long i = 0; i < a->count;) {
		double x = OF(a, x, i)[k];
		int leaves = s % 2 ? x >= d->hi[k] : x < d->lo[k];

		if (!leaves) {
			i++;
			continue;
		}
		memcpy(out + n, OF(a, x, i), 3 * sizeof(double));
		memcpy(out + n + 3, OF(a, v, i), 3 * sizeof(double));
		out[n + 6] = (double)ID(a, i);
		if (out[n + k] < 0)
			out[n + k] += d->box[k];
		else if (out[n + k] >= d->box[k])
			out[n + k] -= d->box[k];
		n += PACKED;
		atoms_take_out(a, i);
	}
	*count = n;
	return out;
}

void domain_migrate(struct domain *d, struct atoms *a)
{
	atoms_drop_ghosts(a);
	for (int s = 0; s < SWAPS; s++) {
		double *out, *in;
		int sent, received;

		if (d->dims[s / 2] == 1) {
			wrap(d, a, s / 2);
			continue;
		}
		out = pack_leavers(d, a, s, &sent);
		in = swap(d, s, out, sent, &received);
		atoms_reserve(a, a->count + received / PACKED);
		for (int n = 0; n < received; n += PACKED, a->count++) {
			atoms_add(a, a->count, 0);
			memcpy(OF(a, x, a->count), in + n, 3 * sizeof(double));
			memcpy(OF(a, v, a->count), in + n + 3, 3 * sizeof(double));
			ID(a, a->count) = (long)in[n + 6];
		}
		free(out);
		free(in);
	}
}

/* What crosses the edge of the box is shifted by its length. */
static double shift_of(const struct domain *d, int s)
{
	int k = s / 2;

	if (s % 2 == 0)
		return d->coords[k] == 0 ? d->box[k] : 0;
	return d->coords[k] == d->dims[k] - 1 ? -d->box[k] : 0;
}

static void send_ghosts(struct domain *d, struct atoms *a, int s)
{
	double *out = need(malloc(((size_t)d->send_count[s] * 3 + 1) * sizeof(double)), "a message"), *in;
	double shift = shift_of(d, s);
	int received;

	for (int i = 0; i < d->send_count[s]; i++) {
		memcpy(out + 3 * i, OF(a, x, (long)d->send[s][i]), 3 * sizeof(double));
		out[3 * i + s / 2] += shift;
	}
	in = swap(d, s, out, 3 * d->send_count[s], &received);
	for (long i = 0; i < received / 3; i++) {
		if (d->first[s] + i >= a->count + a->ghosts) {
			atoms_add(a, d->first[s] + i, 1);
			a->ghosts++;
		}
		memcpy(OF(a, x, d->first[s] + i), in + 3 * i, 3 * sizeof(double));
	}
	d->receive_count[s] = received / 3;
	free(out);
	free(in);
}

void domain_halo(struct domain *d, struct atoms *a, double reach)
{
	atoms_drop_ghosts(a);
	for (int s = 0; s < SWAPS; s++) {
		/* Both sides of a dimension look at what was there before either. */
		long seen = s % 2 ? d->first[s - 1] : a->count + a->ghosts;
		int n = 0;

		d->send[s] = need(realloc(d->send[s], ((size_t)seen + 1) * sizeof(int)), "a halo");
		for (long i = 0; i < seen; i++) {
			double x = OF(a, x, i)[s / 2];

			if (s % 2 ? x >= d->hi[s / 2] - reach : x < d->lo[s / 2] + reach)
				d->send[s][n++] = (int)i;
		}
		d->send_count[s] = n;
		d->first[s] = a->count + a->ghosts;
		send_ghosts(d, a, s);
	}
}

/* New positions of the same ghosts. */
void domain_update(struct domain *d, struct atoms *a)
{
	for (int s = 0; s < SWAPS; s++)
		send_ghosts(d, a, s);
}
