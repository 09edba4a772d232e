/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules on figures alone: each edge of each threshold, from the table that the rules themselves use. */
#include "analysis/analysis.h"

#include <stdio.h>
#include <string.h>

#include "analysis/words.h"
#include "support/unit.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct na_finding found[NA_RULE_COUNT_];
static size_t count;

#define RULE(id) (&na_rule_table[NA_RULE_##id])

/* A program in good health, large enough that no amount excuses it. */
static struct na_analysis_input healthy(void)
{
	struct na_analysis_input in;

	na_analysis_unknown(&in);
	in.live = 900 * MIB;
	in.peak = 1000 * MIB;
	in.resident = 1000 * MIB;
	in.misplaced = 0;
	in.huge = 990 * MIB;
	in.reclaimable = 50 * MIB;
	in.limit = 8 * GIB;
	in.room = 5 * GIB;
	in.ceiling = 8 * GIB;
	in.stalled = 0;
	in.cached_allocations = 10000000;
	in.line_allocations = 5000000;
	in.cache_refills = 200000;
	in.releases = 9000000;
	in.remote_releases = 1000;
	in.large_allocations = 10000;
	in.large_reused = 9900;
	in.purged = 100 * MIB;
	in.huge_possible = true;
	in.node_count = 2;
	in.nodes[0] = (struct na_analysis_node){ 0, 4, 500 * MIB, 0 };
	in.nodes[1] = (struct na_analysis_node){ 3, 4, 500 * MIB, 0 };
	return in;
}

static void judge(const struct na_analysis_input *in)
{
	memset(found, 0x5a, sizeof(found));
	count = na_analysis_run(in, found);
	assert_true(count <= NA_RULE_COUNT_);
}

static const struct na_finding *finding(enum na_rule_id rule)
{
	for (size_t i = 0; i < count; i++)
		if (found[i].rule == rule)
			return &found[i];
	return NULL;
}

/* The rule alone speaks, with sentences that have each of the words. */
static void expect(const struct na_analysis_input *in, enum na_rule_id rule, const char *const *words)
{
	const struct na_finding *f;

	judge(in);
	f = finding(rule);
	if (!f)
		fail_msg("%s is silent", na_rule_table[rule].name);
	if (count != 1)
		fail_msg("%zu findings; the first: %s", count, found[0].bottleneck);
	assert_true(f->value >= f->threshold);
	assert_int_equal(f->threshold, na_rule_table[rule].threshold);
	assert_int_equal(f->cost, f->value * na_rule_table[rule].weight / 100);
	assert_true(strlen(f->bottleneck) < NA_ANALYSIS_SENTENCE - 1 && strlen(f->recommendation) < NA_ANALYSIS_SENTENCE - 1);
	assert_int_equal(f->bottleneck[strlen(f->bottleneck) - 1], '.');
	assert_int_equal(f->recommendation[strlen(f->recommendation) - 1], '.');
	assert_non_null(strpbrk(f->bottleneck, "0123456789")); /* each quotes its figures */
	assert_non_null(strpbrk(f->recommendation, "0123456789"));
	assert_null(strstr(f->bottleneck, "%?"));
	assert_null(strstr(f->recommendation, "%?"));
	for (; *words; words++)
		if (!strstr(f->bottleneck, *words) && !strstr(f->recommendation, *words))
			fail_msg("no \"%s\" in: %s %s", *words, f->bottleneck, f->recommendation);
}
#define EXPECT(in, id, ...) expect((in), NA_RULE_##id, (const char *const[]){ __VA_ARGS__, NULL })

static void silent(const struct na_analysis_input *in)
{
	judge(in);
	if (count)
		fail_msg("%s: %s", na_rule_table[found[0].rule].name, found[0].bottleneck);
}

static void nothing_is_wrong_with_a_healthy_program(void **state)
{
	struct na_analysis_input in = healthy();

	(void)state;
	silent(&in);
}

static void what_is_unknown_makes_rules_silent(void **state)
{
	struct na_analysis_input in;

	(void)state;
	na_analysis_unknown(&in);
	silent(&in);
	in.node_count = 4;
	for (uint32_t i = 0; i < 4; i++)
		in.nodes[i] = (struct na_analysis_node){ (int32_t)i, UINT32_MAX, NA_ANALYSIS_UNKNOWN, NA_ANALYSIS_UNKNOWN };
	silent(&in);
	memset(&in, 0, sizeof(in)); /* a process that has done nothing yet */
	silent(&in);
}

static void the_peak_near_the_limit(void **state)
{
	struct na_analysis_input in = healthy();

	(void)state;
	in.limit = 10000 * MIB;
	in.peak = 10 * MIB * RULE(limit)->threshold;
	EXPECT(&in, limit, "9.8 GiB", "90.0%", "NUMARENA_TOTAL_SIZE");
	in.peak -= 1;
	silent(&in);
	in.limit = RULE(limit)->least;
	in.peak = in.limit;
	EXPECT(&in, limit, "64.0 MiB");
	in.limit = in.peak = RULE(limit)->least - 1;
	silent(&in);
}

static void the_room_near_its_end(void **state)
{
	struct na_analysis_input in = healthy();

	(void)state;
	in.ceiling = 10000 * MIB;
	in.room = 10 * MIB * (1000 - RULE(limit)->threshold);
	EXPECT(&in, limit, "90.0%", "1000 MiB", "batch system");
	in.room += 1;
	silent(&in);
	in.room = 0;
	in.peak = in.limit / 100 * 95; /* of two that apply the nearer */
	EXPECT(&in, limit, "100.0%", "0 B are left");
	in.room = 600 * MIB;
	in.peak = in.limit / 100 * 99;
	EXPECT(&in, limit, "NUMARENA_TOTAL_SIZE");
	in.peak = 1000 * MIB;
	in.room = in.ceiling + 1; /* figures of two moments */
	silent(&in);
	in.ceiling = RULE(limit)->least - 1;
	in.room = 0;
	silent(&in);
}

static void growth_from_phase_to_phase(void **state)
{
	struct na_analysis_input in = healthy();
	uint64_t points[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		points[i] = (400 + 20 * (uint64_t)i) * MIB;
	na_analysis_growth_of(points, 8, "phases", &in.growth);
	EXPECT(&in, growth, "8 phases", "400 MiB", "540 MiB", "140 MiB", "25.9%", "20.0 MiB");
	points[4] = points[3]; /* one that does not grow */
	na_analysis_growth_of(points, 8, "phases", &in.growth);
	silent(&in);
	na_analysis_growth_of(points, 4, "phases", &in.growth);
	assert_int_equal(in.growth.rises, 3);
	silent(&in); /* 60 of 460 MiB: an eighth */
}

static void growth_at_its_edges(void **state)
{
	struct na_analysis_input in = healthy();
	const struct na_rule_info *rule = RULE(growth);
	uint64_t step = rule->least / 4; /* four steps of it are the least amount */
	uint64_t points[5];

	(void)state;
	for (uint64_t i = 0; i < 5; i++)
		points[i] = step * (1 + i);
	na_analysis_growth_of(points, 5, "phases", &in.growth);
	EXPECT(&in, growth, "16.0 MiB");
	points[0]++; /* a byte less of growth */
	na_analysis_growth_of(points, 5, "phases", &in.growth);
	silent(&in);
	for (uint64_t i = 0; i < 5; i++) /* exactly the share */
		points[i] = 1000 * MIB - (4 - i) * 10 * MIB * rule->threshold / 40;
	na_analysis_growth_of(points, 5, "phases", &in.growth);
	EXPECT(&in, growth, "20.0%");
	points[0] += MIB;
	na_analysis_growth_of(points, 5, "phases", &in.growth);
	silent(&in);
	for (uint64_t i = 0; i < 5; i++) /* fields are filled, and then it stays: the last step is a quarter of the mean, or less */
		points[i] = i < 4 ? (i + 1) * 150 * MIB : 0;
	points[4] = points[3] + 30 * MIB;
	na_analysis_growth_of(points, 5, "phases", &in.growth);
	EXPECT(&in, growth, "150 MiB");
	points[4] = points[3] + 29 * MIB;
	na_analysis_growth_of(points, 5, "phases", &in.growth);
	silent(&in);
	na_analysis_growth_of(points, 3, "phases", &in.growth); /* too few to call it growth */
	silent(&in);
	na_analysis_growth_of(points, 1, "phases", &in.growth);
	assert_int_equal(in.growth.points, 0);
}

/* What comes and goes within a stretch is no growth, and what stays at the bottom is. */
static void a_series_is_judged_by_its_low_points(void **state)
{
	struct na_analysis_growth g;
	uint64_t live[512];

	(void)state;
	for (size_t i = 0; i < 512; i++)
		live[i] = 100 * MIB + i * MIB + (i % 8 < 4 ? 0 : 500 * MIB);
	na_analysis_growth(live, 512, "stretches", &g);
	assert_int_equal(g.points, 8);
	assert_int_equal(g.rises, 7);
	assert_int_equal(g.first, 100 * MIB);
	assert_int_equal(g.last, (100 + 448) * MIB);
	assert_int_equal(g.last_step, 64 * MIB);
	for (size_t i = 0; i < 512; i++)
		live[i] = 100 * MIB + i % 64 * MIB;
	na_analysis_growth(live, 512, "stretches", &g);
	assert_int_equal(g.rises, 0);
	na_analysis_growth(live, 15, "stretches", &g);
	assert_int_equal(g.points, 0);
	na_analysis_growth(live, 16, "stretches", &g);
	assert_int_equal(g.points, 8);
}

static void stalls(void **state)
{
	struct na_analysis_input in = healthy();

	(void)state;
	in.stalled = RULE(stalls)->threshold;
	EXPECT(&in, stalls, "5.0%", "5.0 GiB");
	in.room = NA_ANALYSIS_UNKNOWN;
	EXPECT(&in, stalls, "unknown amount", "5.0%", "ten seconds");
	in.stalled--;
	silent(&in);
}

static void misplaced(void **state)
{
	struct na_analysis_input in = healthy();
	const struct na_rule_info *rule = RULE(misplaced);

	(void)state;
	in.nodes[0].misplaced = 10 * MIB;
	in.nodes[1].misplaced = 40 * MIB;
	in.misplaced = in.resident / 1000 * rule->threshold;
	EXPECT(&in, misplaced, "1000 MiB", "50.0 MiB", "5.0%", "node 3", "40.0 MiB");
	in.misplaced--;
	silent(&in);
	in.resident = 10 * rule->least;
	in.live = in.huge = in.resident;
	in.misplaced = rule->least;
	EXPECT(&in, misplaced, "4.0 MiB", "10.0%");
	in.misplaced--;
	silent(&in);
	in.misplaced = rule->least;
	in.node_count = 0; /* a job's sum, say */
	EXPECT(&in, misplaced, "4.0 MiB");
	in.resident = NA_ANALYSIS_UNKNOWN;
	silent(&in);
}

static void fragmentation(void **state)
{
	struct na_analysis_input in = healthy();
	const struct na_rule_info *rule = RULE(fragmentation);

	(void)state;
	in.live = in.resident / 1000 * (1000 - rule->threshold);
	EXPECT(&in, fragmentation, "1000 MiB", "500 MiB", "50.0%", "survivors");
	in.reclaimable = 251 * MIB; /* more than half of it */
	EXPECT(&in, fragmentation, "flush_memory_pools", "251 MiB");
	in.live++;
	silent(&in);
	in.resident = in.huge = 2 * rule->least;
	in.live = rule->least;
	EXPECT(&in, fragmentation, "16.0 MiB");
	in.resident--;
	in.huge--;
	in.live--;
	in.live++; /* a byte less than the amount */
	silent(&in);
	in.live = in.resident + 1; /* blocks that were never touched */
	silent(&in);
}

static void false_sharing(void **state)
{
	struct na_analysis_input in = healthy();
	const struct na_rule_info *rule = RULE(false_sharing);

	(void)state;
	in.remote_releases = in.releases / 1000 * rule->threshold;
	in.line_allocations = in.cached_allocations / 1000 * rule->also;
	EXPECT(&in, false_sharing, "20.0%", "1800000", "suspected");
	in.remote_releases--;
	silent(&in);
	in.remote_releases++;
	in.line_allocations--; /* handed over, but on lines of their own */
	silent(&in);
	in.line_allocations++;
	in.remote_releases = rule->least;
	in.releases = rule->least * 2;
	EXPECT(&in, false_sharing, "50.0%", "10000");
	in.remote_releases--;
	silent(&in);
}

static void imbalance(void **state)
{
	struct na_analysis_input in = healthy();
	const struct na_rule_info *rule = RULE(imbalance);

	(void)state;
	in.nodes[0].resident = 1000 * MIB; /* mean 600: 40 % less than the fullest */
	in.nodes[1].resident = 200 * MIB;
	assert_int_equal(rule->threshold, 400);
	EXPECT(&in, imbalance, "Node 0", "1000 MiB", "600 MiB", "40.0%", "2 nodes");
	in.nodes[1].resident += 2 * MIB;
	silent(&in);
	in.nodes[1].resident = 0;
	in.nodes[1].cpus = 0; /* the process does not run there: no fault of its own */
	silent(&in);
	in.nodes[1].cpus = UINT32_MAX; /* not known: all count */
	EXPECT(&in, imbalance, "50.0%");
	in.nodes[1].resident = NA_ANALYSIS_UNKNOWN;
	silent(&in);
	in.nodes[1].resident = 0;
	in.nodes[0].resident = rule->least;
	EXPECT(&in, imbalance, "64.0 MiB");
	in.nodes[0].resident--;
	silent(&in);
	in.node_count = 1;
	in.nodes[0].resident = 1000 * MIB;
	silent(&in);
}

static void churn_of_large_blocks(void **state)
{
	struct na_analysis_input in = healthy();
	const struct na_rule_info *rule = RULE(churn);

	(void)state;
	in.purged = in.peak / 1000 * rule->also;
	in.large_reused = in.large_allocations - in.large_allocations / 1000 * rule->threshold;
	EXPECT(&in, churn, "5000 of 10000", "50.0%", "3.9 GiB", "4.0 times");
	in.large_reused++;
	silent(&in);
	in.large_reused--;
	in.purged--; /* fresh, but only because there are more and more: nothing comes back */
	silent(&in);
	in.purged++;
	in.large_allocations = rule->least;
	in.large_reused = 0;
	EXPECT(&in, churn, "64 of 64", "100.0%");
	in.large_allocations--;
	silent(&in);
	in.large_allocations = 10000;
	in.large_reused = 10001; /* figures of two moments */
	silent(&in);
	in.large_reused = 0;
	in.peak = 0;
	silent(&in);
}

static void misses_of_thread_caches(void **state)
{
	struct na_analysis_input in = healthy();
	const struct na_rule_info *rule = RULE(thread_cache);

	(void)state;
	in.cache_refills = in.cached_allocations / 1000 * rule->threshold;
	EXPECT(&in, thread_cache, "90.0%", "1000000 of 10000000", "10.0%");
	in.cache_refills--;
	silent(&in);
	in.cached_allocations = rule->least;
	in.line_allocations = 0;
	in.cache_refills = rule->least;
	EXPECT(&in, thread_cache, "0.0%", "100000 of 100000", "100.0%");
	in.cached_allocations--;
	in.cache_refills--;
	silent(&in);
}

static void coverage_by_huge_pages(void **state)
{
	struct na_analysis_input in = healthy();
	const struct na_rule_info *rule = RULE(huge_pages);

	(void)state;
	in.huge = in.resident / 1000 * (1000 - rule->threshold);
	EXPECT(&in, huge_pages, "1000 MiB", "500 MiB", "50.0%", "NUMARENA_HUGEPAGES=1");
	in.huge_asked = true;
	EXPECT(&in, huge_pages, "finds no huge pages", "1000 MiB");
	in.huge_possible = false;
	EXPECT(&in, huge_pages, "switched on", "1000 MiB");
	in.huge++;
	silent(&in);
	in.huge = 0;
	in.resident = in.live = rule->least;
	EXPECT(&in, huge_pages, "256 MiB", "100.0%");
	in.resident--;
	silent(&in);
	in.huge = in.resident + 1;
	silent(&in);
}

/* All at once: ordered by cost, and the sentences still have their room. */
static void the_most_costly_comes_first(void **state)
{
	struct na_analysis_input in = healthy();
	uint64_t points[4] = { 100 * MIB, 200 * MIB, 300 * MIB, 400 * MIB };

	(void)state;
	in.peak = in.limit;
	in.misplaced = in.resident;
	in.live = 1;
	in.stalled = 1000;
	in.huge = 0;
	in.remote_releases = in.releases;
	in.line_allocations = in.cache_refills = in.cached_allocations;
	in.large_reused = 0;
	in.purged = 100 * in.peak;
	in.nodes[0].resident = 1000 * MIB;
	in.nodes[1].resident = 0;
	na_analysis_growth_of(points, 4, "phases", &in.growth);
	judge(&in);
	assert_int_equal(count, NA_RULE_COUNT_);
	for (size_t i = 1; i < count; i++) {
		assert_true(found[i].cost <= found[i - 1].cost);
		if (found[i].cost == found[i - 1].cost)
			assert_true(found[i].rule > found[i - 1].rule);
	}
	assert_int_equal(found[0].rule, NA_RULE_limit);
	assert_int_equal(found[count - 1].rule, NA_RULE_huge_pages);
}

/* The largest figures that there can be do not overflow a sum nor cut a sentence. */
static void the_largest_figures_have_room(void **state)
{
	struct na_analysis_input in = healthy();
	const uint64_t most = UINT64_MAX - 1;

	(void)state;
	in.live = 1;
	in.peak = in.limit = in.resident = in.misplaced = in.ceiling = in.purged = most;
	in.reclaimable = most;
	in.huge = in.room = 0;
	in.cached_allocations = in.line_allocations = in.cache_refills = in.releases = in.remote_releases = most;
	in.large_allocations = most;
	in.large_reused = 0;
	in.peak = most / 1000;
	judge(&in);
	assert_true(count >= 7);
	for (size_t i = 0; i < count; i++) {
		assert_true(strlen(found[i].bottleneck) < NA_ANALYSIS_SENTENCE - 1);
		assert_true(strlen(found[i].recommendation) < NA_ANALYSIS_SENTENCE - 1);
	}
}

static void figures_read_well(void **state)
{
	char w[NA_WORD];

	(void)state;
	assert_string_equal(na_word_bytes(w, 0), "0 B");
	assert_string_equal(na_word_bytes(w, 1023), "1023 B");
	assert_string_equal(na_word_bytes(w, KIB), "1.0 KiB");
	assert_string_equal(na_word_bytes(w, 12 * MIB + 300 * KIB), "12.3 MiB");
	assert_string_equal(na_word_bytes(w, 99 * MIB + 1000 * KIB), "100 MiB");
	assert_string_equal(na_word_bytes(w, UINT64_MAX), "16.0 EiB");
	assert_string_equal(na_word_percent(w, 1000), "100.0%");
	assert_string_equal(na_word_percent(w, 57), "5.7%");
	assert_string_equal(na_word_times(w, 12345), "12.3");
	assert_int_equal(na_share(1, 0), 0);
	assert_int_equal(na_share(UINT64_MAX, UINT64_MAX), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_wrong_with_a_healthy_program),
		cmocka_unit_test(what_is_unknown_makes_rules_silent),
		cmocka_unit_test(the_peak_near_the_limit),
		cmocka_unit_test(the_room_near_its_end),
		cmocka_unit_test(growth_from_phase_to_phase),
		cmocka_unit_test(growth_at_its_edges),
		cmocka_unit_test(a_series_is_judged_by_its_low_points),
		cmocka_unit_test(stalls),
		cmocka_unit_test(misplaced),
		cmocka_unit_test(fragmentation),
		cmocka_unit_test(false_sharing),
		cmocka_unit_test(imbalance),
		cmocka_unit_test(churn_of_large_blocks),
		cmocka_unit_test(misses_of_thread_caches),
		cmocka_unit_test(coverage_by_huge_pages),
		cmocka_unit_test(the_most_costly_comes_first),
		cmocka_unit_test(the_largest_figures_have_room),
		cmocka_unit_test(figures_read_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
