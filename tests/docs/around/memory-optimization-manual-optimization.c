/* SPDX-License-Identifier: BSD-3-Clause */
#include <numarena/numarena.h>
#include <stdint.h>
#include <string.h>

int main(void)
{
	size_t size = 100000;
	{
@BLOCK@
		if (!data || (uintptr_t)data % 64)
			return 1;
		memset(data, 1, size);
		return_to_pool(data);
	}
	return 0;
}
