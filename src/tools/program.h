/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can be known of a program before it is started: where PATH finds it, and why preloading would pass it by.
 */
#ifndef NA_TOOLS_PROGRAM_H
#define NA_TOOLS_PROGRAM_H

#include <limits.h>
#include <stddef.h>

/* As execvp() would find it. 0; -ENOENT; -EACCES: found, but not one that may be run. */
int na_program_find(const char *name, char path[PATH_MAX]);

/* 1 if the dynamic loader will ignore LD_PRELOAD for it, with the reason. Scripts and what cannot be read count
 * as 0: their interpreter decides. */
int na_program_escapes(const char *path, char *reason, size_t capacity);

#endif
