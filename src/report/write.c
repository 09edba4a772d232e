/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "report/jansson_calls.h"
#include "report/openmetrics.h"
#include "report/page.h"
#include "report/place.h"

int na_report_check_path(const char *folder, char *complaint, size_t capacity)
{
	char probe[PATH_MAX];
	int rc = na_place_make(folder), fd;

	if (rc < 0) {
		na_format(complaint, capacity, "report folder %s: cannot be made: %s", folder, strerror(-rc));
		return rc;
	}
	if (na_format(probe, sizeof(probe), "%s/.numarena-probe.XXXXXX", folder) + 1 >= sizeof(probe)) {
		na_format(complaint, capacity, "report folder %s: its path is too long", folder);
		return -ENAMETOOLONG;
	}
	fd = mkostemp(probe, O_CLOEXEC); /* ranks on several hosts may try at the same time */
	rc = fd < 0 ? -errno : na_file_write(fd, "numarena", 8);
	if (fd >= 0) {
		close(fd);
		unlink(probe);
	}
	if (rc < 0)
		na_format(complaint, capacity, "report folder %s: cannot be written: %s", folder, strerror(-rc));
	return rc;
}

static int write_file(const char *path, const char *text)
{
	return na_file_replace(path, text, strlen(text), 0644, true);
}

static void say(const char *text)
{
	na_file_write(STDERR_FILENO, text, strlen(text));
}

/* A report that another job left here while ours was running is not ours to replace. */
static int is_foreign(const char *path, const struct na_job *j)
{
	struct stat s;
	json_t *o;
	const char *name;
	int foreign;

	if (stat(path, &s) < 0)
		return 0;
	if ((uint64_t)s.st_mtim.tv_sec * 1000 + (uint64_t)s.st_mtim.tv_nsec / 1000000 < j->start_ms)
		return 0;
	if (na_jansson_load() < 0)
		return 1; /* nobody can tell */
	o = na_jansson.json_load_file(path, 0, NULL);
	name = na_jansson.json_string_value(na_jansson.json_object_get(na_jansson.json_object_get(o, "job"), "name"));
	foreign = !name || strcmp(name, j->job) != 0;
	na_jansson_drop(o);
	return foreign;
}

static int path_of(char out[PATH_MAX], const char *folder, const char *job, const char *extension)
{
	size_t n = na_format(out, PATH_MAX, "%s/report%s%s.%s", folder, job ? "-" : "", job ? job : "", extension);

	return n + 1 < PATH_MAX ? 0 : -ENAMETOOLONG;
}

char *na_report_metrics(const struct na_report *r)
{
	size_t length = na_openmetrics_job(r, NULL, 0);
	char *text = malloc(length + 1);

	if (text)
		na_openmetrics_job(r, text, length + 1);
	return text;
}

/* The figures for monitoring are no reason to look for another folder: where they cannot be written, the report is there all the same. */
static void write_metrics(const struct na_report *r, const char *folder, const char *job, struct na_report_paths *paths)
{
	char *text = na_report_metrics(r);

	if (!text || path_of(paths->metrics, folder, job, "prom") < 0 || write_file(paths->metrics, text) < 0)
		paths->metrics[0] = '\0';
	free(text);
}

/* Nor is the page: it can be made of the JSON later. */
static void write_page(const char *folder, const char *job, const char *json)
{
	char path[PATH_MAX];
	char *page = na_page_of_text(json);
	int rc = page ? path_of(path, folder, job, "html") : -ENOMEM;

	if (rc == 0)
		rc = write_file(path, page);
	if (rc < 0)
		na_log(NA_LOG_WARNING, "report folder %s: report.html cannot be written: %s", folder, strerror(-rc));
	free(page);
}

/* json: NULL without Jansson. */
static int write_all(const struct na_report *r, const char *folder, const char *json, const char *text,
		     struct na_report_paths *paths)
{
	const char *job = NULL;
	int rc = path_of(paths->json, folder, NULL, "json");

	if (rc == 0 && is_foreign(paths->json, r->job)) {
		job = r->job->job;
		rc = path_of(paths->json, folder, job, "json");
	}
	if (rc == 0)
		rc = path_of(paths->text, folder, job, "txt");
	if (rc == 0)
		rc = write_file(paths->text, text);
	if (rc == 0)
		write_metrics(r, folder, job, paths);
	if (rc == 0 && json && na_options.report_html)
		write_page(folder, job, json);
	if (rc == 0 && json)
		rc = write_file(paths->json, json); /* last: who sees it finds the text too */
	return rc;
}

/* In a folder that others use too, a fallback takes a name of its own. */
static int write_beside(const struct na_report *r, const char *parent, const char *json, const char *text,
			struct na_report_paths *paths)
{
	char folder[PATH_MAX];
	int rc;

	if (na_format(folder, sizeof(folder), "%s/numarena-report.%s", parent, r->job->job) + 1 >= sizeof(folder))
		return -ENAMETOOLONG;
	rc = na_place_make(folder);
	return rc < 0 ? rc : write_all(r, folder, json, text, paths);
}

static int fall_back(const struct na_report *r, const char *folder, int why, const char *json, const char *text,
		     struct na_report_paths *paths)
{
	const char *temporary = getenv("TMPDIR");
	const char *const parents[] = { ".", temporary && *temporary ? temporary : "/tmp", "/tmp" };
	char *whole;

	for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
		if (write_beside(r, parents[i], json, text, paths) < 0)
			continue;
		whole = realpath(json ? paths->json : paths->text, NULL);
		na_log(NA_LOG_ERROR, "report folder %s: cannot be written: %s; the report is in %s", folder,
		       strerror(-why), whole ? whole : paths->text);
		free(whole);
		return 1;
	}
	na_log(NA_LOG_ERROR,
	       "report folder %s: cannot be written: %s, nor can the current or a temporary folder; the report:",
	       folder, strerror(-why));
	say(json ? json : text);
	say("\n");
	paths->json[0] = paths->text[0] = paths->metrics[0] = '\0';
	return why;
}

int na_report_write(const struct na_report *report, const char *folder, struct na_report_paths *paths)
{
	char *json = na_report_json(report), *text = na_report_text(report);
	int rc = -ENOMEM, lacking = na_jansson_load();

	paths->json[0] = paths->text[0] = paths->metrics[0] = '\0';
	if (text && (json || lacking)) {
		rc = na_place_make(folder);
		if (rc == 0)
			rc = write_all(report, folder, json, text, paths);
		if (rc < 0)
			rc = fall_back(report, folder, rc, json, text, paths);
		if (lacking) { /* which has been said; the records stay for numarena-report */
			paths->json[0] = '\0';
			rc = rc < 0 ? rc : lacking;
		}
	} else {
		na_log(NA_LOG_ERROR, "no memory for the report");
		if (text)
			say(text);
	}
	free(json);
	free(text);
	return rc;
}
