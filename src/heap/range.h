/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An array cut into parts for threads, as a partitioned block laid its pages. Any thread, no lock; allocates nothing.
 */
#ifndef NA_HEAP_RANGE_H
#define NA_HEAP_RANGE_H

#include <stddef.h>
#include <stdint.h>

struct na_range {
	size_t first, end; /* elements */
	int node;	   /* that the placement says for its pages; -1: it says nothing, or several */
};

/*
 * Part `part` of `parts` of `count` elements of `size` bytes. Where the array is the whole of a partitioned block, it is cut where the
 * block would be that was allocated with so many parts: for the block's own number of parts, or a multiple, cuts coincide with its. Any
 * other memory is cut into equal parts. A cut is moved up to the first element that begins a cache line of `line` bytes, if one does
 * within a page; else to the first that begins there.
 */
void na_range_cut(const void *array, size_t count, size_t size, uint32_t part, uint32_t parts, size_t line,
		  struct na_range *out);

#endif
