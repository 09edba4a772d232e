/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/openmetrics.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "report/derive.h"
#include "report/names.h"
#include "report/summary.h"

struct page {
	char *out;
	size_t capacity, length;
};

static void add(struct page *p, const char *s)
{
	size_t n = strlen(s), room = p->length + 1 < p->capacity ? p->capacity - 1 - p->length : 0;

	if (room)
		memcpy(p->out + p->length, s, n < room ? n : room);
	p->length += n;
	if (p->capacity)
		p->out[p->length < p->capacity ? p->length : p->capacity - 1] = '\0';
}

static void add_number(struct page *p, uint64_t v)
{
	char digits[24];
	struct na_text t = na_text_init(digits, sizeof(digits));

	na_text_add_number(&t, v);
	add(p, digits);
}

/* v / 10^digits. */
static void add_fraction(struct page *p, uint64_t v, unsigned int digits)
{
	char after[12] = "";
	uint64_t unit = 1;

	for (unsigned int i = 0; i < digits; i++)
		unit *= 10;
	add_number(p, v / unit);
	v %= unit;
	for (unsigned int i = digits; i-- > 0; v /= 10)
		after[i] = (char)('0' + v % 10);
	add(p, ".");
	add(p, after);
}

/* A label's value: quoted, with what the format wants escaped. */
static void add_quoted(struct page *p, const char *s, size_t length)
{
	char clean[NA_RECORD_NAME + 1], one[3] = "";

	na_name_clean(clean, s, length < sizeof(clean) ? length : sizeof(clean));
	add(p, "\"");
	for (const char *c = clean; *c; c++) {
		one[0] = *c == '\\' || *c == '"' ? '\\' : *c;
		one[1] = one[0] == *c && *c != '\\' ? '\0' : *c;
		add(p, one);
	}
	add(p, "\"");
}

/* ---- families ---- */

enum kind { GAUGE, COUNTER };

struct family {
	const char *scope; /* "job", "rank", "node" */
	char name[48];
	const char *unit; /* "": none */
	enum kind kind;
	unsigned int digits; /* of the values, after the point */
};

static void add_name(struct page *p, const struct family *f)
{
	add(p, "numarena_");
	add(p, f->scope);
	add(p, "_");
	add(p, f->name);
}

static void begin(struct page *p, const struct family *f, const char *help)
{
	add(p, "# TYPE ");
	add_name(p, f);
	add(p, f->kind == COUNTER ? " counter\n" : " gauge\n");
	if (f->unit[0]) {
		add(p, "# UNIT ");
		add_name(p, f);
		add(p, " ");
		add(p, f->unit);
		add(p, "\n");
	}
	add(p, "# HELP ");
	add_name(p, f);
	add(p, " ");
	add(p, help);
	add(p, "\n");
}

/* job and, where they are not NULL, host and stat. */
static void sample(struct page *p, const struct family *f, const struct na_job *j, const char *host, const char *stat,
		   uint64_t value)
{
	if (value == NA_UNKNOWN)
		return;
	add_name(p, f);
	add(p, f->kind == COUNTER ? "_total{job=" : "{job=");
	add_quoted(p, j->job, sizeof(j->job));
	if (host) {
		add(p, ",host=");
		add_quoted(p, host, NA_RECORD_NAME);
	}
	if (stat) {
		add(p, ",stat=");
		add_quoted(p, stat, strlen(stat) + 1);
	}
	add(p, "} ");
	if (f->digits)
		add_fraction(p, value, f->digits);
	else
		add_number(p, value);
	add(p, "\n");
}

/* Counts of what happened, all but how many thread caches there are. */
static bool only_grows(enum na_metric_id id)
{
	return id == NA_METRIC_purged_bytes ||
	       (na_metric_table[id].unit == NA_UNIT_COUNT && id != NA_METRIC_thread_caches);
}

/* "wall_ns" becomes wall_seconds, a rate becomes a ratio. */
static struct family family_of(const char *scope, enum na_metric_id id)
{
	static const char *const units[] = { "bytes", "", "seconds", "ratio" };
	const struct na_metric_info *m = &na_metric_table[id];
	struct family f = { .scope = scope, .unit = units[m->unit], .kind = only_grows(id) ? COUNTER : GAUGE };
	struct na_text t = na_text_init(f.name, sizeof(f.name));

	na_text_add(&t, m->id);
	if (m->unit == NA_UNIT_NS) {
		t.length -= strlen("_ns");
		na_text_add(&t, "_seconds");
		f.digits = 9;
	} else if (m->unit == NA_UNIT_PPM) {
		na_text_add(&t, "_ratio");
		f.digits = 6;
	}
	return f;
}

static void metric(struct page *p, const char *scope, const struct na_job *const *of, size_t count, bool hosts,
		   enum na_metric_id id)
{
	struct family f = family_of(scope, id);

	begin(p, &f, na_metric_table[id].text);
	for (size_t i = 0; i < count; i++)
		sample(p, &f, of[i], hosts ? of[i]->host : NULL, NULL, na_summary_total(of[i], id));
}

static void ranks(struct page *p, const struct na_report *r, enum na_metric_id id)
{
	const struct na_spread *m = &r->job->metrics[id];
	struct family f = family_of("rank", id);
	double median = na_sketch_quantile(&r->breakdown->distribution.sketches[id], m, 0.5);

	f.kind = GAUGE; /* which rank is the least one may change */
	begin(p, &f, na_metric_table[id].text);
	if (!m->known)
		return;
	sample(p, &f, r->job, NULL, "least", (uint64_t)m->least);
	sample(p, &f, r->job, NULL, "median", (uint64_t)(median + 0.5));
	sample(p, &f, r->job, NULL, "most", (uint64_t)m->most);
}

/* ---- what a host has beside ---- */

enum host_figure { PROCESSES, LIMIT, FREE, LIVE_PEAK, PHYSICAL_PEAK, UPDATED, HOST_FIGURES };

static uint64_t host_value(const struct na_job *h, enum host_figure what)
{
	switch (what) {
	case PROCESSES:
		return h->processes;
	case LIMIT:
		return na_job_ceiling(h);
	case FREE:
		return na_derive_headroom(h, h).free;
	case LIVE_PEAK:
		return h->series.count ? na_series_peak_live(&h->series) : NA_UNKNOWN;
	case PHYSICAL_PEAK:
		return h->series.count ? na_series_peak_physical(&h->series) : NA_UNKNOWN;
	case UPDATED:
		return h->end_ms;
	case HOST_FIGURES:
		break;
	}
	return NA_UNKNOWN;
}

static const struct {
	struct family family;
	const char *help;
} host_figures[HOST_FIGURES] = {
	[PROCESSES] = { { "node", "processes", "", GAUGE, 0 }, "processes of the job on the node" },
	[LIMIT] = { { "node", "limit_bytes", "bytes", GAUGE, 0 },
		    "memory that they may use: the smaller of the machine's and the cgroup's limit" },
	[FREE] = { { "node", "free_bytes", "bytes", GAUGE, 0 }, "of that, left when they used most" },
	[LIVE_PEAK] = { { "node", "live_together_peak_bytes", "bytes", GAUGE, 0 },
			"most that their live blocks were together" },
	[PHYSICAL_PEAK] = { { "node", "physical_together_peak_bytes", "bytes", GAUGE, 0 },
			    "most that their physical memory was together" },
	[UPDATED] = { { "node", "updated_seconds", "seconds", GAUGE, 3 }, "when these figures were taken, since 1970" },
};

static void nodes(struct page *p, const struct na_job *const *hosts, size_t count)
{
	for (unsigned int i = 0; i < HOST_FIGURES; i++) {
		begin(p, &host_figures[i].family, host_figures[i].help);
		for (size_t h = 0; h < count; h++)
			sample(p, &host_figures[i].family, hosts[h], hosts[h]->host, NULL,
			       host_value(hosts[h], (enum host_figure)i));
	}
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		metric(p, "node", hosts, count, true, (enum na_metric_id)i);
}

/* ---- the job ---- */

static void info(struct page *p, const struct na_report *r)
{
	add(p, "# TYPE numarena_job info\n# HELP numarena_job the job that the figures are of\nnumarena_job_info{job=");
	add_quoted(p, r->job->job, sizeof(r->job->job));
	add(p, ",program=");
	add_quoted(p, r->job->program, sizeof(r->job->program));
	add(p, ",status=");
	add_quoted(p, na_summary_status(r), NA_RECORD_NAME);
	add(p, "} 1\n");
}

static void job_figures(struct page *p, const struct na_report *r)
{
	const struct na_job *j = r->job;
	struct na_fragmentation g = na_derive_fragmentation(j);
	const struct {
		struct family family;
		const char *help;
		uint64_t value;
	} list[] = {
		{ { "job", "processes", "", GAUGE, 0 }, "processes in the report", j->processes },
		{ { "job", "complete_processes", "", GAUGE, 0 }, "of those, that came to their end", j->complete },
		{ { "job", "missing_processes", "", GAUGE, 0 }, "ranks of which nothing is known", r->missing_count },
		{ { "job", "nodes", "", GAUGE, 0 }, "machines that they ran on", na_summary_hosts(r) },
		{ { "job", "live_together_peak_bytes", "bytes", GAUGE, 0 },
		  "most that the live blocks of all processes were together",
		  na_derive_peak(j).live },
		{ { "job", "fragmentation_ratio", "ratio", GAUGE, 6 },
		  "1 - live / held, when each process was fullest",
		  isfinite(g.external) ? (uint64_t)(g.external * 1e6 + 0.5) : NA_UNKNOWN },
		{ { "job", "requested_memory_bytes", "bytes", GAUGE, 0 },
		  "memory that the job asked for on each host",
		  j->request_bytes },
		{ { "job", "sufficient_memory_bytes", "bytes", GAUGE, 0 },
		  "memory of each host that would have sufficed, with a tenth to spare",
		  na_derive_sufficient(r) },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		begin(p, &list[i].family, list[i].help);
		sample(p, &list[i].family, j, NULL, NULL, list[i].value);
	}
}

size_t na_openmetrics_job(const struct na_report *r, char *out, size_t capacity)
{
	const struct na_job *hosts[NA_JOB_HOSTS];
	size_t count = na_fullest_choose(r->hosts, r->host_count, hosts);
	struct page p = { out, capacity, 0 };

	info(&p, r);
	job_figures(&p, r);
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		metric(&p, "job", &r->job, 1, false, (enum na_metric_id)i);
	for (unsigned int i = 0; r->job->processes > 1 && i < NA_METRIC_COUNT_; i++)
		ranks(&p, r, (enum na_metric_id)i);
	nodes(&p, hosts, count);
	add(&p, "# EOF\n");
	return p.length;
}

size_t na_openmetrics_node(const struct na_job *host, char *out, size_t capacity)
{
	struct page p = { out, capacity, 0 };

	nodes(&p, &host, 1);
	add(&p, "# EOF\n");
	return p.length;
}
