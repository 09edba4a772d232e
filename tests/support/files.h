/* SPDX-License-Identifier: BSD-3-Clause */
/* Made-up files of /proc and /sys below a temporary folder, for code that reads them under na_limits_root. */
#ifndef NA_TESTS_FILES_H
#define NA_TESTS_FILES_H

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "os/limit.h"
#include "support/machine.h"

static char files_root[PATH_MAX];

/* A new, empty tree. */
static inline void files_begin(void)
{
	test_folder_make(files_root);
	na_limits_root = files_root;
}

static inline void files_end(void)
{
	na_limits_root = "";
	test_folder_remove(files_root);
}

static inline void files_put(const char *path, const char *text)
{
	char full[2 * PATH_MAX];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", files_root, path);
	for (char *s = full + strlen(files_root) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		if (mkdir(full, 0700) < 0 && errno != EEXIST)
			abort();
		*s = '/';
	}
	f = fopen(full, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static inline void files_put_number(const char *path, unsigned long long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", value);
	files_put(path, text);
}

static inline void files_put_machine(unsigned long long total_kb, unsigned long long available_kb)
{
	char text[256];

	snprintf(text, sizeof(text), "MemTotal:       %llu kB\nMemFree:        1 kB\nMemAvailable:   %llu kB\n", total_kb,
		 available_kb);
	files_put("/proc/meminfo", text);
}

#endif
