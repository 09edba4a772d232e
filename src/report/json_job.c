/* SPDX-License-Identifier: BSD-3-Clause */
/* report.json: what happened when, how figures are spread over ranks, who lies far out, and what follows for the next job. */
#include <string.h>

#include "report/derive.h"
#include "report/json_parts.h"

/* ---- over time ---- */

/* On the job's axis: outside of its own time a host has nothing, or what is unknown at all times is unknown then as well. */
static json_t *course(const struct na_series *s, enum na_quantity q, const struct na_series *axis, bool *failed)
{
	json_t *list = na_jansson.json_array();
	uint64_t outside = NA_UNKNOWN;

	for (uint32_t i = 0; i < s->count; i++)
		if (s->value[q][i] != NA_UNKNOWN)
			outside = 0;
	for (uint32_t i = 0; i < axis->count; i++) {
		uint64_t at = axis->first + i - s->first;

		append(list, number(at < s->count ? s->value[q][at] : outside), failed);
	}
	return list;
}

json_t *na_json_series(const struct na_series *s, const struct na_series *axis, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "begin_ms", axis->count ? number(axis->first << axis->shift) : na_jansson.json_null(), failed);
	put(o, "bin_ms", number(UINT64_C(1) << axis->shift), failed);
	for (unsigned int q = 0; q < NA_QUANTITIES; q++)
		put(o, na_quantity_names[q], course(s, (enum na_quantity)q, axis, failed), failed);
	return o;
}

static struct na_where where_of(const struct na_row *row)
{
	struct na_where at = { .rank = row->rank, .pid = row->pid };

	memcpy(at.host, row->host, sizeof(at.host));
	return at;
}

static json_t *row_course(const struct na_row *row, uint32_t bins, bool *failed)
{
	json_t *o = na_jansson.json_object(), *list = na_jansson.json_array();
	struct na_where at = where_of(row);

	put_where(o, &at, failed);
	for (uint32_t i = 0; i < bins; i++)
		append(list, row->live[i] == NA_ROW_UNKNOWN ? na_jansson.json_null() : number(row->live[i]), failed);
	put(o, "values", list, failed);
	return o;
}

static json_t *rank_series(const struct na_report *r, bool *failed)
{
	const struct na_series *s = &r->job->series;
	const struct na_row_axis *axis = &r->row_axis;
	json_t *o = na_jansson.json_object(), *rows = na_jansson.json_array();
	struct na_row row;
	uint64_t bins = 0;

	if (s->count && axis->shift >= s->shift)
		bins = ((s->first + s->count - 1) >> (axis->shift - s->shift)) - axis->first + 1;
	if (bins > NA_ROW_BINS)
		bins = NA_ROW_BINS;
	put(o, "begin_ms", bins ? number(axis->first << axis->shift) : na_jansson.json_null(), failed);
	put(o, "bin_ms", number(UINT64_C(1) << axis->shift), failed);
	put(o, "quantity", na_jansson.json_string("live_bytes"), failed);
	put(o, "unit_bytes", number(UINT64_C(1) << axis->unit_shift), failed);
	for (size_t i = 0; i < r->rows.count; i++) {
		na_json_row(r, i, &row);
		append(rows, row_course(&row, (uint32_t)bins, failed), failed);
	}
	put(o, "rows", rows, failed);
	return o;
}

/* `b` NULL: of a host, which has its own. */
json_t *na_json_peak(const struct na_job *j, const struct na_job_breakdown *b, bool *failed)
{
	struct na_peak p = na_derive_peak(j);
	const char *phase = b ? na_derive_phase(b, p.bin) : j->peak_phase[0] ? j->peak_phase : NULL;
	json_t *o = na_jansson.json_object();

	put(o, "live_bytes", number(p.live), failed);
	put(o, "moment_ms", number(p.moment_ms), failed);
	put(o, "phase", phase ? na_jansson.json_string(phase) : na_jansson.json_null(), failed);
	return o;
}

/* ---- over ranks ---- */

/* Whole bytes, counts and ns, as everywhere. */
static json_t *in_unit(double v, enum na_unit unit)
{
	if (unit == NA_UNIT_PPM || !isfinite(v))
		return real(v / 1e6);
	return number((uint64_t)(v + 0.5));
}

static json_t *quantiles(const struct na_sketch *s, const struct na_spread *of, enum na_unit unit, bool *failed)
{
	static const struct {
		const char *name;
		double q;
	} list[] = {
		{ "p5", 0.05 }, { "p25", 0.25 }, { "p50", 0.5 }, { "p75", 0.75 }, { "p95", 0.95 }, { "p99", 0.99 }
	};
	json_t *o = na_jansson.json_object();

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		put(o, list[i].name, in_unit(na_sketch_quantile(s, of, list[i].q), unit), failed);
	return o;
}

static json_t *histogram(const struct na_sketch *s, enum na_unit unit, bool *failed)
{
	json_t *list = na_jansson.json_array();

	for (unsigned int i = 0; i < NA_SKETCH_BINS; i++) {
		json_t *o;

		if (!s->bins[i])
			continue;
		o = na_jansson.json_object();
		put(o, "from", unit == NA_UNIT_PPM ? real((double)na_sketch_from(i) / 1e6) : number(na_sketch_from(i)),
		    failed);
		put(o, "ranks", number(s->bins[i]), failed);
		append(list, o, failed);
	}
	return list;
}

void na_json_put_distribution(json_t *metric, const struct na_job *j, const struct na_job_breakdown *b,
			      enum na_metric_id id, bool *failed)
{
	const struct na_spread *of = &j->metrics[id];
	enum na_unit unit = na_metric_table[id].unit;
	const struct na_sketch *s = b ? &b->distribution.sketches[id] : NULL;

	put(metric, "quantiles", s ? quantiles(s, of, unit, failed) : na_jansson.json_null(), failed);
	put(metric, "histogram", s ? histogram(s, unit, failed) : na_jansson.json_null(), failed);
}

static json_t *outliers(const struct na_report *r, bool *failed)
{
	struct na_outlier found[NA_OUTLIERS_MOST];
	uint32_t n = na_distribution_outliers(&r->breakdown->distribution, r->job->metrics, found);
	json_t *list = na_jansson.json_array();

	for (uint32_t i = 0; i < n; i++) {
		json_t *o = na_jansson.json_object();

		put_where(o, &found[i].extreme.at, failed);
		put(o, "metric", na_jansson.json_string(na_metric_table[found[i].metric].id), failed);
		put(o, "value", na_jansson.json_integer(found[i].extreme.value), failed);
		put(o, "median", real(found[i].median), failed);
		put(o, "times_mad", real(found[i].times_mad), failed);
		put(o, "kind", na_jansson.json_string(found[i].straggler ? "straggler" : "outlier"), failed);
		append(list, o, failed);
	}
	return list;
}

static uint64_t pages(uint32_t n)
{
	return n == UINT32_MAX ? NA_UNKNOWN : (uint64_t)n << 12;
}

static json_t *numa_matrix(const struct na_report *r, bool *failed)
{
	json_t *list = na_jansson.json_array();

	struct na_row row;

	for (size_t i = 0; i < r->rows.count; i++) {
		struct na_where at;

		na_json_row(r, i, &row);
		at = where_of(&row);
		for (uint32_t k = 0; k < row.cell_count; k++) {
			json_t *o = na_jansson.json_object();

			put_where(o, &at, failed);
			put(o, "node", na_jansson.json_integer(row.cells[k].node), failed);
			put(o, "resident_bytes", number(pages(row.cells[k].resident)), failed);
			put(o, "misplaced_bytes", number(pages(row.cells[k].misplaced)), failed);
			append(list, o, failed);
		}
	}
	return list;
}

/* ---- what follows ---- */

json_t *na_json_fragmentation(const struct na_job *j, bool *failed)
{
	struct na_fragmentation f = na_derive_fragmentation(j);
	json_t *o = na_jansson.json_object();

	put(o, "held_bytes", number(f.held), failed);
	put(o, "live_bytes", number(f.live), failed);
	put(o, "requested_bytes", number(f.requested), failed);
	put(o, "external", real(f.external), failed);
	put(o, "internal", real(f.internal), failed);
	return o;
}

json_t *na_json_headroom(const struct na_job *host, const struct na_job *job, bool *failed)
{
	struct na_headroom h = na_derive_headroom(host, job);
	json_t *o = na_jansson.json_object();

	put(o, "limit_bytes", number(h.limit), failed);
	put(o, "limit", na_jansson.json_string(h.cgroup ? "cgroup" : "physical"), failed);
	put(o, "peak_bytes", number(h.peak), failed);
	put(o, "free_bytes", number(h.free), failed);
	put(o, "more_ranks", number(h.more_ranks), failed);
	return o;
}

static json_t *rates(const struct na_report *r, bool *failed)
{
	struct na_rates rates = na_derive_rates(r->job, r->breakdown);
	json_t *o = na_jansson.json_object();

	put(o, "allocations_per_s", real(rates.allocations_per_s), failed);
	put(o, "allocated_bytes_per_s", real(rates.bytes_per_s), failed);
	put(o, "allocator_time_fraction", real(rates.time_fraction), failed);
	return o;
}

/* A name from a program's symbols is not UTF-8 by itself. */
static json_t *text(const char *s, size_t length)
{
	char line[NA_SITE_TEXT];
	json_t *o;

	memcpy(line, s, length);
	line[length] = '\0';
	o = na_jansson.json_string(line);
	return o ? o : na_jansson.json_string("?");
}

static json_t *frames(const char *s, bool *failed)
{
	json_t *list = na_jansson.json_array();

	for (const char *end; *s; s = *end ? end + 1 : end) {
		end = s + strcspn(s, "\n");
		append(list, text(s, (size_t)(end - s)), failed);
	}
	return list;
}

static json_t *call_sites(const struct na_job_breakdown *b, bool *failed)
{
	const struct na_site_sum *sorted[NA_JOB_SITES];
	json_t *list = na_jansson.json_array();

	na_derive_sites(b, sorted);
	for (uint32_t i = 0; i < b->site_count && i < NA_JSON_SITES; i++) {
		json_t *o = na_jansson.json_object();

		put(o, "bytes", number(sorted[i]->bytes), failed);
		put(o, "allocations", number(sorted[i]->allocations), failed);
		put(o, "fraction", real(b->sites_bytes ? (double)sorted[i]->bytes / (double)b->sites_bytes : NAN),
		    failed);
		put(o, "ranks", number(sorted[i]->processes), failed);
		put(o, "frames", frames(sorted[i]->frames, failed), failed);
		append(list, o, failed);
	}
	return list;
}

static json_t *memory_request(const struct na_report *r, bool *failed)
{
	uint64_t sufficient = na_derive_sufficient(r);
	const char *source = na_derive_source(r->job->request_source);
	json_t *o = na_jansson.json_object();
	char directive[40];

	na_derive_directive(directive, sizeof(directive), sufficient);
	put(o, "requested_bytes", number(r->job->request_bytes), failed);
	put(o, "source", source ? na_jansson.json_string(source) : na_jansson.json_null(), failed);
	put(o, "sufficient_bytes", number(sufficient), failed);
	put(o, "directive", directive[0] ? na_jansson.json_string(directive) : na_jansson.json_null(), failed);
	return o;
}

void na_json_put_job(json_t *job, const struct na_report *r, bool *failed)
{
	put(job, "series", na_json_series(&r->job->series, &r->job->series, failed), failed);
	put(job, "rank_series", rank_series(r, failed), failed);
	put(job, "peak", na_json_peak(r->job, r->breakdown, failed), failed);
	put(job, "outliers", outliers(r, failed), failed);
	put(job, "numa_matrix", numa_matrix(r, failed), failed);
	put(job, "fragmentation", na_json_fragmentation(r->job, failed), failed);
	put(job, "rates", rates(r, failed), failed);
	put(job, "call_sites", call_sites(r->breakdown, failed), failed);
	put(job, "memory_request", memory_request(r, failed), failed);
}
