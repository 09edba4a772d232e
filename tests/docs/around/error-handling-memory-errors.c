/* SPDX-License-Identifier: BSD-3-Clause */
#include <numarena/numarena.h>

@BLOCK@

int main(void)
{
	handle_memory_error(MEMORY_ERROR_ALLOCATION);
	handle_memory_error(MEMORY_ERROR_FRAGMENTATION);
	handle_memory_error(MEMORY_ERROR_CORRUPTION);
	return 0;
}
