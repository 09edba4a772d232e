/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Lennard-Jones potential in reduced units, 4 (r^-12 - r^-6), cut at the cutoff and shifted to be zero there, so that
 * the energy does not jump when a pair crosses it. Each pair is seen from both sides (the other side may be
 * another rank's), so each gives half of its energy and virial. Per-particle energies are summed pairwise at the
 * end, over an array that lives for this call only.
 */
#include <string.h>

#include "lj.h"

static double pairwise_sum(const double *v, long n)
{
	double sum = 0;

	if (n > 64)
		return pairwise_sum(v, n / 2) + pairwise_sum(v + n / 2, n - n / 2);
	for (long i = 0; i < n; i++)
		sum += v[i];
	return sum;
}

void force_compute(const struct atoms *a, const struct neighbours *n, double cutoff, struct energies *e)
{
	double *energy = need(malloc(((size_t)a->count + 1) * sizeof(double)), "energies");
	double *virial = need(malloc(((size_t)a->count + 1) * sizeof(double)), "energies");
	double cut6 = 1.0 / (cutoff * cutoff * cutoff * cutoff * cutoff * cutoff), shift = 4 * cut6 * (cut6 - 1);

	/* The neighbours' positions lie all over the array: they are asked for as far ahead as is found to pay. */
	with_prefetched_rows (list, k, n->start[0], n->start[a->count], LISTED(a, n, k))
	for (long row = 0; row < a->count; row++) {
		long i = row_of(n, row);
		const double *x = OF(a, x, i);
		double f[3] = { 0 }, own = 0, pressure = 0;

		for_each_in_row (list, k, n->start[row], n->start[row + 1], LISTED(a, n, k)) {
			const double *y = *LISTED(a, n, k);
			double r[3] = { x[0] - y[0], x[1] - y[1], x[2] - y[2] };
			double r2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2], inverse, r6, strength;

			if (r2 >= cutoff * cutoff)
				continue;
			inverse = 1 / r2;
			r6 = inverse * inverse * inverse;
			strength = 48 * r6 * (r6 - 0.5) * inverse;
			f[0] += strength * r[0];
			f[1] += strength * r[1];
			f[2] += strength * r[2];
			own += 4 * r6 * (r6 - 1) - shift;
			pressure += strength * r2;
		}
		memcpy(OF(a, f, i), f, sizeof(f));
		energy[i] = 0.5 * own;
		virial[i] = 0.5 * pressure;
	}
	e->potential = pairwise_sum(energy, a->count);
	e->virial = pairwise_sum(virial, a->count);
	free(energy);
	free(virial);
}
