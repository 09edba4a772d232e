/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * malloc for whole programs: the C library's names, each one jump away from numarena/memory.h. malloc and free, and the operators,
 * have the fast paths inline, on the core's data: the core stays the process's one heap whether it is
 * linked, preloaded or both.
 */
#include <errno.h>
#include <malloc.h>
#include <numarena/numarena.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap/heap.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT void *malloc(size_t size)
{
	return na_heap_allocate(size);
}

EXPORT void free(void *block)
{
	na_heap_release(block);
}

EXPORT void *calloc(size_t count, size_t size)
{
	return allocate_zeroed_memory(count, size);
}

EXPORT void *realloc(void *block, size_t size)
{
	return resize_memory(block, size);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return resize_memory(block, bytes);
}

static int power_of_two(size_t v)
{
	return v && (v & (v - 1)) == 0;
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
	int saved = errno, rc = 0;
	void *p;

	if (!power_of_two(alignment) || alignment % sizeof(void *))
		return EINVAL;
	p = allocate_aligned_memory(alignment, size);
	if (p)
		*out = p;
	else
		rc = errno == EINVAL ? ENOMEM : errno; /* an alignment past 1 GiB is valid, and not to be had */
	errno = saved;
	return rc;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return allocate_aligned_memory(alignment, size);
}

/* As glibc's: an alignment that is no power of two is rounded up to one. */
EXPORT void *memalign(size_t alignment, size_t size)
{
	size_t rounded = 16;

	while (rounded < alignment && rounded <= SIZE_MAX / 2)
		rounded *= 2;
	return allocate_aligned_memory(rounded, size);
}

EXPORT void *valloc(size_t size)
{
	return allocate_aligned_memory((size_t)sysconf(_SC_PAGESIZE), size);
}

EXPORT void *pvalloc(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;

	if (__builtin_add_overflow(size, page - 1, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return allocate_aligned_memory(page, size ? bytes & ~(page - 1) : page);
}

EXPORT size_t malloc_usable_size(void *block)
{
	return allocation_size(block);
}

/* arena: held; ordblks unknown, 0; hblkhd: large blocks are part of arena; uordblks: live;
 * fordblks: held and not live; keepcost: what malloc_trim could give back. */
EXPORT struct mallinfo2 mallinfo2(void)
{
	struct mallinfo2 info;
	memory_stats_t stats;

	memset(&info, 0, sizeof(info));
	if (get_memory_statistics(&stats) != MEMORY_ERROR_NONE)
		return info;
	info.arena = stats.held_bytes;
	info.uordblks = stats.total_allocated;
	info.fordblks = stats.held_bytes > stats.total_allocated ? stats.held_bytes - stats.total_allocated : 0;
	info.keepcost = stats.reclaimable_bytes;
	return info;
}

/* 1 if memory went back to the system; `keep` is glibc's top padding, which has no like here. */
EXPORT int malloc_trim(size_t keep)
{
	memory_stats_t before, after;

	(void)keep;
	get_memory_statistics(&before);
	flush_memory_pools();
	get_memory_statistics(&after);
	return after.held_bytes < before.held_bytes || after.physical_bytes < before.physical_bytes;
}
