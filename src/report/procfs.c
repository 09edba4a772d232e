/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/procfs.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "heap/snapshot.h"
#include "topology/bitset.h"

/* Whoever calls has an errno to keep. */
static int slurp(const char *path, char *text, size_t capacity)
{
	int saved = errno, rc = na_file_read(path, text, capacity);

	errno = saved;
	return rc;
}

uint64_t na_procfs_find(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		uint64_t v = 0;
		const char *s;

		line += *line == '\n';
		if (strncmp(line, key, length) != 0 || line[length] != ':')
			continue;
		s = line + length + 1;
		s += strspn(s, " \t");
		if (*s < '0' || *s > '9')
			return NA_UNKNOWN;
		for (; *s >= '0' && *s <= '9'; s++)
			v = v * 10 + (uint64_t)(*s - '0');
		return strncmp(s, " kB", 3) == 0 ? v * 1024 : NA_UNKNOWN;
	}
	return NA_UNKNOWN;
}

void na_procfs_memory(struct na_procfs *out)
{
	char text[4096];

	*out = (struct na_procfs){ NA_UNKNOWN, NA_UNKNOWN, NA_UNKNOWN };
	if (slurp("/proc/self/status", text, sizeof(text)) < 0)
		return;
	out->rss = na_procfs_find(text, "VmRSS");
	out->peak_rss = na_procfs_find(text, "VmHWM");
	out->swapped = na_procfs_find(text, "VmSwap");
}

uint64_t na_procfs_pss(void)
{
	char text[4096];

	if (slurp("/proc/self/smaps_rollup", text, sizeof(text)) < 0)
		return NA_UNKNOWN;
	return na_procfs_find(text, "Pss");
}

uint32_t na_procfs_node_cpus(int32_t node, bool (*mine)(uint32_t cpu))
{
	unsigned long cpus[NA_BITSET_MOST / NA_BITSET_BITS] = { 0 };
	char path[80], text[4096];
	uint32_t n = 0;
	int highest;

	na_format(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	if (slurp(path, text, sizeof(text)) < 0 || na_bitset_read_list(text, cpus, NA_BITSET_MOST, &highest) < 0)
		return UINT32_MAX;
	for (int cpu = 0; cpu <= highest; cpu++)
		n += na_bitset_has(cpus, NA_BITSET_MOST, (size_t)cpu) && mine((uint32_t)cpu);
	return n;
}
