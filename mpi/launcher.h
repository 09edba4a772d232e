/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the launcher knows of this process, through PMIx: its node, its place there, and words exchanged with other
 * ranks outside of MPI.
 *
 * Where there is no PMIx, the place on the node is the environment's, and words go by names.h if they can.
 *
 * PMIx is used only if the MPI library has brought it into the process, and that very copy: so it is initialised
 * already, our PMIx_Init() only counts, and it is balanced. Never before MPI_Init. Gets of the launcher's own facts are
 * PMIX_OPTIONAL: they look at what is here and ask nobody.
 */
#ifndef NA_MPI_LAUNCHER_H
#define NA_MPI_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct na_launcher {
	bool words;	    /* may be exchanged */
	int64_t node;	    /* -1: unknown */
	int64_t local_rank; /* -1: unknown */
	int64_t local_size; /* -1: unknown */
	char job[64];	    /* "": unknown */
	char locality[128]; /* of this process on its node; "": unknown (under srun) */
};

/* Fills what can be known. `rank` and `size` are those of the world communicator, `spawned` tells whether the program was started by
 * MPI_Comm_spawn. Call na_launcher_close() when done with words, too. */
void na_launcher_open(struct na_launcher *out, int rank, int size, bool spawned);
void na_launcher_close(void);

/* Publishes a word under a key for all ranks of the job. 0 or -EIO. */
int na_launcher_say(const char *key, const char *word);

/* Waits for another rank's word. 0; -ETIMEDOUT; -EIO. */
int na_launcher_hear(int rank, const char *key, char *word, size_t capacity, uint32_t patience_ms);

#endif
