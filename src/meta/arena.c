/* SPDX-License-Identifier: BSD-3-Clause */
#include "meta/arena.h"

#include "os/os.h"

#define CHUNK	    ((size_t)1 << 20)	/* address space; pages are touched as they are used */
#define LEAST_CHUNK ((size_t)256 << 10) /* under a tight address limit; has room for the largest block */

/* At a chunk's start. */
struct chunk {
	void *next;
	size_t size;
};

static int map_chunk(size_t *size, void **out)
{
	int rc = -1;

	for (*size = CHUNK; (rc = na_os.map(NULL, *size, out)) < 0 && *size > LEAST_CHUNK; *size /= 2)
		;
	return rc;
}

static unsigned int list_of(size_t size)
{
	return size <= 64 ? 0 : 64u - (unsigned int)__builtin_clzl((size - 1) >> 6);
}

static void *take_locked(struct na_arena *arena, unsigned int list, int *fresh)
{
	size_t size = (size_t)64 << list;
	void *block = arena->free[list];

	if (block) {
		arena->free[list] = *(void **)block;
		*fresh = 0;
		return block;
	}
	if (size >= 128) /* segments want two lines */
		arena->next = (char *)(((uintptr_t)arena->next + 127) & ~(uintptr_t)127);
	if (arena->end - arena->next < (ptrdiff_t)size)
		return NULL;
	block = arena->next;
	arena->next += size;
	*fresh = 1;
	return block;
}

void *na_arena_take(struct na_arena *arena, size_t size, int *fresh)
{
	unsigned int list = list_of(size);
	int ignored;

	if (list >= NA_ARENA_LISTS)
		return NULL;
	if (!fresh)
		fresh = &ignored;
	for (;;) {
		void *block, *chunk = NULL;
		size_t bytes;

		na_lock(&arena->lock);
		block = take_locked(arena, list, fresh);
		na_unlock(&arena->lock);
		if (block)
			return block;
		if (map_chunk(&bytes, &chunk) < 0)
			return NULL;
		if (arena->node >= 0)
			na_os.bind(chunk, bytes, arena->node);
		atomic_fetch_add_explicit(&arena->mapped, bytes, memory_order_relaxed);
		/* Two threads may both have mapped: the rest of the older chunk is let go, which
		 * costs address space only, since bump order leaves it untouched. */
		na_lock(&arena->lock);
		*(struct chunk *)chunk = (struct chunk){ arena->chunks, bytes };
		arena->chunks = chunk;
		arena->next = (char *)chunk + 64;
		arena->end = (char *)chunk + bytes;
		na_unlock(&arena->lock);
	}
}

void na_arena_give(struct na_arena *arena, void *block, size_t size)
{
	unsigned int list = list_of(size);

	na_lock(&arena->lock);
	*(void **)block = arena->free[list];
	arena->free[list] = block;
	na_unlock(&arena->lock);
}

void na_arena_release(struct na_arena *arena)
{
	while (arena->chunks) {
		struct chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		na_os.unmap(chunk, chunk->size);
	}
	arena->next = arena->end = NULL;
}
