/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An MPI program that allocates a known amount and ends in the way it is told:
 *
 *     ranks [--init=thread|plain] [--bytes=N] [--end=finalize|exit|abort|kill|sleep|hold] [--who=RANK] [--break=FOLDER]
 *
 * Each rank keeps N bytes times (rank + 1) alive until its end. `who` does what --end says, the others finalize, or
 * wait for their end by the launcher's hand where --end leaves no other way. Rank 0 puts a file in the place of FOLDER. No call of numarena's in here.
 */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
	size_t length = strlen(name);

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
			return argv[i] + length + 1;
	return otherwise;
}

int main(int argc, char **argv)
{
	const char *end = option(argc, argv, "--end", "finalize"), *broken = option(argc, argv, "--break", "");
	size_t bytes = strtoul(option(argc, argv, "--bytes", "1000000"), NULL, 10);
	int who = atoi(option(argc, argv, "--who", "0")), rank, size, provided, sum;
	char *block;

	if (strcmp(option(argc, argv, "--init", "plain"), "thread") == 0)
		MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
	else
		MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	block = malloc(bytes * (size_t)(rank + 1));
	memset(block, rank + 1, bytes * (size_t)(rank + 1));
	MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
	if (sum != size * (size - 1) / 2)
		return 1;
	if (rank == 0 && *broken) {
		char away[4096];

		snprintf(away, sizeof(away), "%s.away", broken);
		if (rename(broken, away) < 0 || !freopen(broken, "w", stdin))
			return 1;
	}
	if (strcmp(end, "finalize") != 0) {
		usleep(300000); /* some updates of the records come in between */
		MPI_Barrier(MPI_COMM_WORLD);
	}
	if (strcmp(end, "exit") == 0)
		exit(0);
	if (strcmp(end, "sleep") == 0 || (strcmp(end, "abort") == 0 && rank != who) || (strcmp(end, "kill") == 0 && rank != who)) {
		printf("rank %d waits, pid %d\n", rank, (int)getpid());
		fflush(stdout);
		sleep(60);
		return 1;
	}
	if (strcmp(end, "abort") == 0)
		MPI_Abort(MPI_COMM_WORLD, 7);
	if (strcmp(end, "kill") == 0)
		kill(getpid(), SIGKILL);
	printf("rank %d of %d\n", rank, size);
	free(block);
	MPI_Finalize();
	return 0;
}
