/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/breakdown.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "report/names.h"

#define OTHERS "(others)"

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

/* ---- spreads ---- */

static struct na_spread spread_of(int64_t v, const struct na_where *at)
{
	return (struct na_spread){ .known = 1, .sum = v, .least = v, .most = v, .least_at = *at, .most_at = *at };
}

static void merge_spread(struct na_spread *into, const struct na_spread *other)
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
	return s->known ? (double)s->sum / (double)s->known : NAN;
}

/* ---- phases ---- */

/* Live bytes rose from each stretch to the next, and it was in the phase that they did: what it left behind is at least half of it. */
static bool grows(const struct na_phase_part *p)
{
	const struct na_phase_growth *g = &p->growth;
	int64_t left = (int64_t)(p->allocated_bytes - p->released_bytes);

	return g->points >= 2 && g->rises + 1 == g->points && g->last > g->first && left > 0 &&
	       (uint64_t)left >= (g->last - g->first) / 2;
}

/* Whether b shall be named rather than a: it grew more, else by its process, else by what remains ("(others)" may have two of a process). */
static bool grew_more(const struct na_phase_sum *a, const struct na_phase_sum *b)
{
	uint64_t one = a->growth.last - a->growth.first, two = b->growth.last - b->growth.first;
	int c;

	if (one != two)
		return two > one;
	c = na_where_compare(&b->growth_at, &a->growth_at);
	return c ? c < 0 : memcmp(&b->growth, &a->growth, sizeof(b->growth)) < 0;
}

static void merge_phase(struct na_phase_sum *into, const struct na_phase_sum *other)
{
	into->running += other->running;
	into->place = other->place < into->place ? other->place : into->place;
	into->entered += other->entered;
	into->allocations += other->allocations;
	into->releases += other->releases;
	into->allocated_bytes += other->allocated_bytes;
	into->released_bytes += other->released_bytes;
	merge_spread(&into->ns, &other->ns);
	merge_spread(&into->peak, &other->peak);
	merge_spread(&into->left, &other->left);
	if (other->growing && (!into->growing || grew_more(into, other))) {
		into->growth = other->growth;
		into->growth_at = other->growth_at;
	}
	into->growing += other->growing;
}

static void init_others(struct na_phase_sum *p)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->name, OTHERS, sizeof(OTHERS));
	p->place = UINT64_MAX;
}

/* Where a name is or would be, in a table by name whose rows are `row` bytes and begin with it. */
static uint32_t place_of(const void *table, uint32_t count, size_t row, const char *name, size_t length, bool *found)
{
	uint32_t at = 0;
	int c = 1;

	while (at < count && (c = strncmp((const char *)table + at * row, name, length)) < 0)
		at++;
	*found = at < count && c == 0;
	return at;
}

static void add_phase(struct na_job_breakdown *b, const struct na_phase_sum *p)
{
	bool found;
	uint32_t at = place_of(b->phases, b->phase_count, sizeof(*p), p->name, sizeof(p->name), &found);

	if (found) {
		merge_phase(&b->phases[at], p);
		return;
	}
	if (at == NA_BREAKDOWN_PHASES) {
		merge_phase(&b->other_phases, p);
		return;
	}
	if (b->phase_count == NA_BREAKDOWN_PHASES)
		merge_phase(&b->other_phases, &b->phases[--b->phase_count]);
	memmove(&b->phases[at + 1], &b->phases[at], (b->phase_count - at) * sizeof(*p));
	b->phases[at] = *p;
	b->phase_count++;
}

static void sum_phase(struct na_phase_sum *out, const struct na_phase_part *p, uint64_t place,
		      const struct na_where *at)
{
	memset(out, 0, sizeof(*out));
	na_name_clean(out->name, p->name, sizeof(out->name));
	out->running = p->running != 0;
	out->place = place;
	out->entered = p->entered;
	out->allocations = p->allocations;
	out->releases = p->releases;
	out->allocated_bytes = p->allocated_bytes;
	out->released_bytes = p->released_bytes;
	out->ns = spread_of((int64_t)p->ns, at);
	out->peak = spread_of((int64_t)p->peak, at);
	out->left = spread_of((int64_t)(p->allocated_bytes - p->released_bytes), at);
	if (!grows(p))
		return;
	out->growing = 1;
	out->growth = p->growth;
	out->growth_at = *at;
}

/* ---- pools ---- */

static void merge_pool(struct na_pool_sum *into, const struct na_pool_sum *other)
{
	into->pools += other->pools;
	into->live += other->live;
	into->held += other->held;
	into->allocations += other->allocations;
	merge_spread(&into->peak, &other->peak);
}

static void add_pool(struct na_job_breakdown *b, const struct na_pool_sum *p)
{
	bool found;
	uint32_t at = place_of(b->pools, b->pool_count, sizeof(*p), p->name, sizeof(p->name), &found);

	if (found) {
		merge_pool(&b->pools[at], p);
		return;
	}
	if (at == NA_JOB_POOLS) {
		merge_pool(&b->other_pools, p);
		return;
	}
	if (b->pool_count == NA_JOB_POOLS)
		merge_pool(&b->other_pools, &b->pools[--b->pool_count]);
	memmove(&b->pools[at + 1], &b->pools[at], (b->pool_count - at) * sizeof(*p));
	b->pools[at] = *p;
	b->pool_count++;
}

static struct na_pool_sum sum_pool(const struct na_pool_part *p, const struct na_where *at)
{
	struct na_pool_sum out = { .pools = p->pools,
				   .live = p->live,
				   .held = p->held,
				   .allocations = p->allocations,
				   .peak = spread_of((int64_t)p->peak, at) };

	na_name_clean(out.name, p->name, sizeof(out.name));
	return out;
}

/* ---- classes, threads, times ---- */

static void add_classes(struct na_class_part *into, const struct na_class_part *other)
{
	for (unsigned int i = 0; i < NA_BREAKDOWN_CLASSES; i++) {
		into[i].allocations += other[i].allocations;
		into[i].allocated_bytes += other[i].allocated_bytes;
		into[i].live_blocks += other[i].live_blocks;
		into[i].live_bytes += other[i].live_bytes;
		into[i].fullest_bytes += other[i].fullest_bytes;
	}
}

static void add_busiest(struct na_job_breakdown *b, const struct na_busiest *t, const struct na_where *at)
{
	int c = na_where_compare(at, &b->busiest_at);

	if (!t->thread)
		return;
	if (b->busiest.thread && (t->allocated_bytes < b->busiest.allocated_bytes ||
				  (t->allocated_bytes == b->busiest.allocated_bytes && c >= 0)))
		return;
	b->busiest = *t;
	b->busiest_at = *at;
}

static void add_latency(struct na_job_breakdown *b, const struct na_times *t, const struct na_where *at)
{
	struct na_times *into = &b->latency;

	if (!t->samples)
		return;
	if (!into->samples || t->most > into->most ||
	    (t->most == into->most && na_where_compare(at, &b->slowest_at) < 0)) {
		into->most = t->most;
		b->slowest_at = *at;
	}
	into->samples += t->samples;
	into->count += t->count;
	into->sum += t->sum;
	for (unsigned int i = 0; i < NA_HISTOGRAM_BINS; i++)
		into->bins[i] += t->bins[i];
}

static void add_lifetimes(struct na_lifetimes *into, const struct na_lifetimes *other)
{
	into->samples += other->samples;
	for (unsigned int i = 0; i < NA_LIFETIME_BINS; i++) {
		into->blocks[i] += other->blocks[i];
		into->bytes[i] += other->bytes[i];
	}
}

double na_times_mean(const struct na_times *t)
{
	return t->count ? (double)t->sum / (double)t->count : NAN;
}

double na_times_quantile(const struct na_times *t, double q)
{
	uint64_t sum = 0;

	if (!t->count)
		return NAN;
	for (unsigned int i = 0; i < NA_HISTOGRAM_BINS; i++) {
		sum += t->bins[i];
		if (sum && (double)sum >= q * (double)t->count)
			return na_histogram_value(i) < (double)t->most ? na_histogram_value(i) : (double)t->most;
	}
	return (double)t->most;
}

double na_lifetimes_quantile(const uint64_t bins[NA_LIFETIME_BINS], double q)
{
	uint64_t all = 0, sum = 0;

	for (unsigned int i = 0; i < NA_LIFETIME_BINS; i++)
		all += bins[i];
	for (unsigned int i = 0; all && i < NA_LIFETIME_BINS; i++) {
		sum += bins[i];
		if (sum && (double)sum >= q * (double)all)
			return (double)(UINT64_C(2) << i);
	}
	return NAN;
}

/* ---- the whole ---- */

void na_job_breakdown_init(struct na_job_breakdown *b)
{
	memset(b, 0, sizeof(*b));
	b->magic = NA_JOB_BREAKDOWN_MAGIC;
	b->version = NA_JOB_BREAKDOWN_VERSION;
	b->bytes = sizeof(*b);
	init_others(&b->other_phases);
	memcpy(b->other_pools.name, OTHERS, sizeof(OTHERS));
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		b->classes[i].size = na_class_size(i);
}

void na_job_breakdown_add(struct na_job_breakdown *b, const struct na_breakdown *of, const struct na_where *at)
{
	struct na_spread threads = spread_of((int64_t)of->threads.most_running, at);
	struct na_pool_sum pool;
	struct na_phase_sum phase;

	b->processes++;
	b->sampling += of->latency.samples || of->sample_mean;
	for (uint32_t i = 0; i < of->phase_count; i++) {
		sum_phase(&phase, &of->phases[i], i, at);
		add_phase(b, &phase);
	}
	for (uint32_t i = 0; i < of->pool_count; i++) {
		pool = sum_pool(&of->pools[i], at);
		add_pool(b, &pool);
	}
	if (of->other_pools.pools) {
		pool = sum_pool(&of->other_pools, at);
		merge_pool(&b->other_pools, &pool);
	}
	add_classes(b->classes, of->classes);
	b->threads_running += of->threads.running;
	merge_spread(&b->threads, &threads);
	add_busiest(b, &of->threads.busiest, at);
	add_latency(b, &of->latency, at);
	add_lifetimes(&b->lifetimes, &of->lifetimes);
}

void na_job_breakdown_merge(struct na_job_breakdown *into, const struct na_job_breakdown *other)
{
	into->processes += other->processes;
	into->sampling += other->sampling;
	for (uint32_t i = 0; i < other->phase_count; i++)
		add_phase(into, &other->phases[i]);
	merge_phase(&into->other_phases, &other->other_phases);
	for (uint32_t i = 0; i < other->pool_count; i++)
		add_pool(into, &other->pools[i]);
	merge_pool(&into->other_pools, &other->other_pools);
	add_classes(into->classes, other->classes);
	into->threads_running += other->threads_running;
	merge_spread(&into->threads, &other->threads);
	add_busiest(into, &other->busiest, &other->busiest_at);
	add_latency(into, &other->latency, &other->slowest_at);
	add_lifetimes(&into->lifetimes, &other->lifetimes);
}

static bool terminated(const char *name, size_t length)
{
	return memchr(name, '\0', length) != NULL;
}

static bool is_named(const char *name, size_t length)
{
	return name[0] && terminated(name, length);
}

int na_breakdown_check(const struct na_breakdown *b)
{
	if (b->phase_count > NA_BREAKDOWN_PHASES || b->pool_count > NA_BREAKDOWN_POOLS || b->innermost > b->phase_count)
		return -EINVAL;
	for (uint32_t i = 0; i < b->phase_count; i++)
		if (!is_named(b->phases[i].name, sizeof(b->phases[i].name)))
			return -EINVAL;
	for (uint32_t i = 0; i < b->pool_count; i++)
		if (!terminated(b->pools[i].name, sizeof(b->pools[i].name)))
			return -EINVAL;
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		if (b->classes[i].size && b->classes[i].size != na_class_size(i))
			return -EINVAL;
	return b->classes[NA_CLASSES].size ? -EINVAL : 0;
}

static bool good_spread(const struct na_spread *s, uint64_t processes)
{
	return s->known <= processes && s->least <= s->most && terminated(s->least_at.host, sizeof(s->least_at.host)) &&
	       terminated(s->most_at.host, sizeof(s->most_at.host));
}

int na_job_breakdown_check(const struct na_job_breakdown *b)
{
	if (b->magic != NA_JOB_BREAKDOWN_MAGIC || b->version != NA_JOB_BREAKDOWN_VERSION || b->bytes != sizeof(*b))
		return -EINVAL;
	if (b->phase_count > NA_BREAKDOWN_PHASES || b->pool_count > NA_JOB_POOLS || b->sampling > b->processes)
		return -EINVAL;
	for (uint32_t i = 0; i < b->phase_count; i++) {
		const struct na_phase_sum *p = &b->phases[i];

		if (!is_named(p->name, sizeof(p->name)) || !good_spread(&p->ns, b->processes) ||
		    !good_spread(&p->peak, b->processes) || !good_spread(&p->left, b->processes) ||
		    !terminated(p->growth_at.host, sizeof(p->growth_at.host)))
			return -EINVAL;
	}
	for (uint32_t i = 0; i < b->pool_count; i++)
		if (!terminated(b->pools[i].name, sizeof(b->pools[i].name)) ||
		    !good_spread(&b->pools[i].peak, b->processes))
			return -EINVAL;
	if (!good_spread(&b->other_phases.ns, UINT64_MAX) || !good_spread(&b->other_phases.peak, UINT64_MAX) ||
	    !good_spread(&b->other_phases.left, UINT64_MAX) || !good_spread(&b->other_pools.peak, UINT64_MAX))
		return -EINVAL;
	return good_spread(&b->threads, b->processes) && terminated(b->busiest_at.host, sizeof(b->busiest_at.host)) &&
			       terminated(b->slowest_at.host, sizeof(b->slowest_at.host))
		       ? 0
		       : -EINVAL;
}
