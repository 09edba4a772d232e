/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When ranks defragment together, for how long, and who: a state machine without communication, clock or memory of its own. Each rank has
 * one and feeds it the same things in the same order, so all come to the same windows. doc/design/coordination.md says why.
 *
 *   count of collectives:   0 ........ length ..... + NA_SCHEDULE_LAG ........ + length .....
 *                                      OFFER        DECIDE  WINDOW  WINDOW ..  OFFER
 *
 * At OFFER the rank starts a reduction of its struct na_offer, field by field by the maximum, and on its node an exchange of gains. At DECIDE,
 * NA_SCHEDULE_LAG counted collectives later, it uses what has come of them. A counted collective is one that no rank leaves
 * before all have entered, and it counts when it is left: so at DECIDE every rank has entered all that lie between, and none waits for
 * the program. What is decided is a plan: a window now, and more of them in collectives of this round, evenly spread, so that
 * a job of few long steps gets its share by one exchange.
 *
 * Invariants: all that a decision rests on is reduced, constant or a former decision; nothing of the rank's own but its place among
 * its node's gains, which says whether it takes part, never whether there is a window. `credit` is within CREDIT_WINDOWS windows of 0, so a
 * job that had nothing to do for hours does not stand still for minutes. A plan ends before the next DECIDE. Integers only.
 *
 * The caller serialises. No allocation. na_schedule_left() is an addition and a comparison.
 */
#ifndef NA_MPI_SCHEDULE_H
#define NA_MPI_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_SCHEDULE_LAG		4    /* collectives from an offer to its use */
#define NA_SCHEDULE_FIRST	16   /* collectives until the first offer */
#define NA_SCHEDULE_LEAST	8    /* from one offer to the next: more than the lag */
#define NA_SCHEDULE_MOST	8192 /* the same: what a job waits at worst after its collectives became rare */
#define NA_SCHEDULE_ROUND	UINT64_C(200000000) /* nanoseconds that a round shall take */
#define NA_SCHEDULE_QUICK	UINT64_C(50000000)  /* the same while some node has little memory left */
#define NA_SCHEDULE_WATCH	700		    /* thousandths of its limit from which on that is so */
#define NA_SCHEDULE_CROWD	200 /* thousandths of a round that windows may take, if there are several */
#define NA_SCHEDULE_PROBE	8   /* rounds from one look at whether ranks wait for each other to the next */
#define NA_SCHEDULE_GAIN	((uint64_t)2 << 20) /* bytes: less on the neediest rank is not worth a window */
#define NA_SCHEDULE_SLICE	UINT64_C(100000)    /* nanoseconds: a shorter window wins nothing */
#define NA_SCHEDULE_NEAR	900 /* thousandths of its limit from which on a node is short of memory */
#define NA_SCHEDULE_URGENT	10  /* then the share is so many times as large, up to MOST_URGENT */
#define NA_SCHEDULE_MOST_URGENT 200 /* thousandths */

/* What must be equal on all ranks, but for `usual`. */
struct na_schedule_rules {
	uint64_t share;	    /* thousandths of the time elapsed */
	uint64_t window_ns; /* of one window at most */
	uint64_t tokens;    /* ranks of a node that work in the same window; 0: `usual` */
	uint64_t usual;	    /* on this node, whose machine may be another than that of others; 0: all */
};

/* What travels: the maximum of each field. What shall be a minimum, or be equal on all ranks, travels as its complement (as
 * well). A field is a complement on all ranks or on none, for MPICH 4.0 compares unsigned words as signed ones (the order among complements is the
 * same, and so is that of small numbers). */
struct na_offer {
	uint64_t round, not_round; /* number of this offer: equal, or somebody counts otherwise */
	uint64_t rules, not_rules; /* a hash of the rules and the version */
	uint64_t gain;		   /* bytes that this rank could win */
	uint64_t pressure;	   /* thousandths of its node's memory that are in use */
	uint64_t spent_ns;	   /* in windows since the last offer: ranks take turns, and the job pays for each */
	uint64_t not_elapsed_ns;   /* since the start */
	uint64_t busy;		   /* 1: several threads may be in MPI here, so nobody uses waiting times */
	uint64_t waited_ns;	   /* in the last waiting time, until the last rank had come: whoever came first */
	uint64_t not_waited_ns;	   /* and who came last, to whom it is what the barrier takes; at most INT64_MAX */
};
#define NA_OFFER_WORDS (sizeof(struct na_offer) / sizeof(uint64_t))

enum na_schedule_act { /* bits: a window may be due in the collective of an offer, which comes first */
		       NA_SCHEDULE_NOTHING,
		       NA_SCHEDULE_OFFER = 1,
		       NA_SCHEDULE_DECIDE = 2,
		       NA_SCHEDULE_WINDOW = 4
};
enum na_schedule_end { NA_SCHEDULE_RUNS, NA_SCHEDULE_RULES_DIFFER, NA_SCHEDULE_COUNTS_DIFFER };

struct na_window {
	uint64_t ns;  /* from when the ranks leave the collective; 0: no window */
	bool mine;    /* this rank takes part */
	bool near;    /* some node is short of memory: whatever the threshold */
	bool waiting; /* those that come early to the next collective use the time */
};

struct na_schedule {
	struct na_schedule_rules rules;
	uint64_t count, at;  /* collectives left; when something is due next. at 0: over */
	uint64_t round_at;   /* when the next OFFER or DECIDE is */
	uint64_t length;     /* of this round, in collectives */
	uint64_t round;	     /* of the offer that is due or under way */
	bool offered;	     /* the next of both is DECIDE */
	uint64_t elapsed_ns; /* as the ranks last agreed */
	int64_t credit_ns; /* below 0: slices took longer than they should, or the program asked for windows; within ten windows either way */
	uint64_t own_ns; /* what this rank had spent at its last offer */
	enum na_schedule_end end;
	/* The plan: `left` more windows, the next at `window_at`, then each `stride` collectives. */
	struct na_window window;
	uint64_t left, window_at, stride;
	uint64_t unseen_ns; /* of it, not yet in what the offer told */
};

void na_schedule_start(struct na_schedule *s, const struct na_schedule_rules *rules);

/* What is due at this count, as bits of enum na_schedule_act. WINDOW: s->window, taken off the plan. */
unsigned int na_schedule_due(struct na_schedule *s);

/* A counted collective was left: what to do now. */
static inline unsigned int na_schedule_left(struct na_schedule *s)
{
	return ++s->count == s->at ? na_schedule_due(s) : NA_SCHEDULE_NOTHING;
}

/* At OFFER: fills the fields that are the schedule's; the caller has filled gain, pressure, not_elapsed_ns, busy, the waited times, and spent_ns
 * with all that this rank has spent since the start. */
void na_schedule_offer(struct na_schedule *s, struct na_offer *mine);

/* At DECIDE: the window that begins now; those that follow by the same plan become due as na_schedule_left() says. `gains` are those of this
 * node's ranks, `me` this rank's place among them. If the ranks disagree, the schedule is over (`end` says why) and there is no window. */
void na_schedule_decide(struct na_schedule *s, const struct na_offer *all, const uint64_t *gains, size_t ranks,
			size_t me, struct na_window *out);

/* Whether gains of others matter to the decision: with room for all ranks of the node no exchange is needed. Equal on the node's ranks
 * if `usual` is. */
bool na_schedule_ranks_compete(const struct na_schedule *s, size_t ranks);

/* How many of the ranks come before `me`: those that could win more, and of equal ones those with a lower number. */
uint64_t na_schedule_place(const uint64_t *gains, size_t ranks, size_t me);
/* Whether it is among the first `tokens`; 0: all are. */
bool na_schedule_is_chosen(const uint64_t *gains, size_t ranks, size_t me, uint64_t tokens);

#endif
