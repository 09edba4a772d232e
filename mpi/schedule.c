/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/schedule.h"

#include <string.h>

#include "report/lower.h"

#define CREDIT_WINDOWS 10

void na_schedule_start(struct na_schedule *s, const struct na_schedule_rules *rules)
{
	memset(s, 0, sizeof(*s));
	s->rules = *rules;
	s->length = NA_SCHEDULE_FIRST;
	s->round_at = s->length;
	s->at = s->length;
}

static void set_next(struct na_schedule *s)
{
	s->at = s->left && s->window_at < s->round_at ? s->window_at : s->round_at;
}

unsigned int na_schedule_due(struct na_schedule *s)
{
	unsigned int acts = NA_SCHEDULE_NOTHING;

	if (s->count == s->round_at)
		acts |= s->offered ? NA_SCHEDULE_DECIDE : NA_SCHEDULE_OFFER;
	if (s->left && s->count == s->window_at) {
		acts |= NA_SCHEDULE_WINDOW;
		s->left--;
		s->window_at += s->stride;
		if (s->offered || acts & NA_SCHEDULE_OFFER)
			s->unseen_ns += s->window.ns;
	}
	set_next(s);
	return acts;
}

void na_schedule_offer(struct na_schedule *s, struct na_offer *mine)
{
	const uint64_t rules[] = { s->rules.share, s->rules.window_ns, s->rules.tokens,
				   NA_OFFER_WORDS << 8 | NA_SCHEDULE_LAG };
	uint64_t hash = na_hash(NA_HASH_START, rules, sizeof(rules));

	mine->round = s->round;
	mine->not_round = ~s->round;
	mine->rules = hash;
	mine->not_rules = ~hash;
	mine->spent_ns -= s->own_ns;
	s->own_ns += mine->spent_ns;
	s->offered = true;
	s->round_at = s->count + NA_SCHEDULE_LAG;
	set_next(s);
}

uint64_t na_schedule_place(const uint64_t *gains, size_t ranks, size_t me)
{
	uint64_t before = 0;

	for (size_t i = 0; i < ranks; i++)
		before += gains[i] > gains[me] || (gains[i] == gains[me] && i < me);
	return before;
}

bool na_schedule_is_chosen(const uint64_t *gains, size_t ranks, size_t me, uint64_t tokens)
{
	return tokens == 0 || na_schedule_place(gains, ranks, me) < tokens;
}

bool na_schedule_ranks_compete(const struct na_schedule *s, size_t ranks)
{
	uint64_t tokens = s->rules.tokens ? s->rules.tokens : s->rules.usual;

	return tokens && tokens < ranks;
}

/* The next round's length: as many collectives as fit into it, at most twice as many as this time. Returns how long one took. */
static uint64_t set_length(struct na_schedule *s, uint64_t took_ns, bool quick)
{
	uint64_t each = took_ns / s->length, next = 2 * s->length;

	if (each && next > (quick ? NA_SCHEDULE_QUICK : NA_SCHEDULE_ROUND) / each)
		next = (quick ? NA_SCHEDULE_QUICK : NA_SCHEDULE_ROUND) / each;
	if (next < NA_SCHEDULE_LEAST)
		next = NA_SCHEDULE_LEAST;
	if (next > NA_SCHEDULE_MOST)
		next = NA_SCHEDULE_MOST;
	s->length = next;
	return each;
}

/* What the time since the last decision has earned, less what was spent of it. Returns the time since then. */
static uint64_t earn(struct na_schedule *s, const struct na_offer *all, bool near)
{
	uint64_t elapsed = ~all->not_elapsed_ns, took = elapsed > s->elapsed_ns ? elapsed - s->elapsed_ns : 0,
		 share = s->rules.share;
	int64_t most = (int64_t)(CREDIT_WINDOWS * s->rules.window_ns);

	if (near && share < NA_SCHEDULE_MOST_URGENT)
		share = share * NA_SCHEDULE_URGENT < NA_SCHEDULE_MOST_URGENT ? share * NA_SCHEDULE_URGENT
									     : NA_SCHEDULE_MOST_URGENT;
	s->credit_ns += (int64_t)(took / 1000 * share) - (int64_t)all->spent_ns;
	if (s->credit_ns > most)
		s->credit_ns = most;
	if (s->credit_ns < -most)
		s->credit_ns = -most;
	s->elapsed_ns += took;
	return took;
}

/* How many windows of `ns` the credit is worth in the round that begins, whose collectives take `each`; and how far apart. */
static void plan(struct na_schedule *s, uint64_t credit, uint64_t ns, uint64_t each)
{
	uint64_t many = credit / ns, room = s->length * each / 1000 * NA_SCHEDULE_CROWD / ns;

	if (many > room)
		many = room;
	if (many > s->length)
		many = s->length;
	s->stride = many > 1 ? s->length / many : s->length;
	s->left = many > 1 ? many - 1 : 0;
	s->window_at = s->count + s->stride;
}

/* Whether those that come early shall say so next time: it takes a barrier, and is worth it if the first of them waits for longer than the last one
 * is kept by it. Where nobody knows, it is tried now and then. */
static bool worth_waiting(const struct na_schedule *s, const struct na_offer *all)
{
	uint64_t first = all->waited_ns, last = ~all->not_waited_ns;

	if (all->busy)
		return false;
	return s->round % NA_SCHEDULE_PROBE == 1 || (first >= NA_SCHEDULE_SLICE && first / 4 >= last);
}

static enum na_schedule_end agreement(const struct na_offer *all)
{
	if (all->rules != ~all->not_rules)
		return NA_SCHEDULE_RULES_DIFFER;
	return all->round == ~all->not_round ? NA_SCHEDULE_RUNS : NA_SCHEDULE_COUNTS_DIFFER;
}

void na_schedule_decide(struct na_schedule *s, const struct na_offer *all, const uint64_t *gains, size_t ranks,
			size_t me, struct na_window *out)
{
	uint64_t each, credit;

	memset(out, 0, sizeof(*out));
	s->left = 0;
	s->end = agreement(all);
	if (s->end != NA_SCHEDULE_RUNS) {
		s->at = s->round_at = 0;
		return;
	}
	out->near = all->pressure >= NA_SCHEDULE_NEAR;
	s->round_at = s->count - NA_SCHEDULE_LAG;
	each = set_length(s, earn(s, all, out->near), all->pressure >= NA_SCHEDULE_WATCH);
	s->round_at += s->length;
	s->offered = false;
	s->round++;
	credit = s->credit_ns > (int64_t)s->unseen_ns ? (uint64_t)s->credit_ns - s->unseen_ns : 0;
	s->unseen_ns = 0;
	if (all->gain >= NA_SCHEDULE_GAIN) {
		out->waiting = worth_waiting(s, all);
		out->ns = credit < s->rules.window_ns ? credit : s->rules.window_ns;
		if (out->ns < NA_SCHEDULE_SLICE)
			out->ns = 0;
	}
	if (out->ns) {
		out->mine = gains[me] && (!na_schedule_ranks_compete(s, ranks) ||
					  na_schedule_is_chosen(gains, ranks, me,
								s->rules.tokens ? s->rules.tokens : s->rules.usual));
		plan(s, credit, out->ns, each);
	}
	s->window = *out;
	set_next(s);
}
