/* SPDX-License-Identifier: BSD-3-Clause */
/* The block is usable to its last byte, and is the pool's again afterwards. */
#include <numarena/numarena.h>
#include <stdlib.h>
#include <string.h>

static size_t size = 123456;
static void *seen;

static void handle_allocation_failure(void)
{
	abort();
}

static void process_data(void *data)
{
	seen = data;
	memset(data, 0x5a, size);
	if (!in_memory_pool(data) || allocation_size(data) < size)
		abort();
}

int main(void)
{
	memory_stats_t before, after;

	get_memory_statistics(&before);
	{
@BLOCK@
	}
	get_memory_statistics(&after);
	if (!seen || in_memory_pool(seen))
		return 1;
	return after.total_allocated != before.total_allocated || after.releases != before.releases + 1;
}
