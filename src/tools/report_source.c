/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report/collect.h"
#include "report/place.h"
#include "tools/report_commands.h"

#define TOOL NA_REPORT_TOOL

static int is_job(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int is_record(const struct dirent *e)
{
	return na_place_is_record(e->d_name);
}

static int count_of(const char *folder, int (*wanted)(const struct dirent *), char *first, size_t capacity)
{
	struct dirent **list = NULL;
	int count = scandir(folder, &list, wanted, versionsort);

	if (count > 0 && first)
		snprintf(first, capacity, "%s", list[0]->d_name);
	for (int i = 0; i < count; i++)
		free(list[i]);
	free(list);
	return count;
}

static int below(char out[PATH_MAX], const char *folder, const char *name)
{
	return snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static char *from_records(const char *job_folder, char *(*make)(const struct na_report *))
{
	struct na_collection *c = NULL;
	struct na_report report;
	char *text;
	int rc = na_collect(job_folder, &c);

	if (rc < 0) {
		for (size_t i = 0; c && i < c->note_count; i++)
			fprintf(stderr, TOOL ": %s\n", c->notes[i]);
		fprintf(stderr, TOOL ": %s: %s\n", job_folder,
			rc == -ENODATA ? "no record could be used" : strerror(-rc));
		na_collect_free(c);
		return NULL;
	}
	report = na_collect_report(c);
	report.post_mortem = 1;
	text = make(&report);
	if (!text)
		fprintf(stderr, TOOL ": %s: no memory for the report\n", job_folder);
	na_collect_free(c);
	return text;
}

/* Where the records of PATH are: 1; 0: there are none; -1: of several jobs, which has been said. */
static int find_records(const char *path, char job_folder[PATH_MAX])
{
	char records[PATH_MAX], job[NAME_MAX + 1];
	int count;

	if (count_of(path, is_record, NULL, 0) > 0)
		return snprintf(job_folder, PATH_MAX, "%s", path) < PATH_MAX;
	count = below(records, path, NA_RECORD_FOLDER) ? count_of(records, is_job, job, sizeof(job)) : 0;
	if (count > 1) {
		fprintf(stderr,
			TOOL ": %s: has records of %d jobs: name one of the folders in %s, or make their reports with "
			     "'" TOOL " merge'\n",
			path, count, records);
		return -1;
	}
	return count == 1 && below(job_folder, records, job);
}

int na_report_of_records(const char *path, char *(*make)(const struct na_report *), char **text)
{
	char job_folder[PATH_MAX];
	int found = find_records(path, job_folder);

	*text = found > 0 ? from_records(job_folder, make) : NULL;
	return found;
}

/* What is not a report is refused by name; what a report of another 1.x lacks is unavailable. */
static json_t *from_file(const char *path)
{
	char complaint[512];
	json_error_t error;
	json_t *tree = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	const char *version;

	if (!tree) {
		if (error.line > 0)
			fprintf(stderr, TOOL ": %s: line %d: %s\n", path, error.line, error.text);
		else
			fprintf(stderr, TOOL ": %s\n", error.text); /* "unable to open PATH: why" */
		return NULL;
	}
	version = na_report_text_at(tree, "schema_version");
	if (strcmp(na_report_text_at(tree, "schema"), NA_REPORT_SCHEMA) != 0)
		fprintf(stderr, TOOL ": %s: is not a report of numarena: its member \"schema\" is not \"%s\"\n", path,
			NA_REPORT_SCHEMA);
	else if (strncmp(version, "1.", 2) != 0)
		fprintf(stderr, TOOL ": %s: has schema version \"%s\"; this numarena reads 1.x\n", path, version);
	else if (strcmp(version, NA_REPORT_SCHEMA_VERSION) == 0 &&
		 na_report_validate(path, complaint, sizeof(complaint)) < 0)
		fprintf(stderr, TOOL ": %s\n", complaint);
	else
		return tree;
	json_decref(tree);
	return NULL;
}

json_t *na_report_load(const char *path)
{
	char whole[PATH_MAX], *text;
	json_t *tree = NULL;
	struct stat s;

	if (stat(path, &s) < 0) {
		fprintf(stderr, TOOL ": %s: %s\n", path, strerror(errno));
		return NULL;
	}
	if (!S_ISDIR(s.st_mode))
		return from_file(path);
	if (na_report_of_records(path, na_report_json, &text) != 0) {
		tree = text ? json_loads(text, 0, NULL) : NULL;
		free(text);
		return tree;
	}
	if (!below(whole, path, "report.json"))
		return NULL;
	if (stat(whole, &s) < 0 && errno == ENOENT) {
		fprintf(stderr, TOOL ": %s: neither records (%s/) nor a report.json are there\n", path,
			NA_RECORD_FOLDER);
		return NULL;
	}
	return from_file(whole);
}
