/* SPDX-License-Identifier: BSD-3-Clause */
/* html: the page of a report, beside it unless told otherwise; and check, which holds a report.json against its schema. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "report/page.h"
#include "report/report.h"
#include "tools/report_commands.h"
#include "tools/usage.h"

#define TOOL NA_REPORT_TOOL

/* FOLDER/report.html; of FOLDER/NAME.json FOLDER/NAME.html; of the records in FOLDER/.numarena/JOB, where others are removed with the
 * records, FOLDER/report-JOB.html, for the folder may have a report of another job. */
static int default_output(char out[PATH_MAX], const char *path)
{
	char home[PATH_MAX], job[PATH_MAX];
	size_t n = strlen(path);
	struct stat s;

	if (na_records_home(path, home) && realpath(path, job))
		return snprintf(out, PATH_MAX, "%s/report-%s.html", home, strrchr(job, '/') + 1) < PATH_MAX;
	if (stat(path, &s) == 0 && S_ISDIR(s.st_mode))
		return snprintf(out, PATH_MAX, "%s/report.html", path) < PATH_MAX;
	if (n > 5 && strcmp(path + n - 5, ".json") == 0)
		n -= 5;
	return snprintf(out, PATH_MAX, "%.*s.html", (int)n, path) < PATH_MAX;
}

int na_report_html(const struct na_report_args *args)
{
	char path[PATH_MAX] = "";
	json_t *tree = na_report_load(args->path[0]);
	char *page;
	int rc;

	if (!tree)
		return 1;
	if (!args->output && !default_output(path, args->path[0])) {
		fprintf(stderr, TOOL ": %s: its path is too long\n", args->path[0]);
		json_decref(tree);
		return 1;
	}
	page = na_jansson_load() < 0 ? NULL : na_page_make(tree);
	json_decref(tree);
	if (!page) {
		fprintf(stderr, TOOL ": no memory for the page\n");
		return 1;
	}
	if (args->output && strcmp(args->output, "-") == 0) {
		fputs(page, stdout);
		free(page);
		return na_usage_flush(TOOL);
	}
	if (args->output)
		snprintf(path, sizeof(path), "%s", args->output);
	rc = na_file_replace(path, page, strlen(page), 0644, true);
	free(page);
	if (rc < 0)
		fprintf(stderr, TOOL ": %s: %s\n", path, strerror(-rc));
	else
		printf("%s\n", path);
	return rc < 0 ? 1 : na_usage_flush(TOOL);
}

int na_report_check(const struct na_report_args *args)
{
	char complaint[512], inner[PATH_MAX];
	const char *path = args->path[0];
	struct stat s;

	if (stat(path, &s) == 0 && S_ISDIR(s.st_mode)) {
		snprintf(inner, sizeof(inner), "%s/report.json", path);
		path = inner;
	}
	if (na_report_validate(path, complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return 1;
	}
	printf("%s: valid, schema %s %s\n", path, NA_REPORT_SCHEMA, NA_REPORT_SCHEMA_VERSION);
	return na_usage_flush(TOOL);
}
