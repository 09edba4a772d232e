/* SPDX-License-Identifier: BSD-3-Clause */
/* The sections of report.txt that text.c does not hold itself: what comes of the breakdown, the findings, and who ran out of memory. Each has a share of the
 * lines, and prints nothing where there is nothing. ASCII, 100 columns. */
#ifndef NA_REPORT_TEXT_PARTS_H
#define NA_REPORT_TEXT_PARTS_H

#include <stdio.h>

#include "report/report.h"

void na_text_breakdown(FILE *f, const struct na_report *r);
void na_text_findings(FILE *f, const struct na_report *r);
void na_text_oom(FILE *f, const struct na_report *r);

#endif
