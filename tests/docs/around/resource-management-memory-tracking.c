/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples of live and physical bytes come in. */
#include <math.h>
#include <numarena/numarena.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int check(void)
{
	size_t bytes = 20 << 20, n;
	char *p = allocate_from_pool(bytes);
	memory_sample_t samples[512];

	if (last_memory_error() != MEMORY_ERROR_NONE || !p)
		return 1;
	memset(p, 1, bytes);
	for (int i = 0; i < 1000; i++, usleep(10000)) {
		n = get_memory_samples(samples, 512);
		for (size_t k = 0; k < n && k < 512; k++)
			if (samples[k].live_bytes >= bytes && samples[k].live_bytes != MEMORY_METRIC_UNAVAILABLE &&
			    samples[k].physical_bytes >= bytes && samples[k].physical_bytes != MEMORY_METRIC_UNAVAILABLE &&
			    samples[k].fragmentation >= 0.0 && samples[k].fragmentation <= 1.0) {
				return_to_pool(p);
				return stop_memory_monitoring() != MEMORY_ERROR_NONE;
			}
	}
	fprintf(stderr, "no sample shows the block\n");
	return 2;
}

int main(void)
{
@BLOCK@
	return check();
}
