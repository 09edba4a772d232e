/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usage: lj-melt INPUT
 *
 * Velocity Verlet at constant energy from a crystal that melts. Prints a table, checks that the energy has not
 * drifted, and exits 0; 1 if it has, or if the input is wrong. Energies are a particle's.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lj.h"

static void kick(struct atoms *a, double half_step)
{
	for (long i = 0; i < 3 * a->count; i++)
		a->v[i] += half_step * a->f[i];
}

static void drift(struct atoms *a, double step)
{
	for (long i = 0; i < 3 * a->count; i++)
		a->x[i] += step * a->v[i];
}

/* The least that a call took, of both that matter. */
static double least_force = HUGE_VAL, least_build = HUGE_VAL;

static double since(double start, double least)
{
	double took = MPI_Wtime() - start;

	return took < least ? took : least;
}

static void forces(const struct atoms *a, const struct neighbours *n, double cutoff, struct energies *e)
{
	double start = MPI_Wtime();

	force_compute(a, n, cutoff, e);
	least_force = since(start, least_force);
}

static void rebuild(struct domain *d, struct atoms *a, struct neighbours *n, double reach)
{
	double start;

	domain_migrate(d, a);
	domain_halo(d, a, reach);
	start = MPI_Wtime();
	neighbours_build(n, d, a, reach);
	least_build = since(start, least_build);
}

/* Prints a line of the table; returns the total energy a particle, the same on every rank. */
static double print_line(const struct domain *d, const struct atoms *a, const struct energies *e, long total, int step)
{
	double own[3] = { e->potential, 0, e->virial }, sum[3], volume = d->box[0] * d->box[1] * d->box[2];
	double n = (double)total, temperature;

	for (long i = 0; i < 3 * a->count; i++)
		own[1] += 0.5 * a->v[i] * a->v[i];
	MPI_Allreduce(own, sum, 3, MPI_DOUBLE, MPI_SUM, d->comm);
	temperature = total > 1 ? 2 * sum[1] / (3 * n - 3) : 0;
	if (d->rank == 0)
		printf("%8d %14.8f %14.8f %14.8f %14.8f %14.8f\n", step, temperature, sum[0] / n, sum[1] / n,
		       (sum[0] + sum[1]) / n, (n * temperature + sum[2] / 3) / volume);
	return (sum[0] + sum[1]) / n;
}

static int run(struct domain *d, const struct input *in)
{
	double reach = in->cutoff + in->skin, first, last, worst = 0;
	long total = 4L * in->cells[0] * in->cells[1] * in->cells[2], rebuilds = 0;
	struct neighbours n = { 0 };
	struct energies e;
	struct atoms a;

	atoms_create(&a, d, in);
	rebuild(d, &a, &n, reach);
	forces(&a, &n, in->cutoff, &e);
	if (d->rank == 0)
		printf("# %ld particles on %d ranks (%d x %d x %d), box %.4f x %.4f x %.4f\n%8s %14s %14s %14s %14s %14s\n",
		       total, d->ranks, d->dims[0], d->dims[1], d->dims[2], d->box[0], d->box[1], d->box[2], "step",
		       "temperature", "potential", "kinetic", "total", "pressure");
	first = last = print_line(d, &a, &e, total, 0);
	for (int step = 1; step <= in->steps; step++) {
		kick(&a, 0.5 * in->timestep);
		drift(&a, in->timestep);
		if (neighbours_stale(d, &a, in->skin)) {
			rebuild(d, &a, &n, reach);
			rebuilds++;
		} else {
			domain_update(d, &a);
		}
		forces(&a, &n, in->cutoff, &e);
		kick(&a, 0.5 * in->timestep);
		if (step % in->print_every == 0 || step == in->steps)
			last = print_line(d, &a, &e, total, step);
		if (fabs(last - first) > worst || last != last)
			worst = fabs(last - first);
	}
	if (d->rank == 0) {
		printf("# %ld list builds; energy drift %.3e a particle, tolerance %.3e\n", rebuilds, worst, in->tolerance);
		printf("# on rank 0 at best: forces %.3f ms, lists %.3f ms\n", 1e3 * least_force, 1e3 * least_build);
		if (!(worst <= in->tolerance))
			fprintf(stderr, "lj: the total energy drifted by %g a particle; tolerance is %g\n", worst,
				in->tolerance);
	}
	neighbours_free(&n);
	atoms_free(&a);
	return !(worst <= in->tolerance);
}

int main(int argc, char **argv)
{
	struct domain d;
	struct input in;
	int rank, status;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	if (argc != 2) {
		if (rank == 0)
			fprintf(stderr, "usage: %s INPUT\n", argv[0]);
		MPI_Finalize();
		return 1;
	}
	/* One rank reads, so that a wrong input is complained about once. */
	status = rank == 0 ? input_read(argv[1], &in) : 0;
	MPI_Bcast(&status, 1, MPI_INT, 0, MPI_COMM_WORLD);
	if (status == 0)
		MPI_Bcast(&in, sizeof(in), MPI_BYTE, 0, MPI_COMM_WORLD);
	if (status == 0)
		status = domain_create(&d, &in);
	if (status == 0) {
		status = run(&d, &in);
		domain_free(&d);
	}
	MPI_Finalize();
	return status;
}
