/* SPDX-License-Identifier: BSD-3-Clause */
#include "recovery/pass.h"

#include "heap/heap.h"
#include "heap/hooks.h"

uint64_t na_pass_make_room(void)
{
	uint64_t bytes = na_heap_hooks.compact ? na_heap_hooks.compact() : 0;

	bytes += na_heap_flush();
	return bytes + na_cache_purge_all_pages();
}
