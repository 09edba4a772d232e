/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fields: a hydrodynamics or lattice code keeps a dozen arrays (density, momenta, energies, fluxes, species), and its loops walk them side by side. Where the
 * arrays begin decides how many of their lines fight for one place in the first-level cache: with all at the beginning of a page, as mapped
 * memory comes, more than eight thrash. 14 arrays of 64 Ki, 256 Ki and 1 Mi doubles (a power of two, as grids are) are summed in each step. Of the allocator only
 * the addresses count here, so it is no pattern of the means.
 */
#include "bench.h"

#include <string.h>

enum { FIELDS = 14, SIZES = 3 };

static void *field(size_t count)
{
	double *values = malloc(count * sizeof(*values));

	if (!values)
		bench_fail("out of memory");
	for (size_t i = 0; i < count; i++)
		values[i] = (double)(i & 7);
	return values;
}

static void step(double *restrict sum, double *const *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		double s = 0;

		for (int f = 0; f < FIELDS; f++)
			s += fields[f][i];
		sum[i] = s;
	}
}

static void work(struct bench_thread *me)
{
	static const size_t counts[SIZES] = { 1 << 16, 1 << 18, 1 << 20 };
	double *fields[FIELDS], *sum;

	for (int s = 0; s < SIZES; s++) {
		size_t count = counts[s] / (size_t)bench.threads;
		long steps = bench_scaled((1 << 23) / (long)count, 1) + 1;

		for (int f = 0; f < FIELDS; f++)
			fields[f] = field(count);
		sum = field(count);
		for (long i = 0; i < steps; i++) {
			step(sum, fields, count);
			bench_escape(sum);
		}
		for (size_t i = 0; i < count; i++)
			me->errors += sum[i] != FIELDS * (double)(i & 7);
		me->operations += FIELDS + 1;
		me->checksum += count;
		free(sum);
		for (int f = 0; f < FIELDS; f++)
			free(fields[f]);
	}
}

static const struct bench_pattern pattern = {
	.name = "fields",
	.about = "Fourteen arrays of a power of two doubles, walked side by side.",
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
