/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/derive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "report/summary.h"

#define MIB 1048576

struct na_peak na_derive_peak(const struct na_job *j)
{
	const struct na_series *s = &j->series;
	struct na_peak p = { .live = NA_UNKNOWN, .moment_ms = NA_UNKNOWN, .bin = na_series_fullest(s) };

	if (!s->count)
		return p;
	p.live = s->value[NA_SERIES_LIVE][p.bin];
	p.moment_ms = ((s->first + p.bin) << s->shift) + (UINT64_C(1) << s->shift) / 2;
	return p;
}

const char *na_derive_phase(const struct na_job_breakdown *b, uint32_t bin)
{
	const struct na_phase_sum *most = NULL;

	for (uint32_t i = 0; i < b->phase_count; i++)
		if (b->phases[i].when[bin] && (!most || b->phases[i].when[bin] > most->when[bin]))
			most = &b->phases[i];
	return most ? most->name : NULL;
}

struct na_headroom na_derive_headroom(const struct na_job *host, const struct na_job *job)
{
	const struct na_spread *ranks = &job->metrics[NA_METRIC_peak_physical_bytes];
	uint64_t peak = host->series.count ? na_series_peak_physical(&host->series) : NA_UNKNOWN;
	struct na_headroom h = { .limit = na_job_ceiling(host),
				 .peak = peak,
				 .free = NA_UNKNOWN,
				 .more_ranks = NA_UNKNOWN,
				 .cgroup = host->cgroup_limit != NA_UNKNOWN };

	if (h.limit == NA_UNKNOWN || peak == NA_UNKNOWN)
		return h;
	h.free = peak < h.limit ? h.limit - peak : 0;
	if (ranks->known == job->processes && ranks->most > 0)
		h.more_ranks = h.free / (uint64_t)ranks->most;
	return h;
}

static double lost(uint64_t part, uint64_t whole)
{
	if (part == NA_UNKNOWN || whole == NA_UNKNOWN || !whole)
		return NAN;
	return part < whole ? 1 - (double)part / (double)whole : 0;
}

struct na_fragmentation na_derive_fragmentation(const struct na_job *j)
{
	struct na_fragmentation f = { .held = na_job_sum(j, NA_METRIC_fullest_held_bytes),
				      .live = na_job_sum(j, NA_METRIC_fullest_live_bytes),
				      .requested = na_job_sum(j, NA_METRIC_fullest_requested_bytes) };

	f.external = lost(f.live, f.held);
	f.internal = lost(f.requested, f.live);
	return f;
}

struct na_rates na_derive_rates(const struct na_job *j, const struct na_job_breakdown *b)
{
	const struct na_spread *wall = &j->metrics[NA_METRIC_wall_ns];
	double seconds = wall->known ? (double)wall->most / 1e9 : 0, bytes = 0;
	uint64_t allocations = na_job_sum(j, NA_METRIC_allocations);
	struct na_rates r = { NAN, NAN, NAN };

	for (unsigned int i = 0; i < NA_BREAKDOWN_CLASSES; i++)
		bytes += (double)b->classes[i].allocated_bytes;
	if (seconds > 0 && allocations != NA_UNKNOWN)
		r.allocations_per_s = (double)allocations / seconds;
	if (seconds > 0)
		r.bytes_per_s = bytes / seconds;
	if (b->latency.samples && b->sampling == b->processes && wall->known && wall->sum)
		r.time_fraction = (double)b->latency.sum / (double)wall->sum;
	return r;
}

static int by_bytes(const void *a, const void *b)
{
	const struct na_site_sum *x = *(const struct na_site_sum *const *)a;
	const struct na_site_sum *y = *(const struct na_site_sum *const *)b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strncmp(x->frames, y->frames, sizeof(x->frames));
}

void na_derive_sites(const struct na_job_breakdown *b, const struct na_site_sum *sorted[NA_JOB_SITES])
{
	for (uint32_t i = 0; i < b->site_count; i++)
		sorted[i] = &b->sites[i];
	if (b->site_count)
		qsort(sorted, b->site_count, sizeof(*sorted), by_bytes);
}

uint64_t na_derive_sufficient(const struct na_report *r)
{
	const struct na_hosts *h = &r->job->hosts;

	if (strcmp(na_summary_status(r), "complete") != 0 || !h->physical.known || h->physical.known < h->live.known)
		return NA_UNKNOWN;
	return ((uint64_t)h->physical.most + (uint64_t)h->physical.most / 10 + MIB - 1) / MIB * MIB;
}

void na_derive_directive(char *out, size_t capacity, uint64_t sufficient)
{
	out[0] = '\0';
	if (sufficient != NA_UNKNOWN)
		na_format(out, capacity, "--mem=%lluM", (unsigned long long)(sufficient / MIB));
}

const char *na_derive_source(uint32_t source)
{
	switch (source) {
	case NA_REQUESTED_BY_CGROUP:
		return "cgroup";
	case NA_REQUESTED_BY_SLURM_CPU:
		return "SLURM_MEM_PER_CPU";
	case NA_REQUESTED_BY_SLURM_NODE:
		return "SLURM_MEM_PER_NODE";
	default:
		return NULL;
	}
}
