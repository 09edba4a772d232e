/* SPDX-License-Identifier: BSD-3-Clause */
/* How many mappings this process has, for programs that have the library from outside; within, na_limits_maps() says it. Allocates nothing. */
#ifndef TESTS_SUPPORT_MAPS_H
#define TESTS_SUPPORT_MAPS_H

#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

static inline size_t count_mappings(void)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char text[4096];
	size_t lines = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	if (fd >= 0)
		close(fd);
	return lines;
}

#endif
