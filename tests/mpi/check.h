/* SPDX-License-Identifier: BSD-3-Clause */
/* A condition that must hold on this rank; `rank` is the caller's. */
#ifndef NA_TESTS_MPI_CHECK_H
#define NA_TESTS_MPI_CHECK_H

#include <numarena/mpi.h>
#include <stdio.h>

#define CHECK(condition)                                                                               \
	do {                                                                                           \
		if (!(condition)) {                                                                    \
			fprintf(stderr, "%s:%d: rank %d: %s (last error: %s)\n", __FILE__, __LINE__, rank, \
				#condition, last_memory_error_message());                              \
			MPI_Abort(MPI_COMM_WORLD, 1);                                                  \
		}                                                                                      \
	} while (0)

#endif
