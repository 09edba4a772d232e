/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/oomfiles.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define SLACK_MS 1000 /* a file system's clock may go by ticks, or be another machine's */

/* "oom-....txt", of characters that any text can carry. */
static bool is_one(const char *name)
{
	size_t length = strlen(name);

	if (length < sizeof("oom-.txt") || length >= sizeof(((struct na_oom_files *)0)->names[0]))
		return false;
	for (const char *c = name; *c; c++)
		if (*c < 0x21 || *c > 0x7e)
			return false;
	return strncmp(name, "oom-", 4) == 0 && strcmp(name + length - 4, ".txt") == 0;
}

static void insert(struct na_oom_files *out, const char *name)
{
	size_t at = out->listed;

	out->count++;
	if (at == NA_OOM_LISTED && strverscmp(out->names[--at], name) <= 0)
		return;
	for (; at > 0 && strverscmp(out->names[at - 1], name) > 0; at--)
		memcpy(out->names[at], out->names[at - 1], sizeof(out->names[at]));
	memcpy(out->names[at], name, strlen(name) + 1);
	if (out->listed < NA_OOM_LISTED)
		out->listed++;
}

void na_oom_files_find(const char *folder, uint64_t start_ms, struct na_oom_files *out)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	struct stat s;

	out->count = out->listed = 0;
	if (!d)
		return;
	while ((e = readdir(d)) != NULL) {
		if (!is_one(e->d_name) || fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if ((uint64_t)s.st_mtim.tv_sec * 1000 + (uint64_t)s.st_mtim.tv_nsec / 1000000 + SLACK_MS >= start_ms)
			insert(out, e->d_name);
	}
	closedir(d);
}
