/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usage: lj-melt [--windows] [--by-cells] [--order=N] INPUT
 *
 * The options are for particles that are movable blocks (-DMOVABLE; lj.h).
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
	for (long i = 0; i < a->count; i++)
		for (int k = 0; k < 3; k++)
			OF(a, v, i)[k] += half_step * OF(a, f, i)[k];
}

static void drift(struct atoms *a, double step)
{
	for (long i = 0; i < a->count; i++)
		for (int k = 0; k < 3; k++)
			OF(a, x, i)[k] += step * OF(a, v, i)[k];
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

static void rebuild(struct domain *d, struct atoms *a, struct neighbours *n, double reach, const struct options *o)
{
	struct cells c;
	double start, cells;

	domain_migrate(d, a);
	domain_halo(d, a, reach);
	start = MPI_Wtime();
	cells_fill(&c, d, a, reach);
	cells = MPI_Wtime() - start;
#ifdef MOVABLE
	n->by_cells = o->by_cells || o->order;
	particles_settle(a, d, &c, o);
#else
	(void)o;
#endif
	start = MPI_Wtime() - cells;
	neighbours_build(n, &c, a, reach);
	least_build = since(start, least_build);
}

/* Prints a line of the table; returns the total energy a particle, the same on every rank. */
static double print_line(const struct domain *d, const struct atoms *a, const struct energies *e, long total, int step)
{
	double own[3] = { e->potential, 0, e->virial }, sum[3], volume = d->box[0] * d->box[1] * d->box[2];
	double n = (double)total, temperature;

	for (long i = 0; i < a->count; i++)
		for (int k = 0; k < 3; k++)
			own[1] += 0.5 * OF(a, v, i)[k] * OF(a, v, i)[k];
	MPI_Allreduce(own, sum, 3, MPI_DOUBLE, MPI_SUM, d->comm);
	temperature = total > 1 ? 2 * sum[1] / (3 * n - 3) : 0;
	if (d->rank == 0)
		printf("%8d %14.8f %14.8f %14.8f %14.8f %14.8f\n", step, temperature, sum[0] / n, sum[1] / n,
		       (sum[0] + sum[1]) / n, (n * temperature + sum[2] / 3) / volume);
	return (sum[0] + sum[1]) / n;
}

static int run(struct domain *d, const struct input *in, const struct options *o)
{
	double begin;
	double reach = in->cutoff + in->skin, first, last, worst = 0;
	long total = 4L * in->cells[0] * in->cells[1] * in->cells[2], rebuilds = 0;
	struct neighbours n = { 0 };
	struct energies e;
	struct atoms a;

	atoms_create(&a, d, in);
	rebuild(d, &a, &n, reach, o);
	forces(&a, &n, in->cutoff, &e);
	if (d->rank == 0)
		printf("# %ld particles on %d ranks (%d x %d x %d), box %.4f x %.4f x %.4f\n%8s %14s %14s %14s %14s %14s\n",
		       total, d->ranks, d->dims[0], d->dims[1], d->dims[2], d->box[0], d->box[1], d->box[2], "step",
		       "temperature", "potential", "kinetic", "total", "pressure");
	first = last = print_line(d, &a, &e, total, 0);
	begin = MPI_Wtime();
	for (int step = 1; step <= in->steps; step++) {
		kick(&a, 0.5 * in->timestep);
		drift(&a, in->timestep);
		if (neighbours_stale(d, &a, in->skin)) {
			rebuild(d, &a, &n, reach, o);
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
		printf("# on rank 0 at best: forces %.3f ms, lists %.3f ms; all steps %.3f s\n", 1e3 * least_force, 1e3 * least_build,
		       MPI_Wtime() - begin);
		if (!(worst <= in->tolerance))
			fprintf(stderr, "lj: the total energy drifted by %g a particle; tolerance is %g\n", worst,
				in->tolerance);
	}
	neighbours_free(&n);
	atoms_free(&a);
	return !(worst <= in->tolerance);
}

/* 0, or 1 after a sentence; the input's name is what is left. */
static int read_options(int argc, char **argv, struct options *o, const char **input, int say)
{
	char *end = "";

	*input = NULL;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--windows") == 0)
			o->windows = 1;
		else if (strcmp(argv[i], "--by-cells") == 0)
			o->by_cells = 1;
		else if (strncmp(argv[i], "--order=", 8) == 0)
			o->order = (int)strtol(argv[i] + 8, &end, 10);
		else if (argv[i][0] == '-' || *input)
			*input = NULL, i = argc;
		else
			*input = argv[i];
	}
	if (!*input && say)
		fprintf(stderr, "usage: %s [--windows] [--by-cells] [--order=N] INPUT\n", argv[0]);
	else if ((*end || o->order < 0) && say)
		fprintf(stderr, "lj: --order: needs a number of list builds, 0 for never\n");
#ifdef MOVABLE
	return !*input || *end || o->order < 0;
#else
	if (*input && (o->windows || o->by_cells || o->order) && say)
		fprintf(stderr, "lj: --windows, --by-cells and --order: this program was built without movable particles (-DMOVABLE)\n");
	return !*input || *end || o->order < 0 || o->windows || o->by_cells || o->order;
#endif
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	const char *path;
	struct domain d;
	struct input in;
	int rank, status;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	if (read_options(argc, argv, &options, &path, rank == 0)) {
		MPI_Finalize();
		return 1;
	}
	/* One rank reads, so that a wrong input is complained about once. */
	status = rank == 0 ? input_read(path, &in) : 0;
	MPI_Bcast(&status, 1, MPI_INT, 0, MPI_COMM_WORLD);
	if (status == 0)
		MPI_Bcast(&in, sizeof(in), MPI_BYTE, 0, MPI_COMM_WORLD);
	if (status == 0)
		status = domain_create(&d, &in);
#ifdef MOVABLE
	if (status == 0 && options.windows) {
		defrag_config_t when = { .threshold = 0.3, .strategy = DEFRAG_COORDINATED };

		status = start_defragmentation(&when) != MEMORY_ERROR_NONE;
	}
#endif
	if (status == 0) {
		status = run(&d, &in, &options);
		domain_free(&d);
	}
	MPI_Finalize();
	return status;
}
