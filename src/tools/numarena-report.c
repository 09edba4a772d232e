/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reports, once a job has ended or died: shows them as text, page or table, compares two, makes the one of a job that could not, and
 * checks one. The commands are in report_*.c; here is the command line. A first word that is no command is a folder or an option, as
 * in versions before there were commands.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "tools/report_commands.h"
#include "tools/usage.h"

#define TOOL NA_REPORT_TOOL

struct command {
	const char *name, *options; /* their letters */
	int paths;
	int (*run)(const struct na_report_args *args);
	const char *usage, *text;
};

static const struct command commands[] = {
	{ "show", "jf", 1, na_report_show, "show [--full | --json] REPORT",
	  "Prints the report as text, in 40 lines or in full, or with --json as JSON." },
	{ "html", "o", 1, na_report_html, "html [--output=FILE] REPORT",
	  "Writes the report as one HTML page that opens without a network, beside it (report.html), or into FILE\n"
	  "(- is standard output), and prints its name." },
	{ "csv", "ot", 1, na_report_csv, "csv [--output=FILE] [--table=NAME,...] REPORT",
	  "Prints all figures as comma-separated values, one a line, or those of some tables: job, node, rank, numa,\n"
	  "numa_matrix, phase, pool, size_class, call_site, latency, lifetime, histogram, outlier, finding, series,\n"
	  "rank_series, pause." },
	{ "diff", "ape", 2, na_report_diff, "diff [--all] [--threshold=PERCENT] [--exit-code] REPORT REPORT",
	  "Prints what changed from one job to another and by how much, largest change first: what changed by\n"
	  "more than PERCENT (5), or --all. With --exit-code the status is 3 if anything changed by more." },
	{ "merge", "jd", 1, na_report_merge, "merge [--json] [--discard] DIR",
	  "Makes the report of a job that could not make its own, from the records in DIR: writes report.json,\n"
	  "report.txt and report.prom into DIR and prints the text. --discard removes the records, unless the\n"
	  "job still runs." },
	{ "validate", "", 1, na_report_check, "validate REPORT",
	  "Holds a report.json against the schema that belongs to this version." },
};

/* The forms without a command. */
static const struct command plain = { "", "jdc", 1, na_report_merge_or_show, NULL, NULL };

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(void)
{
	puts("usage: numarena-report COMMAND [OPTION...] REPORT\n"
	     "       numarena-report [--json] [--discard] DIR\n"
	     "       numarena-report --check FILE\n"
	     "\n"
	     "Reports of jobs' memory. REPORT is a report.json, a folder that holds one, or a folder with records\n"
	     "that processes left (DIR, given to numarena-run --report, or DIR/.numarena/JOB).\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *line = commands[i].text;

		printf("  %s\n", commands[i].usage);
		while (*line) {
			size_t n = strcspn(line, "\n");

			printf("      %.*s\n", (int)n, line);
			line += n + (line[n] == '\n');
		}
	}
	puts("\n"
	     "Without a command: the same as merge, or where no records are left the text of the report that is\n"
	     "there; --check is validate.\n"
	     "\n"
	     "  --help     this text; after a command, that command's\n"
	     "  --version  the version\n"
	     "\n"
	     "Exit status: 0; 1 if there is neither a record nor a report, or it is not valid; 2 for wrong usage;\n"
	     "3 from diff --exit-code if the reports differ.");
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; name && i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int read_threshold(const char *text, double *out)
{
	char *end;

	errno = 0;
	*out = strtod(text, &end);
	if (end != text && *end == '\0' && errno == 0 && isfinite(*out) && *out >= 0)
		return 0;
	return na_usage_error(TOOL, "--threshold=%s: must be a percentage, 0 or more", text);
}

/* 0, or an exit status. */
static int set_option(struct na_report_args *args, int letter)
{
	switch (letter) {
	case 'j':
		args->json = true;
		break;
	case 'f':
		args->full = true;
		break;
	case 'd':
		args->discard = true;
		break;
	case 'a':
		args->all = true;
		break;
	case 'e':
		args->exit_code = true;
		break;
	case 'o':
		args->output = optarg;
		return *optarg ? 0 : na_usage_error(TOOL, "--output= needs a file's name");
	case 't':
		args->table = optarg;
		break;
	case 'p':
		return read_threshold(optarg, &args->threshold);
	}
	return 0;
}

static int run(const struct command *command, const struct na_report_args *args)
{
	char complaint[512];

	if (na_options_load(complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return NA_EXIT_USAGE;
	}
	return command->run(args);
}

static int check_paths(const struct command *command, int given, bool check)
{
	const char *what = command != &plain ? "report" : check ? "file" : "folder";

	if (given == command->paths)
		return 0;
	if (command->paths == 2)
		return na_usage_error(TOOL, "%s compares two reports", command->name);
	return na_usage_error(TOOL, given == 0 ? "no %s given" : "one %s only", what);
}

static int help_of(const struct command *command)
{
	if (command == &plain)
		help();
	else
		printf("usage: " TOOL " %s\n\n%s\n", command->usage, command->text);
	return na_usage_flush(TOOL);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "full", no_argument, NULL, 'f' },	    { "json", no_argument, NULL, 'j' },
		{ "discard", no_argument, NULL, 'd' },	    { "check", no_argument, NULL, 'c' },
		{ "output", required_argument, NULL, 'o' }, { "table", required_argument, NULL, 't' },
		{ "all", no_argument, NULL, 'a' },	    { "threshold", required_argument, NULL, 'p' },
		{ "exit-code", no_argument, NULL, 'e' },    { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },	    { NULL, 0, NULL, 0 }
	};
	const struct command *command = find(argc > 1 ? argv[1] : NULL);
	struct na_report_args args = { .threshold = 5 };
	bool check = false;
	int c, rc = 0, at = 0;

	opterr = 0;
	optind = command ? 2 : 1;
	if (!command)
		command = &plain;
	while (rc == 0 && (c = getopt_long(argc, argv, ":", options, &at)) != -1) {
		if (c == 'h')
			return help_of(command);
		if (c == 'v') {
			na_usage_version(TOOL);
			return na_usage_flush(TOOL);
		}
		if (c == ':')
			return na_usage_error(TOOL, "%s needs a value", argv[optind - 1]);
		if (c == '?')
			return na_usage_error(TOOL, "no such option: %s", argv[optind - 1]);
		if (!strchr(command->options, c))
			return na_usage_error(TOOL, "option --%s does not go with %s", options[at].name,
					      command == &plain ? "no command" : command->name);
		check |= c == 'c';
		rc = set_option(&args, c);
	}
	if (rc == 0 && args.full && args.json)
		rc = na_usage_error(TOOL, "--full and --json exclude each other");
	if (rc == 0 && check && (args.json || args.discard))
		rc = na_usage_error(TOOL, "--check goes with no other option");
	if (rc == 0)
		rc = check_paths(command, argc - optind, check);
	if (rc)
		return rc;
	args.path[0] = argv[optind];
	args.path[1] = command->paths == 2 ? argv[optind + 1] : NULL;
	if (check) {
		static const struct command checking = { "", "", 1, na_report_check, NULL, NULL };

		command = &checking;
	}
	return run(command, &args);
}
