/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures printed are those of a program that is known.
 * stdout: ^Pool Usage: [0-9]+\.[0-9][0-9]%$
 * stdout: ^Fragmentation: [0-9]+\.[0-9][0-9]%$
 * stdout: ^Cache Hit Rate: (nan|-nan|[0-9]+\.[0-9][0-9])%$
 * stdout: ^Cache Misses: [0-9]+$
 * stdout: ^Allocation Time: [0-9]+\.[0-9][0-9] us$
 * stdout: ^Access Latency: (nan|-nan|[0-9]+\.[0-9][0-9]) ns$
 */
#include <math.h>
#include <numarena/numarena.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	size_t bytes = 30 << 20;
	char *p = allocate_from_pool(bytes);

	if (!p)
		return 1;
	memset(p, 1, bytes);
	for (int i = 0; i < 1000; i++)
		return_to_pool(allocate_from_pool(100));
	{
@BLOCK@
		if (!(metrics.pool_usage > 0.0 && metrics.pool_usage <= 1.0))
			return 2;
		if (metrics.requested_bytes < bytes || metrics.resident_bytes < bytes)
			return 3;
		if (!(metrics.avg_alloc_time > 0.0 && metrics.avg_alloc_time < 1000.0))
			return 4;
		if (!(metrics.avg_access_latency > 0.0) && !*memory_metric_unavailable_reason("avg_access_latency"))
			return 5;
		if (!isnan(metrics.cache_hit_rate) || !*memory_metric_unavailable_reason("cache_misses"))
			return 6; /* nobody has asked for counting */
	}
	return_to_pool(p);
	return 0;
}
