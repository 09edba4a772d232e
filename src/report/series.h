/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded time series of a process's memory (five quantities, below) on an axis that all processes share without having agreed on
 * one: bin k of width 2^shift ms covers the milliseconds [k << shift, (k + 1) << shift) since 1970. When the bins are
 * full, neighbours join and the width doubles. A bin holds the maximum within it.
 *
 * What for: the sum of the ranks' peaks overstates a job, because peaks come at different times. The sum of
 * several series, bin by bin, has a maximum of its own: the peak of the sums. Maxima within a bin may be a bin's
 * width apart, so it is an upper bound at that resolution, never more than the sum of the peaks.
 *
 * Plain data, no pointers, no lock, no allocation; the caller serialises. na_series_sum() of series of one width
 * is associative and commutative. Series of different widths are widened first; to be exact whatever the
 * order, widen all to the na_axis_shift() of the joined axis first.
 */
#ifndef NA_REPORT_SERIES_H
#define NA_REPORT_SERIES_H

#include <stdint.h>

#define NA_SERIES_BINS	256
#define NA_SERIES_SHIFT 4  /* 16 ms at first: 4 s before the first doubling */
#define NA_SERIES_MOST	40 /* no wider than 2^40 ms */

enum na_quantity {
	NA_SERIES_LIVE,	      /* blocks that are out, in block sizes */
	NA_SERIES_PHYSICAL,   /* physical memory of the process */
	NA_SERIES_REQUESTED,  /* what the program asked for, estimated from samples */
	NA_SERIES_COMPRESSED, /* images of compressed blocks */
	NA_SERIES_MISPLACED,  /* pages of pools on another node than theirs, as of the last look */
	NA_QUANTITIES
};

/* As report.json calls them. */
extern const char *const na_quantity_names[NA_QUANTITIES];

struct na_series {
	uint32_t shift;
	uint32_t count;				       /* bins in use; 0: empty */
	uint64_t first;				       /* number of the first bin */
	uint64_t last[NA_QUANTITIES];		       /* of the last moment added, for the gap after it; 0 in a sum */
	uint64_t value[NA_QUANTITIES][NA_SERIES_BINS]; /* NA_UNKNOWN: not measured */
	uint8_t phase
		[NA_SERIES_BINS]; /* of a process, when the bin's live bytes were most: its place, plus 1; 0: none, and in a sum */
};

/* The axis alone: what processes reduce, by minimum and maxima, before they sum. */
struct na_axis {
	uint64_t begin_ms; /* UINT64_MAX: empty */
	uint64_t end_ms;   /* exclusive; 0: empty */
	uint32_t shift;
	uint32_t unused;
	uint64_t most; /* live bytes of any bin of any of them */
};

void na_series_init(struct na_series *s);

/* What was so at a moment. Earlier than the last bin: counts into the last bin. Bins between the last one
 * and this hold the larger of the last moment's value and this one's. */
void na_series_add_all(struct na_series *s, uint64_t ms, const uint64_t now[NA_QUANTITIES], unsigned int phase);

/* The same where nothing else is known. */
static inline void na_series_add(struct na_series *s, uint64_t ms, uint64_t live, uint64_t physical)
{
	const uint64_t now[NA_QUANTITIES] = { live, physical, UINT64_MAX, UINT64_MAX, UINT64_MAX };

	na_series_add_all(s, ms, now, 0);
}

/* A peak that came at some unknown moment of [from_ms, to_ms]: raises all bins of it that exist. */
void na_series_raise(struct na_series *s, uint64_t from_ms, uint64_t to_ms, uint64_t live);

/* Widens the bins to at least that width. */
void na_series_widen(struct na_series *s, uint32_t shift);

/* into += other, bin by bin. An unknown summand makes an unknown sum. */
void na_series_sum(struct na_series *into, const struct na_series *other);

/* Maxima; 0 of an empty series. NA_UNKNOWN if any bin is unknown. */
uint64_t na_series_peak_live(const struct na_series *s);
uint64_t na_series_peak_physical(const struct na_series *s);

void na_axis_init(struct na_axis *a);
void na_axis_join(struct na_axis *a, const struct na_axis *other);
struct na_axis na_axis_of(const struct na_series *s);

/* The width at which everything on the axis fits: give it to na_series_widen() of every series. */
uint32_t na_axis_shift(const struct na_axis *a);

/* The width at which it fits into so many bins. */
uint32_t na_axis_shift_of(const struct na_axis *a, uint32_t bins);

/* The first bin with the most live bytes; 0 of an empty series. */
uint32_t na_series_fullest(const struct na_series *s);

/* 0, or -EINVAL if the fields contradict each other (a damaged file). */
int na_series_check(const struct na_series *s);

#endif
