/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/memory.h: the C library's semantics on the heap. */
#include <numarena/memory.h>

#include <errno.h>

#include "api/life.h"
#include "heap/heap.h"

#define MAX_ALIGNMENT ((size_t)1 << 30)

void *allocate_memory(size_t size)
{
	return na_heap_allocate(size);
}

void release_memory(void *block)
{
	na_heap_release(block);
}

void *allocate_zeroed_memory(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return na_heap_allocate_zeroed(bytes);
}

void *resize_memory(void *block, size_t size)
{
	if (block && size == 0) { /* as glibc: frees */
		na_heap_release(block);
		return NULL;
	}
	return na_heap_resize(block, size);
}

void *allocate_aligned_memory(size_t alignment, size_t size)
{
	if (alignment == 0 || (alignment & (alignment - 1)) || alignment > MAX_ALIGNMENT) {
		errno = EINVAL;
		return NULL;
	}
	if (alignment <= 16)
		return na_heap_allocate(size);
	return na_heap_allocate_aligned(alignment, size, false);
}

size_t allocation_size(const void *block)
{
	struct na_block found;

	if (!na_heap_find(block, &found) || !found.live || found.start != (uintptr_t)block)
		return 0;
	return found.size;
}

int allocation_node(const void *block)
{
	struct na_block found;

	return na_heap_find(block, &found) && found.live ? found.pool->node : -1;
}

bool in_memory_pool(const void *block)
{
	struct na_block found;

	return na_heap_find(block, &found) && found.live;
}
