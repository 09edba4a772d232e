/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numarena-top: what the records of the processes on this node say, read anew each time. A process that comes, ends or is killed between two
 * looks, and a record that is damaged or of another version, cost the view one line and never more: records are copied and checked
 * (report/record.h) before anything of them is believed, and nothing is written. Allocates; one thread.
 */
#ifndef NA_TOOLS_TOP_MODEL_H
#define NA_TOOLS_TOP_MODEL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/job.h"

#define NA_TOP_HISTORY 64 /* bins of the little curves */

struct na_top_row {
	struct na_row row; /* identity, state, phase, figures */
	char job[NA_RECORD_NAME];
	double rate; /* allocations a second since the look before, or since its start; NaN: not known */
	uint64_t history[NA_TOP_HISTORY]; /* live bytes over the time seen, oldest first; NA_UNKNOWN: not measured */
	uint32_t bins;
};

enum na_top_column {
	NA_TOP_RANK,
	NA_TOP_LIVE,
	NA_TOP_PEAK,
	NA_TOP_PHYSICAL,
	NA_TOP_MISPLACED,
	NA_TOP_RATE,
	NA_TOP_COLUMNS
};

struct na_top {
	const char *folder, *job; /* the report's folder; job NULL: all that are there */
	struct na_top_row *rows;
	size_t count, capacity;
	struct na_top_row *before; /* of the last look, for rates */
	size_t before_count, before_capacity;
	uint64_t *
		foreign; /* records of ranks of other hosts, by a hash of their paths; 0: free. A power of two of places */
	size_t foreign_count, foreign_places;
	/* of the node */
	char host[NA_RECORD_NAME];
	size_t jobs, running, ended, flawed, elsewhere; /* elsewhere: records of other hosts, in a shared folder */
	char flaw[160];					/* the first that is wrong with a record */
	uint64_t live, peak, physical, misplaced;	/* sums; NA_UNKNOWN if of any process */
	double rate;
	uint64_t limit, room; /* bytes that this node's processes may have, and what of that is left; NA_UNKNOWN */
	bool limit_is_group;
};

/* 0: there may be no rows; -errno: the folder cannot be read, or no memory. */
int na_top_look(struct na_top *t);

/* Ranks rise, all others fall; `reversed` turns that round. Unknown ones come last. */
void na_top_sort(struct na_top *t, enum na_top_column by, bool reversed);

void na_top_free(struct na_top *t);

extern const char *const na_top_column_names[NA_TOP_COLUMNS];

#endif
