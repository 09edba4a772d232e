/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork, where pages are merged. A child's stores to a shared page would reach the parent, so each merged span of the child gets memory of its own with its
 * contents before fork returns there, and fork returns in the parent only when that is done, lest the child see what the parent wrote later. The parent
 * learns of it by a pipe, which also ends if there is no child, or it dies.
 *
 * A program that has used up its descriptors gets no pipe: one is made before the first page is merged, and kept for that (merging is refused without).
 */
#ifndef NA_HEAP_PARTING_H
#define NA_HEAP_PARTING_H

#include <stdbool.h>

/* A pipe is there for a fork. Under na_merging_lock. 0 or -errno. */
int na_parting_prepare(void);
/* The first and last of fork's handlers of the heap: between them na_merging_lock is held. */
void na_parting_before_fork(void);
void na_parting_after_fork(bool child);

#endif
