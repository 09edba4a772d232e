/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This process's pauses, as they happen: kept whether or not there is a record, into which na_process_*() copies them. One small lock, held
 * for a few stores; any thread, no lock of ours above it held that a fork takes later (it is the last). With NUMARENA_PAUSE_TRACE the
 * moments of up to NA_PAUSED_TRACE pauses are kept besides, in mapped memory.
 */
#ifndef NA_REPORT_PAUSED_H
#define NA_REPORT_PAUSED_H

#include <stdint.h>

#include "report/pauses.h"
#include "report/process.h"

#define NA_PAUSED_TRACE 65536

/* A pause that has just ended. */
void na_paused(uint32_t kind, uint64_t ns, uint64_t bytes);

/* For defragment.h's hook: a slice or pass of a thread of the program. */
void na_paused_alone(uint64_t ns, uint64_t bytes);

void na_paused_copy(struct na_pauses *out);

/* From the MPI layer: that many collectives were counted so far. */
void na_paused_collectives(uint64_t count) NA_PROCESS_CALL(paused_collectives);

/* Nanoseconds paused so far in windows and calls; with `alone` also when threads of the program liked. */
uint64_t na_paused_total(int alone) NA_PROCESS_CALL(paused_total);

/* Writes the trace that LogGOPSim's --noise-trace reads: a line a pause, its start and its length in nanoseconds with a tab between, the start
 * since `begin_ns` (since 1970), between a line for the beginning and one for the end. 0, -ENODATA without pauses or NUMARENA_PAUSE_TRACE, -errno. */
int na_paused_trace(const char *path, int rank, uint64_t begin_ns, uint64_t end_ns) NA_PROCESS_CALL(paused_trace);

void na_paused_forked(void);

#endif
