/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An MPI program that starts others of itself:
 *
 *     spawner [--children=N] [--end=kill]
 *
 * Each rank keeps 2 MiB, each child 8 MiB times (rank + 1). Parents and children meet in a barrier over the intercommunicator, so that both are there at once;
 * with --end=kill child 1 then ends by SIGKILL.
 */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void be_parent(char **argv, int children, MPI_Comm *others)
{
	int rank, ok = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);

	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	if (ok != MPI_SUCCESS ||
	    MPI_Comm_spawn(argv[0], argv + 1, children, MPI_INFO_NULL, 0, MPI_COMM_WORLD, others, MPI_ERRCODES_IGNORE) != MPI_SUCCESS) {
		printf("parent %d: this MPI cannot spawn\n", rank);
		fflush(stdout);
		MPI_Abort(MPI_COMM_WORLD, 77);
	}
	MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
	printf("parent %d\n", rank);
}

int main(int argc, char **argv)
{
	int children = 3, rank, kill_one = 0;
	MPI_Comm parent, others;
	size_t bytes = 2 << 20;
	char *block;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--children=", 11) == 0)
			children = atoi(argv[i] + 11);
		kill_one |= strcmp(argv[i], "--end=kill") == 0;
	}
	MPI_Init(&argc, &argv);
	MPI_Comm_get_parent(&parent);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	if (parent == MPI_COMM_NULL) {
		be_parent(argv, children, &others);
	} else {
		others = parent;
		bytes = (size_t)(rank + 1) << 23;
		printf("child %d\n", rank);
	}
	fflush(stdout);
	block = malloc(bytes);
	memset(block, 1, bytes);
	MPI_Barrier(others);
	if (kill_one) {
		usleep(300000); /* some updates of the records come in between */
		if (parent != MPI_COMM_NULL && rank == 1)
			kill(getpid(), SIGKILL);
		sleep(60);
	}
	free(block);
	MPI_Comm_disconnect(&others);
	MPI_Finalize();
	return 0;
}
