/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is the heap what it should be, and if it is not: back to service. Damage comes from writes through wild pointers, from
 * blocks freed twice, from bad memory chips. numarena's bookkeeping lies apart from the blocks, and says most things twice.
 *
 *     if (validate_memory_blocks() > 0) {
 *         memory_integrity_report_t report;
 *
 *         repair_corruption();
 *         get_memory_integrity_report(&report);
 *         fprintf(stderr, "%zu faults, %zu of them remain\n", report.faults_found, report.faults_left);
 *     }
 *
 * All calls are thread-safe. Other threads may run; those that need the heap's slow paths wait meanwhile.
 */
#ifndef NUMARENA_INTEGRITY_H
#define NUMARENA_INTEGRITY_H

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

/* Looks at all metadata, and with NUMARENA_HARDEN at the canaries of all blocks and at freed blocks that wait for reuse; tells
 * how many faults there are, and says each (the first 20) on standard error. 0: all is well. Any fault makes
 * MEMORY_ERROR_CORRUPTION this thread's last error, with the first one's sentence. Changes nothing.
 * MEMORY_METRIC_UNAVAILABLE, with MEMORY_ERROR_ALLOCATION: there was no memory to look with.
 * Cost: a look at each span, slot word and stack: about 1 ms for 10 MiB of small blocks. */
size_t validate_memory_blocks(void) NUMARENA_CALL(validate_memory_blocks);

/* Finds the same faults, and brings the heap back to service: rebuilds what follows from other metadata (free lists from
 * the bitmaps, counters from what they count, the map from the segments), and withdraws what it cannot trust from use.
 * Never touches the contents of blocks, nor guesses at them. Live blocks stay valid, and can be freed.
 * MEMORY_ERROR_NONE: no fault is left, whether there were any or not. MEMORY_ERROR_CORRUPTION: some are, and the message
 * names one. MEMORY_ERROR_ALLOCATION: no memory to work in; nothing was changed. */
memory_error_t repair_corruption(void) NUMARENA_CALL(repair_corruption);

/* What the last repair_corruption() of the process did; `events` count since the start. */
typedef struct memory_integrity_report {
	size_t faults_found;       /* by the last repair */
	size_t faults_left;        /* after it */
	size_t rebuilt;            /* pieces of metadata that were derived anew */
	size_t quarantined_blocks; /* free slots and spans withdrawn from use, for they may be somebody's */
	size_t quarantined_bytes;  /* of these; they are never handed out again */
	size_t lost_blocks;        /* live blocks whose contents are known to be damaged */
	size_t lost_bytes;
	char first[160];           /* the first fault, as a sentence; "" if there was none */

	size_t double_frees;       /* events: of the whole process since its start */
	size_t invalid_frees;
	size_t canary_faults;      /* writes before or behind a block; hardened mode */
	size_t writes_after_free;  /* hardened mode */
	size_t memory_errors;      /* pages that the machine lost (BUS_MCEERR) */
} memory_integrity_report_t;

/* Fills *report. MEMORY_ERROR_INVALID_ARGUMENT if report is NULL. */
memory_error_t get_memory_integrity_report(memory_integrity_report_t *report)
	NUMARENA_CALL(get_memory_integrity_report);

NUMARENA_END
#endif
