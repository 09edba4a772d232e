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

struct na_spread na_spread_of(int64_t value, const struct na_where *at)
{
	return (struct na_spread){
		.known = 1, .sum = (uint64_t)value, .least = value, .most = value, .least_at = *at, .most_at = *at
	};
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
}

double na_spread_mean(const struct na_spread *s)
{
	double sum = s->least < 0 ? (double)(int64_t)s->sum : (double)s->sum;

	return s->known ? sum / (double)s->known : NAN;
}

bool na_spread_good(const struct na_spread *s, uint64_t processes)
{
	return s->known <= processes && s->least <= s->most && memchr(s->least_at.host, 0, sizeof(s->least_at.host)) &&
	       memchr(s->most_at.host, 0, sizeof(s->most_at.host));
}
