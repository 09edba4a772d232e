/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of analysis/ on a whole job, by what the report knows of it, and rules that only a job has. Live, resident and misplaced bytes are those when
 * each process was fullest, for at the end of a program most has been freed. Growth is judged by the phase and process that grew most, of
 * those in which live bytes rose each time by what the phase left behind; where there is none, by the job's series, unless it is one rank's. The limit is
 * that of the host that came nearest to its own, stalls are those of the host that waited most.
 *
 * rank_imbalance: 1 - mean / most of the ranks' peaks of live bytes; at least a third, and 64 MiB.
 * leaking_rank: 1 - median / most of what ranks grew by, where three or more can tell; at least three quarters, and 16 MiB.
 * over_requested: 1 - sufficient / requested memory of a host; at least a half, and 1 GiB.
 *
 * A pure function; no allocation.
 */
#ifndef NA_REPORT_JUDGE_H
#define NA_REPORT_JUDGE_H

#include "analysis/analysis.h"
#include "report/report.h"

/* Continue enum na_rule_id: findings of jobs carry one or the other. */
enum na_job_rule {
	NA_JOB_RULE_rank_imbalance = NA_RULE_COUNT_,
	NA_JOB_RULE_leaking_rank,
	NA_JOB_RULE_over_requested,
	NA_JOB_RULE_END_
};

/* Most costly first; how many. */
size_t na_judge(const struct na_report *r, struct na_finding out[NA_JOB_RULE_END_]);

const char *na_judge_rule_name(unsigned int rule);

#endif
