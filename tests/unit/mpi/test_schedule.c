/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The schedule by which ranks agree on windows, driven without MPI: ranks as threads of one simulation, that run ahead of each other as far as
 * collectives that nobody leaves before all have entered let them, with random delays, gains, memory and threads; and what happens where one
 * of them leaves, has other rules, or has counted otherwise. What holds in every state is checked in every state.
 */
#include "support/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/schedule.h"

#define RANKS  6
#define NODE   3 /* ranks of a node */
#define ROUNDS 64
#define MS     UINT64_C(1000000)

static const struct na_schedule_rules rules = { .share = 10, .window_ns = 5 * MS, .tokens = 2 };

struct rank {
	struct na_schedule s;
	uint64_t entered, left; /* collectives */
	uint64_t now, spent;
	uint64_t rounds, windows, granted;
	uint64_t later; /* windows that were not a round's first */
	bool gone;
	bool stuck; /* waits for a reduction that somebody has not posted */
};

static struct rank ranks[RANKS];
static struct na_offer offers[ROUNDS * 64][RANKS];
static uint64_t posted[RANKS];
static struct na_window first[ROUNDS * 64]; /* what the first rank to decide a round came to */
static uint64_t lefts[ROUNDS * 64]; /* and how many more windows */
static bool decided[ROUNDS * 64];
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void start(uint64_t with)
{
	seed = with * UINT64_C(0x9e3779b97f4a7c15) + 1;
	memset(ranks, 0, sizeof(ranks));
	memset(posted, 0, sizeof(posted));
	memset(decided, 0, sizeof(decided));
	for (int r = 0; r < RANKS; r++)
		na_schedule_start(&ranks[r].s, &rules);
}

static bool all_posted(uint64_t round)
{
	for (int r = 0; r < RANKS; r++)
		if (posted[r] <= round)
			return false;
	return true;
}

static struct na_offer reduced(uint64_t round)
{
	struct na_offer all = offers[round][0];
	uint64_t *to = (uint64_t *)&all;

	for (int r = 1; r < RANKS; r++)
		for (size_t i = 0; i < NA_OFFER_WORDS; i++) {
			uint64_t v = ((uint64_t *)&offers[round][r])[i];

			to[i] = v > to[i] ? v : to[i];
		}
	return all;
}

static void post(struct rank *k, int r)
{
	struct na_offer *o = &offers[k->rounds][r];

	memset(o, 0, sizeof(*o));
	o->gain = draw(4) ? draw(64) << 20 : 0;
	o->pressure = draw(8) ? 500 : 950;
	o->spent_ns = k->spent;
	o->not_elapsed_ns = ~k->now;
	o->busy = draw(16) == 0;
	o->waited_ns = draw(2) ? draw(2 * MS) : 0;
	o->not_waited_ns = o->waited_ns ? ~o->waited_ns : ~(uint64_t)INT64_MAX;
	na_schedule_offer(&k->s, o);
	posted[r]++;
	assert_true(k->s.round_at == k->s.count + NA_SCHEDULE_LAG && k->s.at > k->s.count);
}

/* What follows lies in this round, one window in a collective, none longer than the first. */
static void check_plan(const struct na_schedule *s)
{
	assert_true(s->round_at == s->count - NA_SCHEDULE_LAG + s->length);
	if (!s->left)
		return;
	assert_true(s->window.ns == rules.window_ns && s->stride >= 1 && s->window_at == s->count + s->stride);
	assert_true(s->window_at + (s->left - 1) * s->stride < s->round_at + NA_SCHEDULE_LAG);
}

static void check_window(struct rank *k, int r, const struct na_window *w, const struct na_offer *all)
{
	uint64_t round = k->rounds;

	if (!decided[round]) {
		first[round] = *w;
		lefts[round] = k->s.left;
		decided[round] = true;
	}
	assert_int_equal(w->ns, first[round].ns); /* every rank decides the same */
	assert_int_equal(w->waiting, first[round].waiting);
	assert_int_equal(k->s.left, lefts[round]);
	assert_int_equal(w->near, first[round].near);
	assert_true(w->ns <= rules.window_ns && (w->ns == 0 || w->ns >= NA_SCHEDULE_SLICE));
	assert_true(!w->ns || all->gain >= NA_SCHEDULE_GAIN);
	assert_true(!w->mine || (w->ns && offers[round][r].gain));
	assert_true(!w->waiting || !all->busy);
	assert_true(k->s.credit_ns <= (int64_t)(10 * rules.window_ns));
	check_plan(&k->s);
	assert_true(k->s.at > k->s.count && k->s.length >= NA_SCHEDULE_LEAST && k->s.length <= NA_SCHEDULE_MOST);
}

static void pause_in(struct rank *k, const struct na_window *w)
{
	k->windows += w->ns > 0;
	k->granted += w->ns;
	if (w->mine) {
		k->now += w->ns;
		k->spent += draw(3) ? w->ns : w->ns / 2;
	}
}

/* A rank leaves its collective. False: it may not yet. */
static bool decide(struct rank *k, int r)
{
	uint64_t gains[NODE], round = k->rounds;
	struct na_offer all;
	struct na_window w;

	if (!all_posted(round)) {
		k->stuck = true;
		return false;
	}
	k->stuck = false;
	all = reduced(round);
	for (int i = 0; i < NODE; i++)
		gains[i] = offers[round][r / NODE * NODE + i].gain;
	na_schedule_decide(&k->s, &all, gains, NODE, (size_t)(r % NODE), &w);
	if (k->s.end == NA_SCHEDULE_RUNS)
		check_window(k, r, &w, &all);
	k->rounds++;
	pause_in(k, &w);
	return true;
}

/* One step of one rank: it enters its next collective, or leaves the one it is in, if all have entered. */
static bool step(int r)
{
	struct rank *k = &ranks[r];
	struct na_window window;
	unsigned int act;

	if (k->gone || k->rounds >= ROUNDS)
		return false;
	if (k->stuck)
		return decide(k, r);
	if (k->entered == k->left) {
		k->now += draw(3 * MS);
		k->entered++;
		return true;
	}
	for (int i = 0; i < RANKS; i++)
		if (ranks[i].entered < k->entered)
			return false;
	k->left++;
	act = na_schedule_left(&k->s);
	window = k->s.window;
	if (act & NA_SCHEDULE_OFFER)
		post(k, r);
	if (act & NA_SCHEDULE_DECIDE)
		decide(k, r);
	if (act & NA_SCHEDULE_WINDOW) {
		assert_false(act & NA_SCHEDULE_DECIDE);
		k->later++;
		pause_in(k, &window);
	}
	return true;
}

/* Until nobody can do anything: true if all came to the end. */
static bool run(void)
{
	unsigned int idle = 0;

	while (idle < 1000) {
		int r = (int)draw(RANKS);

		for (uint64_t n = draw(12) + 1; n && step(r); n--) /* some run ahead as far as they can */
			idle = 0;
		idle++;
	}
	for (int r = 0; r < RANKS; r++)
		if (ranks[r].rounds < ROUNDS)
			return false;
	return true;
}

static void ranks_decide_the_same_whatever_their_delays(void **state)
{
	uint64_t later = 0;

	(void)state;
	for (uint64_t with = 1; with <= 60; with++) {
		start(with);
		assert_true(run()); /* nobody waits for ever */
		for (int r = 1; r < RANKS; r++) {
			assert_int_equal(ranks[r].windows, ranks[0].windows);
			assert_int_equal(ranks[r].granted, ranks[0].granted);
			assert_int_equal(ranks[r].s.length, ranks[0].s.length);
		}
		assert_true(ranks[0].windows > 0);
		later += ranks[0].later;
	}
	assert_true(later > 0);
}

static void nobody_waits_for_a_reduction_that_is_behind(void **state)
{
	(void)state;
	/* Whoever has left collective n + LAG knows that all have entered it, so have left n and posted. */
	for (uint64_t with = 1; with <= 20; with++) {
		start(with);
		while (ranks[0].rounds < ROUNDS) {
			step((int)draw(RANKS));
			for (int r = 0; r < RANKS; r++)
				assert_false(ranks[r].stuck);
		}
	}
}

static void a_rank_that_leaves_stops_nobody_elsewhere_than_in_a_collective(void **state)
{
	(void)state;
	for (uint64_t with = 1; with <= 40; with++) {
		uint64_t most = 0, least = UINT64_MAX;

		start(with);
		for (uint64_t i = draw(5000); i; i--)
			step((int)draw(RANKS));
		ranks[draw(RANKS)].gone = true;
		assert_false(run());
		for (int r = 0; r < RANKS; r++) {
			most = ranks[r].left > most ? ranks[r].left : most;
			least = ranks[r].left < least ? ranks[r].left : least;
			/* The program's own collective is what holds the others up, never ours. */
			assert_false(ranks[r].stuck);
		}
		assert_true(most - least <= 1);
	}
}

/* A job of one rank that always has something to win, `each` from one collective to the next; what it spent in windows. */
struct alone {
	uint64_t each, elapsed, spent, windows, decisions, longest;
};

static void live(struct alone *a, uint64_t collectives)
{
	struct na_schedule s;
	struct na_offer o = { 0 }, all = { 0 };
	struct na_window w;
	uint64_t gains[1] = { UINT64_C(1) << 30 };

	na_schedule_start(&s, &rules);
	for (uint64_t i = 0; i < collectives; i++) {
		unsigned int act;

		a->elapsed += a->each;
		act = na_schedule_left(&s);
		w = act & NA_SCHEDULE_WINDOW ? s.window : (struct na_window){ 0 };
		if (act & NA_SCHEDULE_OFFER) {
			o = (struct na_offer){ .gain = gains[0], .not_elapsed_ns = ~a->elapsed, .spent_ns = a->spent };
			na_schedule_offer(&s, &o);
			all = o;
		}
		if (act & NA_SCHEDULE_DECIDE) {
			na_schedule_decide(&s, &all, gains, 1, 0, &w);
			a->decisions++;
		}
		assert_true(w.mine == (w.ns > 0));
		a->spent += w.ns;
		a->elapsed += w.ns;
		a->windows += w.ns > 0;
		a->longest = w.ns > a->longest ? w.ns : a->longest;
		/* Never ahead by more than what the last time since an offer has not yet told. */
		assert_true(a->spent <= a->elapsed / 100 + rules.window_ns);
	}
}

static void the_share_of_the_time_is_kept(void **state)
{
	(void)state;
	for (uint64_t each = MS / 10; each <= 400 * MS; each *= 4) {
		struct alone a = { .each = each };

		live(&a, each < 10 * MS ? 40000 : 4000);
		/* Behind by ten windows at most, and by what a round earns before anything is known. */
		assert_true(a.spent + 10 * rules.window_ns + 20 * each / 100 >= a.elapsed / 100);
		assert_true(a.longest <= rules.window_ns);
	}
}

static void jobs_of_long_steps_have_several_windows_a_decision(void **state)
{
	struct alone a = { .each = 1000 * MS };

	(void)state;
	live(&a, 400); /* a second a step earns two windows; there can be one in each collective */
	assert_true(a.windows >= 7 * (a.decisions - 1) && a.windows <= 400);
	assert_true(a.longest == rules.window_ns);
}

static void what_ranks_spend_in_turns_is_added_up(void **state)
{
	struct na_schedule s[2];
	struct na_offer o[2], all;
	struct na_window w;
	uint64_t gains[2] = { UINT64_C(1) << 30, UINT64_C(1) << 30 }, spent[2] = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++)
		na_schedule_start(&s[i], &rules);
	for (uint64_t round = 0; round < 6; round++) { /* each other round one of them works, 3 ms */
		for (int i = 0; i < 2; i++) {
			o[i] = (struct na_offer){ .not_elapsed_ns = ~((round + 1) * 100 * MS), .spent_ns = spent[i] };
			s[i].count = s[i].round_at;
			na_schedule_offer(&s[i], &o[i]);
		}
		assert_int_equal(o[round % 2].spent_ns, 0);
		assert_int_equal(o[(round + 1) % 2].spent_ns, round ? 3 * MS : 0);
		all = o[0];
		all.spent_ns = o[1].spent_ns > all.spent_ns ? o[1].spent_ns : all.spent_ns;
		for (int i = 0; i < 2; i++) {
			s[i].count = s[i].round_at;
			na_schedule_decide(&s[i], &all, gains, 2, (size_t)i, &w);
		}
		spent[round % 2] += 3 * MS;
	}
	/* Six tenths of a second earn 6 ms, five times 3 ms were spent. */
	assert_int_equal(s[0].credit_ns, 6 * (int64_t)MS - 15 * (int64_t)MS);
	assert_int_equal(w.ns, 0);
	/* Five seconds in one go, as a program may ask for: what is owed has an end. */
	all.round = s[0].round;
	all.not_round = ~s[0].round;
	all.spent_ns = 5000 * MS;
	s[0].count = s[0].round_at;
	na_schedule_decide(&s[0], &all, gains, 2, 0, &w);
	assert_int_equal(s[0].credit_ns, -10 * (int64_t)rules.window_ns);
}

static void waiting_is_used_where_ranks_wait(void **state)
{
	struct na_schedule s;
	struct na_offer o;
	struct na_window w;
	uint64_t gains[1] = { UINT64_C(1) << 30 };
	int used[4] = { 0 };

	(void)state;
	for (int way = 0; way < 4; way++) {
		na_schedule_start(&s, &rules);
		for (uint64_t round = 0; round < 4 * NA_SCHEDULE_PROBE; round++) {
			uint64_t waited = way == 1 ? 2 * MS : way == 2 ? MS / 100 : 0, last = way == 3 ? waited : MS / 100;

			o = (struct na_offer){ .gain = gains[0], .not_elapsed_ns = ~(round * 100 * MS), .busy = way == 3 };
			o.waited_ns = waited;
			o.not_waited_ns = ~(waited ? last : INT64_MAX);
			s.count = s.round_at;
			na_schedule_offer(&s, &o);
			s.count = s.round_at;
			na_schedule_decide(&s, &o, gains, 1, 0, &w);
			used[way] += w.waiting;
		}
	}
	assert_int_equal(used[0], 4); /* nobody knows: now and then */
	assert_int_equal(used[1], 4 * NA_SCHEDULE_PROBE);
	assert_int_equal(used[2], 4); /* all come at the same time */
	assert_int_equal(used[3], 0); /* several threads in MPI */
}

/* One round with an offer that came to `all`. */
static enum na_schedule_end ended_with(struct na_schedule *s, struct na_offer *all, struct na_window *w)
{
	uint64_t gains[1] = { UINT64_C(1) << 30 };

	na_schedule_decide(s, all, gains, 1, 0, w);
	return s->end;
}

static void other_rules_or_other_counts_end_it_everywhere(void **state)
{
	struct na_schedule_rules others = rules;
	struct na_schedule a, b;
	struct na_offer mine = { .gain = UINT64_C(1) << 30, .not_elapsed_ns = ~(1000 * MS) }, other = mine, all;
	struct na_window w;

	(void)state;
	others.tokens++;
	na_schedule_start(&a, &rules);
	na_schedule_start(&b, &others);
	na_schedule_offer(&a, &mine);
	na_schedule_offer(&b, &other);
	all = mine;
	for (size_t i = 0; i < NA_OFFER_WORDS; i++)
		if (((uint64_t *)&other)[i] > ((uint64_t *)&all)[i])
			((uint64_t *)&all)[i] = ((uint64_t *)&other)[i];
	assert_int_equal(ended_with(&a, &all, &w), NA_SCHEDULE_RULES_DIFFER);
	assert_true(w.ns == 0 && !w.waiting && a.at == 0);
	assert_int_equal(ended_with(&b, &all, &w), NA_SCHEDULE_RULES_DIFFER);
	for (int i = 0; i < 100; i++)
		assert_int_equal(na_schedule_left(&a), NA_SCHEDULE_NOTHING);

	na_schedule_start(&a, &rules);
	na_schedule_offer(&a, &mine);
	all = mine;
	all.round = 1;
	assert_int_equal(ended_with(&a, &all, &w), NA_SCHEDULE_COUNTS_DIFFER);
	assert_true(w.ns == 0 && a.at == 0);
}

static void those_with_the_most_to_win_come_first(void **state)
{
	const uint64_t gains[5] = { 10, 30, 30, 0, 20 };

	(void)state;
	assert_true(na_schedule_is_chosen(gains, 5, 1, 1));
	assert_false(na_schedule_is_chosen(gains, 5, 2, 1));
	assert_true(na_schedule_is_chosen(gains, 5, 2, 2));
	assert_true(na_schedule_is_chosen(gains, 5, 4, 3));
	assert_false(na_schedule_is_chosen(gains, 5, 0, 3));
	assert_true(na_schedule_is_chosen(gains, 5, 3, 0));
	for (uint64_t with = 1; with <= 500; with++) {
		uint64_t many[9], tokens = with % 9 + 1, chosen = 0;

		seed = with;
		for (int i = 0; i < 9; i++)
			many[i] = draw(5);
		for (size_t i = 0; i < 9; i++)
			chosen += na_schedule_is_chosen(many, 9, i, tokens);
		assert_int_equal(chosen, tokens);
	}
}

static void rounds_follow_the_pace_of_collectives(void **state)
{
	struct na_schedule s;
	struct na_offer o = { 0 };
	struct na_window w;
	uint64_t gains[1] = { 0 }, elapsed = 0;

	(void)state;
	na_schedule_start(&s, &rules);
	for (int round = 0; round < 40; round++) { /* a collective takes 100 us, then a second */
		uint64_t each = round < 20 ? MS / 10 : 1000 * MS;

		elapsed += s.length * each;
		o.not_elapsed_ns = ~elapsed;
		na_schedule_offer(&s, &o);
		o.pressure = round == 18 || round == 19 ? NA_SCHEDULE_WATCH : 0;
		s.count = s.at;
		na_schedule_decide(&s, &o, gains, 1, 0, &w);
		assert_true(w.ns == 0); /* nothing to win */
		if (round == 17)
			assert_int_equal(s.length, 2000);
		if (round == 19) /* little memory left */
			assert_int_equal(s.length, 500);
	}
	assert_int_equal(s.length, NA_SCHEDULE_LEAST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranks_decide_the_same_whatever_their_delays),
		cmocka_unit_test(nobody_waits_for_a_reduction_that_is_behind),
		cmocka_unit_test(a_rank_that_leaves_stops_nobody_elsewhere_than_in_a_collective),
		cmocka_unit_test(the_share_of_the_time_is_kept),
		cmocka_unit_test(jobs_of_long_steps_have_several_windows_a_decision),
		cmocka_unit_test(what_ranks_spend_in_turns_is_added_up),
		cmocka_unit_test(waiting_is_used_where_ranks_wait),
		cmocka_unit_test(other_rules_or_other_counts_end_it_everywhere),
		cmocka_unit_test(those_with_the_most_to_win_come_first),
		cmocka_unit_test(rounds_follow_the_pace_of_collectives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
