/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is wrong with a program's memory, by rules: a pure function of figures, which knows neither heap nor kernel, so that a process
 * (api/analysis.c gathers the figures) and a job's report can be judged by the same.
 *
 * Each rule of rules.def has a threshold that its figure must reach, and an amount below which it is not worth a word, however bad the
 * ratio. What it finds has a cost, by which findings are ordered: the share that is affected times the rule's weight. The
 * sentences quote the figures that they rest on. Figures that are unknown (NA_ANALYSIS_UNKNOWN) make a rule silent, never guess.
 *
 * All arithmetic is in integers: the same figures give the same sentences everywhere. Nothing allocates, no state, any thread.
 */
#ifndef NA_ANALYSIS_ANALYSIS_H
#define NA_ANALYSIS_ANALYSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_ANALYSIS_UNKNOWN  UINT64_MAX
#define NA_ANALYSIS_NODES    64
#define NA_ANALYSIS_SENTENCE 320

enum na_rule_id {
#define NA_RULE(id, threshold, least, also, weight, text) NA_RULE_##id,
#include "analysis/rules.def"
#undef NA_RULE
	NA_RULE_COUNT_
};

struct na_analysis_node {
	int32_t node;
	uint32_t cpus; /* of the process, that this node's pool serves; UINT32_MAX: unknown */
	uint64_t resident, misplaced;
};

/* How live bytes went, from na_analysis_growth(). points 0: nothing is known. */
struct na_analysis_growth {
	uint64_t first, last; /* bytes: the low points of the first and the last stretch */
	uint32_t points;      /* stretches */
	uint32_t rises;	      /* of the steps between them, those up */
	uint64_t last_step;   /* bytes, of the last of them; 0 if it was down */
	const char *unit;     /* what the points are, in plural: "phases", "stretches of 12 s" */
};

/* Bytes and counts since the start, unless a comment says otherwise. */
struct na_analysis_input {
	uint64_t live, peak;
	uint64_t resident, misplaced, huge; /* of the pools' pages */
	uint64_t reclaimable;		    /* free and kept for reuse */
	uint64_t limit;			    /* of the pools */
	uint64_t room, ceiling;		    /* until the tightest of machine and cgroups is full */
	uint64_t stalled;		    /* tasks that waited for memory, thousandths of the last ten seconds */
	uint64_t cached_allocations;	    /* of sizes that thread caches serve */
	uint64_t line_allocations;	    /* of those, of blocks smaller than a cache line */
	uint64_t cache_refills;
	uint64_t releases, remote_releases;
	uint64_t large_allocations, large_reused;
	uint64_t purged;    /* given back to the system */
	bool huge_possible; /* the kernel has transparent huge pages, and not switched off */
	bool huge_asked;    /* a setting asks for huge pages */
	struct na_analysis_growth growth;
	uint32_t node_count;
	struct na_analysis_node nodes[NA_ANALYSIS_NODES];
};

struct na_finding {
	enum na_rule_id rule;
	uint64_t value;	    /* thousandths, of what the rule measures */
	uint64_t threshold; /* thousandths */
	uint64_t cost;	    /* thousandths */
	char bottleneck[NA_ANALYSIS_SENTENCE];
	char recommendation[NA_ANALYSIS_SENTENCE];
};

/* Fills out[0..n), most costly first, ties in the order of rules.def, and returns n; out has room for NA_RULE_COUNT_. */
size_t na_analysis_run(const struct na_analysis_input *in, struct na_finding *out);

/* All unknown. */
void na_analysis_unknown(struct na_analysis_input *in);

/* A series of live bytes, oldest first, into eight stretches, of each of which the lowest counts: what comes and goes within one is no growth. Fewer than
 * sixteen values are too few: points is 0 then. `unit` is kept. */
void na_analysis_growth(const uint64_t *live, size_t count, const char *unit, struct na_analysis_growth *out);

/* The same where the points are given, as phases are. */
void na_analysis_growth_of(const uint64_t *points, size_t count, const char *unit, struct na_analysis_growth *out);

struct na_rule_info {
	const char *name;
	uint64_t threshold, least, also, weight;
	const char *text;
};
extern const struct na_rule_info na_rule_table[NA_RULE_COUNT_];

#endif
