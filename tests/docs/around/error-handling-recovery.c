/* SPDX-License-Identifier: BSD-3-Clause */
/* Recovery is on afterwards, with that fallback: past a limit there is memory, and a line says where it came from. */
#include <numarena/numarena.h>
#include <string.h>

static int check(void)
{
	memory_pool_config_t small = { .total_size = 16 << 20 };
	memory_recovery_stats_t before, after;
	char *p;

	if (last_memory_error() != MEMORY_ERROR_NONE || initialize_memory_pool(&small) ||
	    get_memory_recovery_statistics(&before))
		return 1;
	p = allocate_from_pool(20 << 20);
	if (!p || get_memory_recovery_statistics(&after) || after.by_system != before.by_system + 1)
		return 2;
	memset(p, 1, 20 << 20);
	return_to_pool(p);
	return 0;
}

int main(void)
{
@BLOCK@
	return check();
}
