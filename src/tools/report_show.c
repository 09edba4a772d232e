/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * show: a report as text. Of records it is the text that the job would have printed, or its long form; of a folder the report.txt that it did
 * print. Of a report.json alone, which may have come from elsewhere, it is a summary made here, of at most 40 lines however many ranks
 * there are; in full it has all NUMA nodes, phases, figures and findings.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report/report.h"
#include "tools/report_commands.h"
#include "tools/usage.h"

#define TOOL  NA_REPORT_TOOL
#define WIDTH 98

struct text {
	char of[48];
};

static struct text figure(json_t *tree, const char *path, const char *unit)
{
	struct text t;

	na_report_print(t.of, sizeof(t.of), na_report_number(tree, path), na_report_unit(unit));
	return t;
}

static struct text where(json_t *extreme)
{
	struct text t;
	json_t *rank = json_object_get(extreme, "rank");

	if (json_is_integer(rank))
		snprintf(t.of, sizeof(t.of), "rank %" JSON_INTEGER_FORMAT ", %.24s", json_integer_value(rank),
			 na_report_text_at(extreme, "host"));
	else if (extreme)
		snprintf(t.of, sizeof(t.of), "process %.0f, %.24s", na_report_number(extreme, "pid"),
			 na_report_text_at(extreme, "host"));
	else
		t.of[0] = '\0';
	return t;
}

static void put_head(json_t *tree)
{
	json_t *job = json_object_get(tree, "job");
	const char *kind = json_is_true(json_object_get(job, "mpi")) ? "ranks" : "processes";

	printf("== numarena memory report ==\n");
	printf("  job        %s: %s, %.0f %s on %.0f nodes\n", na_report_text_at(job, "name"),
	       na_report_text_at(job, "program"), na_report_number(job, "processes"), kind,
	       na_report_number(job, "nodes"));
	printf("  status     %s, %s from %s%s\n", na_report_text_at(job, "status"), figure(job, "wall_ns", "ns").of,
	       na_report_text_at(job, "start"),
	       json_is_true(json_object_get(job, "post_mortem")) ? " (from the records)" : "");
}

static void put_metric(const char *label, json_t *m)
{
	const char *unit = na_report_text_at(m, "unit");

	printf("  %-24s %11s %11s %11s %11s %9s  %s\n", label, figure(m, "total", unit).of,
	       figure(m, "min/value", unit).of, figure(m, "mean", unit).of, figure(m, "max/value", unit).of,
	       figure(m, "imbalance", "ratio").of, where(json_object_get(m, "max")).of);
}

static void put_metrics(json_t *job, bool full)
{
	static const char *const table[][2] = { { "peak_bytes", "live blocks, peak" },
						{ "live_bytes", "live blocks, at the end" },
						{ "peak_physical_bytes", "physical, peak" },
						{ "held_bytes", "pools hold" },
						{ "peak_misplaced_bytes", "misplaced, when fullest" },
						{ "allocations", "allocations" },
						{ "thread_cache_hit_rate", "thread-cache hit rate" } };

	const char *name;
	json_t *m;

	printf("%-26s %11s %11s %11s %11s %9s  most on\n", "", "job", "least", "mean", "most", "imbalance");
	for (size_t i = 0; !full && i < sizeof(table) / sizeof(table[0]); i++)
		put_metric(table[i][1], na_report_at(json_object_get(job, "metrics"), table[i][0]));
	if (full)
		json_object_foreach(json_object_get(job, "metrics"), name, m) put_metric(name, m);
}

static void put_peaks(json_t *job)
{
	const char *phase = na_report_text_at(job, "peak/phase");
	double after = na_report_number(job, "peak/moment_ms") - na_report_number(job, "series/begin_ms");

	printf("  peak of sums             live %s, physical %s", figure(job, "peaks/live_peak_of_sums", "bytes").of,
	       figure(job, "peaks/physical_peak_of_sums", "bytes").of);
	if (isfinite(after))
		printf("; %.3g s after the start", after / 1000);
	printf("%s%.40s\n", *phase ? ", in " : "", phase);
	printf("    sum of peaks           live %s, physical %s\n", figure(job, "peaks/live_sum_of_peaks", "bytes").of,
	       figure(job, "peaks/physical_sum_of_peaks", "bytes").of);
	if (json_is_object(json_object_get(job, "memory_request")))
		printf("  would have sufficed      %s\n", na_report_text_at(job, "memory_request/directive"));
	if (json_is_object(json_object_get(job, "fragmentation")))
		printf("  fragmentation            external %s, internal %s\n",
		       figure(job, "fragmentation/external", "ratio").of,
		       figure(job, "fragmentation/internal", "ratio").of);
}

static void put_numa(json_t *job, bool full)
{
	size_t i, n = json_array_size(json_object_get(job, "numa_nodes"));
	json_t *node;

	if (n)
		printf("  NUMA node, when fullest   requested    resident   misplaced\n");
	json_array_foreach(json_object_get(job, "numa_nodes"), i, node)
	{
		if (i == 4 && n > 5 && !full) {
			printf("  ... and %zu more\n", n - i);
			return;
		}
		printf("  %9.0f             %11s %11s %11s\n", na_report_number(node, "node"),
		       figure(node, "when_fullest/requested_bytes", "bytes").of,
		       figure(node, "when_fullest/resident_bytes", "bytes").of,
		       figure(node, "when_fullest/misplaced_bytes", "bytes").of);
	}
}

/* Those with the highest peaks. */
static void put_phases(json_t *job, bool full)
{
	json_t *list = json_object_get(job, "phases"), *best;
	size_t n = json_array_size(list), i;
	bool used[64] = { false };
	json_t *p;

	if (n)
		printf("  phases                     ranks   time, most   peak, most   left, most\n");
	for (size_t row = 0; row < n && row < (full ? 64 : 4); row++) {
		size_t at = 0;

		best = NULL;
		json_array_foreach(list, i, p)
		{
			if (i < 64 && !used[i] &&
			    (!best || na_report_number(p, "peak_bytes/max/value") >
					      na_report_number(best, "peak_bytes/max/value"))) {
				best = p;
				at = i;
			}
		}
		used[at] = true;
		printf("    %-23.23s %6.0f %12s %12s %12s\n", na_report_text_at(best, "name"),
		       na_report_number(best, "processes"), figure(best, "time_ns/max/value", "ns").of,
		       figure(best, "peak_bytes/max/value", "bytes").of,
		       figure(best, "left_bytes/max/value", "bytes").of);
	}
}

/* The node with the least room. */
static void put_headroom(json_t *tree)
{
	json_t *list = json_object_get(tree, "nodes"), *least = NULL, *node;
	size_t i;

	json_array_foreach(list, i, node)
	{
		double free_bytes = na_report_number(node, "headroom/free_bytes");

		if (isfinite(free_bytes) && (!least || free_bytes < na_report_number(least, "headroom/free_bytes")))
			least = node;
	}
	if (!least)
		return;
	printf("  least headroom           %s free of %s (%s) on %.30s",
	       figure(least, "headroom/free_bytes", "bytes").of, figure(least, "headroom/limit_bytes", "bytes").of,
	       na_report_text_at(least, "headroom/limit"), na_report_text_at(least, "host"));
	if (isfinite(na_report_number(least, "headroom/more_ranks")))
		printf(": room for %.0f more", na_report_number(least, "headroom/more_ranks"));
	putchar('\n');
}

/* Broken at words, at most three lines. */
static void put_sentence(const char *label, const char *text)
{
	size_t column = (size_t)printf("  %s: ", label), lines = 1;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (column + word > WIDTH) {
			if (++lines > 3) {
				printf("...");
				break;
			}
			column = (size_t)printf("\n           ") - 1;
		}
		column += (size_t)printf("%.*s ", (int)word, text);
		text += word + (text[word] == ' ');
	}
	putchar('\n');
}

static void put_findings(json_t *tree, bool full)
{
	json_t *list = na_report_at(tree, "job/findings"), *f;
	size_t i;

	json_array_foreach(list, i, f) if (full || i < 2) put_sentence("finding", na_report_text_at(f, "bottleneck"));
	if (na_report_number(tree, "job/missing") > 0)
		printf("  no record of %.0f ranks\n", na_report_number(tree, "job/missing"));
	json_array_foreach(json_object_get(tree, "notes"), i, f) if (full || i < 2)
		put_sentence("note", json_string_value(f));
}

static int show_json(json_t *tree)
{
	json_dumpf(tree, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	return na_usage_flush(TOOL);
}

/* report.txt of a folder. -1: there is none. */
static int show_text(const char *folder)
{
	char path[PATH_MAX], buffer[8192];
	FILE *in;
	size_t n;

	if (snprintf(path, sizeof(path), "%s/report.txt", folder) >= (int)sizeof(path) || !(in = fopen(path, "r")))
		return -1;
	while ((n = fread(buffer, 1, sizeof(buffer), in)) > 0)
		fwrite(buffer, 1, n, stdout);
	fclose(in);
	return na_usage_flush(TOOL);
}

static int show_summary(json_t *tree, bool full)
{
	json_t *job = json_object_get(tree, "job");

	put_head(tree);
	put_metrics(job, full);
	put_peaks(job);
	put_numa(job, full);
	put_phases(job, full);
	put_headroom(tree);
	printf("  numarena's own cost      %s of the time, metadata %s\n",
	       figure(job, "overhead/fraction_of_time", "ratio").of,
	       figure(job, "overhead/metadata_bytes", "bytes").of);
	put_findings(tree, full);
	return na_usage_flush(TOOL);
}

/* Of a folder the text that the library makes. -1: there is none to be had. */
static int show_folder(const char *folder, bool full)
{
	char *text;
	int found = na_report_of_records(folder, full ? na_report_text_full : na_report_text, &text);

	if (found == 0)
		return full ? -1 : show_text(folder);
	if (!text)
		return 1;
	fputs(text, stdout);
	free(text);
	return na_usage_flush(TOOL);
}

int na_report_show(const struct na_report_args *args)
{
	struct stat s;
	json_t *tree;
	int rc;

	if (!args->json && stat(args->path[0], &s) == 0 && S_ISDIR(s.st_mode)) {
		rc = show_folder(args->path[0], args->full);
		if (rc >= 0)
			return rc;
	}
	tree = na_report_load(args->path[0]);
	if (!tree)
		return 1;
	rc = args->json ? show_json(tree) : show_summary(tree, args->full);
	json_decref(tree);
	return rc;
}
