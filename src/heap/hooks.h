/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What upper layers want to hear from the heap's slow paths. api/ installs the table once, before
 * the maintenance thread starts; a NULL entry is skipped.
 */
#ifndef NA_HEAP_HOOKS_H
#define NA_HEAP_HOOKS_H

#include <stdint.h>

struct na_heap_hooks {
	/* From the maintenance thread, with no lock held: do periodic work, and say in how many
	 * milliseconds to call again (UINT32_MAX: no need). May allocate. */
	uint32_t (*tick)(uint64_t now_ns);
};

extern struct na_heap_hooks na_heap_hooks;

#endif
