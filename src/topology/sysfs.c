/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading /proc and /sys; see sysfs.h. */
#include "topology/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"

#define READ_MOST (1u << 20)

/* Files of /proc have no size, so grow as we read. */
static int read_all(int fd, char **text)
{
	size_t capacity = 4096, used = 0;
	char *buffer = malloc(capacity), *larger;
	ssize_t n;

	while (buffer) {
		n = read(fd, buffer + used, capacity - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		if (n == 0) {
			buffer[used] = '\0';
			*text = buffer;
			return 0;
		}
		used += (size_t)n;
		if (used + 1 < capacity)
			continue;
		larger = capacity < READ_MOST ? realloc(buffer, capacity *= 2) : NULL;
		if (!larger) {
			free(buffer);
			return -ENOMEM;
		}
		buffer = larger;
	}
	free(buffer);
	return buffer ? -errno : -ENOMEM;
}

int na_sysfs_read(const char *root, const char *path, char **text)
{
	char full[PATH_MAX];
	int fd, rc;

	if (na_format(full, sizeof(full), "%s%s", root ? root : "", path) >= sizeof(full) - 1)
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = read_all(fd, text);
	close(fd);
	return rc;
}

int na_sysfs_read_list(const char *root, const char *path, unsigned long *mask, size_t slots, int *highest)
{
	char *text;
	int rc = na_sysfs_read(root, path, &text);

	if (rc < 0)
		return rc;
	rc = na_bitset_read_list(text, mask, slots, highest);
	free(text);
	return rc;
}

int na_sysfs_find_list(const char *status, const char *name, unsigned long *mask, size_t slots)
{
	size_t length = strlen(name);
	int highest;

	for (const char *line = status; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			return na_bitset_read_list(line + length + 1, mask, slots, &highest);
	}
	return -ENOENT;
}

void na_sysfs_read_thp(const char *root, uint64_t *size, enum na_topology_thp *mode)
{
	char *text;

	*size = 0;
	*mode = NA_THP_ABSENT;
	if (na_sysfs_read(root, "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", &text) < 0)
		return;
	*size = strtoull(text, NULL, 10);
	free(text);
	if (na_sysfs_read(root, "/sys/kernel/mm/transparent_hugepage/enabled", &text) < 0)
		return;
	if (strstr(text, "[always]"))
		*mode = NA_THP_ALWAYS;
	else if (strstr(text, "[madvise]"))
		*mode = NA_THP_MADVISE;
	else
		*mode = NA_THP_NEVER;
	free(text);
}

/* Order matters to none of us: the sum does not depend on how a launcher sorted the environment. */
static uint64_t hash_variables(void)
{
	uint64_t sum = 0;

	for (char **e = environ; e && *e; e++)
		if (strncmp(*e, "HWLOC_", 6) == 0)
			sum += na_hash_text(NA_HASH_START, *e);
	return sum;
}

uint64_t na_sysfs_fingerprint(const char *root)
{
	static const char *const files[] = { "/sys/devices/system/cpu/online", "/sys/devices/system/node/online" };
	uint64_t variables = hash_variables(), hash = NA_HASH_START;
	char *text;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		hash = na_hash(hash, &i, sizeof(i));
		if (na_sysfs_read(root, files[i], &text) < 0)
			continue;
		hash = na_hash_text(hash, text);
		free(text);
	}
	return na_hash(hash, &variables, sizeof(variables));
}
