/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/libraries.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define CORE_NAME   "libnumarena.so"
#define MALLOC_NAME "libnumarena-malloc.so"
#define MPI_NAME    "libnumarena-mpi.so"

/* The folder of this executable; 0 or -errno. */
static int own_folder(char out[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return -errno;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

/* Whether FOLDER/NAME can be read; its path into out. */
static int found(char out[PATH_MAX], const char *folder, const char *name)
{
	if (na_format(out, PATH_MAX, "%s/%s", folder, name) + 1 < PATH_MAX && access(out, R_OK) == 0)
		return 1;
	out[0] = '\0';
	return 0;
}

/* From BINDIR to LIBDIR as a relative path, so that a prefix that was moved as a whole still works. */
static void installed_folder(char out[PATH_MAX], const char *own)
{
	const char *bin = BINDIR, *lib = LIBDIR;
	size_t common = 0;
	char up[PATH_MAX] = "/..";
	size_t n = 3;

	for (size_t i = 0; bin[i] && bin[i] == lib[i]; i++)
		if (bin[i] == '/')
			common = i + 1;
	for (const char *p = bin + common; (p = strchr(p, '/')) != NULL; p++)
		if (p[1])
			n += na_format(up + n, sizeof(up) - n, "/..");
	na_format(out, PATH_MAX, "%s%s/%s", own, up, lib + common);
}

/* The libraries of one folder, as installed. */
static int found_all(struct na_libraries *out, const char *folder)
{
	if (!found(out->malloc, folder, MALLOC_NAME))
		return 0;
	found(out->core, folder, CORE_NAME);
	found(out->mpi, folder, MPI_NAME);
	return 1;
}

int na_libraries_find(struct na_libraries *out, char *complaint, size_t capacity)
{
	char own[PATH_MAX], folder[PATH_MAX];

	out->core[0] = out->malloc[0] = out->mpi[0] = '\0';
	if (own_folder(own) < 0)
		own[0] = '\0';
	na_format(folder, sizeof(folder), "%s/../interpose/.libs", own);
	if (found(out->malloc, folder, MALLOC_NAME)) {
		na_format(folder, sizeof(folder), "%s/../.libs", own);
		found(out->core, folder, CORE_NAME);
		na_format(folder, sizeof(folder), "%s/../../mpi/.libs", own);
		found(out->mpi, folder, MPI_NAME);
		return 0;
	}
	installed_folder(folder, own);
	if (found_all(out, folder) || found_all(out, LIBDIR))
		return 0;
	na_format(complaint, capacity, "%s is neither in %s nor in %s", MALLOC_NAME, folder, LIBDIR);
	return -ENOENT;
}
