/* SPDX-License-Identifier: BSD-3-Clause */
/* Twice over, live blocks keep their contents, free memory goes back, and the heap goes on working. */
#include <numarena/numarena.h>
#include <stdio.h>
#include <string.h>

@BLOCK@

static int same(const char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (p[i] != 0x33)
			return 0;
	return 1;
}

int main(void)
{
	size_t bytes = 40 << 20;
	char *live = allocate_from_pool(100000), *freed;
	memory_stats_t before, after;

	if (initialize_memory_system(NULL) || !live)
		return 1;
	memset(live, 0x33, 100000);
	freed = allocate_from_pool(bytes);
	if (!freed)
		return 2;
	memset(freed, 1, bytes);
	return_to_pool(freed);
	get_memory_statistics(&before);
	cleanup_memory_system();
	cleanup_memory_system();
	get_memory_statistics(&after);
	if (last_memory_error() != MEMORY_ERROR_NONE) {
		fprintf(stderr, "%s\n", last_memory_error_message());
		return 3;
	}
	if (after.physical_bytes + bytes > before.physical_bytes || after.reclaimable_bytes > 0)
		return 4;
	if (!same(live, 100000))
		return 5;
	return_to_pool(live);
	freed = allocate_from_pool(1000);
	return_to_pool(freed);
	return !freed;
}
