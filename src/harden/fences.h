/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks between fences: one in `harden_sample` blocks of up to a page gets a page of its own, ends where the page ends, and has pages on both
 * sides that nobody may touch. Freed, its page is closed as well, and is the last to be used again. A fault there is told
 * with the block, its size, and the stacks of its malloc and free, and goes on to whoever handled SIGSEGV before.
 */
#ifndef NA_HARDEN_FENCES_H
#define NA_HARDEN_FENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void na_fences_start(void); /* the handler */

/* A block if it is its turn and there is a place; else NULL. All zero. */
void *na_fences_take(size_t size, size_t alignment);
bool na_fences_own(const void *p);
/* 0; -EINVAL: told. Of a block of ours. */
int na_fences_give(void *p, const void *caller);
/* The live block that p lies in, its size in *size; 0 if none. */
uintptr_t na_fences_find(const void *p, size_t *size);

void na_fences_before_fork(void);
void na_fences_after_fork(bool child);

#endif
