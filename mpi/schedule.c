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
	s->at = s->length;
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
	s->offered = true;
	s->at = s->count + NA_SCHEDULE_LAG;
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

/* The next round's length: as many collectives as fit into NA_SCHEDULE_ROUND, at most twice as many as this time. */
static void set_length(struct na_schedule *s, uint64_t took_ns)
{
	uint64_t each = took_ns / s->length, next = each ? NA_SCHEDULE_ROUND / each : 2 * s->length;

	if (next > 2 * s->length)
		next = 2 * s->length;
	if (next < NA_SCHEDULE_LEAST)
		next = NA_SCHEDULE_LEAST;
	if (next > NA_SCHEDULE_MOST)
		next = NA_SCHEDULE_MOST;
	s->length = next;
}

/* What the time since the last decision has earned, less what was spent of it. Returns the time since then. */
static uint64_t earn(struct na_schedule *s, const struct na_offer *all, bool near)
{
	uint64_t elapsed = ~all->not_elapsed_ns, took = elapsed > s->elapsed_ns ? elapsed - s->elapsed_ns : 0,
		 spent = all->spent_ns > s->spent_ns ? all->spent_ns - s->spent_ns : 0,
		 most = CREDIT_WINDOWS * s->rules.window_ns, share = s->rules.share;

	if (near && share < NA_SCHEDULE_MOST_URGENT)
		share = share * NA_SCHEDULE_URGENT < NA_SCHEDULE_MOST_URGENT ? share * NA_SCHEDULE_URGENT
									     : NA_SCHEDULE_MOST_URGENT;
	s->credit_ns += took / 1000 * share;
	s->credit_ns = s->credit_ns > spent ? s->credit_ns - spent : 0;
	if (s->credit_ns > most)
		s->credit_ns = most;
	s->elapsed_ns += took;
	s->spent_ns += spent;
	return took;
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
	uint64_t took;

	memset(out, 0, sizeof(*out));
	s->end = agreement(all);
	if (s->end != NA_SCHEDULE_RUNS) {
		s->at = 0;
		return;
	}
	out->near = all->pressure >= NA_SCHEDULE_NEAR;
	took = earn(s, all, out->near);
	s->at = s->count - NA_SCHEDULE_LAG;
	set_length(s, took);
	s->at += s->length;
	s->offered = false;
	s->round++;
	if (all->gain < NA_SCHEDULE_GAIN)
		return;
	out->waiting = !all->busy;
	if (s->credit_ns < NA_SCHEDULE_SLICE)
		return;
	out->ns = s->credit_ns < s->rules.window_ns ? s->credit_ns : s->rules.window_ns;
	out->mine = gains[me] &&
		    na_schedule_is_chosen(gains, ranks, me, s->rules.tokens ? s->rules.tokens : s->rules.usual);
}
