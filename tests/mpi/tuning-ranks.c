/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far ahead a loop fetches is found out once for a node: rank 0 runs it until that is settled, the others only then; they have its
 * distance after their first run, and say that it is not of their own finding. `alone`: each finds out for itself, as the tuner was reset.
 */
#include <numarena/indexed.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { N = 400000, ELEMENTS = 1 << 22, MOST_RUNS = 2000 };

static double *x;
static int *index_of;

static double sum_up(void)
{
	double sum = 0;

	for_each_prefetched (k, N, &x[index_of[k]])
		sum += 1 / (1 + x[index_of[k]]);
	return sum;
}

static bool about(kernel_tuning_t *out)
{
	kernel_tuning_t all[8];
	size_t n = get_kernel_tuning(all, 8);

	for (size_t i = 0; i < n && i < 8; i++)
		if (strstr(all[i].name, "tuning-ranks.c")) {
			*out = all[i];
			return true;
		}
	return false;
}

/* Runs until the loop is settled; how many that took. */
static int settle(int rank, double expected, kernel_tuning_t *out)
{
	int runs = 0;

	do {
		CHECK(sum_up() == expected);
		CHECK(about(out));
	} while (++runs < MOST_RUNS && !out->settled);
	CHECK(out->settled);
	return runs;
}

int main(int argc, char **argv)
{
	int rank, size, runs = 0;
	bool alone = argc > 1 && strcmp(argv[1], "alone") == 0;
	kernel_tuning_t mine;
	unsigned long distance;
	double expected = 0;
	uint64_t state = 1;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	if (alone)
		reset_kernel_tuning();
	x = malloc(ELEMENTS * sizeof(*x));
	index_of = malloc(N * sizeof(*index_of));
	CHECK(x && index_of);
	for (int i = 0; i < ELEMENTS; i++)
		x[i] = i % 1000;
	for (int k = 0; k < N; k++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		index_of[k] = (int)(state >> 33) % ELEMENTS;
		expected += 1 / (1 + x[index_of[k]]);
	}

	if (rank == 0)
		runs = settle(rank, expected, &mine);
	MPI_Barrier(MPI_COMM_WORLD);
	if (rank != 0)
		runs = settle(rank, expected, &mine);
	distance = mine.distance;
	MPI_Bcast(&distance, 1, MPI_UNSIGNED_LONG, 0, MPI_COMM_WORLD);
	CHECK(mine.stored == (rank != 0 && !alone));
	if (!alone && rank != 0) {
		CHECK(runs == 1);
		CHECK(mine.distance == distance);
	}
	printf("rank %d of %d: %zu ahead after %d runs, %s\n", rank, size, mine.distance, runs,
	       mine.stored ? "another's finding" : "its own finding");
	free(x);
	free(index_of);
	MPI_Finalize();
	return 0;
}
