/* SPDX-License-Identifier: BSD-3-Clause */
/* The handler of SIGSEGV of hold.c's way `mprotect`. */
#ifndef NA_OS_HOLD_SIGNAL_H
#define NA_OS_HOLD_SIGNAL_H

#include <stddef.h>
#include <stdint.h>

/* Our handler is the process's from now on, before the one that was. 0 or -errno. */
int na_hold_catch(void);
/* The range is about to be read-only; and is no more. By one thread at a time. */
void na_hold_announce(uintptr_t at, size_t size);
void na_hold_over(void);

#endif
