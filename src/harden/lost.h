/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Uncorrectable memory errors: SIGBUS with BUS_MCEERR_AO (the machine found one in memory of ours) or BUS_MCEERR_AR (somebody read it). The handler
 * says which block is lost, and keeps the page from being used again: see pool/lost.h. Then the program's own handler is called; without one,
 * after AO the program goes on, and after AR it ends as it would have.
 */
#ifndef NA_HARDEN_LOST_H
#define NA_HARDEN_LOST_H

#include <signal.h>
#include <stdbool.h>

/* With the settings memory_errors or harden: takes the signal, and asks the kernel to tell early. */
void na_lost_start(void);

/* What the handler does before it passes on: true if the page is ours. Async-signal-safe. For tests as well. */
bool na_lost_handle(const siginfo_t *info);

#endif
