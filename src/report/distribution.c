/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/distribution.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heap/snapshot.h"

const enum na_metric_id na_extremes_of[NA_EXTREMES_OF] = {
	NA_METRIC_peak_bytes,  NA_METRIC_peak_physical_bytes, NA_METRIC_live_bytes, NA_METRIC_peak_misplaced_bytes,
	NA_METRIC_allocations, NA_METRIC_growth_bytes,	      NA_METRIC_wall_ns,    NA_METRIC_phase_ns,
};

unsigned int na_sketch_bin(uint64_t v)
{
	unsigned int log;

	if (v < NA_SKETCH_STEPS)
		return (unsigned int)v;
	log = 63u - (unsigned int)__builtin_clzll(v);
	return (log - 3) * NA_SKETCH_STEPS + (unsigned int)(v >> (log - 4) & (NA_SKETCH_STEPS - 1));
}

uint64_t na_sketch_from(unsigned int bin)
{
	if (bin < NA_SKETCH_STEPS)
		return bin;
	if (bin >= NA_SKETCH_BINS)
		return UINT64_MAX;
	return (uint64_t)(NA_SKETCH_STEPS + bin % NA_SKETCH_STEPS) << (bin / NA_SKETCH_STEPS - 1);
}

/* ---- extremes ---- */

/* Before 0: a goes first among the highest (sign 1) or the lowest (-1). */
static int compare(const struct na_extreme *a, const struct na_extreme *b, int sign)
{
	if (a->value != b->value)
		return (a->value > b->value) == (sign > 0) ? -1 : 1;
	return na_where_compare(&a->at, &b->at);
}

static void insert(struct na_extreme *list, uint32_t *count, const struct na_extreme *one, int sign)
{
	uint32_t at = *count;

	while (at && compare(one, &list[at - 1], sign) < 0)
		at--;
	if (at == NA_EXTREMES)
		return;
	if (*count < NA_EXTREMES)
		++*count;
	memmove(&list[at + 1], &list[at], (*count - 1 - at) * sizeof(*list));
	list[at] = *one;
}

void na_distribution_add(struct na_distribution *d, const uint64_t values[NA_METRIC_COUNT_], const struct na_where *at)
{
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		if (values[i] != NA_UNKNOWN)
			d->sketches[i].bins[na_sketch_bin(values[i])]++;
	for (unsigned int i = 0; i < NA_EXTREMES_OF; i++) {
		struct na_extreme one = { (int64_t)values[na_extremes_of[i]], *at };
		struct na_extremes *e = &d->extremes[i];

		if (values[na_extremes_of[i]] == NA_UNKNOWN)
			continue;
		insert(e->most, &e->most_count, &one, 1);
		insert(e->least, &e->least_count, &one, -1);
	}
}

void na_distribution_merge(struct na_distribution *into, const struct na_distribution *other)
{
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		for (unsigned int k = 0; k < NA_SKETCH_BINS; k++)
			into->sketches[i].bins[k] += other->sketches[i].bins[k];
	for (unsigned int i = 0; i < NA_EXTREMES_OF; i++) {
		struct na_extremes *e = &into->extremes[i];
		const struct na_extremes *o = &other->extremes[i];

		for (uint32_t k = 0; k < o->most_count; k++)
			insert(e->most, &e->most_count, &o->most[k], 1);
		for (uint32_t k = 0; k < o->least_count; k++)
			insert(e->least, &e->least_count, &o->least[k], -1);
	}
}

int na_distribution_check(const struct na_distribution *d, uint64_t processes)
{
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++) {
		uint64_t sum = 0;

		for (unsigned int k = 0; k < NA_SKETCH_BINS; k++)
			sum += d->sketches[i].bins[k];
		if (sum > processes)
			return -EINVAL;
	}
	for (unsigned int i = 0; i < NA_EXTREMES_OF; i++) {
		const struct na_extremes *e = &d->extremes[i];

		if (e->most_count > NA_EXTREMES || e->least_count > NA_EXTREMES)
			return -EINVAL;
		for (uint32_t k = 0; k < NA_EXTREMES; k++)
			if (!memchr(e->most[k].at.host, 0, sizeof(e->most[k].at.host)) ||
			    !memchr(e->least[k].at.host, 0, sizeof(e->least[k].at.host)))
				return -EINVAL;
	}
	return 0;
}

/* ---- what is read out of it ---- */

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static double smaller(double a, double b)
{
	return a < b ? a : b;
}

/* A bin's edges, as far as there are values. */
static double low_edge(unsigned int bin, const struct na_spread *of)
{
	return larger((double)na_sketch_from(bin), (double)of->least);
}

static double high_edge(unsigned int bin, const struct na_spread *of)
{
	return smaller((double)na_sketch_from(bin + 1), (double)of->most);
}

/* The value of that place in the order of size: those of a bin count as spread evenly over it, the first at its low edge and the last at its high
 * one; a single one lies in the middle. */
static double value_at(const struct na_sketch *s, const struct na_spread *of, uint64_t place)
{
	for (unsigned int i = 0; i < NA_SKETCH_BINS; i++) {
		uint32_t n = s->bins[i];
		double low = low_edge(i, of), high = high_edge(i, of);

		if (place < n && i < NA_SKETCH_STEPS)
			return low;
		if (place < n)
			return n > 1 ? low + (high - low) * (double)place / (n - 1) : (low + high) / 2;
		place -= n;
	}
	return (double)of->most;
}

double na_sketch_quantile(const struct na_sketch *s, const struct na_spread *of, double q)
{
	double place, low;
	uint64_t whole;

	if (!of->known)
		return NAN;
	place = q * (double)(of->known - 1);
	whole = (uint64_t)place;
	low = value_at(s, of, whole);
	if (whole + 1 >= of->known)
		return (double)of->most;
	return low + (value_at(s, of, whole + 1) - low) * (place - (double)whole);
}

struct distance {
	double from;
	uint32_t count;
};

static int by_distance(const void *a, const void *b)
{
	const struct distance *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

double na_sketch_mad(const struct na_sketch *s, const struct na_spread *of, double median)
{
	struct distance d[NA_SKETCH_BINS];
	unsigned int n = 0, at;
	double resolution;
	uint64_t sum = 0;

	if (!of->known)
		return NAN;
	for (unsigned int i = 0; i < NA_SKETCH_BINS; i++)
		if (s->bins[i])
			d[n++] = (struct distance){ fabs((low_edge(i, of) + high_edge(i, of)) / 2 - median),
						    s->bins[i] };
	qsort(d, n, sizeof(*d), by_distance);
	at = na_sketch_bin((uint64_t)median);
	resolution = larger(
		smaller((double)na_sketch_from(at + 1) - (double)na_sketch_from(at), (double)(of->most - of->least)) /
			2,
		1);
	for (unsigned int i = 0; i < n; i++) {
		sum += d[i].count;
		if (2 * sum >= of->known)
			return larger(d[i].from, resolution);
	}
	return resolution;
}

static bool is_time(enum na_metric_id id)
{
	return id == NA_METRIC_wall_ns || id == NA_METRIC_phase_ns;
}

/* Less than this is not worth a word, however usual nothing is: of most ranks nothing is misplaced, and nothing grows. */
static double least_of(enum na_metric_id id)
{
	return is_time(id) ? 1e7 : id == NA_METRIC_allocations ? 1000 : 1048576;
}

static int by_times(const void *a, const void *b)
{
	const struct na_outlier *x = a, *y = b;

	if (x->times_mad != y->times_mad)
		return x->times_mad > y->times_mad ? -1 : 1;
	return x->metric != y->metric ? (x->metric < y->metric ? -1 : 1)
				      : na_where_compare(&x->extreme.at, &y->extreme.at);
}

uint32_t na_distribution_outliers(const struct na_distribution *d, const struct na_spread spreads[NA_METRIC_COUNT_],
				  struct na_outlier out[NA_OUTLIERS_MOST])
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < NA_EXTREMES_OF; i++) {
		enum na_metric_id id = na_extremes_of[i];
		const struct na_spread *of = &spreads[id];
		const struct na_extremes *e = &d->extremes[i];
		double median = na_sketch_quantile(&d->sketches[id], of, 0.5);
		double mad = na_sketch_mad(&d->sketches[id], of, median);

		if (of->known < 4) /* of fewer nobody can say which is usual */
			continue;
		for (uint32_t k = 0; k < e->most_count + e->least_count; k++) {
			const struct na_extreme *x = k < e->most_count ? &e->most[k] : &e->least[k - e->most_count];
			double away = (double)x->value - median;

			if ((k < e->most_count) != (away > 0) || fabs(away) < NA_OUTLIER_MADS * mad ||
			    fabs(away) < median / 4 || fabs(away) < least_of(id))
				continue;
			if (is_time(id) && away < 0) /* fast ones hold nobody up */
				continue;
			out[n++] = (struct na_outlier){ id, *x, median, fabs(away) / mad, is_time(id) };
		}
	}
	qsort(out, n, sizeof(*out), by_times);
	return n;
}
