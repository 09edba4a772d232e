/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.json, by numarena-report.schema.json: every metric of metrics.def for the job and for each node (host), and
 * for each rank its values. Bytes are bytes, times nanoseconds, ratios lie in [0, 1]; null is "could not
 * be measured".
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "report/jansson_calls.h"
#include "report/json_parts.h"
#include "report/report.h"
#include "report/summary.h"

static json_t *value_of(uint64_t v, enum na_unit unit)
{
	if (unit != NA_UNIT_PPM)
		return number(v);
	return v == NA_UNKNOWN ? na_jansson.json_null() : na_jansson.json_real((double)v / 1e6);
}

static json_t *mean_of(const struct na_spread *m, enum na_unit unit)
{
	return real(na_spread_mean(m) / (unit == NA_UNIT_PPM ? 1e6 : 1));
}

static json_t *where(uint64_t value, const struct na_where *w, enum na_unit unit, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "value", value_of(value, unit), failed);
	put_where(o, w, failed);
	return o;
}

/* b NULL: of a host, of which no distribution is kept. */
static json_t *metric(const struct na_job *j, const struct na_job_breakdown *b, enum na_metric_id id, bool *failed)
{
	static const char *const units[] = { "bytes", "count", "ns", "ratio" };
	const struct na_spread *m = &j->metrics[id];
	enum na_unit unit = na_metric_table[id].unit;
	json_t *o = na_jansson.json_object();

	put(o, "unit", na_jansson.json_string(units[unit]), failed);
	put(o, "measured_by", number(m->known), failed);
	put(o, "total", value_of(na_summary_total(j, id), unit), failed);
	put(o, "mean", mean_of(m, unit), failed);
	put(o, "imbalance", real(na_metric_imbalance(m)), failed);
	put(o, "stddev", real(na_spread_deviation(m) / (unit == NA_UNIT_PPM ? 1e6 : 1)), failed);
	na_json_put_distribution(o, j, b, id, failed);
	put(o, "min", m->known ? where(m->least, &m->least_at, unit, failed) : na_jansson.json_null(), failed);
	put(o, "max", m->known ? where(m->most, &m->most_at, unit, failed) : na_jansson.json_null(), failed);
	return o;
}

static json_t *metrics(const struct na_job *j, const struct na_job_breakdown *b, bool *failed)
{
	json_t *o = na_jansson.json_object();

	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		put(o, na_metric_table[i].id, metric(j, b, (enum na_metric_id)i, failed), failed);
	return o;
}

static json_t *peaks(const struct na_job *j, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "live_peak_of_sums", number(na_series_peak_live(&j->series)), failed);
	put(o, "live_sum_of_peaks", number(na_job_sum(j, NA_METRIC_peak_bytes)), failed);
	put(o, "physical_peak_of_sums", number(na_series_peak_physical(&j->series)), failed);
	put(o, "physical_sum_of_peaks", number(na_job_sum(j, NA_METRIC_peak_physical_bytes)), failed);
	put(o, "resolution_ms", number(UINT64_C(1) << j->series.shift), failed);
	return o;
}

static json_t *numa_part(uint64_t requested, uint64_t resident, uint64_t misplaced, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "requested_bytes", number(requested), failed);
	put(o, "resident_bytes", number(resident), failed);
	put(o, "misplaced_bytes", number(misplaced), failed);
	return o;
}

/* The physical memory of a node number: of the host, or summed over hosts, all of them or nobody knows. */
static uint64_t memory_of(const struct na_job *hosts, size_t count, int32_t node)
{
	uint64_t sum = 0;

	for (size_t h = 0; h < count; h++)
		for (uint32_t i = 0; i < hosts[h].node_count; i++)
			if (hosts[h].nodes[i].node == node)
				sum += hosts[h].nodes[i].memory_bytes;
	return sum ? sum : NA_UNKNOWN;
}

static json_t *numa(const struct na_job *j, const struct na_job *hosts, size_t count, bool all, bool *failed)
{
	json_t *list = na_jansson.json_array();

	for (uint32_t i = 0; i < j->node_count; i++) {
		const struct na_numa *n = &j->nodes[i];
		json_t *o = na_jansson.json_object();

		put(o, "node", na_jansson.json_integer(n->node), failed);
		put(o, "memory_bytes", number(all ? memory_of(hosts, count, n->node) : NA_UNKNOWN), failed);
		put(o, "held_bytes", number(n->held_bytes), failed);
		put(o, "at_end", numa_part(n->requested_bytes, n->resident_bytes, n->misplaced_bytes, failed), failed);
		put(o, "when_fullest",
		    numa_part(n->peak_requested_bytes, n->peak_resident_bytes, n->peak_misplaced_bytes, failed),
		    failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *date(uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[40];
	struct tm t;
	size_t n;

	if (ms == 0 || ms == UINT64_MAX || !gmtime_r(&seconds, &t))
		return na_jansson.json_null();
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned int)(ms % 1000));
	return na_jansson.json_string(text);
}

static json_t *missing(const struct na_report *r, bool *failed)
{
	json_t *list = na_jansson.json_array();

	for (size_t i = 0; i < r->missing_listed; i++)
		if (na_jansson.json_array_append_new(list, na_jansson.json_integer(r->missing[i])) < 0)
			*failed = true;
	return list;
}

static json_t *overhead(const struct na_report *r, bool *failed)
{
	const struct na_job *j = r->job;
	double fraction = na_summary_own_fraction(j);
	json_t *o = na_jansson.json_object();

	put(o, "fraction_of_time", fraction >= 0 ? na_jansson.json_real(fraction) : na_jansson.json_null(), failed);
	put(o, "maintenance_ns", number(na_job_sum(j, NA_METRIC_maintenance_ns)), failed);
	put(o, "record_ns", number(na_job_sum(j, NA_METRIC_record_ns)), failed);
	put(o, "finalize_ns", number(na_job_sum(j, NA_METRIC_finalize_ns)), failed);
	put(o, "topology_ns", number(na_job_sum(j, NA_METRIC_topology_ns)), failed);
	put(o, "topology_shared_by", number(j->topology_shared), failed);
	put(o, "reduce_ns", number(r->reduce_ns), failed);
	put(o, "metadata_bytes", number(na_job_sum(j, NA_METRIC_metadata_bytes)), failed);
	put(o, "pauses", na_json_job_pauses(&j->pauses, failed), failed);
	return o;
}

static json_t *job(const struct na_report *r, bool *failed)
{
	const struct na_job *j = r->job;
	json_t *o = na_jansson.json_object();

	put(o, "name", na_jansson.json_string(j->job), failed);
	put(o, "program", na_jansson.json_string(j->program), failed);
	put(o, "status", na_jansson.json_string(na_summary_status(r)), failed);
	put(o, "mpi", na_jansson_boolean(r->mpi), failed);
	put(o, "post_mortem", na_jansson_boolean(r->post_mortem), failed);
	put(o, "launcher", r->launcher ? na_jansson.json_string(r->launcher) : na_jansson.json_null(), failed);
	put(o, "size", j->size ? na_jansson.json_integer(j->size) : na_jansson.json_null(), failed);
	put(o, "processes", number(j->processes), failed);
	put(o, "complete", number(j->complete), failed);
	put(o, "aborted", number(j->aborted), failed);
	put(o, "missing", number(r->missing_count), failed);
	put(o, "missing_ranks", missing(r, failed), failed);
	put(o, "nodes", number(na_summary_hosts(r)), failed);
	put(o, "start", date(j->start_ms), failed);
	put(o, "end", date(j->end_ms), failed);
	put(o, "wall_ns",
	    j->metrics[NA_METRIC_wall_ns].known ? number(j->metrics[NA_METRIC_wall_ns].most) : na_jansson.json_null(),
	    failed);
	put(o, "metrics", metrics(j, r->breakdown, failed), failed);
	put(o, "peaks", peaks(j, failed), failed);
	put(o, "numa_nodes", numa(j, r->hosts, r->host_count, r->host_count == na_summary_hosts(r), failed), failed);
	na_json_put_breakdown(o, r, failed);
	put(o, "overhead", overhead(r, failed), failed);
	na_json_put_job(o, r, failed);
	return o;
}

static json_t *node(const struct na_report *r, const struct na_job *h, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "host", na_jansson.json_string(h->host), failed);
	put(o, "processes", number(h->processes), failed);
	put(o, "complete", number(h->complete), failed);
	put(o, "aborted", number(h->aborted), failed);
	put(o, "memory_bytes", number(h->host_memory ? h->host_memory : NA_UNKNOWN), failed);
	put(o, "cgroup_limit_bytes", number(h->cgroup_limit), failed);
	put(o, "metrics", metrics(h, NULL, failed), failed);
	put(o, "peaks", peaks(h, failed), failed);
	put(o, "numa_nodes", numa(h, h, 1, true, failed), failed);
	put(o, "series", na_json_series(&h->series, &r->job->series, failed), failed);
	put(o, "peak", na_json_peak(h, NULL, failed), failed);
	put(o, "headroom", na_json_headroom(h, r->job, failed), failed);
	put(o, "fragmentation", na_json_fragmentation(h, failed), failed);
	return o;
}

static json_t *rank(const struct na_row *row, bool *failed)
{
	static const char *const roles[] = { "process", "root", "rank" };
	json_t *o = na_jansson.json_object(), *v = na_jansson.json_object();

	put(o, "rank", row->rank >= 0 ? na_jansson.json_integer(row->rank) : na_jansson.json_null(), failed);
	put(o, "pid", na_jansson.json_integer(row->pid), failed);
	put(o, "host", na_jansson.json_string(row->host), failed);
	put(o, "program", na_jansson.json_string(row->program), failed);
	put(o, "role", na_jansson.json_string(roles[row->role <= NA_RECORD_RANK ? row->role : 0]), failed);
	put(o, "state", na_jansson.json_string(na_record_state_name(row->state)), failed);
	put(o, "updated", date(row->update_ms), failed);
	put(o, "phase", row->phase[0] ? na_jansson.json_string(row->phase) : na_jansson.json_null(), failed);
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		put(v, na_metric_table[i].id, value_of(row->value[i], na_metric_table[i].unit), failed);
	put(o, "values", v, failed);
	put(o, "pauses", na_json_pauses(row->pauses, row->pause_count, failed), failed);
	return o;
}

static int compare_hosts(const void *a, const void *b)
{
	return strncmp((*(const struct na_job *const *)a)->host, (*(const struct na_job *const *)b)->host,
		       NA_RECORD_NAME);
}

/* In order of name, whatever order the reduction brought. */
static json_t *nodes(const struct na_report *r, bool *failed)
{
	const struct na_job **sorted = malloc((r->host_count ? r->host_count : 1) * sizeof(*sorted));
	json_t *list = na_jansson.json_array();

	if (!sorted)
		*failed = true;
	for (size_t i = 0; sorted && i < r->host_count; i++)
		sorted[i] = &r->hosts[i];
	if (sorted)
		qsort(sorted, r->host_count, sizeof(*sorted), compare_hosts);
	for (size_t i = 0; sorted && i < r->host_count; i++)
		append(list, node(r, sorted[i], failed), failed);
	free(sorted);
	return list;
}

/* A row's place among the packed ones, and what they are sorted by. */
struct place {
	uint32_t rank; /* -1, of no rank, is the greatest */
	int32_t pid;
	size_t at;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* Where each row begins, by rank, then pid. NULL without memory; from malloc. */
static size_t *sorted_rows(const struct na_rows *rows)
{
	struct place *places = malloc((rows->count + 1) * sizeof(*places));
	size_t *sorted = malloc((rows->count + 1) * sizeof(*sorted)), at = 0, n = 0;
	struct na_row row;

	for (size_t begin = 0; places && sorted && n < rows->count && na_rows_next(rows, &at, &row) > 0; begin = at)
		places[n++] = (struct place){ (uint32_t)row.rank, row.pid, begin };
	if (places && n)
		qsort(places, n, sizeof(*places), compare_places);
	for (size_t i = 0; i < n; i++)
		sorted[i] = places[i].at;
	free(places);
	if (n == rows->count && places)
		return sorted;
	free(sorted);
	return NULL;
}

void na_json_row(const struct na_report *r, size_t i, struct na_row *out)
{
	size_t at = r->rows_by_rank[i];

	na_rows_next(&r->rows, &at, out); /* which has been read once */
}

static json_t *ranks(const struct na_report *r, bool *failed)
{
	json_t *list = na_jansson.json_array();
	struct na_row row;

	for (size_t i = 0; i < r->rows.count; i++) {
		na_json_row(r, i, &row);
		append(list, rank(&row, failed), failed);
	}
	return list;
}

static json_t *notes(const struct na_report *r, bool *failed)
{
	json_t *list = na_jansson.json_array();

	for (size_t i = 0; i < r->note_count; i++) {
		json_t *text = na_jansson.json_string(r->notes[i]);

		/* A file name in it that is not UTF-8 */
		if (!text)
			text = na_jansson.json_string("(a note that is not valid UTF-8)");
		if (na_jansson.json_array_append_new(list, text) < 0)
			*failed = true;
	}
	return list;
}

char *na_report_json(const struct na_report *of)
{
	struct na_report with = *of, *r = &with;
	size_t *sorted;
	bool failed = false;
	json_t *o;
	char *text;

	if (na_jansson_load() < 0)
		return NULL;
	sorted = sorted_rows(&r->rows);
	if (!sorted)
		return NULL;
	with.rows_by_rank = sorted;
	o = na_jansson.json_object();
	put(o, "schema", na_jansson.json_string(NA_REPORT_SCHEMA), &failed);
	put(o, "schema_version", na_jansson.json_string(NA_REPORT_SCHEMA_VERSION), &failed);
	put(o, "generator", na_jansson.json_string(PACKAGE_STRING), &failed);
	put(o, "job", job(r, &failed), &failed);
	put(o, "nodes", nodes(r, &failed), &failed);
	put(o, "nodes_omitted", na_jansson_boolean(r->host_count < na_summary_hosts(r)), &failed);
	put(o, "ranks", ranks(r, &failed), &failed);
	put(o, "ranks_omitted", na_jansson_boolean(r->rows.count < r->job->processes), &failed);
	put(o, "notes", notes(r, &failed), &failed);
	text = failed ? NULL : na_jansson.json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	na_jansson_drop(o);
	free(sorted);
	return text;
}
