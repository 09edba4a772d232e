/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/reduce.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What the stages share. An error of MPI is kept and ends the work; the communicator returns errors. */
struct work {
	MPI_Comm comm;	  /* all */
	MPI_Comm local;	  /* this node's ranks */
	MPI_Comm leaders; /* the first rank of each node; comm_null elsewhere */
	MPI_Datatype job_type, row_type, breakdown_type;
	MPI_Op merge, merge_breakdown;
	int rank, size, local_rank, nodes;
	struct na_axis axis;
	int error; /* of MPI */
	bool has_types, has_op, has_breakdown_op;
	bool breakdown; /* is wanted */
};

static bool good(struct work *w, int rc)
{
	if (rc != MPI_SUCCESS && w->error == MPI_SUCCESS)
		w->error = rc;
	return w->error == MPI_SUCCESS;
}

static void merge(void *in, void *inout, int *count, MPI_Datatype *type)
{
	const struct na_job *from = in;
	struct na_job *to = inout;

	(void)type;
	for (int i = 0; i < *count; i++)
		na_job_merge(&to[i], &from[i]);
}

static void merge_breakdown(void *in, void *inout, int *count, MPI_Datatype *type)
{
	const struct na_job_breakdown *from = in;
	struct na_job_breakdown *to = inout;

	(void)type;
	for (int i = 0; i < *count; i++)
		na_job_breakdown_merge(&to[i], &from[i]);
}

static bool make_type(struct work *w, size_t size, MPI_Datatype *type)
{
	return good(w, na_mpi.Type_contiguous((int)size, na_mpi.byte, type)) && good(w, na_mpi.Type_commit(type));
}

static bool prepare(struct work *w, int64_t node)
{
	if (!good(w, na_mpi.Comm_rank(w->comm, &w->rank)) || !good(w, na_mpi.Comm_size(w->comm, &w->size)))
		return false;
	if (!make_type(w, sizeof(struct na_job), &w->job_type) || !make_type(w, sizeof(struct na_row), &w->row_type) ||
	    !make_type(w, sizeof(struct na_job_breakdown), &w->breakdown_type))
		return false;
	w->has_types = true;
	if (!good(w, na_mpi.Op_create(merge, 1, &w->merge)))
		return false;
	w->has_op = true;
	if (!good(w, na_mpi.Op_create(merge_breakdown, 1, &w->merge_breakdown)))
		return false;
	w->has_breakdown_op = true;
	if (!good(w, node >= 0 ? na_mpi.Comm_split(w->comm, (int)node, w->rank, &w->local)
			       : na_mpi.Comm_split_type(w->comm, MPI_COMM_TYPE_SHARED, w->rank, na_mpi.info_null,
							&w->local)))
		return false;
	if (!good(w, na_mpi.Comm_rank(w->local, &w->local_rank)))
		return false;
	if (!good(w, na_mpi.Comm_split(w->comm, w->local_rank == 0 ? 0 : MPI_UNDEFINED, w->rank, &w->leaders)))
		return false;
	return w->local_rank != 0 || good(w, na_mpi.Comm_size(w->leaders, &w->nodes));
}

static void finish(struct work *w)
{
	if (w->leaders != na_mpi.comm_null)
		na_mpi.Comm_free(&w->leaders);
	if (w->local != na_mpi.comm_null)
		na_mpi.Comm_free(&w->local);
	if (w->has_breakdown_op)
		na_mpi.Op_free(&w->merge_breakdown);
	if (w->has_op)
		na_mpi.Op_free(&w->merge);
	if (w->has_types) {
		na_mpi.Type_free(&w->breakdown_type);
		na_mpi.Type_free(&w->row_type);
		na_mpi.Type_free(&w->job_type);
	}
}

/* One axis for all series: a minimum is the maximum of complements. */
static bool widen(struct work *w, struct na_record *mine)
{
	struct na_axis own = na_axis_of(&mine->series);
	uint64_t words[4] = { ~own.begin_ms, own.end_ms, own.shift, own.most }, all[4];

	if (!good(w, na_mpi.Allreduce(words, all, 4, na_mpi.u64, na_mpi.max, w->comm)))
		return false;
	w->axis = (struct na_axis){ .begin_ms = ~all[0], .end_ms = all[1], .shift = (uint32_t)all[2], .most = all[3] };
	na_series_widen(&mine->series, na_axis_shift(&w->axis));
	return true;
}

/* Everything that could fail on one rank alone is done before the first message of that stage, and its outcome made
 * common, so that no rank waits for one that gave up. */
static bool common_success(struct work *w, bool ok)
{
	uint64_t failed = !ok, any = 1;

	return good(w, na_mpi.Allreduce(&failed, &any, 1, na_mpi.u64, na_mpi.max, w->comm)) && !any;
}

struct breakdowns {
	struct na_job_breakdown mine, node;
};

struct buffers {
	struct na_job mine, node;
	struct na_row row;
	struct breakdowns breakdowns[]; /* one, if they are wanted */
};

static int allocate(struct work *w, struct buffers **b, struct na_reduction *out)
{
	bool ok;

	*b = calloc(1, sizeof(**b) + (w->breakdown ? sizeof((*b)->breakdowns[0]) : 0));
	ok = *b != NULL;
	if (w->rank == 0) {
		out->job = malloc(sizeof(*out->job));
		ok &= out->job != NULL;
		if (w->breakdown) {
			out->breakdown = malloc(sizeof(*out->breakdown));
			ok &= out->breakdown != NULL;
		}
		if (w->nodes <= NA_JOB_ROWS) {
			out->hosts = calloc((size_t)w->nodes, sizeof(*out->hosts));
			ok &= out->hosts != NULL;
		}
		if (w->size <= NA_JOB_ROWS) {
			out->rows = calloc((size_t)w->size, sizeof(*out->rows));
			ok &= out->rows != NULL;
		}
	}
	if (common_success(w, ok))
		return 0;
	return w->error == MPI_SUCCESS ? -ENOMEM : -EIO;
}

static void transfer(struct work *w, struct buffers *b, struct na_reduction *out)
{
	if (!good(w, na_mpi.Reduce(&b->mine, &b->node, 1, w->job_type, w->merge, 0, w->local)))
		return;
	if (w->local_rank == 0) {
		na_job_seal(&b->node);
		if (!good(w, na_mpi.Reduce(&b->node, out->job, 1, w->job_type, w->merge, 0, w->leaders)))
			return;
		if (w->nodes <= NA_JOB_ROWS &&
		    !good(w, na_mpi.Gather(&b->node, 1, w->job_type, out->hosts, 1, w->job_type, 0, w->leaders)))
			return;
	}
	if (w->size <= NA_JOB_ROWS)
		good(w, na_mpi.Gather(&b->row, 1, w->row_type, out->rows, 1, w->row_type, 0, w->comm));
}

static void transfer_breakdown(struct work *w, struct breakdowns *b, struct na_job_breakdown *out)
{
	if (good(w, na_mpi.Reduce(&b->mine, &b->node, 1, w->breakdown_type, w->merge_breakdown, 0, w->local)) &&
	    w->local_rank == 0)
		good(w, na_mpi.Reduce(&b->node, out, 1, w->breakdown_type, w->merge_breakdown, 0, w->leaders));
}

int na_reduce(MPI_Comm comm, int64_t node, struct na_record *mine, bool breakdown, struct na_reduction *out,
	      int *mpi_error)
{
	struct work w = { .comm = comm,
			  .local = na_mpi.comm_null,
			  .leaders = na_mpi.comm_null,
			  .error = MPI_SUCCESS,
			  .breakdown = breakdown };
	struct buffers *b = NULL;
	int rc = -EIO;

	memset(out, 0, sizeof(*out));
	if (prepare(&w, node) && widen(&w, mine))
		rc = allocate(&w, &b, out);
	if (rc == 0) {
		na_job_init(&b->mine);
		na_job_add(&b->mine, mine);
		out->row_axis = na_row_axis(&w.axis);
		na_row_fill(&b->row, mine, &out->row_axis);
		transfer(&w, b, out);
		if (breakdown && w.error == MPI_SUCCESS) {
			na_job_breakdown_init(&b->breakdowns->mine);
			na_record_add_breakdown(&b->breakdowns->mine, mine, &w.axis);
			transfer_breakdown(&w, b->breakdowns, out->breakdown);
		}
		if (w.error == MPI_SUCCESS && w.rank == 0 &&
		    (na_job_check(out->job) < 0 || (breakdown && na_job_breakdown_check(out->breakdown) < 0)))
			rc = -EIO;
	}
	finish(&w);
	free(b);
	*mpi_error = w.error;
	if (w.error != MPI_SUCCESS)
		rc = -EIO;
	out->nodes = w.nodes;
	out->host_count = out->hosts ? (size_t)w.nodes : 0;
	out->row_count = out->rows ? (size_t)w.size : 0;
	if (rc < 0)
		na_reduction_free(out);
	return rc;
}

void na_reduction_free(struct na_reduction *r)
{
	free(r->job);
	free(r->breakdown);
	free(r->hosts);
	free(r->rows);
	memset(r, 0, sizeof(*r));
}
