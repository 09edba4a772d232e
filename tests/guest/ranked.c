/* SPDX-License-Identifier: BSD-3-Clause */
/* A rank of an MPI job, which keeps (rank + 1) x 4 MiB until its end; for the report's table of nodes. */
#include <mpi.h>

#include "guest.h"

int main(int argc, char **argv)
{
	size_t size = (size_t)4 << 20;
	int rank, sum = 0;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	size *= (size_t)rank + 1;
	for (size_t done = 0; done < size; done += 65536) {
		char *p = malloc(65536);

		if (!p)
			MPI_Abort(MPI_COMM_WORLD, 1);
		memset(p, 1, 65536);
		sum += p[done % 65536];
	}
	MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
	MPI_Finalize();
	return sum != 640; /* 64 + 128 + 192 + 256 blocks */
}
