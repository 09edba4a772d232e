/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What makes room when an allocation has failed: movable blocks are compacted (the heap's hook), the stacks of this thread's cache and of idle
 * ones go back into their spans, empty spans and all that is kept go back to the system, and so do free pages of spans that are half
 * empty. Raw pointers and contents never change. Whole passes: defragment.h.
 *
 * Any thread, no lock held; any number at once. Cost: a look at each partial span, 2 us a run of pages that goes back.
 */
#ifndef NA_RECOVERY_PASS_H
#define NA_RECOVERY_PASS_H

#include <stdint.h>

/* Bytes that went back. */
uint64_t na_pass_make_room(void);

#endif
