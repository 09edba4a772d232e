/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The documentation's processing loop, without its prefetch and as it stands: with a function of another file, as on the page, of four
 * instructions and of some twenty; inlined, with a few dependent operations and a branch, and with an exponential; and one that compilers
 * make vector code of, which a prefetch keeps them from.
 *
 * Loops begin on a line of code, with and without: where they come to lie otherwise makes 20 % to either side, and would be all that is seen.
 */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("align-loops=64")
#endif
#include <math.h>
#include <numarena/cache.h>

#include "kernels_plain.h"

static inline void process_branching(double *element)
{
	double v = *element;

	for (int k = 0; k < 4; k++)
		v = v * v * 0.5 + 0.25;
	*element = v > 0.9 ? v - 0.5 : v + 0.01;
}

static inline void process_exp(double *element)
{
	*element = exp(-sqrt(*element));
}

static inline void process_linear(double *element)
{
	*element = *element * 0.999 + 0.001;
}

#define PROCESS(name, process_element)                                                                                 \
	void plain_process_##name(double *data, size_t size)                                                           \
	{                                                                                                              \
		data = align_to_cache_line(data);                                                                      \
		for (size_t i = 0; i < size; i++)                                                                      \
			process_element(&data[i]);                                                                     \
	}                                                                                                              \
                                                                                                                       \
	void documented_process_##name(double *data, size_t size)                                                      \
	{                                                                                                              \
		data = align_to_cache_line(data);                                                                      \
		for (size_t i = 0; i < size; i++) {                                                                    \
			prefetch_next_block(&data[i + PREFETCH_DISTANCE]);                                             \
			process_element(&data[i]);                                                                     \
		}                                                                                                      \
	}

PROCESS(elsewhere, process_elsewhere)
PROCESS(longer, process_longer)
PROCESS(branching, process_branching)
PROCESS(exp, process_exp)
PROCESS(linear, process_linear)
