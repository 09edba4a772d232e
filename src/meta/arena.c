/* SPDX-License-Identifier: BSD-3-Clause */
#include "meta/arena.h"

#include "os/os.h"

#define CHUNK	    ((size_t)1 << 20)	/* address space; pages are touched as they are used */
#define LEAST_CHUNK ((size_t)256 << 10) /* under a tight address limit; has room for the largest block */

struct na_chunks na_chunks;

static void know_chunk(uintptr_t start, size_t size)
{
	uintptr_t word = start | size >> 16;

	for (uint32_t i = 0; i < NA_CHUNKS; i++) {
		uintptr_t none = 0;
		uint32_t most = atomic_load_explicit(&na_chunks.most, memory_order_relaxed);

		if (!atomic_compare_exchange_strong_explicit(&na_chunks.word[i], &none, word, memory_order_relaxed,
							     memory_order_relaxed))
			continue;
		atomic_store_explicit(&na_chunks.not_word[i], word ^ NA_CHUNK_KEY, memory_order_relaxed);
		while (most <= i && !atomic_compare_exchange_weak_explicit(&na_chunks.most, &most, i + 1,
									   memory_order_relaxed, memory_order_relaxed))
			;
		return;
	}
	atomic_store_explicit(&na_chunks.full, true, memory_order_relaxed);
}

static void forget_chunk(uintptr_t start)
{
	for (uint32_t i = 0; i < atomic_load_explicit(&na_chunks.most, memory_order_relaxed); i++)
		if (na_chunk_start(atomic_load_explicit(&na_chunks.word[i], memory_order_relaxed)) == start) {
			atomic_store_explicit(&na_chunks.not_word[i], 0, memory_order_relaxed);
			atomic_store_explicit(&na_chunks.word[i], 0, memory_order_relaxed);
			return;
		}
}

static bool within(uint32_t i, uintptr_t at, size_t size, uintptr_t *out)
{
	uintptr_t word = atomic_load_explicit(&na_chunks.word[i], memory_order_relaxed);
	uintptr_t start = na_chunk_start(word);

	*out = word;
	return word && atomic_load_explicit(&na_chunks.not_word[i], memory_order_relaxed) == (word ^ NA_CHUNK_KEY) &&
	       at >= start + NA_CHUNK_FIRST && size <= na_chunk_size(word) && at - start <= na_chunk_size(word) - size;
}

uintptr_t na_meta_chunk(uintptr_t at, size_t size, uint32_t *hint)
{
	uint32_t most = atomic_load_explicit(&na_chunks.most, memory_order_relaxed);
	uintptr_t word;

	if (most > NA_CHUNKS) /* damaged */
		most = NA_CHUNKS;
	if (*hint < most && within(*hint, at, size, &word))
		return word;
	for (uint32_t i = 0; i < most; i++)
		if (within(i, at, size, &word)) {
			*hint = i;
			return word;
		}
	return 0;
}

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
		arena->count[list]--;
		*fresh = 0;
		return block;
	}
	if (size >= 128) /* segments want two lines */
		arena->next = (char *)(((uintptr_t)arena->next + 127) & ~(uintptr_t)127);
	arena->not_next = arena->next ? ~(uintptr_t)arena->next : 0;
	if (arena->end - arena->next < (ptrdiff_t)size)
		return NULL;
	block = arena->next;
	arena->next += size;
	arena->not_next = ~(uintptr_t)arena->next;
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
		*(struct na_chunk *)chunk = (struct na_chunk){ .size = bytes, .arena = arena };
		know_chunk((uintptr_t)chunk, bytes);
		na_lock(&arena->lock);
		((struct na_chunk *)chunk)->next = arena->chunks;
		arena->chunks = chunk;
		arena->next = (char *)chunk + NA_CHUNK_FIRST;
		arena->not_next = ~(uintptr_t)arena->next;
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
	arena->count[list]++;
	na_unlock(&arena->lock);
}

void na_arena_release(struct na_arena *arena)
{
	while (arena->chunks) {
		struct na_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		forget_chunk((uintptr_t)chunk);
		na_os.unmap(chunk, chunk->size);
	}
	arena->next = arena->end = NULL;
	arena->not_next = 0;
}
