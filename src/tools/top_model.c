/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/top_model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/hash.h"
#include "base/log.h"
#include "report/names.h"
#include "report/place.h"

const char *const na_top_column_names[NA_TOP_COLUMNS] = { "rank", "live", "peak", "physical", "misplaced", "rate" };

static struct na_top_row *new_row(struct na_top *t)
{
	if (t->count == t->capacity) {
		size_t capacity = t->capacity ? 2 * t->capacity : 64;
		struct na_top_row *grown = realloc(t->rows, capacity * sizeof(*grown));

		if (!grown)
			return NULL;
		t->rows = grown;
		t->capacity = capacity;
	}
	return &t->rows[t->count++];
}

/* Joins so many bins to one that all fit; each with the most of its own. */
static void fill_history(struct na_top_row *out, const struct na_series *s)
{
	const uint64_t *live = s->value[NA_SERIES_LIVE];
	uint32_t join = (s->count + NA_TOP_HISTORY - 1) / NA_TOP_HISTORY;

	out->bins = 0;
	for (uint32_t i = 0; i < s->count; i += join) {
		uint64_t most = NA_UNKNOWN;

		for (uint32_t k = i; k < i + join && k < s->count; k++)
			if (live[k] != NA_UNKNOWN && (most == NA_UNKNOWN || live[k] > most))
				most = live[k];
		out->history[out->bins++] = most;
	}
}

static double seconds_between(uint64_t from_ms, uint64_t to_ms)
{
	return to_ms > from_ms ? (double)(to_ms - from_ms) / 1000 : 0;
}

/* Since the look before; at the first, or if there was no update since then, as it was, or since its start. */
static double rate_of(const struct na_top *t, const struct na_top_row *r, const struct na_record *record)
{
	uint64_t now = r->row.value[NA_METRIC_allocations];
	double seconds = (double)record->wall_ns / 1e9;

	for (size_t i = 0; i < t->before_count; i++) {
		const struct na_top_row *b = &t->before[i];
		uint64_t then = b->row.value[NA_METRIC_allocations];

		if (b->row.pid != r->row.pid || strcmp(b->job, r->job) != 0)
			continue;
		if (r->row.update_ms <= b->row.update_ms)
			return b->rate;
		if (now == NA_UNKNOWN || then == NA_UNKNOWN || now < then)
			return NAN;
		return (double)(now - then) / seconds_between(b->row.update_ms, r->row.update_ms);
	}
	return now == NA_UNKNOWN || seconds <= 0 ? NAN : (double)now / seconds;
}

static void add_up(uint64_t *sum, uint64_t v)
{
	*sum = *sum == NA_UNKNOWN || v == NA_UNKNOWN ? NA_UNKNOWN : *sum + v;
}

static void count_in(struct na_top *t, const struct na_top_row *r, const struct na_record *record)
{
	bool running = r->row.state == NA_RECORD_RUNNING || r->row.state == NA_RECORD_FINALIZING;
	uint64_t limit = record->host_memory ? record->host_memory : NA_UNKNOWN;

	t->running += running;
	t->ended += !running;
	if (!running) /* its memory is gone */
		return;
	add_up(&t->live, r->row.value[NA_METRIC_live_bytes]);
	add_up(&t->peak, r->row.value[NA_METRIC_peak_bytes]);
	add_up(&t->physical, r->row.value[NA_METRIC_physical_bytes]);
	add_up(&t->misplaced, r->row.value[NA_METRIC_misplaced_bytes]);
	t->rate += isnan(r->rate) ? 0 : r->rate;
	if (record->cgroup_limit < limit) { /* NA_UNKNOWN is the greatest */
		limit = record->cgroup_limit;
		t->limit_is_group |= limit < t->limit;
	}
	if (limit < t->limit)
		t->limit = limit;
}

/* ---- records of other hosts, of which there may be thousands in a shared folder, are read no further than their host, and once ---- */

static uint64_t *foreign_place(const struct na_top *t, uint64_t key)
{
	size_t at = key & (t->foreign_places - 1);

	while (t->foreign[at] && t->foreign[at] != key)
		at = (at + 1) & (t->foreign_places - 1);
	return &t->foreign[at];
}

/* At most half full. Without memory it is asked again. */
static void remember(struct na_top *t, uint64_t key)
{
	if (2 * (t->foreign_count + 1) > t->foreign_places) {
		struct na_top grown = { .foreign_places = t->foreign_places ? 2 * t->foreign_places : 256 };

		grown.foreign = calloc(grown.foreign_places, sizeof(*grown.foreign));
		if (!grown.foreign)
			return;
		for (size_t i = 0; i < t->foreign_places; i++)
			if (t->foreign[i])
				*foreign_place(&grown, t->foreign[i]) = t->foreign[i];
		free(t->foreign);
		t->foreign = grown.foreign;
		t->foreign_places = grown.foreign_places;
	}
	*foreign_place(t, key) = key;
	t->foreign_count++;
}

static bool is_elsewhere(struct na_top *t, const char *path, const char *name)
{
	char host[NA_RECORD_NAME];
	struct stat s;
	uint64_t key;

	if (na_place_is_of_process(name, t->host) || stat(path, &s) < 0)
		return false;
	/* With its number: a job that is started again has the same names, and its ranks lie elsewhere. */
	key = na_hash(na_hash_text(NA_HASH_START, path), &s.st_ino, sizeof(s.st_ino)) | 1;
	if (t->foreign_places && *foreign_place(t, key))
		return true;
	if (na_record_host(AT_FDCWD, path, host) < 0 || strcmp(host, t->host) == 0)
		return false;
	remember(t, key);
	return true;
}

/* A record that was not there any more when it was opened has ended well. */
static int add_record(struct na_top *t, const char *path, const char *name, struct na_record *record)
{
	struct na_record_flaw flaw;
	struct na_top_row *r;
	int rc;

	if (is_elsewhere(t, path, name)) {
		t->elsewhere++;
		return 0;
	}
	rc = na_record_read(path, record, &flaw);
	if (rc == -ENOENT || rc == -ENODATA || rc == -ENOMEM)
		return rc == -ENOMEM ? rc : 0;
	if (rc < 0) {
		if (t->flawed++ == 0) {
			char text[sizeof(t->flaw)];

			na_format(text, sizeof(text), "%s: %s", name, flaw.text);
			na_name_ascii(t->flaw, text, sizeof(t->flaw));
		}
		return 0;
	}
	if (na_record_is_lost(record))
		record->state = NA_RECORD_LOST;
	r = new_row(t);
	if (!r)
		return -ENOMEM;
	na_row_fill(&r->row, record, NULL);
	memcpy(r->job, record->job, sizeof(r->job));
	fill_history(r, &record->series);
	r->rate = rate_of(t, r, record);
	count_in(t, r, record);
	return 0;
}

static int look_at_job(struct na_top *t, const char *folder, struct na_record *record)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	char path[PATH_MAX];
	size_t before = t->count;
	int rc = 0;

	if (!d)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno; /* it has just ended */
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (na_place_is_record(e->d_name) &&
		    na_format(path, sizeof(path), "%s/%s", folder, e->d_name) + 1 < sizeof(path))
			rc = add_record(t, path, e->d_name, record);
	closedir(d);
	t->jobs += t->count > before;
	return rc;
}

/* The rows so far are those of the look before. */
static void turn_over(struct na_top *t)
{
	struct na_top_row *rows = t->before;
	size_t capacity = t->before_capacity;

	t->before = t->rows;
	t->before_count = t->count;
	t->before_capacity = t->capacity;
	t->rows = rows;
	t->count = 0;
	t->capacity = capacity;
	t->jobs = t->running = t->ended = t->flawed = t->elsewhere = 0;
	t->live = t->peak = t->physical = t->misplaced = 0;
	t->rate = 0;
	t->limit = t->room = NA_UNKNOWN;
	t->limit_is_group = false;
	t->flaw[0] = '\0';
}

int na_top_look(struct na_top *t)
{
	char folder[PATH_MAX], job[PATH_MAX];
	struct na_record *record = malloc(sizeof(*record));
	struct utsname here;
	struct dirent *e;
	DIR *d;
	int rc = 0;

	if (!record)
		return -ENOMEM;
	turn_over(t);
	if (uname(&here) == 0)
		na_format(t->host, sizeof(t->host), "%s", here.nodename);
	na_format(folder, sizeof(folder), "%s/%s", t->folder, NA_RECORD_FOLDER);
	d = opendir(folder);
	if (!d)
		rc = errno == ENOENT ? 0 : -errno; /* nobody is there yet, or any more */
	while (d && rc == 0 && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && (!t->job || strcmp(t->job, e->d_name) == 0) &&
		    na_format(job, sizeof(job), "%s/%s", folder, e->d_name) + 1 < sizeof(job))
			rc = look_at_job(t, job, record);
	if (d)
		closedir(d);
	free(record);
	if (t->limit != NA_UNKNOWN && t->physical != NA_UNKNOWN)
		t->room = t->limit > t->physical ? t->limit - t->physical : 0;
	return rc;
}

static double key_of(const struct na_top_row *r, enum na_top_column by)
{
	static const enum na_metric_id metrics[NA_TOP_COLUMNS] = { [NA_TOP_LIVE] = NA_METRIC_live_bytes,
								   [NA_TOP_PEAK] = NA_METRIC_peak_bytes,
								   [NA_TOP_PHYSICAL] = NA_METRIC_physical_bytes,
								   [NA_TOP_MISPLACED] = NA_METRIC_misplaced_bytes };
	uint64_t v;

	if (by == NA_TOP_RATE)
		return r->rate;
	if (by == NA_TOP_RANK)
		return r->row.rank >= 0 ? -(double)r->row.rank : -1e10 - r->row.pid;
	v = r->row.value[metrics[by]];
	return v == NA_UNKNOWN ? NAN : (double)v;
}

struct order {
	enum na_top_column by;
	bool reversed;
};

static int compare(const void *a, const void *b, void *of)
{
	const struct order *o = of;
	double x = key_of(a, o->by), y = key_of(b, o->by);
	const struct na_top_row *p = a, *q = b;

	if (isnan(x) || isnan(y)) {
		if (isnan(x) != isnan(y))
			return isnan(x) ? 1 : -1;
	} else if (x != y) {
		return (x > y) != o->reversed ? -1 : 1;
	}
	if (p->row.rank != q->row.rank) /* equal ones stay where they are from look to look */
		return (uint32_t)p->row.rank < (uint32_t)q->row.rank ? -1 : 1;
	return p->row.pid < q->row.pid ? -1 : p->row.pid > q->row.pid;
}

void na_top_sort(struct na_top *t, enum na_top_column by, bool reversed)
{
	struct order o = { by, reversed };

	if (t->count)
		qsort_r(t->rows, t->count, sizeof(*t->rows), compare, &o);
}

void na_top_free(struct na_top *t)
{
	free(t->rows);
	free(t->before);
	free(t->foreign);
	t->rows = t->before = NULL;
	t->foreign = NULL;
	t->foreign_count = t->foreign_places = 0;
	t->count = t->capacity = t->before_count = t->before_capacity = 0;
}
