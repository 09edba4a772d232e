/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/reduce.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What the stages share. An error of MPI is kept and ends the work; the communicators return errors. */
struct work {
	MPI_Comm comm;	  /* all */
	MPI_Comm local;	  /* this node's ranks */
	MPI_Comm leaders; /* the first rank of each node; comm_null elsewhere */
	int rank, size, local_rank, nodes;
	struct na_axis axis;
	int error;	/* of MPI */
	bool breakdown; /* is wanted */
};

static bool good(struct work *w, int rc)
{
	if (rc != MPI_SUCCESS && w->error == MPI_SUCCESS)
		w->error = rc;
	return w->error == MPI_SUCCESS;
}

/* ---- one tree ---- */

/* What a tree sums up: `sum` is this rank's part, and at the root the whole afterwards; `other` is room for another's. */
struct part {
	void *sum, *other;
	size_t bytes;
	void (*merge)(void *into, const void *other);
};

static void merge_job(void *into, const void *other)
{
	na_job_merge(into, other);
}

static void merge_breakdown(void *into, const void *other)
{
	na_job_breakdown_merge(into, other);
}

static void merge_fullest(void *into, const void *other)
{
	na_fullest_merge(into, other);
}

/* A binomial tree to rank 0: the rank whose lowest set bit is `step` sends to the one without it. MPI_Reduce with an operation of one's own is free to
 * send everything to the root one by one, and some do; here nobody merges more than log2 of the ranks, with room for one more part. Communicators are
 * ours alone, so no tag can be another's. */
static bool sum_up(struct work *w, MPI_Comm comm, const struct part *p)
{
	int rank, size;

	if (!good(w, na_mpi.Comm_rank(comm, &rank)) || !good(w, na_mpi.Comm_size(comm, &size)))
		return false;
	for (int step = 1; step < size; step *= 2) {
		if (rank & step)
			return good(w, na_mpi.Send(p->sum, (int)p->bytes, na_mpi.byte, rank - step, 0, comm));
		if (size - rank <= step)
			continue;
		if (!good(w, na_mpi.Recv(p->other, (int)p->bytes, na_mpi.byte, rank + step, 0, comm,
					 na_mpi.status_ignore)))
			return false;
		p->merge(p->sum, p->other);
	}
	return true;
}

static bool prepare(struct work *w, int64_t node)
{
	if (!good(w, na_mpi.Comm_rank(w->comm, &w->rank)) || !good(w, na_mpi.Comm_size(w->comm, &w->size)))
		return false;
	if (!good(w, na_mpi_split_nodes(w->comm, node, w->rank, &w->local)))
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
}

/* One axis for all series: a minimum is the maximum of what is missing to a number that is larger than all. Not of complements: MPICH 4.0 compares unsigned
 * words as signed ones, and 0, of an empty series, would be more than they. */
static bool widen(struct work *w, struct na_record *mine)
{
	struct na_axis own = na_axis_of(&mine->series);
	uint64_t words[4] = { own.begin_ms < INT64_MAX ? INT64_MAX - own.begin_ms : 0, own.end_ms, own.shift,
			      own.most };
	uint64_t all[4];

	if (!good(w, na_mpi.Allreduce(words, all, 4, na_mpi.u64, na_mpi.max, w->comm)))
		return false;
	w->axis = (struct na_axis){ .begin_ms = all[0] ? INT64_MAX - all[0] : UINT64_MAX,
				    .end_ms = all[1],
				    .shift = (uint32_t)all[2],
				    .most = all[3] };
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

/* `other`: room for another's part, until all are summed up. */
struct buffers {
	struct na_job sum, other;
	struct na_row row;
	struct na_fullest *fullest, *other_fullest; /* if there are many nodes */
	struct na_job_breakdown *breakdown, *other_breakdown;
	int *lengths; /* of the ranks' packed rows and, behind them, their places; on rank 0 */
};

static void release_others(struct buffers *b)
{
	free(b->other_fullest);
	free(b->other_breakdown);
	b->other_fullest = NULL;
	b->other_breakdown = NULL;
}

static void release(struct buffers *b)
{
	if (!b)
		return;
	release_others(b);
	free(b->fullest);
	free(b->breakdown);
	free(b->lengths);
	free(b);
}

/* Who holds nothing but zeros has not touched the pages: so a leaf of the tree pays for one part, not for two. */
static bool allocate_mine(struct work *w, struct buffers *b)
{
	bool good = true;

	if (w->breakdown) {
		b->breakdown = calloc(1, sizeof(*b->breakdown));
		b->other_breakdown = calloc(1, sizeof(*b->other_breakdown));
		good = b->breakdown && b->other_breakdown;
	}
	if (w->nodes > NA_JOB_HOSTS) {
		b->fullest = calloc(1, sizeof(*b->fullest));
		b->other_fullest = calloc(1, sizeof(*b->other_fullest));
		good &= b->fullest && b->other_fullest;
	}
	return good;
}

static int allocate(struct work *w, struct buffers **b, struct na_reduction *out)
{
	bool ok;

	*b = calloc(1, sizeof(**b));
	ok = *b && allocate_mine(w, *b);
	if (w->rank == 0 && w->nodes <= NA_JOB_HOSTS) {
		out->hosts = calloc((size_t)w->nodes, sizeof(*out->hosts));
		ok &= out->hosts != NULL;
	}
	if (w->rank == 0 && w->size <= NA_JOB_ROWS && *b) {
		(*b)->lengths = calloc((size_t)w->size, 2 * sizeof(*(*b)->lengths));
		ok &= (*b)->lengths != NULL;
	}
	if (common_success(w, ok))
		return 0;
	return w->error == MPI_SUCCESS ? -ENOMEM : -EIO;
}

/* The leaders' part: what each node is goes to the root, then the sum of all. */
static bool sum_up_nodes(struct work *w, struct buffers *b, struct na_reduction *out)
{
	struct part job = { &b->sum, &b->other, sizeof(b->sum), merge_job };

	na_job_seal(&b->sum);
	if (w->breakdown)
		na_job_seal_phase(&b->sum, b->breakdown, &w->axis);
	if (w->nodes <= NA_JOB_HOSTS) {
		if (!good(w, na_mpi.Gather(&b->sum, sizeof(b->sum), na_mpi.byte, out->hosts, sizeof(b->sum),
					   na_mpi.byte, 0, w->leaders)))
			return false;
	} else {
		struct part fullest = { b->fullest, b->other_fullest, sizeof(*b->fullest), merge_fullest };

		na_fullest_add(b->fullest, &b->sum);
		if (!sum_up(w, w->leaders, &fullest))
			return false;
	}
	return sum_up(w, w->leaders, &job);
}

/* On rank 0: room for all packed rows, one behind the other. */
static bool make_places(struct work *w, struct buffers *b, struct na_rows *rows)
{
	int *places = b->lengths + w->size;

	for (int i = 0; i < w->size; i++) {
		if (b->lengths[i] < 0 || b->lengths[i] > NA_ROW_PACKED)
			return false;
		places[i] = (int)rows->length;
		rows->length += (size_t)b->lengths[i];
	}
	rows->bytes = malloc(rows->length);
	rows->capacity = rows->length;
	rows->count = (size_t)w->size;
	return rows->bytes != NULL;
}

/* The report of the job is worth having without its table of ranks, most of all where memory is short. */
static void drop_rows(struct na_rows *rows)
{
	free(rows->bytes);
	memset(rows, 0, sizeof(*rows));
}

static bool gather_rows(struct work *w, struct buffers *b, struct na_reduction *out)
{
	unsigned char packed[NA_ROW_PACKED];
	int length = (int)na_row_pack(&b->row, packed);

	release_others(b);
	if (!good(w, na_mpi.Gather(&length, sizeof(length), na_mpi.byte, b->lengths, sizeof(length), na_mpi.byte, 0,
				   w->comm)))
		return false;
	if (!common_success(w, w->rank != 0 || make_places(w, b, &out->rows))) {
		drop_rows(&out->rows);
		return w->error == MPI_SUCCESS;
	}
	return good(w, na_mpi.Gatherv(packed, length, na_mpi.byte, out->rows.bytes, b->lengths,
				      w->rank ? NULL : b->lengths + w->size, na_mpi.byte, 0, w->comm));
}

static bool transfer(struct work *w, struct buffers *b, struct na_reduction *out)
{
	struct part job = { &b->sum, &b->other, sizeof(b->sum), merge_job }, all = { .merge = merge_breakdown };

	if (w->breakdown)
		all = (struct part){ b->breakdown, b->other_breakdown, sizeof(*b->breakdown), merge_breakdown };
	/* The node's own phases first: those of all take their place. */
	if (!sum_up(w, w->local, &job) || (w->breakdown && !sum_up(w, w->local, &all)))
		return false;
	if (w->local_rank == 0 && (!sum_up_nodes(w, b, out) || (w->breakdown && !sum_up(w, w->leaders, &all))))
		return false;
	return w->size > NA_JOB_ROWS || gather_rows(w, b, out);
}

static void fill(struct work *w, struct buffers *b, const struct na_record *mine, struct na_reduction *out)
{
	out->row_axis = na_row_axis(&w->axis);
	na_row_fill(&b->row, mine, &out->row_axis);
	na_job_init(&b->sum);
	na_job_add(&b->sum, mine);
	if (!w->breakdown)
		return;
	na_job_breakdown_init(b->breakdown);
	na_record_add_breakdown(b->breakdown, mine, &w->axis);
}

/* On rank 0: the buffers become the result. What came over the network is looked at before it is believed. */
static int hand_over(struct work *w, struct buffers *b, struct na_reduction *out)
{
	if (na_job_check(&b->sum) < 0 || (w->breakdown && na_job_breakdown_check(b->breakdown) < 0))
		return -EIO;
	if (na_rows_check(&out->rows) < 0)
		drop_rows(&out->rows);
	out->job = &b->sum;
	out->breakdown = b->breakdown;
	out->fullest = b->fullest;
	out->buffers = b;
	if (!out->hosts)
		out->hosts = b->fullest->hosts;
	out->host_count = b->fullest ? b->fullest->count : (size_t)w->nodes;
	return 0;
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
		fill(&w, b, mine, out);
		rc = transfer(&w, b, out) ? 0 : -EIO;
	}
	if (rc == 0)
		rc = common_success(&w, w.rank != 0 || hand_over(&w, b, out) == 0) ? 0 : -EIO;
	finish(&w);
	*mpi_error = w.error;
	if (w.error != MPI_SUCCESS)
		rc = -EIO;
	out->nodes = w.nodes;
	if (!out->buffers)
		release(b);
	if (rc < 0)
		na_reduction_free(out);
	return rc;
}

struct na_report na_reduction_report(const struct na_reduction *r)
{
	return (struct na_report){ .job = r->job,
				   .breakdown = r->breakdown,
				   .hosts = r->hosts,
				   .host_count = r->host_count,
				   .rows = r->rows,
				   .row_axis = r->row_axis,
				   .mpi = 1,
				   .reduce_ns = NA_UNKNOWN };
}

void na_reduction_free(struct na_reduction *r)
{
	if (!r->fullest)
		free(r->hosts);
	release(r->buffers);
	free(r->rows.bytes);
	memset(r, 0, sizeof(*r));
}
