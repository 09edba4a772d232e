/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows of ranks, packed: 4,096 of 1.3 KiB each would be more than all the rest of a job's report, and mostly they are names over and over, zeros and small
 * numbers. Packed they are 200 to 500 bytes: whole numbers of 7 bits a byte, the course over time and pauses as differences, and nothing where nothing is.
 * What a report says of a rank is kept to the last digit (of a pause's moment, milliseconds).
 *
 * One after the other they are the rows of a report, in the order that they came in, and travel so. Who reads takes them out one by one, and believes
 * nothing: a row that is cut or says what no row can ends the reading. Any thread; the caller serialises. Packing and reading allocate nothing.
 */
#ifndef NA_REPORT_ROWS_H
#define NA_REPORT_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "report/job.h"

#define NA_ROW_PACKED 2048 /* bytes at most */

struct na_rows {
	unsigned char *bytes;
	size_t length, capacity;
	size_t count;
};

/* Bytes of the row. */
size_t na_row_pack(const struct na_row *row, unsigned char out[NA_ROW_PACKED]);

/* One more, into memory that grows; 0 or -ENOMEM. Freed by free(rows->bytes). */
int na_rows_add(struct na_rows *rows, const struct na_row *row);

/* The row at *at, which goes on to the next: 1; 0: there is none; -EINVAL: it is none. */
int na_rows_next(const struct na_rows *rows, size_t *at, struct na_row *out);

/* 0, or -EINVAL: not so many rows that can be read. */
int na_rows_check(const struct na_rows *rows);

#endif
