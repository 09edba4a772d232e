/* SPDX-License-Identifier: BSD-3-Clause */
/* How long MPI_Finalize takes: all ranks meet, then finalize; each prints its milliseconds. With numarena-run before it, the report is made within. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	void *blocks[100];
	double begin;
	int rank;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	for (int i = 0; i < 100; i++) {
		blocks[i] = malloc(10000);
		if (!blocks[i])
			return 1;
		memset(blocks[i], rank, 10000);
	}
	for (int i = 0; i < 100; i++)
		free(blocks[i]);
	MPI_Barrier(MPI_COMM_WORLD);
	begin = now_ms();
	MPI_Finalize();
	printf("finalize %d %.3f\n", rank, now_ms() - begin);
	return 0;
}
