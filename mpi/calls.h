/* SPDX-License-Identifier: BSD-3-Clause */
/* What the calls of numarena/mpi.h share. */
#ifndef NA_MPI_CALLS_H
#define NA_MPI_CALLS_H

#include <numarena/error.h>

#include "mpi/table.h"

/* Whether MPI can be used; loads its functions if the program has bypassed our hooks. */
memory_error_t na_ready(const char *call);

/* The worst of all ranks' errors, on all ranks. Collective. */
memory_error_t na_common(MPI_Comm comm, memory_error_t mine);

#endif
