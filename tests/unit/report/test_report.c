/* SPDX-License-Identifier: BSD-3-Clause */
/* From a folder of records to text and JSON: the schema holds, the text fits a terminal, nothing is lost. */
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "records.h"
#include "report/collect.h"
#include "report/place.h"
#include "report/schema.h"

static char folder[64], job_folder[PATH_MAX];

static int enter(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/numarena-test-XXXXXX");
	if (!mkdtemp(folder) || chdir(folder) < 0)
		return -1;
	na_place_job(folder, "4711", job_folder, sizeof(job_folder));
	return na_place_make(job_folder);
}

static int leave(void **state)
{
	char command[200];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return chdir("/") < 0 ? -1 : system(command);
}

static void put(struct na_record *r)
{
	char path[PATH_MAX];
	struct na_record *slots;

	na_place_of_rank(job_folder, r->rank, path, sizeof(path));
	assert_int_equal(na_place_map(path, &slots), 0);
	na_record_store(slots, r);
	na_place_unmap(slots);
}

static void put_ranks(int count, int size)
{
	for (int i = 0; i < count; i++) {
		struct na_record r;

		record_make(&r, i, size, i % 2 ? "beta" : "alpha");
		put(&r);
	}
}

static void hold_against_schema(const char *text, int rc, const char *words)
{
	json_t *schema = json_loads(na_schema_text, 0, NULL), *document = json_loads(text, 0, NULL);
	char complaint[500] = "";

	assert_non_null(schema);
	assert_non_null(document);
	assert_int_equal(na_schema_check(schema, document, complaint, sizeof(complaint)), rc);
	if (words && !strstr(complaint, words))
		fail_msg("'%s' does not say '%s'", complaint, words);
	json_decref(schema);
	json_decref(document);
}

static void fits_a_terminal(const char *text)
{
	int lines = 0;

	for (const char *line = text; *line; lines++) {
		const char *end = strchr(line, '\n');

		assert_non_null(end);
		if (end - line > 100)
			fail_msg("%d columns: %.*s", (int)(end - line), (int)(end - line), line);
		line = end + 1;
	}
	assert_in_range(lines, 10, 72);
}

static void whole_job(void **state)
{
	struct na_collection *c;
	struct na_report report;
	char *json, *text;

	(void)state;
	put_ranks(6, 6);
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	assert_true(report.mpi);
	assert_int_equal(report.host_count, 2);
	assert_int_equal(report.row_count, 6);
	assert_int_equal(report.missing_count, 0);
	json = na_report_json(&report);
	text = na_report_text(&report);
	hold_against_schema(json, 0, NULL);
	fits_a_terminal(text);
	assert_non_null(strstr(text, "6 of 6 ranks on 2 hosts"));
	assert_non_null(strstr(text, "status     complete"));
	assert_non_null(strstr(text, "rank 5, beta"));
	assert_null(strstr(text, "incomplete"));
	free(json);
	free(text);
	na_collect_free(c);
}

static void broken_job(void **state)
{
	struct na_collection *c;
	struct na_report report;
	struct na_record r;
	char path[PATH_MAX], *json, *text;
	int fd;

	(void)state;
	put_ranks(12, 16);
	record_make(&r, 2, 16, "gamma"); /* another host: whether it runs cannot be known here */
	r.state = NA_RECORD_RUNNING;
	r.update_ms -= 4000;
	put(&r);
	record_make(&r, 3, 16, "beta");
	r.state = NA_RECORD_ABORTED;
	r.physical = r.peak_physical = r.pss = NA_UNKNOWN;
	r.heap.nodes[0].misplaced_bytes = NA_UNKNOWN;
	put(&r);
	na_place_of_rank(job_folder, 5, path, sizeof(path));
	assert_int_equal(truncate(path, 1000), 0);
	na_place_of_rank(job_folder, 7, path, sizeof(path));
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "garbage", 7, (off_t)sizeof(r) + 500), 7); /* the slot that holds the only update */
	close(fd);
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	report.post_mortem = 1;
	assert_int_equal(c->flawed, 2);
	assert_int_equal(report.missing_count, 6);
	assert_int_equal(report.missing[0], 5);
	assert_int_equal(report.missing[1], 7);
	assert_int_equal(report.missing[2], 12);
	json = na_report_json(&report);
	text = na_report_text(&report);
	hold_against_schema(json, 0, NULL);
	fits_a_terminal(text);
	assert_non_null(strstr(text, "aborted (from the records)"));
	assert_non_null(strstr(text, "incomplete              rank 2 running")); /* silent for longest */
	assert_non_null(strstr(text, "rank 3 aborted"));
	assert_non_null(strstr(text, "unavailable"));
	assert_non_null(strstr(json, "rank-5.rec"));
	free(json);
	free(text);
	na_collect_free(c);
}

static void nothing_usable(void **state)
{
	struct na_collection *c = NULL;
	char path[PATH_MAX];
	int fd;

	(void)state;
	assert_int_equal(na_collect("/tmp/numarena-no-such-folder", &c), -ENOENT);
	na_collect_free(c);
	na_place_of_rank(job_folder, 0, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT, 0666);
	assert_int_equal(write(fd, "hello", 5), 5);
	close(fd);
	assert_int_equal(na_collect(job_folder, &c), -ENODATA);
	assert_int_equal(c->note_count, 1);
	na_collect_free(c);
}

static void schema_refuses(void **state)
{
	static const struct {
		const char *from, *to, *words;
	} cases[] = { { "\"status\": \"complete\"", "\"status\": \"splendid\"", "/job/status" },
		      { "\"schema_version\": \"1.1\"", "\"schema_version\": \"2.0\"", "schema_version" },
		      { "\"processes\": 6", "\"processes\": -6", "processes" },
		      { "\"processes\": 6", "\"processes\": \"six\"", "processes" },
		      { "\"processes\": 6,", "", "processes" },
		      { "\"processes\": 6", "\"surplus\": 1, \"processes\": 6", "surplus" } };
	struct na_collection *c;
	struct na_report report;
	char *json;

	(void)state;
	put_ranks(6, 6);
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	json = na_report_json(&report);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *at = strstr(json, cases[i].from), *changed;

		if (!at)
			fail_msg("no %s in the JSON", cases[i].from);
		assert_true(asprintf(&changed, "%.*s%s%s", (int)(at - json), json, cases[i].to, at + strlen(cases[i].from)) > 0);
		hold_against_schema(changed, -EINVAL, cases[i].words);
		free(changed);
	}
	free(json);
	na_collect_free(c);
}

static int exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void written_whole_or_elsewhere(void **state)
{
	struct na_collection *c;
	struct na_report report;
	struct na_report_paths paths;
	char complaint[500];

	(void)state;
	put_ranks(2, 2);
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	assert_int_equal(na_report_check_path("new/folder", complaint, sizeof(complaint)), 0);
	assert_int_equal(na_report_write(&report, "new/folder", &paths), 0);
	assert_true(exists("new/folder/report.json") && exists("new/folder/report.txt"));
	assert_int_equal(na_report_validate("new/folder/report.json", complaint, sizeof(complaint)), 0);
	/* Again: the same job replaces its report. Another job's, made since ours began, stays. */
	assert_int_equal(na_report_write(&report, "new/folder", &paths), 0);
	assert_false(exists("new/folder/report-4711.json"));
	strcpy(c->job.job, "4712");
	assert_int_equal(na_report_write(&report, "new/folder", &paths), 0);
	assert_true(exists("new/folder/report-4712.json"));
	/* A file in the folder's place: an error at the start, another place at the end. */
	close(open("file", O_CREAT | O_WRONLY, 0666));
	assert_int_equal(na_report_check_path("file", complaint, sizeof(complaint)), -ENOTDIR);
	assert_non_null(strstr(complaint, "file"));
	assert_int_equal(na_report_write(&report, "file", &paths), 1);
	assert_true(exists("numarena-report.4712/report.json"));
	na_collect_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_job, enter, leave),
		cmocka_unit_test_setup_teardown(broken_job, enter, leave),
		cmocka_unit_test_setup_teardown(nothing_usable, enter, leave),
		cmocka_unit_test_setup_teardown(schema_refuses, enter, leave),
		cmocka_unit_test_setup_teardown(written_whole_or_elsewhere, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
