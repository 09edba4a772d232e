/* SPDX-License-Identifier: BSD-3-Clause */
/* Pauses in report.json: the job's sums and what they are thought to have cost it, and each rank's newest. */
#include "report/json_parts.h"
#include "report/pauses.h"

#define MS 1000000

static json_t *longest(const struct na_job_pauses *j, bool *failed)
{
	json_t *o;

	if (!j->longest.ns)
		return na_jansson.json_null();
	o = na_jansson.json_object();
	put(o, "ns", number(j->longest.ns), failed);
	put(o, "moment_ms", number(j->longest.moment_ns / MS), failed);
	put_where(o, &j->longest_at, failed);
	return o;
}

json_t *na_json_job_pauses(const struct na_job_pauses *j, bool *failed)
{
	json_t *o = na_jansson.json_object();

	put(o, "count", number(j->count), failed);
	put(o, "total_ns", number(j->total_ns), failed);
	put(o, "together_ns", number(j->together_ns), failed);
	put(o, "alone", number(j->alone_count), failed);
	put(o, "alone_ns", number(j->alone_ns), failed);
	put(o, "collectives", j->collectives ? number(j->collectives) : na_jansson.json_null(), failed);
	put(o, "longest", longest(j, failed), failed);
	put(o, "estimated_job_ns", number(na_job_pauses_estimate(j)), failed);
	return o;
}

json_t *na_json_pauses(const struct na_pause *pauses, uint64_t count, bool *failed)
{
	json_t *list = na_jansson.json_array();

	for (uint64_t i = 0; i < count && i < NA_ROW_PAUSES; i++) {
		json_t *o = na_jansson.json_object();

		put(o, "moment_ms", number(pauses[i].moment_ns / MS), failed);
		put(o, "ns", number(pauses[i].ns), failed);
		put(o, "bytes", number(pauses[i].bytes), failed);
		put(o, "kind", na_jansson.json_string(na_pause_name(pauses[i].kind)), failed);
		append(list, o, failed);
	}
	return list;
}
