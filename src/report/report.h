/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From aggregates to the files that people, scripts and monitoring systems read: report.txt, report.json and report.prom.
 *
 * na_report_check_path() is for the start: it creates the folder and tries it, so that a wrong path is an error
 * before the program has run. na_report_write() is for the end, and never loses the report: if the folder has
 * become unwritable it tries the current folder, then TMPDIR, then /tmp, says on standard error where it
 * went, and prints the report itself if nothing takes it. Files appear whole or not at all (a temporary,
 * then rename). A report of another job that came into the folder since ours began is not overwritten: ours
 * is then called report-JOB.json.
 *
 * Runs once, at the end, and allocates (Jansson). One thread.
 */
#ifndef NA_REPORT_REPORT_H
#define NA_REPORT_REPORT_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "report/job.h"
#include "report/oomfiles.h"
#include "report/rows.h"

#define NA_REPORT_SCHEMA	 "numarena-report"
#define NA_REPORT_SCHEMA_VERSION "1.3"

struct na_finding;

struct na_report {
	const struct na_job *job;
	const struct na_job_breakdown *breakdown; /* of the same processes */
	const struct na_job *hosts;		  /* one a host, any order */
	size_t host_count;
	struct na_rows rows;	     /* any order; there may be fewer than job->processes */
	const size_t *rows_by_rank;  /* where they begin: na_report_json()'s own */
	struct na_row_axis row_axis; /* of their courses over time */
	uint64_t reduce_ns;	     /* the reduction over ranks, at rank 0; NA_UNKNOWN: there was none */
	int post_mortem;	     /* made by numarena-report from records */
	int mpi;		     /* the processes are ranks of an MPI job */
	const char *launcher;	     /* "Open MPI 4.1.4 under mpirun", say; NULL: not known */
	const char *const *notes;    /* sentences for the reader: damaged records and the like */
	size_t note_count;
	const struct na_oom_files *oom; /* NULL: nobody looked */
	const struct na_finding
		*judged; /* of a report that was read back, which has its findings; NULL: na_judge() finds them */
	size_t judged_count;
	const int32_t *missing; /* ranks without a record, rising, may be cut */
	size_t missing_count;	/* how many there are in all */
	size_t missing_listed;	/* entries of `missing` */
};

struct na_report_paths {
	char json[PATH_MAX];
	char text[PATH_MAX]; /* "" if it went to standard error */
	char metrics[PATH_MAX];
};

/* Creates the folder (and parents) if need be, and tries it with a file. 0 or -errno, with a sentence that names it. */
int na_report_check_path(const char *folder, char *complaint, size_t capacity);

/*
 * 0: in `folder`. 1: somewhere else, see paths. -errno: nowhere on disk; it was printed. -ENOENT with a path of the text: without
 * Jansson, so there is no report.json; numarena-report can make it later from the records, which are to be kept.
 */
int na_report_write(const struct na_report *report, const char *folder, struct na_report_paths *paths);

/* The texts themselves, from malloc, or NULL without memory (the JSON also without Jansson). The text is 40 lines at most, in full 100, 100 columns
 * wide. */
char *na_report_text(const struct na_report *report);
char *na_report_text_full(const struct na_report *report);
char *na_report_json(const struct na_report *report);
char *na_report_metrics(const struct na_report *report); /* in the OpenMetrics format: report.prom */

/* Holds a report.json against the contract. 0, or -errno with a sentence that says what is wrong and where. */
int na_report_validate(const char *path, char *complaint, size_t capacity);

#endif
