/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How each figure is spread over any number of processes: a sketch of fixed bins for quantiles and histograms, and by name those that lie furthest
 * out. Of one size however many processes there are, a part of struct na_job_breakdown.
 *
 * Sketches are counts in 16 bins a doubling (values below 16 are exact), so they add up in any order; a quantile is interpolated within its bin
 * between the extremes, which are known exactly: right to 6 %, and to far less where all values are close. Rejected: a t-digest, whose merge
 * depends on the order; bins between extremes that are agreed on first, of which one wild value makes a single one.
 *
 * Extremes are the NA_EXTREMES highest and lowest, by value and then by process: the first of all are among the first of any part, so their merge
 * depends on no order either. Which of them is an outlier is known when all are together: by the median and the median distance from it (MAD).
 *
 * Plain data, no lock, no allocation; the caller serialises.
 */
#ifndef NA_REPORT_DISTRIBUTION_H
#define NA_REPORT_DISTRIBUTION_H

#include "report/spread.h"

enum na_metric_id {
#define NA_METRIC(id, unit, value, text) NA_METRIC_##id,
#include "report/metrics.def"
#undef NA_METRIC
	NA_METRIC_COUNT_
};

#define NA_SKETCH_STEPS 16 /* bins a doubling */
#define NA_SKETCH_BINS	(NA_SKETCH_STEPS * 61)
#define NA_EXTREMES	8
#define NA_EXTREMES_OF	8 /* metrics of which extremes are kept by name */

struct na_sketch {
	uint32_t bins[NA_SKETCH_BINS];
};

struct na_extreme {
	int64_t value;
	struct na_where at;
};

/* Highest, or lowest, first. */
struct na_extremes {
	uint32_t most_count, least_count;
	struct na_extreme most[NA_EXTREMES], least[NA_EXTREMES];
};

struct na_distribution {
	struct na_sketch sketches[NA_METRIC_COUNT_];
	struct na_extremes extremes[NA_EXTREMES_OF];
};

extern const enum na_metric_id na_extremes_of[NA_EXTREMES_OF];

/* Figures of one process; NA_UNKNOWN are left out. */
void na_distribution_add(struct na_distribution *d, const uint64_t values[NA_METRIC_COUNT_], const struct na_where *at);
void na_distribution_merge(struct na_distribution *into, const struct na_distribution *other);
/* 0 or -EINVAL: not of so many processes. */
int na_distribution_check(const struct na_distribution *d, uint64_t processes);

unsigned int na_sketch_bin(uint64_t v);
/* The least value of a bin; of NA_SKETCH_BINS, UINT64_MAX. */
uint64_t na_sketch_from(unsigned int bin);

/* `of` is the same figure's spread. NaN of nobody. */
double na_sketch_quantile(const struct na_sketch *s, const struct na_spread *of, double q);

/* The median distance from the median, no less than the sketch resolves there; NaN of nobody. */
double na_sketch_mad(const struct na_sketch *s, const struct na_spread *of, double median);

/* One that lies further from the median than NA_OUTLIER_MADS times the median distance, and than a quarter of the median. */
#define NA_OUTLIER_MADS	 5
#define NA_OUTLIERS_MOST (NA_EXTREMES_OF * 2 * NA_EXTREMES)

struct na_outlier {
	enum na_metric_id metric;
	struct na_extreme extreme;
	double median, times_mad;
	bool straggler; /* the metric is a time, and it took longer */
};

/* Those furthest out first; how many. `spreads` are those of the metrics. */
uint32_t na_distribution_outliers(const struct na_distribution *d, const struct na_spread spreads[NA_METRIC_COUNT_],
				  struct na_outlier out[NA_OUTLIERS_MOST]);

#endif
