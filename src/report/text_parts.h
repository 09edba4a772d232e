/* SPDX-License-Identifier: BSD-3-Clause */
/* Sections that both forms of the text have. Each prints nothing where there is nothing. ASCII, 100 columns. */
#ifndef NA_REPORT_TEXT_PARTS_H
#define NA_REPORT_TEXT_PARTS_H

#include <stdio.h>

#include "report/report.h"

#define NA_TEXT_RULE                                                                                                   \
	"----------------------------------------------------------------------------------------------------\n"

void na_text_head(FILE *f, const struct na_report *r);
/* Of several processes, `middle` is what column 3 is called and has; of one, just its figure. */
void na_text_table_head(FILE *f, const char *middle);
void na_text_table_line(FILE *f, const struct na_report *r, const char *label, enum na_metric_id id, double middle);
void na_text_peak(FILE *f, const struct na_report *r);
void na_text_course(FILE *f, const struct na_report *r);
void na_text_headroom(FILE *f, const struct na_report *r);
void na_text_request(FILE *f, const struct na_report *r);
void na_text_rates(FILE *f, const struct na_report *r); /* 2 lines */
void na_text_outliers(FILE *f, const struct na_report *r, uint32_t most);
void na_text_sites(FILE *f, const struct na_report *r, uint32_t most);
void na_text_cost(FILE *f, const struct na_report *r);	     /* 2 lines */
void na_text_incomplete(FILE *f, const struct na_report *r); /* up to 3 */
void na_text_missing(FILE *f, const struct na_report *r);
void na_text_notes(FILE *f, const struct na_report *r); /* up to 3 */

void na_text_breakdown(FILE *f, const struct na_report *r); /* all of these that are of the breakdown */
void na_text_phases(FILE *f, const struct na_report *r, uint32_t most);
void na_text_latency(FILE *f, const struct na_report *r);
void na_text_findings(FILE *f, const struct na_report *r, size_t most);
void na_text_oom(FILE *f, const struct na_report *r);

/* The text from malloc with no line of more than 100 columns, whatever it says; frees what it was given. NULL: no memory. */
char *na_text_folded(char *text);

#endif
