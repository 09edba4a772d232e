/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.txt: what fits a batch log however many ranks there are: 40 lines and 100 columns at most, plain ASCII. Sections come in a fixed order; of
 * one that does not fit into the 40 lines those go first that say least of what went wrong, and the text says how to get them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/derive.h"
#include "report/names.h"
#include "report/report.h"
#include "report/summary.h"
#include "report/text_parts.h"
#include "report/units.h"

#define LINES	 40
#define COURSE	 64 /* columns of the picture of live bytes over time */
#define OUTLIERS 3
#define SITES	 2
#define PHASES	 3
#define FINDINGS 3
#define NODES	 4

static struct na_word bytes(uint64_t v)
{
	return na_word(v, NA_UNIT_BYTES);
}

/* NaN: unavailable. */
static struct na_word amount(double v, enum na_unit unit)
{
	return na_word(isfinite(v) && v >= 0 ? (uint64_t)(v + 0.5) : NA_UNKNOWN, unit);
}

/* ---- the table ---- */

struct line {
	const char *label;
	enum na_metric_id id;
};

static const struct line lines[] = {
	{ "live blocks, peak", NA_METRIC_peak_bytes },
	{ "physical, peak", NA_METRIC_peak_physical_bytes },
	{ "live blocks, at the end", NA_METRIC_live_bytes },
	{ "allocations", NA_METRIC_allocations },
	{ "thread-cache hit rate", NA_METRIC_thread_cache_hit_rate },
};

static void put_table(FILE *f, const struct na_report *r)
{
	if (r->job->processes > 1)
		na_text_table_head(f, "median");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		na_text_table_line(f, r, lines[i].label, lines[i].id,
				   na_sketch_quantile(&r->breakdown->distribution.sketches[lines[i].id],
						      &r->job->metrics[lines[i].id], 0.5));
}

/* ---- over time ---- */

void na_text_peak(FILE *f, const struct na_report *r)
{
	struct na_peak p = na_derive_peak(r->job);
	const char *phase = na_derive_phase(r->breakdown, p.bin);
	char when[32], name[NA_PHASE_NAME];

	if (p.live == NA_UNKNOWN)
		return;
	na_units_date(when, sizeof(when), p.moment_ms);
	fprintf(f, "  %-23s live %s at %.8s", r->job->processes > 1 ? "peak of the sums" : "fullest",
		bytes(p.live).text, when + 11);
	if (phase) {
		na_name_ascii(name, phase, sizeof(name));
		fprintf(f, " in \"%.20s\"", name);
	}
	fprintf(f, ", physical %s, in bins of %s\n", bytes(na_series_peak_physical(&r->job->series)).text,
		na_word((UINT64_C(1) << r->job->series.shift) * 1000000, NA_UNIT_NS).text);
}

/* Each column is the highest of its part of the time, in tenths of the peak. */
void na_text_course(FILE *f, const struct na_report *r)
{
	static const char shades[] = " .:-=+*#%@";
	const struct na_series *s = &r->job->series;
	uint32_t columns = s->count < COURSE ? s->count : COURSE;
	uint64_t peak = na_series_peak_live(s);

	if (s->count < 8 || !peak)
		return;
	fprintf(f, "  live over time          |");
	for (uint32_t c = 0; c < columns; c++) {
		uint64_t most = 0;

		for (uint32_t i = c * s->count / columns; i < (c + 1) * s->count / columns; i++)
			most = s->value[NA_SERIES_LIVE][i] > most ? s->value[NA_SERIES_LIVE][i] : most;
		fputc(shades[(unsigned int)((double)most / (double)peak * 9 + 0.5)], f);
	}
	fprintf(f, "|\n");
}

/* ---- hosts and NUMA nodes ---- */

static const struct na_job *fullest_host(const struct na_report *r)
{
	const struct na_where *at = &r->job->hosts.free.least_at;

	for (size_t i = 0; i < r->host_count; i++)
		if (strncmp(r->hosts[i].host, at->host, sizeof(at->host)) == 0)
			return &r->hosts[i];
	return NULL;
}

void na_text_headroom(FILE *f, const struct na_report *r)
{
	const struct na_job *host = r->job->hosts.free.known ? fullest_host(r) : NULL;
	struct na_headroom h;

	if (!host)
		return;
	h = na_derive_headroom(host, r->job);
	fprintf(f, "  least room              %.24s: %s of %s free (%s)", host->host, bytes(h.free).text,
		bytes(h.limit).text, h.cgroup ? "cgroup" : "machine");
	if (h.more_ranks != NA_UNKNOWN)
		fprintf(f, ", for %llu more %s", (unsigned long long)h.more_ranks, r->mpi ? "ranks" : "processes");
	fputc('\n', f);
}

void na_text_request(FILE *f, const struct na_report *r)
{
	uint64_t sufficient = na_derive_sufficient(r);
	char directive[40];

	if (r->job->request_bytes == NA_UNKNOWN)
		return;
	fprintf(f, "  memory request          %s a host (%s)", bytes(r->job->request_bytes).text,
		na_derive_source(r->job->request_source));
	na_derive_directive(directive, sizeof(directive), sufficient);
	if (directive[0])
		fprintf(f, "; %s would have %s", directive,
			sufficient <= r->job->request_bytes ? "sufficed" : "had a tenth to spare");
	fputc('\n', f);
}

static void put_numa(FILE *f, const struct na_report *r)
{
	const struct na_job *j = r->job;

	if (j->node_count < 2 && na_job_sum(j, NA_METRIC_peak_misplaced_bytes) == 0)
		return;
	fprintf(f, "  NUMA, when fullest     ");
	for (uint32_t i = 0; i < j->node_count && i < NODES; i++)
		fprintf(f, "%s node %d: %s, %s elsewhere",
			i == 0	? ""
			: i % 2 ? ";"
				: "\n                         ",
			j->nodes[i].node, bytes(j->nodes[i].peak_resident_bytes).text,
			bytes(j->nodes[i].peak_misplaced_bytes).text);
	if (j->node_count > NODES)
		fprintf(f, "; %u more", j->node_count - NODES);
	fputc('\n', f);
}

/* ---- fragmentation, rates, call sites ---- */

void na_text_rates(FILE *f, const struct na_report *r)
{
	struct na_fragmentation g = na_derive_fragmentation(r->job);
	struct na_rates rates = na_derive_rates(r->job, r->breakdown);

	fprintf(f, "  when fullest            ");
	if (isfinite(g.external))
		fprintf(f, "%s held for %s live: fragmentation %.1f %%", bytes(g.held).text, bytes(g.live).text,
			g.external * 100);
	else
		fprintf(f, "fragmentation unavailable");
	if (isfinite(g.internal))
		fprintf(f, ", within blocks %.1f %%", g.internal * 100);
	fprintf(f, "\n  allocation rate         %s/s, %s/s", amount(rates.allocations_per_s, NA_UNIT_COUNT).text,
		amount(rates.bytes_per_s, NA_UNIT_BYTES).text);
	if (isfinite(rates.time_fraction))
		fprintf(f, ", %.2f %% of the time", rates.time_fraction * 100);
	fputc('\n', f);
}

static void put_site(FILE *f, const struct na_report *r, const struct na_site_sum *s)
{
	char line[101], name[2 * NA_SITE_TEXT] = "";
	int n = 0;

	for (const char *frame = s->frames, *end; *frame && n < NA_SITE_TEXT; frame = *end ? end + 1 : end) {
		char clean[NA_SITE_TEXT];

		end = frame + strcspn(frame, "\n");
		na_name_ascii(clean, frame, (size_t)(end - frame) + 1);
		n += snprintf(name + n, sizeof(name) - (size_t)n, "%s%s", n ? " < " : "", clean);
	}
	n = snprintf(line, sizeof(line), "  call site               %s (%.0f %%) on %llu: %s", bytes(s->bytes).text,
		     r->breakdown->sites_bytes ? (double)s->bytes / (double)r->breakdown->sites_bytes * 100 : 0,
		     (unsigned long long)s->processes, name);
	if (n >= (int)sizeof(line))
		memcpy(line + sizeof(line) - 4, "...", 4);
	fprintf(f, "%s\n", line);
}

void na_text_sites(FILE *f, const struct na_report *r, uint32_t most)
{
	const struct na_site_sum *sorted[NA_JOB_SITES];
	const struct na_job_breakdown *b = r->breakdown;

	na_derive_sites(b, sorted);
	for (uint32_t i = 0; i < b->site_count && i < most; i++)
		put_site(f, r, sorted[i]);
}

/* ---- outliers ---- */

void na_text_outliers(FILE *f, const struct na_report *r, uint32_t most)
{
	struct na_outlier found[NA_OUTLIERS_MOST];
	uint32_t n = na_distribution_outliers(&r->breakdown->distribution, r->job->metrics, found);
	char who[NA_RECORD_NAME + 24];

	for (uint32_t i = 0; i < n && i < most; i++) {
		enum na_unit unit = na_metric_table[found[i].metric].unit;

		fprintf(f, "  %-23s %.30s: %s %s, median %s", found[i].straggler ? "straggler" : "outlier",
			na_name_where(who, sizeof(who), &found[i].extreme.at), na_metric_table[found[i].metric].id,
			na_word((uint64_t)found[i].extreme.value, unit).text, amount(found[i].median, unit).text);
		if (i + 1 == most && n > most)
			fprintf(f, "; %u more", n - most);
		fputc('\n', f);
	}
}

static void put_latency(FILE *f, const struct na_report *r)
{
	if (r->breakdown->latency.samples)
		na_text_latency(f, r);
	else
		fprintf(f,
			"  latency, call sites     unavailable: no allocation was sampled (NUMARENA_SAMPLE_BYTES)\n");
}

static void put_phases(FILE *f, const struct na_report *r)
{
	na_text_phases(f, r, PHASES);
}

static void put_outliers(FILE *f, const struct na_report *r)
{
	na_text_outliers(f, r, OUTLIERS);
}

static void put_sites(FILE *f, const struct na_report *r)
{
	na_text_sites(f, r, SITES);
}

static void put_findings(FILE *f, const struct na_report *r)
{
	na_text_findings(f, r, FINDINGS);
}

/* ---- the whole ---- */

/* In the order of the text; `last` 0 goes never, else the highest goes first. */
static const struct section {
	void (*put)(FILE *f, const struct na_report *r);
	int last;
} sections[] = {
	{ na_text_head, 0 },	 { put_table, 0 },	 { na_text_peak, 0 }, { na_text_course, 4 },
	{ na_text_headroom, 1 }, { na_text_request, 2 }, { put_numa, 5 },     { na_text_rates, 7 },
	{ put_phases, 6 },	 { put_outliers, 3 },	 { put_sites, 8 },    { put_latency, 9 },
	{ na_text_cost, 10 },	 { put_findings, 0 },	 { na_text_oom, 0 },  { na_text_incomplete, 0 },
	{ na_text_missing, 0 },	 { na_text_notes, 0 },
};

#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

static char *print(const struct section *s, const struct na_report *r)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	s->put(f, r);
	if (fclose(f) == 0)
		return na_text_folded(text);
	free(text);
	return NULL;
}

static int count_lines(const char *text)
{
	int n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

/* Empties sections until the rest fits with two lines to spare; true if any. */
static bool make_room(char *texts[SECTIONS])
{
	bool cut = false;
	int all = 0;

	for (size_t i = 0; i < SECTIONS; i++)
		all += count_lines(texts[i]);
	while (all > LINES - 2) {
		size_t worst = 0;

		for (size_t i = 1; i < SECTIONS; i++)
			if (texts[i][0] && sections[i].last > sections[worst].last)
				worst = i;
		if (!sections[worst].last || !texts[worst][0])
			break;
		all -= count_lines(texts[worst]);
		texts[worst][0] = '\0';
		cut = true;
	}
	return cut;
}

char *na_report_text(const struct na_report *report)
{
	char *texts[SECTIONS], *whole = NULL;
	bool all = true, cut;

	for (size_t i = 0; i < SECTIONS; i++)
		all &= (texts[i] = print(&sections[i], report)) != NULL;
	if (all) {
		size_t size;
		FILE *f;

		cut = make_room(texts);
		f = open_memstream(&whole, &size);
		for (size_t i = 0; f && i < SECTIONS; i++)
			fputs(texts[i], f);
		if (f && cut)
			fputs("  (more: numarena-report show --full)\n", f);
		if (f)
			fputs(NA_TEXT_RULE, f);
		if (f && fclose(f) != 0) {
			free(whole);
			whole = NULL;
		}
	}
	for (size_t i = 0; i < SECTIONS; i++)
		free(texts[i]);
	return whole;
}
