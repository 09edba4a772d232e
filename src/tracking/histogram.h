/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A histogram of times, of fixed size: eight bins a doubling, so a quantile is right to 6%, and exact below 8 ns.
 * Plain data; the caller serialises.
 */
#ifndef NA_TRACKING_HISTOGRAM_H
#define NA_TRACKING_HISTOGRAM_H

#include <math.h>
#include <stdint.h>

#define NA_HISTOGRAM_BINS (8 * 40) /* up to 2^42 ns, over an hour */

struct na_histogram {
	uint64_t samples;
	uint64_t most;
	double weight, weighted_sum;
	double bins[NA_HISTOGRAM_BINS];
};

static inline unsigned int na_histogram_bin(uint64_t v)
{
	unsigned int log, bin;

	if (v < 8)
		return (unsigned int)v;
	log = 63u - (unsigned int)__builtin_clzll(v);
	bin = (log - 2) * 8 + (unsigned int)(v >> (log - 3) & 7);
	return bin < NA_HISTOGRAM_BINS ? bin : NA_HISTOGRAM_BINS - 1;
}

/* The middle of a bin. */
static inline double na_histogram_value(unsigned int bin)
{
	uint64_t width;

	if (bin < 8)
		return bin;
	width = UINT64_C(1) << (bin / 8 - 1);
	return (double)((8 + bin % 8) * width) + (double)(width - 1) / 2;
}

static inline void na_histogram_add(struct na_histogram *h, uint64_t v, uint64_t weight)
{
	h->samples++;
	h->most = v > h->most ? v : h->most;
	h->weight += (double)weight;
	h->weighted_sum += (double)v * (double)weight;
	h->bins[na_histogram_bin(v)] += (double)weight;
}

static inline double na_histogram_mean(const struct na_histogram *h)
{
	return h->samples ? h->weighted_sum / h->weight : NAN;
}

/* The least value that a share `q` of the weight does not exceed. */
static inline double na_histogram_quantile(const struct na_histogram *h, double q)
{
	double sum = 0;

	if (!h->samples)
		return NAN;
	for (unsigned int i = 0; i < NA_HISTOGRAM_BINS; i++) {
		sum += h->bins[i];
		if (sum >= q * h->weight)
			return na_histogram_value(i) < (double)h->most ? na_histogram_value(i) : (double)h->most;
	}
	return (double)h->most;
}

#endif
