/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MPI library's own functions and handles, looked up when the program initialises MPI.
 *
 * Why not link MPI: numarena-run preloads this library into every process of a program, shells and helpers
 * too, and an MPI library in each of them would cost milliseconds and open devices. So this library has no undefined
 * MPI symbol at all: a process without MPI never notices it, and one that loads MPI later (Python's
 * mpi4py) is served all the same.
 *
 * Always the PMPI_ names: the traffic of this layer shows up in nobody's profile.
 *
 * Which MPI it is shows there as well, by its version string: handles of Open MPI are addresses of objects, those of MPICH and its relatives
 * numbers of an ABI that they have kept since 2014. Of any other library nothing is known, and it is refused. See abi/mpi.h.
 *
 * Written once, by na_mpi_load() within MPI_Init; read-only afterwards.
 */
#ifndef NA_MPI_TABLE_H
#define NA_MPI_TABLE_H

#include <mpi.h> /* mpi/abi/mpi.h, of no MPI library's own */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_MPI_FUNCTIONS(X)                                                                                            \
	X(Abort)                                                                                                       \
	X(Allgather)                                                                                                   \
	X(Allreduce)                                                                                                   \
	X(Barrier)                                                                                                     \
	X(Bcast)                                                                                                       \
	X(Comm_compare)                                                                                                \
	X(Comm_create_keyval)                                                                                          \
	X(Comm_dup)                                                                                                    \
	X(Comm_free)                                                                                                   \
	X(Comm_get_attr)                                                                                               \
	X(Comm_get_errhandler)                                                                                         \
	X(Comm_get_parent)                                                                                             \
	X(Comm_rank)                                                                                                   \
	X(Comm_set_attr)                                                                                               \
	X(Comm_set_errhandler)                                                                                         \
	X(Comm_size)                                                                                                   \
	X(Comm_split)                                                                                                  \
	X(Comm_split_type)                                                                                             \
	X(Comm_test_inter)                                                                                             \
	X(Finalized)                                                                                                   \
	X(Gather)                                                                                                      \
	X(Gatherv)                                                                                                     \
	X(Get_library_version)                                                                                         \
	X(Iallgather)                                                                                                  \
	X(Iallreduce)                                                                                                  \
	X(Ibarrier)                                                                                                    \
	X(Initialized)                                                                                                 \
	X(Lookup_name)                                                                                                 \
	X(Publish_name)                                                                                                \
	X(Query_thread)                                                                                                \
	X(Recv)                                                                                                        \
	X(Send)                                                                                                        \
	X(Test)

struct na_mpi {
#define NA_MPI_MEMBER(name) __typeof__(&PMPI_##name) name;
	NA_MPI_FUNCTIONS(NA_MPI_MEMBER)
#undef NA_MPI_MEMBER
	MPI_Comm world, self, comm_null;
	MPI_Datatype byte, u64;
	/* MPICH 4.0 compares MPI_UINT64_T as if it were signed: a maximum of values of which some have the highest bit and some have not is not the
	 * same everywhere. Minima by complements are safe where all ranks complement. */
	MPI_Op max, sum;
	MPI_Errhandler errors_return;
	MPI_Info info_null;
	int type_shared;     /* MPI_COMM_TYPE_SHARED */
	void *status_ignore; /* MPI_STATUS_IGNORE */
	bool numbered;	     /* handles are ints: MPICH and its relatives */
};

extern struct na_mpi na_mpi;

/* A communicator that came from outside, fit to be compared and kept. */
static inline MPI_Comm na_mpi_handle(MPI_Comm comm)
{
	return na_mpi.numbered ? (MPI_Comm)((uintptr_t)comm & UINT32_MAX) : comm;
}

/* 0; -ENOENT if the MPI library lacks one: `what` names it; -EPROTO if it is none that we know. */
int na_mpi_load(const char **what);

/* The ranks of this node: those of the same number, or where it is unknown (-1 on all ranks) those that share memory. *local is zero before. */
int na_mpi_split_nodes(MPI_Comm comm, int64_t node, int rank, MPI_Comm *local);

/* For attributes that a duplicate of the communicator does not get: MPI's own null function is not the same in both ABIs. */
int na_mpi_no_copy(MPI_Comm comm, int key, void *extra, void *in, void *out, int *flag);

/* The next definition of a function after ours: the MPI library's, or a profiler's. NULL: none. */
void *na_mpi_next(const char *name);
/* The same; without one a message, and the end of the process: it must not run on as if MPI had done what it was called for. */
void *na_mpi_require(const char *name);

#endif
