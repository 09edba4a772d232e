/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands of numarena-report, a file each, and what they share: the options, as numarena-report.c has read them, and reports as JSON
 * trees, wherever they come from. A command returns the tool's exit status and has said on standard error what went wrong, with its name.
 */
#ifndef NA_TOOLS_REPORT_COMMANDS_H
#define NA_TOOLS_REPORT_COMMANDS_H

#include <dirent.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "report/collect.h"
#include "report/report.h"

#define NA_REPORT_TOOL	  "numarena-report"
#define NA_REPORT_DIFFERS 3 /* exit status of diff --exit-code */

struct na_report_args {
	const char *path[2];
	bool json, full, discard, all, exit_code;
	const char *output; /* NULL: the command's own default; "-": standard output */
	const char *table;
	double threshold; /* percent */
};

int na_report_show(const struct na_report_args *args);
int na_report_html(const struct na_report_args *args);
int na_report_csv(const struct na_report_args *args);
int na_report_diff(const struct na_report_args *args);
int na_report_merge(const struct na_report_args *args);
int na_report_check(const struct na_report_args *args);

/* The form without a command: of the records if there are any, else the report that is there. */
int na_report_merge_or_show(const struct na_report_args *args);

/* ---- report_source.c ---- */

/* The report of PATH: a report.json; a folder with records, else with a report.json; or a folder of records, DIR/.numarena/JOB. The tree is
 * the caller's (json_decref). NULL: that has been said. */
json_t *na_report_load(const char *path);

/* One job's records, read: the only way that a command gets at them. */
struct na_records {
	struct na_collection *c;
	struct na_oom_files oom;
	struct na_report report; /* points into both */
};

/* 0, or -errno, which has been said. */
int na_records_read(const char *job_folder, struct na_records *out);
void na_records_free(struct na_records *r);

/* The folder with the records that a path stands for, its own or the only job's in it: 1; 0: there are none; -1: of several jobs, which has been said. */
int na_records_find(const char *path, char job_folder[PATH_MAX]);

/* The jobs that have records in a folder, as scandir() does it; -errno. */
int na_records_jobs(const char *folder, struct dirent ***jobs);

/* Where the report goes of records in DIR/.numarena/JOB, which is DIR as an absolute path: 1; 0: they lie in another folder. */
int na_records_home(const char *job_folder, char out[PATH_MAX]);

/* A file to standard output; 0 or -errno of opening it. */
int na_report_copy_out(const char *path);

/* The text (from malloc) that `make` makes of the records of a folder. 1: it has records, and if *text is NULL it has been said why that
 * failed; 0: it has none; -1: they are of several jobs, which has been said. */
int na_report_of_records(const char *path, char *(*make)(const struct na_report *), char **text);

/* ---- report_figures.c: reading the tree; everything may be missing in an older report ---- */

/* /-separated members of an object; NULL if any is not there. */
json_t *na_report_at(json_t *tree, const char *path);

/* A number, or NaN if it is null or not there. */
double na_report_number(json_t *tree, const char *path);

/* A text, or "". */
const char *na_report_text_at(json_t *tree, const char *path);

enum na_unit na_report_unit(const char *name);

/* As report.txt prints figures; "unavailable" for NaN. Rates and ratios too (NA_UNIT_PPM takes the ratio itself). */
void na_report_print(char *out, size_t capacity, double value, enum na_unit unit);

#endif
