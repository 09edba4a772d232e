/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The moments in which a process stood still for numarena: windows that ranks agreed on, slices and passes that its threads made, waiting
 * times that were used. Plain data: a part of the record. Count and sums are exact, of single pauses the newest are kept.
 *
 * What the pauses of a job cost it is more than their sum over one rank and less than over all: na_job_pauses_estimate() and
 * doc/guide/coordination.md.
 *
 * No pointers, no locks; the caller serialises. Merging is associative and commutative.
 */
#ifndef NA_REPORT_PAUSES_H
#define NA_REPORT_PAUSES_H

#include <stdint.h>

#include "report/spread.h"

#define NA_PAUSES     64 /* kept in a record */
#define NA_ROW_PAUSES 16 /* and in a report's row, of a million ranks' */

enum na_pause_kind {
	NA_PAUSE_WINDOW,  /* all ranks at the same time */
	NA_PAUSE_CALL,	  /* the same, within coordinate_defragmentation() */
	NA_PAUSE_WAITING, /* the rank waited for others anyway */
	NA_PAUSE_ALONE,	  /* a slice or pass that a thread of the program made when it liked */
	NA_PAUSE_KINDS
};

struct na_pause {
	uint64_t moment_ns; /* since 1970 */
	uint64_t ns;
	uint64_t bytes; /* won */
	uint64_t kind;	/* enum na_pause_kind */
};

struct na_pauses {
	uint64_t count, total_ns;
	uint64_t kind_count[NA_PAUSE_KINDS], kind_ns[NA_PAUSE_KINDS];
	struct na_pause longest;
	uint64_t collectives;		 /* counted while ranks agreed on windows; 0: none were */
	struct na_pause last[NA_PAUSES]; /* number i at i % NA_PAUSES */
};

void na_pauses_add(struct na_pauses *p, const struct na_pause *pause);

/* The kept ones in order of time, the newest `capacity` of them; returns how many. */
uint32_t na_pauses_copy(const struct na_pauses *p, struct na_pause *out, uint32_t capacity);

const char *na_pause_name(uint64_t kind);

/* Of any number of processes. */
struct na_job_pauses {
	uint64_t count, total_ns;
	uint64_t together_ns;		/* of windows and calls: the most of any process */
	uint64_t alone_count, alone_ns; /* summed */
	uint64_t collectives;		/* the most of any process */
	struct na_pause longest;
	struct na_where longest_at; /* meaningful if count */
};

void na_job_pauses_add(struct na_job_pauses *j, const struct na_pauses *p, const struct na_where *where);
void na_job_pauses_merge(struct na_job_pauses *into, const struct na_job_pauses *other);

/*
 * Nanoseconds that the job lost. What ranks do together costs the longest of them. What n ranks do alone at independent moments of S steps
 * delays each step that is hit by one, so S (1 - (1 - 1/S)^N) times the mean pause, N the number of pauses; S is the number of
 * collectives, and without such a count every pause is taken to delay all (N times the mean, an upper bound). Waiting times cost nothing.
 */
uint64_t na_job_pauses_estimate(const struct na_job_pauses *j);

#endif
