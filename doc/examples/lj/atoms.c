/* SPDX-License-Identifier: BSD-3-Clause */
/* The particle arrays, from the pool; and an initial state that does not depend on the number of ranks. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "lj.h"

static void *resized(void *block, long wanted, size_t each)
{
	return need(pool_resize(block, (size_t)wanted * each), "particles");
}

/* Grows by half, so that a rank which gathers particles does not copy for each. */
void atoms_reserve(struct atoms *a, long wanted)
{
	if (wanted <= a->capacity)
		return;
	if (wanted < a->capacity + a->capacity / 2)
		wanted = a->capacity + a->capacity / 2;
#ifdef MOVABLE
	if (!a->at) {
		a->at = need(pool_allocate((size_t)wanted * sizeof(*a->at)), "particles");
		a->handle = need(pool_allocate((size_t)wanted * sizeof(*a->handle)), "particles");
	} else {
		a->at = resized(a->at, wanted, sizeof(*a->at));
		a->handle = resized(a->handle, wanted, sizeof(*a->handle));
	}
#else
	if (!a->x) {
		a->x = need(pool_allocate((size_t)wanted * 3 * sizeof(double)), "particles");
		a->v = need(pool_allocate((size_t)wanted * 3 * sizeof(double)), "particles");
		a->f = need(pool_allocate((size_t)wanted * 3 * sizeof(double)), "particles");
		a->home = need(pool_allocate((size_t)wanted * 3 * sizeof(double)), "particles");
		a->id = need(pool_allocate((size_t)wanted * sizeof(long)), "particles");
	} else {
		a->x = resized(a->x, wanted, 3 * sizeof(double));
		a->v = resized(a->v, wanted, 3 * sizeof(double));
		a->f = resized(a->f, wanted, 3 * sizeof(double));
		a->home = resized(a->home, wanted, 3 * sizeof(double));
		a->id = resized(a->id, wanted, sizeof(long));
	}
#endif
	a->capacity = wanted;
}

void atoms_free(struct atoms *a)
{
	atoms_drop_ghosts(a);
#ifdef MOVABLE
	particles_end(a, 0, a->count);
	pool_return(a->at);
	pool_return(a->handle);
#else
	pool_return(a->x);
	pool_return(a->v);
	pool_return(a->f);
	pool_return(a->home);
	pool_return(a->id);
#endif
	memset(a, 0, sizeof(*a));
}

/* splitmix64: a random number for each (seed, particle, component), whoever asks. */
static double uniform(uint64_t seed, uint64_t n)
{
	uint64_t z = seed * UINT64_C(0xd1342543de82ef95) + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t seed, uint64_t n)
{
	return sqrt(-2.0 * log(uniform(seed, 2 * n))) * cos(2.0 * 3.14159265358979323846 * uniform(seed, 2 * n + 1));
}

/* Momentum zero, and the temperature as asked: 2 K = (3 N - 3) T. Every rank sums over all particles in the same
 * order, so the velocities are the same on any number of ranks. */
static void velocity_moments(const struct input *in, long total, double mean[3], double *scale)
{
	double sum[3] = { 0 }, squares = 0;

	for (long id = 0; id < total; id++)
		for (int k = 0; k < 3; k++)
			sum[k] += normal((uint64_t)in->seed, (uint64_t)(3 * id + k));
	for (int k = 0; k < 3; k++)
		mean[k] = sum[k] / (double)total;
	for (long id = 0; id < total; id++)
		for (int k = 0; k < 3; k++) {
			double v = normal((uint64_t)in->seed, (uint64_t)(3 * id + k)) - mean[k];

			squares += v * v;
		}
	*scale = squares > 0 ? sqrt((3.0 * (double)total - 3.0) * in->temperature / squares) : 0;
}

/* The nth number below total of a sequence that has each once, in no order: numbers of so many bits are mixed in ways that can be undone. */
static long shuffled(long n, long total)
{
	uint64_t bits = 1, mask, z = (uint64_t)n;

	while (1L << bits < total)
		bits++;
	mask = (UINT64_C(1) << bits) - 1;
	do
		for (int i = 0; i < 3; i++) {
			z = z * UINT64_C(0xd1342543de82ef95) + 1;
			z &= mask;
			z ^= z >> (bits + 1) / 2;
		}
	while (z >= (uint64_t)total);
	return (long)z;
}

void atoms_create(struct atoms *a, const struct domain *d, const struct input *in)
{
	static const double basis[4][3] = { { 0, 0, 0 }, { 0.5, 0.5, 0 }, { 0.5, 0, 0.5 }, { 0, 0.5, 0.5 } };
	long total = 4L * in->cells[0] * in->cells[1] * in->cells[2];
	double mean[3], scale;

	struct atoms others = { 0 };

	memset(a, 0, sizeof(*a));
	velocity_moments(in, total, mean, &scale);
	atoms_reserve(a, total / d->ranks + 64);
	for (long n = 0; n < total; n++) {
		long id = in->shuffle ? shuffled(n, total) : n, cell = id / 4, at[3] = { cell % in->cells[0], cell / in->cells[0] % in->cells[1],
					      cell / in->cells[0] / in->cells[1] };
		double x[3];
		int ours = 1;

		for (int k = 0; k < 3; k++) {
			x[k] = ((double)at[k] + 0.25 + basis[id % 4][k]) * d->box[k] / in->cells[k];
			ours &= x[k] >= d->lo[k] && x[k] < d->hi[k];
		}
		if (!ours) {
#ifdef MOVABLE
			/* As in codes that first make all particles, wherever, and then send each to its rank. */
			atoms_add(&others, others.count, 0);
			others.count++;
#endif
			continue;
		}
		atoms_add(a, a->count, 0);
		for (int k = 0; k < 3; k++) {
			OF(a, x, a->count)[k] = x[k];
			OF(a, v, a->count)[k] = (normal((uint64_t)in->seed, (uint64_t)(3 * id + k)) - mean[k]) * scale;
		}
		ID(a, a->count) = id;
		a->count++;
	}
	atoms_free(&others);
}
