/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.html: one page that holds all it needs, opens without a network, and shows a report.json. Style and script are the files in
 * page/, put together at build time (page/embed.awk); the data come along packed (pack.h).
 *
 * For thousands of ranks the page leaves out what it does not show, and says so where it does: figures of nodes beyond those of its
 * table, the nodes' histories but for the fullest 256 (these in fewer bins), pauses but for the newest of each rank. All figures
 * that it shows are those of the JSON. The page of 4,096 ranks on 128 nodes takes less than 3 MB.
 *
 * Allocates; needs Jansson (na_jansson). One thread.
 */
#ifndef NA_REPORT_PAGE_H
#define NA_REPORT_PAGE_H

#include "report/jansson_calls.h"

/* The page, from malloc, of a report that was checked, and is changed: what is left out is taken from it. NULL: no memory. */
char *na_page_make(json_t *report);

/* The same of the text of a report.json. */
char *na_page_of_text(const char *json);

/* page.html with style and script in it. */
extern const char na_page_text[];

#endif
