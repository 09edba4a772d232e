/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What follows from a report's figures and is said in more than one of its forms: text, JSON, OpenMetrics, findings. Pure functions; no allocation.
 * What is not known is NA_UNKNOWN, or NaN.
 */
#ifndef NA_REPORT_DERIVE_H
#define NA_REPORT_DERIVE_H

#include "report/report.h"

/* When the job, or a host, was fullest. */
struct na_peak {
	uint64_t live, moment_ms; /* the middle of the series' bin */
	uint32_t bin;
};
struct na_peak na_derive_peak(const struct na_job *j);

/* The name of the phase that most processes were in, in a bin of the job's series; NULL: none was in any. */
const char *na_derive_phase(const struct na_job_breakdown *b, uint32_t bin);

struct na_headroom {
	uint64_t limit, peak, free;
	uint64_t more_ranks; /* that the host would still take, of those with the highest peak of all the job's */
	bool cgroup;	     /* whose the limit is; else the machine's */
};
struct na_headroom na_derive_headroom(const struct na_job *host, const struct na_job *job);

/* When each process was fullest. */
struct na_fragmentation {
	uint64_t held, live, requested;
	double external; /* 1 - live / held */
	double internal; /* 1 - requested / live */
};
struct na_fragmentation na_derive_fragmentation(const struct na_job *j);

struct na_rates {
	double allocations_per_s, bytes_per_s; /* of all processes together */
	double time_fraction; /* of all their time together, that allocations took: an estimate from samples */
};
struct na_rates na_derive_rates(const struct na_job *j, const struct na_job_breakdown *b);

/* The b->site_count call sites, those with most bytes first. */
void na_derive_sites(const struct na_job_breakdown *b, const struct na_site_sum *sorted[NA_JOB_SITES]);

/* What would have sufficed on each host, for what was asked for: a tenth more than the fullest needed, in whole MiB. A job that did not come to
 * its end may not have seen its peak, nor one of which a host's physical memory is unknown. */
uint64_t na_derive_sufficient(const struct na_report *r);
/* "--mem=12345M"; "" if unknown. */
void na_derive_directive(char *out, size_t capacity, uint64_t sufficient);
const char *na_derive_source(uint32_t source); /* NULL: none */

#endif
