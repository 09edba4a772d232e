/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What coordination costs and gains, with the MPI layer's own code (mpi/coordinate.c and what it needs) and work that sleeps instead of moving
 * memory, so that more ranks than processors can pause at the same time.
 *
 *   mpirun -n 2 coordination counting [BATCHES]
 *       an 8-byte MPI_Allreduce: straight into the MPI library, through our function with coordination off, and on; in batches that alternate
 *   mpirun -n P coordination steps [STEPS [PAUSES [PAUSE_US [REPEATS]]]]
 *       a bulk-synchronous job of sleeping ranks, a step 10 ms and an allreduce, in which each rank has PAUSES pauses to make: none of them,
 *       each rank in steps of its own choice, agreeing on windows though nobody has anything to do, and in windows; in turns
 *
 * One line of JSON from rank 0: medians, and all samples.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measures.h"
#include "mpi/coordinate.h"
#include "report/paused.h"
#include "report/window.h"

#define STEP_US 10000
#define CALLS	2000 /* of a batch */

static int rank, size;
static uint64_t left_ns, slice_ns, spent_ns; /* of the work of this rank */
static uint64_t windows, waited_ns;	     /* of it: windows, and what was done while others came */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void rest(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* ---- the core's part: work that sleeps ---- */

void na_window_settings(struct na_window_settings *out)
{
	memset(out, 0, sizeof(*out));
}

void na_window_offer(uint64_t near_from, uint64_t *gain, uint64_t *pressure)
{
	(void)near_from;
	*gain = left_ns ? (uint64_t)1 << 30 : 0;
	*pressure = 0;
}

void na_window_run(const struct na_window_work *work, struct na_window_done *done)
{
	uint64_t most = work->ns < left_ns ? work->ns : left_ns, begin = now_ns(), did = 0;

	/* In slices where somebody is awaited, as the core does; what was slept, timers and all, is what was worked. */
	while (did < most && !(work->over && work->over(work->closure))) {
		rest(work->slice_ns && work->slice_ns < most - did ? work->slice_ns : most - did);
		did = now_ns() - begin;
	}
	left_ns -= did < left_ns ? did : left_ns;
	if (work->over) {
		waited_ns += did;
	} else {
		spent_ns += did;
		windows += did > 0;
	}
	*done = (struct na_window_done){ .ns = did, .more = left_ns > 0 };
}

void na_paused_collectives(uint64_t count)
{
	(void)count;
}

uint64_t na_paused_total(int alone)
{
	(void)alone;
	return spent_ns;
}

/* ---- figures ---- */

#define MOST 4096 /* samples of a kind */

static double median(const double *samples, int n)
{
	double sorted[MOST];

	memcpy(sorted, samples, (size_t)n * sizeof(double));
	qsort(sorted, (size_t)n, sizeof(double), ascending);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void print_samples(const char *name, const double *samples, int n)
{
	printf(", \"%s\": %.9g, \"%s_samples\": [", name, median(samples, n), name);
	for (int i = 0; i < n; i++)
		printf("%s%.9g", i ? ", " : "", samples[i]);
	printf("]");
}

static int number(int argc, char **argv, int i, int otherwise, int most)
{
	int n = argc > i ? atoi(argv[i]) : otherwise;

	if (n < 1 || n > most) {
		fprintf(stderr, "coordination: '%s' is not a number from 1 to %d\n", argv[i], most);
		na_mpi.Abort(na_mpi.world, 2);
	}
	return n;
}

/* ---- counting ---- */

enum way { DIRECT, OFF, ON, WAYS };

static double batch(enum way way)
{
	uint64_t begin;
	uint64_t in = 1, out;

	na_mpi.Barrier(na_mpi.world);
	na_coordination_on = way == ON;
	begin = now_ns();
	if (way == DIRECT)
		for (int i = 0; i < CALLS; i++)
			na_mpi.Allreduce(&in, &out, 1, na_mpi.u64, na_mpi.max, na_mpi.world);
	else
		for (int i = 0; i < CALLS; i++)
			MPI_Allreduce(&in, &out, 1, na_mpi.u64, na_mpi.max, na_mpi.world);
	return (double)(now_ns() - begin) / CALLS;
}

/* The hooks alone, without a collective between them. */
static double hooks(void)
{
	uint64_t begin;
	MPI_Comm world = na_mpi.world;

	na_coordination_on = true;
	na_mpi.Barrier(na_mpi.world);
	begin = now_ns();
	for (int i = 0; i < CALLS; i++) {
		__asm__ volatile("" : "+r"(world));
		na_coordination_enter(world);
		__asm__ volatile("" : "+r"(world));
		na_coordination_leave(world, MPI_SUCCESS);
	}
	return (double)(now_ns() - begin) / CALLS;
}

static void counting(int batches)
{
	static const char *const names[WAYS] = { "direct_ns", "off_ns", "on_ns" };
	const struct na_schedule_rules rules = { .share = 10, .window_ns = 5000000, .tokens = 4 };
	static double samples[WAYS][MOST], hook[MOST];

	na_coordination_start(na_mpi.world, -1, &rules);
	for (int i = 0; i < batches; i++) {
		for (int w = 0; w < WAYS; w++) { /* each is first in turn */
			enum way way = (enum way)((w + i) % WAYS);

			samples[way][i] = batch(way);
		}
		hook[i] = hooks();
	}
	na_coordination_stop(na_mpi.world);
	if (rank)
		return;
	printf("{\"what\": \"counting\", \"ranks\": %d, \"batches\": %d", size, batches);
	for (int w = 0; w < WAYS; w++)
		print_samples(names[w], samples[w], batches);
	print_samples("hooks_ns", hook, batches);
	printf("}\n");
}

/* ---- steps ---- */

enum mode { NONE, ALONE, AGREEING, TOGETHER, MODES };

/* How many of its pauses this rank makes in each step, each in one drawn at random. */
static void draw(int *in_step, int steps, int pauses, unsigned int seed)
{
	memset(in_step, 0, (size_t)steps * sizeof(int));
	srandom(seed);
	for (int i = 0; i < pauses; i++)
		in_step[random() % steps]++;
}

static double job(enum mode mode, int steps, int pauses, const int *in_step)
{
	/* A share that spreads the windows over two thirds of the run. */
	struct na_schedule_rules rules = { .window_ns = slice_ns, .tokens = 0 };
	uint64_t begin, in = 1, out;

	rules.share = (uint64_t)pauses * slice_ns * 1500 / ((uint64_t)steps * STEP_US * 1000);
	left_ns = mode == TOGETHER ? (uint64_t)pauses * slice_ns : 0;
	spent_ns = 0;
	if (mode >= AGREEING)
		na_coordination_start(na_mpi.world, -1, &rules);
	na_mpi.Barrier(na_mpi.world);
	begin = now_ns();
	for (int s = 0; s < steps; s++) {
		rest(STEP_US * 1000);
		for (int i = 0; mode == ALONE && i < in_step[s]; i++)
			rest(slice_ns);
		MPI_Allreduce(&in, &out, 1, na_mpi.u64, na_mpi.max, na_mpi.world);
	}
	begin = now_ns() - begin;
	na_coordination_stop(na_mpi.world);
	return (double)begin / 1e9;
}

static void run_steps(int steps, int pauses, int pause_us, int repeats)
{
	static const char *const names[MODES] = { "none_s", "alone_s", "agreeing_s", "together_s" };
	static double samples[MODES][MOST];
	int *in_step = malloc((size_t)steps * sizeof(int));
	uint64_t undone = 0, any = 0, did[2], most[2];

	if (!in_step) {
		fprintf(stderr, "coordination: no memory for %d steps\n", steps);
		na_mpi.Abort(na_mpi.world, 2);
		return;
	}
	slice_ns = (uint64_t)pause_us * 1000;
	for (int r = 0; r < repeats; r++)
		for (int m = 0; m < MODES; m++) {
			draw(in_step, steps, pauses, (unsigned int)(rank + 1000 * r + 1));
			samples[m][r] = job((enum mode)m, steps, pauses, in_step);
			undone |= left_ns > 0;
		}
	na_mpi.Allreduce(&undone, &any, 1, na_mpi.u64, na_mpi.max, na_mpi.world);
	did[0] = windows;
	did[1] = waited_ns;
	na_mpi.Allreduce(did, most, 2, na_mpi.u64, na_mpi.max, na_mpi.world);
	free(in_step);
	if (rank)
		return;
	printf("{\"what\": \"steps\", \"ranks\": %d, \"steps\": %d, \"step_s\": %g, \"pauses\": %d, \"pause_s\": %g, \"undone\": %s, \"windows\": %g, \"waited_s\": %g", size,
	       steps, STEP_US / 1e6, pauses, pause_us / 1e6, any ? "true" : "false",
	       (double)most[0] / repeats, (double)most[1] / 1e9 / repeats);
	for (int m = 0; m < MODES; m++)
		print_samples(names[m], samples[m], repeats);
	printf("}\n");
}

int main(int argc, char **argv)
{
	const char *what = "";

	MPI_Init(&argc, &argv);
	if (na_mpi_load(&what) < 0) {
		fprintf(stderr, "coordination: the MPI library lacks %s\n", what);
		exit(2);
	}
	na_mpi.Comm_rank(na_mpi.world, &rank);
	na_mpi.Comm_size(na_mpi.world, &size);
	if (argc > 1 && !strcmp(argv[1], "counting"))
		counting(number(argc, argv, 2, 400, MOST));
	else if (argc > 1 && !strcmp(argv[1], "steps"))
		run_steps(number(argc, argv, 2, 200, 1000000), number(argc, argv, 3, 20, 1000000), number(argc, argv, 4, 5000, 1000000),
			  number(argc, argv, 5, 2, MOST));
	else if (rank == 0)
		fprintf(stderr, "usage: mpirun -n RANKS %s counting [BATCHES] | steps [STEPS [PAUSES [PAUSE_US [REPEATS]]]]\n", argv[0]);
	MPI_Finalize();
	return argc > 1 && (!strcmp(argv[1], "counting") || !strcmp(argv[1], "steps")) ? 0 : 2;
}
