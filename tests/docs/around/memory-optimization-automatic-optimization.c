/* SPDX-License-Identifier: BSD-3-Clause */
/* The level's settings are in force. */
#include <numarena/numarena.h>
#include <string.h>

int main(void)
{
	memory_setting_t all[200];
	size_t n, found = 0;
	{
@BLOCK@
	}
	n = get_memory_settings(all, 200);
	for (size_t i = 0; i < n && i < 200; i++)
		found += strcmp(all[i].source, "level aggressive") == 0;
	return found < 3 || last_memory_error() != MEMORY_ERROR_NONE;
}
