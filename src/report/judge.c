/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/judge.h"

#include <string.h>

#include "analysis/words.h"
#include "base/log.h"
#include "report/derive.h"
#include "report/names.h"
#include "report/summary.h"

#define LINE 64

_Static_assert(NA_ANALYSIS_UNKNOWN == NA_UNKNOWN, "figures pass as they are");
_Static_assert(NA_ANALYSIS_NODES >= NA_MAX_NODES, "and so do nodes");

static void add_sums(struct na_analysis_input *in, const struct na_report *r)
{
	const struct na_job *j = r->job;

	in->peak = na_job_sum(j, NA_METRIC_peak_bytes);
	in->resident = na_job_sum(j, NA_METRIC_peak_resident_bytes);
	in->misplaced = na_job_sum(j, NA_METRIC_peak_misplaced_bytes);
	in->huge = na_job_sum(j, NA_METRIC_peak_huge_bytes);
	in->cached_allocations = na_job_sum(j, NA_METRIC_cached_allocations);
	in->cache_refills = na_job_sum(j, NA_METRIC_cache_refills);
	in->releases = na_job_sum(j, NA_METRIC_releases);
	in->remote_releases = na_job_sum(j, NA_METRIC_remote_releases);
	in->large_allocations = na_job_sum(j, NA_METRIC_large_allocations);
	in->large_reused = na_job_sum(j, NA_METRIC_large_reused);
	in->purged = na_job_sum(j, NA_METRIC_purged_bytes);
	in->line_allocations = 0;
	for (unsigned int i = 0; i < NA_CLASSES && r->breakdown->classes[i].size < LINE; i++)
		in->line_allocations += r->breakdown->classes[i].allocations;
}

/* cpus 0 where they are not known of all processes: whether a node is meant to be filled is not known, and the rule of balance is silent. */
static void add_nodes(struct na_analysis_input *in, const struct na_job *j)
{
	in->live = j->node_count ? 0 : NA_UNKNOWN;
	in->node_count = j->node_count;
	for (uint32_t i = 0; i < j->node_count; i++) {
		const struct na_numa *n = &j->nodes[i];
		bool known = n->peak_misplaced_bytes != NA_UNKNOWN;

		in->nodes[i] = (struct na_analysis_node){ .node = n->node,
							  .cpus = n->cpus < UINT32_MAX ? (uint32_t)n->cpus : 0,
							  .resident = n->peak_resident_bytes,
							  .misplaced = known ? n->peak_misplaced_bytes : 0 };
		if (in->live != NA_UNKNOWN)
			in->live =
				n->peak_requested_bytes == NA_UNKNOWN ? NA_UNKNOWN : in->live + n->peak_requested_bytes;
	}
}

/* The host whose physical memory came nearest to what it may be. More than that cannot have been under one limit: its processes
 * have limits of their own, or its memory was swapped. */
static const struct na_job *add_ceiling(struct na_analysis_input *in, const struct na_report *r)
{
	const struct na_job *fullest = NULL;
	double most = 0;

	for (size_t i = 0; i < r->host_count; i++) {
		const struct na_job *h = &r->hosts[i];
		uint64_t ceiling = h->cgroup_limit < h->host_memory ? h->cgroup_limit : h->host_memory;
		uint64_t used = na_series_peak_physical(&h->series);

		if (!ceiling || used == NA_UNKNOWN || used > ceiling || (double)used / (double)ceiling <= most)
			continue;
		most = (double)used / (double)ceiling;
		fullest = h;
		in->ceiling = ceiling;
		in->room = ceiling - used;
	}
	return fullest;
}

static bool enough(const struct na_phase_sum *p)
{
	return p->growing && p->growth.points >= NA_PHASE_STRETCHES / 2;
}

static void add_growth(struct na_analysis_input *in, const struct na_report *r, char unit[], size_t capacity)
{
	const struct na_job_breakdown *b = r->breakdown;
	const struct na_phase_sum *worst = NULL;
	char name[NA_PHASE_NAME], who[NA_RECORD_NAME + 24];

	for (uint32_t i = 0; i < b->phase_count; i++)
		if (enough(&b->phases[i]) && (!worst || b->phases[i].growth.last - b->phases[i].growth.first >
								worst->growth.last - worst->growth.first))
			worst = &b->phases[i];
	if (!worst) {
		na_analysis_growth(r->job->series.value[NA_SERIES_LIVE], r->job->series.count,
				   "equal parts of the job's time", &in->growth);
		return;
	}
	na_name_ascii(name, worst->name, sizeof(name));
	if (r->job->processes < 2)
		na_format(unit, capacity, "stretches of the ends of phase \"%s\"", name);
	else
		na_format(unit, capacity,
			  "stretches of the ends of phase \"%s\" on %s (so on %llu of the %llu that have it)", name,
			  na_name_where(who, sizeof(who), &worst->growth_at), (unsigned long long)worst->growing,
			  (unsigned long long)worst->ns.known);
	in->growth = (struct na_analysis_growth){ .first = worst->growth.first,
						  .last = worst->growth.last,
						  .points = worst->growth.points,
						  .rises = worst->growth.rises,
						  .last_step = worst->growth.last_step,
						  .unit = unit };
}

/* What the kernel said of waiting and huge pages. */
static void add_kernel(struct na_analysis_input *in, const struct na_job *j)
{
	const struct na_spread *stalled = &j->metrics[NA_METRIC_stalled];

	if (stalled->known)
		in->stalled = (uint64_t)stalled->most / 1000;
	if (j->huge_known < j->processes)
		in->huge = NA_UNKNOWN;
	in->huge_possible = j->huge_possible == j->processes;
	in->huge_asked = j->huge_asked > 0;
}

static void name_host(struct na_finding *f, const char *host, const char *when)
{
	char text[NA_ANALYSIS_SENTENCE];

	na_format(text, sizeof(text), "On host %s, %s: %s", host, when, f->bottleneck);
	memcpy(f->bottleneck, text, sizeof(text));
}

/* ---- rules of jobs ---- */

static const struct {
	const char *name;
	uint64_t threshold, least, weight; /* thousandths, bytes, hundredths: as in rules.def */
} job_rules[] = {
	{ "rank_imbalance", 333, UINT64_C(64) << 20, 60 },
	{ "leaking_rank", 750, UINT64_C(16) << 20, 200 },
	{ "over_requested", 500, UINT64_C(1) << 30, 40 },
};

#define SAY(to, ...) na_format(to, sizeof(to), __VA_ARGS__)

const char *na_judge_rule_name(unsigned int rule)
{
	return rule < NA_RULE_COUNT_ ? na_rule_table[rule].name : job_rules[rule - NA_RULE_COUNT_].name;
}

/* Whether `more` than `usual` is enough for a finding of the rule, which then has its figures. */
static bool exceeds(struct na_finding *f, enum na_job_rule rule, uint64_t usual, uint64_t more)
{
	unsigned int i = (unsigned int)rule - NA_RULE_COUNT_;

	memset(f, 0, sizeof(*f));
	if (usual >= more || more - usual < job_rules[i].least)
		return false;
	f->rule = (enum na_rule_id)rule;
	f->value = na_share(more - usual, more);
	f->threshold = job_rules[i].threshold;
	f->cost = f->value * job_rules[i].weight / 100;
	return f->value >= f->threshold;
}

static bool rank_imbalance(const struct na_report *r, struct na_finding *f)
{
	const struct na_spread *m = &r->job->metrics[NA_METRIC_peak_bytes];
	char who[NA_RECORD_NAME + 24], most[NA_WORD], mean[NA_WORD], share[NA_WORD];

	if (m->known < 2 || !exceeds(f, NA_JOB_RULE_rank_imbalance, m->sum / m->known, (uint64_t)m->most))
		return false;
	na_word_bytes(most, (uint64_t)m->most);
	SAY(f->bottleneck, "Live memory of %s peaked at %s, while the mean of the %llu processes is %s (%s less).",
	    na_name_where(who, sizeof(who), &m->most_at), most, (unsigned long long)m->known,
	    na_word_bytes(mean, m->sum / m->known), na_word_percent(share, f->value));
	SAY(f->recommendation,
	    "Divide more evenly what ranks hold, or spread what one holds for all (input, gathered results): hosts "
	    "must "
	    "have room for the largest, %s.",
	    most);
	return true;
}

static bool leaking_rank(const struct na_report *r, struct na_finding *f)
{
	const struct na_spread *m = &r->job->metrics[NA_METRIC_growth_bytes];
	const struct na_sketch *s = &r->breakdown->distribution.sketches[NA_METRIC_growth_bytes];
	char who[NA_RECORD_NAME + 24], grown[NA_WORD], usual[NA_WORD];
	uint64_t median;

	if (m->known < 3)
		return false;
	median = (uint64_t)na_sketch_quantile(s, m, 0.5);
	if (!exceeds(f, NA_JOB_RULE_leaking_rank, median, (uint64_t)m->most))
		return false;
	SAY(f->bottleneck,
	    "Live memory of %s rose in each part of its time, by %s in all, while the median process grew by %s.",
	    na_name_where(who, sizeof(who), &m->most_at), na_word_bytes(grown, (uint64_t)m->most),
	    na_word_bytes(usual, median));
	SAY(f->recommendation,
	    "Look for what only this process keeps: gathered results, messages, buffers of input and output. A profile "
	    "of "
	    "it (NUMARENA_SAMPLE_BYTES, NUMARENA_PROFILE) names the calls that the %s come from.",
	    grown);
	return true;
}

static bool over_requested(const struct na_report *r, struct na_finding *f)
{
	const struct na_spread *hosts = &r->job->hosts.physical;
	uint64_t sufficient = na_derive_sufficient(r), asked = r->job->request_bytes;
	char requested[NA_WORD], used[NA_WORD], directive[40];

	if (sufficient == NA_UNKNOWN || asked == NA_UNKNOWN ||
	    !exceeds(f, NA_JOB_RULE_over_requested, sufficient, asked))
		return false;
	na_derive_directive(directive, sizeof(directive), sufficient);
	SAY(f->bottleneck, "The job had %s on each host (%s), of which the fullest, %s, used %s at most.",
	    na_word_bytes(requested, asked), na_derive_source(r->job->request_source), hosts->most_at.host,
	    na_word_bytes(used, (uint64_t)hosts->most));
	SAY(f->recommendation,
	    "Ask for %s: a tenth more than the processes of the fullest host had. Files that they read and write are "
	    "cached beside that, and given up when memory is short.",
	    directive);
	return true;
}

static void remove_rule(struct na_finding *out, size_t *n, enum na_rule_id rule)
{
	for (size_t i = 0; i < *n; i++)
		if (out[i].rule == rule) {
			memmove(&out[i], &out[i + 1], (*n - i - 1) * sizeof(*out));
			--*n;
			return;
		}
}

/* Behind those that cost as much or more. */
static void insert(struct na_finding *out, size_t *n, const struct na_finding *f)
{
	size_t at = (*n)++;

	for (; at > 0 && out[at - 1].cost < f->cost; at--)
		out[at] = out[at - 1];
	out[at] = *f;
}

static void judge_job(const struct na_report *r, bool by_phase, struct na_finding *out, size_t *n)
{
	struct na_finding f;

	if (rank_imbalance(r, &f))
		insert(out, n, &f);
	if (leaking_rank(r, &f)) {
		if (!by_phase) /* it is what made the job grow */
			remove_rule(out, n, NA_RULE_growth);
		insert(out, n, &f);
	}
	if (over_requested(r, &f))
		insert(out, n, &f);
}

size_t na_judge(const struct na_report *r, struct na_finding out[NA_JOB_RULE_END_])
{
	struct na_analysis_input in;
	const struct na_job *fullest;
	char unit[200];
	size_t n;

	if (r->judged) {
		memcpy(out, r->judged, r->judged_count * sizeof(*out));
		return r->judged_count;
	}
	na_analysis_unknown(&in);
	add_sums(&in, r);
	add_nodes(&in, r->job);
	add_kernel(&in, r->job);
	fullest = add_ceiling(&in, r);
	add_growth(&in, r, unit, sizeof(unit));
	n = na_analysis_run(&in, out);
	for (size_t i = 0; i < n; i++) {
		if (out[i].rule == NA_RULE_limit && fullest)
			name_host(&out[i], fullest->host, "when it was fullest");
		if (out[i].rule == NA_RULE_stalls)
			name_host(&out[i], r->job->metrics[NA_METRIC_stalled].most_at.host, "when it waited most");
	}
	judge_job(r, in.growth.unit == unit, out, &n);
	return n;
}
