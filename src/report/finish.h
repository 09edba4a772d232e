/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of a run without MPI_Finalize: whether the report falls to this process, and making it. See process.h for who is a root.
 */
#ifndef NA_REPORT_FINISH_H
#define NA_REPORT_FINISH_H

#include <stdbool.h>

#include "report/identity.h"
#include "report/report.h"

/* Called by a root whose own record is complete. `stream` is where to print; -1: standard error. */
void na_finish_tree(const char *folder, const char *job_folder, const struct na_identity *id, int stream);

/* Called by a rank of MPI sessions, which no communicator joins at the end, once its record is complete: the last one makes the report of all `size`.
 * Others look at the first bytes of records up to one that is not complete. Who finds all complete waits for one that is just doing it. Whether it did. */
bool na_finish_sessions(const char *folder, const char *job_folder, int32_t rank, int32_t size, int stream);

/* Writes a report's files and, if `print`, prints its text and their paths on a descriptor (-1: standard error). 0, 1 or
 * -errno as na_report_write(). */
int na_report_publish(const struct na_report *report, const char *folder, int stream, int print);

#endif
