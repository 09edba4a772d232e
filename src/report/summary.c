/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/summary.h"

const char *na_summary_status(const struct na_report *r)
{
	const struct na_job *j = r->job;

	if (j->aborted)
		return "aborted";
	if (j->processes == 0 || j->complete < j->processes || r->missing_count)
		return "incomplete";
	return "complete";
}

/* `part` of `whole` in millionths. */
static uint64_t ratio(const struct na_job *j, enum na_metric_id part, enum na_metric_id whole)
{
	uint64_t a = na_job_sum(j, part), b = na_job_sum(j, whole);

	if (a == NA_UNKNOWN || b == NA_UNKNOWN || b == 0)
		return NA_UNKNOWN;
	return (uint64_t)((double)(a < b ? a : b) / (double)b * 1e6 + 0.5);
}

uint64_t na_summary_total(const struct na_job *j, enum na_metric_id id)
{
	uint64_t v;

	switch (id) {
	case NA_METRIC_thread_cache_hit_rate:
		v = ratio(j, NA_METRIC_cache_refills, NA_METRIC_cached_allocations);
		return v == NA_UNKNOWN ? v : 1000000 - v;
	case NA_METRIC_large_reuse_rate:
		return ratio(j, NA_METRIC_large_reused, NA_METRIC_large_allocations);
	default:
		return na_job_sum(j, id);
	}
}

/* Updates of the record happen within maintenance or the last measurement. */
double na_summary_own_fraction(const struct na_job *j)
{
	const struct na_spread *wall = &j->metrics[NA_METRIC_wall_ns];
	double own = (double)j->metrics[NA_METRIC_maintenance_ns].sum + (double)j->metrics[NA_METRIC_finalize_ns].sum +
		     (double)j->metrics[NA_METRIC_topology_ns].sum;

	return wall->known && wall->sum ? own / (double)wall->sum : -1;
}

uint64_t na_summary_hosts(const struct na_report *r)
{
	return r->job->hosts.live.known > r->host_count ? r->job->hosts.live.known : r->host_count;
}
