/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a folder of records to a report: for programs without MPI, and after a job died. A record that is damaged,
 * cut or of another version is named in a note and left out; the others count.
 *
 * If any record is of an MPI rank only those count: the rest are wrapper shells and helpers of ranks. Records are
 * read twice, first for the common time axis, then to be summed, so memory is bounded by hosts and rows.
 * Allocates; one thread.
 */
#ifndef NA_REPORT_COLLECT_H
#define NA_REPORT_COLLECT_H

#include "report/report.h"

struct na_collection {
	struct na_job job;
	struct na_job_breakdown breakdown;
	struct na_job *hosts;
	size_t host_count;
	struct na_rows rows;
	struct na_axis axis;
	struct na_row_axis row_axis;
	char **notes;
	size_t note_count;
	int32_t *missing;
	size_t missing_count, missing_listed;
	size_t flawed;	   /* records that could not be used */
	size_t alive;	   /* processes of this host that still run */
	size_t roots_done; /* complete roots: of programs without MPI */
	int mpi;
};

/* 0; -ENODATA if no record could be used (notes say why); other -errno of reading the folder. */
int na_collect(const char *job_folder, struct na_collection **out);
/* The same, where the caller knows of one process on this host that it ended by itself, not by a signal. */
int na_collect_after(const char *job_folder, int32_t exited, struct na_collection **out);
void na_collect_free(struct na_collection *c);

/* Adds a sentence; silently not, without memory. */
void na_collect_note(struct na_collection *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The report of it; points into the collection. */
struct na_report na_collect_report(const struct na_collection *c);

#endif
