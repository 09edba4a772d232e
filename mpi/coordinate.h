/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows of defragmentation that the ranks of a job agree on: what joins the schedule (schedule.h), which knows no MPI, to communication and
 * to the core's work (report/window.h). doc/design/coordination.md.
 *
 * Everything happens within the program's own collectives, on the thread that makes them: before, between and after them there is no
 * call to MPI, so MPI_THREAD_SINGLE, FUNNELED and SERIALIZED stay what they are. Under MPI_THREAD_MULTIPLE the schedule is behind a mutex, which
 * may be held while a reduction is tested, never while slices are made.
 *
 * On our communicators all ranks post in one order: the reduction of round k, then the barrier of round k (if there is one), then round k + 1.
 * Nothing waits without limit: what is not there after PATIENCE ends coordination on that rank, and on the others for the same
 * reason; windows need no answer, so nobody hangs on a rank that has left.
 */
#ifndef NA_MPI_COORDINATE_H
#define NA_MPI_COORDINATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mpi/schedule.h"
#include "mpi/table.h"

/* Between start and stop, or until it is given up on this rank. Relaxed: a thread that sees it late makes one more call to the schedule, which is
 * over by then. */
extern _Atomic bool na_coordination_on;

/* Collective over `comm`, which spans the world: makes communicators of its own. `node` as in na_reduce(). Without memory, or after an error of
 * MPI, coordination stays off on all ranks. */
void na_coordination_start(MPI_Comm comm, int64_t node, const struct na_schedule_rules *rules);

/* At the start of MPI_Finalize, collective over the same. Ends what is under way; cannot hang where counts differ. */
void na_coordination_stop(MPI_Comm comm);

/* ---- for collectives.c ---- */

struct na_counting {
	int depth;	  /* of hooked calls on this thread */
	int spans;	  /* what was found of `comm` */
	MPI_Comm comm;	  /* the last that was asked about */
	uint64_t version; /* of na_coordination_version then */
};
extern __thread struct na_counting na_counting __attribute__((tls_model("initial-exec")));
extern _Atomic uint64_t
	na_coordination_version; /* a communicator was freed: handles may be used again; relaxed, as MPI orders the two */
extern _Atomic bool na_coordination_waiting; /* the next collective is one before which waiting time is used */

void na_coordination_early(MPI_Comm comm);
void na_coordination_left(void);
int na_coordination_look(MPI_Comm comm);

/* Whether a communicator has all ranks of the world. */
static inline int na_coordination_spans(MPI_Comm comm)
{
	comm = na_mpi_handle(comm);
	if (comm == na_mpi.world)
		return 1;
	if (comm == na_counting.comm &&
	    na_counting.version == atomic_load_explicit(&na_coordination_version, memory_order_relaxed))
		return na_counting.spans;
	return na_coordination_look(comm);
}

static inline void na_coordination_enter(MPI_Comm comm)
{
	if (na_counting.depth++ == 0 &&
	    __builtin_expect(atomic_load_explicit(&na_coordination_waiting, memory_order_relaxed), 0))
		na_coordination_early(comm);
}

static inline void na_coordination_leave(MPI_Comm comm, int rc)
{
	if (--na_counting.depth == 0 && rc == MPI_SUCCESS && na_coordination_spans(comm))
		na_coordination_left();
}

#endif
