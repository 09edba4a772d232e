/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/breakdown.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "report/names.h"

#define OTHERS "(others)"

/* ---- tables by name ---- */

/* A table of sums by name, whose rows begin with it. Of more names than there is room for the last ones by name are summed up in `others`. */
struct table {
	void *rows;
	uint32_t *count, most;
	size_t row, name; /* bytes */
	void *others;
	void (*merge)(void *into, const void *other);
};

static void add_row(const struct table *t, const void *row)
{
	char *rows = t->rows;
	uint32_t at = 0;
	int c = 1;

	while (at < *t->count && (c = strncmp(rows + at * t->row, row, t->name)) < 0)
		at++;
	if (at < *t->count && c == 0) {
		t->merge(rows + at * t->row, row);
		return;
	}
	if (at == t->most) {
		t->merge(t->others, row);
		return;
	}
	if (*t->count == t->most)
		t->merge(t->others, rows + --*t->count * t->row);
	memmove(rows + (at + 1) * t->row, rows + at * t->row, (*t->count - at) * t->row);
	memcpy(rows + at * t->row, row, t->row);
	++*t->count;
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

static void merge_phase(void *of, const void *with)
{
	struct na_phase_sum *into = of;
	const struct na_phase_sum *other = with;

	into->running += other->running;
	into->place = other->place < into->place ? other->place : into->place;
	into->entered += other->entered;
	into->allocations += other->allocations;
	into->releases += other->releases;
	into->allocated_bytes += other->allocated_bytes;
	into->released_bytes += other->released_bytes;
	na_spread_merge(&into->ns, &other->ns);
	na_spread_merge(&into->peak, &other->peak);
	na_spread_merge(&into->left, &other->left);
	if (other->growing && (!into->growing || grew_more(into, other))) {
		into->growth = other->growth;
		into->growth_at = other->growth_at;
	}
	into->growing += other->growing;
	for (unsigned int i = 0; i < NA_SERIES_BINS; i++)
		into->when[i] += other->when[i];
}

static void init_others(struct na_phase_sum *p)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->name, OTHERS, sizeof(OTHERS));
	p->place = UINT64_MAX;
}

static void add_phase(struct na_job_breakdown *b, const struct na_phase_sum *p)
{
	add_row(&(struct table){ b->phases, &b->phase_count, NA_BREAKDOWN_PHASES, sizeof(*p), sizeof(p->name),
				 &b->other_phases, merge_phase },
		p);
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
	out->ns = na_spread_of((int64_t)p->ns, at);
	out->peak = na_spread_of((int64_t)p->peak, at);
	out->left = na_spread_of((int64_t)(p->allocated_bytes - p->released_bytes), at);
	if (!grows(p))
		return;
	out->growing = 1;
	out->growth = p->growth;
	out->growth_at = *at;
}

/* ---- pools ---- */

static void merge_pool(void *of, const void *with)
{
	struct na_pool_sum *into = of;
	const struct na_pool_sum *other = with;

	into->pools += other->pools;
	into->live += other->live;
	into->held += other->held;
	into->allocations += other->allocations;
	na_spread_merge(&into->peak, &other->peak);
}

static void add_pool(struct na_job_breakdown *b, const struct na_pool_sum *p)
{
	add_row(&(struct table){ b->pools, &b->pool_count, NA_JOB_POOLS, sizeof(*p), sizeof(p->name), &b->other_pools,
				 merge_pool },
		p);
}

static struct na_pool_sum sum_pool(const struct na_pool_part *p, const struct na_where *at)
{
	struct na_pool_sum out = { .pools = p->pools,
				   .live = p->live,
				   .held = p->held,
				   .allocations = p->allocations,
				   .peak = na_spread_of((int64_t)p->peak, at) };

	na_name_clean(out.name, p->name, sizeof(out.name));
	return out;
}

/* ---- call sites ---- */

static void merge_site(void *of, const void *with)
{
	struct na_site_sum *into = of;
	const struct na_site_sum *other = with;

	into->bytes += other->bytes;
	into->allocations += other->allocations;
	into->processes += other->processes;
}

static void add_site(struct na_job_breakdown *b, const struct na_site_sum *s)
{
	add_row(&(struct table){ b->sites, &b->site_count, NA_JOB_SITES, sizeof(*s), sizeof(s->frames), &b->other_sites,
				 merge_site },
		s);
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
	struct na_spread threads = na_spread_of((int64_t)of->threads.most_running, at);
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
	na_spread_merge(&b->threads, &threads);
	add_busiest(b, &of->threads.busiest, at);
	add_latency(b, &of->latency, at);
	add_lifetimes(&b->lifetimes, &of->lifetimes);
	b->sites_bytes += of->sites_bytes;
	for (uint64_t i = 0; i < of->site_count; i++) {
		struct na_site_sum site = { .bytes = of->sites[i].bytes,
					    .allocations = of->sites[i].allocations,
					    .processes = 1 };

		memcpy(site.frames, of->sites[i].frames, strnlen(of->sites[i].frames, sizeof(site.frames) - 1));
		add_site(b, &site);
	}
}

void na_job_breakdown_add_times(struct na_job_breakdown *b, const struct na_breakdown *of, const uint8_t *phase,
				uint64_t first, uint32_t count)
{
	for (uint32_t i = 0; i < of->phase_count; i++) {
		struct na_phase_sum p;

		memset(&p, 0, sizeof(p));
		na_name_clean(p.name, of->phases[i].name, sizeof(p.name));
		p.place = UINT64_MAX;
		for (uint32_t k = 0; k < count && first + k < NA_SERIES_BINS; k++)
			p.when[first + k] += phase[k] == i + 1;
		add_phase(b, &p);
	}
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
	na_spread_merge(&into->threads, &other->threads);
	add_busiest(into, &other->busiest, &other->busiest_at);
	add_latency(into, &other->latency, &other->slowest_at);
	add_lifetimes(&into->lifetimes, &other->lifetimes);
	into->sites_bytes += other->sites_bytes;
	for (uint32_t i = 0; i < other->site_count; i++)
		add_site(into, &other->sites[i]);
	merge_site(&into->other_sites, &other->other_sites);
	na_distribution_merge(&into->distribution, &other->distribution);
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
	if (b->site_count > NA_BREAKDOWN_SITES)
		return -EINVAL;
	for (uint64_t i = 0; i < b->site_count; i++)
		if (!terminated(b->sites[i].frames, sizeof(b->sites[i].frames)))
			return -EINVAL;
	return b->classes[NA_CLASSES].size ? -EINVAL : 0;
}

int na_job_breakdown_check(const struct na_job_breakdown *b)
{
	if (b->magic != NA_JOB_BREAKDOWN_MAGIC || b->version != NA_JOB_BREAKDOWN_VERSION || b->bytes != sizeof(*b))
		return -EINVAL;
	if (b->phase_count > NA_BREAKDOWN_PHASES || b->pool_count > NA_JOB_POOLS || b->sampling > b->processes)
		return -EINVAL;
	for (uint32_t i = 0; i < b->phase_count; i++) {
		const struct na_phase_sum *p = &b->phases[i];

		if (!is_named(p->name, sizeof(p->name)) || !na_spread_good(&p->ns, b->processes) ||
		    !na_spread_good(&p->peak, b->processes) || !na_spread_good(&p->left, b->processes) ||
		    !terminated(p->growth_at.host, sizeof(p->growth_at.host)))
			return -EINVAL;
	}
	for (uint32_t i = 0; i < b->pool_count; i++)
		if (!terminated(b->pools[i].name, sizeof(b->pools[i].name)) ||
		    !na_spread_good(&b->pools[i].peak, b->processes))
			return -EINVAL;
	if (b->site_count > NA_JOB_SITES || na_distribution_check(&b->distribution, b->processes) < 0)
		return -EINVAL;
	for (uint32_t i = 0; i < b->site_count; i++)
		if (!terminated(b->sites[i].frames, sizeof(b->sites[i].frames)))
			return -EINVAL;
	if (!na_spread_good(&b->other_phases.ns, UINT64_MAX) || !na_spread_good(&b->other_phases.peak, UINT64_MAX) ||
	    !na_spread_good(&b->other_phases.left, UINT64_MAX) || !na_spread_good(&b->other_pools.peak, UINT64_MAX))
		return -EINVAL;
	return na_spread_good(&b->threads, b->processes) &&
			       terminated(b->busiest_at.host, sizeof(b->busiest_at.host)) &&
			       terminated(b->slowest_at.host, sizeof(b->slowest_at.host))
		       ? 0
		       : -EINVAL;
}
