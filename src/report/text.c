/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The long form of the text (numarena-report show --full): every table and all that the short form
 * has, each with a share of the lines, 100 lines and 100 columns at most, plain ASCII.
 * What does not fit is in report.json, and the text says so. The short form, report.txt, is text_short.c.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/names.h"
#include "report/report.h"
#include "report/summary.h"
#include "report/text_parts.h"
#include "report/units.h"

#define NUMA_ROWS  4
#define HOST_ROWS  4
#define RANK_ROWS  4
#define NOTE_ROWS  2
#define INCOMPLETE 6
#define OUTLIERS   8
#define SITES	   5
#define FINDINGS   5

static void put_value(FILE *f, uint64_t v, enum na_unit unit)
{
	fprintf(f, " %11s", na_word(v, unit).text);
}

void na_text_head(FILE *f, const struct na_report *r)
{
	const struct na_job *j = r->job;
	char start[32], took[24];

	na_units_date(start, sizeof(start), j->start_ms);
	na_units_print(took, sizeof(took), j->metrics[NA_METRIC_wall_ns].most, NA_UNIT_NS);
	fprintf(f, "--- numarena memory report %s", &NA_TEXT_RULE[strlen("--- numarena memory report ")]);
	fprintf(f, "  job        %s: %.40s", j->job, j->program);
	if (r->mpi || (j->size > 1 && j->first < UINT64_C(1) << 32))
		fprintf(f, ", %llu of %d ranks on %llu host%s\n", (unsigned long long)j->processes, j->size,
			(unsigned long long)na_summary_hosts(r), na_summary_hosts(r) == 1 ? "" : "s");
	else
		fprintf(f, ", %llu process%s on %.30s\n", (unsigned long long)j->processes,
			j->processes == 1 ? "" : "es", j->host);
	fprintf(f, "  status     %s%s, %s from %s\n", na_summary_status(r), r->post_mortem ? " (from the records)" : "",
		took, start);
}

struct line {
	const char *label;
	enum na_metric_id id;
};

static const struct line lines[] = {
	{ "live blocks, peak", NA_METRIC_peak_bytes },
	{ "live blocks, at the end", NA_METRIC_live_bytes },
	{ "physical, peak", NA_METRIC_peak_physical_bytes },
	{ "physical, at the end", NA_METRIC_physical_bytes },
	{ "pools hold, at the end", NA_METRIC_held_bytes },
	{ "  of that kept for reuse", NA_METRIC_reclaimable_bytes },
	{ "allocations", NA_METRIC_allocations },
	{ "thread-cache hit rate", NA_METRIC_thread_cache_hit_rate },
	{ "large blocks reused", NA_METRIC_large_reuse_rate },
};

/* Whoever is named at a line's end has room for 20 columns. */
void na_text_table_head(FILE *f, const char *middle)
{
	fprintf(f, "%-25s %11s %9s %9s %9s %9s  %s\n", "", "job", "least", middle, "most", "imbalance", "most on");
}

void na_text_table_line(FILE *f, const struct na_report *r, const char *label, enum na_metric_id id, double middle)
{
	const struct na_spread *m = &r->job->metrics[id];
	enum na_unit unit = na_metric_table[id].unit;
	char who[NA_RECORD_NAME + 24];

	fprintf(f, "  %-23s", label);
	put_value(f, na_summary_total(r->job, id), unit);
	if (r->job->processes > 1 && m->known)
		fprintf(f, " %9s %9s %9s %7.1f %%  %.30s", na_word((uint64_t)m->least, unit).text,
			na_word((uint64_t)(middle + 0.5), unit).text, na_word((uint64_t)m->most, unit).text,
			na_metric_imbalance(m) * 100, na_name_where(who, sizeof(who), &m->most_at));
	fputc('\n', f);
}

static void put_table(FILE *f, const struct na_report *r)
{
	if (r->job->processes > 1)
		na_text_table_head(f, "mean");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		na_text_table_line(f, r, lines[i].label, lines[i].id, na_spread_mean(&r->job->metrics[lines[i].id]));
}

static void put_peaks(FILE *f, const struct na_report *r)
{
	const struct na_job *j = r->job;

	na_text_peak(f, r);
	if (j->processes > 1)
		fprintf(f, "    sum of the peaks      live %s, physical %s\n",
			na_word(na_job_sum(j, NA_METRIC_peak_bytes), NA_UNIT_BYTES).text,
			na_word(na_job_sum(j, NA_METRIC_peak_physical_bytes), NA_UNIT_BYTES).text);
}

static void put_numa(FILE *f, const struct na_job *j)
{
	fprintf(f,
		"  NUMA node   when fullest: requested    resident   misplaced | at the end:  resident   misplaced\n");
	for (uint32_t i = 0; i < j->node_count && i < NUMA_ROWS; i++) {
		const struct na_numa *n = &j->nodes[i];

		fprintf(f, "  %9d               ", n->node);
		put_value(f, n->peak_requested_bytes, NA_UNIT_BYTES);
		put_value(f, n->peak_resident_bytes, NA_UNIT_BYTES);
		put_value(f, n->peak_misplaced_bytes, NA_UNIT_BYTES);
		fprintf(f, " |           ");
		put_value(f, n->resident_bytes, NA_UNIT_BYTES);
		put_value(f, n->misplaced_bytes, NA_UNIT_BYTES);
		fputc('\n', f);
	}
	if (j->node_count > NUMA_ROWS)
		fprintf(f, "  and %u more nodes: see report.json\n", j->node_count - NUMA_ROWS);
}

static int compare_hosts(const void *a, const void *b)
{
	const struct na_job *x = *(const struct na_job *const *)a, *y = *(const struct na_job *const *)b;
	uint64_t px = x->metrics[NA_METRIC_peak_physical_bytes].sum, py = y->metrics[NA_METRIC_peak_physical_bytes].sum;

	if (px != py)
		return px < py ? 1 : -1;
	return strncmp(x->host, y->host, sizeof(x->host));
}

static bool any_phase(const struct na_report *r)
{
	for (size_t i = 0; i < r->host_count; i++)
		if (r->hosts[i].peak_phase[0])
			return true;
	return false;
}

static void put_hosts(FILE *f, const struct na_report *r)
{
	const struct na_job **sorted;

	if (r->host_count < 2)
		return;
	sorted = malloc(r->host_count * sizeof(*sorted));
	if (!sorted)
		return;
	for (size_t i = 0; i < r->host_count; i++)
		sorted[i] = &r->hosts[i];
	qsort(sorted, r->host_count, sizeof(*sorted), compare_hosts);
	fprintf(f, "  %-28s %6s %11s %11s %11s %11s%s\n", "hosts, fullest first", "ranks", "live peak", "phys. peak",
		"memory", "limit", any_phase(r) ? "  peak in" : "");
	for (size_t i = 0; i < r->host_count && i < HOST_ROWS; i++) {
		const struct na_job *h = sorted[i];
		char phase[NA_PHASE_NAME];

		fprintf(f, "  %-28.28s %6llu", h->host, (unsigned long long)h->processes);
		put_value(f, na_series_peak_live(&h->series), NA_UNIT_BYTES);
		put_value(f, na_series_peak_physical(&h->series), NA_UNIT_BYTES);
		put_value(f, h->host_memory ? h->host_memory : NA_UNKNOWN, NA_UNIT_BYTES);
		if (h->cgroup_limit == NA_UNKNOWN)
			fprintf(f, " %11s", "none");
		else
			put_value(f, h->cgroup_limit, NA_UNIT_BYTES);
		na_name_ascii(phase, h->peak_phase, sizeof(phase));
		fprintf(f, "%s%.12s\n", phase[0] ? "  " : "", phase);
	}
	if (r->host_count > HOST_ROWS)
		fprintf(f, "  and %llu more hosts: see report.json\n",
			(unsigned long long)na_summary_hosts(r) - HOST_ROWS);
	free(sorted);
}

static int compare_rows(const struct na_row *x, const struct na_row *y)
{
	uint64_t px = x->value[NA_METRIC_peak_bytes], py = y->value[NA_METRIC_peak_bytes];

	if (px != py)
		return px < py ? 1 : -1;
	if (x->rank != y->rank)
		return (uint32_t)x->rank < (uint32_t)y->rank ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static void put_row(FILE *f, const struct na_row *row)
{
	char name[160];

	if (row->rank >= 0)
		snprintf(name, sizeof(name), "%d on %.20s", row->rank, row->host);
	else
		snprintf(name, sizeof(name), "%d %.20s", row->pid, row->program);
	fprintf(f, "  %-28.28s", name);
	put_value(f, row->value[NA_METRIC_peak_bytes], NA_UNIT_BYTES);
	put_value(f, row->value[NA_METRIC_peak_physical_bytes], NA_UNIT_BYTES);
	put_value(f, row->value[NA_METRIC_allocations], NA_UNIT_COUNT);
	put_value(f, row->value[NA_METRIC_thread_cache_hit_rate], NA_UNIT_PPM);
	fprintf(f, "  %s\n", na_record_state_name(row->state));
}

/* The first `most` of all rows, in order; how many. */
static size_t first_rows(const struct na_rows *rows, struct na_row *out, size_t most,
			 int (*compare)(const struct na_row *x, const struct na_row *y))
{
	struct na_row row;
	size_t n = 0, at = 0, place;

	while (na_rows_next(rows, &at, &row) > 0) {
		for (place = n; place > 0 && compare(&row, &out[place - 1]) < 0; place--)
			;
		if (place == most)
			continue;
		n += n < most;
		memmove(&out[place + 1], &out[place], (n - 1 - place) * sizeof(*out));
		out[place] = row;
	}
	return n;
}

static void put_rows(FILE *f, const struct na_report *r)
{
	struct na_row shown[RANK_ROWS];
	size_t n = first_rows(&r->rows, shown, RANK_ROWS, compare_rows);

	if (n < 2)
		return;
	fprintf(f, "  %-28s %11s %11s %11s %11s  %s\n",
		shown[0].rank >= 0 ? "ranks, largest first" : "processes, largest first", "live peak", "phys. peak",
		"allocations", "cache hits", "state");
	for (size_t i = 0; i < n; i++)
		put_row(f, &shown[i]);
	if (r->rows.count > n)
		fprintf(f, "  and %zu more: see report.json\n", r->rows.count - n);
}

void na_text_cost(FILE *f, const struct na_report *r)
{
	static const struct line parts[] = { { "maintenance", NA_METRIC_maintenance_ns },
					     { "measuring", NA_METRIC_finalize_ns },
					     { "topology", NA_METRIC_topology_ns } };
	char text[24];
	double fraction = na_summary_own_fraction(r->job);
	int printed = 0;

	na_units_print(text, sizeof(text), na_job_sum(r->job, NA_METRIC_metadata_bytes), NA_UNIT_BYTES);
	if (fraction >= 0)
		fprintf(f, "  numarena's own cost     %.3f %% of the time, metadata %s", fraction * 100, text);
	else
		fprintf(f, "  numarena's own cost     share of the time unavailable, metadata %s", text);
	if (r->reduce_ns != NA_UNKNOWN)
		fprintf(f, ", reduction %s", na_word(r->reduce_ns, NA_UNIT_NS).text);
	fputc('\n', f);
	fprintf(f, "    %-21s", r->job->processes > 1 ? "on the slowest:" : "");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const struct na_spread *m = &r->job->metrics[parts[i].id];

		if (!m->known || !m->most) /* a rank that was killed has not measured for the last time */
			continue;
		na_units_print(text, sizeof(text), m->most, NA_UNIT_NS);
		fprintf(f, "%s %s %s", printed++ ? "," : "", parts[i].label, text);
	}
	fputs(printed ? "\n" : " unavailable\n", f);
}

/* Incomplete ones first, by the time of their last figures. */
static int compare_ends(const struct na_row *x, const struct na_row *y)
{
	int a = na_record_is_whole(x->state, x->role), b = na_record_is_whole(y->state, y->role);

	if (a != b)
		return a - b;
	return x->update_ms < y->update_ms ? -1 : x->update_ms > y->update_ms;
}

/* "  incomplete  rank 3 lost 12:33:01 in assemble, rank 4 ...": whoever fell silent first comes first, for that is mostly the
 * one that the others died of. */
void na_text_incomplete(FILE *f, const struct na_report *r)
{
	struct na_row shown[INCOMPLETE], row;
	size_t n = first_rows(&r->rows, shown, INCOMPLETE, compare_ends), at = 0, total = 0, in_phase = 0;

	while (na_rows_next(&r->rows, &at, &row) > 0) {
		int incomplete = !na_record_is_whole(row.state, row.role);

		total += (size_t)incomplete;
		in_phase += incomplete && row.phase[0];
	}
	for (size_t i = 0; i < n && i < total; i++) {
		char when[32], phase[NA_PHASE_NAME];

		na_units_date(when, sizeof(when), shown[i].update_ms);
		fputs(i == 0		       ? "  incomplete              "
		      : i % (in_phase ? 2 : 3) ? ", "
					       : ",\n                          ",
		      f);
		fprintf(f, "%s %d %s %.8s", shown[i].rank >= 0 ? "rank" : "pid",
			shown[i].rank >= 0 ? shown[i].rank : shown[i].pid, na_record_state_name(shown[i].state),
			when + 11);
		na_name_ascii(phase, shown[i].phase, sizeof(phase));
		if (phase[0])
			fprintf(f, " in %.10s%s", phase, strlen(phase) > 10 ? "..." : "");
	}
	if (total > n)
		fprintf(f, ", %zu more", total - n);
	if (total)
		fputc('\n', f);
}

void na_text_missing(FILE *f, const struct na_report *r)
{
	size_t shown = r->missing_listed < 8 ? r->missing_listed : 8;

	if (r->missing_count == 0)
		return;
	fprintf(f, "  no record of            rank%s", r->missing_count == 1 ? "" : "s");
	for (size_t i = 0; i < shown; i++)
		fprintf(f, "%s %d", i ? "," : "", r->missing[i]);
	if (r->missing_count > shown)
		fprintf(f, " and %zu more", r->missing_count - shown);
	fputc('\n', f);
}

void na_text_notes(FILE *f, const struct na_report *r)
{
	for (size_t i = 0; i < r->note_count && i < NOTE_ROWS; i++) {
		const char *note = r->notes[i];
		size_t length = strlen(note);

		/* A long one begins with a path: its end says more. */
		fprintf(f, "  note: %s%s\n", length > 88 ? "..." : "", length > 88 ? note + length - 85 : note);
	}
	if (r->note_count > NOTE_ROWS)
		fprintf(f, "  and %zu more notes: see report.json\n", r->note_count - NOTE_ROWS);
}

char *na_report_text_full(const struct na_report *report)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	na_text_head(f, report);
	put_table(f, report);
	put_peaks(f, report);
	na_text_course(f, report);
	na_text_headroom(f, report);
	na_text_request(f, report);
	put_numa(f, report->job);
	na_text_rates(f, report);
	na_text_breakdown(f, report);
	na_text_outliers(f, report, OUTLIERS);
	na_text_sites(f, report, SITES);
	put_hosts(f, report);
	put_rows(f, report);
	na_text_cost(f, report);
	na_text_findings(f, report, FINDINGS);
	na_text_oom(f, report);
	na_text_incomplete(f, report);
	na_text_missing(f, report);
	na_text_notes(f, report);
	fputs(NA_TEXT_RULE, f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return na_text_folded(text);
}
