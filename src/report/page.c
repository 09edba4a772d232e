/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/page.h"

#include <stdlib.h>
#include <string.h>

#include "report/job.h"
#include "report/pack.h"

#define SERIES_NODES  256   /* whose history is kept */
#define SERIES_VALUES 16384 /* bins of all of them: 64 nodes have theirs as they are */
#define PAUSES	      8192  /* of all ranks */

static json_t *get(json_t *o, const char *key)
{
	return na_jansson.json_object_get(o, key);
}

static void take(json_t *o, const char *key)
{
	if (get(o, key))
		na_jansson.json_object_del(o, key);
}

/* A scalar of another object. */
static int copy(json_t *into, json_t *from, const char *key)
{
	json_t *v = get(from, key), *twin;

	if (json_is_integer(v))
		twin = na_jansson.json_integer(na_jansson.json_integer_value(v));
	else if (json_is_string(v))
		twin = na_jansson.json_string(na_jansson.json_string_value(v));
	else
		twin = na_jansson.json_null();
	return na_jansson.json_object_set_new(into, key, twin);
}

/* What the table of nodes and the readers of its rows need. */
static void trim_metrics(json_t *metrics)
{
	static const char *const kept[] = { "peak_misplaced_bytes" };
	static const char *const parts[] = { "unit", "measured_by", "mean",	 "imbalance", "min",
					     "max",  "stddev",	    "quantiles", "histogram" };

	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		if (strcmp(na_metric_table[i].id, kept[0]) != 0)
			take(metrics, na_metric_table[i].id);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		take(get(metrics, kept[0]), parts[i]);
}

/* Pairs of bins become one, with the higher value; unknown if either is. */
static int halve(json_t *series, const char *name)
{
	json_t *list = get(series, name), *half;
	size_t n = na_jansson.json_array_size(list);

	if (!list)
		return 0;
	half = na_jansson.json_array();
	for (size_t i = 0; half && i < n; i += 2) {
		json_t *a = na_jansson.json_array_get(list, i);
		json_t *b = i + 1 < n ? na_jansson.json_array_get(list, i + 1) : a;
		json_int_t x = na_jansson.json_integer_value(a), y = na_jansson.json_integer_value(b);

		if (na_jansson.json_array_append_new(half, json_is_integer(a) && json_is_integer(b)
								   ? na_jansson.json_integer(x > y ? x : y)
								   : na_jansson.json_null()) < 0) {
			na_jansson_drop(half);
			return -1;
		}
	}
	return na_jansson.json_object_set_new(series, name, half);
}

static int thin(json_t *series, size_t bins)
{
	int rc = 0;

	while (rc == 0 && na_jansson.json_array_size(get(series, na_quantity_names[0])) > bins) {
		json_int_t width = na_jansson.json_integer_value(get(series, "bin_ms"));

		for (size_t i = 0; rc == 0 && i < NA_QUANTITIES; i++)
			rc = halve(series, na_quantity_names[i]);
		if (rc == 0)
			rc = na_jansson.json_object_set_new(series, "bin_ms", na_jansson.json_integer(2 * width));
	}
	return rc;
}

static json_int_t peak_of(json_t *node)
{
	return na_jansson.json_integer_value(get(get(node, "peaks"), "live_peak_of_sums"));
}

static int falling(const void *a, const void *b)
{
	json_int_t x = *(const json_int_t *)a, y = *(const json_int_t *)b;

	return x > y ? -1 : x < y;
}

/* The least peak of a node whose history stays. */
static json_int_t least_kept(json_t *nodes, size_t n)
{
	json_int_t *peaks, least = 0;

	if (n <= SERIES_NODES)
		return 0;
	peaks = malloc(n * sizeof(*peaks));
	if (!peaks)
		return INT64_MAX;
	for (size_t i = 0; i < n; i++)
		peaks[i] = peak_of(na_jansson.json_array_get(nodes, i));
	qsort(peaks, n, sizeof(*peaks), falling);
	least = peaks[SERIES_NODES - 1];
	free(peaks);
	return least;
}

static int trim_nodes(json_t *nodes, json_t *notes)
{
	size_t n = na_jansson.json_array_size(nodes), kept = 0, had = 0;
	size_t bins = SERIES_VALUES / (n > SERIES_NODES ? SERIES_NODES : n ? n : 1);
	json_int_t least = least_kept(nodes, n);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		json_t *node = na_jansson.json_array_get(nodes, i);

		trim_metrics(get(node, "metrics"));
		if (!get(node, "series"))
			continue;
		had++;
		if (peak_of(node) < least || kept == SERIES_NODES) {
			take(node, "series");
			continue;
		}
		kept++;
		rc = thin(get(node, "series"), bins);
	}
	if (rc == 0 && had > kept)
		rc = na_jansson.json_object_set_new(notes, "node_series_left_out",
						    na_jansson.json_integer((json_int_t)(had - kept)));
	return rc;
}

/* One pause, with whose it is. */
static int move_pause(json_t *into, json_t *rank, json_t *pause)
{
	static const char *const whose[] = { "rank", "pid", "host" };
	static const char *const parts[] = { "moment_ms", "ns", "bytes", "kind" };
	json_t *o = na_jansson.json_object();
	int rc = na_jansson.json_array_append_new(into, o);

	for (size_t i = 0; rc == 0 && i < sizeof(whose) / sizeof(whose[0]); i++)
		rc = copy(o, rank, whose[i]);
	for (size_t i = 0; rc == 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		rc = copy(o, pause, parts[i]);
	return rc;
}

/* From the ranks, where they stand in order of time, into one list, which packs better. */
static int trim_pauses(json_t *ranks, json_t *notes)
{
	size_t n = na_jansson.json_array_size(ranks), most = PAUSES / (n ? n : 1), cut = 0;
	json_t *all = na_jansson.json_array();
	int rc = na_jansson.json_object_set_new(notes, "pauses", all);

	most = most ? most : 1;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		json_t *rank = na_jansson.json_array_get(ranks, i), *list = get(rank, "pauses");
		size_t count = na_jansson.json_array_size(list), from = count > most ? count - most : 0;

		cut += from;
		for (size_t k = from; rc == 0 && k < count; k++)
			rc = move_pause(all, rank, na_jansson.json_array_get(list, k));
		take(rank, "pauses");
	}
	return rc == 0 && cut ? na_jansson.json_object_set_new(notes, "pauses_a_rank",
							       na_jansson.json_integer((json_int_t)most))
			      : rc;
}

/* What the page shows of ranks: also in the histogram, of any figure. So their values stay as they are. */
static int trim(json_t *report)
{
	json_t *notes = na_jansson.json_object();
	int rc = na_jansson.json_object_set_new(report, "page", notes); /* which then is the report's */

	if (rc == 0)
		rc = trim_nodes(get(report, "nodes"), notes);
	if (rc == 0)
		rc = trim_pauses(get(report, "ranks"), notes);
	return rc;
}

static void put_title(FILE *out, json_t *job)
{
	const char *program = na_jansson.json_string_value(get(job, "program"));

	for (const char *p = program ? program : ""; *p; p++)
		switch (*p) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		default:
			fputc(*p, out);
		}
	fputs(program && *program ? ": memory report" : "Memory report", out);
}

/* Up to a mark; what follows it. */
static const char *put_until(FILE *out, const char *text, const char *mark)
{
	const char *at = strstr(text, mark);

	if (!at)
		return text;
	fwrite(text, 1, (size_t)(at - text), out);
	return at + strlen(mark);
}

char *na_page_make(json_t *report)
{
	const char *rest = na_page_text;
	char *page = NULL;
	size_t size;
	FILE *out = open_memstream(&page, &size);
	int rc;

	if (!out)
		return NULL;
	rest = put_until(out, rest, "@TITLE@");
	put_title(out, get(report, "job"));
	rest = put_until(out, rest, "@DATA@");
	rc = trim(report);
	if (rc == 0)
		rc = na_page_pack(out, report);
	fputs(rest, out);
	if (ferror(out))
		rc = -1;
	if (fclose(out) != 0 || rc < 0) {
		free(page);
		return NULL;
	}
	return page;
}

char *na_page_of_text(const char *json)
{
	json_t *report = na_jansson_load() < 0 ? NULL : na_jansson.json_loads(json, 0, NULL);
	char *page = report ? na_page_make(report) : NULL;

	na_jansson_drop(report);
	return page;
}
