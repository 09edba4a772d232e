/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MPI header that this layer itself is compiled with, and nobody else: one libnumarena-mpi serves programs of Open MPI and
 * of MPICH (and of what keeps MPICH's ABI: Intel MPI, Cray MPICH, MVAPICH2), whichever of them there was when it was built, if any.
 *
 * How two ABIs become one: a handle is a pointer in Open MPI and an int in MPICH. Here it is as wide as a pointer. In the calling conventions
 * that we build for (checked below) an int argument is the low half of the register or stack slot that a pointer would
 * have, and of a handle that is stored through a pointer MPICH writes the low half. So:
 *   - a handle goes to MPI as it is, whatever its upper half holds;
 *   - one that MPI fills must be zero before (MPICH leaves the upper half alone);
 *   - one that a program or a callback of MPI's hands to us has an upper half of no meaning under MPICH: na_mpi_handle() (table.h)
 *     before it is compared or kept;
 *   - arrays of handles (MPI_Waitall) are of another width in each ABI: not to be passed.
 *
 * Constants that are not the same in both are in the table (table.h) and deliberately not here: what does not compile needs an entry there.
 * MPI_Status is laid out differently and so not here either.
 *
 * Functions are only declared, for their types; they are called through the table. Add what you need.
 */
#ifndef NA_MPI_ABI_MPI_H
#define NA_MPI_ABI_MPI_H

#if !defined(__LP64__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "mpi/abi/mpi.h relies on handles that are the low half of a 64-bit argument"
#endif

typedef struct na_mpi_comm *MPI_Comm;
typedef struct na_mpi_datatype *MPI_Datatype;
typedef struct na_mpi_errhandler *MPI_Errhandler;
typedef struct na_mpi_info *MPI_Info;
typedef struct na_mpi_op *MPI_Op;
typedef struct na_mpi_request *MPI_Request;
typedef struct na_mpi_session *MPI_Session;

#define MPI_SUCCESS   0
#define MPI_UNDEFINED (-32766)
#define MPI_UNEQUAL   3

enum { MPI_THREAD_SINGLE, MPI_THREAD_FUNNELED, MPI_THREAD_SERIALIZED, MPI_THREAD_MULTIPLE };

/* The larger of both. */
#define MPI_MAX_LIBRARY_VERSION_STRING 8192
#define MPI_MAX_PORT_NAME	       1024

typedef int MPI_Comm_copy_attr_function(MPI_Comm, int, void *, void *, void *, int *);
typedef int MPI_Comm_delete_attr_function(MPI_Comm, int, void *, void *);

#define NA_MPI_DECLARE(name, ...)                                                                                      \
	int MPI_##name(__VA_ARGS__);                                                                                   \
	int PMPI_##name(__VA_ARGS__);

NA_MPI_DECLARE(Abort, MPI_Comm, int)
NA_MPI_DECLARE(Allgather, const void *, int, MPI_Datatype, void *, int, MPI_Datatype, MPI_Comm)
NA_MPI_DECLARE(Allgatherv, const void *, int, MPI_Datatype, void *, const int *, const int *, MPI_Datatype, MPI_Comm)
NA_MPI_DECLARE(Allreduce, const void *, void *, int, MPI_Datatype, MPI_Op, MPI_Comm)
NA_MPI_DECLARE(Alltoall, const void *, int, MPI_Datatype, void *, int, MPI_Datatype, MPI_Comm)
NA_MPI_DECLARE(Alltoallv, const void *, const int *, const int *, MPI_Datatype, void *, const int *, const int *,
	       MPI_Datatype, MPI_Comm)
NA_MPI_DECLARE(Alltoallw, const void *, const int *, const int *, const MPI_Datatype *, void *, const int *,
	       const int *, const MPI_Datatype *, MPI_Comm)
NA_MPI_DECLARE(Barrier, MPI_Comm)
NA_MPI_DECLARE(Bcast, void *, int, MPI_Datatype, int, MPI_Comm)
NA_MPI_DECLARE(Comm_compare, MPI_Comm, MPI_Comm, int *)
NA_MPI_DECLARE(Comm_create_keyval, MPI_Comm_copy_attr_function *, MPI_Comm_delete_attr_function *, int *, void *)
NA_MPI_DECLARE(Comm_dup, MPI_Comm, MPI_Comm *)
NA_MPI_DECLARE(Comm_free, MPI_Comm *)
NA_MPI_DECLARE(Comm_get_attr, MPI_Comm, int, void *, int *)
NA_MPI_DECLARE(Comm_get_errhandler, MPI_Comm, MPI_Errhandler *)
NA_MPI_DECLARE(Comm_get_parent, MPI_Comm *)
NA_MPI_DECLARE(Comm_rank, MPI_Comm, int *)
NA_MPI_DECLARE(Comm_set_attr, MPI_Comm, int, void *)
NA_MPI_DECLARE(Comm_set_errhandler, MPI_Comm, MPI_Errhandler)
NA_MPI_DECLARE(Comm_size, MPI_Comm, int *)
NA_MPI_DECLARE(Comm_split, MPI_Comm, int, int, MPI_Comm *)
NA_MPI_DECLARE(Comm_split_type, MPI_Comm, int, int, MPI_Info, MPI_Comm *)
NA_MPI_DECLARE(Comm_test_inter, MPI_Comm, int *)
NA_MPI_DECLARE(Finalize, void)
NA_MPI_DECLARE(Finalized, int *)
NA_MPI_DECLARE(Gather, const void *, int, MPI_Datatype, void *, int, MPI_Datatype, int, MPI_Comm)
NA_MPI_DECLARE(Gatherv, const void *, int, MPI_Datatype, void *, const int *, const int *, MPI_Datatype, int, MPI_Comm)
NA_MPI_DECLARE(Get_library_version, char *, int *)
NA_MPI_DECLARE(Iallgather, const void *, int, MPI_Datatype, void *, int, MPI_Datatype, MPI_Comm, MPI_Request *)
NA_MPI_DECLARE(Iallreduce, const void *, void *, int, MPI_Datatype, MPI_Op, MPI_Comm, MPI_Request *)
NA_MPI_DECLARE(Ibarrier, MPI_Comm, MPI_Request *)
NA_MPI_DECLARE(Init, int *, char ***)
NA_MPI_DECLARE(Init_thread, int *, char ***, int, int *)
NA_MPI_DECLARE(Initialized, int *)
NA_MPI_DECLARE(Lookup_name, const char *, MPI_Info, char *)
NA_MPI_DECLARE(Publish_name, const char *, MPI_Info, const char *)
NA_MPI_DECLARE(Query_thread, int *)
NA_MPI_DECLARE(Recv, void *, int, MPI_Datatype, int, int, MPI_Comm, void *)
NA_MPI_DECLARE(Reduce_scatter, const void *, void *, const int *, MPI_Datatype, MPI_Op, MPI_Comm)
NA_MPI_DECLARE(Reduce_scatter_block, const void *, void *, int, MPI_Datatype, MPI_Op, MPI_Comm)
NA_MPI_DECLARE(Send, const void *, int, MPI_Datatype, int, int, MPI_Comm)
NA_MPI_DECLARE(Session_finalize, MPI_Session *)
NA_MPI_DECLARE(Session_init, MPI_Info, MPI_Errhandler, MPI_Session *)
NA_MPI_DECLARE(Test, MPI_Request *, int *, void *)
NA_MPI_DECLARE(Unpublish_name, const char *, MPI_Info, const char *)

#undef NA_MPI_DECLARE

#endif
