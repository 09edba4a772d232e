/* SPDX-License-Identifier: BSD-3-Clause */
/* pauses.noise beside the report: the pauses of one rank, for network simulators (report/paused.h). */
#ifndef NA_MPI_TRACE_H
#define NA_MPI_TRACE_H

#include <stdint.h>

#include "mpi/table.h"

/* Collective; written by the lowest of the ranks that paused longest, if any did. Starts count from `begin_ns` (since 1970). */
void na_trace_write(MPI_Comm comm, int rank, uint64_t begin_ns);

#endif
