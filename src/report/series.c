/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/series.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "heap/snapshot.h"

/* Of two values within one bin: the larger that is known. */
static uint64_t larger(uint64_t a, uint64_t b)
{
	if (a == NA_UNKNOWN)
		return b;
	if (b == NA_UNKNOWN)
		return a;
	return a > b ? a : b;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	uint64_t sum;

	if (a == NA_UNKNOWN || b == NA_UNKNOWN || __builtin_add_overflow(a, b, &sum))
		return NA_UNKNOWN;
	return sum;
}

void na_series_init(struct na_series *s)
{
	memset(s, 0, sizeof(*s));
	s->shift = NA_SERIES_SHIFT;
}

void na_series_widen(struct na_series *s, uint32_t shift)
{
	uint32_t by, kept = 0;
	uint64_t first;

	if (shift > NA_SERIES_MOST)
		shift = NA_SERIES_MOST;
	if (shift <= s->shift)
		return;
	by = shift - s->shift;
	first = s->first >> by;
	for (uint32_t i = 0; i < s->count; i++) {
		uint32_t to = (uint32_t)(((s->first + i) >> by) - first);
		bool fresh = to == kept;

		s->live[to] = fresh ? s->live[i] : larger(s->live[to], s->live[i]);
		s->physical[to] = fresh ? s->physical[i] : larger(s->physical[to], s->physical[i]);
		kept = to + 1;
	}
	memset(s->live + kept, 0, (NA_SERIES_BINS - kept) * sizeof(s->live[0]));
	memset(s->physical + kept, 0, (NA_SERIES_BINS - kept) * sizeof(s->physical[0]));
	s->first = first;
	s->count = kept;
	s->shift = shift;
}

/* Makes the series wide enough for a moment that comes after its first bin. */
static void make_room(struct na_series *s, uint64_t ms)
{
	while (s->shift < NA_SERIES_MOST && (ms >> s->shift) - s->first >= NA_SERIES_BINS)
		na_series_widen(s, s->shift + 1);
}

void na_series_add(struct na_series *s, uint64_t ms, uint64_t live, uint64_t physical)
{
	uint64_t before_live = s->last_live, before_physical = s->last_physical;
	uint32_t last, at;

	s->last_live = live;
	s->last_physical = physical;
	if (s->count == 0) {
		s->first = ms >> s->shift;
		s->live[0] = live;
		s->physical[0] = physical;
		s->count = 1;
		return;
	}
	last = s->count - 1;
	if (ms >> s->shift <= s->first + last) { /* the last bin, or a clock that was set back */
		s->live[last] = larger(s->live[last], live);
		s->physical[last] = larger(s->physical[last], physical);
		return;
	}
	make_room(s, ms);
	last = s->count - 1;
	at = (uint32_t)((ms >> s->shift) - s->first);
	if (at >= NA_SERIES_BINS) /* beyond the widest axis: a damaged clock */
		at = NA_SERIES_BINS - 1;
	if (at <= last) { /* the widening joined it with the last bin */
		s->live[last] = larger(s->live[last], live);
		s->physical[last] = larger(s->physical[last], physical);
		return;
	}
	for (uint32_t i = last + 1; i < at; i++) {
		s->live[i] = larger(before_live, live);
		s->physical[i] = larger(before_physical, physical);
	}
	s->live[at] = live;
	s->physical[at] = physical;
	s->count = at + 1;
}

void na_series_raise(struct na_series *s, uint64_t from_ms, uint64_t to_ms, uint64_t live)
{
	uint64_t from = from_ms >> s->shift, to = to_ms >> s->shift;

	for (uint32_t i = 0; i < s->count; i++)
		if (s->first + i >= from && s->first + i <= to && s->live[i] < live)
			s->live[i] = live;
}

static void shift_right(struct na_series *s, uint32_t by)
{
	if (by == 0)
		return;
	memmove(s->live + by, s->live, s->count * sizeof(s->live[0]));
	memmove(s->physical + by, s->physical, s->count * sizeof(s->physical[0]));
	memset(s->live, 0, by * sizeof(s->live[0]));
	memset(s->physical, 0, by * sizeof(s->physical[0]));
	s->first -= by;
	s->count += by;
}

void na_series_sum(struct na_series *into, const struct na_series *other)
{
	struct na_series add;
	struct na_axis axis, theirs;
	uint32_t offset;

	into->last_live = into->last_physical = 0;
	if (other->count == 0) {
		na_series_widen(into, other->shift);
		return;
	}
	add = *other;
	add.last_live = add.last_physical = 0;
	if (into->count == 0) {
		uint32_t shift = into->shift;

		*into = add;
		na_series_widen(into, shift);
		return;
	}
	axis = na_axis_of(into);
	theirs = na_axis_of(other);
	na_axis_join(&axis, &theirs);
	na_series_widen(into, na_axis_shift(&axis));
	na_series_widen(&add, into->shift);
	if (add.first < into->first && into->first - add.first < NA_SERIES_BINS)
		shift_right(into, (uint32_t)(into->first - add.first));
	if (add.first < into->first || add.first - into->first >= NA_SERIES_BINS)
		return; /* even the widest axis cannot hold both: a damaged clock */
	offset = (uint32_t)(add.first - into->first);
	for (uint32_t i = 0; i < add.count && offset + i < NA_SERIES_BINS; i++) {
		into->live[offset + i] = plus(into->live[offset + i], add.live[i]);
		into->physical[offset + i] = plus(into->physical[offset + i], add.physical[i]);
	}
	if (offset + add.count > into->count)
		into->count = offset + add.count;
}

static uint64_t peak(const uint64_t *values, uint32_t count)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < count; i++)
		if (values[i] > most)
			most = values[i]; /* NA_UNKNOWN is the largest of all */
	return most;
}

uint64_t na_series_peak_live(const struct na_series *s)
{
	return peak(s->live, s->count);
}

uint64_t na_series_peak_physical(const struct na_series *s)
{
	return peak(s->physical, s->count);
}

void na_axis_init(struct na_axis *a)
{
	*a = (struct na_axis){ .begin_ms = UINT64_MAX, .end_ms = 0, .shift = NA_SERIES_SHIFT };
}

void na_axis_join(struct na_axis *a, const struct na_axis *other)
{
	if (other->begin_ms < a->begin_ms)
		a->begin_ms = other->begin_ms;
	if (other->end_ms > a->end_ms)
		a->end_ms = other->end_ms;
	if (other->shift > a->shift)
		a->shift = other->shift;
}

struct na_axis na_axis_of(const struct na_series *s)
{
	struct na_axis a;

	na_axis_init(&a);
	a.shift = s->shift;
	if (s->count) {
		a.begin_ms = s->first << s->shift;
		a.end_ms = (s->first + s->count) << s->shift;
	}
	return a;
}

uint32_t na_axis_shift(const struct na_axis *a)
{
	uint32_t shift = a->shift;

	if (a->begin_ms >= a->end_ms)
		return shift;
	while (shift < NA_SERIES_MOST && ((a->end_ms - 1) >> shift) - (a->begin_ms >> shift) >= NA_SERIES_BINS)
		shift++;
	return shift;
}

int na_series_check(const struct na_series *s)
{
	if (s->shift > NA_SERIES_MOST || s->count > NA_SERIES_BINS)
		return -EINVAL;
	if (s->count && (s->first + s->count) > (UINT64_MAX >> s->shift))
		return -EINVAL;
	return 0;
}
