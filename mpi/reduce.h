/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the records of all ranks to one report: ranks to their node's leader, leaders to rank 0. What travels is
 * struct na_job and struct na_job_breakdown, plain data of one size however many ranks they sum up, by MPI reductions whose operations are
 * their merges; all sums are integers and ties go to the lower rank, so the tree's shape changes nothing.
 *
 * First all agree on the series' bin width (one allreduce), because merging is exact only at one width.
 *
 * Memory: 30 KiB a rank, and 124 KiB for its breakdown where that is wanted; rank 0 gathers one aggregate a node and one row (928 bytes) a rank, each only up to
 * NA_JOB_ROWS of them: 60 MiB for a moment at worst. Beyond that the report has the job's figures and extremes.
 */
#ifndef NA_MPI_REDUCE_H
#define NA_MPI_REDUCE_H

#include <stdbool.h>

#include "report/job.h"
#include "mpi/table.h"

struct na_reduction {
	struct na_job *job;		    /* of the whole communicator, on rank 0; NULL elsewhere */
	struct na_job_breakdown *breakdown; /* likewise, if it was wanted */
	struct na_job *hosts;		    /* one a node, on rank 0; NULL if there are too many */
	struct na_row *rows;		    /* one a rank, on rank 0; NULL if there are too many */
	size_t host_count;
	size_t row_count;
	int nodes; /* on rank 0 */
};

/* Collective over comm; `node` is equal on the ranks of one node, or negative to let MPI find out. Same result on
 * all ranks: 0, -ENOMEM, or -EIO with MPI's error in *mpi_error. Changes mine's series. With breakdown, which all ranks want or none,
 * the breakdowns too. */
int na_reduce(MPI_Comm comm, int64_t node, struct na_record *mine, bool breakdown, struct na_reduction *out,
	      int *mpi_error);

void na_reduction_free(struct na_reduction *r);

#endif
