/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A live view of the jobs on this node, from the records that their processes keep (report/record.h): a table in the terminal that is read
 * anew each second, or plain text for pipes. It only reads; the processes do not notice.
 */
#include <errno.h>
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/options.h"
#include "report/folder.h"
#include "tools/top_screen.h"
#include "tools/usage.h"

#define TOOL	    "numarena-top"
#define BATCH_WIDTH 140

static void help(void)
{
	puts("usage: numarena-top [--delay=SECONDS] [--sort=COLUMN] [--job=JOB] [--once | --batch=TIMES] [DIR]\n"
	     "\n"
	     "Shows the memory of the jobs on this node while they run, from the records that their processes keep in\n"
	     "DIR, the report's folder (default: what numarena-run would take here: NUMARENA_REPORT, else\n"
	     "numarena-report, in a batch job the job's folder in it).\n"
	     "\n"
	     "  --delay=SECONDS  time between two looks (default 1; 0.1 to 3600)\n"
	     "  --sort=COLUMN    rank, live, peak, physical, misplaced or rate (default live)\n"
	     "  --job=JOB        that job alone\n"
	     "  --once           print what is there and end; for pipes and logs\n"
	     "  --batch=TIMES    print it so many times, with the delay between\n"
	     "  --help           this text\n"
	     "  --version        the version\n"
	     "\n"
	     "Keys: q quit; r l p m x a sort by rank, live, peak, physical, misplaced, allocations a second; < > the\n"
	     "column before, after; R the other way round; arrows, PageUp, PageDown, Home, End scroll; space stops "
	     "and\n"
	     "goes on; + - the delay; h or ? the keys.\n"
	     "\n"
	     "Exit status: 0; 1 if the folder cannot be read, or with --once no process has a record there; 2 for\n"
	     "wrong usage.");
}

static int read_column(const char *text, enum na_top_column *out)
{
	for (int c = 0; c < NA_TOP_COLUMNS; c++)
		if (strcmp(text, na_top_column_names[c]) == 0) {
			*out = (enum na_top_column)c;
			return 0;
		}
	return na_usage_error(TOOL, "--sort=%s: must be rank, live, peak, physical, misplaced or rate", text);
}

static int read_delay(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	if (end != text && *end == '\0' && *out >= 0.1 && *out <= 3600)
		return 0;
	return na_usage_error(TOOL, "--delay=%s: must be from 0.1 to 3600 seconds", text);
}

static int read_times(const char *text, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	if (end != text && *end == '\0' && errno == 0 && *out >= 1)
		return 0;
	return na_usage_error(TOOL, "--batch=%s: must be a number of times, 1 or more", text);
}

static void print_view(struct na_top *t, const struct na_top_choice *choice)
{
	struct na_top_line line;

	na_top_sort(t, choice->by, choice->reversed);
	for (int i = 0; i < NA_TOP_HEAD; i++) {
		na_top_head(t, i, choice->by, BATCH_WIDTH, choice->utf8, &line);
		puts(line.text);
	}
	for (size_t i = 0; i < t->count; i++) {
		na_top_row_line(&t->rows[i], BATCH_WIDTH, choice->utf8, &line);
		puts(line.text);
	}
}

static void wait_for(double seconds)
{
	struct timespec left = { (time_t)seconds, (long)(fmod(seconds, 1) * 1e9) };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* Without a terminal. `none`: an error if nobody is there. */
static int batch(struct na_top *t, const struct na_top_choice *choice, long times, bool none)
{
	int rc;

	for (long i = 0; i < times; i++) {
		if (i) {
			wait_for(choice->delay);
			putchar('\n');
		}
		rc = na_top_look(t);
		if (rc < 0) {
			fprintf(stderr, TOOL ": %s/%s: %s\n", t->folder, NA_RECORD_FOLDER, strerror(-rc));
			return 1;
		}
		if (none && !t->count && !t->flawed) {
			fprintf(stderr, TOOL ": %s: no process on this node has a record there (%s/)\n", t->folder,
				NA_RECORD_FOLDER);
			return 1;
		}
		print_view(t, choice);
		if (na_usage_flush(TOOL))
			return 1;
	}
	return 0;
}

static int run(struct na_top *t, struct na_top_choice *choice, long times, bool once)
{
	char complaint[512];
	int rc;

	if (na_options_load(complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return NA_EXIT_USAGE;
	}
	setlocale(LC_CTYPE, "");
	choice->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	if (times)
		return batch(t, choice, times, once);
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return na_usage_error(TOOL, "this is no terminal: --once or --batch=TIMES print plain text");
	rc = na_top_screen(t, choice, complaint, sizeof(complaint));
	if (rc < 0)
		fprintf(stderr, TOOL ": %s\n", complaint);
	return rc < 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "delay", required_argument, NULL, 'd' }, { "sort", required_argument, NULL, 's' },
		{ "job", required_argument, NULL, 'j' },   { "once", no_argument, NULL, 'o' },
		{ "batch", required_argument, NULL, 'b' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },	   { NULL, 0, NULL, 0 }
	};
	struct na_top_choice choice = { .delay = 1, .by = NA_TOP_LIVE };
	char found[PATH_MAX], complaint[PATH_MAX + 128];
	const char *folder = getenv("NUMARENA_REPORT");
	struct na_top top = { 0 };
	bool once = false;
	long times = 0;
	int c, rc = 0;

	opterr = 0;
	while (rc == 0 && (c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			rc = read_delay(optarg, &choice.delay);
			break;
		case 's':
			rc = read_column(optarg, &choice.by);
			break;
		case 'j':
			top.job = optarg;
			break;
		case 'o':
			once = true;
			break;
		case 'b':
			rc = read_times(optarg, &times);
			break;
		case 'h':
			help();
			return na_usage_flush(TOOL);
		case 'v':
			na_usage_version(TOOL);
			return na_usage_flush(TOOL);
		case ':':
			return na_usage_error(TOOL, "%s needs a value", argv[optind - 1]);
		default:
			return na_usage_error(TOOL, "no such option: %s", argv[optind - 1]);
		}
	}
	if (rc)
		return rc;
	if (once && times)
		return na_usage_error(TOOL, "--once and --batch exclude each other");
	if (argc - optind > 1)
		return na_usage_error(TOOL, "one folder only");
	if (optind < argc) {
		top.folder = argv[optind];
	} else if (na_folder_find(folder && *folder ? folder : NULL, found, sizeof(found), complaint,
				  sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return NA_EXIT_USAGE;
	} else {
		top.folder = found;
	}
	rc = run(&top, &choice, once ? 1 : times, once);
	na_top_free(&top);
	return rc;
}
