/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a report.json back to what it was made of, as far as the texts need it, so that a report is shown by the same code whether it comes from
 * records or from a file. What the file lacks, being of an older version, is unknown; findings are those that it has, and are not found again.
 *
 * Lossy, in what no text shows: JSON has nine digits of a mean, ten call sites, of phases the one at the peak. Allocates; any thread.
 */
#ifndef NA_TOOLS_REPORT_READ_H
#define NA_TOOLS_REPORT_READ_H

#include <jansson.h>

#include "report/report.h"

struct na_read_report;

/* Points into the tree (notes), which must live as long. NULL: no memory. */
struct na_read_report *na_report_read(json_t *tree);
const struct na_report *na_report_of(const struct na_read_report *r);
void na_report_read_free(struct na_read_report *r);

#endif
