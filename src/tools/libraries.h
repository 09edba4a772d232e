/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the libraries are that numarena-run preloads: in the build tree if it runs from there, else beside the tool
 * as installed (so that a moved prefix works), else where configure was told.
 */
#ifndef NA_TOOLS_LIBRARIES_H
#define NA_TOOLS_LIBRARIES_H

#include <limits.h>
#include <stddef.h>

struct na_libraries {
	char core[PATH_MAX]; /* "": left to the loader, which looks for it in up to ten folders that are not there */
	char malloc[PATH_MAX];
	char mpi[PATH_MAX]; /* "": not built */
};

/* 0, or -ENOENT with the places that were tried. */
int na_libraries_find(struct na_libraries *out, char *complaint, size_t capacity);

#endif
