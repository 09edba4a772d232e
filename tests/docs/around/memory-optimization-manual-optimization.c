/* SPDX-License-Identifier: BSD-3-Clause */
/* Aligned, all there, and remembered. */
#include <numarena/numarena.h>
#include <stdint.h>
#include <string.h>

int main(void)
{
	size_t size = 100000;
	{
@BLOCK@
		memory_hints_t kept;

		if (!data || (uintptr_t)data % 64)
			return 1;
		if (allocation_hints(data, &kept) || kept.access_pattern != ACCESS_SEQUENTIAL ||
		    kept.lifetime != LIFETIME_LONG || kept.priority != PRIORITY_HIGH)
			return 2;
		memset(data, 1, size);
		return_to_pool(data);
	}
	return 0;
}
