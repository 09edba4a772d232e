/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/spread.h"

#include <math.h>
#include <string.h>

int na_where_compare(const struct na_where *a, const struct na_where *b)
{
	uint32_t ra = (uint32_t)a->rank, rb = (uint32_t)b->rank; /* -1 becomes the largest */
	int c;

	if (ra != rb)
		return ra < rb ? -1 : 1;
	c = strncmp(a->host, b->host, sizeof(a->host));
	if (c)
		return c;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

__extension__ typedef unsigned __int128 wide;

static wide squares_of(const struct na_spread *s)
{
	return (wide)s->squares[1] << 64 | s->squares[0];
}

static void set_squares(struct na_spread *s, wide v)
{
	s->squares[0] = (uint64_t)v;
	s->squares[1] = (uint64_t)(v >> 64);
}

struct na_spread na_spread_of(int64_t value, const struct na_where *at)
{
	uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
	struct na_spread s = {
		.known = 1, .sum = (uint64_t)value, .least = value, .most = value, .least_at = *at, .most_at = *at
	};

	set_squares(&s, (wide)size * size);
	return s;
}

void na_spread_merge(struct na_spread *into, const struct na_spread *other)
{
	if (other->known == 0)
		return;
	if (into->known == 0) {
		*into = *other;
		return;
	}
	if (other->least < into->least ||
	    (other->least == into->least && na_where_compare(&other->least_at, &into->least_at) < 0)) {
		into->least = other->least;
		into->least_at = other->least_at;
	}
	if (other->most > into->most ||
	    (other->most == into->most && na_where_compare(&other->most_at, &into->most_at) < 0)) {
		into->most = other->most;
		into->most_at = other->most_at;
	}
	into->known += other->known;
	into->sum += other->sum;
	/* Sums that stop at the largest number are associative as well. */
	set_squares(into,
		    squares_of(into) > ~(wide)0 - squares_of(other) ? ~(wide)0 : squares_of(into) + squares_of(other));
}

double na_spread_mean(const struct na_spread *s)
{
	double sum = s->least < 0 ? (double)(int64_t)s->sum : (double)s->sum;

	return s->known ? sum / (double)s->known : NAN;
}

/* The library links no libm. Halving the exponent comes within 4 %, each step of Newton's doubles the digits. */
static double root(double v)
{
	union {
		double number;
		uint64_t bits;
	} x = { .number = v };

	if (!(v > 0))
		return 0;
	x.bits = (x.bits >> 1) + (UINT64_C(0x1ff8) << 48);
	for (int i = 0; i < 5; i++)
		x.number = (x.number + v / x.number) / 2;
	return x.number;
}

/* Exact up to the last division: with m the whole part of the mean and r the rest, the squares of the distances from m add up to
 * squares - m (sum + r), and those from the mean to r^2 / n less. */
double na_spread_deviation(const struct na_spread *s)
{
	bool negative = s->least < 0 && (int64_t)s->sum < 0;
	uint64_t sum = negative ? -s->sum : s->sum, n = s->known;
	wide about;
	double rest;

	if (!n || squares_of(s) == ~(wide)0)
		return NAN;
	rest = (double)(sum % n);
	about = squares_of(s) - (wide)(sum / n) * ((wide)sum + sum % n);
	return root(((double)about - rest * rest / (double)n) / (double)n);
}

bool na_spread_good(const struct na_spread *s, uint64_t processes)
{
	return s->known <= processes && s->least <= s->most && memchr(s->least_at.host, 0, sizeof(s->least_at.host)) &&
	       memchr(s->most_at.host, 0, sizeof(s->most_at.host));
}
