/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An MPI program with phases, of which no two ranks have the same:
 *
 *     phases [kill]
 *
 * "setup" keeps 8 MiB times (rank + 1); "step", ten times, has 4 MiB times (rank + 1) for a moment in "sort" and on rank 1 leaves 8 MiB behind each time;
 * "only N" is rank N's alone. A named pool "halo" has its peak of 2 MiB in a step and is gone before the end. With `kill` rank 1 ends by SIGKILL within a
 * phase "last", in which it has 64 MiB, and the others wait for the launcher's hand.
 */
#include <mpi.h>
#include <numarena/numarena.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static int rank;

static void *take(size_t size)
{
	void *p = allocate_from_pool(size);

	if (!p)
		abort();
	return memset(p, 1, size);
}

static void step(void)
{
	begin_memory_phase("step");
	begin_memory_phase("sort");
	return_to_pool(take(4 * MIB * (size_t)(rank + 1)));
	end_memory_phase();
	if (rank == 1)
		take(8 * MIB);
	end_memory_phase();
}

static void exchange(void)
{
	named_pool_config_t config = { .name = "halo" };
	memory_pool_t *pool;

	if (create_memory_pool(&config, &pool))
		abort();
	for (int i = 0; i < 8; i++)
		memset(allocate_from(pool, MIB / 4), 1, MIB / 4);
	usleep(300000); /* updates of the record come in between */
	destroy_memory_pool(pool);
}

static void end_within_a_phase(void)
{
	void *block;

	if (rank != 1) {
		printf("rank %d waits\n", rank);
		fflush(stdout);
		sleep(60);
	}
	begin_memory_phase("last");
	block = take(64 * MIB);
	usleep(400000);
	kill(getpid(), block ? SIGKILL : SIGABRT);
}

int main(int argc, char **argv)
{
	char only[32];
	void *field;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	begin_memory_phase("setup");
	field = take(8 * MIB * (size_t)(rank + 1));
	end_memory_phase();
	for (int i = 0; i < 10; i++)
		step();
	exchange();
	snprintf(only, sizeof(only), "only %d", rank);
	begin_memory_phase(only);
	for (int i = 0; i < 10000; i++)
		return_to_pool(allocate_from_pool(100));
	end_memory_phase();
	MPI_Barrier(MPI_COMM_WORLD);
	if (argc > 1 && strcmp(argv[1], "kill") == 0)
		end_within_a_phase();
	return_to_pool(field);
	MPI_Finalize();
	return 0;
}
