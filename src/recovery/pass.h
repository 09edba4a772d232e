/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A full pass of defragmentation, as far as blocks that may not move allow: the stacks of this thread's cache and of idle ones go
 * back into their spans, empty spans and all that is kept go back to the system, so do free pages of spans that are half empty, and
 * pages that lie on the wrong node are moved home. Raw pointers and contents never change.
 *
 * Any thread, no lock held; any number at once. Cost: a look at each partial span, 2 us a run of pages that goes back; on machines
 * of several nodes a question about each page of the pools, 50 us for 32 MiB.
 */
#ifndef NA_RECOVERY_PASS_H
#define NA_RECOVERY_PASS_H

#include <stdint.h>

#include "heap/homing.h"

struct na_pass {
	uint64_t purged; /* bytes that went back to the system */
	struct na_homing homing;
	int homing_rc; /* 0, or why the kernel does not move pages: -errno */
};

void na_pass_run(struct na_pass *out);

/* The part of it that makes room: nothing is moved between nodes. Bytes that went back. */
uint64_t na_pass_make_room(void);

#endif
