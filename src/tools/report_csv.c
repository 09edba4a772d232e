/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * csv: every figure of a report, one a line (RFC 4180: lines end with CR LF, text with a comma, quote or line break stands in
 * quotes). Columns, which are the same for all tables so that they may be cut out with any tool:
 *
 *   table      job, node, rank, numa, ...; see the names below
 *   host, rank, pid, numa_node, name, moment_ms    of what; empty where it does not apply. name: of a phase, pool, ...
 *   metric, statistic, unit    as in report.json: peak_bytes, total, bytes
 *   value      empty: could not be measured
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report_commands.h"
#include "tools/usage.h"

#define TOOL NA_REPORT_TOOL

struct line {
	const char *table, *host, *name;
	json_t *rank, *pid, *numa_node;
	int64_t moment_ms; /* -1: none */
	const char *metric, *statistic, *unit;
};

static void put_text(FILE *out, const char *text)
{
	if (!text)
		return;
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

/* The fewest digits that read back the same. */
static void put_real(FILE *out, double v)
{
	char text[40];

	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	fputs(text, out);
}

static void put_value(FILE *out, json_t *v)
{
	if (json_is_integer(v))
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_real(v))
		put_real(out, json_real_value(v));
	else if (json_is_string(v))
		put_text(out, json_string_value(v));
	else if (json_is_boolean(v))
		fputs(json_is_true(v) ? "true" : "false", out);
}

static void put_line(FILE *out, const struct line *l, json_t *value)
{
	put_text(out, l->table);
	fputc(',', out);
	put_text(out, l->host);
	fputc(',', out);
	put_value(out, l->rank);
	fputc(',', out);
	put_value(out, l->pid);
	fputc(',', out);
	put_value(out, l->numa_node);
	fputc(',', out);
	put_text(out, l->name);
	fputc(',', out);
	if (l->moment_ms >= 0)
		fprintf(out, "%" PRId64, l->moment_ms);
	fprintf(out, ",%s,%s,%s,", l->metric, l->statistic ? l->statistic : "", l->unit);
	put_value(out, value);
	fputs("\r\n", out);
}

static int ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n >= e && strcmp(name + n - e, end) == 0;
}

/* By how the members of the JSON are called. */
static const char *unit_of(const char *metric)
{
	if (ends_with(metric, "bytes"))
		return "bytes";
	if (ends_with(metric, "_ns") || strcmp(metric, "ns") == 0)
		return "ns";
	if (ends_with(metric, "_ms"))
		return "ms";
	if (ends_with(metric, "_per_s"))
		return strstr(metric, "bytes") ? "bytes/s" : "1/s";
	if (ends_with(metric, "fraction") || ends_with(metric, "_rate") || ends_with(metric, "ternal") ||
	    strcmp(metric, "imbalance") == 0 || strcmp(metric, "fraction_of_time") == 0)
		return "ratio";
	return "count";
}

/* Numbers (and null) of an object; objects within it by their own numbers, as metric and statistic. */
static void put_members(FILE *out, struct line l, json_t *object, int depth)
{
	const char *key, *inner;
	json_t *v, *w;

	json_object_foreach(object, key, v)
	{
		if (strcmp(key, "rank") == 0 || strcmp(key, "pid") == 0 || strcmp(key, "node") == 0)
			continue;
		l.metric = key;
		l.statistic = NULL;
		l.unit = unit_of(key);
		if (json_is_number(v) || json_is_null(v))
			put_line(out, &l, v);
		if (!depth || !json_is_object(v))
			continue;
		json_object_foreach(v, inner, w)
		{
			json_t *value = json_is_object(w) ? json_object_get(w, "value") : w;

			l.statistic = inner;
			if (json_is_number(value) || json_is_null(value))
				put_line(out, &l, value);
		}
	}
}

/* The parts of a metric: total, mean, extremes with where they are, quantiles. */
static void put_metrics(FILE *out, struct line l, json_t *metrics)
{
	const char *name, *part, *quantile;
	json_t *m, *v, *q;

	json_object_foreach(metrics, name, m)
	{
		const char *unit = na_report_text_at(m, "unit");

		json_object_foreach(m, part, v)
		{
			struct line at = l;

			at.metric = name;
			at.statistic = part;
			at.unit = strcmp(part, "imbalance") == 0     ? "ratio"
				  : strcmp(part, "measured_by") == 0 ? "count"
								     : unit;
			if (json_is_object(v) && json_object_get(v, "value")) {
				at.rank = json_object_get(v, "rank");
				at.pid = json_object_get(v, "pid");
				at.host = na_report_text_at(v, "host");
				put_line(out, &at, json_object_get(v, "value"));
			} else if (json_is_object(v)) {
				json_object_foreach(v, quantile, q)
				{
					at.statistic = quantile;
					put_line(out, &at, q);
				}
			} else if (json_is_number(v) || json_is_null(v)) {
				put_line(out, &at, v);
			}
		}
	}
}

static const struct line empty = { .moment_ms = -1 };

static void put_job(FILE *out, json_t *job)
{
	static const char *const parts[] = { "peaks",	       "peak",	   "fragmentation", "rates",
					     "memory_request", "overhead", "threads" };
	struct line l = empty;

	l.table = "job";
	put_members(out, l, job, 0);
	put_metrics(out, l, json_object_get(job, "metrics"));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		l.name = parts[i];
		put_members(out, l, json_object_get(job, parts[i]), 1);
	}
}

static void put_nodes(FILE *out, json_t *nodes)
{
	static const char *const parts[] = { "peaks", "peak", "headroom", "fragmentation" };
	size_t i;
	json_t *node;

	json_array_foreach(nodes, i, node)
	{
		struct line l = empty;

		l.table = "node";
		l.host = na_report_text_at(node, "host");
		put_members(out, l, node, 0);
		put_metrics(out, l, json_object_get(node, "metrics"));
		for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
			l.name = parts[k];
			put_members(out, l, json_object_get(node, parts[k]), 0);
		}
	}
}

static struct line line_of(const char *table, json_t *o)
{
	struct line l = empty;

	l.table = table;
	l.host = na_report_text_at(o, "host");
	l.rank = json_object_get(o, "rank");
	l.pid = json_object_get(o, "pid");
	return l;
}

static void put_ranks(FILE *out, json_t *ranks, json_t *metrics)
{
	size_t i;
	json_t *rank, *v;
	const char *name;

	json_array_foreach(ranks, i, rank)
	{
		struct line l = line_of("rank", rank);

		l.name = na_report_text_at(rank, "state");
		json_object_foreach(json_object_get(rank, "values"), name, v)
		{
			l.metric = name;
			l.unit = na_report_text_at(json_object_get(metrics, name), "unit");
			put_line(out, &l, v);
		}
	}
}

/* Lists of objects whose members are figures; `name` is the member that says which it is. */
static void put_list(FILE *out, const char *table, json_t *list, const char *name)
{
	size_t i;
	json_t *o;
	char text[32];

	json_array_foreach(list, i, o)
	{
		struct line l = line_of(table, o);
		json_t *of = name ? json_object_get(o, name) : NULL;

		l.numa_node = strncmp(table, "numa", 4) == 0 ? json_object_get(o, "node") : NULL;
		if (json_is_integer(of)) {
			snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(of));
			l.name = text;
		} else {
			l.name = of && json_is_null(of) ? "large" : json_string_value(of);
		}
		put_members(out, l, o, 1);
	}
}

/* All frames of a stack in one name. */
static void put_sites(FILE *out, json_t *sites)
{
	size_t i, k;
	json_t *site, *frame;

	json_array_foreach(sites, i, site)
	{
		struct line l = line_of("call_site", site);
		char *name = NULL;
		size_t size;
		FILE *text = open_memstream(&name, &size);

		if (!text)
			return;
		json_array_foreach(json_object_get(site, "frames"), k, frame)
			fprintf(text, "%s%s", k ? " < " : "", json_is_string(frame) ? json_string_value(frame) : "");
		if (fclose(text) != 0) {
			free(name);
			return;
		}
		l.name = name;
		put_members(out, l, site, 0);
		free(name);
	}
}

/* `unit_bytes` values of ranks are in; they all are bytes in the table. */
static void put_bins(FILE *out, struct line l, json_t *values, json_t *axis, json_int_t factor)
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
		put_line(out, &l, product);
		json_decref(product);
	}
}

static void put_series(FILE *out, const char *host, json_t *series)
{
	const char *name;
	json_t *v;

	json_object_foreach(series, name, v)
	{
		struct line l = empty;

		if (!json_is_array(v))
			continue;
		l.table = "series";
		l.host = host;
		l.metric = name;
		put_bins(out, l, v, series, 1);
	}
}

static void put_all_series(FILE *out, json_t *tree)
{
	size_t i;
	json_t *node;

	put_series(out, NULL, na_report_at(tree, "job/series"));
	json_array_foreach(json_object_get(tree, "nodes"), i, node)
		put_series(out, na_report_text_at(node, "host"), json_object_get(node, "series"));
}

static void put_rank_series(FILE *out, json_t *series)
{
	json_int_t unit = json_integer_value(json_object_get(series, "unit_bytes"));
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(series, "rows"), i, row)
	{
		struct line l = line_of("rank_series", row);

		l.metric = na_report_text_at(series, "quantity");
		put_bins(out, l, json_object_get(row, "values"), series, unit);
	}
}

static void put_pauses(FILE *out, json_t *ranks)
{
	size_t i, k;
	json_t *rank, *pause;

	json_array_foreach(ranks, i, rank) json_array_foreach(json_object_get(rank, "pauses"), k, pause)
	{
		struct line l = line_of("pause", rank);

		l.name = na_report_text_at(pause, "kind");
		l.moment_ms = json_integer_value(json_object_get(pause, "moment_ms"));
		for (int n = 0; n < 2; n++) {
			l.metric = n ? "bytes" : "ns";
			l.unit = l.metric;
			put_line(out, &l, json_object_get(pause, l.metric));
		}
	}
}

static const char *const tables[] = { "job",	 "node",   "rank",	  "numa",      "numa_matrix",
				      "phase",	 "pool",   "size_class",  "call_site", "outlier",
				      "finding", "series", "rank_series", "pause" };
#define TABLES (sizeof(tables) / sizeof(tables[0]))

static void put_table(FILE *out, json_t *tree, size_t table)
{
	json_t *job = json_object_get(tree, "job");
	static const char *const lists[] = { "numa_nodes",   "numa_matrix", "phases",	"pools",
					     "size_classes", NULL,	    "outliers", "findings" };
	static const char *const names[] = { NULL, NULL, "name", "name", "block_bytes", NULL, "metric", "rule" };

	if (table == 0)
		put_job(out, job);
	else if (table == 1)
		put_nodes(out, json_object_get(tree, "nodes"));
	else if (table == 2)
		put_ranks(out, json_object_get(tree, "ranks"), json_object_get(job, "metrics"));
	else if (table == 8)
		put_sites(out, json_object_get(job, "call_sites"));
	else if (table == 11)
		put_all_series(out, tree);
	else if (table == 12)
		put_rank_series(out, json_object_get(job, "rank_series"));
	else if (table == 13)
		put_pauses(out, json_object_get(tree, "ranks"));
	else
		put_list(out, tables[table], json_object_get(job, lists[table - 3]), names[table - 3]);
}

/* A comma-separated list of tables as bits; 0 after a complaint. */
static unsigned int wanted_tables(const char *list)
{
	unsigned int bits = 0;

	if (!list)
		return (1U << TABLES) - 1;
	for (;;) {
		size_t n = strcspn(list, ","), i = 0;

		while (i < TABLES && !(strlen(tables[i]) == n && memcmp(tables[i], list, n) == 0))
			i++;
		if (i == TABLES) {
			na_usage_error(TOOL, "--table=%.*s: there is no such table", (int)n, list);
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
	fputs("table,host,rank,pid,numa_node,name,moment_ms,metric,statistic,unit,value\r\n", out);
	for (size_t i = 0; i < TABLES; i++)
		if (wanted >> i & 1)
			put_table(out, tree, i);
	json_decref(tree);
	if (!file)
		return na_usage_flush(TOOL);
	if (ferror(out) | fclose(out)) {
		fprintf(stderr, TOOL ": %s: %s\n", args->output, strerror(errno));
		return 1;
	}
	return 0;
}
