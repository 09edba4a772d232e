/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words between ranks outside of communicators where there is no PMIx: by MPI's own name publishing (MPI_Publish_name, MPI_Lookup_name), which in
 * MPICH and its relatives goes through mpiexec. A name that nobody has published is an error at once, and nobody waits for anybody,
 * so that a rank without this library does no harm.
 *
 * Only of libraries whose handles are numbers (table.h): Open MPI's look-up may wait. All names of a job go to one process, so a rank asks
 * the less often the more ranks there are: two to four round trips to mpiexec a rank.
 *
 * A failed look-up goes to the error handler of MPI_COMM_SELF (of the world communicator before MPI 4): both return errors while this is open.
 * Within MPI_Init alone.
 */
#ifndef NA_MPI_NAMES_H
#define NA_MPI_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether words may be exchanged. `job` tells this job's names from those of others under the same mpiexec. */
bool na_names_open(const char *job, int rank, int size);
void na_names_close(void);

/* As na_launcher_say() and na_launcher_hear(), of which these are a part. */
int na_names_say(const char *key, const char *word);
int na_names_hear(int rank, const char *key, char *word, size_t capacity, uint32_t patience_ms);

#endif
