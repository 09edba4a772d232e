/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/report_commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report/place.h"
#include "report/report.h"
#include "tools/usage.h"

#define TOOL NA_REPORT_TOOL

/* The report that the job made itself. */
static int show_existing(const char *folder, const struct na_report_args *choice)
{
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/report.%s", folder, choice->json ? "json" : "txt");
	rc = na_report_copy_out(path);
	if (rc == -ENOENT)
		fprintf(stderr, TOOL ": %s: neither records (%s/) nor a report are there\n", folder, NA_RECORD_FOLDER);
	else if (rc < 0)
		fprintf(stderr, TOOL ": %s: %s\n", path, strerror(-rc));
	return rc < 0 ? 1 : na_usage_flush(TOOL);
}

static int print(const struct na_report *report, const struct na_report_args *choice)
{
	char *text = choice->json ? na_report_json(report) : na_report_text(report);

	if (!text) {
		fprintf(stderr, TOOL ": no memory for the report\n");
		return 1;
	}
	fputs(text, stdout);
	if (choice->json)
		fputc('\n', stdout);
	free(text);
	return na_usage_flush(TOOL);
}

static int report_job(const char *folder, const char *job, const struct na_report_args *choice)
{
	char job_folder[PATH_MAX];
	struct na_report_paths paths;
	struct na_records r;
	int rc, written;

	if (na_place_job(folder, job, job_folder, sizeof(job_folder)) < 0) {
		fprintf(stderr, TOOL ": %s/%s/%s: its path is too long\n", folder, NA_RECORD_FOLDER, job);
		return 1;
	}
	if (na_records_read(job_folder, &r) < 0)
		return 1;
	rc = print(&r.report, choice);
	written = na_report_write(&r.report, folder, &paths);
	if (paths.json[0])
		fprintf(stderr, TOOL ": report: %s\n", paths.json);
	if (choice->discard && written == 0 && r.c->alive == 0)
		na_place_discard(job_folder);
	else if (choice->discard && r.c->alive)
		fprintf(stderr, TOOL ": %s: processes still run: the records are kept\n", job);
	na_records_free(&r);
	return rc ? rc : written < 0;
}

/* DIR/.numarena/JOB instead of DIR: that job alone, into DIR. */
static bool names_a_job(const char *path, char folder[PATH_MAX], char job_folder[PATH_MAX])
{
	return na_records_home(path, folder) && na_records_find(path, job_folder) > 0 && realpath(path, job_folder);
}

static int report_all(const char *folder, const struct na_report_args *choice, bool existing)
{
	char home[PATH_MAX], job_folder[PATH_MAX];
	struct dirent **jobs;
	struct stat s;
	int count, rc = 0;

	if (stat(folder, &s) < 0 || !S_ISDIR(s.st_mode)) {
		fprintf(stderr, TOOL ": %s: %s\n", folder, stat(folder, &s) < 0 ? strerror(errno) : strerror(ENOTDIR));
		return 1;
	}
	if (names_a_job(folder, home, job_folder))
		return report_job(home, strrchr(job_folder, '/') + 1, choice);
	count = na_records_jobs(folder, &jobs);
	if (count < 0)
		fprintf(stderr, TOOL ": %s/%s: %s\n", folder, NA_RECORD_FOLDER, strerror(-count));
	else if (count == 0 && existing)
		rc = show_existing(folder, choice);
	else if (count == 0)
		fprintf(stderr, TOOL ": %s: no records (%s/) are there\n", folder, NA_RECORD_FOLDER);
	for (int i = 0; i < count; i++) {
		rc |= report_job(folder, jobs[i]->d_name, choice);
		free(jobs[i]);
	}
	free(jobs);
	return count < 0 || (count == 0 && !existing) ? 1 : rc;
}

int na_report_merge(const struct na_report_args *args)
{
	return report_all(args->path[0], args, false);
}

int na_report_merge_or_show(const struct na_report_args *args)
{
	return report_all(args->path[0], args, true);
}
