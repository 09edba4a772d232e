/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * csv: every figure of a report, one a line. Columns:
 *
 *   table      see the tables below
 *   host, rank, pid, numa_node, name, moment_ms    of what; empty where it does not apply. name: of a phase, pool, ...
 *   metric, statistic, unit    as in report.json: peak_bytes, total, bytes
 *   value      empty: could not be measured
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/csv_lines.h"
#include "tools/report_commands.h"
#include "tools/usage.h"

#define TOOL NA_REPORT_TOOL

struct table {
	const char *name;
	void (*put)(FILE *out, const struct table *t, json_t *tree);
	const char *of;	   /* the job's member that it shows */
	const char *named; /* of a list: the member that says which it is; NULL: none needs to */
	const char *rest;  /* the job's member that adds up those for which the list had no room */
};

/* ---- job, nodes, ranks ---- */

static void put_metrics(FILE *out, struct na_csv_line l, json_t *metrics)
{
	const char *name;
	json_t *m;

	json_object_foreach(metrics, name, m)
	{
		l.metric = name;
		na_csv_put_parts(out, l, m, na_report_text_at(m, "unit"));
	}
}

/* Members of the job or of a node that are figures of it, each under its name. */
static void put_whole(FILE *out, struct na_csv_line l, json_t *of)
{
	static const char *const parts[] = { "peaks",	       "peak",	   "headroom", "fragmentation", "rates",
					     "memory_request", "overhead", "threads",  "out_of_memory" };

	na_csv_put_members(out, l, of, NULL);
	put_metrics(out, l, json_object_get(of, "metrics"));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		l.name = parts[i];
		na_csv_put_members(out, l, json_object_get(of, parts[i]), NULL);
		na_csv_put_inner(out, l, json_object_get(of, parts[i]));
	}
}

static void put_job(FILE *out, const struct table *t, json_t *tree)
{
	put_whole(out, na_csv_line_of(t->name, NULL), json_object_get(tree, "job"));
}

static void put_nodes(FILE *out, const struct table *t, json_t *tree)
{
	size_t i;
	json_t *node;

	json_array_foreach(json_object_get(tree, "nodes"), i, node) put_whole(out, na_csv_line_of(t->name, node), node);
}

static const char *unit_of_metric(json_t *tree, const char *metric)
{
	return na_report_text_at(json_object_get(na_report_at(tree, "job/metrics"), metric), "unit");
}

static void put_ranks(FILE *out, const struct table *t, json_t *tree)
{
	size_t i;
	json_t *rank, *v;
	const char *name;

	json_array_foreach(json_object_get(tree, "ranks"), i, rank)
	{
		struct na_csv_line l = na_csv_line_of(t->name, rank);

		l.name = na_report_text_at(rank, "state");
		json_object_foreach(json_object_get(rank, "values"), name, v)
		{
			l.metric = name;
			l.unit = unit_of_metric(tree, name);
			na_csv_put(out, &l, v);
		}
	}
}

/* ---- lists of the job whose members are figures ---- */

static void put_item(FILE *out, const char *table, json_t *o, const char *name)
{
	struct na_csv_line l = na_csv_line_of(table, o);

	l.name = name;
	na_csv_put_members(out, l, o, NULL);
	na_csv_put_inner(out, l, o);
}

static void put_list(FILE *out, const struct table *t, json_t *tree)
{
	json_t *job = json_object_get(tree, "job"), *o;
	size_t i;

	json_array_foreach(json_object_get(job, t->of), i, o)
		put_item(out, t->name, o, json_string_value(json_object_get(o, t->named)));
	o = t->rest ? json_object_get(job, t->rest) : NULL;
	if (json_is_object(o))
		put_item(out, t->name, o, na_report_text_at(o, "name"));
}

/* By their size. */
static void put_classes(FILE *out, const struct table *t, json_t *tree)
{
	size_t i;
	json_t *o;
	char name[32];

	json_array_foreach(na_report_at(tree, "job/size_classes"), i, o)
	{
		json_t *size = json_object_get(o, "block_bytes");

		snprintf(name, sizeof(name), "%" JSON_INTEGER_FORMAT, json_integer_value(size));
		put_item(out, t->name, o, json_is_integer(size) ? name : "large");
	}
}

static void put_numa_of(FILE *out, struct na_csv_line l, json_t *list)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o)
	{
		l.numa_node = json_object_get(o, "node");
		na_csv_put_members(out, l, o, NULL);
		na_csv_put_inner(out, l, o);
	}
}

/* Of the job, then of each host. */
static void put_numa(FILE *out, const struct table *t, json_t *tree)
{
	size_t i;
	json_t *node;

	put_numa_of(out, na_csv_line_of(t->name, NULL), na_report_at(tree, "job/numa_nodes"));
	json_array_foreach(json_object_get(tree, "nodes"), i, node)
		put_numa_of(out, na_csv_line_of(t->name, node), json_object_get(node, "numa_nodes"));
}

static void put_matrix(FILE *out, const struct table *t, json_t *tree)
{
	size_t i;
	json_t *o;

	json_array_foreach(na_report_at(tree, "job/numa_matrix"), i, o)
	{
		struct na_csv_line l = na_csv_line_of(t->name, o);

		l.numa_node = json_object_get(o, "node");
		na_csv_put_members(out, l, o, NULL);
	}
}

/* All frames of a stack in one name. */
static void put_sites(FILE *out, const struct table *t, json_t *tree)
{
	size_t i, k;
	json_t *site, *frame;

	json_array_foreach(na_report_at(tree, "job/call_sites"), i, site)
	{
		char *name = NULL;
		size_t size;
		FILE *text = open_memstream(&name, &size);

		if (!text)
			return;
		json_array_foreach(json_object_get(site, "frames"), k, frame)
			fprintf(text, "%s%s", k ? " < " : "", json_is_string(frame) ? json_string_value(frame) : "");
		if (fclose(text) == 0)
			put_item(out, t->name, site, name);
		free(name);
	}
}

/* In the unit of what they are outliers of. */
static void put_outliers(FILE *out, const struct table *t, json_t *tree)
{
	size_t i;
	json_t *o;

	json_array_foreach(na_report_at(tree, "job/outliers"), i, o)
	{
		struct na_csv_line l = na_csv_line_of(t->name, o);

		l.name = na_report_text_at(o, "metric");
		na_csv_put_members(out, l, o, unit_of_metric(tree, l.name));
	}
}

/* What a rule found, and from where on it speaks, are shares. */
static void put_findings(FILE *out, const struct table *t, json_t *tree)
{
	size_t i;
	json_t *o;

	json_array_foreach(na_report_at(tree, "job/findings"), i, o)
	{
		struct na_csv_line l = na_csv_line_of(t->name, o);

		l.name = na_report_text_at(o, "rule");
		na_csv_put_members(out, l, o, "ratio");
	}
}

/* ---- histograms: a bin's name is where it begins ---- */

static void put_bins(FILE *out, struct na_csv_line l, json_t *bins, const char *from)
{
	size_t i;
	json_t *bin, *begin, *v;
	const char *name;
	char text[48];

	json_array_foreach(bins, i, bin)
	{
		begin = json_object_get(bin, from);
		snprintf(text, sizeof(text), "%.17g", json_number_value(begin));
		if (json_is_integer(begin))
			snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(begin));
		l.name = text;
		json_object_foreach(bin, name, v)
		{
			l.unit = strcmp(name, "bytes") == 0 ? "bytes" : "count";
			if (!l.statistic)
				l.metric = name;
			if (strcmp(name, from) != 0)
				na_csv_put(out, &l, v);
		}
	}
}

/* Latencies or lifetimes: figures, and bins of nanoseconds. */
static void put_times(FILE *out, const struct table *t, json_t *tree)
{
	json_t *of = json_object_get(json_object_get(tree, "job"), t->of), *most = json_object_get(of, "max");
	struct na_csv_line l = na_csv_line_of(t->name, NULL), at = na_csv_line_of(t->name, most);

	na_csv_put_members(out, l, of, NULL);
	at.metric = "max";
	at.unit = "ns";
	if (json_is_object(most))
		na_csv_put(out, &at, json_object_get(most, "value"));
	put_bins(out, l, json_object_get(of, "bins"), "from_ns");
}

/* How many ranks have how much of each metric. */
static void put_histograms(FILE *out, const struct table *t, json_t *tree)
{
	struct na_csv_line l = na_csv_line_of(t->name, NULL);
	const char *name;
	json_t *m;

	l.statistic = "ranks";
	json_object_foreach(na_report_at(tree, "job/metrics"), name, m)
	{
		l.metric = name;
		put_bins(out, l, json_object_get(m, "histogram"), "from");
	}
}

/* ---- over time ---- */

/* Values are in units of `factor` bytes; they all are bytes in the table. */
static void put_course(FILE *out, struct na_csv_line l, json_t *values, json_t *axis, json_int_t factor)
{
	json_int_t begin = json_integer_value(json_object_get(axis, "begin_ms"));
	json_int_t width = json_integer_value(json_object_get(axis, "bin_ms"));
	size_t i;
	json_t *v;

	l.unit = "bytes";
	l.statistic = "max";
	json_array_foreach(values, i, v)
	{
		json_t *product = json_is_integer(v) ? json_integer(json_integer_value(v) * factor) : NULL;

		l.moment_ms = begin + (json_int_t)i * width;
		na_csv_put(out, &l, product);
		json_decref(product);
	}
}

static void put_series_of(FILE *out, struct na_csv_line l, json_t *series)
{
	const char *name;
	json_t *v;

	json_object_foreach(series, name, v)
	{
		l.metric = name;
		if (json_is_array(v))
			put_course(out, l, v, series, 1);
	}
}

/* Of the job, then of each host. */
static void put_series(FILE *out, const struct table *t, json_t *tree)
{
	size_t i;
	json_t *node;

	put_series_of(out, na_csv_line_of(t->name, NULL), na_report_at(tree, "job/series"));
	json_array_foreach(json_object_get(tree, "nodes"), i, node)
		put_series_of(out, na_csv_line_of(t->name, node), json_object_get(node, "series"));
}

static void put_rank_series(FILE *out, const struct table *t, json_t *tree)
{
	json_t *series = na_report_at(tree, "job/rank_series"), *row;
	json_int_t unit = json_integer_value(json_object_get(series, "unit_bytes"));
	size_t i;

	json_array_foreach(json_object_get(series, "rows"), i, row)
	{
		struct na_csv_line l = na_csv_line_of(t->name, row);

		l.metric = na_report_text_at(series, "quantity");
		put_course(out, l, json_object_get(row, "values"), series, unit);
	}
}

static void put_pauses(FILE *out, const struct table *t, json_t *tree)
{
	size_t i, k;
	json_t *rank, *pause;

	json_array_foreach(json_object_get(tree, "ranks"), i, rank)
		json_array_foreach(json_object_get(rank, "pauses"), k, pause)
	{
		struct na_csv_line l = na_csv_line_of(t->name, rank);

		l.name = na_report_text_at(pause, "kind");
		l.moment_ms = json_integer_value(json_object_get(pause, "moment_ms"));
		for (int n = 0; n < 2; n++) {
			l.metric = n ? "bytes" : "ns";
			l.unit = l.metric;
			na_csv_put(out, &l, json_object_get(pause, l.metric));
		}
	}
}

/* ---- the command ---- */

static const struct table tables[] = {
	{ "job", put_job, NULL, NULL, NULL },
	{ "node", put_nodes, NULL, NULL, NULL },
	{ "rank", put_ranks, NULL, NULL, NULL },
	{ "numa", put_numa, NULL, NULL, NULL },
	{ "numa_matrix", put_matrix, NULL, NULL, NULL },
	{ "phase", put_list, "phases", "name", "other_phases" },
	{ "pool", put_list, "pools", "name", "other_pools" },
	{ "size_class", put_classes, NULL, NULL, NULL },
	{ "call_site", put_sites, NULL, NULL, NULL },
	{ "latency", put_times, "allocation_latency", NULL, NULL },
	{ "lifetime", put_times, "lifetimes", NULL, NULL },
	{ "histogram", put_histograms, NULL, NULL, NULL },
	{ "outlier", put_outliers, NULL, NULL, NULL },
	{ "finding", put_findings, NULL, NULL, NULL },
	{ "series", put_series, NULL, NULL, NULL },
	{ "rank_series", put_rank_series, NULL, NULL, NULL },
	{ "pause", put_pauses, NULL, NULL, NULL },
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

static void complain(const char *name, size_t length)
{
	char list[256];
	size_t n = 0;

	for (size_t i = 0; i < TABLES && n < sizeof(list); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", tables[i].name);
	na_usage_error(TOOL, "--table=%.*s: there is no such table; there are %s", (int)length, name, list);
}

/* A comma-separated list of tables as bits; 0 after a complaint. */
static unsigned int wanted_tables(const char *list)
{
	unsigned int bits = 0;

	if (!list)
		return (1U << TABLES) - 1;
	for (;;) {
		size_t n = strcspn(list, ","), i = 0;

		while (i < TABLES && !(strlen(tables[i].name) == n && memcmp(tables[i].name, list, n) == 0))
			i++;
		if (i == TABLES) {
			complain(list, n);
			return 0;
		}
		bits |= 1U << i;
		if (!list[n])
			return bits;
		list += n + 1;
	}
}

int na_report_csv(const struct na_report_args *args)
{
	unsigned int wanted = wanted_tables(args->table);
	bool file = args->output && strcmp(args->output, "-") != 0;
	FILE *out = stdout;
	json_t *tree;

	if (!wanted)
		return NA_EXIT_USAGE;
	tree = na_report_load(args->path[0]);
	if (!tree)
		return 1;
	if (file && !(out = fopen(args->output, "w"))) {
		fprintf(stderr, TOOL ": %s: %s\n", args->output, strerror(errno));
		json_decref(tree);
		return 1;
	}
	na_csv_put_heads(out);
	for (size_t i = 0; i < TABLES; i++)
		if (wanted >> i & 1)
			tables[i].put(out, &tables[i], tree);
	json_decref(tree);
	if (!file)
		return na_usage_flush(TOOL);
	if (ferror(out) | fclose(out)) {
		fprintf(stderr, TOOL ": %s: %s\n", args->output, strerror(errno));
		return 1;
	}
	return 0;
}
