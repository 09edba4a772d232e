/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether live bytes only ever grow; see analysis.h. */
#include "analysis/analysis.h"

#define STRETCHES 8
#define LEAST	  (2 * STRETCHES)

void na_analysis_growth_of(const uint64_t *points, size_t count, const char *unit, struct na_analysis_growth *out)
{
	*out = (struct na_analysis_growth){ .unit = unit };
	if (count < 2)
		return;
	out->first = points[0];
	out->last = points[count - 1];
	out->points = (uint32_t)count;
	for (size_t i = 1; i < count; i++)
		out->rises += points[i] > points[i - 1];
	if (points[count - 1] > points[count - 2])
		out->last_step = points[count - 1] - points[count - 2];
}

void na_analysis_growth(const uint64_t *live, size_t count, const char *unit, struct na_analysis_growth *out)
{
	uint64_t lowest[STRETCHES];

	*out = (struct na_analysis_growth){ .unit = unit };
	if (count < LEAST)
		return;
	for (size_t s = 0; s < STRETCHES; s++) {
		size_t from = s * count / STRETCHES, to = (s + 1) * count / STRETCHES;

		lowest[s] = live[from];
		for (size_t i = from + 1; i < to; i++)
			if (live[i] < lowest[s])
				lowest[s] = live[i];
	}
	na_analysis_growth_of(lowest, STRETCHES, unit, out);
}
