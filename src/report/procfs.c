/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "heap/snapshot.h"

/* 0 or -errno; the text ends in NUL and is cut if it is longer. */
static int slurp(const char *path, char *text, size_t capacity)
{
	int saved = errno, rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;

	if (fd < 0) {
		rc = -errno;
		errno = saved;
		return rc;
	}
	while (length + 1 < capacity) {
		ssize_t n = read(fd, text + length, capacity - 1 - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = -errno;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	close(fd);
	text[length] = '\0';
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

static uint32_t whole(const char **s)
{
	uint32_t v = 0;

	for (; **s >= '0' && **s <= '9'; ++*s)
		v = v * 10 + (uint32_t)(**s - '0');
	return v;
}

/* "0-3,8,10-11". */
uint32_t na_procfs_node_cpus(int32_t node, bool (*mine)(uint32_t cpu))
{
	char path[80], text[4096];
	uint32_t n = 0;

	na_format(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	if (slurp(path, text, sizeof(text)) < 0)
		return UINT32_MAX;
	for (const char *s = text; *s >= '0' && *s <= '9'; s += *s == ',') {
		uint32_t first = whole(&s), last = first;

		if (*s == '-') {
			s++;
			last = whole(&s);
		}
		for (uint32_t cpu = first; cpu <= last && last < 1u << 20; cpu++)
			n += mine(cpu);
	}
	return n;
}
