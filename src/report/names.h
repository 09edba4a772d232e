/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that programs chose, as texts can carry them: the JSON wants UTF-8, report.txt is ASCII. Plain functions. */
#ifndef NA_REPORT_NAMES_H
#define NA_REPORT_NAMES_H

#include <stddef.h>

#include "report/breakdown.h"

/* What is no character in UTF-8, and what would steer a terminal, becomes '?'. At most capacity - 1 bytes; the rest of `out` is zero. */
void na_name_clean(char *out, const char *name, size_t capacity);

/* Each character beyond ASCII becomes one '?' as well. */
void na_name_ascii(char *out, const char *name, size_t capacity);

/* "rank 3, host" or "pid 77, host"; `out` is returned. */
const char *na_name_where(char *out, size_t capacity, const struct na_where *at);

#endif
