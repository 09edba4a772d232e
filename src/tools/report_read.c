/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/report_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/derive.h"
#include "report/judge.h"
#include "tools/report_commands.h"

struct na_read_report {
	struct na_report report;
	struct na_job job;
	struct na_job_breakdown breakdown;
	struct na_oom_files oom;
	struct na_finding findings[NA_JOB_RULE_END_];
	struct na_job *hosts;
	const char **notes;
	int32_t *missing;
};

/* ---- values ---- */

static uint64_t whole(json_t *tree, const char *path)
{
	double v = na_report_number(tree, path);
	json_t *exact = na_report_at(tree, path);

	if (json_is_integer(exact) && json_integer_value(exact) >= 0)
		return (uint64_t)json_integer_value(exact);
	return isfinite(v) && v >= 0 && v < 0x1p63 ? (uint64_t)(v + 0.5) : NA_UNKNOWN;
}

/* The same where nothing is none. */
static uint64_t count(json_t *tree, const char *path)
{
	uint64_t v = whole(tree, path);

	return v == NA_UNKNOWN ? 0 : v;
}

static bool is_true(json_t *tree, const char *path)
{
	return json_is_true(na_report_at(tree, path));
}

static void copy(char *out, size_t capacity, const char *text)
{
	snprintf(out, capacity, "%.*s", (int)capacity - 1, text);
}

#define COPY(to, tree, path) copy(to, sizeof(to), na_report_text_at(tree, path))

static struct na_where where(json_t *o)
{
	json_t *rank = json_object_get(o, "rank");
	struct na_where at = { .rank = json_is_integer(rank) ? (int32_t)json_integer_value(rank) : -1,
			       .pid = (int32_t)count(o, "pid") };

	COPY(at.host, o, "host");
	return at;
}

/* "2026-11-25T01:20:00.123Z" */
static uint64_t moment(json_t *tree, const char *path)
{
	const char *text = na_report_text_at(tree, path), *rest;
	struct tm t = { 0 };

	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
	return rest ? (uint64_t)timegm(&t) * 1000 + (*rest == '.' ? strtoul(rest + 1, NULL, 10) : 0) : UINT64_MAX;
}

/* ---- figures over processes ---- */

/* `scale`: of a ratio a million, else 1. */
static int64_t scaled(json_t *tree, const char *path, double scale)
{
	json_t *v = na_report_at(tree, path);

	return json_is_integer(v) && scale == 1 ? json_integer_value(v)
						: (int64_t)llround(json_number_value(v) * scale);
}

static struct na_spread spread(json_t *m, uint64_t known, double scale)
{
	struct na_spread s = { .known = json_is_object(json_object_get(m, "max")) ? known : 0 };
	json_t *total = json_object_get(m, "total");

	if (!s.known)
		return s;
	s.least = scaled(m, "min/value", scale);
	s.most = scaled(m, "max/value", scale);
	s.least_at = where(json_object_get(m, "min"));
	s.most_at = where(json_object_get(m, "max"));
	s.sum = json_is_integer(total) && scale == 1
			? (uint64_t)json_integer_value(total)
			: (uint64_t)llround(json_number_value(json_object_get(m, "mean")) * (double)known * scale);
	return s;
}

static void read_metrics(struct na_spread out[NA_METRIC_COUNT_], json_t *metrics)
{
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++) {
		json_t *m = json_object_get(metrics, na_metric_table[i].id);

		out[i] = spread(m, count(m, "measured_by"), na_metric_table[i].unit == NA_UNIT_PPM ? 1e6 : 1);
	}
}

static void read_sketches(struct na_distribution *d, json_t *metrics)
{
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++) {
		double scale = na_metric_table[i].unit == NA_UNIT_PPM ? 1e6 : 1;
		json_t *list = json_object_get(json_object_get(metrics, na_metric_table[i].id), "histogram"), *bin;
		size_t k;

		json_array_foreach(list, k, bin) d->sketches[i]
			.bins[na_sketch_bin((uint64_t)scaled(bin, "from", scale))] += (uint32_t)count(bin, "ranks");
	}
}

/* They are all that was kept of the extremes. */
static void read_outliers(struct na_distribution *d, json_t *list)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) for (unsigned int k = 0; k < NA_EXTREMES_OF; k++)
	{
		struct na_extremes *e = &d->extremes[k];
		struct na_extreme one = { scaled(o, "value", 1), where(o) };

		if (strcmp(na_metric_table[na_extremes_of[k]].id, na_report_text_at(o, "metric")) != 0)
			continue;
		if ((double)one.value < na_report_number(o, "median")) {
			if (e->least_count < NA_EXTREMES)
				e->least[e->least_count++] = one;
		} else if (e->most_count < NA_EXTREMES) {
			e->most[e->most_count++] = one;
		}
	}
}

/* ---- over time, and nodes ---- */

static void read_series(struct na_series *s, json_t *series)
{
	uint64_t width = count(series, "bin_ms"), begin = whole(series, "begin_ms");
	size_t bins = json_array_size(json_object_get(series, "live_bytes")), i;
	json_t *v;

	na_series_init(s);
	if (!width || begin == NA_UNKNOWN)
		return;
	s->shift = 63u - (uint32_t)__builtin_clzll(width);
	s->first = begin >> s->shift;
	s->count = (uint32_t)(bins < NA_SERIES_BINS ? bins : NA_SERIES_BINS);
	memset(s->value, 0xff, sizeof(s->value));
	for (unsigned int q = 0; q < NA_QUANTITIES; q++)
		json_array_foreach(json_object_get(series, na_quantity_names[q]), i,
				   v) if (i < s->count && json_is_integer(v)) s->value[q][i] =
			(uint64_t)json_integer_value(v);
}

static void read_numa(struct na_job *j, json_t *list)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) if (i < NA_MAX_NODES) j->nodes[j->node_count++] =
		(struct na_numa){ .node = (int32_t)count(o, "node"),
				  .held_bytes = whole(o, "held_bytes"),
				  .requested_bytes = whole(o, "at_end/requested_bytes"),
				  .resident_bytes = whole(o, "at_end/resident_bytes"),
				  .misplaced_bytes = whole(o, "at_end/misplaced_bytes"),
				  .peak_requested_bytes = whole(o, "when_fullest/requested_bytes"),
				  .peak_resident_bytes = whole(o, "when_fullest/resident_bytes"),
				  .peak_misplaced_bytes = whole(o, "when_fullest/misplaced_bytes") };
}

/* What a job and a host have both. */
static void read_processes(struct na_job *j, json_t *o)
{
	j->processes = count(o, "processes");
	j->complete = count(o, "complete");
	j->aborted = count(o, "aborted");
	read_metrics(j->metrics, json_object_get(o, "metrics"));
	read_series(&j->series, json_object_get(o, "series"));
	read_numa(j, json_object_get(o, "numa_nodes"));
}

static bool read_hosts(struct na_read_report *r, json_t *list)
{
	struct na_spread *room = &r->job.hosts.free;
	size_t i, n = json_array_size(list);
	json_t *o;

	r->hosts = calloc(n ? n : 1, sizeof(*r->hosts));
	if (!r->hosts)
		return false;
	json_array_foreach(list, i, o)
	{
		struct na_job *h = &r->hosts[i];
		uint64_t left = whole(o, "headroom/free_bytes");
		struct na_spread one;

		na_job_init(h);
		COPY(h->host, o, "host");
		h->host_memory = count(o, "memory_bytes");
		h->cgroup_limit = whole(o, "cgroup_limit_bytes");
		COPY(h->peak_phase, o, "peak/phase");
		read_processes(h, o);
		if (left == NA_UNKNOWN)
			continue;
		one = na_spread_of((int64_t)left, &(struct na_where){ .rank = -1 });
		memcpy(one.least_at.host, h->host, sizeof(one.least_at.host));
		na_spread_merge(room, &one);
	}
	r->report.hosts = r->hosts;
	r->report.host_count = n;
	if (n == 1)
		memcpy(r->job.host, r->hosts[0].host, sizeof(r->job.host));
	return true;
}

/* ---- the job ---- */

static uint32_t request_source(const char *name)
{
	for (uint32_t i = NA_REQUESTED_BY_CGROUP; i <= NA_REQUESTED_BY_SLURM_NODE; i++)
		if (strcmp(na_derive_source(i), name) == 0)
			return i;
	return NA_REQUESTED_BY_NONE;
}

/* The fullest host is any from which the same memory follows as sufficient. */
static void read_request(struct na_job *j, json_t *o)
{
	uint64_t sufficient = whole(o, "sufficient_bytes");

	j->request_bytes = whole(o, "requested_bytes");
	j->request_source = request_source(na_report_text_at(o, "source"));
	if (sufficient == NA_UNKNOWN)
		return;
	j->hosts.physical = na_spread_of((int64_t)(sufficient / 11 * 10 + sufficient % 11 * 10 / 11),
					 &(struct na_where){ .rank = -1 });
	j->hosts.physical.known = j->hosts.live.known;
}

static void read_job(struct na_read_report *r, json_t *o)
{
	struct na_job *j = &r->job;

	na_job_init(j);
	COPY(j->job, o, "name");
	COPY(j->program, o, "program");
	read_processes(j, o);
	j->size = (int32_t)count(o, "size");
	j->first = j->metrics[NA_METRIC_wall_ns].most_at.rank >= 0 ? 0 : UINT64_MAX;
	j->start_ms = moment(o, "start");
	j->end_ms = moment(o, "end");
	j->hosts.live.known = count(o, "nodes");
	read_request(j, json_object_get(o, "memory_request"));
}

/* ---- its breakdown ---- */

static struct na_spread spread_of_all(json_t *o, const char *name)
{
	return spread(json_object_get(o, name), count(o, "processes"), 1);
}

static void read_phase(struct na_phase_sum *p, json_t *o)
{
	COPY(p->name, o, "name");
	p->running = count(o, "running");
	p->entered = count(o, "entered");
	p->allocations = count(o, "allocations");
	p->releases = count(o, "releases");
	p->allocated_bytes = count(o, "allocated_bytes");
	p->released_bytes = count(o, "released_bytes");
	p->ns = spread_of_all(o, "time_ns");
	p->peak = spread_of_all(o, "peak_bytes");
	p->left = spread_of_all(o, "left_bytes");
}

/* Of the bins of time only that of the peak tells a phase. */
static void read_phases(struct na_job_breakdown *b, json_t *job, uint32_t peak)
{
	const char *at_peak = na_report_text_at(job, "peak/phase");
	size_t i;
	json_t *o;

	json_array_foreach(json_object_get(job, "phases"), i, o)
	{
		struct na_phase_sum *p = &b->phases[b->phase_count];

		if (b->phase_count == NA_BREAKDOWN_PHASES)
			break;
		read_phase(p, o);
		p->place = b->phase_count++;
		p->when[peak] = *at_peak && strcmp(p->name, at_peak) == 0;
	}
	if (json_is_object(json_object_get(job, "other_phases")))
		read_phase(&b->other_phases, json_object_get(job, "other_phases"));
}

static void read_classes(struct na_job_breakdown *b, json_t *list)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) if (i < NA_BREAKDOWN_CLASSES) b->classes[i] =
		(struct na_class_part){ .size = count(o, "block_bytes"),
					.allocations = count(o, "allocations"),
					.allocated_bytes = count(o, "allocated_bytes"),
					.live_blocks = count(o, "live_blocks"),
					.live_bytes = count(o, "live_bytes"),
					.fullest_bytes = count(o, "fullest_bytes") };
}

static void read_pools(struct na_job_breakdown *b, json_t *list)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) if (i < NA_JOB_POOLS)
	{
		struct na_pool_sum *p = &b->pools[b->pool_count++];

		COPY(p->name, o, "name");
		p->peak = spread_of_all(o, "peak_bytes");
	}
}

static void read_threads(struct na_job_breakdown *b, json_t *o)
{
	json_t *busiest = json_object_get(o, "busiest");

	b->threads_running = count(o, "running");
	b->threads = spread(json_object_get(o, "most_at_once"), b->processes, 1);
	b->busiest.thread = (int32_t)count(busiest, "thread");
	b->busiest.allocated_bytes = count(busiest, "allocated_bytes");
	b->busiest_at = where(busiest);
}

static void read_samples(struct na_job_breakdown *b, json_t *latency, json_t *lifetimes)
{
	double mean = na_report_number(latency, "mean_ns");
	size_t i;
	json_t *bin;

	b->sampling = count(latency, "sampled_by");
	b->latency.samples = count(latency, "samples");
	b->latency.count = count(latency, "allocations");
	b->latency.sum = isfinite(mean) ? (uint64_t)(mean * (double)b->latency.count + 0.5) : 0;
	b->latency.most = count(latency, "max/value");
	b->slowest_at = where(json_object_get(latency, "max"));
	json_array_foreach(json_object_get(latency, "bins"), i, bin)
		b->latency.bins[na_histogram_bin(count(bin, "from_ns"))] += count(bin, "allocations");
	b->lifetimes.samples = count(lifetimes, "samples");
	json_array_foreach(json_object_get(lifetimes, "bins"), i, bin)
	{
		uint64_t from = count(bin, "from_ns");
		unsigned int at = from ? 63u - (unsigned int)__builtin_clzll(from) : 0;

		if (at >= NA_LIFETIME_BINS)
			at = NA_LIFETIME_BINS - 1;
		b->lifetimes.blocks[at] += count(bin, "blocks");
		b->lifetimes.bytes[at] += count(bin, "bytes");
	}
}

static void read_sites(struct na_job_breakdown *b, json_t *list)
{
	size_t i, k;
	json_t *o, *frame;

	json_array_foreach(list, i, o)
	{
		struct na_site_sum *s = &b->sites[b->site_count];
		double share = na_report_number(o, "fraction");
		size_t n = 0;

		if (b->site_count == NA_JOB_SITES)
			break;
		s->bytes = count(o, "bytes");
		s->allocations = count(o, "allocations");
		s->processes = count(o, "ranks");
		json_array_foreach(json_object_get(o, "frames"), k, frame) if (n < sizeof(s->frames)) n +=
			(size_t)snprintf(s->frames + n, sizeof(s->frames) - n, "%s%s", k ? "\n" : "",
					 json_is_string(frame) ? json_string_value(frame) : "?");
		if (share > 0 && !b->site_count)
			b->sites_bytes = (uint64_t)((double)s->bytes / share + 0.5);
		b->site_count++;
	}
}

static void read_breakdown(struct na_read_report *r, json_t *job)
{
	struct na_job_breakdown *b = &r->breakdown;

	na_job_breakdown_init(b);
	b->processes = r->job.processes;
	read_phases(b, job, na_series_fullest(&r->job.series));
	read_classes(b, json_object_get(job, "size_classes"));
	read_pools(b, json_object_get(job, "pools"));
	read_threads(b, json_object_get(job, "threads"));
	read_samples(b, json_object_get(job, "allocation_latency"), json_object_get(job, "lifetimes"));
	read_sites(b, json_object_get(job, "call_sites"));
	read_sketches(&b->distribution, json_object_get(job, "metrics"));
	read_outliers(&b->distribution, json_object_get(job, "outliers"));
}

/* ---- ranks, findings, notes ---- */

static uint32_t state_of(const char *name)
{
	for (uint32_t i = NA_RECORD_RUNNING; i <= NA_RECORD_LOST; i++)
		if (strcmp(na_record_state_name(i), name) == 0)
			return i;
	return NA_RECORD_LOST;
}

static void read_row(struct na_row *row, json_t *o)
{
	const char *role = na_report_text_at(o, "role");
	struct na_where at = where(o);

	memset(row, 0, sizeof(*row));
	memcpy(row->host, at.host, sizeof(row->host));
	row->rank = at.rank;
	row->pid = at.pid;
	COPY(row->program, o, "program");
	COPY(row->phase, o, "phase");
	row->state = state_of(na_report_text_at(o, "state"));
	row->role = strcmp(role, "rank") == 0	? NA_RECORD_RANK
		    : strcmp(role, "root") == 0 ? NA_RECORD_ROOT
						: NA_RECORD_PROCESS;
	row->update_ms = moment(o, "updated");
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++) {
		json_t *v = json_object_get(json_object_get(o, "values"), na_metric_table[i].id);

		row->value[i] = NA_UNKNOWN;
		if (json_is_number(v))
			row->value[i] = na_metric_table[i].unit == NA_UNIT_PPM
						? (uint64_t)llround(json_number_value(v) * 1e6)
						: (uint64_t)json_integer_value(v);
	}
}

static bool read_rows(struct na_read_report *r, json_t *list)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o)
	{
		struct na_row row;

		read_row(&row, o);
		if (na_rows_add(&r->report.rows, &row) < 0)
			return false;
	}
	return true;
}

static void read_findings(struct na_read_report *r, json_t *list)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) if (i < NA_JOB_RULE_END_)
	{
		COPY(r->findings[i].bottleneck, o, "bottleneck");
		COPY(r->findings[i].recommendation, o, "recommendation");
		r->report.judged_count++;
	}
	r->report.judged = r->findings;
}

static void read_oom(struct na_read_report *r, json_t *o)
{
	size_t i;
	json_t *name;

	r->oom.count = count(o, "reports");
	json_array_foreach(json_object_get(o, "files"), i, name) if (i < NA_OOM_LISTED && json_is_string(name))
		copy(r->oom.names[r->oom.listed++], sizeof(r->oom.names[0]), json_string_value(name));
	r->report.oom = &r->oom;
}

static bool read_notes(struct na_read_report *r, json_t *notes, json_t *missing)
{
	size_t i, n = json_array_size(notes), m = json_array_size(missing);
	json_t *v;

	r->notes = calloc(n ? n : 1, sizeof(*r->notes));
	r->missing = calloc(m ? m : 1, sizeof(*r->missing));
	if (!r->notes || !r->missing)
		return false;
	json_array_foreach(notes, i, v) r->notes[i] = json_is_string(v) ? json_string_value(v) : "";
	json_array_foreach(missing, i, v) r->missing[i] = (int32_t)json_integer_value(v);
	r->report.notes = r->notes;
	r->report.note_count = n;
	r->report.missing = r->missing;
	r->report.missing_listed = m;
	return true;
}

struct na_read_report *na_report_read(json_t *tree)
{
	struct na_read_report *r = calloc(1, sizeof(*r));
	json_t *job = json_object_get(tree, "job");

	if (!r)
		return NULL;
	read_job(r, job);
	read_breakdown(r, job);
	read_findings(r, json_object_get(job, "findings"));
	read_oom(r, json_object_get(job, "out_of_memory"));
	r->report.job = &r->job;
	r->report.breakdown = &r->breakdown;
	r->report.mpi = is_true(job, "mpi");
	r->report.post_mortem = is_true(job, "post_mortem");
	r->report.missing_count = count(job, "missing");
	r->report.reduce_ns = whole(job, "overhead/reduce_ns");
	if (read_hosts(r, json_object_get(tree, "nodes")) && read_rows(r, json_object_get(tree, "ranks")) &&
	    read_notes(r, json_object_get(tree, "notes"), json_object_get(job, "missing_ranks")))
		return r;
	na_report_read_free(r);
	return NULL;
}

const struct na_report *na_report_of(const struct na_read_report *r)
{
	return &r->report;
}

void na_report_read_free(struct na_read_report *r)
{
	if (!r)
		return;
	free(r->hosts);
	free(r->report.rows.bytes);
	free(r->notes);
	free(r->missing);
	free(r);
}
