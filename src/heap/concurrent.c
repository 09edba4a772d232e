/* SPDX-License-Identifier: BSD-3-Clause */
/* See concurrent.h. */
#include "heap/concurrent.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/options.h"
#include "base/text.h"
#include "cache/merge.h"
#include "heap/merging.h"
#include "heap/streams.h"
#include "os/hold.h"
#include "os/os.h"

#define SPANS_WHOLE 1024 /* private ones that are kept from allocation at a time: 16 MiB a quarter of a second */
#define SPANS_SLICE 16
#define ROUNDS_MOST 64
#define LEAST_WIN   ((uint64_t)64 << 10) /* of a class of a cache */
#define LOOK_NS	    ((uint64_t)200 * 1000 * 1000)

/* Under na_merging_lock. */
static struct {
	struct na_hold hold;
	struct na_merge_limits limits;
	uint64_t looked; /* when it was last seen that nothing speaks against it; 0: never */
	struct na_cache *at;
	unsigned int cls; /* where the pass under way goes on */
	uint32_t rounds;  /* that are left for that class; 0: it is not begun */
	uint64_t work;	  /* bytes that may come to frames before slices that are cut short are rounds, too */
	uint64_t passes, won, ns;
	char why[160];
	bool told;
} state;

static bool wanted(void)
{
	return __atomic_load_n(&na_options.defrag_concurrent, __ATOMIC_RELAXED) != NA_CONCURRENT_OFF;
}

/* ---- whether ---- */

static int refuse(const char *format, const char *what, int error)
{
	na_format(state.why, sizeof(state.why), format, what, error);
	if (!state.told)
		na_log(NA_LOG_WARNING, "NUMARENA_DEFRAG_CONCURRENT: pages of malloc's blocks are not merged: %s",
		       state.why);
	state.told = true;
	return -ENOTSUP;
}

static int open_hold(void)
{
	uint64_t asked = __atomic_load_n(&na_options.defrag_concurrent, __ATOMIC_RELAXED);
	enum na_concurrent way = asked == NA_CONCURRENT_AUTO ? NA_CONCURRENT_MOVE : (enum na_concurrent)asked;
	int rc;

	if (state.hold.way == way && (way == NA_CONCURRENT_MPROTECT || state.hold.fd >= 0)) {
		/* A program may have closed the descriptor, or put its own handler in the place of ours. */
		if (way != NA_CONCURRENT_MPROTECT)
			return 0;
		rc = na_os.hold_open(way, &state.hold);
	} else {
		if (state.hold.way)
			na_os.hold_close(&state.hold);
		rc = na_os.hold_open(way, &state.hold);
	}
	if (rc == 0)
		return 0;
	state.hold = (struct na_hold){ .fd = -1 };
	if (rc == -EPERM || rc == -EACCES)
		return refuse(
			"%s takes userfaultfd in full, which takes root, vm.unprivileged_userfaultfd=1 or access to "
			"/dev/userfaultfd: error %d",
			na_concurrent_name(way), -rc);
	if (rc == -ENOSYS || rc == -EINVAL)
		return refuse("%s is not in this kernel: error %d", na_concurrent_name(way), -rc);
	return refuse("%s: the kernel refuses it: error %d", na_concurrent_name(way), -rc);
}

static int look(uint64_t now)
{
	const char *why;

	if (na_options.harden)
		return refuse("the %s mode is on", "hardened", 0);
	if (open_hold() < 0)
		return -ENOTSUP;
	if (state.looked && now - state.looked < LOOK_NS)
		return 0;
	state.looked = 0;
	if (na_merging_look(&state.limits, &why) < 0)
		return refuse("%s", why, 0);
	state.looked = now;
	state.why[0] = '\0';
	return 0;
}

/* ---- a pass ---- */

static uint64_t figure(const uint64_t *f)
{
	return __atomic_load_n(f, __ATOMIC_RELAXED);
}

static uint64_t gained(void)
{
	return figure(&na_merge_figures.mapped_bytes) - figure(&na_merge_figures.frame_bytes) +
	       figure(&na_merge_figures.purged);
}

/* Rounds over a ring that is longer than what is taken at a time: what was taken comes to its end. */
static uint32_t rounds_for(uint64_t winnable, unsigned int cls)
{
	uint64_t spans = winnable / (na_class_slices(cls) * NA_SLICE) * 2, rounds = spans / state.limits.spans + 1;

	return rounds < ROUNDS_MOST ? (uint32_t)rounds : ROUNDS_MOST;
}

static bool is_over(void)
{
	return state.limits.deadline && (!state.limits.budget->left || na_os_now_ns() >= state.limits.deadline);
}

static uint64_t winnable_of(struct na_cache *c, unsigned int cls)
{
	return na_streams_in(cls) ? 0 : na_merge_winnable_held(c, cls);
}

/* One slice of a class. A round is over when what was claimed has been gone through. What time or the budget has cut short is none, if something came of it, or others have
 * spent the budget; but for a class that fills again meanwhile, which would keep the pass for ever. */
static int merge_some(struct na_cache *c, unsigned int cls)
{
	uint64_t before = figure(&na_merge_figures.mapped_bytes), moved;
	int rc = na_merge_class(c, cls, &state.limits);

	moved = figure(&na_merge_figures.mapped_bytes);
	moved = moved > before ? moved - before : 0;
	if (rc < 0 || !state.limits.more)
		state.rounds = 0;
	else if (!state.limits.cut || (!moved && state.limits.budget->left) || moved > state.work)
		state.rounds--;
	else
		state.work -= moved;
	return rc;
}

/* As far as there is time; the class is through when no rounds are left. */
static int merge_class(struct na_cache *c, unsigned int cls)
{
	uint64_t winnable = state.rounds ? 0 : winnable_of(c, cls);
	int rc = 0;

	if (winnable >= LEAST_WIN) {
		state.rounds = rounds_for(winnable, cls);
		state.work = 2 * winnable;
	}
	while (state.rounds && rc == 0) {
		rc = merge_some(c, cls);
		if (is_over())
			break;
	}
	return rc;
}

/* True: there is more to do. */
static bool walk(int *rc)
{
	struct na_cache *c = state.at ? state.at : na_cache_first();

	for (; c; c = c->next_all, state.cls = 0)
		while (state.cls < NA_CLASSES) {
			*rc = merge_class(c, state.cls);
			state.at = c;
			state.cls += !state.rounds;
			if (*rc < 0)
				return false;
			if (is_over())
				return true;
		}
	state.at = NULL;
	state.cls = 0;
	state.passes++;
	return false;
}

/* Under the lock. */
static bool pass(uint64_t deadline, struct na_move_budget *budget)
{
	const char *name = na_concurrent_name(state.hold.way);
	bool more;
	int rc = 0;

	state.limits.grain = 1;
	state.limits.hold = &state.hold;
	state.limits.deadline = deadline;
	state.limits.budget = budget;
	state.limits.spans = deadline ? SPANS_SLICE : SPANS_WHOLE;
	na_concurrent_restore();
	more = walk(&rc);
	na_os.hold_drop(&state.hold);
	na_concurrent_restore();
	if (rc == -EBADF || rc == -ENOTTY ||
	    rc == -EINVAL) { /* the program has closed it: the next pass opens another */
		na_os.hold_close(&state.hold);
		state.looked = 0;
	}
	if (rc < 0)
		refuse("%s: the system refused a call: error %d", name, -rc);
	return more && rc == 0;
}

uint64_t na_concurrent_run(uint64_t deadline, struct na_move_budget *budget, bool wait, bool *more)
{
	uint64_t began = na_os_now_ns(), before, won;
	int cancel;

	*more = false;
	if (!wanted())
		return 0;
	if (deadline && !budget->left) {
		*more = true;
		return 0;
	}
	if (wait)
		na_lock(&na_merging_lock);
	else if (!na_trylock(&na_merging_lock))
		return 0;
	/* A thread must not end with pages in its hands. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	before = gained();
	if (look(began) == 0)
		*more = pass(deadline, budget);
	won = gained() > before ? gained() - before : 0;
	state.won += won;
	state.ns += na_os_now_ns() - began;
	na_unlock(&na_merging_lock);
	pthread_setcancelstate(cancel, NULL);
	return won;
}

uint64_t na_concurrent_winnable(void)
{
	uint64_t sum = 0;

	if (!wanted() || na_options.harden)
		return 0;
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all)
		for (unsigned int cls = 0; cls < NA_CLASSES; cls++)
			sum += winnable_of(c, cls);
	return sum;
}

void na_concurrent_restore(void)
{
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all)
		if (na_merge_restore(c) < 0)
			return;
}

void na_concurrent_forget(void)
{
	state.hold.aside = NULL; /* not the child's (MADV_DONTFORK), and something else may lie there by now */
	if (state.hold.way)
		na_os.hold_close(&state.hold);
	state.looked = 0;
	state.at = NULL;
	state.cls = state.rounds = 0;
}

void na_concurrent_figures(struct na_concurrent_figures *out)
{
	na_lock(&na_merging_lock);
	*out = (struct na_concurrent_figures){ .way = na_concurrent_name(state.hold.way),
					       .passes = state.passes,
					       .won = state.won,
					       .ns = state.ns,
					       .busy = figure(&na_merge_figures.busy) };
	memcpy(out->why, state.why, sizeof(out->why));
	na_unlock(&na_merging_lock);
}
