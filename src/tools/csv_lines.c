/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/csv_lines.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report_commands.h"

/* ---- writing ---- */

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
}

void na_csv_put_heads(FILE *out)
{
	fputs("table,host,rank,pid,numa_node,name,moment_ms,metric,statistic,unit,value\r\n", out);
}

void na_csv_put(FILE *out, const struct na_csv_line *l, json_t *value)
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

/* ---- from JSON ---- */

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n >= e && strcmp(name + n - e, end) == 0;
}

/* By how members are called. NULL: that does not tell. */
static const char *unit_of(const char *name)
{
	static const struct {
		const char *end, *unit;
	} units[] = { { "bytes_per_s", "bytes/s" },
		      { "_per_s", "1/s" },
		      { "bytes", "bytes" },
		      { "_of_sums", "bytes" }, /* of live and physical memory: peaks over time */
		      { "_of_peaks", "bytes" },
		      { "_ns", "ns" },
		      { "_ms", "ms" },
		      { "fraction", "ratio" },
		      { "fraction_of_time", "ratio" },
		      { "_rate", "ratio" },
		      { "imbalance", "ratio" },
		      { "times_mad", "ratio" },
		      { "external", "ratio" },
		      { "internal", "ratio" },
		      { "measured_by", "count" } };

	if (strcmp(name, "ns") == 0)
		return "ns";
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (ends_with(name, units[i].end))
			return units[i].unit;
	return NULL;
}

static const char *unit_within(const char *name, const char *outer)
{
	const char *unit = unit_of(name);

	return unit ? unit : outer ? outer : "count";
}

/* Numbers, and those that could not be measured: not what says where they are, nor null for a text or an object that a report may lack. */
static bool is_figure(const char *name, json_t *v)
{
	static const char *const places[] = { "rank", "pid", "node" };
	static const char *const others[] = { "phase",	   "source",	  "directive",	  "launcher",	"start",
					      "end",	   "growth",	  "busiest",	  "longest",	"quantiles",
					      "histogram", "block_bytes", "other_phases", "other_pools" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strcmp(name, places[i]) == 0)
			return false;
	for (size_t i = 0; json_is_null(v) && i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(name, others[i]) == 0)
			return false;
	return json_is_number(v) || json_is_null(v);
}

/* An object that is of one process says so. */
static void go_to(struct na_csv_line *l, json_t *object)
{
	if (!json_object_get(object, "pid"))
		return;
	l->host = na_report_text_at(object, "host");
	l->rank = json_object_get(object, "rank");
	l->pid = json_object_get(object, "pid");
}

struct na_csv_line na_csv_line_of(const char *table, json_t *object)
{
	return (struct na_csv_line){ .table = table,
				     .host = na_report_text_at(object, "host"),
				     .rank = json_object_get(object, "rank"),
				     .pid = json_object_get(object, "pid"),
				     .moment_ms = -1 };
}

void na_csv_put_members(FILE *out, struct na_csv_line l, json_t *object, const char *unit)
{
	const char *name;
	json_t *v;

	json_object_foreach(object, name, v)
	{
		l.metric = name;
		l.unit = unit_within(name, unit);
		if (is_figure(name, v))
			na_csv_put(out, &l, v);
	}
}

/* An object among a metric's parts: an extreme; quantiles, which are known by their names; or more of it, by both names. */
static void put_part(FILE *out, struct na_csv_line l, json_t *part, const char *unit)
{
	bool known = strcmp(l.statistic, "quantiles") == 0;
	const char *outer = l.statistic, *name;
	char both[96];
	json_t *v;

	go_to(&l, part);
	if (json_object_get(part, "value")) {
		na_csv_put(out, &l, json_object_get(part, "value"));
		return;
	}
	json_object_foreach(part, name, v)
	{
		snprintf(both, sizeof(both), "%s_%s", outer, name);
		l.statistic = known ? name : both;
		l.unit = unit_within(name, unit);
		if (is_figure(name, v))
			na_csv_put(out, &l, v);
	}
}

void na_csv_put_parts(FILE *out, struct na_csv_line l, json_t *metric, const char *unit)
{
	const char *name;
	json_t *v;

	go_to(&l, metric);
	json_object_foreach(metric, name, v)
	{
		l.statistic = name;
		l.unit = unit_within(name, unit);
		if (json_is_object(v))
			put_part(out, l, v, l.unit);
		else if (is_figure(name, v))
			na_csv_put(out, &l, v);
	}
}

void na_csv_put_inner(FILE *out, struct na_csv_line l, json_t *object)
{
	const char *name;
	json_t *v;

	json_object_foreach(object, name, v)
	{
		l.metric = name;
		if (json_is_object(v))
			na_csv_put_parts(out, l, v, unit_of(name));
	}
}
