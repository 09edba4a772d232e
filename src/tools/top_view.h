/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena-top: the view as lines of text, for the terminal and for pipes alike. No line is wider than asked for; what comes from a program
 * (its name, its phases) is printed without control characters. Allocates nothing; one thread. */
#ifndef NA_TOOLS_TOP_VIEW_H
#define NA_TOOLS_TOP_VIEW_H

#include "tools/top_model.h"

#define NA_TOP_WIDTH 512 /* characters of a line at most */
#define NA_TOP_HEAD  4	 /* lines before the rows; the last are the columns' names */

struct na_top_line {
	char text[NA_TOP_WIDTH * 3 + 1]; /* a bar of a curve takes three bytes */
};

/* Line 0 to NA_TOP_HEAD - 1. `utf8`: curves and bars may be drawn with blocks. */
void na_top_head(const struct na_top *t, int line, enum na_top_column by, int width, bool utf8,
		 struct na_top_line *out);
void na_top_row_line(const struct na_top_row *r, int width, bool utf8, struct na_top_line *out);

/* Where the column stands in a line: the first character, and how many. */
void na_top_column_place(enum na_top_column c, int *begin, int *width);

#endif
