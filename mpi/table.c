/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/table.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>

struct na_mpi na_mpi;

/* A library that was loaded for one module alone (dlopen without RTLD_GLOBAL) is not among what RTLD_NEXT
 * searches: then by the names that MPI libraries have. It is loaded already, so nothing new comes in. */
static void *loaded_library(void)
{
	static const char *const names[] = { "libmpi.so.40",	  "libmpi.so.12", "libmpich.so.12",
					     "libmpi_cray.so.12", "libmpi.so.80", "libmpi.so" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		void *handle = dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);

		if (handle)
			return handle;
	}
	return NULL;
}

void *na_mpi_next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name), *library;

	if (found)
		return found;
	library = loaded_library();
	return library ? dlsym(library, name) : NULL;
}

#ifdef OPEN_MPI
/* Open MPI's handles are addresses of objects. Those of the library, unless the executable took copies of them
 * (its relocations may), which then are the ones that everybody uses: hence the search from the start. */
static void *object(const char *name)
{
	void *found = dlsym(RTLD_DEFAULT, name);

	return found ? found : na_mpi_next(name);
}

static bool load_handles(const char **what)
{
	struct {
		const char *name;
		void **handle;
	} wanted[] = { { "ompi_mpi_comm_world", (void **)&na_mpi.world },
		       { "ompi_mpi_comm_self", (void **)&na_mpi.self },
		       { "ompi_mpi_comm_null", (void **)&na_mpi.comm_null },
		       { "ompi_mpi_byte", (void **)&na_mpi.byte },
		       { "ompi_mpi_uint64_t", (void **)&na_mpi.u64 },
		       { "ompi_mpi_op_max", (void **)&na_mpi.max },
		       { "ompi_mpi_op_sum", (void **)&na_mpi.sum },
		       { "ompi_mpi_errors_return", (void **)&na_mpi.errors_return },
		       { "ompi_mpi_info_null", (void **)&na_mpi.info_null } };

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		*wanted[i].handle = object(wanted[i].name);
		if (!*wanted[i].handle) {
			*what = wanted[i].name;
			return false;
		}
	}
	return true;
}
#else
static bool load_handles(const char **what)
{
	(void)what;
	na_mpi.world = MPI_COMM_WORLD;
	na_mpi.self = MPI_COMM_SELF;
	na_mpi.comm_null = MPI_COMM_NULL;
	na_mpi.byte = MPI_BYTE;
	na_mpi.u64 = MPI_UINT64_T;
	na_mpi.max = MPI_MAX;
	na_mpi.sum = MPI_SUM;
	na_mpi.errors_return = MPI_ERRORS_RETURN;
	na_mpi.info_null = MPI_INFO_NULL;
	return true;
}
#endif

int na_mpi_load(const char **what)
{
#define NA_MPI_LOOK_UP(name)                                                                                           \
	*(void **)&na_mpi.name = na_mpi_next("PMPI_" #name);                                                           \
	if (!na_mpi.name) {                                                                                            \
		*what = "PMPI_" #name;                                                                                 \
		return -ENOENT;                                                                                        \
	}
	NA_MPI_FUNCTIONS(NA_MPI_LOOK_UP)
#undef NA_MPI_LOOK_UP
	return load_handles(what) ? 0 : -ENOENT;
}
