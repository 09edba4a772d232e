/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/analysis.h: gathers the figures that the rules of analysis/ judge, and hands their sentences out. */
#include <numarena/analysis.h>

#include <string.h>

#include "analysis/analysis.h"
#include "api/error.h"
#include "api/life.h"
#include "base/options.h"
#include "base/text.h"
#include "heap/placed_nodes.h"
#include "heap/snapshot.h"
#include "os/hugepages.h"
#include "os/limit.h"
#include "pool/nodes.h"
#include "tracking/phases.h"
#include "tracking/timeline.h"

#define SAME(kind, id) _Static_assert((int)(kind) == (int)NA_RULE_##id, "the public enumeration is that of rules.def")
SAME(MEMORY_FINDING_LIMIT, limit);
SAME(MEMORY_FINDING_GROWTH, growth);
SAME(MEMORY_FINDING_STALLS, stalls);
SAME(MEMORY_FINDING_MISPLACED, misplaced);
SAME(MEMORY_FINDING_FRAGMENTATION, fragmentation);
SAME(MEMORY_FINDING_FALSE_SHARING, false_sharing);
SAME(MEMORY_FINDING_IMBALANCE, imbalance);
SAME(MEMORY_FINDING_CHURN, churn);
SAME(MEMORY_FINDING_THREAD_CACHE, thread_cache);
SAME(MEMORY_FINDING_HUGE_PAGES, huge_pages);
_Static_assert(MEMORY_FINDING_HUGE_PAGES + 1 == NA_RULE_COUNT_, "and ends where it does");
_Static_assert(NA_RULE_COUNT_ <= MEMORY_FINDINGS_MAX && NA_RULE_COUNT_ * NA_ANALYSIS_SENTENCE <= 4096,
	       "a result has room");
_Static_assert(sizeof(((memory_finding_t *)0)->bottleneck) == NA_ANALYSIS_SENTENCE, "sentences fit");

#define LINE 64
#define UNIT (NA_PHASE_NAME + 40)

static void add_heap(struct na_analysis_input *in, const struct na_snapshot *s)
{
	in->live = s->live_bytes;
	in->peak = s->peak_bytes;
	in->reclaimable = s->dirty_bytes;
	in->cache_refills = s->cache_refills;
	in->releases = s->releases;
	in->remote_releases = s->remote_releases;
	in->large_allocations = s->large_allocations;
	in->large_reused = s->large_reused;
	in->purged = s->purged_bytes;
	in->cached_allocations = in->line_allocations = 0;
	for (uint32_t i = 0; i < s->class_count; i++) {
		in->cached_allocations += s->class_allocations[i];
		in->line_allocations += s->class_size[i] < LINE ? s->class_allocations[i] : 0;
	}
}

static void add_nodes(struct na_analysis_input *in, const struct na_snapshot *s)
{
	uint32_t cpus[NA_MAX_POOLS] = { 0 };
	bool cpus_known = s->node_count > 1 && na_placed_count_cpus(cpus) > 0;

	in->resident = in->misplaced = in->huge = 0;
	in->node_count = s->node_count;
	for (uint32_t i = 0; i < s->node_count; i++) {
		const struct na_node_figures *f = &s->nodes[i];

		in->resident += f->resident_bytes;
		if (in->misplaced != NA_ANALYSIS_UNKNOWN)
			in->misplaced = f->misplaced_bytes == NA_UNKNOWN ? NA_ANALYSIS_UNKNOWN
									 : in->misplaced + f->misplaced_bytes;
		if (in->huge != NA_ANALYSIS_UNKNOWN)
			in->huge = f->huge_bytes == NA_UNKNOWN ? NA_ANALYSIS_UNKNOWN : in->huge + f->huge_bytes;
		in->nodes[i] = (struct na_analysis_node){ .node = f->node,
							  .cpus = cpus_known ? cpus[i] : UINT32_MAX,
							  .resident = f->resident_bytes,
							  .misplaced = f->misplaced_bytes };
	}
}

static void add_system(struct na_analysis_input *in)
{
	const char *mode = na_hugepages_mode();
	struct na_limits_pressure p;
	struct na_limits_memory m;

	na_limits_memory(&m);
	na_limits_pressure(&p);
	in->limit = na_pool_ask_limit();
	in->room = m.room;
	in->ceiling = m.ceiling;
	in->stalled = p.some_avg10 == NA_LIMIT_NONE ? NA_ANALYSIS_UNKNOWN : p.some_avg10 / 10;
	in->huge_possible = strcmp(mode, "always") == 0 || strcmp(mode, "madvise") == 0;
	in->huge_asked = __atomic_load_n(&na_options.hugepages, __ATOMIC_RELAXED) != NA_PAGES_ORDINARY;
}

/* By the ends of the phase that left most behind if they only ever rose, else by the bins of tracking's series that have a sample. `unit` is what the
 * points are called, and lives as long as the input. */
static void add_growth(struct na_analysis_input *in, char unit[UNIT])
{
	uint64_t ends[NA_PHASE_STRETCHES];
	char name[NA_PHASE_NAME];
	size_t stretches = na_phases_growth(ends, name);
	struct na_timeline_bin bins[NA_TIMELINE_BINS];
	uint64_t live[NA_TIMELINE_BINS], width;
	size_t n, count = 0;

	if (stretches) {
		struct na_text text = na_text_init(unit, UNIT);

		na_text_add(&text, "stretches of the ends of phase \"");
		na_text_add(&text, name);
		na_text_add(&text, "\"");
		na_analysis_growth_of(ends, stretches, unit, &in->growth);
		if (in->growth.rises + 1 == stretches)
			return;
	}
	n = na_timeline_copy(bins, NA_TIMELINE_BINS, &width);
	for (size_t i = 0; i < n; i++)
		if (bins[i].live != UINT64_MAX)
			live[count++] = bins[i].live;
	na_analysis_growth(live, count, "equal parts of the time that was tracked", &in->growth);
}

static void fill(analysis_result_t *result, const struct na_finding *f, size_t n)
{
	struct na_text bottlenecks = na_text_init(result->bottlenecks, sizeof(result->bottlenecks));
	struct na_text recommendations = na_text_init(result->recommendations, sizeof(result->recommendations));

	result->finding_count = n;
	for (size_t i = 0; i < n; i++) {
		memory_finding_t *out = &result->findings[i];

		out->kind = (memory_finding_kind_t)f[i].rule;
		out->value = (double)f[i].value / 1e3;
		out->threshold = (double)f[i].threshold / 1e3;
		out->cost = (double)f[i].cost / 1e3;
		memcpy(out->bottleneck, f[i].bottleneck, sizeof(out->bottleneck));
		memcpy(out->recommendation, f[i].recommendation, sizeof(out->recommendation));
		na_text_add(&bottlenecks, i ? " " : "");
		na_text_add(&bottlenecks, f[i].bottleneck);
		na_text_add(&recommendations, i ? " " : "");
		na_text_add(&recommendations, f[i].recommendation);
	}
	if (n == 0) {
		na_text_add(&bottlenecks, "none");
		na_text_add(&recommendations, "none");
	}
}

memory_error_t analyze_memory_system(analysis_result_t *result)
{
	struct na_finding findings[NA_RULE_COUNT_];
	struct na_analysis_input in;
	struct na_snapshot s;
	char unit[UNIT];

	if (!result)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "result is NULL");
	na_analysis_unknown(&in);
	na_heap_residency(&s);
	add_heap(&in, &s);
	add_nodes(&in, &s);
	add_system(&in);
	add_growth(&in, unit);
	memset(result, 0, sizeof(*result));
	fill(result, findings, na_analysis_run(&in, findings));
	return MEMORY_ERROR_NONE;
}
