/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Do all ranks take part, with the same version and the same report folder? A collective call that one rank
 * never enters hangs the others, and a rank that was started without this library cannot be asked by MPI. So the ranks
 * exchange words through the launcher (PMIx), where a missing answer is a timeout:
 *
 *   1. rank 0 says "hello". A rank that does not hear it within PATIENCE gives up and says nothing more.
 *   2. Whoever heard it says "ready", once its children of the tree (rank r has children 64 r + 1 to 64 r + 64) are:
 *      "yes HASH" if all of them are and agree, else "no" and why. A child that is silent for PATIENCE is a no.
 *   3. Rank 0 says the verdict. Whoever said ready waits for it without limit: rank 0 exists and will say it.
 *
 * Safe at any timing: a verdict of yes needs a "ready" of every rank, and a rank that said it never gives up. Cost: two
 * words each, three rounds through the launcher's servers, 1 to 3 ms on one node; nothing is sent to ranks
 * that the tree does not join, so a job of 64^3 ranks takes four levels.
 *
 * Open MPI without PMIx: all ranks are taken to be here, and one reduction compares their hashes. MPICH under a launcher that takes no words,
 * or one that does not tell spawned processes from others: no collective call is made, so no report; the records remain.
 */
#ifndef NA_MPI_AGREE_H
#define NA_MPI_AGREE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this rank wants a report, and what must be equal everywhere. Same result on all ranks that take part;
 * `why` says what is wrong. */
bool na_agree(int rank, int size, bool want, uint64_t hash, char *why, unsigned long capacity);

#endif
