/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The report of a job that could not make its own: killed, aborted, or without MPI_Finalize. Reads the records that
 * its processes left in DIR/.numarena/JOB/, one report a job; without records it shows the report that is there.
 *
 * Records stay unless --discard asks: they may belong to a job that still runs.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/options.h"
#include "report/collect.h"
#include "report/place.h"
#include "report/report.h"
#include "tools/usage.h"

#define TOOL "numarena-report"

struct choice {
	int json, discard, check;
};

static void help(void)
{
	puts("usage: numarena-report [--json] [--discard] DIR\n"
	     "       numarena-report --check FILE\n"
	     "\n"
	     "Makes the memory report of a job that was killed, aborted or did not finalize, from the records that\n"
	     "its processes left in DIR (the folder given to numarena-run --report). Writes report.json and\n"
	     "report.txt into DIR and prints the text. Where no records are left, prints the report that is there.\n"
	     "\n"
	     "  --json     print the JSON instead of the text\n"
	     "  --discard  remove the records once they are reported; those of processes still running are kept\n"
	     "  --check    hold a report.json against the schema that belongs to this version\n"
	     "  --help     this text\n"
	     "  --version  the version\n"
	     "\n"
	     "Exit status: 0; 1 if there is neither a record nor a report, or FILE is not valid; 2 for wrong usage.");
}

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
static int show_existing(const char *folder, const struct choice *choice)
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

static int print(const struct na_report *report, const struct choice *choice)
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

static int report_job(const char *folder, const char *job, const struct choice *choice)
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

static int report_all(const char *folder, const struct choice *choice)
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
		return show_existing(folder, choice);
	}
	for (int i = 0; i < count; i++) {
		rc |= report_job(folder, jobs[i]->d_name, choice);
		free(jobs[i]);
	}
	free(jobs);
	return rc;
}

static int check(const char *path)
{
	char complaint[512];

	if (na_report_validate(path, complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return 1;
	}
	printf("%s: valid, schema %s %s\n", path, NA_REPORT_SCHEMA, NA_REPORT_SCHEMA_VERSION);
	return na_usage_flush(TOOL);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },    { "discard", no_argument, NULL, 'd' },
		{ "check", no_argument, NULL, 'c' },   { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 }
	};
	struct choice choice = { 0 };
	char complaint[512];
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			choice.json = 1;
			break;
		case 'd':
			choice.discard = 1;
			break;
		case 'c':
			choice.check = 1;
			break;
		case 'h':
			help();
			return na_usage_flush(TOOL);
		case 'v':
			na_usage_version(TOOL);
			return na_usage_flush(TOOL);
		default:
			return na_usage_error(TOOL, "no such option: %s", argv[optind - 1]);
		}
	}
	if (choice.check && (choice.json || choice.discard))
		return na_usage_error(TOOL, "--check goes with no other option");
	if (argc - optind != 1)
		return na_usage_error(TOOL, optind == argc ? "no %s given" : "one %s only",
				      choice.check ? "file" : "folder");
	if (na_options_load(complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return NA_EXIT_USAGE;
	}
	return choice.check ? check(argv[optind]) : report_all(argv[optind], &choice);
}
