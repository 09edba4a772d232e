/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Moves pages that lie on another node than they should: the node was full when they were touched, say, and no longer is. The
 * kernel moves them (move_pages) while the program runs on, at the price of 1 to 2 us a page; contents and addresses stay. Pages that a
 * device has pinned are left where they are.
 *
 * Any thread, no lock held over a system call; allocates nothing. On a machine of one node it does nothing.
 */
#ifndef NA_HEAP_HOMING_H
#define NA_HEAP_HOMING_H

#include <stdint.h>

struct na_homing {
	uint64_t moved;	  /* bytes that are now where they belong */
	uint64_t refused; /* bytes that the kernel left elsewhere */
};

/* 0, or -errno if the kernel does not let us ask or move; *out is what was done until then. */
int na_homing_run(struct na_homing *out);

#endif
