/* SPDX-License-Identifier: BSD-3-Clause */
/* The distance is in force, blocks begin on lines, and the settings say who wanted it. */
#include <numarena/numarena.h>
#include <string.h>

static int is(const char *name, const char *value)
{
	memory_setting_t all[200];
	size_t n = get_memory_settings(all, 200);

	for (size_t i = 0; i < n && i < 200; i++)
		if (strcmp(all[i].name, name) == 0)
			return strcmp(all[i].value, value) == 0;
	return 0;
}

int main(void)
{
	{
@BLOCK@
	}
	if (last_memory_error() != MEMORY_ERROR_NONE || PREFETCH_DISTANCE != 16)
		return 1;
	return !is("NUMARENA_CACHE_OPTIMIZATION", "aggressive") || !is("NUMARENA_MONITOR_CACHE_MISSES", "1") ||
	       !is("NUMARENA_CACHE_LINE_SIZE", "64") || !is("NUMARENA_ALIGNMENT", "128");
}
