/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An MPI program without MPI_Init: a session (MPI 4), a communicator of its world set, figures over that by numarena/mpi.h if it is asked for
 * with "figures", and each process keeps 8 MiB times (rank + 1). With "both" the world is initialised beside it; with "uneven" rank 0 opens and closes
 * two sessions more, and rank 1 ends 0.3 s later; with "killed" rank 1 ends by SIGKILL within its session. Status 77 where MPI has no sessions.
 */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if MPI_VERSION >= 4
#include <numarena/mpi.h>

#define CHECK(condition)                                                            \
	do {                                                                        \
		if (!(condition)) {                                                 \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                                    \
		}                                                                   \
	} while (0)

static void figures(MPI_Comm comm, int size)
{
	memory_job_metrics_t m;

	CHECK(aggregate_memory_metrics(comm, &m) == MEMORY_ERROR_NONE);
	CHECK(m.ranks == size && m.nodes == 1 && m.physical.maximum_rank == size - 1);
	printf("figures of %d\n", m.ranks);
}

int main(int argc, char **argv)
{
	int rank, size, asked = argc > 1 && strcmp(argv[1], "figures") == 0, both = argc > 1 && strcmp(argv[1], "both") == 0,
	    uneven = argc > 1 && strcmp(argv[1], "uneven") == 0, killed = argc > 1 && strcmp(argv[1], "killed") == 0;
	memory_job_metrics_t m;
	MPI_Session session, more;
	MPI_Group group;
	MPI_Comm comm;
	char *block;

	if (both)
		MPI_Init(&argc, &argv);
	CHECK(MPI_Session_init(MPI_INFO_NULL, MPI_ERRORS_ARE_FATAL, &session) == MPI_SUCCESS);
	MPI_Group_from_session_pset(session, "mpi://WORLD", &group);
	MPI_Comm_create_from_group(group, "numarena.test", MPI_INFO_NULL, MPI_ERRORS_ARE_FATAL, &comm);
	MPI_Group_free(&group);
	MPI_Comm_rank(comm, &rank);
	MPI_Comm_size(comm, &size);
	block = malloc((size_t)(rank + 1) << 23);
	memset(block, 1, (size_t)(rank + 1) << 23);
	MPI_Barrier(comm);
	if (asked)
		figures(comm, size);
	printf("process %d of %d\n", rank, size);
	if (killed && rank == 1) {
		usleep(2000000); /* updates of the records come in between, also where others keep the cores busy */
		raise(SIGKILL);
	}
	if (killed)
		sleep(60); /* until the launcher ends us */
	MPI_Comm_free(&comm);
	for (int i = 0; uneven && rank == 0 && i < 2; i++) { /* within the first: MPICH 4.0 does not come up again once all are closed */
		CHECK(MPI_Session_init(MPI_INFO_NULL, MPI_ERRORS_ARE_FATAL, &more) == MPI_SUCCESS);
		MPI_Session_finalize(&more);
	}
	MPI_Session_finalize(&session);
	if (uneven && rank == 1)
		usleep(300000);
	if (both)
		MPI_Finalize();
	if (asked)
		CHECK(aggregate_memory_metrics(comm, &m) == MEMORY_ERROR_INVALID_ARGUMENT);
	free(block);
	return 0;
}
#else
int main(void)
{
	puts("this MPI has no sessions");
	return 77;
}
#endif
