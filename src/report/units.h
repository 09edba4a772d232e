/* SPDX-License-Identifier: BSD-3-Clause */
/* Figures for people: "1.60 GiB", "12.3 k", "4.5 ms", "99.97 %", "unavailable". Any thread; no allocation. */
#ifndef NA_REPORT_UNITS_H
#define NA_REPORT_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "report/job.h"

/* At most 11 characters. NA_UNKNOWN: "unavailable". */
void na_units_print(char *out, size_t capacity, uint64_t value, enum na_unit unit);

/* The same as an argument of printf(): na_word(v, unit).text. */
struct na_word {
	char text[24];
};

static inline struct na_word na_word(uint64_t value, enum na_unit unit)
{
	struct na_word w;

	na_units_print(w.text, sizeof(w.text), value, unit);
	return w;
}

/* "2026-11-23 12:36:19 UTC"; "unknown" of UINT64_MAX and 0. */
void na_units_date(char *out, size_t capacity, uint64_t ms);

#endif
