/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coordinate_defragmentation(): a window that the program opens itself. Unlike those in its collectives (coordinate.h) it may wait: all ranks of the
 * communicator are in the call. What could fail on one rank alone is made common before anybody works.
 */
#include <limits.h>
#include <numarena/mpi.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/calls.h"
#include "mpi/message.h"
#include "mpi/schedule.h"
#include "mpi/session.h"
#include "mpi/table.h"
#include "report/lower.h"
#include "report/pauses.h"
#include "report/window.h"

/* Reduced by the maximum; equal on all ranks, or each word and its complement disagree. */
struct wish {
	uint64_t window_us, share, tokens, quiescent;
};
#define WISH_WORDS (sizeof(struct wish) / sizeof(uint64_t))

struct window {
	MPI_Comm comm, local;
	struct wish wish;
	int rank, local_rank, local_size;
	uint64_t gain, *gains; /* this rank's, its node's */
	uint64_t ns;	       /* agreed */
	uint64_t at_once;      /* of the node's ranks; agreed there */
	bool near;
};

static uint64_t last_ns; /* when the last call ended; the calls are serial, for a rank makes one at a time */

static memory_error_t read_config(const coordination_config_t *c, struct wish *w)
{
	struct na_window_settings s;

	na_window_settings(&s);
	*w = (struct wish){ .share = s.share, .tokens = s.tokens };
	if (!c)
		return MEMORY_ERROR_NONE;
	if (!(c->time_share >= 0 && c->time_share <= 0.5))
		return na_core_error(
			MEMORY_ERROR_INVALID_ARGUMENT, "time_share is %lld thousandths: must be from 0 to 0.5",
			c->time_share > -1e9 && c->time_share < 1e9 ? (long long)(c->time_share * 1000) : LLONG_MAX);
	if (c->window_time > 10000000)
		return na_core_error(MEMORY_ERROR_INVALID_ARGUMENT,
				     "window_time is %u: must be up to 10000000 microseconds", c->window_time);
	w->window_us = c->window_time;
	if (c->time_share > 0)
		w->share = c->time_share < 0.001 ? 1 : (uint64_t)(c->time_share * 1000 + 0.5);
	if (c->ranks_at_once)
		w->tokens = c->ranks_at_once;
	w->quiescent = c->quiescent;
	return MEMORY_ERROR_NONE;
}

static memory_error_t agree_wish(MPI_Comm comm, const struct wish *mine)
{
	uint64_t own[2 * WISH_WORDS], all[2 * WISH_WORDS];

	memcpy(own, mine, sizeof(*mine));
	for (size_t i = 0; i < WISH_WORDS; i++)
		own[WISH_WORDS + i] = ~own[i];
	if (na_mpi.Allreduce(own, all, 2 * WISH_WORDS, na_mpi.u64, na_mpi.max, comm) != MPI_SUCCESS)
		return na_core_error(MEMORY_ERROR_IO, "communication over the communicator failed");
	for (size_t i = 0; i < WISH_WORDS; i++)
		if (all[i] != ~all[WISH_WORDS + i])
			return na_core_error(MEMORY_ERROR_INVALID_ARGUMENT,
					     "config: ranks gave different ones, or have different settings "
					     "NUMARENA_COORDINATION_SHARE and _TOKENS");
	return MEMORY_ERROR_NONE;
}

/* The node's ranks, and what each of them could win. Same result on all ranks. */
static memory_error_t find_node(struct window *w)
{
	uint64_t pressure;
	bool ok = na_mpi.Comm_rank(w->comm, &w->rank) == MPI_SUCCESS &&
		  na_mpi_split_nodes(w->comm, na_session_node(), w->rank, &w->local) == MPI_SUCCESS;

	if (!ok) {
		w->local = na_mpi.comm_null;
		return na_core_error(MEMORY_ERROR_IO, "the communicator cannot be split into nodes");
	}
	ok = na_mpi.Comm_rank(w->local, &w->local_rank) == MPI_SUCCESS &&
	     na_mpi.Comm_size(w->local, &w->local_size) == MPI_SUCCESS;
	w->gains = ok ? calloc((size_t)w->local_size, sizeof(*w->gains)) : NULL;
	na_window_offer(NA_SCHEDULE_NEAR, &w->gain, &pressure);
	w->near = pressure >= NA_SCHEDULE_NEAR;
	return na_common(w->comm, w->gains ? MEMORY_ERROR_NONE
					   : na_core_error(MEMORY_ERROR_ALLOCATION, "no memory for a window"));
}

/* How long: what was asked for, or a share of the time since the last window on the rank where that is least. None if nobody can win. */
static memory_error_t agree_time(struct window *w)
{
	struct na_window_settings s;
	uint64_t own[2], all[2];

	na_window_settings(&s);
	w->at_once = w->wish.tokens;
	if (!w->at_once &&
	    na_mpi.Allreduce(&s.usual_tokens, &w->at_once, 1, na_mpi.u64, na_mpi.max, w->local) != MPI_SUCCESS)
		return na_core_error(MEMORY_ERROR_IO, "communication over the communicator failed");
	own[0] = w->gain;
	own[1] = ~(na_clock_ns(CLOCK_MONOTONIC) - last_ns);
	if (na_mpi.Allreduce(own, all, 2, na_mpi.u64, na_mpi.max, w->comm) != MPI_SUCCESS ||
	    na_mpi.Allgather(&w->gain, 1, na_mpi.u64, w->gains, 1, na_mpi.u64, w->local) != MPI_SUCCESS)
		return na_core_error(MEMORY_ERROR_IO, "communication over the communicator failed");
	w->ns = w->wish.window_us * 1000;
	if (!w->ns) {
		w->ns = ~all[1] / 1000 * w->wish.share;
		if (w->ns > s.window_ns)
			w->ns = s.window_ns;
	}
	if (!all[0] && !w->wish.quiescent)
		w->ns = 0;
	return MEMORY_ERROR_NONE;
}

/* The node's ranks in turns of so many at once, those first that can win most; each turn has its part of the time. With `quiescent` every rank. */
static void work(struct window *w, struct na_window_done *mine)
{
	uint64_t workers = 0, turns, turn;

	memset(mine, 0, sizeof(*mine));
	for (int i = 0; i < w->local_size; i++)
		workers += w->gains[i] || w->wish.quiescent;
	turns = (workers + w->at_once - 1) / w->at_once;
	turn = na_schedule_place(w->gains, (size_t)w->local_size, (size_t)w->local_rank) / w->at_once;
	for (uint64_t i = 0; i < turns; i++) {
		struct na_window_work job = {
			.ns = w->ns / turns, .kind = NA_PAUSE_CALL, .near = w->near, .quiescent = w->wish.quiescent
		};

		if (i == turn && (w->gain || w->wish.quiescent))
			na_window_run(&job, mine);
		if (turns > 1)
			na_mpi.Barrier(w->local);
	}
}

static memory_error_t sum_up(struct window *w, const struct na_window_done *mine, coordination_result_t *out)
{
	uint64_t sums[2] = { mine->bytes, mine->ns > 0 }, sum[2], most[2] = { mine->ns, mine->more }, top[2];

	if (na_mpi.Allreduce(sums, sum, 2, na_mpi.u64, na_mpi.sum, w->comm) != MPI_SUCCESS ||
	    na_mpi.Allreduce(most, top, 2, na_mpi.u64, na_mpi.max, w->comm) != MPI_SUCCESS)
		return na_core_error(MEMORY_ERROR_IO, "communication over the communicator failed");
	memset(out, 0, sizeof(*out)); /* padding too: it is compared as bytes */
	out->window_time = w->ns / 1000;
	out->time = top[0] / 1000;
	out->ranks = (int)sum[1];
	out->won_bytes = (size_t)sum[0];
	out->more = top[1] != 0;
	return MEMORY_ERROR_NONE;
}

memory_error_t coordinate_defragmentation(MPI_Comm comm, const coordination_config_t *config,
					  coordination_result_t *result)
{
	struct window w = { .comm = comm };
	coordination_result_t found;
	struct na_window_done mine = { 0 };
	memory_error_t error = na_ready("coordinate_defragmentation");

	if (error)
		return error;
	w.local = na_mpi.comm_null;
	error = na_common(comm, read_config(config, &w.wish));
	if (!error)
		error = agree_wish(comm, &w.wish);
	if (!error)
		error = find_node(&w);
	if (!error)
		error = agree_time(&w);
	if (!error && w.ns + w.wish.quiescent)
		work(&w, &mine);
	if (!error)
		error = sum_up(&w, &mine, &found);
	if (w.ns)
		last_ns = na_clock_ns(CLOCK_MONOTONIC);
	if (w.local != na_mpi.comm_null)
		na_mpi.Comm_free(&w.local);
	free(w.gains);
	if (!error && result)
		memcpy(result, &found, sizeof(found));
	return error;
}
