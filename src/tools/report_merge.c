/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/report_commands.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report/collect.h"
#include "report/place.h"
#include "report/report.h"
#include "tools/usage.h"

#define TOOL NA_REPORT_TOOL

static int copy_out(const char *path)
{
	FILE *in = fopen(path, "r");
	char buffer[65536];
	size_t n;

	if (!in)
		return -errno;
	while ((n = fread(buffer, 1, sizeof(buffer), in)) > 0)
		fwrite(buffer, 1, n, stdout);
	fclose(in);
	return 0;
}

/* The report that the job made itself. */
static int show_existing(const char *folder, const struct na_report_args *choice)
{
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/report.%s", folder, choice->json ? "json" : "txt");
	rc = copy_out(path);
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

static void print_notes(const struct na_collection *c)
{
	for (size_t i = 0; i < c->note_count; i++)
		fprintf(stderr, TOOL ": %s\n", c->notes[i]);
}

static int report_job(const char *folder, const char *job, const struct na_report_args *choice)
{
	char job_folder[PATH_MAX];
	struct na_collection *c = NULL;
	struct na_report_paths paths;
	struct na_report report;
	struct na_oom_files oom;
	int rc = na_place_job(folder, job, job_folder, sizeof(job_folder)), written;

	if (rc == 0)
		rc = na_collect(job_folder, &c);
	if (rc < 0) {
		if (c)
			print_notes(c);
		fprintf(stderr, TOOL ": %s/%s/%s: %s\n", folder, NA_RECORD_FOLDER, job,
			rc == -ENODATA ? "no record could be used" : strerror(-rc));
		na_collect_free(c);
		return 1;
	}
	report = na_collect_report(c);
	report.post_mortem = 1;
	na_oom_files_find(folder, report.job->start_ms, &oom);
	report.oom = &oom;
	rc = print(&report, choice);
	written = na_report_write(&report, folder, &paths);
	if (paths.json[0])
		fprintf(stderr, TOOL ": report: %s\n", paths.json);
	if (choice->discard && written == 0 && c->alive == 0)
		na_place_discard(job_folder);
	else if (choice->discard && c->alive)
		fprintf(stderr, TOOL ": %s: processes still run: the records are kept\n", job);
	na_collect_free(c);
	return rc ? rc : written < 0;
}

static int is_job(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int report_all(const char *folder, const struct na_report_args *choice, bool existing)
{
	struct dirent **jobs = NULL;
	char path[PATH_MAX];
	struct stat s;
	int count, rc = 0;

	if (stat(folder, &s) < 0 || !S_ISDIR(s.st_mode)) {
		fprintf(stderr, TOOL ": %s: %s\n", folder, stat(folder, &s) < 0 ? strerror(errno) : strerror(ENOTDIR));
		return 1;
	}
	snprintf(path, sizeof(path), "%s/%s", folder, NA_RECORD_FOLDER);
	count = scandir(path, &jobs, is_job, versionsort);
	if (count <= 0) {
		if (count < 0 && errno != ENOENT) {
			fprintf(stderr, TOOL ": %s: %s\n", path, strerror(errno));
			return 1;
		}
		free(jobs);
		if (existing)
			return show_existing(folder, choice);
		fprintf(stderr, TOOL ": %s: no records (%s/) are there\n", folder, NA_RECORD_FOLDER);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		rc |= report_job(folder, jobs[i]->d_name, choice);
		free(jobs[i]);
	}
	free(jobs);
	return rc;
}

int na_report_merge(const struct na_report_args *args)
{
	return report_all(args->path[0], args, false);
}

int na_report_merge_or_show(const struct na_report_args *args)
{
	return report_all(args->path[0], args, true);
}
