/* SPDX-License-Identifier: BSD-3-Clause */
#include "analysis/analysis.h"

#include <string.h>

#include "analysis/rules.h"

const struct na_rule_info na_rule_table[NA_RULE_COUNT_] = {
#define NA_RULE(id, threshold, least, also, weight, text) { #id, threshold, least, also, weight, text },
#include "analysis/rules.def"
#undef NA_RULE
};

static na_rule_check *const checks[NA_RULE_COUNT_] = {
#define NA_RULE(id, threshold, least, also, weight, text) na_rule_check_##id,
#include "analysis/rules.def"
#undef NA_RULE
};

void na_analysis_unknown(struct na_analysis_input *in)
{
	memset(in, 0, sizeof(*in));
	in->live = in->peak = in->resident = in->misplaced = in->huge = in->reclaimable = NA_ANALYSIS_UNKNOWN;
	in->limit = in->room = in->ceiling = in->stalled = NA_ANALYSIS_UNKNOWN;
	in->cached_allocations = in->line_allocations = in->cache_refills = NA_ANALYSIS_UNKNOWN;
	in->releases = in->remote_releases = NA_ANALYSIS_UNKNOWN;
	in->large_allocations = in->large_reused = in->purged = NA_ANALYSIS_UNKNOWN;
}

/* Behind those that cost as much or more. */
static void insert(struct na_finding *out, size_t n, const struct na_finding *f)
{
	for (; n > 0 && out[n - 1].cost < f->cost; n--)
		out[n] = out[n - 1];
	out[n] = *f;
}

size_t na_analysis_run(const struct na_analysis_input *in, struct na_finding *out)
{
	size_t n = 0;

	for (int i = 0; i < NA_RULE_COUNT_; i++) {
		const struct na_rule_info *rule = &na_rule_table[i];
		struct na_finding f = { .rule = (enum na_rule_id)i, .threshold = rule->threshold };

		if (!checks[i](in, rule, &f) || f.value < rule->threshold)
			continue;
		f.cost = f.value * rule->weight / 100;
		insert(out, n++, &f);
	}
	return n;
}
