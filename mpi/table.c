/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/table.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/message.h"

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

void *na_mpi_require(const char *name)
{
	void *found = na_mpi_next(name);

	if (!found) {
		/* Only of a program that was linked without MPI's own library (the linker drops what it sees no use of). */
		na_message("%s: no MPI library in this process provides it; link with -Wl,--no-as-needed", name);
		abort();
	}
	return found;
}

/* Open MPI's handles are addresses of objects. Those of the library, unless the executable took copies of them
 * (its relocations may), which then are the ones that everybody uses: hence the search from the start. */
static void *object(const char *name)
{
	void *found = dlsym(RTLD_DEFAULT, name);

	return found ? found : na_mpi_next(name);
}

static int open_mpi(const char **what)
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
			return -ENOENT;
		}
	}
	na_mpi.type_shared = 0;
	na_mpi.status_ignore = NULL;
	na_mpi.numbered = false;
	return 0;
}

/* The numbers of the common ABI (MPICH 3.1 and later, Intel MPI 5, Cray MPT 7, MVAPICH2 2). */
static int mpich(void)
{
	na_mpi.world = (MPI_Comm)(uintptr_t)0x44000000;
	na_mpi.self = (MPI_Comm)(uintptr_t)0x44000001;
	na_mpi.comm_null = (MPI_Comm)(uintptr_t)0x04000000;
	na_mpi.byte = (MPI_Datatype)(uintptr_t)0x4c00010d;
	na_mpi.u64 = (MPI_Datatype)(uintptr_t)0x4c00083e;
	na_mpi.max = (MPI_Op)(uintptr_t)0x58000001;
	na_mpi.sum = (MPI_Op)(uintptr_t)0x58000003;
	na_mpi.errors_return = (MPI_Errhandler)(uintptr_t)0x54000001;
	na_mpi.info_null = (MPI_Info)(uintptr_t)0x1c000000;
	na_mpi.type_shared = 1;
	na_mpi.status_ignore = (void *)(uintptr_t)1;
	na_mpi.numbered = true;
	return 0;
}

/* Asked of the library itself, by the one call that is the same in every ABI and allowed at any time. */
static int load_handles(const char **what)
{
	static const char *const relatives[] = { "MPICH", "Intel(R) MPI", "MVAPICH" };
	char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
	int length = 0;

	if (na_mpi.Get_library_version(version, &length) != MPI_SUCCESS)
		version[0] = '\0';
	for (size_t i = 0; i < sizeof(relatives) / sizeof(relatives[0]); i++)
		if (strstr(version, relatives[i]))
			return mpich();
	if (strstr(version, "Open MPI") || object("ompi_mpi_comm_world"))
		return open_mpi(what);
	*what = "an ABI that is known (Open MPI's or MPICH's)";
	return -EPROTO;
}

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
	return load_handles(what);
}

int na_mpi_split_nodes(MPI_Comm comm, int64_t node, int rank, MPI_Comm *local)
{
	return node >= 0 ? na_mpi.Comm_split(comm, (int)node, rank, local)
			 : na_mpi.Comm_split_type(comm, na_mpi.type_shared, rank, na_mpi.info_null, local);
}

int na_mpi_no_copy(MPI_Comm comm, int key, void *extra, void *in, void *out, int *flag)
{
	(void)comm;
	(void)key;
	(void)extra;
	(void)in;
	(void)out;
	*flag = 0;
	return MPI_SUCCESS;
}
