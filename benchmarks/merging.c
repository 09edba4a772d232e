/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * merging RANKS RANKS-PER-NODE: the merge of job reports, driven as mpi/reduce.c does it, with that many made-up records: binomial trees within nodes, then
 * over nodes. Every record is added and merged; what one process on the critical path does is the time of its own record, and of each level the time of one
 * merge, of which the median over all of that level counts. The trees are walked depth first, so that two aggregates a
 * level are in memory at a time, as they would be on as many machines. Prints JSON: times in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measures.h"
#include "report/job.h"
#include "report/rows.h"
#include "tracking/histogram.h"

#define START_MS UINT64_C(1795439263000)
#define LEVELS	 24
#define KEPT	 4096 /* times of a level */

struct sum {
	struct na_job job;
	struct na_job_breakdown breakdown;
};

struct times {
	double us[KEPT];
	size_t count; /* of all, also those not kept */
};

static struct times leaves, levels[2][LEVELS]; /* within nodes; over them */
static struct sum *stack[2][LEVELS];
static struct na_fullest *fullest[LEVELS];
static struct na_record record;
static struct na_axis axis;
static int ranks, per_node;
static size_t packed; /* bytes of all rows */

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void keep(struct times *t, double us)
{
	if (t->count < KEPT)
		t->us[t->count] = us;
	t->count++;
}

static void *need(size_t size)
{
	void *p = calloc(1, size);

	if (!p) {
		fprintf(stderr, "merging: no memory\n");
		exit(1);
	}
	return p;
}

/* Ranks of one program: the same phases but for one, 24 call stacks of which two are a rank's own, and figures that differ. */
static void make(int rank)
{
	struct na_record *r = &record;
	unsigned int seed = (unsigned int)rank * 2654435761u;
	uint64_t live = (UINT64_C(500) << 20) + (uint64_t)(rand_r(&seed) % (1 << 26));

	snprintf(r->host, sizeof(r->host), "node%05d", rank / per_node);
	r->rank = rank;
	r->pid = 1000 + rank % per_node;
	r->heap.live_bytes = live / 3;
	r->heap.peak_bytes = r->peak_nodes_live = live;
	r->heap.allocations = 1000000 + (uint64_t)(rand_r(&seed) % 100000);
	r->physical = r->peak_physical = r->pss = live + live / 8;
	r->wall_ns = UINT64_C(3600000000000) + (uint64_t)(rand_r(&seed) % 1000000000);
	for (uint32_t i = 0; i < r->breakdown.phase_count; i++)
		r->breakdown.phases[i].ns = r->wall_ns / 20 + (uint64_t)(rand_r(&seed) % 100000000);
	for (int i = 0; i < NA_ROW_PAUSES; i++)
		na_pauses_add(&r->pauses,
			      &(struct na_pause){ .moment_ns = (START_MS + (uint64_t)i * 60000 + (uint64_t)(rand_r(&seed) % 1000)) * 1000000,
						  .ns = (uint64_t)(rand_r(&seed) % 1000000),
						  .bytes = (uint64_t)(rand_r(&seed) % (1 << 24)) });
	snprintf(r->breakdown.phases[3].name, NA_PHASE_NAME, "refine %d", rank % 100);
	for (uint32_t i = 0; i < r->series.count; i++)
		r->series.value[NA_SERIES_LIVE][i] = live / 2 + (uint64_t)(rand_r(&seed) % (1 << 28));
	for (int i = 0; i < 2; i++)
		snprintf(r->breakdown.sites[i].frames, NA_SITE_TEXT,
			 "exchange_%d (solver)\nstep (solver)\nmain (solver)", rank * 2 + i);
}

static void prepare(void)
{
	struct na_record *r = &record;

	na_record_init(r);
	snprintf(r->job, sizeof(r->job), "4711");
	snprintf(r->program, sizeof(r->program), "solver");
	r->role = NA_RECORD_RANK;
	r->state = NA_RECORD_COMPLETE;
	r->size = ranks;
	r->start_ms = START_MS;
	r->update_ms = START_MS + 3600000;
	r->host_memory = UINT64_C(256) << 30;
	r->heap.node_count = r->peak_node_count = 8;
	r->peak_nodes_ms = r->residency_ms = START_MS;
	for (int i = 0; i < 8; i++)
		r->heap.nodes[i] = r->peak_nodes[i] = (struct na_node_figures){ .node = i, .resident_bytes = 64 << 20 };
	for (int i = 0; i < NA_SERIES_BINS; i++)
		na_series_add(&r->series, START_MS + (uint64_t)i * 3600000 / NA_SERIES_BINS, 1, 1);
	r->breakdown.phase_count = 12;
	for (uint32_t i = 0; i < 12; i++)
		snprintf(r->breakdown.phases[i].name, NA_PHASE_NAME, "phase %u", i);
	for (uint32_t i = 0; i < r->series.count; i++)
		r->series.phase[i] = (uint8_t)(1 + i % 12);
	r->breakdown.site_count = NA_BREAKDOWN_SITES;
	for (int i = 0; i < NA_BREAKDOWN_SITES; i++) {
		snprintf(r->breakdown.sites[i].frames, NA_SITE_TEXT,
			 "allocate_%d (solver)\nassemble (solver)\nmain (solver)", i);
		r->breakdown.sites[i].bytes = 1 << 20;
	}
	r->breakdown.latency.samples = 1000;
	axis = na_axis_of(&r->series);
	axis.most = UINT64_C(1) << 30;
}

static void leaf(struct sum *out, int rank)
{
	struct na_row_axis rows = na_row_axis(&axis);
	static unsigned char bytes[NA_ROW_PACKED];
	static struct na_row row;
	double begin;

	make(rank);
	begin = now_us();
	na_row_fill(&row, &record, &rows);
	packed += na_row_pack(&row, bytes);
	memset(out, 0, sizeof(*out));
	na_job_init(&out->job);
	na_job_add(&out->job, &record);
	na_job_breakdown_init(&out->breakdown);
	na_record_add_breakdown(&out->breakdown, &record, &axis);
	keep(&leaves, now_us() - begin);
}

/* top, others: of hosts; NULL within a node. */
static void merge(struct sum *into, const struct sum *other, struct na_fullest *top, const struct na_fullest *others,
		  struct times *t)
{
	double begin = now_us();

	na_job_merge(&into->job, &other->job);
	na_job_breakdown_merge(&into->breakdown, &other->breakdown);
	if (top && (ranks + per_node - 1) / per_node > NA_JOB_HOSTS)
		na_fullest_merge(top, others);
	keep(t, now_us() - begin);
}

/* Ranks [first, first + count) of a node, into *out; `level` of those below. */
static void node(struct sum *out, int first, int count, int level)
{
	int half = 1;

	if (count == 1) {
		leaf(out, first);
		return;
	}
	while (half * 2 < count)
		half *= 2;
	node(out, first, half, level + 1);
	node(stack[0][level], first + half, count - half, level + 1);
	merge(out, stack[0][level], NULL, NULL, &levels[0][level]);
}

static void nodes(struct sum *out, struct na_fullest *top, int first, int count, int level)
{
	int half = 1, begin = first * per_node;

	if (count == 1) {
		node(out, begin, ranks - begin < per_node ? ranks - begin : per_node, 0);
		na_job_seal(&out->job);
		memset(top, 0, sizeof(*top));
		na_fullest_add(top, &out->job);
		return;
	}
	while (half * 2 < count)
		half *= 2;
	nodes(out, top, first, half, level + 1);
	nodes(stack[1][level], fullest[level], first + half, count - half, level + 1);
	merge(out, stack[1][level], top, fullest[level], &levels[1][level]);
}

static double median(struct times *t)
{
	size_t n = t->count < KEPT ? t->count : KEPT;

	qsort(t->us, n, sizeof(*t->us), ascending);
	return n ? t->us[n / 2] : 0;
}

static void print(const struct sum *all, const struct na_fullest *top)
{
	double critical = median(&leaves);
	int used[2] = { 0, 0 }, hosts = (ranks + per_node - 1) / per_node;
	size_t leader = 2 * sizeof(struct sum), sums, rows;

	for (int part = 0; part < 2; part++)
		for (int i = 0; i < LEVELS && levels[part][i].count; i++) {
			critical += median(&levels[part][i]);
			used[part]++;
		}
	/* The room for others' breakdowns and hosts is free again when rows come in. */
	sums = leader + (hosts > NA_JOB_HOSTS ? 2 * sizeof(*top) : (size_t)hosts * sizeof(struct na_job));
	rows = sums - sizeof(struct na_job_breakdown) + (size_t)ranks * 2 * sizeof(int) + packed;
	printf("{\"ranks\": %d, \"nodes\": %d, \"levels_within\": %d, \"levels_over\": %d, \"leaf_us\": %.1f, "
	       "\"merge_us\": %.1f, \"critical_us\": %.1f, \"record_bytes\": %zu, \"leader_bytes\": %zu, "
	       "\"root_bytes\": %zu, "
	       "\"processes\": %llu, \"hosts_named\": %u}\n",
	       ranks, hosts, used[0], used[1], median(&leaves), used[1] ? median(&levels[1][used[1] - 1]) : 0, critical,
	       sizeof(*all), leader, ranks <= NA_JOB_ROWS && rows > sums ? rows : sums, (unsigned long long)all->job.processes, top->count);
}

int main(int argc, char **argv)
{
	struct sum *all;
	struct na_fullest *top;

	ranks = argc > 1 ? atoi(argv[1]) : 0;
	per_node = argc > 2 ? atoi(argv[2]) : 64;
	if (ranks < 1 || per_node < 1 || ranks > 1 << 22) {
		fprintf(stderr, "usage: merging RANKS RANKS-PER-NODE, 1 to %d\n", 1 << 22);
		return 2;
	}
	all = need(sizeof(*all));
	top = need(sizeof(*top));
	for (int i = 0; i < LEVELS; i++) {
		stack[0][i] = need(sizeof(**stack[0]));
		stack[1][i] = need(sizeof(**stack[1]));
		fullest[i] = need(sizeof(*top));
	}
	prepare();
	nodes(all, top, 0, (ranks + per_node - 1) / per_node, 0);
	if (na_job_check(&all->job) < 0 || na_job_breakdown_check(&all->breakdown) < 0 ||
	    all->job.processes != (uint64_t)ranks || all->breakdown.processes != (uint64_t)ranks) {
		fprintf(stderr, "merging: the sum is wrong\n");
		return 1;
	}
	print(all, top);
	return 0;
}
