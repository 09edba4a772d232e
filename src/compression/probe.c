/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plan for a block: which filter, and whether to try at all. Each filter that the effort allows runs on a sample, some strips from all
 * over the block, as one LZ4 block; what it leaves of it tells them apart. A sample cannot tell what repeats at a distance, so plain LZ4, the only one that
 * finds such, is given the benefit of the doubt where it finds anything.
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
static const float preference[NA_FILTERS] = { 1, 0.97f, 0.97f, 0.9f, 0.9f };

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

/* What LZ4 leaves of the sample. */
static float gain_of(struct na_workspace *w, enum na_filter filter, size_t size)
{
	unsigned int width = na_filter_width(filter);
	size_t n = size / width, length;
	const uint8_t *from = w->sample;
	uint8_t *planes[NA_PLANES];

	if (width > 1) {
		for (unsigned int k = 0; k < width; k++)
			planes[k] = w->planes + k * n;
		if (na_filter_is_delta(filter))
			na_planes_split_deltas(from, n, width, planes, w->deltas);
		else
			na_planes_split(from, n, width, planes);
		from = w->planes;
	}
	length = na_lz4_compress(w->state, 0, 1, from, n * width, w->out[0], n * width);
	return length ? (float)(n * width) / (float)length : 1;
}

/* What packing bits leaves of the sample: an upper bound of what a filter does for noise, at a tenth of LZ4's time. */
static float bits_of(struct na_workspace *w, enum na_filter filter, size_t size)
{
	unsigned int width = na_filter_width(filter);
	size_t n = size / width, length = 0, part;
	uint8_t *planes[NA_PLANES], varies;

	for (unsigned int k = 0; k < width; k++)
		planes[k] = w->planes + k * n;
	if (na_filter_is_delta(filter))
		na_planes_split_deltas(w->sample, n, width, planes, w->deltas);
	else
		na_planes_split(w->sample, n, width, planes);
	for (unsigned int k = 0; k < width; k++) {
		part = na_bits_measure(planes[k], n, &varies);
		length += part < n ? part : n;
	}
	return length ? (float)(n * width) / (float)length : 1;
}

/* Nothing repeats and no bit stands still: seen before LZ4 has looked at planes. */
static bool is_noise(struct na_workspace *w, const struct na_effort *effort, size_t sample)
{
	for (unsigned int f = 1; f < NA_FILTERS; f++)
		if ((effort->filters >> f & 1) && bits_of(w, f, sample) > NOISE)
			return false;
	return gain_of(w, NA_FILTER_NONE, sample) < NOISE;
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
	for (unsigned int f = 0; f < NA_FILTERS; f++) {
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
	if (plain > DOUBT && plan->gain < LEAST)
		plan->gain = LEAST;
}

bool na_plan_promises(const struct na_plan *plan)
{
	return plan->gain >= LEAST;
}
