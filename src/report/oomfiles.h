/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reports that processes of the job left in its folder when they ran out of memory (na_process_oom_file()), so that the job's report
 * can name them. By their time: one that is older than the job is of another. Reads a folder; one thread.
 */
#ifndef NA_REPORT_OOMFILES_H
#define NA_REPORT_OOMFILES_H

#include <stddef.h>
#include <stdint.h>

#define NA_OOM_LISTED 32

struct na_oom_files {
	size_t count;  /* that there are */
	size_t listed; /* of those, in names, by rank */
	char names[NA_OOM_LISTED][100];
};

/* Those changed since the job began, to within a second. A folder that cannot be read has none. */
void na_oom_files_find(const char *folder, uint64_t start_ms, struct na_oom_files *out);

#endif
