/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules, one function each: what it measures, in thousandths, whether its other conditions hold, and its two sentences. Private to
 * analysis/. */
#ifndef NA_ANALYSIS_RULES_H
#define NA_ANALYSIS_RULES_H

#include "analysis/analysis.h"

/* True if the rule applies: *f then has all but the cost. The threshold is held to it by na_analysis_run(). */
typedef bool na_rule_check(const struct na_analysis_input *in, const struct na_rule_info *rule, struct na_finding *f);

#define NA_RULE(id, threshold, least, also, weight, text) na_rule_check na_rule_check_##id;
#include "analysis/rules.def"
#undef NA_RULE

#endif
