/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/collect.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/log.h"
#include "report/place.h"

#define MISSING_LISTED 64

struct names {
	char **name;
	size_t count, capacity;
};

void na_collect_note(struct na_collection *c, const char *format, ...)
{
	char **grown = realloc(c->notes, (c->note_count + 1) * sizeof(*grown));
	va_list args;
	char *text;

	if (!grown)
		return;
	c->notes = grown;
	va_start(args, format);
	if (vasprintf(&text, format, args) >= 0)
		c->notes[c->note_count++] = text;
	va_end(args);
}

/* "rank-10" after "rank-9". */
static int compare_names(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->name[i]);
	free(n->name);
}

static int add_name(struct names *n, const char *name)
{
	if (n->count == n->capacity) {
		size_t capacity = n->capacity ? 2 * n->capacity : 64;
		char **grown = realloc(n->name, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		n->name = grown;
		n->capacity = capacity;
	}
	n->name[n->count] = strdup(name);
	if (!n->name[n->count])
		return -ENOMEM;
	n->count++;
	return 0;
}

static int list(const char *job_folder, struct names *n)
{
	DIR *d = opendir(job_folder);
	struct dirent *e;
	int rc = 0;

	if (!d)
		return -errno;
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (na_place_is_record(e->d_name))
			rc = add_name(n, e->d_name);
	closedir(d);
	if (rc == 0 && n->count)
		qsort(n->name, n->count, sizeof(*n->name), compare_names);
	return rc;
}

static int read_one(const char *job_folder, const char *name, struct na_record *r, struct na_record_flaw *flaw)
{
	char path[PATH_MAX];

	if (na_format(path, sizeof(path), "%s/%s", job_folder, name) + 1 >= sizeof(path)) {
		na_format(flaw->text, sizeof(flaw->text), "its path is too long");
		return -ENAMETOOLONG;
	}
	return na_record_read(path, r, flaw);
}

static struct na_job *find_host(struct na_collection *c, const char *host)
{
	for (size_t i = c->host_count; i-- > 0;)
		if (strcmp(c->hosts[i].host, host) == 0)
			return &c->hosts[i];
	return NULL;
}

static struct na_job *host_of(struct na_collection *c, const char *host)
{
	struct na_job *grown = find_host(c, host);

	if (grown)
		return grown;
	if ((c->host_count & (c->host_count - 1)) == 0) { /* doubles at powers of two */
		grown = realloc(c->hosts, (c->host_count ? 2 * c->host_count : 1) * sizeof(*grown));
		if (!grown)
			return NULL;
		c->hosts = grown;
	}
	na_job_init(&c->hosts[c->host_count]);
	return &c->hosts[c->host_count++];
}

static int add(struct na_collection *c, struct na_record *r)
{
	struct na_job *host = host_of(c, r->host);
	struct na_row row;

	if (!host)
		return -ENOMEM;
	na_series_widen(&r->series, na_axis_shift(&c->axis));
	na_record_add_breakdown(&c->breakdown, r, &c->axis);
	na_job_add(host, r);
	if (c->rows.count >= NA_JOB_ROWS)
		return 0;
	na_row_fill(&row, r, &c->row_axis);
	return na_rows_add(&c->rows, &row);
}

/* Ranks 0 to size - 1 of which nothing is there. */
static int find_missing(struct na_collection *c, const unsigned char *seen)
{
	c->missing = malloc(MISSING_LISTED * sizeof(*c->missing));
	if (!c->missing)
		return -ENOMEM;
	for (int32_t i = 0; i < c->job.size; i++) {
		if (seen[i])
			continue;
		if (c->missing_listed < MISSING_LISTED)
			c->missing[c->missing_listed++] = i;
		c->missing_count++;
	}
	return 0;
}

/* First pass: what is usable, whether there are ranks, the axis. */
static int survey(struct na_collection *c, const char *job_folder, struct names *n, struct na_axis axes[2],
		  int32_t *size)
{
	size_t usable = 0;

	for (size_t i = 0; i < n->count; i++) {
		struct na_record r;
		struct na_record_flaw flaw;
		struct na_axis axis;
		int rc = read_one(job_folder, n->name[i], &r, &flaw);

		if (rc < 0) {
			if (rc != -ENOENT) {
				na_collect_note(c, "%s/%s: %s; left out", job_folder, n->name[i], flaw.text);
				c->flawed++;
			}
			n->name[i][0] = '\0';
			continue;
		}
		usable++;
		c->mpi |= r.role == NA_RECORD_RANK;
		c->roots_done += r.role == NA_RECORD_ROOT && r.state == NA_RECORD_COMPLETE;
		axis = na_axis_of(&r.series);
		na_axis_join(&axes[r.role == NA_RECORD_RANK], &axis);
		if (r.rank >= 0 && r.size > *size)
			*size = r.size;
	}
	return usable ? 0 : -ENODATA;
}

/* How many processes of a host were in each phase when it had most. */
struct tally {
	size_t count;
	struct {
		char name[NA_PHASE_NAME];
		size_t processes;
	} phases[NA_BREAKDOWN_PHASES]; /* of more names those that come first */
};

static void count_phase(struct tally *t, const char *name)
{
	size_t i = 0;

	while (i < t->count && strcmp(t->phases[i].name, name) != 0)
		i++;
	if (!name[0] || i == NA_BREAKDOWN_PHASES)
		return;
	if (i == t->count)
		na_format(t->phases[t->count++].name, NA_PHASE_NAME, "%s", name);
	t->phases[i].processes++;
}

/* As na_job_seal_phase() has it: of equal ones the first by name. */
static void take_phase(struct na_job *host, const struct tally *t)
{
	const char *most = "";
	size_t processes = 0;

	for (size_t i = 0; i < t->count; i++)
		if (t->phases[i].processes > processes ||
		    (t->phases[i].processes == processes && strcmp(t->phases[i].name, most) < 0)) {
			most = t->phases[i].name;
			processes = t->phases[i].processes;
		}
	na_format(host->peak_phase, sizeof(host->peak_phase), "%s", most);
}

/* Third pass, over sealed hosts: only now it is known when each of them had most. Without memory or phases they have none. */
static void find_phases(struct na_collection *c, const char *job_folder, const struct names *n)
{
	struct tally *tallies = c->breakdown.phase_count ? calloc(c->host_count, sizeof(*tallies)) : NULL;

	for (size_t i = 0; tallies && i < n->count; i++) {
		char name[NA_PHASE_NAME];
		struct na_record r;
		struct na_record_flaw flaw;
		struct na_job *host;

		if (n->name[i][0] == '\0' || read_one(job_folder, n->name[i], &r, &flaw) < 0 ||
		    (c->mpi && r.role != NA_RECORD_RANK))
			continue;
		host = find_host(c, r.host);
		if (!host)
			continue;
		na_series_widen(&r.series, na_axis_shift(&c->axis));
		na_record_phase_at(&r, &c->axis, na_job_peak_bin(host, &c->axis), name);
		count_phase(&tallies[host - c->hosts], name);
	}
	for (size_t i = 0; tallies && i < c->host_count; i++)
		take_phase(&c->hosts[i], &tallies[i]);
	free(tallies);
}

static int gather(struct na_collection *c, const char *job_folder, const struct names *n, unsigned char *seen,
		  int32_t size, int32_t exited)
{
	struct utsname here;
	size_t alive = 0, helpers = 0;
	int rc = 0;

	if (uname(&here) < 0)
		here.nodename[0] = '\0';
	for (size_t i = 0; rc == 0 && i < n->count; i++) {
		struct na_record r;
		struct na_record_flaw flaw;

		if (n->name[i][0] == '\0' || read_one(job_folder, n->name[i], &r, &flaw) < 0)
			continue;
		if (c->mpi && r.role != NA_RECORD_RANK) {
			helpers++;
			continue;
		}
		if (r.rank >= 0 && r.rank < size)
			seen[r.rank] = 1;
		if (r.state == NA_RECORD_RUNNING && strcmp(r.host, here.nodename) == 0) {
			/* Of a helper that is gone nobody can tell how it went: mostly by _exit(). */
			if (!na_record_is_lost(&r))
				alive++;
			else
				r.state = r.role == NA_RECORD_PROCESS || r.pid == exited ? NA_RECORD_EXITED
											 : NA_RECORD_LOST;
		}
		rc = add(c, &r);
	}
	for (size_t i = 0; i < c->host_count; i++)
		na_job_seal(&c->hosts[i]);
	if (rc == 0)
		find_phases(c, job_folder, n);
	for (size_t i = 0; i < c->host_count; i++)
		na_job_merge(&c->job, &c->hosts[i]);
	c->alive = alive;
	if (alive)
		na_collect_note(c, "%zu process%s still running: figures are of the last update", alive,
				alive == 1 ? " is" : "es are");
	if (helpers)
		na_collect_note(c, "%zu process%s beside the ranks (wrapper shells, helpers) not counted", helpers,
				helpers == 1 ? "" : "es");
	return rc;
}

int na_collect(const char *job_folder, struct na_collection **out)
{
	return na_collect_after(job_folder, 0, out);
}

int na_collect_after(const char *job_folder, int32_t exited, struct na_collection **out)
{
	struct na_collection *c = calloc(1, sizeof(*c));
	struct names n = { 0 };
	struct na_axis axes[2];
	unsigned char *seen = NULL;
	int32_t size = 0;
	int rc;

	if (!c)
		return -ENOMEM;
	na_job_init(&c->job);
	na_job_breakdown_init(&c->breakdown);
	na_axis_init(&axes[0]);
	na_axis_init(&axes[1]);
	rc = list(job_folder, &n);
	if (rc == 0)
		rc = survey(c, job_folder, &n, axes, &size);
	if (rc == 0) {
		seen = calloc((size_t)size + 1, 1);
		if (!c->mpi)
			na_axis_join(&axes[1], &axes[0]);
		c->axis = axes[1];
		c->row_axis = na_row_axis(&c->axis);
		rc = seen ? gather(c, job_folder, &n, seen, size, exited) : -ENOMEM;
	}
	if (rc == 0 && c->job.processes == 0)
		rc = -ENODATA;
	if (rc == 0) {
		c->job.size = c->job.size > size ? size : c->job.size; /* a record came in between */
		rc = find_missing(c, seen);
	}
	free(seen);
	free_names(&n);
	*out = c;
	if (rc < 0 && rc != -ENODATA) {
		na_collect_free(c);
		*out = NULL;
	}
	return rc;
}

void na_collect_free(struct na_collection *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->note_count; i++)
		free(c->notes[i]);
	free(c->notes);
	free(c->hosts);
	free(c->rows.bytes);
	free(c->missing);
	free(c);
}

struct na_report na_collect_report(const struct na_collection *c)
{
	return (struct na_report){
		.job = &c->job,
		.breakdown = &c->breakdown,
		.hosts = c->hosts,
		.host_count = c->host_count,
		.rows = c->rows,
		.row_axis = c->row_axis,
		.reduce_ns = NA_UNKNOWN,
		.mpi = c->mpi,
		.notes = (const char *const *)c->notes,
		.note_count = c->note_count,
		.missing = c->missing,
		.missing_count = c->missing_count,
		.missing_listed = c->missing_listed,
	};
}
