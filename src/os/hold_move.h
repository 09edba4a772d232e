/* SPDX-License-Identifier: BSD-3-Clause */
/* What hold.c and its way `move` (hold_move.c) have of each other. */
#ifndef NA_OS_HOLD_MOVE_H
#define NA_OS_HOLD_MOVE_H

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/hold.h"

#define NA_HOLD_MOVE_FEATURE ((uint64_t)1 << 16) /* UFFD_FEATURE_MOVE; older headers do not have it */
#define NA_HOLD_TRIES	     1000

/* ioctl(2), raw: a library's function of that name might wait for who waits for us. */
#define na_hold_control(fd, request, argument) syscall(SYS_ioctl, fd, request, argument)

/* Where pages are taken to. 0 or -errno. */
int na_hold_move_open(struct na_hold *h);
int na_hold_move_begin(struct na_hold *h, const void **contents);
void na_hold_move_end(struct na_hold *h, size_t replaced);
void na_hold_move_drop(struct na_hold *h);

/* hold.c. Faults in a range are told of, which here means that threads wait; those of h->at behind its first `from` bytes no more; who waits in any of it tries
 * again. */
int na_hold_watch(const struct na_hold *h, void *at, size_t size, uint64_t mode);
void na_hold_unwatch(struct na_hold *h, size_t from);
void na_hold_wake(const struct na_hold *h);
/* Waits for a moment; false: it was tried often enough. */
bool na_hold_again(int *tries);

#endif
