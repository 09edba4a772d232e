/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The protocol of pins and the mover, in all interleavings: a model of it, step by step as in pins.c, move.c and movable.h, on processors with store
 * buffers (x86: a thread's stores reach memory later, in order; a load sees the thread's own first). Every reachable state is
 * visited; in each must hold: while a pin is held, its block lies where the pin says, and nobody gives that place away.
 *
 * The model is worth something if it finds what is wrong when a step is left out: so each of those protocols is run as well, and must fail.
 *
 * One block. Two threads pin and unpin twice (one by the slot, the short or the long way; the other by a slot or by the count), the mover
 * moves it twice, with the kernel's barrier or with fenced pins. A place that the mover has left is "freed": a pin that is held on it is the fault.
 */
#include "support/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_WAY, LONG_WAY, COUNT_WAY };
enum { NO_FAULT, NO_BARRIER, NO_SCAN, NO_COUNT, SCAN_FIRST, BLIND_PUBLISH, LATE_BYTES, COUNTS_FIRST_AT_EXIT };

struct setting {
	int way[2];
	bool fences;  /* the mover fences pins instead of calling the kernel each time */
	bool exits;   /* thread 0 ends with its pin held: it becomes a count */
	int fault;
};

#define BUFFER 4
/* where: place * 2 + taken */
enum { WHERE, SLOT0, SLOT1, COUNT, BYTES, WORDS };

struct state {
	signed char memory[WORDS];
	struct {
		signed char word[BUFFER], value[BUFFER], n;
	} buffer[2];
	signed char pc[3], round[3];
	signed char holds[2];	/* the place that the thread has pinned; -1: none */
	signed char seen[3];	/* a register each */
	signed char slots_seen; /* the mover: a pin was found */
	signed char freed;	/* bits of places that were given away */
	signed char next;	/* the place that the mover copies to */
};

static struct setting now;
static unsigned char *visited; /* a hash set of states, open addressing */
static struct state *table;
static size_t room, count;
static bool failed;

static size_t hash(const struct state *s)
{
	const unsigned char *p = (const unsigned char *)s;
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ p[i]) * 1099511628211u;
	return (size_t)(h ^ h >> 29);
}

static bool is_new(const struct state *s)
{
	size_t i = hash(s) & (room - 1);

	while (visited[i]) {
		if (memcmp(&table[i], s, sizeof(*s)) == 0)
			return false;
		i = (i + 1) & (room - 1);
	}
	visited[i] = 1;
	table[i] = *s;
	if (++count > room / 2)
		abort();
	return true;
}

static signed char load(const struct state *s, int t, int word)
{
	if (t < 2)
		for (int i = s->buffer[t].n; i-- > 0;)
			if (s->buffer[t].word[i] == word)
				return s->buffer[t].value[i];
	return s->memory[word];
}

/* False: the buffer is full, and something must reach memory first. */
static bool store(struct state *s, int t, int word, signed char value)
{
	int n = s->buffer[t].n;

	if (n == BUFFER)
		return false;
	s->buffer[t].word[n] = (signed char)word;
	s->buffer[t].value[n] = value;
	s->buffer[t].n++;
	return true;
}

static void drain_one(struct state *s, int t)
{
	s->memory[s->buffer[t].word[0]] = s->buffer[t].value[0];
	for (int i = 1; i < s->buffer[t].n; i++) {
		s->buffer[t].word[i - 1] = s->buffer[t].word[i];
		s->buffer[t].value[i - 1] = s->buffer[t].value[i];
	}
	s->buffer[t].n--;
	s->buffer[t].word[(int)s->buffer[t].n] = s->buffer[t].value[(int)s->buffer[t].n] = 0;
}

static void drain(struct state *s, int t)
{
	while (s->buffer[t].n)
		drain_one(s, t);
}

static bool explore(const struct state *s);

/* Thread t holds a place. */
static void hold(struct state *s, int t, int place)
{
	s->holds[t] = (signed char)place;
	if (s->freed >> place & 1)
		failed = true;
}

/* One step of a thread that pins. Returns false where it cannot go. */
static bool step_pin(struct state *s, int t)
{
	int slot = t == 0 ? SLOT0 : SLOT1, way = now.way[t];
	signed char where;

	switch (s->pc[t]) {
	case 0: /* the short way: load bytes first is the fault */
		if (s->round[t] == 2)
			return false;
		s->seen[t] = now.fault == LATE_BYTES ? load(s, t, BYTES) : -1;
		s->pc[t] = way == COUNT_WAY ? 10 : 1;
		return true;
	case 1:
		if (!store(s, t, slot, 1))
			return false;
		s->pc[t] = way == SHORT_WAY ? 2 : 6;
		return true;
	case 2:
		if (now.fault != LATE_BYTES)
			s->seen[t] = load(s, t, BYTES);
		s->pc[t] = s->seen[t] ? 3 : 5;
		return true;
	case 3:
		where = load(s, t, WHERE);
		if (where & 1) {
			s->pc[t] = 5;
		} else {
			hold(s, t, where / 2);
			s->pc[t] = 20;
		}
		return true;
	case 5: /* gives the slot up, and goes the long way */
		if (!store(s, t, slot, 0))
			return false;
		s->pc[t] = 4;
		return true;
	case 4:
		if (!store(s, t, slot, 1))
			return false;
		s->pc[t] = 6;
		return true;
	case 6: /* the fence */
		if (s->buffer[t].n)
			return false;
		s->pc[t] = 7;
		return true;
	case 10: /* the count: an atomic operation */
		drain(s, t);
		s->memory[COUNT]++;
		s->pc[t] = 7;
		return true;
	case 7:
		s->seen[t] = load(s, t, WHERE);
		s->pc[t] = 8;
		return true;
	case 8: /* HERE, or a compare-and-swap that makes it so */
		if (!(s->seen[t] & 1)) {
			hold(s, t, s->seen[t] / 2);
			s->pc[t] = 20;
			return true;
		}
		drain(s, t);
		if (s->memory[WHERE] == s->seen[t]) {
			s->memory[WHERE] &= ~1;
			hold(s, t, s->seen[t] / 2);
			s->pc[t] = 20;
		} else {
			s->pc[t] = 7;
		}
		return true;
	case 20: /* unpins; or ends, and the pin becomes a count */
		if (now.exits && t == 0) {
			s->pc[t] = now.fault == COUNTS_FIRST_AT_EXIT ? 22 : 21;
			return true;
		}
		s->holds[t] = -1;
		if (way == COUNT_WAY) {
			drain(s, t);
			s->memory[COUNT]--;
		} else if (!store(s, t, slot, 0)) {
			return false;
		}
		s->round[t]++;
		s->pc[t] = 0;
		s->seen[t] = 0;
		return true;
	case 21: /* the count first */
		drain(s, t);
		s->memory[COUNT]++;
		s->pc[t] = 23;
		return true;
	case 23:
		if (!store(s, t, slot, 0))
			return false;
		s->pc[t] = 30;
		return true;
	case 22: /* the fault: the slot first */
		if (!store(s, t, slot, 0))
			return false;
		s->pc[t] = 24;
		return true;
	case 24:
		drain(s, t);
		s->memory[COUNT]++;
		s->pc[t] = 30;
		return true;
	default:
		return false;
	}
}

/* The mover: its stores are all atomic operations, so it needs no buffer. */
static bool step_mover(struct state *s)
{
	switch (s->pc[2]) {
	case 0:
		if (s->round[2] == 2)
			return false;
		s->slots_seen = 0;
		if (now.fences && s->memory[BYTES]) {
			s->memory[BYTES] = 0;
			s->pc[2] = 1;
		} else {
			s->pc[2] = 2;
		}
		return true;
	case 1: /* one barrier, when pins are fenced from now on */
		drain(s, 0);
		drain(s, 1);
		s->pc[2] = 2;
		return true;
	case 2:
		if (s->memory[WHERE] & 1)
			return false;
		s->seen[2] = s->memory[WHERE];
		if (now.fault == SCAN_FIRST) {
			s->pc[2] = 4;
			return true;
		}
		s->memory[WHERE] |= 1;
		s->pc[2] = 3;
		return true;
	case 3: /* the kernel's barrier */
		if (!now.fences && now.fault != NO_BARRIER) {
			drain(s, 0);
			drain(s, 1);
		}
		s->pc[2] = 4;
		return true;
	case 4:
		s->slots_seen |= now.fault != NO_SCAN && s->memory[SLOT0];
		s->pc[2] = 5;
		return true;
	case 5:
		s->slots_seen |= now.fault != NO_SCAN && s->memory[SLOT1];
		s->pc[2] = 6;
		return true;
	case 6:
		s->slots_seen |= now.fault != NO_COUNT && s->memory[COUNT] > 0;
		s->pc[2] = 7;
		if (now.fault == SCAN_FIRST && !s->slots_seen) {
			s->memory[WHERE] |= 1;
			drain(s, 0);
			drain(s, 1);
		}
		return true;
	case 7: /* pinned: given back, by compare-and-swap */
		if (!s->slots_seen) {
			s->pc[2] = 8;
			return true;
		}
		if (s->memory[WHERE] == (s->seen[2] | 1))
			s->memory[WHERE] = s->seen[2];
		s->pc[2] = 0;
		s->round[2]++;
		return true;
	case 8: /* the copy is made; publish, and the old place is given away */
		if (now.fault != BLIND_PUBLISH && s->memory[WHERE] != (s->seen[2] | 1)) {
			s->pc[2] = 0;
			s->round[2]++;
			return true;
		}
		s->memory[WHERE] = (signed char)(s->next * 2);
		s->pc[2] = 9;
		return true;
	case 9:
		s->freed = (signed char)(s->freed | 1 << (s->seen[2] / 2));
		for (int t = 0; t < 2; t++)
			if (s->holds[t] == s->seen[2] / 2)
				failed = true;
		s->next++;
		s->round[2]++;
		s->pc[2] = 0;
		return true;
	default:
		return false;
	}
}

static bool explore(const struct state *s)
{
	if (failed || !is_new(s))
		return !failed;
	for (int t = 0; t < 2 && !failed; t++) {
		struct state next = *s;

		if (step_pin(&next, t) && !failed)
			explore(&next);
		if (s->buffer[t].n && !failed) {
			next = *s;
			drain_one(&next, t);
			explore(&next);
		}
	}
	if (!failed) {
		struct state next = *s;

		if (step_mover(&next) && !failed)
			explore(&next);
	}
	return !failed;
}

/* Whether the protocol holds in every interleaving; the number of states in *states. */
static bool holds(struct setting setting, size_t *states)
{
	struct state start;

	now = setting;
	failed = false;
	count = 0;
	memset(&start, 0, sizeof(start));
	start.memory[BYTES] = 1;
	start.holds[0] = start.holds[1] = -1;
	start.next = 1;
	memset(visited, 0, room);
	explore(&start);
	*states = count;
	return !failed;
}

static const int ways[] = { SHORT_WAY, LONG_WAY, COUNT_WAY };

static void a_pinned_block_never_moves_in_any_interleaving(void **unused)
{
	size_t states, all = 0;

	(void)unused;
	for (int a = 0; a < 3; a++)
		for (int b = 0; b < 3; b++)
			for (int fences = 0; fences < 2; fences++) {
				assert_true(holds((struct setting){ { ways[a], ways[b] }, fences, false, NO_FAULT },
						  &states));
				all += states;
			}
	for (int fences = 0; fences < 2; fences++) {
		assert_true(holds((struct setting){ { SHORT_WAY, LONG_WAY }, fences, true, NO_FAULT }, &states));
		all += states;
	}
	printf("%zu states\n", all);
}

static void each_step_that_is_left_out_is_found(void **unused)
{
	size_t states;

	(void)unused;
	assert_false(holds((struct setting){ { SHORT_WAY, LONG_WAY }, false, false, NO_BARRIER }, &states));
	assert_false(holds((struct setting){ { SHORT_WAY, LONG_WAY }, false, false, NO_SCAN }, &states));
	assert_false(holds((struct setting){ { COUNT_WAY, LONG_WAY }, false, false, NO_COUNT }, &states));
	assert_false(holds((struct setting){ { SHORT_WAY, LONG_WAY }, false, false, SCAN_FIRST }, &states));
	assert_false(holds((struct setting){ { LONG_WAY, LONG_WAY }, false, false, BLIND_PUBLISH }, &states));
	assert_false(holds((struct setting){ { SHORT_WAY, SHORT_WAY }, true, false, LATE_BYTES }, &states));
	assert_false(holds((struct setting){ { SHORT_WAY, LONG_WAY }, false, true, COUNTS_FIRST_AT_EXIT }, &states));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pinned_block_never_moves_in_any_interleaving),
		cmocka_unit_test(each_step_that_is_left_out_is_found),
	};

	room = (size_t)1 << 21;
	visited = malloc(room);
	table = malloc(room * sizeof(*table));
	if (!visited || !table)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
