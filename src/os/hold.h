/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages that no thread may write to for a moment, while other threads run: their contents are copied, and the copy takes their place
 * (file_switch of os.h), or they are let go as they were. Who comes to such a page waits, and goes on with whatever is there when the moment is over.
 *
 * Three ways, enum na_concurrent of base/options.h:
 *   move         (Linux 6.8) the pages themselves are taken away, by UFFDIO_MOVE, to where only this thread looks; who reads or writes waits. The kernel
 *                refuses to move a page that anybody has pinned: a device, or another process that is writing into it just now (process_vm_writev(2)).
 *                System calls wait as threads do. The only way that is safe in any program.
 *   userfaultfd  (Linux 5.7) they are protected against writes; who reads goes on, and system calls wait. What was pinned before is written to all the same.
 *   mprotect     they are made read-only, and a handler of SIGSEGV lets threads wait. System calls that write there fail with EFAULT, and so does
 *                a thread that has its stack there.
 *
 * One caller at a time. From begin to end it may not take a lock, allocate, call a function of another library, or touch the range by its
 * addresses but to read it where that is allowed (`contents`): somebody who waits may hold that lock. All signals are blocked meanwhile, lest a
 * handler do it. The range may not have the caller's stack or thread-local variables in it.
 */
#ifndef NA_OS_HOLD_H
#define NA_OS_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/options.h"

#define NA_HOLD_MOST ((size_t)256 << 10) /* bytes at a time */

struct na_hold {
	enum na_concurrent way; /* OFF: not open */
	int fd;			/* userfaultfd; -1 */
	char *aside;		/* move: where pages are taken to; NA_HOLD_MOST bytes */
	size_t used;		/* of it: what was taken there before */
	bool holes;		/* and pages that were never touched need not be */
	char *at;		/* the range that is held */
	size_t size;
	uint64_t signals; /* that were blocked before */
};

/* 0, or -errno: this way cannot be had here. */
int na_hold_open(enum na_concurrent way, struct na_hold *out);
void na_hold_close(struct na_hold *hold);
/* Nobody writes to the range from now on; *contents is where to read it. -EBUSY: a page is pinned, or shared with a child of fork. On failure all is as
 * before. */
int na_hold_begin(struct na_hold *hold, void *at, size_t size, const void **contents);
/* Who waits goes on. Something else is mapped now at the range's first `replaced` bytes; the other pages are as they were. */
void na_hold_end(struct na_hold *hold, size_t replaced);
/* Memory of pages that were replaced goes back: at the latest now. */
void na_hold_drop(struct na_hold *hold);
/* Ends the process: what was taken can be brought back by no means. */
__attribute__((noreturn)) void na_hold_give_up(const char *why);

#endif
