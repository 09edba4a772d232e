/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/text_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/judge.h"
#include "report/names.h"
#include "report/units.h"

#define PHASE_ROWS 8
#define CLASS_ROWS 3
#define POOLS	   3
#define OOM_NAMES  3
#define COLUMNS	   100

static struct na_word bytes(int64_t v)
{
	return na_word((uint64_t)v, NA_UNIT_BYTES);
}

static struct na_word count(uint64_t v)
{
	return na_word(v, NA_UNIT_COUNT);
}

/* NaN: unavailable. */
static struct na_word duration(double ns)
{
	return na_word(isfinite(ns) ? (uint64_t)(ns + 0.5) : NA_UNKNOWN, NA_UNIT_NS);
}

/* "+1.20 MiB", "-1.20 MiB", "0 B". */
static struct na_word change(int64_t v)
{
	struct na_word w;

	if (v == 0)
		return bytes(0);
	w.text[0] = v < 0 ? '-' : '+';
	na_units_print(w.text + 1, sizeof(w.text) - 1, v < 0 ? -(uint64_t)v : (uint64_t)v, NA_UNIT_BYTES);
	return w;
}

static int who(const struct na_where *w)
{
	return w->rank >= 0 ? w->rank : w->pid;
}

static const char *kind(const struct na_where *w)
{
	return w->rank >= 0 ? "rank" : "pid";
}

/* ---- phases ---- */

static int by_peak(const void *a, const void *b)
{
	const struct na_phase_sum *x = *(const struct na_phase_sum *const *)a;
	const struct na_phase_sum *y = *(const struct na_phase_sum *const *)b;

	if (x->peak.most != y->peak.most)
		return x->peak.most < y->peak.most ? 1 : -1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void put_phase(FILE *f, const struct na_phase_sum *p, int several)
{
	char name[NA_PHASE_NAME];

	na_name_ascii(name, p->name, sizeof(name));
	if (!several) {
		fprintf(f, "  %-22.22s %9s %11s %13s %11s %11s %11s%s\n", name, count(p->entered).text,
			duration((double)p->ns.sum).text, count(p->allocations).text,
			bytes((int64_t)p->allocated_bytes).text, bytes(p->peak.most).text, change(p->left.sum).text,
			p->running ? " running" : "");
		return;
	}
	fprintf(f, "  %-16.16s %6llu %7s %9s %9s %7d %9s %7d %10s %7d%s\n", name, (unsigned long long)p->ns.known,
		count(p->entered).text, duration(na_spread_mean(&p->ns)).text, duration((double)p->ns.most).text,
		who(&p->ns.most_at), bytes(p->peak.most).text, who(&p->peak.most_at), change(p->left.most).text,
		who(&p->left.most_at), p->running ? " *" : "");
}

void na_text_phases(FILE *f, const struct na_report *r, uint32_t most)
{
	const struct na_job_breakdown *b = r->breakdown;
	const struct na_phase_sum *sorted[NA_BREAKDOWN_PHASES];
	int several = r->job->processes > 1;
	const char *by = r->mpi ? "rank" : "pid";

	if (b->phase_count == 0)
		return;
	for (uint32_t i = 0; i < b->phase_count; i++)
		sorted[i] = &b->phases[i];
	qsort(sorted, b->phase_count, sizeof(*sorted), by_peak);
	if (several)
		fprintf(f, "  %-16s %6s %7s %9s %9s %7s %9s %7s %10s %7s\n", "phases", r->mpi ? "ranks" : "procs",
			"times", "time mean", "most", by, "peak most", by, "left most", by);
	else
		fprintf(f, "  %-22s %9s %11s %13s %11s %11s %11s\n", "phases, highest first", "times", "time",
			"allocations", "allocated", "peak", "left behind");
	for (uint32_t i = 0; i < b->phase_count && i < most; i++)
		put_phase(f, sorted[i], several);
	for (uint32_t i = 0; several && i < b->phase_count; i++)
		if (b->phases[i].running) {
			fprintf(f, "  (* was running in %s)\n", r->mpi ? "some rank" : "some process");
			break;
		}
	if (b->phase_count > most)
		fprintf(f, "  and %u more phases: see report.json\n", b->phase_count - most);
	if (b->other_phases.ns.known)
		put_phase(f, &b->other_phases, several);
}

/* ---- size classes, pools, threads ---- */

static int by_fullest(const void *a, const void *b)
{
	const struct na_class_part *x = *(const struct na_class_part *const *)a;
	const struct na_class_part *y = *(const struct na_class_part *const *)b;

	if (x->fullest_bytes != y->fullest_bytes)
		return x->fullest_bytes < y->fullest_bytes ? 1 : -1;
	if (x->allocated_bytes != y->allocated_bytes)
		return x->allocated_bytes < y->allocated_bytes ? 1 : -1;
	return x < y ? -1 : x > y;
}

static void put_classes(FILE *f, const struct na_job_breakdown *b)
{
	const struct na_class_part *sorted[NA_BREAKDOWN_CLASSES];
	unsigned int n = 0;

	for (unsigned int i = 0; i < NA_BREAKDOWN_CLASSES; i++)
		if (b->classes[i].allocations)
			sorted[n++] = &b->classes[i];
	if (n == 0)
		return;
	qsort(sorted, n, sizeof(*sorted), by_fullest);
	fprintf(f, "  %-23s %11s %11s | %s %13s %11s\n", "blocks of, most first", "when full", "at the end",
		"over the run:", "allocations", "allocated");
	for (unsigned int i = 0; i < n && i < CLASS_ROWS; i++) {
		const struct na_class_part *c = sorted[i];
		char size[32];

		snprintf(size, sizeof(size), c->size ? "%llu B" : "more than 32 KiB", (unsigned long long)c->size);
		fprintf(f, "    %-21s %11s %11s | %13s %13s %11s\n", size, bytes((int64_t)c->fullest_bytes).text,
			bytes((int64_t)c->live_bytes).text, "", count(c->allocations).text,
			bytes((int64_t)c->allocated_bytes).text);
	}
}

static int by_pool_peak(const void *a, const void *b)
{
	const struct na_pool_sum *x = *(const struct na_pool_sum *const *)a;
	const struct na_pool_sum *y = *(const struct na_pool_sum *const *)b;

	if (x->peak.sum != y->peak.sum)
		return x->peak.sum < y->peak.sum ? 1 : -1;
	return strncmp(x->name, y->name, sizeof(x->name));
}

static void put_pools(FILE *f, const struct na_job_breakdown *b)
{
	const struct na_pool_sum *sorted[NA_JOB_POOLS];
	char name[NA_BREAKDOWN_NAME];

	if (b->pool_count == 0)
		return;
	for (uint32_t i = 0; i < b->pool_count; i++)
		sorted[i] = &b->pools[i];
	qsort(sorted, b->pool_count, sizeof(*sorted), by_pool_peak);
	fprintf(f, "  named pools, peaks      ");
	for (uint32_t i = 0; i < b->pool_count && i < POOLS; i++) {
		na_name_ascii(name, sorted[i]->name, sizeof(name));
		fprintf(f, "%s%.12s %s", i ? ", " : "", name[0] ? name : "(unnamed)", bytes(sorted[i]->peak.sum).text);
	}
	fputs(b->pool_count > POOLS ? ", ...\n" : "\n", f);
}

static void put_threads(FILE *f, const struct na_job_breakdown *b)
{
	const struct na_where *most = &b->threads.most_at, *at = &b->busiest_at;

	if (!b->threads.known || !b->threads.most)
		return;
	fprintf(f, "  threads, most at once   %lld (%s %d)", (long long)b->threads.most, kind(most), who(most));
	if (b->busiest.thread)
		fprintf(f, "; busiest %d (%s %d): %s allocated", b->busiest.thread, kind(at), who(at),
			bytes((int64_t)b->busiest.allocated_bytes).text);
	fputc('\n', f);
}

/* ---- samples ---- */

void na_text_latency(FILE *f, const struct na_report *r)
{
	const struct na_where *slowest = &r->breakdown->slowest_at;
	const struct na_times *t = &r->breakdown->latency;

	if (t->samples)
		fprintf(f, "  allocation latency      p50 %s, p90 %s, p99 %s, p99.9 %s, most %s (%s %d)\n",
			duration(na_times_quantile(t, 0.5)).text, duration(na_times_quantile(t, 0.9)).text,
			duration(na_times_quantile(t, 0.99)).text, duration(na_times_quantile(t, 0.999)).text,
			na_word(t->most, NA_UNIT_NS).text, kind(slowest), who(slowest));
}

static void put_samples(FILE *f, const struct na_report *r)
{
	const struct na_lifetimes *l = &r->breakdown->lifetimes;

	na_text_latency(f, r);
	if (!r->breakdown->latency.samples)
		fprintf(f,
			"  latency, lifetimes      unavailable: no allocation was sampled (NUMARENA_SAMPLE_BYTES)\n");
	else if (l->samples)
		fprintf(f, "  sampled blocks' lives   half within %s, 90 %% %s, 99 %% %s; of bytes half %s\n",
			duration(na_lifetimes_quantile(l->blocks, 0.5)).text,
			duration(na_lifetimes_quantile(l->blocks, 0.9)).text,
			duration(na_lifetimes_quantile(l->blocks, 0.99)).text,
			duration(na_lifetimes_quantile(l->bytes, 0.5)).text);
	else
		fprintf(f, "  sampled blocks' lives   none of them has ended\n");
}

void na_text_breakdown(FILE *f, const struct na_report *r)
{
	na_text_phases(f, r, PHASE_ROWS);
	put_classes(f, r->breakdown);
	put_pools(f, r->breakdown);
	put_threads(f, r->breakdown);
	put_samples(f, r);
}

/* ---- findings, out of memory ---- */

/* From column `indent` on, broken at spaces. */
static void put_wrapped(FILE *f, const char *text, size_t indent)
{
	size_t column = indent;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (column > indent && column + 1 + n > COLUMNS) {
			fprintf(f, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', f);
			column++;
		}
		fwrite(text, 1, n, f);
		column += n;
		text += n + (text[n] == ' ');
	}
	fputc('\n', f);
}

void na_text_findings(FILE *f, const struct na_report *r, size_t most)
{
	struct na_finding found[NA_JOB_RULE_END_];
	size_t n = na_judge(r, found);

	if (n == 0)
		fprintf(f, "  findings                none\n");
	for (size_t i = 0; i < n && i < most; i++) {
		fprintf(f, "  finding: ");
		put_wrapped(f, found[i].bottleneck, sizeof("  finding: ") - 1);
	}
	if (n > most)
		fprintf(f, "  and %zu more findings, with recommendations for all: see report.json\n", n - most);
	else if (n)
		fprintf(f, "  (recommendations: see report.json)\n");
}

void na_text_oom(FILE *f, const struct na_report *r)
{
	const struct na_oom_files *o = r->oom;

	if (!o || !o->count)
		return;
	fprintf(f, "  out of memory           see");
	for (size_t i = 0; i < o->listed && i < OOM_NAMES; i++)
		fprintf(f, "%s %.20s%s", i ? "," : "", o->names[i], strlen(o->names[i]) > 20 ? "..." : "");
	if (o->count > OOM_NAMES)
		fprintf(f, " and %zu more", o->count - OOM_NAMES);
	fputc('\n', f);
}
