/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of rules.def; see rules.h. A figure that is unknown is the largest of all numbers: known() is asked first. */
#include "analysis/rules.h"

#include "analysis/words.h"
#include "base/log.h"

static bool known(uint64_t a, uint64_t b)
{
	return a != NA_ANALYSIS_UNKNOWN && b != NA_ANALYSIS_UNKNOWN;
}

#define SAY(where, ...) na_format((where), NA_ANALYSIS_SENTENCE, __VA_ARGS__)

static bool near_limit(const struct na_analysis_input *in, const struct na_rule_info *rule, struct na_finding *f)
{
	char peak[NA_WORD], limit[NA_WORD], share[NA_WORD];

	if (!known(in->peak, in->limit) || in->limit < rule->least)
		return false;
	f->value = na_share(in->peak, in->limit);
	SAY(f->bottleneck, "Live memory has reached %s, %s of the %s that the pools may hold.",
	    na_word_bytes(peak, in->peak), na_word_percent(share, f->value), na_word_bytes(limit, in->limit));
	SAY(f->recommendation,
	    "Run on more nodes or with fewer ranks on each, or raise the limit of %s (NUMARENA_TOTAL_SIZE, or the "
	    "batch "
	    "system's): a little more than the peak of %s and allocations fail.",
	    limit, peak);
	return true;
}

static bool near_ceiling(const struct na_analysis_input *in, const struct na_rule_info *rule, struct na_finding *f)
{
	char used[NA_WORD], room[NA_WORD], ceiling[NA_WORD], share[NA_WORD];

	if (!known(in->room, in->ceiling) || in->ceiling < rule->least || in->room > in->ceiling)
		return false;
	f->value = na_share(in->ceiling - in->room, in->ceiling);
	SAY(f->bottleneck, "Of the %s that machine or cgroup allow, %s are in use (%s); %s are left.",
	    na_word_bytes(ceiling, in->ceiling), na_word_bytes(used, in->ceiling - in->room),
	    na_word_percent(share, f->value), na_word_bytes(room, in->room));
	SAY(f->recommendation,
	    "Ask the batch system for more memory, or run fewer ranks on a node: past the remaining %s the kernel ends "
	    "processes.",
	    room);
	return true;
}

/* Whichever of the two is nearer. */
bool na_rule_check_limit(const struct na_analysis_input *in, const struct na_rule_info *rule, struct na_finding *f)
{
	struct na_finding other = *f;
	bool one = near_limit(in, rule, f), two = near_ceiling(in, rule, &other);

	if (two && (!one || other.value > f->value))
		*f = other;
	return one || two;
}

bool na_rule_check_growth(const struct na_analysis_input *in, const struct na_rule_info *rule, struct na_finding *f)
{
	const struct na_analysis_growth *g = &in->growth;
	char first[NA_WORD], last[NA_WORD], grown[NA_WORD], share[NA_WORD];
	uint64_t growth;

	if (g->points < 4 || g->rises + 1 != g->points || g->last <= g->first)
		return false;
	growth = g->last - g->first;
	/* A program that fills its fields and then stays as it is has its steps behind it. */
	if (growth < rule->least || na_share(g->last_step, growth / (g->points - 1)) < rule->also)
		return false;
	f->value = na_share(growth, g->last);
	SAY(f->bottleneck, "Live memory grew in each of %u %s, from %s to %s: by %s, %s of what is live.", g->points,
	    g->unit, na_word_bytes(first, g->first), na_word_bytes(last, g->last), na_word_bytes(grown, growth),
	    na_word_percent(share, f->value));
	SAY(f->recommendation,
	    "Look for a leak of about %s a step: blocks that each step or phase allocates and none frees.",
	    na_word_bytes(grown, growth / (g->points - 1)));
	return true;
}

bool na_rule_check_stalls(const struct na_analysis_input *in, const struct na_rule_info *rule, struct na_finding *f)
{
	char share[NA_WORD], room[NA_WORD];

	(void)rule;
	if (in->stalled == NA_ANALYSIS_UNKNOWN)
		return false;
	f->value = in->stalled;
	SAY(f->bottleneck, "Tasks waited for memory during %s of the last ten seconds (PSI).",
	    na_word_percent(share, f->value));
	SAY(f->recommendation,
	    "Give the job more memory or fewer ranks on a node: the kernel reclaims pages while the program waits, %s "
	    "of the "
	    "time (%s of room are left).",
	    share, known(in->room, 0) ? na_word_bytes(room, in->room) : "an unknown amount");
	return true;
}

bool na_rule_check_misplaced(const struct na_analysis_input *in, const struct na_rule_info *rule, struct na_finding *f)
{
	char bytes[NA_WORD], all[NA_WORD], share[NA_WORD], most[NA_WORD];
	uint32_t worst = 0;

	if (!known(in->misplaced, in->resident) || in->misplaced < rule->least)
		return false;
	for (uint32_t i = 1; i < in->node_count; i++)
		if (in->nodes[i].misplaced > in->nodes[worst].misplaced)
			worst = i;
	f->value = na_share(in->misplaced, in->resident);
	na_word_bytes(most, in->node_count ? in->nodes[worst].misplaced : in->misplaced);
	SAY(f->bottleneck,
	    "Of %s resident, %s (%s) lie on another NUMA node than they were asked for; most, %s, of node %d.",
	    na_word_bytes(all, in->resident), na_word_bytes(bytes, in->misplaced), na_word_percent(share, f->value),
	    most, in->node_count ? in->nodes[worst].node : 0);
	SAY(f->recommendation,
	    "Leave node %d room for %s more, or spread what is allocated there (PLACEMENT_INTERLEAVE): what does not "
	    "fit on "
	    "a node spills to others.",
	    in->node_count ? in->nodes[worst].node : 0, most);
	return true;
}

bool na_rule_check_fragmentation(const struct na_analysis_input *in, const struct na_rule_info *rule,
				 struct na_finding *f)
{
	char live[NA_WORD], resident[NA_WORD], lost[NA_WORD], share[NA_WORD], kept[NA_WORD];
	uint64_t gap;

	if (!known(in->live, in->resident) || in->live >= in->resident)
		return false;
	gap = in->resident - in->live;
	if (gap < rule->least)
		return false;
	f->value = na_share(gap, in->resident);
	SAY(f->bottleneck, "Of %s resident only %s are live blocks: fragmentation %s, %s more than needed.",
	    na_word_bytes(resident, in->resident), na_word_bytes(live, in->live), na_word_percent(share, f->value),
	    na_word_bytes(lost, gap));
	if (known(in->reclaimable, 0) && in->reclaimable > gap / 2)
		SAY(f->recommendation,
		    "Call flush_memory_pools(), or set NUMARENA_DECAY_MS lower or NUMARENA_DEFRAGMENTATION=1: up to %s "
		    "are "
		    "free and merely kept for reuse.",
		    na_word_bytes(kept, in->reclaimable));
	else
		SAY(f->recommendation,
		    "Allocate what lives long before or apart from what is soon freed (a named pool, say): %s lie "
		    "around the "
		    "live blocks, and survivors keep their neighbours' pages.",
		    lost);
	return true;
}

bool na_rule_check_false_sharing(const struct na_analysis_input *in, const struct na_rule_info *rule,
				 struct na_finding *f)
{
	char share[NA_WORD], small[NA_WORD];
	uint64_t line;

	if (!known(in->remote_releases, in->releases) || !known(in->line_allocations, in->cached_allocations) ||
	    in->remote_releases < rule->least)
		return false;
	line = na_share(in->line_allocations, in->cached_allocations);
	if (line < rule->also)
		return false;
	f->value = na_share(in->remote_releases, in->releases);
	SAY(f->bottleneck,
	    "False sharing is suspected: %s of frees (%llu) are of another thread's block, and %s of allocations are "
	    "smaller than a cache line, so that threads write on each other's lines.",
	    na_word_percent(share, f->value), (unsigned long long)in->remote_releases, na_word_percent(small, line));
	SAY(f->recommendation,
	    "Take the objects that go from thread to thread from allocate_from_pool(), whose blocks have lines of "
	    "their own "
	    "(NUMARENA_ALIGNMENT=64), or hand over larger ones: %llu were freed elsewhere.",
	    (unsigned long long)in->remote_releases);
	return true;
}

bool na_rule_check_imbalance(const struct na_analysis_input *in, const struct na_rule_info *rule, struct na_finding *f)
{
	char most[NA_WORD], mean[NA_WORD], share[NA_WORD];
	uint64_t sum = 0, full = 0;
	uint32_t used = 0;
	int32_t fullest = -1;

	for (uint32_t i = 0; i < in->node_count; i++) {
		const struct na_analysis_node *n = &in->nodes[i];

		if (n->cpus == 0 || n->resident == NA_ANALYSIS_UNKNOWN)
			continue;
		used++;
		sum += n->resident;
		if (fullest < 0 || n->resident > full) {
			full = n->resident;
			fullest = n->node;
		}
	}
	if (used < 2 || full < rule->least)
		return false;
	f->value = na_share(full - sum / used, full);
	SAY(f->bottleneck,
	    "Node %d holds %s, while the mean of the %u nodes that this process runs on is %s (%s less).", fullest,
	    na_word_bytes(most, full), used, na_word_bytes(mean, sum / used), na_word_percent(share, f->value));
	SAY(f->recommendation,
	    "Let each thread allocate or first touch what it works on, or spread it (PLACEMENT_PARTITIONED, "
	    "PLACEMENT_INTERLEAVE): node %d serves the accesses to %s alone.",
	    fullest, most);
	return true;
}

bool na_rule_check_churn(const struct na_analysis_input *in, const struct na_rule_info *rule, struct na_finding *f)
{
	char share[NA_WORD], bytes[NA_WORD], times[NA_WORD];
	uint64_t fresh, turned;

	if (!known(in->large_allocations, in->large_reused) || !known(in->purged, in->peak) || in->peak == 0 ||
	    in->large_reused > in->large_allocations)
		return false;
	fresh = in->large_allocations - in->large_reused;
	turned = na_share(in->purged, in->peak);
	if (fresh < rule->least || turned < rule->also)
		return false;
	f->value = na_share(fresh, in->large_allocations);
	SAY(f->bottleneck,
	    "Large blocks come and go: %llu of %llu (%s) took fresh pages, and %s went back to the system, %s times "
	    "the "
	    "peak of live memory.",
	    (unsigned long long)fresh, (unsigned long long)in->large_allocations, na_word_percent(share, f->value),
	    na_word_bytes(bytes, in->purged), na_word_times(times, turned));
	SAY(f->recommendation,
	    "Keep freed memory until it is wanted again (a larger NUMARENA_DECAY_MS, no flush in a loop), or keep the "
	    "blocks: "
	    "%s were cleared and faulted in anew.",
	    bytes);
	return true;
}

bool na_rule_check_thread_cache(const struct na_analysis_input *in, const struct na_rule_info *rule,
				struct na_finding *f)
{
	char share[NA_WORD], hit[NA_WORD];

	if (!known(in->cache_refills, in->cached_allocations) || in->cached_allocations < rule->least)
		return false;
	f->value = na_share(in->cache_refills, in->cached_allocations);
	SAY(f->bottleneck, "Thread caches serve only %s: %llu of %llu allocations (%s) had to take a lock.",
	    na_word_percent(hit, f->value < 1000 ? 1000 - f->value : 0), (unsigned long long)in->cache_refills,
	    (unsigned long long)in->cached_allocations, na_word_percent(share, f->value));
	SAY(f->recommendation,
	    "Reuse the larger of the small blocks (8 to 32 KiB) instead of freeing many at once, or take many in one: "
	    "the "
	    "cache holds few of them, and %llu refills went past it.",
	    (unsigned long long)in->cache_refills);
	return true;
}

bool na_rule_check_huge_pages(const struct na_analysis_input *in, const struct na_rule_info *rule, struct na_finding *f)
{
	char huge[NA_WORD], all[NA_WORD], share[NA_WORD];

	if (!known(in->huge, in->resident) || in->resident < rule->least || in->huge > in->resident)
		return false;
	f->value = na_share(in->resident - in->huge, in->resident);
	SAY(f->bottleneck, "Of %s resident, %s lie in huge pages: %s is translated page by page.",
	    na_word_bytes(all, in->resident), na_word_bytes(huge, in->huge), na_word_percent(share, f->value));
	if (!in->huge_possible)
		SAY(f->recommendation,
		    "Have transparent huge pages switched on (/sys/kernel/mm/transparent_hugepage/enabled), or reserve "
		    "hugetlb pages and set NUMARENA_HUGEPAGES=hugetlb, for the %s.",
		    all);
	else if (!in->huge_asked)
		SAY(f->recommendation, "Set NUMARENA_HUGEPAGES=1 (auto: only for blocks above 8 MiB) for the %s.", all);
	else
		SAY(f->recommendation,
		    "The kernel finds no huge pages for most of the %s: memory is fragmented, or blocks are scattered; "
		    "NUMARENA_HUGEPAGES=hugetlb takes reserved ones.",
		    all);
	return true;
}
