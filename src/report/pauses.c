/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/pauses.h"

#include <stdbool.h>
#include <string.h>

void na_pauses_add(struct na_pauses *p, const struct na_pause *pause)
{
	uint64_t kind = pause->kind < NA_PAUSE_KINDS ? pause->kind : NA_PAUSE_ALONE;

	p->last[p->count % NA_PAUSES] = *pause;
	p->count++;
	p->total_ns += pause->ns;
	p->kind_count[kind]++;
	p->kind_ns[kind] += pause->ns;
	if (pause->ns > p->longest.ns)
		p->longest = *pause;
}

uint32_t na_pauses_copy(const struct na_pauses *p, struct na_pause *out, uint32_t capacity)
{
	uint64_t kept = p->count < NA_PAUSES ? p->count : NA_PAUSES, n = kept < capacity ? kept : capacity;

	for (uint64_t i = 0; i < n; i++)
		out[i] = p->last[(p->count - n + i) % NA_PAUSES];
	return (uint32_t)n;
}

const char *na_pause_name(uint64_t kind)
{
	static const char *const names[NA_PAUSE_KINDS] = { "window", "call", "waiting", "alone" };

	return kind < NA_PAUSE_KINDS ? names[kind] : "unknown";
}

/* The longest; of equal ones that of the lower rank. */
static bool replaces(const struct na_pause *other, const struct na_where *at, const struct na_job_pauses *j)
{
	if (other->ns != j->longest.ns)
		return other->ns > j->longest.ns;
	return other->ns && na_where_compare(at, &j->longest_at) < 0;
}

void na_job_pauses_merge(struct na_job_pauses *into, const struct na_job_pauses *other)
{
	if (replaces(&other->longest, &other->longest_at, into)) {
		into->longest = other->longest;
		into->longest_at = other->longest_at;
	}
	into->count += other->count;
	into->total_ns += other->total_ns;
	into->alone_count += other->alone_count;
	into->alone_ns += other->alone_ns;
	if (other->together_ns > into->together_ns)
		into->together_ns = other->together_ns;
	if (other->collectives > into->collectives)
		into->collectives = other->collectives;
}

void na_job_pauses_add(struct na_job_pauses *j, const struct na_pauses *p, const struct na_where *where)
{
	struct na_job_pauses one = { .count = p->count,
				     .total_ns = p->total_ns,
				     .together_ns = p->kind_ns[NA_PAUSE_WINDOW] + p->kind_ns[NA_PAUSE_CALL],
				     .alone_count = p->kind_count[NA_PAUSE_ALONE],
				     .alone_ns = p->kind_ns[NA_PAUSE_ALONE],
				     .collectives = p->collectives,
				     .longest = p->longest };

	if (p->longest.ns)
		one.longest_at = *where;
	na_job_pauses_merge(j, &one);
}

/* By squaring: the core does without libm. */
static double power(double base, uint64_t n)
{
	double all = 1;

	for (; n; n >>= 1, base *= base)
		if (n & 1)
			all *= base;
	return all;
}

uint64_t na_job_pauses_estimate(const struct na_job_pauses *j)
{
	double steps = (double)j->collectives, pauses = (double)j->alone_count, hit;

	if (!j->alone_count)
		return j->together_ns;
	hit = steps > 0 ? steps * (1 - power(1 - 1 / steps, j->alone_count)) : pauses;
	return j->together_ns + (uint64_t)(hit * ((double)j->alone_ns / pauses) + 0.5);
}
