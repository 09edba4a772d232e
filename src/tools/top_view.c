/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/top_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "report/names.h"
#include "report/units.h"

#define CURVE 74 /* where the curve begins */

static const struct {
	int begin, width;
	const char *title;
} places[NA_TOP_COLUMNS] = { { 0, 6, "RANK" },	    { 24, 9, "LIVE" },	     { 33, 9, "PEAK" },
			     { 42, 9, "PHYSICAL" }, { 51, 10, "MISPLACED" }, { 61, 9, "ALLOC/S" } };

void na_top_column_place(enum na_top_column c, int *begin, int *width)
{
	*begin = places[c].begin;
	*width = places[c].width;
}

/* ASCII until now: bytes are columns. */
static void cut(struct na_top_line *out, int width)
{
	if (width >= 0 && width < NA_TOP_WIDTH)
		out->text[width] = '\0';
}

static void figure(char out[24], uint64_t v, enum na_unit unit)
{
	if (v == NA_UNKNOWN)
		snprintf(out, 24, "-");
	else
		na_units_print(out, 24, v, unit);
}

static void rate(char out[24], double v)
{
	if (isnan(v))
		snprintf(out, 24, "-");
	else
		na_units_print(out, 24, (uint64_t)llround(v), NA_UNIT_COUNT);
}

/* One of eight heights. */
static size_t put_bar(char *out, unsigned int eighths, bool utf8)
{
	static const char ascii[] = "_.-:=+*#";

	if (!utf8) {
		out[0] = ascii[eighths];
		return 1;
	}
	out[0] = '\xe2'; /* U+2581 and after */
	out[1] = '\x96';
	out[2] = (char)(0x81 + eighths);
	return 3;
}

/* From zero to the most that there was; at most `width` characters, the newest. */
static void put_curve(char *out, const struct na_top_row *r, int width, bool utf8)
{
	uint32_t from = r->bins > (uint32_t)width ? r->bins - (uint32_t)width : 0;
	uint64_t most = 1;

	for (uint32_t i = 0; i < r->bins; i++)
		if (r->history[i] != NA_UNKNOWN && r->history[i] > most)
			most = r->history[i];
	for (uint32_t i = from; i < r->bins; i++) {
		if (r->history[i] == NA_UNKNOWN)
			*out++ = ' ';
		else
			out += put_bar(out, (unsigned int)((double)r->history[i] * 7 / (double)most + 0.5), utf8);
	}
	*out = '\0';
}

void na_top_row_line(const struct na_top_row *r, int width, bool utf8, struct na_top_line *out)
{
	char live[24], peak[24], physical[24], misplaced[24], allocations[24], who[12], what[64];
	int phase = width >= CURVE + 60 ? 24 : width >= CURVE + 30 ? 14 : 0, n;

	if (r->row.rank >= 0)
		snprintf(who, sizeof(who), "%d", (int)r->row.rank);
	else
		snprintf(who, sizeof(who), "-");
	figure(live, r->row.value[NA_METRIC_live_bytes], NA_UNIT_BYTES);
	figure(peak, r->row.value[NA_METRIC_peak_bytes], NA_UNIT_BYTES);
	figure(physical, r->row.value[NA_METRIC_physical_bytes], NA_UNIT_BYTES);
	figure(misplaced, r->row.value[NA_METRIC_misplaced_bytes], NA_UNIT_BYTES);
	rate(allocations, r->rate);
	na_name_ascii(what, r->row.phase[0] ? r->row.phase : r->row.program, sizeof(what));
	n = snprintf(out->text, sizeof(out->text), "%6s%8d %-8.8s%9s %8s %8s %9s %8s    ", who, (int)r->row.pid,
		     na_record_state_name(r->row.state), live, peak, physical, misplaced, allocations);
	if (phase)
		n += snprintf(out->text + n, sizeof(out->text) - (size_t)n, "%-*.*s ", phase, phase, what);
	if (width <= n)
		cut(out, width);
	else
		put_curve(out->text + n, r, width - n < NA_TOP_HISTORY ? width - n : NA_TOP_HISTORY, utf8);
}

static void put_title(const struct na_top *t, struct na_top_line *out)
{
	char now[16] = "", program[40] = "", jobs[80];
	time_t seconds = time(NULL);
	struct tm local;

	if (localtime_r(&seconds, &local))
		strftime(now, sizeof(now), "%H:%M:%S", &local);
	if (t->count)
		na_name_ascii(program, t->rows[0].row.program, sizeof(program));
	if (t->jobs == 1)
		snprintf(jobs, sizeof(jobs), "job %.30s, %s", t->rows[0].job, program);
	else
		snprintf(jobs, sizeof(jobs), "%zu jobs", t->jobs);
	snprintf(out->text, sizeof(out->text), "numarena-top  %s  %s  %s: %zu running, %zu ended%s%s", t->host, now,
		 jobs, t->running, t->ended, t->flawed ? ", damaged: " : "", t->flaw);
}

static void put_sums(const struct na_top *t, struct na_top_line *out)
{
	char live[24], peak[24], physical[24], misplaced[24], allocations[24];

	figure(live, t->live, NA_UNIT_BYTES);
	figure(peak, t->peak, NA_UNIT_BYTES);
	figure(physical, t->physical, NA_UNIT_BYTES);
	figure(misplaced, t->misplaced, NA_UNIT_BYTES);
	rate(allocations, t->rate);
	snprintf(out->text, sizeof(out->text),
		 "this node     live %s   sum of peaks %s   physical %s   misplaced %s   allocations %s/s", live, peak,
		 physical, misplaced, allocations);
}

/* "headroom      42.0 GiB of 56.0 GiB (cgroup)  [####----]". */
static void put_headroom(const struct na_top *t, int width, struct na_top_line *out)
{
	char room[24], limit[24];
	int n, bar;

	figure(room, t->room, NA_UNIT_BYTES);
	figure(limit, t->limit, NA_UNIT_BYTES);
	n = snprintf(out->text, sizeof(out->text), "headroom      %s of %s%s  ", room, limit,
		     t->limit == NA_UNKNOWN ? ""
		     : t->limit_is_group    ? " (cgroup)"
					    : " (physical)");
	bar = width - n - 2 < 40 ? width - n - 2 : 40;
	if (bar < 8 || t->room == NA_UNKNOWN || t->limit == 0)
		return;
	out->text[n++] = '[';
	for (int i = 0; i < bar; i++)
		out->text[n++] = (double)i < (double)bar * (1 - (double)t->room / (double)t->limit) ? '#' : '-';
	out->text[n++] = ']';
	out->text[n] = '\0';
}

static void put_columns(enum na_top_column by, int width, struct na_top_line *out)
{
	int phase = width >= CURVE + 60 ? 25 : width >= CURVE + 30 ? 15 : 0;

	memset(out->text, ' ', CURVE);
	out->text[CURVE] = '\0';
	memcpy(out->text + 11, "PID", 3);
	memcpy(out->text + 15, "STATE", 5);
	for (int c = 0; c < NA_TOP_COLUMNS; c++) {
		size_t n = strlen(places[c].title);
		char *end = out->text + places[c].begin + places[c].width;

		memcpy(end - n, places[c].title, n);
		if (c == (int)by)
			end[-(int)n - 1 < -places[c].width ? -(int)n : -(int)n - 1] = '>';
	}
	if (phase)
		memcpy(out->text + CURVE, "PHASE, OR PROGRAM         ", (size_t)phase + 1);
	out->text[CURVE + phase] = '\0';
	if (phase == 15)
		memcpy(out->text + CURVE, "PHASE          ", 15);
	if (width > CURVE + phase)
		snprintf(out->text + CURVE + phase, sizeof(out->text) - (size_t)(CURVE + phase), "LIVE OVER TIME");
}

void na_top_head(const struct na_top *t, int line, enum na_top_column by, int width, bool utf8, struct na_top_line *out)
{
	switch (line) {
	case 0:
		put_title(t, out);
		break;
	case 1:
		put_sums(t, out);
		break;
	case 2:
		put_headroom(t, width, out);
		break;
	default:
		put_columns(by, width, out);
	}
	cut(out, width);
}
