/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Figures in the OpenMetrics text format (which Prometheus's older format reads as well: no timestamps, and what that does not know is a comment
 * to it): of a job at its end, beside report.txt, and of a node's processes while they run, for node-exporter's textfile collector.
 *
 * Families are numarena_job_*, with a label `job`; numarena_rank_*, a figure's least, median and greatest rank by the label `stat`; and
 * numarena_node_*, with `job` and `host` (of more than NA_JOB_HOSTS hosts those with the least room). Bytes and seconds are base units, ratios lie in [0, 1], what is unknown has no sample. Nothing is
 * a series a rank: that would be for a monitoring system to carry.
 *
 * Like snprintf: writes as much as there is room for, always terminated, and returns the length of all. Pure; no allocation.
 */
#ifndef NA_REPORT_OPENMETRICS_H
#define NA_REPORT_OPENMETRICS_H

#include <stddef.h>

#include "report/report.h"

size_t na_openmetrics_job(const struct na_report *r, char *out, size_t capacity);
size_t na_openmetrics_node(const struct na_job *host, char *out, size_t capacity);

#endif
