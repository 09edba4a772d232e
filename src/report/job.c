/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/job.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "report/derive.h"
#include "report/names.h"

const struct na_metric_info na_metric_table[NA_METRIC_COUNT_] = {
#define NA_METRIC(id, unit, value, text) { #id, NA_UNIT_##unit, text },
#include "report/metrics.def"
#undef NA_METRIC
};

static uint64_t value_of(const struct na_record *r, enum na_metric_id id)
{
	switch (id) {
#define NA_METRIC(id, unit, value, text)                                                                               \
	case NA_METRIC_##id:                                                                                           \
		return value;
#include "report/metrics.def"
#undef NA_METRIC
	case NA_METRIC_COUNT_:
		break;
	}
	return NA_UNKNOWN;
}

void na_job_init(struct na_job *j)
{
	memset(j, 0, sizeof(*j)); /* padding too: aggregates are compared and sent as bytes */
	j->magic = NA_JOB_MAGIC;
	j->version = NA_JOB_VERSION;
	j->bytes = sizeof(*j);
	j->first = UINT64_MAX;
	j->start_ms = UINT64_MAX;
	j->cgroup_limit = NA_UNKNOWN;
	j->request_bytes = NA_UNKNOWN;
	na_series_init(&j->series);
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a == NA_UNKNOWN || b == NA_UNKNOWN ? NA_UNKNOWN : a + b;
}

/* The entry of a node number, made if need be, in rising order; NULL if the table is full. */
static struct na_numa *numa_of(struct na_job *j, int32_t node)
{
	uint32_t at = 0;

	while (at < j->node_count && j->nodes[at].node < node)
		at++;
	if (at < j->node_count && j->nodes[at].node == node)
		return &j->nodes[at];
	if (j->node_count == NA_MAX_NODES)
		return NULL;
	memmove(&j->nodes[at + 1], &j->nodes[at], (j->node_count - at) * sizeof(j->nodes[0]));
	memset(&j->nodes[at], 0, sizeof(j->nodes[0]));
	j->nodes[at].node = node;
	j->node_count++;
	return &j->nodes[at];
}

static void merge_numa(struct na_job *j, const struct na_numa *other)
{
	struct na_numa *n = numa_of(j, other->node);

	if (!n)
		return;
	n->requested_bytes += other->requested_bytes;
	n->held_bytes += other->held_bytes;
	n->resident_bytes = plus(n->resident_bytes, other->resident_bytes);
	n->misplaced_bytes = plus(n->misplaced_bytes, other->misplaced_bytes);
	n->peak_requested_bytes = plus(n->peak_requested_bytes, other->peak_requested_bytes);
	n->peak_resident_bytes = plus(n->peak_resident_bytes, other->peak_resident_bytes);
	n->peak_misplaced_bytes = plus(n->peak_misplaced_bytes, other->peak_misplaced_bytes);
	n->cpus = plus(n->cpus, other->cpus);
	if (other->memory_bytes > n->memory_bytes)
		n->memory_bytes = other->memory_bytes;
}

/* The largest request counts; of equal ones the more certain source. */
static void merge_request(struct na_job *into, const struct na_job *other)
{
	if (other->request_bytes == NA_UNKNOWN)
		return;
	if (into->request_bytes == NA_UNKNOWN || other->request_bytes > into->request_bytes) {
		into->request_bytes = other->request_bytes;
		into->request_source = other->request_source;
	} else if (other->request_bytes == into->request_bytes && other->request_source > into->request_source) {
		into->request_source = other->request_source;
	}
}

static void merge_hosts(struct na_hosts *into, const struct na_hosts *other)
{
	na_spread_merge(&into->live, &other->live);
	na_spread_merge(&into->physical, &other->physical);
	na_spread_merge(&into->memory, &other->memory);
	na_spread_merge(&into->free, &other->free);
	na_spread_merge(&into->processes, &other->processes);
}

void na_job_merge(struct na_job *into, const struct na_job *other)
{
	if (other->processes == 0 && other->first == UINT64_MAX)
		return;
	if (into->first == UINT64_MAX) {
		memcpy(into->job, other->job, sizeof(into->job));
		memcpy(into->host, other->host, sizeof(into->host));
		memcpy(into->peak_phase, other->peak_phase, sizeof(into->peak_phase));
	} else {
		if (strncmp(into->host, other->host, sizeof(into->host)) != 0)
			memset(into->host, 0, sizeof(into->host));
		memset(into->peak_phase, 0, sizeof(into->peak_phase));
	}
	if (other->first < into->first ||
	    (other->first == into->first && strncmp(other->program, into->program, sizeof(into->program)) < 0)) {
		into->first = other->first;
		memcpy(into->program, other->program, sizeof(into->program));
	}
	if (other->size > into->size)
		into->size = other->size;
	into->processes += other->processes;
	into->complete += other->complete;
	into->aborted += other->aborted;
	into->topology_shared += other->topology_shared;
	if (other->start_ms < into->start_ms)
		into->start_ms = other->start_ms;
	if (other->end_ms > into->end_ms)
		into->end_ms = other->end_ms;
	if (other->host_memory > into->host_memory)
		into->host_memory = other->host_memory;
	if (other->cgroup_limit < into->cgroup_limit)
		into->cgroup_limit = other->cgroup_limit;
	merge_request(into, other);
	into->huge_known += other->huge_known;
	into->huge_possible += other->huge_possible;
	into->huge_asked += other->huge_asked;
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		na_spread_merge(&into->metrics[i], &other->metrics[i]);
	merge_hosts(&into->hosts, &other->hosts);
	for (uint32_t i = 0; i < other->node_count; i++)
		merge_numa(into, &other->nodes[i]);
	na_series_sum(&into->series, &other->series);
	na_job_pauses_merge(&into->pauses, &other->pauses);
}

/* Names are copied up to their NUL and padded with zeros: a record's tail may hold anything. */
static void copy_name(char to[NA_RECORD_NAME], const char from[NA_RECORD_NAME])
{
	size_t n = strnlen(from, NA_RECORD_NAME - 1);

	memset(to, 0, NA_RECORD_NAME);
	memcpy(to, from, n);
}

static uint64_t order_of(const struct na_record *r)
{
	if (r->rank >= 0)
		return (uint64_t)r->rank;
	return (r->role == NA_RECORD_ROOT ? UINT64_C(1) << 32 : UINT64_C(2) << 32) + (uint32_t)r->pid;
}

static void fill_numa(struct na_job *j, const struct na_record *r)
{
	for (uint32_t i = 0; i < r->heap.node_count; i++) {
		const struct na_node_figures *f = &r->heap.nodes[i];
		bool asked = r->residency_ms != 0;
		struct na_numa n = {
			.node = f->node,
			.requested_bytes = f->live_bytes,
			.held_bytes = f->held_bytes,
			.resident_bytes = asked ? f->resident_bytes : NA_UNKNOWN,
			.misplaced_bytes = asked ? f->misplaced_bytes : NA_UNKNOWN,
			.peak_requested_bytes = NA_UNKNOWN,
			.peak_resident_bytes = NA_UNKNOWN,
			.peak_misplaced_bytes = NA_UNKNOWN,
			.memory_bytes = r->node_memory[i],
			.cpus = r->node_cpus[i] == UINT32_MAX ? NA_UNKNOWN : r->node_cpus[i],
		};

		for (uint32_t k = 0; r->peak_nodes_ms && k < r->peak_node_count; k++)
			if (r->peak_nodes[k].node == f->node) {
				n.peak_requested_bytes = r->peak_nodes[k].live_bytes;
				n.peak_resident_bytes = r->peak_nodes[k].resident_bytes;
				n.peak_misplaced_bytes = r->peak_nodes[k].misplaced_bytes;
			}

		merge_numa(j, &n);
	}
}

static struct na_where where_of(const struct na_record *r)
{
	struct na_where where = { .rank = r->rank, .pid = r->pid };

	copy_name(where.host, r->host);
	return where;
}

static void values_of(const struct na_record *r, uint64_t values[NA_METRIC_COUNT_])
{
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		values[i] = value_of(r, (enum na_metric_id)i);
}

void na_record_add_breakdown(struct na_job_breakdown *b, const struct na_record *r, const struct na_axis *axis)
{
	const struct na_series *s = &r->series;
	struct na_where where = where_of(r);
	uint64_t values[NA_METRIC_COUNT_], first;

	na_job_breakdown_add(b, &r->breakdown, &where);
	values_of(r, values);
	na_distribution_add(&b->distribution, values, &where);
	if (!axis || !s->count)
		return;
	first = axis->begin_ms >> s->shift;
	if (s->first >= first)
		na_job_breakdown_add_times(b, &r->breakdown, s->phase, s->first - first, s->count);
}

uint64_t na_job_ceiling(const struct na_job *host)
{
	uint64_t memory = host->host_memory ? host->host_memory : NA_UNKNOWN;

	return host->cgroup_limit < memory ? host->cgroup_limit : memory;
}

void na_job_seal(struct na_job *host)
{
	struct na_where where = { .rank = -1 };
	uint64_t live = na_series_peak_live(&host->series), physical = na_series_peak_physical(&host->series);
	uint64_t ceiling = na_job_ceiling(host);

	if (!host->processes)
		return;
	copy_name(where.host, host->host);
	host->hosts.live = na_spread_of((int64_t)live, &where);
	host->hosts.processes = na_spread_of((int64_t)host->processes, &where);
	if (physical != NA_UNKNOWN)
		host->hosts.physical = na_spread_of((int64_t)physical, &where);
	if (ceiling != NA_UNKNOWN)
		host->hosts.memory = na_spread_of((int64_t)ceiling, &where);
	if (ceiling != NA_UNKNOWN && physical != NA_UNKNOWN)
		host->hosts.free = na_spread_of((int64_t)(physical < ceiling ? ceiling - physical : 0), &where);
}

uint64_t na_job_peak_bin(const struct na_job *host, const struct na_axis *axis)
{
	const struct na_series *s = &host->series;
	uint64_t first = axis->begin_ms >> s->shift, bin;

	if (!s->count || s->first < first)
		return UINT64_MAX;
	bin = s->first - first + na_series_fullest(s);
	return bin < NA_SERIES_BINS ? bin : UINT64_MAX;
}

void na_job_seal_phase(struct na_job *host, const struct na_job_breakdown *b, const struct na_axis *axis)
{
	uint64_t bin = na_job_peak_bin(host, axis);
	const char *name = bin < NA_SERIES_BINS ? na_derive_phase(b, (uint32_t)bin) : NULL;

	memset(host->peak_phase, 0, sizeof(host->peak_phase));
	if (name)
		memcpy(host->peak_phase, name, strnlen(name, sizeof(host->peak_phase) - 1));
}

void na_record_phase_at(const struct na_record *r, const struct na_axis *axis, uint64_t bin, char name[NA_PHASE_NAME])
{
	const struct na_series *s = &r->series;
	uint64_t first = axis->begin_ms >> s->shift, at = first + bin - s->first;

	name[0] = '\0';
	if (s->count && first + bin >= s->first && at < s->count && s->phase[at] &&
	    s->phase[at] <= r->breakdown.phase_count)
		na_name_clean(name, r->breakdown.phases[s->phase[at] - 1].name, NA_PHASE_NAME);
}

void na_job_add(struct na_job *j, const struct na_record *r)
{
	struct na_where where = where_of(r);
	uint64_t values[NA_METRIC_COUNT_];
	struct na_job one;

	na_job_init(&one);
	copy_name(one.job, r->job);
	copy_name(one.host, r->host);
	copy_name(one.program, r->program);
	one.first = order_of(r);
	one.size = r->size;
	one.processes = 1;
	one.complete = (uint64_t)na_record_is_whole(r->state, r->role);
	one.aborted = r->state == NA_RECORD_ABORTED;
	one.topology_shared = r->topology_shared != 0;
	one.start_ms = r->start_ms;
	one.end_ms = r->update_ms;
	one.host_memory = r->host_memory == NA_UNKNOWN ? 0 : r->host_memory;
	one.cgroup_limit = r->cgroup_limit;
	one.request_bytes = r->request_bytes;
	one.request_source = r->request_source;
	one.huge_known = (r->huge_pages & NA_HUGE_KNOWN) != 0;
	one.huge_possible = (r->huge_pages & NA_HUGE_POSSIBLE) != 0;
	one.huge_asked = (r->huge_pages & NA_HUGE_ASKED) != 0;
	values_of(r, values);
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		if (values[i] != NA_UNKNOWN)
			one.metrics[i] = na_spread_of((int64_t)values[i], &where);
	fill_numa(&one, r);
	one.series = r->series;
	na_job_pauses_add(&one.pauses, &r->pauses, &where);
	na_job_merge(j, &one);
}

int na_job_check(const struct na_job *j)
{
	if (j->magic != NA_JOB_MAGIC || j->version != NA_JOB_VERSION || j->bytes != sizeof(*j))
		return -EINVAL;
	if (j->node_count > NA_MAX_NODES || !memchr(j->job, 0, NA_RECORD_NAME) || !memchr(j->host, 0, NA_RECORD_NAME) ||
	    !memchr(j->peak_phase, 0, NA_PHASE_NAME) || !memchr(j->program, 0, NA_RECORD_NAME) ||
	    !memchr(j->pauses.longest_at.host, 0, NA_RECORD_NAME) || j->complete + j->aborted > j->processes)
		return -EINVAL;
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		if (!na_spread_good(&j->metrics[i], j->processes))
			return -EINVAL;
	if (j->request_source > NA_REQUESTED_BY_SLURM_NODE || !na_spread_good(&j->hosts.live, j->processes) ||
	    !na_spread_good(&j->hosts.physical, j->processes) || !na_spread_good(&j->hosts.memory, j->processes) ||
	    !na_spread_good(&j->hosts.free, j->processes) || !na_spread_good(&j->hosts.processes, j->processes))
		return -EINVAL;
	return na_series_check(&j->series);
}

/* ---- the fullest hosts ---- */

/* Those of which nothing is known last. */
static int compare_room(const struct na_job *a, const struct na_job *b)
{
	uint64_t x = a->hosts.free.known ? (uint64_t)a->hosts.free.least : NA_UNKNOWN;
	uint64_t y = b->hosts.free.known ? (uint64_t)b->hosts.free.least : NA_UNKNOWN;

	if (x != y)
		return x < y ? -1 : 1;
	return strncmp(a->host, b->host, sizeof(a->host));
}

void na_fullest_add(struct na_fullest *into, const struct na_job *host)
{
	uint32_t at = into->count;

	while (at && compare_room(host, &into->hosts[at - 1]) < 0)
		at--;
	if (at == NA_JOB_FULLEST)
		return;
	if (into->count < NA_JOB_FULLEST)
		into->count++;
	memmove(&into->hosts[at + 1], &into->hosts[at], (into->count - 1 - at) * sizeof(*host));
	into->hosts[at] = *host;
}

size_t na_fullest_choose(const struct na_job *hosts, size_t count, const struct na_job *out[NA_JOB_HOSTS])
{
	size_t most = count > NA_JOB_HOSTS ? NA_JOB_FULLEST : count, n = 0, at;

	for (size_t i = 0; i < count; i++) {
		for (at = n; most < count && at && compare_room(&hosts[i], out[at - 1]) < 0; at--)
			;
		if (at == most)
			continue;
		n += n < most;
		memmove(&out[at + 1], &out[at], (n - 1 - at) * sizeof(*out));
		out[at] = &hosts[i];
	}
	return n;
}

/* Each host moves once at most, from the last place backwards: they are large. */
void na_fullest_merge(struct na_fullest *into, const struct na_fullest *other)
{
	uint32_t mine = 0, theirs = 0, at;

	while (mine + theirs < NA_JOB_FULLEST && (mine < into->count || theirs < other->count))
		if (theirs == other->count ||
		    (mine < into->count && compare_room(&into->hosts[mine], &other->hosts[theirs]) <= 0))
			mine++;
		else
			theirs++;
	at = into->count = mine + theirs;
	while (theirs)
		if (mine && compare_room(&into->hosts[mine - 1], &other->hosts[theirs - 1]) > 0)
			into->hosts[--at] = into->hosts[--mine];
		else
			into->hosts[--at] = other->hosts[--theirs];
}

/* ---- rows ---- */

struct na_row_axis na_row_axis(const struct na_axis *axis)
{
	struct na_row_axis a = { .shift = na_axis_shift_of(axis, NA_ROW_BINS) };

	if (axis->begin_ms < axis->end_ms)
		a.first = axis->begin_ms >> a.shift;
	while ((axis->most + (UINT64_C(1) << a.unit_shift) / 2) >> a.unit_shift >= NA_ROW_UNKNOWN)
		a.unit_shift++;
	return a;
}

/* Rounded to the nearest unit. */
static void fill_course(struct na_row *row, const struct na_series *s, const struct na_row_axis *axis)
{
	memset(row->live, 0xff, sizeof(row->live));
	for (uint32_t i = 0; axis && i < s->count && axis->shift >= s->shift; i++) {
		uint64_t at = ((s->first + i) >> (axis->shift - s->shift)) - axis->first;
		uint64_t half = (UINT64_C(1) << axis->unit_shift) / 2;
		uint64_t v = (s->value[NA_SERIES_LIVE][i] + half) >> axis->unit_shift;

		if (at >= NA_ROW_BINS) /* grown since the axis was agreed on */
			continue;
		v = v < NA_ROW_UNKNOWN ? v : NA_ROW_UNKNOWN - 1;
		if (row->live[at] == NA_ROW_UNKNOWN || row->live[at] < v)
			row->live[at] = (uint16_t)v;
	}
}

static void fill_cells(struct na_row *row, const struct na_record *r)
{
	for (uint32_t i = 0; r->peak_nodes_ms && i < r->peak_node_count; i++) {
		const struct na_node_figures *f = &r->peak_nodes[i];
		uint32_t at = row->cell_count;
		struct na_row_cell c = { .node = f->node,
					 .resident = (uint32_t)(f->resident_bytes >> 12),
					 .misplaced = f->misplaced_bytes == NA_UNKNOWN
							      ? UINT32_MAX
							      : (uint32_t)(f->misplaced_bytes >> 12) };

		if (f->resident_bytes == NA_UNKNOWN || !c.resident)
			continue;
		while (at && row->cells[at - 1].resident < c.resident)
			at--;
		if (at == NA_ROW_CELLS)
			continue;
		if (row->cell_count < NA_ROW_CELLS)
			row->cell_count++;
		memmove(&row->cells[at + 1], &row->cells[at], (row->cell_count - 1 - at) * sizeof(c));
		row->cells[at] = c;
	}
}

void na_row_fill(struct na_row *row, const struct na_record *r, const struct na_row_axis *axis)
{
	memset(row, 0, sizeof(*row));
	copy_name(row->host, r->host);
	copy_name(row->program, r->program);
	row->rank = r->rank;
	row->pid = r->pid;
	row->state = r->state;
	row->role = r->role;
	row->update_ms = r->update_ms;
	if (r->breakdown.innermost)
		na_name_clean(row->phase, r->breakdown.phases[r->breakdown.innermost - 1].name, sizeof(row->phase));
	values_of(r, row->value);
	fill_cells(row, r);
	fill_course(row, &r->series, axis);
	row->pause_count = na_pauses_copy(&r->pauses, row->pauses, NA_ROW_PAUSES);
}

double na_metric_imbalance(const struct na_spread *m)
{
	if (m->known == 0)
		return NAN;
	return m->sum ? (double)m->most / na_spread_mean(m) - 1.0 : 0.0;
}

uint64_t na_job_sum(const struct na_job *j, enum na_metric_id id)
{
	const struct na_spread *m = &j->metrics[id];

	return m->known == j->processes && j->processes ? m->sum : NA_UNKNOWN;
}
