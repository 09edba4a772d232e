/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From what a program says about a block to where it lies. Lifetime, priority, access pattern and no_move choose the block's
 * group (heap/groups.h), which is also the record of them; priority and access pattern choose a placement where the program
 * did not (heap/placed.h). Prefaulting is done here, after the block is there.
 *
 * Any thread, no lock of ours held: the topology may be discovered here.
 */
#ifndef NA_HINTS_HINTS_H
#define NA_HINTS_HINTS_H

#include "heap/groups.h"
#include "heap/placed.h"

struct na_hints {
	struct na_hint hint;
	enum na_placed placement; /* NA_LOCAL: where the hint says */
	int node;
	uint32_t parts;
	size_t alignment; /* a power of two, or 0: the pool's */
};

/* As na_placed_allocate(): 0, -ENOMEM or -EINVAL with a sentence in `why`, which has room for 200 bytes. */
int na_hints_allocate(size_t size, const struct na_hints *hints, void **out, char *why);

/* What was said about the live block that contains p, and how it is placed. 0, or -EINVAL. */
int na_hints_of(const void *p, struct na_hints *out);

/* Makes every page of the range resident, at the price of a byte of each page being zero. 0, or -ENOMEM. */
int na_hints_prefault(void *p, size_t size);

#endif
