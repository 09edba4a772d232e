/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layer's life within one MPI program: from the end of MPI_Init to the start of MPI_Finalize.
 *
 * Entered by the hooks alone, once each, on the thread that initialises or finalizes MPI; nothing here needs a
 * lock. All communication is on a duplicate of the world communicator, so no message of ours meets the program's.
 *
 * Rank 0 makes the report in a delete callback on MPI_COMM_SELF, which MPI_Finalize calls first, while
 * communication still works. Ranks that die before leave their records; see report/record.h.
 */
#ifndef NA_MPI_SESSION_H
#define NA_MPI_SESSION_H

#include <stdbool.h>
#include <stdint.h>

/* After MPI is initialised. */
void na_session_start(void);

/* The node's number by the launcher, or -1. */
int64_t na_session_node(void);

/* After an MPI_Session_init and an MPI_Session_finalize. Any thread. The first starts the record of a program that links this library, as MPI_Init does. */
void na_session_opened(void);
void na_session_closed(void);

/* Whether MPI is there for calls on communicators: initialised as a world, or by a session that is still open. */
bool na_session_available(void);
bool na_session_has_world(void);

/* In an MPI_Abort wrapper: the record says so, with figures of now. */
void na_session_abort(void);

#endif
