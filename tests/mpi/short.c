/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An MPI program that runs out of memory:
 *
 *     short WHO [abort]
 *
 * Rank WHO allocates past a limit of 64 MiB. With `abort` its error handler ends the job by abort_operation(), while the others wait in a barrier;
 * else it goes on without the memory.
 */
#include <mpi.h>
#include <numarena/numarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(memory_error_t error)
{
	log_memory_error(error);
	abort_operation();
}

int main(int argc, char **argv)
{
	int who = argc > 1 ? atoi(argv[1]) : 0, rank;
	memory_pool_config_t config = { .total_size = (size_t)64 << 20 };
	size_t got = 0;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	if (initialize_memory_pool(&config))
		return 2;
	if (argc > 2 && strcmp(argv[2], "abort") == 0)
		set_memory_error_handler(give_up);
	if (rank == who)
		for (char *p; (p = allocate_from_pool((size_t)10 << 20)); got++)
			memset(p, 1, (size_t)10 << 20);
	MPI_Barrier(MPI_COMM_WORLD);
	printf("rank %d got %zu blocks\n", rank, got);
	MPI_Finalize();
	return 0;
}
