/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures printed are those of a block that is known.
 * stdout: ^Total Allocated: [0-9]+ bytes$
 * stdout: ^Peak Usage: [0-9]+ bytes$
 * stdout: ^Fragmentation: [0-9]+\.[0-9][0-9]%$
 */
#include <numarena/numarena.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	size_t bytes = 30 << 20;
	char *p = allocate_from_pool(bytes), *q = allocate_from_pool(bytes);

	if (!p || !q)
		return 1;
	memset(p, 1, bytes);
	return_to_pool(q);
	{
@BLOCK@
		if (stats.total_allocated < bytes || stats.total_allocated > bytes + (1 << 20))
			return 2;
		if (stats.peak_usage < 2 * bytes)
			return 3;
		if (stats.physical_bytes < bytes)
			return 4;
		if (!(stats.fragmentation >= 0.0 && stats.fragmentation < 0.5))
			return 5;
	}
	return_to_pool(p);
	return 0;
}
