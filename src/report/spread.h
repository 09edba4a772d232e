/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One figure of many processes: their sum, the sum of their squares, and the extremes with who has them. Merging is associative and commutative, byte
 * by byte (which is why squares are summed exactly, in 128 bits, where others merge means and deviations pairwise in floating point); of two equal
 * extremes the lower rank is named, then the lower host name, then pid. Plain data without a pointer, so that it may be part of what a
 * reduction sends; the caller serialises.
 */
#ifndef NA_REPORT_SPREAD_H
#define NA_REPORT_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

struct na_where {
	int32_t rank; /* -1: a process that is no rank */
	int32_t pid;
	char host[64];
};

/* Ranks before others, by number; then host, then pid: one order whatever the order of merging. */
int na_where_compare(const struct na_where *a, const struct na_where *b);

struct na_spread {
	uint64_t known;	     /* processes that have the figure */
	uint64_t sum;	     /* of those, modulo 2^64: a signed number where `least` is negative, else unsigned */
	uint64_t squares[2]; /* sum of squares, low and high half; all ones if it was more than that */
	int64_t least, most;
	struct na_where least_at, most_at;
};

struct na_spread na_spread_of(int64_t value, const struct na_where *at);
void na_spread_merge(struct na_spread *into, const struct na_spread *other);

/* NAN if nobody has it. */
double na_spread_mean(const struct na_spread *s);

/* Of the processes, not an estimate from a sample of them; NAN if nobody has it, or if squares overflowed. */
double na_spread_deviation(const struct na_spread *s);

/* Whether it may be of so many processes: what came over the network is looked at before it is believed. */
bool na_spread_good(const struct na_spread *s, uint64_t processes);

#endif
