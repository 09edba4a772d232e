/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the records of all ranks to one report: ranks to their node's leader, through the memory that MPI shares on a node, and leaders to rank 0. What
 * travels is struct na_job and struct na_job_breakdown, plain data of one size however many ranks they sum up, in binomial trees of messages; all
 * sums are integers and ties go to the lower rank, so the tree's shape changes nothing.
 *
 * First all agree on the series' axis (one allreduce), because merging is exact only at one width.
 *
 * Memory: two of each a rank that has others below it, one else: 50 KiB, and 750 KiB for the breakdowns where they are wanted. Rank 0 gathers besides
 * one aggregate a node up to NA_JOB_HOSTS (1.6 MiB); of more nodes those with the least room come up the tree, 1.6 MiB. At last, when the room for
 * others' parts is free again, it gathers one packed row a rank up to NA_JOB_ROWS of them (1 to 2 MiB), none of more. benchmarks/report-scale measures it.
 */
#ifndef NA_MPI_REDUCE_H
#define NA_MPI_REDUCE_H

#include <stdbool.h>

#include "report/job.h"
#include "report/report.h"
#include "mpi/table.h"

struct na_reduction {
	struct na_job *job;		    /* of the whole communicator, on rank 0; NULL elsewhere */
	struct na_job_breakdown *breakdown; /* likewise, if it was wanted */
	struct na_job *hosts;		    /* on rank 0: one a node, or those with the least room */
	struct na_rows rows;		    /* one a rank, on rank 0; none if there are too many */
	size_t host_count;
	struct na_row_axis row_axis;
	int nodes;		    /* on rank 0 */
	struct na_fullest *fullest; /* what `hosts` are of, if there are many nodes */
	struct buffers *buffers;    /* what `job` and the others lie in */
};

/* Collective over comm; `node` is equal on the ranks of one node, or negative to let MPI find out. Same result on
 * all ranks: 0, -ENOMEM, or -EIO with MPI's error in *mpi_error. Changes mine's series. With breakdown, which all ranks want or none,
 * the breakdowns too. */
int na_reduce(MPI_Comm comm, int64_t node, struct na_record *mine, bool breakdown, struct na_reduction *out,
	      int *mpi_error);

/* As a report of an MPI job; who wrote it, and how long it took, is the caller's to add. Of what rank 0 got. */
struct na_report na_reduction_report(const struct na_reduction *r);
void na_reduction_free(struct na_reduction *r);

#endif
