/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

int na_file_write(int fd, const char *text, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = write(fd, text + done, length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

int na_file_replace(const char *path, const char *text, size_t length, unsigned int mode, bool durable)
{
	char temporary[PATH_MAX];
	int fd, rc;

	if (na_format(temporary, sizeof(temporary), "%s.XXXXXX", path) + 1 >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fchmod(fd, mode);
	rc = na_file_write(fd, text, length);
	if (rc == 0 && durable && fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(temporary, path) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(temporary);
	return rc;
}

int na_file_read(const char *path, char *text, size_t capacity)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	size_t length = 0;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
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
	return rc < 0 ? rc : (int)length;
}

int na_file_absolute(const char *path, char *out, size_t capacity)
{
	size_t n = 0;

	if (path[0] != '/') {
		if (!getcwd(out, capacity))
			return errno == ERANGE ? -ENAMETOOLONG : -errno;
		n = strlen(out);
	}
	return n + na_format(out + n, capacity - n, "%s%s", n ? "/" : "", path) + 1 < capacity ? 0 : -ENAMETOOLONG;
}
