/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * diff: what changed from one job to another. Figures are those of the job (never of single ranks, which are not the same ones), in groups,
 * within each by how much they changed, largest first. A change is in percent of the older value, and counts beyond the threshold and
 * above a floor below which figures of two runs of the same program differ for no reason: 64 KiB, 1 ms, ten calls, a tenth of a percent. Imbalances,
 * which are changes themselves, are compared in points: from 0.1 to 0.4 % is nothing, not four times as much.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report_commands.h"
#include "tools/usage.h"

#define TOOL	   NA_REPORT_TOOL
#define NAME_WIDTH 44

struct item {
	char name[96];
	const char *group;
	enum na_unit unit;
	double a, b, change; /* of a, 1 is all of it; infinite: from nothing, or only one has it. Of points: b - a */
	bool points;
	size_t place;
};

struct items {
	struct item *item;
	size_t count, capacity;
	bool failed;
};

static double floor_of(enum na_unit unit)
{
	switch (unit) {
	case NA_UNIT_BYTES:
		return 65536;
	case NA_UNIT_NS:
		return 1e6;
	case NA_UNIT_COUNT:
		return 10;
	default:
		return 1e-3;
	}
}

static double change_of(double a, double b)
{
	if (isnan(a) && isnan(b))
		return 0;
	if (isnan(a) || isnan(b))
		return INFINITY;
	if (a == b)
		return 0;
	return a == 0 ? copysign(INFINITY, b) : (b - a) / fabs(a);
}

static void add(struct items *list, const char *group, const char *name, enum na_unit unit, double a, double b)
{
	struct item *i;

	if (isnan(a) && isnan(b))
		return;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 128;
		struct item *grown = realloc(list->item, capacity * sizeof(*grown));

		if (!grown) {
			list->failed = true;
			return;
		}
		list->item = grown;
		list->capacity = capacity;
	}
	i = &list->item[list->count];
	*i = (struct item){
		.group = group, .unit = unit, .a = a, .b = b, .change = change_of(a, b), .place = list->count
	};
	snprintf(i->name, sizeof(i->name), "%s", name);
	list->count++;
}

static void add_points(struct items *list, const char *group, const char *name, double a, double b)
{
	size_t before = list->count;

	add(list, group, name, NA_UNIT_PPM, a, b);
	if (list->count == before)
		return;
	list->item[before].points = true;
	if (!isnan(a) && !isnan(b))
		list->item[before].change = b - a;
}

static bool counts(const struct item *i, double threshold)
{
	if (isnan(i->a) || isnan(i->b))
		return true;
	return fabs(i->change) * 100 > threshold && fabs(i->b - i->a) >= floor_of(i->unit);
}

/* Groups stay in the order in which they came. */
static int by_change(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	double p = fabs(x->change), q = fabs(y->change);

	if (strcmp(x->group, y->group) != 0)
		return x->place < y->place ? -1 : 1;
	if (p != q)
		return p > q ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void compare_headline(struct items *list, json_t *a, json_t *b)
{
	static const struct {
		const char *path, *name, *unit;
	} table[] = { { "processes", "processes", "count" },
		      { "nodes", "nodes", "count" },
		      { "wall_ns", "time", "ns" },
		      { "peaks/live_peak_of_sums", "live, peak of sums", "bytes" },
		      { "peaks/live_sum_of_peaks", "live, sum of peaks", "bytes" },
		      { "peaks/physical_peak_of_sums", "physical, peak of sums", "bytes" },
		      { "peaks/physical_sum_of_peaks", "physical, sum of peaks", "bytes" },
		      { "memory_request/sufficient_bytes", "memory that would have sufficed", "bytes" },
		      { "fragmentation/external", "fragmentation, external", "ratio" },
		      { "fragmentation/internal", "fragmentation, internal", "ratio" },
		      { "rates/allocations_per_s", "allocations a second", "count" },
		      { "rates/allocated_bytes_per_s", "bytes allocated a second", "bytes" },
		      { "rates/allocator_time_fraction", "time in the allocator", "ratio" },
		      { "allocation_latency/p50_ns", "latency of allocations, median", "ns" },
		      { "allocation_latency/p99_ns", "latency of allocations, 99 %", "ns" },
		      { "overhead/fraction_of_time", "numarena's own cost", "ratio" },
		      { "overhead/pauses/total_ns", "pauses", "ns" },
		      { "missing", "missing ranks", "count" } };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		add(list, "the job", table[i].name, na_report_unit(table[i].unit), na_report_number(a, table[i].path),
		    na_report_number(b, table[i].path));
}

static void compare_metric(struct items *list, const char *name, json_t *a, json_t *b)
{
	enum na_unit unit = na_report_unit(na_report_text_at(b ? b : a, "unit"));
	char text[96];

	add(list, "figures over ranks", name, unit, na_report_number(a, "total"), na_report_number(b, "total"));
	snprintf(text, sizeof(text), "%.60s, most", name);
	add(list, "figures over ranks", text, unit, na_report_number(a, "max/value"), na_report_number(b, "max/value"));
	snprintf(text, sizeof(text), "%.60s, imbalance", name);
	add_points(list, "figures over ranks", text, na_report_number(a, "imbalance"),
		   na_report_number(b, "imbalance"));
}

/* Of either report: one that is of another version may have others. */
static void compare_metrics(struct items *list, json_t *a, json_t *b)
{
	const char *name;
	json_t *m;

	json_object_foreach(b, name, m) compare_metric(list, name, json_object_get(a, name), m);
	json_object_foreach(a, name, m)
	{
		if (!json_object_get(b, name))
			compare_metric(list, name, m, NULL);
	}
}

static json_t *named(json_t *list, const char *name)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) if (strcmp(na_report_text_at(o, "name"), name) == 0) return o;
	return NULL;
}

/* What has a name: of either report, those of the newer first. */
static void compare_named(struct items *list, const char *group, json_t *a, json_t *b, const char *const (*parts)[3])
{
	json_t *const sides[] = { b, a };
	size_t i;
	json_t *o;
	char text[96];

	for (int side = 0; side < 2; side++) {
		json_array_foreach(sides[side], i, o)
		{
			const char *name = na_report_text_at(o, "name");

			if (side == 1 && named(b, name))
				continue;
			for (size_t k = 0; parts[k][0]; k++) {
				snprintf(text, sizeof(text), "%.60s: %s", name, parts[k][1]);
				add(list, group, text, na_report_unit(parts[k][2]),
				    na_report_number(named(a, name), parts[k][0]),
				    na_report_number(named(b, name), parts[k][0]));
			}
		}
	}
}

static void compare_all(struct items *list, json_t *a, json_t *b)
{
	static const char *const phases[][3] = { { "time_ns/mean", "time, mean", "ns" },
						 { "time_ns/max/value", "time, most", "ns" },
						 { "peak_bytes/max/value", "live peak, most", "bytes" },
						 { "left_bytes/total", "left behind", "bytes" },
						 { NULL, NULL, NULL } };
	static const char *const pools[][3] = { { "peak_bytes/total", "peaks, sum", "bytes" },
						{ "allocations", "allocations", "count" },
						{ NULL, NULL, NULL } };

	compare_headline(list, a, b);
	compare_metrics(list, json_object_get(a, "metrics"), json_object_get(b, "metrics"));
	compare_named(list, "phases", json_object_get(a, "phases"), json_object_get(b, "phases"), phases);
	compare_named(list, "named pools", json_object_get(a, "pools"), json_object_get(b, "pools"), pools);
}

static void put_item(const struct item *i)
{
	char a[40], b[40], change[40];

	na_report_print(a, sizeof(a), i->a, i->unit);
	na_report_print(b, sizeof(b), i->b, i->unit);
	if (isnan(i->a) || isnan(i->b))
		snprintf(change, sizeof(change), "%s", isnan(i->a) ? "new" : "gone");
	else if (i->points)
		snprintf(change, sizeof(change), "%+.1f pt", i->change * 100);
	else if (isinf(i->change))
		snprintf(change, sizeof(change), "from 0");
	else if (fabs(i->change) >= 9.995)
		snprintf(change, sizeof(change), "x %.3g", i->b / i->a);
	else
		snprintf(change, sizeof(change), "%+.1f %%", i->change * 100);
	printf("  %-*s %12s %12s %10s\n", NAME_WIDTH, i->name, a, b, change);
}

static size_t put_findings(json_t *of, json_t *other, const char *mark)
{
	size_t i, k, count = 0;
	json_t *f, *g;

	json_array_foreach(of, i, f)
	{
		bool both = false;

		json_array_foreach(other, k, g) both |=
			strcmp(na_report_text_at(f, "rule"), na_report_text_at(g, "rule")) == 0;
		if (both)
			continue;
		printf("  finding %s: %s\n", mark, na_report_text_at(f, "bottleneck"));
		count++;
	}
	return count;
}

static void put_head(const char *letter, const char *path, json_t *tree)
{
	double processes = na_report_number(tree, "job/processes"), hosts = na_report_number(tree, "job/nodes");
	char wall[40];

	na_report_print(wall, sizeof(wall), na_report_number(tree, "job/wall_ns"), NA_UNIT_NS);
	printf("  %s  %s: job %s, %s, %.0f process%s on %.0f host%s, %s, %s\n", letter, path,
	       na_report_text_at(tree, "job/name"), na_report_text_at(tree, "job/program"), processes,
	       processes == 1 ? "" : "es", hosts, hosts == 1 ? "" : "s", wall, na_report_text_at(tree, "job/status"));
}

static size_t put_items(struct items *list, const struct na_report_args *args)
{
	const char *group = "";
	size_t shown = 0;

	if (list->count)
		qsort(list->item, list->count, sizeof(*list->item), by_change);
	for (size_t i = 0; i < list->count; i++) {
		if (!args->all && !counts(&list->item[i], args->threshold))
			continue;
		if (strcmp(group, list->item[i].group) != 0) {
			group = list->item[i].group;
			printf("\n%-*s %14s %12s %10s\n", NAME_WIDTH, group, "A", "B", "change");
		}
		put_item(&list->item[i]);
		shown++;
	}
	return shown;
}

/* What --exit-code goes by: with --all too. */
static bool any_counts(const struct items *list, double threshold)
{
	for (size_t i = 0; i < list->count; i++)
		if (counts(&list->item[i], threshold))
			return true;
	return false;
}

int na_report_diff(const struct na_report_args *args)
{
	json_t *a = na_report_load(args->path[0]), *b = a ? na_report_load(args->path[1]) : NULL;
	struct items list = { 0 };
	size_t findings;
	bool differ;

	if (!b) {
		json_decref(a);
		return 1;
	}
	compare_all(&list, json_object_get(a, "job"), json_object_get(b, "job"));
	put_head("A", args->path[0], a);
	put_head("B", args->path[1], b);
	if (put_items(&list, args) == 0)
		printf("\nno figure changed by more than %g %%\n", args->threshold);
	findings = put_findings(na_report_at(b, "job/findings"), na_report_at(a, "job/findings"), "in B only");
	findings += put_findings(na_report_at(a, "job/findings"), na_report_at(b, "job/findings"), "in A only");
	differ = findings || any_counts(&list, args->threshold);
	json_decref(a);
	json_decref(b);
	free(list.item);
	if (list.failed) {
		fprintf(stderr, TOOL ": no memory to compare the reports\n");
		return 1;
	}
	return na_usage_flush(TOOL) ? 1 : args->exit_code && differ ? NA_REPORT_DIFFERS : 0;
}
