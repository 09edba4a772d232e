/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hardened mode. Blocks come from named pools of its own, one a node, whose every call takes a lock and looks at the bitmap. Behind
 * each block lie its size, encoded with a secret of the process and its address, and a canary; between the block's end and
 * these a pattern. free looks at all of it, fills small blocks with another pattern and keeps them in a ring for a while, and looks again
 * before they are used anew. A sample of blocks has pages of its own: fences.h.
 *
 * Locks: one, for the ring and the table of recent frees, held for no call into the heap and no system call.
 */
#ifndef NA_HARDEN_GUARD_H
#define NA_HARDEN_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harden/trace.h"

struct na_survey;

/* Once, by the library's constructor: what cannot be had in the first malloc (the unwinder, the handler of faults). */
void na_guard_start(void);

/* What is known of the free of a block; false: nothing, or another has taken its place. */
bool na_guard_freed(const void *p, struct na_trace *out);

/* Secret number i, 0 to 3, of this process. */
uint64_t na_guard_secret(unsigned int i);

/* Canaries of all guarded blocks, within a survey. */
void na_guard_survey(struct na_survey *v);

void na_guard_before_fork(void);
void na_guard_after_fork(bool child);

#endif
