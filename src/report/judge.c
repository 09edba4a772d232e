/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/judge.h"

#include <string.h>

#include "base/log.h"
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

/* cpus 0: whether a node is meant to be filled is not known, so the rule of balance is silent. */
static void add_nodes(struct na_analysis_input *in, const struct na_job *j)
{
	in->live = j->node_count ? 0 : NA_UNKNOWN;
	in->node_count = j->node_count;
	for (uint32_t i = 0; i < j->node_count; i++) {
		const struct na_numa *n = &j->nodes[i];
		bool known = n->peak_misplaced_bytes != NA_UNKNOWN;

		in->nodes[i] = (struct na_analysis_node){ .node = n->node,
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

static void name_host(struct na_finding *f, const struct na_job *host)
{
	char text[NA_ANALYSIS_SENTENCE];

	na_format(text, sizeof(text), "On host %s, when it was fullest: %s", host->host, f->bottleneck);
	memcpy(f->bottleneck, text, sizeof(text));
}

size_t na_judge(const struct na_report *r, struct na_finding out[NA_RULE_COUNT_])
{
	struct na_analysis_input in;
	const struct na_job *fullest;
	char unit[200];
	size_t n;

	na_analysis_unknown(&in);
	add_sums(&in, r);
	add_nodes(&in, r->job);
	fullest = add_ceiling(&in, r);
	add_growth(&in, r, unit, sizeof(unit));
	n = na_analysis_run(&in, out);
	for (size_t i = 0; i < n; i++)
		if (out[i].rule == NA_RULE_limit && fullest)
			name_host(&out[i], fullest);
	return n;
}
