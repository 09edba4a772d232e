/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * show: a report as text, in one layout, the library's: of records and of a report.json alike, short or in full. Of a folder the short form is the
 * report.txt that the job printed itself, to the letter.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report/report.h"
#include "tools/report_commands.h"
#include "tools/report_read.h"
#include "tools/usage.h"

#define TOOL NA_REPORT_TOOL

typedef char *maker(const struct na_report *);

static int show_json(const char *path)
{
	json_t *tree = na_report_load(path);

	if (!tree)
		return 1;
	json_dumpf(tree, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(tree);
	return na_usage_flush(TOOL);
}

/* From malloc; NULL: that has been said. */
static char *text_of_file(const char *path, maker *make)
{
	json_t *tree = na_report_load(path);
	struct na_read_report *r = tree ? na_report_read(tree) : NULL;
	char *text = r ? make(na_report_of(r)) : NULL;

	if (tree && !text)
		fprintf(stderr, TOOL ": %s: no memory for the text\n", path);
	na_report_read_free(r);
	json_decref(tree);
	return text;
}

static bool printed_text(const char *folder)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/report.txt", folder) < (int)sizeof(path) &&
	       na_report_copy_out(path) == 0;
}

static bool is_folder(const char *path)
{
	struct stat s;

	return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

int na_report_show(const struct na_report_args *args)
{
	maker *make = args->full ? na_report_text_full : na_report_text;
	const char *path = args->path[0];
	char *text = NULL;
	int found = 0;

	if (args->json)
		return show_json(path);
	if (is_folder(path)) {
		found = na_report_of_records(path, make, &text);
		if (found == 0 && !args->full && printed_text(path))
			return na_usage_flush(TOOL);
	}
	if (found == 0)
		text = text_of_file(path, make);
	if (!text)
		return 1;
	fputs(text, stdout);
	free(text);
	return na_usage_flush(TOOL);
}
