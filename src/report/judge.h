/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of analysis/ on a whole job, by what the report knows of it. Live, resident and misplaced bytes are those when each process was fullest,
 * for at the end of a program most has been freed. Growth is judged by the phase and process that grew most, of
 * those in which live bytes rose each time by what the phase left behind; where there is none, by the job's series. The limit is that of the host that came nearest to its own. What
 * a record does not tell (stalls, whether huge pages can be had, CPUs of NUMA nodes) makes its rules silent.
 * A pure function; no allocation.
 */
#ifndef NA_REPORT_JUDGE_H
#define NA_REPORT_JUDGE_H

#include "analysis/analysis.h"
#include "report/report.h"

/* Most costly first; how many. */
size_t na_judge(const struct na_report *r, struct na_finding out[NA_RULE_COUNT_]);

#endif
