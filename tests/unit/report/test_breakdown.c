/* SPDX-License-Identifier: BSD-3-Clause */
/* What tracking knows, over many processes: sums, extremes with their process, tables that overflow, and a merge whose result depends on no order;
 * the rules on it. */
#include "support/unit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "records.h"
#include "report/judge.h"
#include "report/names.h"

#define RANKS 9
#define MIB   (UINT64_C(1) << 20)

static struct na_record r[RANKS];
static struct na_job_breakdown b;

static void ranks(void)
{
	for (int i = 0; i < RANKS; i++)
		record_make(&r[i], i, RANKS, i < 3 ? "alpha" : "beta");
}

/* Of all ranks, to whose width their series are brought. */
static const struct na_axis *axis(void)
{
	static struct na_axis all;

	na_axis_init(&all);
	for (int i = 0; i < RANKS; i++) {
		struct na_axis one = na_axis_of(&r[i].series);

		na_axis_join(&all, &one);
	}
	for (int i = 0; i < RANKS; i++)
		na_series_widen(&r[i].series, na_axis_shift(&all));
	return &all;
}

static void add_all(void)
{
	na_job_breakdown_init(&b);
	for (int i = 0; i < RANKS; i++)
		na_record_add_breakdown(&b, &r[i], axis());
	assert_int_equal(na_job_breakdown_check(&b), 0);
}

static const struct na_phase_sum *phase(const char *name)
{
	for (uint32_t i = 0; i < b.phase_count; i++)
		if (strcmp(b.phases[i].name, name) == 0)
			return &b.phases[i];
	return NULL;
}

static void adds_up(void **state)
{
	const struct na_phase_sum *p;

	(void)state;
	ranks();
	r[6].breakdown.phases[2] = r[6].breakdown.phases[0]; /* another order, of two */
	r[6].breakdown.phases[0] = r[6].breakdown.phases[1];
	r[6].breakdown.phases[1] = r[6].breakdown.phases[2];
	r[6].breakdown.phase_count = 2;
	add_all();
	assert_int_equal(phase("setup")->place, 0);
	assert_int_equal(phase("step")->place, 0);
	assert_int_equal(phase("only 3")->place, 2);
	ranks();
	add_all();
	assert_int_equal(phase("step")->place, 1);
	assert_int_equal(b.processes, RANKS);
	assert_int_equal(b.sampling, RANKS);
	assert_int_equal(b.phase_count, 2 + RANKS);
	p = phase("step");
	assert_int_equal(p->ns.known, RANKS);
	assert_int_equal(p->running, RANKS);
	assert_int_equal(p->entered, 10 * RANKS);
	assert_int_equal(p->ns.sum, 45000000);
	assert_int_equal(p->ns.most, 9000000);
	assert_int_equal(p->ns.most_at.rank, 8);
	assert_string_equal(p->ns.most_at.host, "beta");
	assert_int_equal(p->ns.least_at.rank, 0);
	assert_int_equal(p->left.sum, 45 * MIB);
	assert_int_equal(p->peak.most, 18 * MIB);
	p = phase("setup");
	assert_int_equal(p->ns.most_at.rank, 0); /* all equal: the lowest */
	assert_int_equal(p->left.most, 9 * MIB / 2);
	p = phase("only 4");
	assert_int_equal(p->ns.known, 1);
	assert_int_equal(p->left.sum, -1000);
	assert_int_equal(p->left.most_at.rank, 4);
	assert_int_equal(b.other_phases.ns.known, 0);
	assert_int_equal(b.classes[3].allocations, 900 * RANKS);
	assert_int_equal(b.classes[NA_CLASSES].fullest_bytes, 90 * MIB);
	assert_int_equal(b.pool_count, 1);
	assert_int_equal(b.pools[0].peak.sum, 90 * MIB);
	assert_int_equal(b.pools[0].peak.most_at.rank, 8);
	assert_int_equal(b.threads.sum, 4 * RANKS);
	assert_int_equal(b.threads_running, 2 * RANKS);
	assert_int_equal(b.busiest.thread, 1008);
	assert_int_equal(b.busiest_at.rank, 8);
	assert_int_equal(b.latency.samples, 3 * RANKS);
	assert_int_equal(b.latency.most, 9000);
	assert_int_equal(b.slowest_at.rank, 8);
	assert_int_equal(b.lifetimes.blocks[10], 90 * RANKS);
}

static void quantiles(void **state)
{
	struct na_times none = { 0 };

	(void)state;
	ranks();
	add_all();
	assert_in_range((int)na_times_quantile(&b.latency, 0.5), 19, 21);
	assert_in_range((int)na_times_quantile(&b.latency, 0.99), 19, 21);
	assert_in_range((int)na_times_quantile(&b.latency, 0.999), 8500, 9000);
	assert_in_range((int)na_times_quantile(&b.latency, 1.0), 8500, 9000);
	assert_in_range((int)na_times_mean(&b.latency), 69, 70);
	assert_true(na_lifetimes_quantile(b.lifetimes.blocks, 0.5) == 2048);
	assert_true(na_lifetimes_quantile(b.lifetimes.blocks, 0.9) == 2048);
	assert_true(na_lifetimes_quantile(b.lifetimes.blocks, 0.91) == 2147483648.0);
	assert_true(na_lifetimes_quantile(b.lifetimes.bytes, 0.5) == 2147483648.0);
	assert_true(isnan(na_times_quantile(&none, 0.5)) && isnan(na_times_mean(&none)));
	assert_true(isnan(na_lifetimes_quantile(none.bins, 0.5)));
}

/* Sixty phases that no other rank has, and thirteen pools: more than there is room for, of both. */
static void overfill(void)
{
	char name[64];

	ranks();
	for (int i = 0; i < RANKS; i++) {
		struct na_breakdown *of = &r[i].breakdown;

		for (int k = 0; k < 60; k++) {
			struct na_phase_part *p;

			snprintf(name, sizeof(name), "%c phase %d of %d", 'a' + k % 26, k, i);
			p = record_phase(&r[i], name, 1000u + (unsigned int)k, 5 * MIB, MIB);
			p->growth = (struct na_phase_growth){ MIB, (2 + (uint64_t)(k % 3)) * MIB, MIB, 4, 3 };
		}
		for (; of->pool_count < 13; of->pool_count++) {
			of->pools[of->pool_count] = (struct na_pool_part){ .pools = 1, .peak = MIB };
			snprintf(of->pools[of->pool_count].name, NA_BREAKDOWN_NAME, "pool %u of %d", of->pool_count, i);
		}
		of->other_pools = (struct na_pool_part){ .pools = 2, .peak = 3 * MIB, .allocations = 7 };
		assert_int_equal(na_breakdown_check(of), 0);
	}
}

static void what_finds_no_room_is_under_others(void **state)
{
	uint64_t entered = 0, pools = 0, peaks = 0;
	int64_t left = 0;

	(void)state;
	overfill();
	add_all();
	assert_int_equal(b.phase_count, NA_BREAKDOWN_PHASES);
	assert_int_equal(b.pool_count, NA_JOB_POOLS);
	assert_string_equal(b.other_phases.name, "(others)");
	assert_int_equal(b.other_phases.ns.known, RANKS * 63 - NA_BREAKDOWN_PHASES);
	for (uint32_t i = 0; i < b.phase_count; i++) {
		entered += b.phases[i].entered;
		left += b.phases[i].left.sum;
		assert_true(i == 0 || strcmp(b.phases[i - 1].name, b.phases[i].name) < 0);
	}
	assert_int_equal(entered + b.other_phases.entered, RANKS * 63 * 10); /* nothing is lost */
	assert_int_equal(left + b.other_phases.left.sum, RANKS * 60 * 4 * MIB + 45 * MIB / 2 + 45 * MIB - RANKS * 1000);
	assert_non_null(phase("a phase 0 of 0"));
	assert_null(phase("step")); /* among the last by name */
	assert_true(b.other_phases.growing > 0);
	for (uint32_t i = 0; i < b.pool_count; i++) {
		pools += b.pools[i].pools;
		peaks += (uint64_t)b.pools[i].peak.sum;
	}
	assert_int_equal(pools + b.other_pools.pools, RANKS * (13 + 2));
	assert_int_equal(peaks + (uint64_t)b.other_pools.peak.sum, RANKS * (12 + 3) * MIB + 90 * MIB);
}

/* Merges parts of one process each in a random tree. */
static void merge_by(unsigned int seed, struct na_job_breakdown *out)
{
	static struct na_job_breakdown parts[RANKS];
	int count = RANKS;

	for (int i = 0; i < RANKS; i++) {
		na_job_breakdown_init(&parts[i]);
		na_record_add_breakdown(&parts[i], &r[i], axis());
	}
	while (count > 1) {
		int from = (int)(rand_r(&seed) % (unsigned int)count);
		int with = (from + 1 + (int)(rand_r(&seed) % (unsigned int)(count - 1))) % count;

		na_job_breakdown_merge(&parts[from], &parts[with]);
		parts[with] = parts[count - 1];
		count--;
	}
	*out = parts[0];
}

static void any_tree_gives_the_same_bytes(void **state)
{
	static struct na_job_breakdown other;

	(void)state;
	for (int full = 0; full < 2; full++) {
		if (full)
			overfill();
		else
			ranks();
		r[3].breakdown.phases[0] = r[3].breakdown.phases[1];
		r[3].breakdown.phases[1] = r[2].breakdown.phases[0];
		for (int i = 0; i < RANKS; i++) /* begins elsewhere on the axis, and goes from phase to phase */
			for (uint32_t k = 0; k < r[i].series.count; k++)
				r[i].series.phase[k] = (uint8_t)((k + (uint32_t)i) % 4);
		na_series_add(&r[8].series, START_MS + 60000, MIB, MIB);
		r[5].breakdown.phases[1].ns = r[2].breakdown.phases[1].ns; /* ties across hosts */
		r[7].breakdown.threads.busiest.allocated_bytes = r[8].breakdown.threads.busiest.allocated_bytes;
		r[6].breakdown.latency.most = r[8].breakdown.latency.most;
		r[4].breakdown.latency = (struct na_times){ 0 }; /* one that samples nothing */
		r[4].breakdown.sample_mean = 0;
		add_all();
		for (unsigned int seed = 1; seed < 200; seed++) {
			merge_by(seed, &other);
			assert_memory_equal(&other, &b, sizeof(b));
		}
		na_job_breakdown_init(&other); /* the identity, on either side */
		na_job_breakdown_merge(&other, &b);
		assert_memory_equal(&other, &b, sizeof(b));
		na_job_breakdown_init(&other);
		na_job_breakdown_merge(&b, &other);
		na_job_breakdown_merge(&other, &b);
		assert_memory_equal(&other, &b, sizeof(b));
	}
}

static void damage_is_refused(void **state)
{
	static struct na_job_breakdown good;

	(void)state;
	ranks();
	add_all();
	good = b;
#define REFUSED(change)                                                                                                \
	do {                                                                                                           \
		b = good;                                                                                              \
		change;                                                                                                \
		assert_int_equal(na_job_breakdown_check(&b), -EINVAL);                                                 \
	} while (0)
	REFUSED(b.magic ^= 1);
	REFUSED(b.version++);
	REFUSED(b.bytes--);
	REFUSED(b.phase_count = NA_BREAKDOWN_PHASES + 1);
	REFUSED(b.pool_count = NA_JOB_POOLS + 1);
	REFUSED(b.sampling = b.processes + 1);
	REFUSED(memset(b.phases[1].name, 'x', sizeof(b.phases[1].name)));
	REFUSED(b.phases[1].name[0] = '\0');
	REFUSED(b.phases[0].peak.known = b.processes + 1);
	REFUSED(b.phases[0].left.least = b.phases[0].left.most + 1);
	REFUSED(memset(b.phases[0].ns.most_at.host, 'x', NA_RECORD_NAME));
	REFUSED(memset(b.phases[0].growth_at.host, 'x', NA_RECORD_NAME));
	REFUSED(memset(b.pools[0].name, 'x', sizeof(b.pools[0].name)));
	REFUSED(memset(b.other_pools.peak.least_at.host, 'x', NA_RECORD_NAME));
	REFUSED(memset(b.busiest_at.host, 'x', NA_RECORD_NAME));
	REFUSED(memset(b.slowest_at.host, 'x', NA_RECORD_NAME));
}

static void names_that_no_text_can_carry(void **state)
{
	static const struct {
		const char *name, *clean, *ascii;
	} cases[] = { { "plain", "plain", "plain" },
		      { "L\xc3\xb6sung", "L\xc3\xb6sung", "L?sung" },
		      { "a\nb\x7f\x1b[0m", "a?b??[0m", "a?b??[0m" },
		      { "\xff\xc3", "??", "??" },
		      { "\xc0\xaf", "??", "??" },		 /* longer than need be */
		      { "\xed\xa0\x80", "???", "???" },		 /* half of a surrogate */
		      { "\xf4\x90\x80\x80", "????", "????" },	 /* past the last */
		      { "\xf0\x9f\x90\x98", "\xf0\x9f\x90\x98", "?" },
		      { "\xe2\x82", "??", "??" } };
	char out[48];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		na_name_clean(out, cases[i].name, sizeof(out));
		assert_string_equal(out, cases[i].clean);
		na_name_ascii(out, cases[i].name, sizeof(out));
		assert_string_equal(out, cases[i].ascii);
	}
	na_name_clean(out, "0123456789", 8);
	assert_string_equal(out, "0123456");
}

/* ---- the phase of a node's peak ---- */

/* Record i lives in phase 1 + (k + shift) % 2 in bin k of its series, and has most in bin `top`. */
static void live_in(struct na_record *record, uint32_t top, uint32_t shift)
{
	struct na_series *s = &record->series;

	for (uint32_t k = 0; k < s->count; k++) {
		s->phase[k] = (uint8_t)(1 + (k + shift) % 2);
		s->value[NA_SERIES_LIVE][k] = k == top ? 50 * MIB : MIB;
	}
}

static void a_nodes_peak_has_the_phase_of_its_own_ranks(void **state)
{
	static struct na_job host[2];
	static struct na_job_breakdown own;

	(void)state;
	ranks();
	for (int i = 0; i < RANKS; i++)
		live_in(&r[i], i < 3 ? 1 : 2, i == 0 || i == 4); /* one of each node disagrees with its others */
	axis();
	for (int h = 0; h < 2; h++) {
		uint64_t counts[2] = { 0 };
		char name[NA_PHASE_NAME];

		na_job_init(&host[h]);
		na_job_breakdown_init(&own);
		for (int i = h ? 3 : 0; i < (h ? RANKS : 3); i++) {
			na_job_add(&host[h], &r[i]);
			na_record_add_breakdown(&own, &r[i], axis());
		}
		na_job_seal(&host[h]);
		assert_string_equal(host[h].peak_phase, "");
		na_job_seal_phase(&host[h], &own, axis());
		/* The same, counted one by one, as it is from the records of a dead job. */
		for (int i = h ? 3 : 0; i < (h ? RANKS : 3); i++) {
			na_record_phase_at(&r[i], axis(), na_job_peak_bin(&host[h], axis()), name);
			counts[strcmp(name, r[i].breakdown.phases[1].name) == 0]++;
		}
		assert_int_equal(counts[0] + counts[1], h ? RANKS - 3 : 3);
		assert_string_equal(host[h].peak_phase, r[0].breakdown.phases[counts[1] > counts[0]].name);
	}
	assert_string_not_equal(host[0].peak_phase, host[1].peak_phase);
	/* Of both there is none: each had its own moment. */
	na_job_merge(&host[0], &host[1]);
	assert_string_equal(host[0].peak_phase, "");
	assert_int_equal(na_job_check(&host[0]), 0);
	na_record_phase_at(&r[0], axis(), UINT64_MAX - 5, host[0].peak_phase);
	assert_string_equal(host[0].peak_phase, "");
}

/* ---- the rules ---- */

static struct na_finding found[NA_JOB_RULE_END_];

static size_t judge(void)
{
	static struct na_job job, hosts[2];
	struct na_report report = { .job = &job, .breakdown = &b, .hosts = hosts, .host_count = 2, .mpi = 1 };

	add_all();
	na_job_init(&job);
	na_job_init(&hosts[0]);
	na_job_init(&hosts[1]);
	for (int i = 0; i < RANKS; i++)
		na_job_add(&hosts[i >= 3], &r[i]);
	for (int i = 0; i < 2; i++) {
		na_job_seal(&hosts[i]);
		na_job_merge(&job, &hosts[i]);
	}
	return na_judge(&report, found);
}

static const struct na_finding *finding(size_t n, int rule)
{
	for (size_t i = 0; i < n; i++)
		if ((int)found[i].rule == rule)
			return &found[i];
	return NULL;
}

static void grow(int rank, int phase_at, uint64_t last, uint32_t points, uint32_t rises)
{
	struct na_phase_part *p = &r[rank].breakdown.phases[phase_at];

	p->allocated_bytes = p->released_bytes + last;
	p->growth = (struct na_phase_growth){ MIB, last, (last - MIB) / points, points, rises };
}

static void growth_is_judged_by_phase_and_rank(void **state)
{
	const struct na_finding *f;

	(void)state;
	ranks();
	assert_null(finding(judge(), NA_RULE_growth));
	grow(2, 1, 100 * MIB, 8, 7);
	grow(5, 1, 150 * MIB, 8, 7);
	grow(7, 0, 140 * MIB, 8, 7);
	f = finding(judge(), NA_RULE_growth);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "8 stretches of the ends of phase \"step\" on rank 5, beta (so on 2 of the 9 that have it)"));
	assert_non_null(strstr(f->bottleneck, "from 1.0 MiB to 150 MiB"));
	assert_int_equal(phase("step")->growing, 2);
	grow(5, 1, 150 * MIB, 8, 6); /* once it did not rise */
	f = finding(judge(), NA_RULE_growth);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "phase \"setup\" on rank 7"));
	r[7].breakdown.phases[0].released_bytes = r[7].breakdown.phases[0].allocated_bytes - 69 * MIB; /* less than half by this phase */
	f = finding(judge(), NA_RULE_growth);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "on rank 2, alpha (so on 1 of the 9"));
	grow(2, 1, 100 * MIB, 7, 6); /* too few to tell */
	assert_null(finding(judge(), NA_RULE_growth));
}

static void growth_is_judged_by_the_series_where_no_phase_tells(void **state)
{
	const struct na_finding *f;

	(void)state;
	ranks();
	for (int i = 0; i < RANKS; i++) {
		na_series_init(&r[i].series);
		for (uint64_t ms = 0; ms < 4000; ms += 16)
			na_series_add(&r[i].series, START_MS + ms, (10 + ms / 16) * MIB / 8, MIB);
	}
	f = finding(judge(), NA_RULE_growth);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "8 equal parts of the job's time"));
}

static void the_fullest_host_is_named(void **state)
{
	const struct na_finding *f;

	(void)state;
	ranks();
	for (int i = 0; i < RANKS; i++) {
		r[i].cgroup_limit = 1000 * MIB;
		na_series_init(&r[i].series);
		na_series_add(&r[i].series, START_MS, MIB, (i < 3 ? 100 : 160) * MIB);
	}
	f = finding(judge(), NA_RULE_limit);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "On host beta, when it was fullest:"));
	assert_non_null(strstr(f->bottleneck, "960 MiB"));
	for (int i = 3; i < RANKS; i++) /* 6 x 200: more than one limit can have held, so each has its own */
		na_series_add(&r[i].series, START_MS, MIB, 200 * MIB);
	assert_null(finding(judge(), NA_RULE_limit));
	for (int i = 0; i < 3; i++)
		na_series_add(&r[i].series, START_MS, MIB, 310 * MIB);
	f = finding(judge(), NA_RULE_limit);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "On host alpha, when it was fullest:"));
}

static void one_rank_with_most(void **state)
{
	const struct na_finding *f;

	(void)state;
	ranks();
	for (int i = 0; i < RANKS; i++)
		r[i].heap.peak_bytes = 200 * MIB;
	assert_null(finding(judge(), NA_JOB_RULE_rank_imbalance));
	r[4].heap.peak_bytes = 700 * MIB;
	f = finding(judge(), NA_JOB_RULE_rank_imbalance);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "rank 4, beta peaked at 700 MiB, while the mean of the 9 processes is 25"));
	for (int i = 0; i < RANKS; i++) /* as uneven, but small */
		r[i].heap.peak_bytes = (i == 4 ? 50 : 10) * MIB;
	assert_null(finding(judge(), NA_JOB_RULE_rank_imbalance));
}

static void rise(struct na_record *one, uint64_t step)
{
	na_series_init(&one->series);
	for (uint64_t ms = 0; ms < 4000; ms += 16)
		na_series_add(&one->series, START_MS + ms, 64 * MIB + ms / 16 * step, MIB);
}

static void one_rank_that_leaks(void **state)
{
	const struct na_finding *f;

	(void)state;
	ranks();
	for (int i = 0; i < RANKS; i++)
		rise(&r[i], 0);
	assert_null(finding(judge(), NA_JOB_RULE_leaking_rank));
	rise(&r[6], MIB);
	f = finding(judge(), NA_JOB_RULE_leaking_rank);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "Live memory of rank 6, beta rose in each part of its time, by 218 MiB"));
	assert_null(finding(judge(), NA_RULE_growth)); /* said once */
	for (int i = 0; i < RANKS; i++) /* all do: the job grows, no rank of it does more than others */
		rise(&r[i], MIB);
	assert_null(finding(judge(), NA_JOB_RULE_leaking_rank));
	assert_non_null(finding(judge(), NA_RULE_growth));
}

static void more_asked_for_than_used(void **state)
{
	const struct na_finding *f;

	(void)state;
	ranks();
	for (int i = 0; i < RANKS; i++) {
		r[i].request_bytes = UINT64_C(2) << 30;
		r[i].request_source = NA_REQUESTED_BY_SLURM_NODE;
		na_series_init(&r[i].series);
		na_series_add(&r[i].series, START_MS, MIB, 100 * MIB);
	}
	f = finding(judge(), NA_JOB_RULE_over_requested); /* 6 x 100 on beta */
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "had 2.0 GiB on each host (SLURM_MEM_PER_NODE), of which the fullest, beta, used 600 MiB"));
	assert_non_null(strstr(f->recommendation, "--mem=660M"));
	r[8].state = NA_RECORD_ABORTED; /* nobody knows what it would have come to */
	assert_null(finding(judge(), NA_JOB_RULE_over_requested));
	r[8].state = NA_RECORD_COMPLETE;
	for (int i = 0; i < RANKS; i++)
		r[i].request_bytes = UINT64_C(1200) << 20;
	assert_null(finding(judge(), NA_JOB_RULE_over_requested));
}

static void what_the_kernel_said(void **state)
{
	const struct na_finding *f;

	(void)state;
	ranks();
	for (int i = 0; i < RANKS; i++)
		r[i].stalled = 49000;
	assert_null(finding(judge(), NA_RULE_stalls));
	r[7].stalled = 120000;
	f = finding(judge(), NA_RULE_stalls);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "On host beta, when it waited most: Tasks waited for memory during 12.0%"));
}

static void nodes_that_are_not_filled_alike(void **state)
{
	const struct na_finding *f;

	(void)state;
	ranks();
	for (int i = 0; i < RANKS; i++) {
		r[i].peak_nodes[0].resident_bytes = 100 * MIB;
		r[i].peak_nodes[1].resident_bytes = MIB;
	}
	assert_null(finding(judge(), NA_RULE_imbalance)); /* perhaps on purpose */
	for (int i = 0; i < RANKS; i++)
		r[i].node_cpus[0] = r[i].node_cpus[1] = 2;
	f = finding(judge(), NA_RULE_imbalance);
	assert_non_null(f);
	assert_non_null(strstr(f->bottleneck, "Node 0 holds 900 MiB"));
	for (int i = 0; i < RANKS; i++)
		r[i].node_cpus[1] = 0;
	assert_null(finding(judge(), NA_RULE_imbalance));
}

static void pages_that_are_not_huge(void **state)
{
	const struct na_finding *f;

	(void)state;
	ranks();
	for (int i = 0; i < RANKS; i++)
		r[i].peak_nodes[0].resident_bytes = 200 * MIB;
	assert_null(finding(judge(), NA_RULE_huge_pages));
	for (int i = 0; i < RANKS; i++)
		r[i].huge_pages = NA_HUGE_KNOWN | NA_HUGE_POSSIBLE;
	f = finding(judge(), NA_RULE_huge_pages);
	assert_non_null(f);
	assert_non_null(strstr(f->recommendation, "Set NUMARENA_HUGEPAGES=1"));
	for (int i = 0; i < RANKS; i++)
		r[i].peak_nodes[0].huge_bytes = 180 * MIB;
	assert_null(finding(judge(), NA_RULE_huge_pages));
}

static void phases_over_time(void **state)
{
	(void)state;
	ranks();
	for (int i = 0; i < RANKS; i++)
		for (uint32_t k = 0; k < r[i].series.count; k++)
			r[i].series.phase[k] = (uint8_t)(i < 4 ? 1 : k < 10 ? 2 : 0); /* setup, step */
	add_all();
	assert_int_equal(phase("setup")->when[5], 4);
	assert_int_equal(phase("step")->when[5], 5);
	assert_int_equal(phase("step")->when[10], 0);
	assert_int_equal(phase("only 3")->when[5], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_up),
		cmocka_unit_test(quantiles),
		cmocka_unit_test(what_finds_no_room_is_under_others),
		cmocka_unit_test(any_tree_gives_the_same_bytes),
		cmocka_unit_test(a_nodes_peak_has_the_phase_of_its_own_ranks),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(names_that_no_text_can_carry),
		cmocka_unit_test(growth_is_judged_by_phase_and_rank),
		cmocka_unit_test(growth_is_judged_by_the_series_where_no_phase_tells),
		cmocka_unit_test(the_fullest_host_is_named),
		cmocka_unit_test(one_rank_with_most),
		cmocka_unit_test(one_rank_that_leaks),
		cmocka_unit_test(more_asked_for_than_used),
		cmocka_unit_test(what_the_kernel_said),
		cmocka_unit_test(nodes_that_are_not_filled_alike),
		cmocka_unit_test(pages_that_are_not_huge),
		cmocka_unit_test(phases_over_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
