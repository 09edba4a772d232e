/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static int below(char out[PATH_MAX], const char *folder, const char *name)
{
	return snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

int na_records_jobs(const char *folder, struct dirent ***jobs)
{
	char records[PATH_MAX];
	int count;

	*jobs = NULL;
	if (!below(records, folder, NA_RECORD_FOLDER))
		return -ENAMETOOLONG;
	count = scandir(records, jobs, is_job, versionsort);
	return count >= 0 ? count : errno == ENOENT ? 0 : -errno;
}

static void free_list(struct dirent **list, int count)
{
	for (int i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

static int has_records(const char *folder)
{
	struct dirent **list = NULL;
	int count = scandir(folder, &list, is_record, NULL);

	free_list(list, count);
	return count > 0;
}

int na_records_home(const char *job_folder, char out[PATH_MAX])
{
	char *slash = realpath(job_folder, out) ? strrchr(out, '/') : NULL;

	if (slash) {
		*slash = '\0';
		slash = strrchr(out, '/');
	}
	if (!slash || strcmp(slash + 1, NA_RECORD_FOLDER) != 0)
		return 0;
	slash[slash == out] = '\0';
	return 1;
}

int na_records_read(const char *job_folder, struct na_records *out)
{
	char home[PATH_MAX];
	int rc;

	memset(out, 0, sizeof(*out));
	rc = na_collect(job_folder, &out->c);
	if (rc < 0) {
		for (size_t i = 0; out->c && i < out->c->note_count; i++)
			fprintf(stderr, TOOL ": %s\n", out->c->notes[i]);
		fprintf(stderr, TOOL ": %s: %s\n", job_folder,
			rc == -ENODATA ? "no record could be used" : strerror(-rc));
		na_records_free(out);
		return rc;
	}
	out->report = na_collect_report(out->c);
	out->report.post_mortem = 1;
	if (na_records_home(job_folder, home))
		na_oom_files_find(home, out->c->job.start_ms, &out->oom);
	out->report.oom = &out->oom;
	return 0;
}

void na_records_free(struct na_records *r)
{
	na_collect_free(r->c);
	r->c = NULL;
}

int na_records_find(const char *path, char job_folder[PATH_MAX])
{
	char records[PATH_MAX];
	struct dirent **jobs;
	int count, found;

	if (has_records(path))
		return snprintf(job_folder, PATH_MAX, "%s", path) < PATH_MAX;
	count = na_records_jobs(path, &jobs);
	if (count > 1)
		fprintf(stderr,
			TOOL
			": %s: has records of %d jobs: name one of the folders in %s/%s, or make their reports with "
			"'" TOOL " merge'\n",
			path, count, path, NA_RECORD_FOLDER);
	found = count > 1 ? -1
			  : count == 1 && below(records, path, NA_RECORD_FOLDER) &&
				    below(job_folder, records, jobs[0]->d_name);
	free_list(jobs, count);
	return found;
}

int na_report_of_records(const char *path, char *(*make)(const struct na_report *), char **text)
{
	char job_folder[PATH_MAX];
	int found = na_records_find(path, job_folder);
	struct na_records r;

	*text = NULL;
	if (found <= 0 || na_records_read(job_folder, &r) < 0)
		return found;
	*text = make(&r.report);
	if (!*text)
		fprintf(stderr, TOOL ": %s: no memory for the report\n", job_folder);
	na_records_free(&r);
	return found;
}

int na_report_copy_out(const char *path)
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
