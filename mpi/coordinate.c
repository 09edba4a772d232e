/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/coordinate.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/message.h"
#include "report/lower.h"
#include "report/paused.h"
#include "report/window.h"

#define PATIENCE      UINT64_C(10000000000) /* nanoseconds that a reduction may take beyond its time */
#define WAITING_SLICE UINT64_C(50000)	    /* nanoseconds by which a rank that uses its waiting time may come late */
#define WAITING_MOST  UINT64_C(1000000000)

_Atomic bool na_coordination_on, na_coordination_waiting; /* relaxed */
__thread struct na_counting na_counting;
_Atomic uint64_t na_coordination_version;

static struct {
	pthread_mutex_t lock; /* under MPI_THREAD_MULTIPLE: all below that changes */
	struct na_schedule schedule;
	MPI_Comm comm, local; /* ours; not yet or no longer there if not `made` */
	MPI_Request reduction, exchange, barrier;
	bool made, multiple;
	bool competing;	      /* more ranks here than may work at once: they exchange what they could win */
	bool offered, barred; /* these requests are under way */
	bool broken;	      /* one of them never ended, or failed */
	uint64_t posted;      /* operations on comm so far: equal on all ranks, or they cannot be ended */
	uint64_t start_ns;
	struct na_offer mine, all;
	uint64_t gain, *gains; /* this rank's, its node's */
	int local_rank, local_size, rank, keyval;
} c = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline bool get(_Atomic bool *flag)
{
	return atomic_load_explicit(flag, memory_order_relaxed);
}

static inline void set(_Atomic bool *flag, bool value)
{
	atomic_store_explicit(flag, value, memory_order_relaxed);
}

/* ---- which communicators count ---- */

static char yes, no; /* values of our attribute */

static int forget(MPI_Comm comm, int key, void *value, void *extra)
{
	(void)comm;
	(void)key;
	(void)value;
	(void)extra;
	atomic_fetch_add_explicit(&na_coordination_version, 1, memory_order_relaxed);
	return MPI_SUCCESS;
}

/* Local, all of it. */
static bool compare(MPI_Comm comm)
{
	int inter = 1, size = 0, all = -1, relation = MPI_UNEQUAL;

	if (na_mpi.Comm_test_inter(comm, &inter) != MPI_SUCCESS || inter ||
	    na_mpi.Comm_size(comm, &size) != MPI_SUCCESS || na_mpi.Comm_size(na_mpi.world, &all) != MPI_SUCCESS ||
	    size != all)
		return false;
	return na_mpi.Comm_compare(comm, na_mpi.world, &relation) == MPI_SUCCESS && relation != MPI_UNEQUAL;
}

/* The answer is kept with the communicator as an attribute, and for the last one with the thread. */
int na_coordination_look(MPI_Comm comm)
{
	uint64_t version = atomic_load_explicit(&na_coordination_version, memory_order_relaxed);
	void *value = NULL;
	int found = 0;

	if (comm == na_mpi.comm_null)
		return 0;
	if (na_mpi.Comm_get_attr(comm, c.keyval, &value, &found) != MPI_SUCCESS)
		return 0;
	if (!found) {
		value = compare(comm) ? &yes : &no;
		if (na_mpi.Comm_set_attr(comm, c.keyval, value) != MPI_SUCCESS)
			return value == &yes;
	}
	na_counting.comm = comm;
	na_counting.spans = value == &yes;
	na_counting.version = version;
	return na_counting.spans;
}

/* ---- rounds ---- */

/* Off on this rank. The others find out by themselves, at the latest after PATIENCE. */
static void give_up(const char *why)
{
	set(&na_coordination_on, false);
	set(&na_coordination_waiting, false);
	c.schedule.at = 0;
	na_message("coordinated defragmentation ends on rank %d: %s", c.rank, why);
}

static void break_off(const char *why)
{
	c.broken = true;
	give_up(why);
}

static bool ended(MPI_Request *request)
{
	uint64_t until = 0;
	int flag = 0;

	for (;;) {
		if (na_mpi.Test(request, &flag, na_mpi.status_ignore) != MPI_SUCCESS)
			return false;
		if (flag)
			return true;
		if (!until)
			until = na_clock_ns(CLOCK_MONOTONIC) + PATIENCE;
		else if (na_clock_ns(CLOCK_MONOTONIC) > until)
			return false;
		sched_yield();
	}
}

/* Before the next operation on the communicator, so that there is one order. */
static bool end_barrier(void)
{
	if (!c.barred)
		return true;
	c.barred = false;
	if (ended(&c.barrier))
		return true;
	break_off("a barrier of it did not end");
	return false;
}

/* Nobody has waited. A word that is the complement of a signed number, as the others' are. */
static void forget_waits(void)
{
	c.mine.waited_ns = 0;
	c.mine.not_waited_ns = ~(uint64_t)INT64_MAX;
}

static bool post_barrier(void)
{
	set(&na_coordination_waiting, false);
	c.posted++;
	if (na_mpi.Ibarrier(c.comm, &c.barrier) != MPI_SUCCESS) {
		break_off("MPI_Ibarrier failed");
		return false;
	}
	c.barred = true;
	return true;
}

static void offer(void)
{
	uint64_t now = na_clock_ns(CLOCK_MONOTONIC);

	if (get(&na_coordination_waiting)) /* several threads, and none has entered a collective since */
		post_barrier();
	if (c.broken || !end_barrier())
		return;
	na_window_offer(NA_SCHEDULE_NEAR, &c.gain, &c.mine.pressure);
	c.mine.gain = c.gain;
	c.mine.spent_ns = na_paused_total(0);
	c.mine.not_elapsed_ns = ~(now - c.start_ns);
	c.mine.busy = c.multiple;
	na_schedule_offer(&c.schedule, &c.mine);
	na_paused_collectives(c.schedule.count);
	c.gains[c.local_rank] = c.gain;
	c.posted++;
	if (na_mpi.Iallreduce(&c.mine, &c.all, (int)NA_OFFER_WORDS, na_mpi.u64, na_mpi.max, c.comm, &c.reduction) !=
		    MPI_SUCCESS ||
	    (c.competing &&
	     na_mpi.Iallgather(&c.gain, 1, na_mpi.u64, c.gains, 1, na_mpi.u64, c.local, &c.exchange) != MPI_SUCCESS)) {
		break_off("a nonblocking reduction failed");
		return;
	}
	c.offered = true;
}

static bool round_ended(void)
{
	return ended(&c.reduction) && (!c.competing || ended(&c.exchange));
}

static void decide(struct na_window *window)
{
	c.offered = false;
	if (!round_ended()) {
		break_off("a reduction did not end in 10 s: some rank has left");
		return;
	}
	forget_waits(); /* not before: what is in `mine` is MPI's while the reduction is under way */
	na_schedule_decide(&c.schedule, &c.all, c.gains, (size_t)c.local_size, (size_t)c.local_rank, window);
	if (c.schedule.end == NA_SCHEDULE_RULES_DIFFER)
		give_up("NUMARENA_COORDINATION_* differ between ranks");
	else if (c.schedule.end == NA_SCHEDULE_COUNTS_DIFFER)
		give_up("ranks have counted different collectives");
	else
		set(&na_coordination_waiting, window->waiting);
}

void na_coordination_left(void)
{
	struct na_window window = { 0 };
	struct na_window_done done;
	unsigned int act;
	bool near = false;

	if (c.multiple)
		pthread_mutex_lock(&c.lock);
	act = na_schedule_left(&c.schedule);
	if (__builtin_expect(act != NA_SCHEDULE_NOTHING && get(&na_coordination_on), 0)) {
		if (act & NA_SCHEDULE_WINDOW)
			window = c.schedule.window;
		if (act & NA_SCHEDULE_OFFER)
			offer();
		if (act & NA_SCHEDULE_DECIDE)
			decide(&window);
		near = c.mine.pressure >= NA_SCHEDULE_NEAR;
	}
	if (c.multiple)
		pthread_mutex_unlock(&c.lock);
	if (__builtin_expect(window.ns && window.mine, 0)) {
		struct na_window_work work = { .ns = window.ns, .kind = NA_PAUSE_WINDOW, .near = near };

		na_window_run(&work, &done);
	}
}

/* ---- waiting time ---- */

static bool all_here(void *closure)
{
	int flag = 1;

	(void)closure;
	if (na_mpi.Test(&c.barrier, &flag, na_mpi.status_ignore) != MPI_SUCCESS)
		return true;
	if (flag)
		c.barred = false;
	return flag;
}

/* A rank that enters a collective: the barrier tells when the last one has. Only where one thread at a time is in MPI. */
void na_coordination_early(MPI_Comm comm)
{
	struct na_window_work work = { .ns = WAITING_MOST,
				       .slice_ns = WAITING_SLICE,
				       .kind = NA_PAUSE_WAITING,
				       .near = c.mine.pressure >= NA_SCHEDULE_NEAR,
				       .over = all_here };
	struct na_window_done done;

	uint64_t begin;

	if (!na_coordination_spans(comm) || !post_barrier() || !c.gain)
		return;
	begin = na_clock_ns(CLOCK_MONOTONIC);
	na_window_run(&work, &done);
	if (c.barred) /* nothing was left to do: when the last comes is not known */
		return;
	c.mine.waited_ns = na_clock_ns(CLOCK_MONOTONIC) - begin;
	c.mine.not_waited_ns = ~c.mine.waited_ns;
}

/* ---- start and stop ---- */

static bool common(MPI_Comm comm, bool ok)
{
	uint64_t failed = !ok, any = 1;

	return na_mpi.Allreduce(&failed, &any, 1, na_mpi.u64, na_mpi.max, comm) == MPI_SUCCESS && !any;
}

/* What must be one among the ranks of a node before they first exchange anything there. */
static bool agree_node(struct na_schedule_rules *rules)
{
	uint64_t tokens = rules->tokens ? rules->tokens : rules->usual, all[2],
		 own[2] = { rules->usual, tokens && tokens < (uint64_t)c.local_size };

	if (na_mpi.Allreduce(own, all, 2, na_mpi.u64, na_mpi.max, c.local) != MPI_SUCCESS)
		return false;
	rules->usual = all[0];
	c.competing = all[1];
	return true;
}

static bool make(MPI_Comm comm, int64_t node, struct na_schedule_rules *rules)
{
	bool ok = na_mpi.Comm_rank(comm, &c.rank) == MPI_SUCCESS && na_mpi.Comm_dup(comm, &c.comm) == MPI_SUCCESS &&
		  na_mpi.Comm_set_errhandler(c.comm, na_mpi.errors_return) == MPI_SUCCESS;

	if (!ok)
		return false;
	if (na_mpi_split_nodes(c.comm, node, c.rank, &c.local) != MPI_SUCCESS)
		return false;
	c.made = true;
	ok = na_mpi.Comm_rank(c.local, &c.local_rank) == MPI_SUCCESS &&
	     na_mpi.Comm_size(c.local, &c.local_size) == MPI_SUCCESS && agree_node(rules) &&
	     na_mpi.Comm_create_keyval(na_mpi_no_copy, forget, &c.keyval, NULL) == MPI_SUCCESS;
	if (ok)
		c.gains = calloc((size_t)c.local_size, sizeof(*c.gains));
	return common(c.comm, ok && c.gains);
}

void na_coordination_start(MPI_Comm comm, int64_t node, const struct na_schedule_rules *rules)
{
	struct na_schedule_rules agreed = *rules;
	int provided = MPI_THREAD_SINGLE;

	if (c.made || !make(comm, node, &agreed))
		return;
	na_mpi.Query_thread(&provided);
	c.multiple = provided == MPI_THREAD_MULTIPLE;
	c.start_ns = na_clock_ns(CLOCK_MONOTONIC);
	forget_waits();
	na_schedule_start(&c.schedule, &agreed);
	set(&na_coordination_on, true);
}

void na_coordination_stop(MPI_Comm comm)
{
	uint64_t own[3], all[3];

	if (!c.made)
		return;
	c.made = false;
	set(&na_coordination_on, false);
	set(&na_coordination_waiting, false);
	na_paused_collectives(c.schedule.count);
	own[0] = c.broken;
	own[1] = c.posted;
	own[2] = ~c.posted;
	if (na_mpi.Allreduce(own, all, 3, na_mpi.u64, na_mpi.max, comm) != MPI_SUCCESS || all[0] || all[1] != ~all[2])
		return; /* what is under way never ends */
	if ((c.offered && !round_ended()) || !end_barrier())
		return;
	c.offered = false;
	na_mpi.Comm_free(&c.local);
	na_mpi.Comm_free(&c.comm);
	free(c.gains);
	c.gains = NULL;
}
