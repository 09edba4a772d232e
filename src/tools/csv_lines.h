/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of comma-separated values (RFC 4180: they end with CR LF, text with a comma, quote or line break stands in quotes), one a figure, and how the
 * members of a report's JSON become such lines. Their columns are the same for all tables, so that they may be cut out with any tool.
 */
#ifndef NA_TOOLS_CSV_LINES_H
#define NA_TOOLS_CSV_LINES_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

struct na_csv_line {
	const char *table, *host, *name;
	json_t *rank, *pid, *numa_node;
	int64_t moment_ms; /* -1: none */
	const char *metric, *statistic, *unit;
};

void na_csv_put_heads(FILE *out);

/* Of the table and, as far as it says so, of the host, rank and process of an object. */
struct na_csv_line na_csv_line_of(const char *table, json_t *object);

/* `value` NULL, or null: could not be measured. */
void na_csv_put(FILE *out, const struct na_csv_line *l, json_t *value);

/* The figures of an object as metrics, each in the unit that its name tells; else in `unit`, or counts if that is NULL. */
void na_csv_put_members(FILE *out, struct na_csv_line l, json_t *object, const char *unit);

/* And those of the objects in it, their members as statistics of it: total, mean, extremes with where they are, quantiles. */
void na_csv_put_inner(FILE *out, struct na_csv_line l, json_t *object);

/* The parts of one metric, as na_csv_put_inner() does it. */
void na_csv_put_parts(FILE *out, struct na_csv_line l, json_t *metric, const char *unit);

#endif
