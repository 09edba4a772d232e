/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plan for a block: which filter, and whether to try at all. Each filter that the effort allows runs on a sample, some strips from all
 * over the block, as one LZ4 block; what it leaves of it tells them apart. A sample cannot tell what repeats at a distance, so plain LZ4, the only one that
 * finds such, is given the benefit of the doubt where it finds anything. Second differences are looked at only where differences of 8 bytes are best, by the bits
 * that vary in a settled group: they take their place.
 */
#include <string.h>

#include "compression/bits.h"
#include "compression/piece.h"

#define SAMPLE 4096
#define STRIPS 4
#define CLOSE  0.8f  /* a runner-up within this of the best is tried on a whole piece */
#define LEAST  1.25f /* gain on the sample; a piece gains more, for its planes are longer */
#define DOUBT  1.04f /* of plain LZ4 on the sample */
#define NOISE  1.03f /* of anything */

/* A filter takes time when its block is restored: it must win something. */
static const float preference[NA_FILTER_CURVES8] = { 1, 0.97f, 0.97f, 0.9f, 0.9f };

static size_t take_sample(uint8_t *to, const uint8_t *from, size_t size)
{
	size_t strip = SAMPLE / STRIPS, gap;

	if (size <= SAMPLE) {
		memcpy(to, from, size);
		return size;
	}
	gap = (size - strip) / (STRIPS - 1) & ~(size_t)63;
	for (size_t i = 0; i < STRIPS; i++)
		memcpy(to + i * strip, from + i * gap, strip);
	return SAMPLE;
}

/* Planes of n elements, one after the other at w->planes. */
static void split_sample(struct na_workspace *w, enum na_filter filter, const uint8_t *from, size_t n)
{
	uint8_t *planes[NA_PLANES] = { 0 };

	for (unsigned int k = 0; k < na_filter_width(filter); k++)
		planes[k] = w->planes + k * n;
	na_filter_split(filter, from, n, planes, w->deltas);
}

/* What packing bits leaves of `count` bytes of each of them, from `first` on. */
static size_t packed_bits(const struct na_workspace *w, enum na_filter filter, size_t n, size_t first, size_t count)
{
	size_t length = 0, part;
	uint8_t varies;

	for (unsigned int k = 0; k < na_filter_width(filter); k++) {
		part = na_bits_measure(w->planes + k * n + first, count, &varies);
		length += part < count ? part : count;
	}
	return length;
}

/* What LZ4 leaves of the sample. */
static float gain_of(struct na_workspace *w, enum na_filter filter, size_t size)
{
	unsigned int width = na_filter_width(filter);
	size_t n = size / width, length;
	const uint8_t *from = w->sample;

	if (width > 1) {
		split_sample(w, filter, from, n);
		from = w->planes;
	}
	length = na_lz4_compress(w->state, 0, 1, from, n * width, w->out[0], n * width);
	return length ? (float)(n * width) / (float)length : 1;
}

/* What packing bits leaves of the sample: an upper bound of what a filter does for noise, at a tenth of LZ4's time. */
static float bits_of(struct na_workspace *w, enum na_filter filter, size_t size)
{
	unsigned int width = na_filter_width(filter);
	size_t n = size / width, length;

	split_sample(w, filter, w->sample, n);
	length = packed_bits(w, filter, n, 0, n);
	return length ? (float)(n * width) / (float)length : 1;
}

/* Nothing repeats and no bit stands still: seen before LZ4 has looked at planes. */
static bool is_noise(struct na_workspace *w, const struct na_effort *effort, size_t sample)
{
	for (unsigned int f = 1; f < NA_FILTER_CURVES8; f++)
		if ((effort->filters >> f & 1) && bits_of(w, f, sample) > NOISE)
			return false;
	return gain_of(w, NA_FILTER_NONE, sample) < NOISE;
}

/* What packing bits leaves of the second group of each strip, in which nothing is new as where a strip begins. */
static size_t settled_bits(struct na_workspace *w, enum na_filter filter, size_t size)
{
	size_t strip = SAMPLE / STRIPS, n = strip / na_filter_width(filter), length = 0;

	for (size_t at = 0; at + strip <= size; at += strip) {
		split_sample(w, filter, w->sample + at, n);
		length += packed_bits(w, filter, n, NA_BITS_GROUP, NA_BITS_GROUP);
	}
	return length;
}

/* Where differences are best, theirs may be better still; they are restored faster. */
static void look_at_curves(struct na_workspace *w, struct na_plan *plan, size_t size)
{
	size_t deltas = settled_bits(w, NA_FILTER_DELTAS8, size), curves = settled_bits(w, NA_FILTER_CURVES8, size);

	if (!curves || curves > deltas)
		return;
	plan->gain *= (float)deltas / (float)curves;
	if (plan->second == plan->filter)
		plan->second = NA_FILTER_CURVES8;
	plan->filter = NA_FILTER_CURVES8;
}

void na_plan_make(struct na_workspace *w, struct na_plan *plan, const struct na_effort *effort, const void *block,
		  size_t size)
{
	size_t sample = take_sample(w->sample, block, size);
	float second = 0, gain, plain = 0;

	*plan = (struct na_plan){ .effort = *effort, .gain = 1 };
	if (is_noise(w, effort, sample))
		return;
	plan->gain = 0;
	for (unsigned int f = 0; f < NA_FILTER_CURVES8; f++) {
		if (!(effort->filters >> f & 1))
			continue;
		gain = gain_of(w, f, sample) * preference[f];
		if (f == NA_FILTER_NONE)
			plain = gain;
		if (gain > plan->gain) {
			second = plan->gain;
			plan->second = plan->filter;
			plan->gain = gain;
			plan->filter = (uint8_t)f;
		} else if (gain > second) {
			second = gain;
			plan->second = (uint8_t)f;
		}
	}
	if (second < CLOSE * plan->gain)
		plan->second = plan->filter;
	if (plain > DOUBT && plan->filter != NA_FILTER_NONE && plan->second == plan->filter && plan->gain < 2)
		plan->second = NA_FILTER_NONE;
	if (plan->filter == NA_FILTER_DELTAS8)
		look_at_curves(w, plan, sample);
	if (plain > DOUBT && plan->gain < LEAST)
		plan->gain = LEAST;
}

bool na_plan_promises(const struct na_plan *plan)
{
	return plan->gain >= LEAST;
}
