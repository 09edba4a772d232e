/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The report before an allocation fails for good: who holds what. Once a process, and again only when since then as much has gone
 * back to the system as was held at the first, twice as much at the second, and so on: a program that lives at its limit does not
 * fill its log. Requests of absurd size make none.
 *
 * Written line by line, to standard error as warnings are (NUMARENA_VERBOSE) and to the file of na_heap_hooks.report_file, without
 * allocating; figures are taken once, into static memory, by one thread at a time (another that fails meanwhile reports nothing).
 * Locks of caches and pools are taken one at a time, none is held while writing.
 */
#ifndef NA_RECOVERY_OOM_H
#define NA_RECOVERY_OOM_H

#include "heap/request.h"

void na_oom_report(const struct na_request *r);

/* In a forked child. */
void na_oom_after_fork(void);

/* Reports written so far. */
uint64_t na_oom_reports(void);

#endif
