/* SPDX-License-Identifier: BSD-3-Clause */
/* Physical memory and time of this process, for benchmarks that are not patterns of bench.h. By system calls alone, for stdio allocates. */
#ifndef NA_BENCHMARKS_PHYSICAL_H
#define NA_BENCHMARKS_PHYSICAL_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Bytes of Pss: a page that is mapped twice counts once. Ends the program where the kernel does not tell. */
static inline uint64_t physical(void)
{
	char text[2048], *line;
	int file = open("/proc/self/smaps_rollup", O_RDONLY);
	ssize_t length = file < 0 ? -1 : read(file, text, sizeof(text) - 1);

	if (file >= 0)
		close(file);
	text[length > 0 ? length : 0] = '\0';
	line = strstr(text, "\nPss:");
	if (!line) {
		fprintf(stderr, "there is no Pss to be read in /proc/self/smaps_rollup\n");
		exit(1);
	}
	return strtoull(line + 5, NULL, 10) * 1024;
}

static inline double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

#endif
