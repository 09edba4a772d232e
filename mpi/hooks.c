/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MPI calls that this library stands in front of: initialisation, finalization and MPI_Abort, each under both
 * of its names, because Open MPI's Fortran bindings call the PMPI_ ones. Each passes the call on to the next
 * definition, a profiler's or the MPI library's. A profiler's MPI_Init calls PMPI_Init, which is ours again: the
 * outermost call does our part, inner ones only pass on.
 *
 * Sessions (MPI 4) initialise MPI without a world: no communicator joins their processes, and which session of a process is its last is known when it
 * ends: so each is a rank by the launcher's word, and the last to end puts the report together from the records of all (report/finish.h). Here their part is quiet as below, and a count of those that are open. A
 * profiler between counts them twice, and takes them off twice.
 *
 * While MPI initialises and finalizes, the heap's maintenance is quiet: MPI libraries then patch the code of munmap
 * and friends, and free what other threads would run on.
 */
#include <stdlib.h>

#include "mpi/message.h"
#include "report/process.h"
#include "mpi/session.h"
#include "mpi/table.h"

#define EXPORT __attribute__((visibility("default")))

/* Before any call of this layer: its copy of the report's files goes by its copy of the settings. */
static __attribute__((constructor)) void adopt_settings(void)
{
	na_options = *na_process_options();
}

/* MPI allows one thread in these calls at a time. */
static int depth;

static void enter(void)
{
	if (depth++ == 0)
		na_process_quiet(1);
}

static void leave_init(int rc)
{
	const char *what = "";

	if (--depth)
		return;
	na_process_quiet(0);
	if (rc != MPI_SUCCESS)
		return;
	if (na_mpi_load(&what) < 0)
		na_message("no report at the end: the MPI library lacks %s", what);
	else
		na_session_start();
}

static int init(const char *name, int *argc, char ***argv)
{
	int (*call)(int *, char ***), rc;

	*(void **)&call = na_mpi_require(name);
	enter();
	rc = call(argc, argv);
	leave_init(rc);
	return rc;
}

static int init_thread(const char *name, int *argc, char ***argv, int required, int *provided)
{
	int (*call)(int *, char ***, int, int *), rc;

	*(void **)&call = na_mpi_require(name);
	enter();
	rc = call(argc, argv, required, provided);
	leave_init(rc);
	return rc;
}

static int finalize(const char *name)
{
	int (*call)(void), rc;

	*(void **)&call = na_mpi_require(name);
	enter();
	rc = call();
	if (--depth == 0)
		na_process_quiet(0);
	return rc;
}

static int abort_job(const char *name, MPI_Comm comm, int code)
{
	int (*call)(MPI_Comm, int);

	if (depth++ == 0)
		na_session_abort();
	*(void **)&call = na_mpi_require(name);
	return call(comm, code);
}

/* Any thread, several at once. */
static int session_init(const char *name, MPI_Info info, MPI_Errhandler errhandler, MPI_Session *session)
{
	int (*call)(MPI_Info, MPI_Errhandler, MPI_Session *), rc;

	*(void **)&call = na_mpi_require(name);
	na_process_quiet(1);
	rc = call(info, errhandler, session);
	na_process_quiet(0);
	if (rc == MPI_SUCCESS)
		na_session_opened();
	return rc;
}

static int session_finalize(const char *name, MPI_Session *session)
{
	int (*call)(MPI_Session *), rc;

	*(void **)&call = na_mpi_require(name);
	na_process_quiet(1);
	rc = call(session);
	na_process_quiet(0);
	if (rc == MPI_SUCCESS)
		na_session_closed();
	return rc;
}

EXPORT int MPI_Init(int *argc, char ***argv)
{
	return init("MPI_Init", argc, argv);
}

EXPORT int PMPI_Init(int *argc, char ***argv)
{
	return init("PMPI_Init", argc, argv);
}

EXPORT int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
	return init_thread("MPI_Init_thread", argc, argv, required, provided);
}

EXPORT int PMPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
	return init_thread("PMPI_Init_thread", argc, argv, required, provided);
}

EXPORT int MPI_Finalize(void)
{
	return finalize("MPI_Finalize");
}

EXPORT int PMPI_Finalize(void)
{
	return finalize("PMPI_Finalize");
}

EXPORT int MPI_Abort(MPI_Comm comm, int code)
{
	return abort_job("MPI_Abort", comm, code);
}

EXPORT int PMPI_Abort(MPI_Comm comm, int code)
{
	return abort_job("PMPI_Abort", comm, code);
}

EXPORT int MPI_Session_init(MPI_Info info, MPI_Errhandler errhandler, MPI_Session *session)
{
	return session_init("MPI_Session_init", info, errhandler, session);
}

EXPORT int PMPI_Session_init(MPI_Info info, MPI_Errhandler errhandler, MPI_Session *session)
{
	return session_init("PMPI_Session_init", info, errhandler, session);
}

EXPORT int MPI_Session_finalize(MPI_Session *session)
{
	return session_finalize("MPI_Session_finalize", session);
}

EXPORT int PMPI_Session_finalize(MPI_Session *session)
{
	return session_finalize("PMPI_Session_finalize", session);
}
