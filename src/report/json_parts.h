/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that build report.json share. */
#ifndef NA_REPORT_JSON_PARTS_H
#define NA_REPORT_JSON_PARTS_H

#include <math.h>
#include <stdbool.h>

#include "report/jansson_calls.h"
#include "report/report.h"

/* Jansson frees and refuses NULL values, so that a failed allocation ends as a missing field, which na_report_json()
 * finds by its count of failures. */
static inline void put(json_t *object, const char *key, json_t *value, bool *failed)
{
	if (na_jansson.json_object_set_new(object, key, value) < 0)
		*failed = true;
}

static inline void append(json_t *list, json_t *value, bool *failed)
{
	if (na_jansson.json_array_append_new(list, value) < 0)
		*failed = true;
}

static inline json_t *number(uint64_t v)
{
	return v > INT64_MAX ? na_jansson.json_null() : na_jansson.json_integer((json_int_t)v);
}

static inline json_t *real(double v)
{
	return isfinite(v) ? na_jansson.json_real(v) : na_jansson.json_null();
}

/* Its members of an object that tells more. */
static inline void put_where(json_t *o, const struct na_where *w, bool *failed)
{
	put(o, "rank", w->rank >= 0 ? na_jansson.json_integer(w->rank) : na_jansson.json_null(), failed);
	put(o, "pid", na_jansson.json_integer(w->pid), failed);
	put(o, "host", na_jansson.json_string(w->host), failed);
}

#define NA_JSON_SITES 10

/* The i-th row by rank, then pid. */
void na_json_row(const struct na_report *r, size_t i, struct na_row *out);

/* json_job.c. `axis` is the job's series. `b` NULL: of a host, which has the name of its own (`peak_phase`). */
json_t *na_json_series(const struct na_series *s, const struct na_series *axis, bool *failed);
json_t *na_json_peak(const struct na_job *j, const struct na_job_breakdown *b, bool *failed);
json_t *na_json_fragmentation(const struct na_job *j, bool *failed);
json_t *na_json_headroom(const struct na_job *host, const struct na_job *job, bool *failed);
void na_json_put_distribution(json_t *metric, const struct na_job *j, const struct na_job_breakdown *b,
			      enum na_metric_id id, bool *failed);
/* Puts the members of "job" about time, ranks, and what follows. */
void na_json_put_job(json_t *job, const struct na_report *r, bool *failed);
json_t *na_json_job_pauses(const struct na_job_pauses *j, bool *failed);
json_t *na_json_pauses(const struct na_pause *pauses, uint64_t count, bool *failed);

/* Puts the members of "job" that come of the breakdown, the findings, and who ran out of memory. */
void na_json_put_breakdown(json_t *job, const struct na_report *r, bool *failed);

#endif
