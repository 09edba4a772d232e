/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena-top: the view in a terminal, with curses, and its keys. Without curses (./configure says so) it is an error that names what was missing. */
#ifndef NA_TOOLS_TOP_SCREEN_H
#define NA_TOOLS_TOP_SCREEN_H

#include "tools/top_view.h"

struct na_top_choice {
	double delay; /* seconds */
	enum na_top_column by;
	bool reversed;
	bool utf8;
};

/* Until the user quits, or a signal ends it: then the terminal is as it was. 0 or -errno with a complaint. */
int na_top_screen(struct na_top *t, struct na_top_choice *choice, char *complaint, size_t capacity);

#endif
