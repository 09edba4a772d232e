/* SPDX-License-Identifier: BSD-3-Clause */
/* A program that has left most of its memory in pieces is told so.
 * stdout: ^Bottlenecks: .*Of [0-9.]+ MiB resident only [0-9.]+ MiB are live blocks
 * stdout: ^Recommendations: .*[0-9]
 */
#include <numarena/numarena.h>
#include <stdio.h>
#include <string.h>

enum { BLOCKS = 40000 };
static void *p[BLOCKS];

int main(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		p[i] = allocate_from_pool(1024);
		if (!p[i])
			return 1;
		memset(p[i], 1, 1024);
	}
	for (int i = 0; i < BLOCKS; i++)
		if (i % 16)
			return_to_pool(p[i]);
	{
@BLOCK@
		if (result.finding_count == 0 || strcmp(result.bottlenecks, "none") == 0)
			return 2;
	}
	return 0;
}
