/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/trace.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "mpi/message.h"
#include "report/lower.h"
#include "report/paused.h"
#include "report/process.h"

void na_trace_write(MPI_Comm comm, int rank, uint64_t begin_ns)
{
	uint64_t own = na_paused_total(1), most = 0, mine, first = 0;
	char path[PATH_MAX];
	int rc;

	if (na_mpi.Allreduce(&own, &most, 1, na_mpi.u64, na_mpi.max, comm) != MPI_SUCCESS || !most)
		return;
	/* Below 2^63: MPICH 4.0 takes MPI_MAX of unsigned words for that of signed ones. */
	mine = own == most ? INT64_MAX - (uint64_t)rank : 0;
	if (na_mpi.Allreduce(&mine, &first, 1, na_mpi.u64, na_mpi.max, comm) != MPI_SUCCESS || mine != first)
		return;
	if ((size_t)snprintf(path, sizeof(path), "%s/pauses.noise", na_process_folder()) >= sizeof(path))
		return;
	rc = na_paused_trace(path, rank, begin_ns, na_clock_ns(CLOCK_REALTIME));
	if (rc < 0)
		na_message("%s cannot be written: %s", path, strerror(-rc));
}
