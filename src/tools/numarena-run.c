/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs one program on numarena: checks the settings and the report folder before anything starts, sets LD_PRELOAD for
 * the program alone, and becomes it or, without a launcher, waits for it; see supervise.h.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "report/folder.h"
#include "report/identity.h"
#include "report/jansson_calls.h"
#include "report/report.h"
#include "tools/libraries.h"
#include "tools/program.h"
#include "tools/supervise.h"
#include "tools/usage.h"

#define TOOL		"numarena-run"
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND	127

static void help(void)
{
	puts("usage: numarena-run [--report=DIR | --no-report] [--html] [--] PROGRAM [ARGUMENT...]\n"
	     "       mpirun -n 4 numarena-run PROGRAM [ARGUMENT...]\n"
	     "\n"
	     "Runs PROGRAM with numarena as its malloc and, at the end, prints a report of the job's memory.\n"
	     "\n"
	     "  --report=DIR  folder for report.json and report.txt (default: NUMARENA_REPORT, else\n"
	     "                ./numarena-report, in a batch job /JOB below it); made if need be.\n"
	     "                In DIR %j is the batch job, %A and %a its array and index, %s the step\n"
	     "  --html        also report.html, the report as a page for a browser\n"
	     "  --no-report   no report, only the allocator\n"
	     "  --help        this text\n"
	     "  --version     the version\n"
	     "\n"
	     "Exit status: PROGRAM's own; 2 for a wrong option, setting or report folder; 126 if PROGRAM\n"
	     "cannot be run, 127 if it is not found.\n");
	na_usage_settings(stdout);
}

/* The absolute path of the folder that the name stands for (NULL: no name) into NUMARENA_REPORT, after trying it. 0 or an exit status. */
static int set_report(const char *folder)
{
	char complaint[PATH_MAX + 128], found[PATH_MAX], *whole;

	if (na_folder_find(folder, found, sizeof(found), complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return NA_EXIT_USAGE;
	}
	folder = found;
	if (na_report_check_path(folder, complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return NA_EXIT_USAGE;
	}
	na_jansson_load();		/* what it says if that fails is better known before the job than after it */
	whole = realpath(folder, NULL); /* the program may change its folder */
	if (!whole || setenv("NUMARENA_REPORT", whole, 1) < 0 || setenv(NA_FOLDER_VARIABLE, whole, 1) < 0) {
		fprintf(stderr, TOOL ": report folder %s: %s\n", folder, strerror(errno));
		free(whole);
		return NA_EXIT_USAGE;
	}
	free(whole);
	return 0;
}

/* Ours first, before what the user preloads; and the core before those that need it, so that nobody searches for it. */
static int set_preload(void)
{
	struct na_libraries libraries;
	const char *before = getenv("LD_PRELOAD");
	char complaint[2 * PATH_MAX + 64], *value;
	int rc;

	if (na_libraries_find(&libraries, complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return EXIT_CANNOT_RUN;
	}
	rc = asprintf(&value, "%s%s%s%s%s%s%s", libraries.core, libraries.core[0] ? ":" : "", libraries.malloc,
		      libraries.mpi[0] ? ":" : "", libraries.mpi, before && *before ? ":" : "", before ? before : "");
	if (rc < 0 || setenv("LD_PRELOAD", value, 1) < 0) {
		fprintf(stderr, TOOL ": LD_PRELOAD: %s\n", strerror(ENOMEM));
		return EXIT_CANNOT_RUN;
	}
	free(value);
	return 0;
}

static int run(char **arguments)
{
	char path[PATH_MAX], reason[128];
	int rc = na_program_find(arguments[0], path);

	if (rc < 0) {
		fprintf(stderr, TOOL ": %s: %s\n", arguments[0], rc == -ENOENT ? "not found" : strerror(-rc));
		return rc == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	}
	if (na_program_escapes(path, reason, sizeof(reason)))
		fprintf(stderr, TOOL ": warning: %s: %s: it runs, but without numarena and without a report\n", path,
			reason);
	rc = set_preload();
	if (rc)
		return rc;
	unsetenv(NA_IDENTITY_VARIABLE); /* within another run this one has a report of its own */
	return na_supervise(arguments, getenv("NUMARENA_REPORT"));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "report", required_argument, NULL, 'r' }, { "no-report", no_argument, NULL, 'n' },
		{ "html", no_argument, NULL, 'w' },	    { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },	    { NULL, 0, NULL, 0 }
	};
	const char *folder = NULL;
	char complaint[512];
	int c, none = 0, html = 0, rc = 0;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			folder = optarg;
			break;
		case 'n':
			none = 1;
			break;
		case 'w':
			html = 1;
			break;
		case 'h':
			help();
			return na_usage_flush(TOOL);
		case 'v':
			na_usage_version(TOOL);
			return na_usage_flush(TOOL);
		case ':':
			return na_usage_error(TOOL, "%s needs a value: --report=DIR", argv[optind - 1]);
		default:
			return na_usage_error(TOOL, "no such option: %s", argv[optind - 1]);
		}
	}
	if (folder && none)
		return na_usage_error(TOOL, "--report and --no-report exclude each other");
	if (html && none)
		return na_usage_error(TOOL, "--html and --no-report exclude each other");
	if (folder && !*folder)
		return na_usage_error(TOOL, "--report= needs a folder's name");
	if (optind == argc)
		return na_usage_error(TOOL, "no program given");
	if (html && setenv("NUMARENA_REPORT_HTML", "1", 1) < 0) {
		fprintf(stderr, TOOL ": --html: %s\n", strerror(errno));
		return NA_EXIT_USAGE;
	}
	if (na_options_load(complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return NA_EXIT_USAGE;
	}
	if (!folder)
		folder = getenv("NUMARENA_REPORT");
	if (none || (folder && !*folder))
		setenv("NUMARENA_REPORT", "", 1);
	else
		rc = set_report(folder);
	return rc ? rc : run(argv + optind);
}
