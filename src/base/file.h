/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole files, written whole. Any thread; nothing allocates. */
#ifndef NA_BASE_FILE_H
#define NA_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* All of it, however many calls it takes; 0 or -errno. */
int na_file_write(int fd, const char *text, size_t length);

/* Whole or not at all: a temporary file beside it, then rename. With `durable` it is synced first, or a crash of the machine could leave an
 * empty file under the final name. 0 or -errno; -ENAMETOOLONG also of the temporary's name. */
int na_file_replace(const char *path, const char *text, size_t length, unsigned int mode, bool durable);

/* The beginning of a file, such as one of /proc, with NUL behind: at most capacity - 1 bytes; how many, or -errno. */
int na_file_read(const char *path, char *text, size_t capacity);

/* A path that does not change with the current folder. 0 or -errno; -ENAMETOOLONG. */
int na_file_absolute(const char *path, char *out, size_t capacity);

#endif
