/* SPDX-License-Identifier: BSD-3-Clause */
/* Figures that text and JSON both derive from an aggregate. */
#ifndef NA_REPORT_SUMMARY_H
#define NA_REPORT_SUMMARY_H

#include "report/report.h"

/* "complete", "incomplete" or "aborted". */
const char *na_summary_status(const struct na_report *r);

/* The job's figure: the sum; for ratios, the ratio of the sums. NA_UNKNOWN. */
uint64_t na_summary_total(const struct na_job *j, enum na_metric_id id);

/* Time in our own layer, by the processes' wall time; negative: unknown. */
double na_summary_own_fraction(const struct na_job *j);

/* All hosts that there are, of which na_report.hosts may be a choice. */
uint64_t na_summary_hosts(const struct na_report *r);

#endif
