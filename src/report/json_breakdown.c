/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "report/json_parts.h"
#include "report/judge.h"

static json_t *extreme(int64_t v, const struct na_where *w, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "value", na_jansson.json_integer(v), failed);
	put_where(o, w, failed);
	return o;
}

static json_t *spread(const struct na_spread *s, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "total", na_jansson.json_integer((json_int_t)s->sum), failed);
	put(o, "mean", real(na_spread_mean(s)), failed);
	put(o, "min", s->known ? extreme(s->least, &s->least_at, failed) : na_jansson.json_null(), failed);
	put(o, "max", s->known ? extreme(s->most, &s->most_at, failed) : na_jansson.json_null(), failed);
	return o;
}

static json_t *growth(const struct na_phase_sum *p, bool *failed)
{
	json_t *o;

	if (!p->growing)
		return na_jansson.json_null();
	o = na_jansson.json_object();
	put(o, "processes", number(p->growing), failed);
	put(o, "stretches", number(p->growth.points), failed);
	put(o, "first_bytes", number(p->growth.first), failed);
	put(o, "last_bytes", number(p->growth.last), failed);
	put_where(o, &p->growth_at, failed);
	return o;
}

static json_t *phase(const struct na_phase_sum *p, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "name", na_jansson.json_string(p->name), failed);
	put(o, "processes", number(p->ns.known), failed);
	put(o, "running", number(p->running), failed);
	put(o, "entered", number(p->entered), failed);
	put(o, "allocations", number(p->allocations), failed);
	put(o, "releases", number(p->releases), failed);
	put(o, "allocated_bytes", number(p->allocated_bytes), failed);
	put(o, "released_bytes", number(p->released_bytes), failed);
	put(o, "time_ns", spread(&p->ns, failed), failed);
	put(o, "peak_bytes", spread(&p->peak, failed), failed);
	put(o, "left_bytes", spread(&p->left, failed), failed);
	put(o, "growth", growth(p, failed), failed);
	return o;
}

static int by_place(const void *a, const void *b)
{
	const struct na_phase_sum *x = *(const struct na_phase_sum *const *)a;
	const struct na_phase_sum *y = *(const struct na_phase_sum *const *)b;

	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	return strncmp(x->name, y->name, sizeof(x->name));
}

/* As they first came. */
static json_t *phases(const struct na_job_breakdown *b, bool *failed)
{
	const struct na_phase_sum *sorted[NA_BREAKDOWN_PHASES];
	json_t *list = na_jansson.json_array();

	for (uint32_t i = 0; i < b->phase_count; i++)
		sorted[i] = &b->phases[i];
	if (b->phase_count)
		qsort(sorted, b->phase_count, sizeof(*sorted), by_place);
	for (uint32_t i = 0; i < b->phase_count; i++)
		append(list, phase(sorted[i], failed), failed);
	return list;
}

static json_t *classes(const struct na_job_breakdown *b, bool *failed)
{
	json_t *list = na_jansson.json_array();

	for (unsigned int i = 0; i < NA_BREAKDOWN_CLASSES; i++) {
		const struct na_class_part *c = &b->classes[i];
		json_t *o;

		if (!c->allocations)
			continue;
		o = na_jansson.json_object();
		put(o, "block_bytes", c->size ? number(c->size) : na_jansson.json_null(), failed);
		put(o, "allocations", number(c->allocations), failed);
		put(o, "allocated_bytes", number(c->allocated_bytes), failed);
		put(o, "live_blocks", number(c->live_blocks), failed);
		put(o, "live_bytes", number(c->live_bytes), failed);
		put(o, "fullest_bytes", number(c->fullest_bytes), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *pool(const struct na_pool_sum *p, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "name", na_jansson.json_string(p->name), failed);
	put(o, "processes", number(p->peak.known), failed);
	put(o, "pools", number(p->pools), failed);
	put(o, "allocations", number(p->allocations), failed);
	put(o, "live_bytes", number(p->live), failed);
	put(o, "held_bytes", number(p->held), failed);
	put(o, "peak_bytes", spread(&p->peak, failed), failed);
	return o;
}

static json_t *pools(const struct na_job_breakdown *b, bool *failed)
{
	json_t *list = na_jansson.json_array();

	for (uint32_t i = 0; i < b->pool_count; i++)
		append(list, pool(&b->pools[i], failed), failed);
	return list;
}

static json_t *busiest(const struct na_job_breakdown *b, bool *failed)
{
	json_t *o;

	if (!b->busiest.thread)
		return na_jansson.json_null();
	o = na_jansson.json_object();
	put(o, "thread", na_jansson.json_integer(b->busiest.thread), failed);
	put(o, "node", na_jansson.json_integer(b->busiest.node), failed);
	put(o, "allocations", number(b->busiest.allocations), failed);
	put(o, "allocated_bytes", number(b->busiest.allocated_bytes), failed);
	put_where(o, &b->busiest_at, failed);
	return o;
}

static json_t *threads(const struct na_job_breakdown *b, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "running", number(b->threads_running), failed);
	put(o, "most_at_once", spread(&b->threads, failed), failed);
	put(o, "busiest", busiest(b, failed), failed);
	return o;
}

/* From where a bin of the latencies' histogram on is. */
static uint64_t begin_of(unsigned int bin)
{
	return bin < 8 ? bin : (8 + bin % 8) * (UINT64_C(1) << (bin / 8 - 1));
}

static json_t *latency(const struct na_job_breakdown *b, bool *failed)
{
	const struct na_times *t = &b->latency;
	json_t *o = na_jansson.json_object(), *bins = na_jansson.json_array();

	put(o, "sampled_by", number(b->sampling), failed);
	put(o, "samples", number(t->samples), failed);
	put(o, "allocations", number(t->count), failed);
	put(o, "mean_ns", real(na_times_mean(t)), failed);
	put(o, "p50_ns", real(na_times_quantile(t, 0.5)), failed);
	put(o, "p90_ns", real(na_times_quantile(t, 0.9)), failed);
	put(o, "p99_ns", real(na_times_quantile(t, 0.99)), failed);
	put(o, "p999_ns", real(na_times_quantile(t, 0.999)), failed);
	put(o, "max", t->samples ? extreme((int64_t)t->most, &b->slowest_at, failed) : na_jansson.json_null(), failed);
	for (unsigned int i = 0; i < NA_HISTOGRAM_BINS; i++) {
		json_t *bin;

		if (!t->bins[i])
			continue;
		bin = na_jansson.json_object();
		put(bin, "from_ns", number(begin_of(i)), failed);
		put(bin, "allocations", number(t->bins[i]), failed);
		append(bins, bin, failed);
	}
	put(o, "bins", bins, failed);
	return o;
}

static json_t *lifetimes(const struct na_lifetimes *l, bool *failed)
{
	json_t *o = na_jansson.json_object(), *bins = na_jansson.json_array();

	put(o, "samples", number(l->samples), failed);
	for (unsigned int i = 0; i < NA_LIFETIME_BINS; i++) {
		json_t *bin;

		if (!l->blocks[i] && !l->bytes[i])
			continue;
		bin = na_jansson.json_object();
		put(bin, "from_ns", number(i ? UINT64_C(1) << i : 0), failed);
		put(bin, "blocks", number(l->blocks[i]), failed);
		put(bin, "bytes", number(l->bytes[i]), failed);
		append(bins, bin, failed);
	}
	put(o, "bins", bins, failed);
	return o;
}

/* Sentences may name a host or be cut; a text that is not UTF-8 would be no JSON. */
static json_t *sentence(const char *text)
{
	json_t *s = na_jansson.json_string(text);

	return s ? s : na_jansson.json_string("(a sentence that is not valid UTF-8)");
}

static json_t *findings(const struct na_report *r, bool *failed)
{
	struct na_finding found[NA_JOB_RULE_END_];
	size_t n = na_judge(r, found);
	json_t *list = na_jansson.json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *o = na_jansson.json_object();

		put(o, "rule", na_jansson.json_string(na_judge_rule_name(found[i].rule)), failed);
		put(o, "value", real((double)found[i].value / 1e3), failed);
		put(o, "threshold", real((double)found[i].threshold / 1e3), failed);
		put(o, "cost", real((double)found[i].cost / 1e3), failed);
		put(o, "bottleneck", sentence(found[i].bottleneck), failed);
		put(o, "recommendation", sentence(found[i].recommendation), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *out_of_memory(const struct na_oom_files *files, bool *failed)
{
	json_t *o = na_jansson.json_object(), *list = na_jansson.json_array();

	for (size_t i = 0; files && i < files->listed; i++)
		append(list, na_jansson.json_string(files->names[i]), failed);
	put(o, "reports", number(files ? files->count : 0), failed);
	put(o, "files", list, failed);
	return o;
}

void na_json_put_breakdown(json_t *job, const struct na_report *r, bool *failed)
{
	const struct na_job_breakdown *b = r->breakdown;

	put(job, "phases", phases(b, failed), failed);
	put(job, "other_phases", b->other_phases.ns.known ? phase(&b->other_phases, failed) : na_jansson.json_null(),
	    failed);
	put(job, "size_classes", classes(b, failed), failed);
	put(job, "pools", pools(b, failed), failed);
	put(job, "other_pools", b->other_pools.peak.known ? pool(&b->other_pools, failed) : na_jansson.json_null(),
	    failed);
	put(job, "threads", threads(b, failed), failed);
	put(job, "allocation_latency", latency(b, failed), failed);
	put(job, "lifetimes", lifetimes(&b->lifetimes, failed), failed);
	put(job, "findings", findings(r, failed), failed);
	put(job, "out_of_memory", out_of_memory(r->oom, failed), failed);
}
