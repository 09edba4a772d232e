/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walking the calling thread's stack, from inside malloc: libgcc's unwinder, because HPC code has no frame pointers. It is
 * loaded and called once beforehand, at a point where allocation is allowed; from then on it reads tables that are
 * mapped already, and allocates nothing.
 */
#ifndef NA_TRACKING_STACK_H
#define NA_TRACKING_STACK_H

#include <stddef.h>
#include <stdint.h>

/* Not inside malloc. Without an unwinder a message says so, and stacks are empty. */
void na_stack_prepare(void);

/* Return addresses, innermost first, leaving out numarena's own frames at the top. At most n; how many. */
size_t na_stack_walk(uintptr_t *frames, size_t n);

#endif
