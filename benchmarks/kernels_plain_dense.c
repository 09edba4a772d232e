/* SPDX-License-Identifier: BSD-3-Clause */
/* Dense loops as a user would write them. */
#include <numarena/cache.h>

#include "kernels_plain.h"

/* The documentation's processing loop: without its prefetch, and as it stands. */
static inline void process_element(double *element)
{
	*element = *element * 0.999 + 0.001;
}

void plain_process(double *data, size_t size)
{
	data = align_to_cache_line(data);
	for (size_t i = 0; i < size; i++)
		process_element(&data[i]);
}

void plain_process_documented(double *data, size_t size)
{
	data = align_to_cache_line(data);
	for (size_t i = 0; i < size; i++) {
		prefetch_next_block(&data[i + PREFETCH_DISTANCE]);
		process_element(&data[i]);
	}
}
