/* SPDX-License-Identifier: BSD-3-Clause */
/* Registered: a request that fails for good is refused, one for which the handler can free something is served, and corruption
 * is told and survived. */
#include <numarena/numarena.h>

@BLOCK@

int main(void)
{
	static char foreign[64];
	memory_pool_config_t small = { .total_size = 32 << 20 };
	memory_recovery_stats_t stats;
	size_t bytes = 20 << 20;
	void *held, *p, *volatile none = foreign;

	if (initialize_memory_pool(&small))
		return 1;
	set_memory_error_handler(handle_memory_error);
	held = allocate_from_pool(bytes);
	if (!held || allocate_from_pool(bytes))
		return 2;
	return_to_pool(held);
	p = allocate_from_pool(bytes);
	if (!p)
		return 3;
	return_to_pool(p);
	return_to_pool(none);
	handle_memory_error(MEMORY_ERROR_FRAGMENTATION);
	if (get_memory_recovery_statistics(&stats) || stats.handler_calls != 2)
		return 4;
	p = allocate_from_pool(1000);
	return_to_pool(p);
	return !p;
}
