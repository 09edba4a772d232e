/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/series.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "heap/snapshot.h"

const char *const na_quantity_names[NA_QUANTITIES] = { "live_bytes", "physical_bytes", "requested_bytes",
						       "compressed_bytes", "misplaced_bytes" };

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

		if (fresh || s->value[NA_SERIES_LIVE][i] > s->value[NA_SERIES_LIVE][to])
			s->phase[to] = s->phase[i];
		for (unsigned int q = 0; q < NA_QUANTITIES; q++)
			s->value[q][to] = fresh ? s->value[q][i] : larger(s->value[q][to], s->value[q][i]);
		kept = to + 1;
	}
	for (unsigned int q = 0; q < NA_QUANTITIES; q++)
		memset(s->value[q] + kept, 0, (NA_SERIES_BINS - kept) * sizeof(s->value[q][0]));
	memset(s->phase + kept, 0, NA_SERIES_BINS - kept);
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

static void raise_bin(struct na_series *s, uint32_t at, const uint64_t now[NA_QUANTITIES], unsigned int phase)
{
	if (now[NA_SERIES_LIVE] > s->value[NA_SERIES_LIVE][at])
		s->phase[at] = (uint8_t)phase;
	for (unsigned int q = 0; q < NA_QUANTITIES; q++)
		s->value[q][at] = larger(s->value[q][at], now[q]);
}

static void set_bin(struct na_series *s, uint32_t at, const uint64_t now[NA_QUANTITIES], unsigned int phase)
{
	for (unsigned int q = 0; q < NA_QUANTITIES; q++)
		s->value[q][at] = now[q];
	s->phase[at] = (uint8_t)phase;
}

void na_series_add_all(struct na_series *s, uint64_t ms, const uint64_t now[NA_QUANTITIES], unsigned int phase)
{
	uint64_t between[NA_QUANTITIES];
	uint32_t last, at;

	for (unsigned int q = 0; q < NA_QUANTITIES; q++) {
		between[q] = larger(s->last[q], now[q]);
		s->last[q] = now[q];
	}
	if (s->count == 0) {
		s->first = ms >> s->shift;
		set_bin(s, 0, now, phase);
		s->count = 1;
		return;
	}
	last = s->count - 1;
	if (ms >> s->shift <= s->first + last) { /* the last bin, or a clock that was set back */
		raise_bin(s, last, now, phase);
		return;
	}
	make_room(s, ms);
	last = s->count - 1;
	at = (uint32_t)((ms >> s->shift) - s->first);
	if (at >= NA_SERIES_BINS) /* beyond the widest axis: a damaged clock */
		at = NA_SERIES_BINS - 1;
	if (at <= last) { /* the widening joined it with the last bin */
		raise_bin(s, last, now, phase);
		return;
	}
	for (uint32_t i = last + 1; i < at; i++)
		set_bin(s, i, between, s->phase[last]);
	set_bin(s, at, now, phase);
	s->count = at + 1;
}

void na_series_raise(struct na_series *s, uint64_t from_ms, uint64_t to_ms, uint64_t live)
{
	uint64_t from = from_ms >> s->shift, to = to_ms >> s->shift;

	for (uint32_t i = 0; i < s->count; i++)
		if (s->first + i >= from && s->first + i <= to && s->value[NA_SERIES_LIVE][i] < live)
			s->value[NA_SERIES_LIVE][i] = live;
}

static void shift_right(struct na_series *s, uint32_t by)
{
	if (by == 0)
		return;
	for (unsigned int q = 0; q < NA_QUANTITIES; q++) {
		memmove(s->value[q] + by, s->value[q], s->count * sizeof(s->value[q][0]));
		memset(s->value[q], 0, by * sizeof(s->value[q][0]));
	}
	s->first -= by;
	s->count += by;
}

/* What only a process's own series has. */
static void make_sum(struct na_series *s)
{
	memset(s->last, 0, sizeof(s->last));
	memset(s->phase, 0, sizeof(s->phase));
}

void na_series_sum(struct na_series *into, const struct na_series *other)
{
	struct na_series add;
	struct na_axis axis, theirs;
	uint32_t offset;

	make_sum(into);
	if (other->count == 0) {
		na_series_widen(into, other->shift);
		return;
	}
	add = *other;
	make_sum(&add);
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
	for (unsigned int q = 0; q < NA_QUANTITIES; q++)
		for (uint32_t i = 0; i < add.count && offset + i < NA_SERIES_BINS; i++)
			into->value[q][offset + i] = plus(into->value[q][offset + i], add.value[q][i]);
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
	return peak(s->value[NA_SERIES_LIVE], s->count);
}

uint64_t na_series_peak_physical(const struct na_series *s)
{
	return peak(s->value[NA_SERIES_PHYSICAL], s->count);
}

uint32_t na_series_fullest(const struct na_series *s)
{
	uint32_t at = 0;

	for (uint32_t i = 1; i < s->count; i++)
		if (s->value[NA_SERIES_LIVE][i] > s->value[NA_SERIES_LIVE][at])
			at = i;
	return at;
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
	if (other->most > a->most)
		a->most = other->most;
}

struct na_axis na_axis_of(const struct na_series *s)
{
	struct na_axis a;

	na_axis_init(&a);
	a.shift = s->shift;
	if (s->count) {
		a.begin_ms = s->first << s->shift;
		a.end_ms = (s->first + s->count) << s->shift;
		a.most = na_series_peak_live(s);
	}
	return a;
}

uint32_t na_axis_shift(const struct na_axis *a)
{
	return na_axis_shift_of(a, NA_SERIES_BINS);
}

uint32_t na_axis_shift_of(const struct na_axis *a, uint32_t bins)
{
	uint32_t shift = a->shift;

	if (a->begin_ms >= a->end_ms)
		return shift;
	while (shift < NA_SERIES_MOST && ((a->end_ms - 1) >> shift) - (a->begin_ms >> shift) >= bins)
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
