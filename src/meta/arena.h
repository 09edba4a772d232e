/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for our own bookkeeping, apart from user data: a bump allocator with a free list for each
 * power of two from 64 bytes to 64 KiB. One arena for each pool, so that metadata lie on the
 * node they describe. Blocks are zeroed when new; a reused one has its old contents.
 * Any thread; takes the arena's lock; maps without it.
 *
 * Every chunk of every arena is known twice: linked from its arena, and in a table of the process's. So a pointer to metadata can be told
 * from a wild one before it is followed (na_meta_owns()), which is what validation lives by.
 */
#ifndef NA_META_ARENA_H
#define NA_META_ARENA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/lock.h"

#define NA_ARENA_LISTS 13 /* 64 bytes to 256 KiB: a thread cache on a machine of 64 nodes */

struct na_arena {
	struct na_lock lock;
	int node;			/* -1: do not bind; set before first use */
	char *next;			/* under lock */
	char *end;			/* under lock */
	uintptr_t not_next;		/* under lock: complement of next, if that is not NULL */
	uint32_t count[NA_ARENA_LISTS]; /* under lock: blocks in each list */
	void *free[NA_ARENA_LISTS];
	void *chunks;		 /* under lock: all chunks, linked by their first word */
	_Atomic uint64_t mapped; /* bytes; relaxed */
};

/* At least `size` bytes (up to 256 KiB), 64-byte aligned
 * (128 from 128 bytes on); NULL without memory. *fresh tells whether
 * they are zero; it may be NULL. */
void *na_arena_take(struct na_arena *arena, size_t size, int *fresh);
void na_arena_give(struct na_arena *arena, void *block, size_t size);

/* At a chunk's start. */
struct na_chunk {
	struct na_chunk *next;
	size_t size;
	struct na_arena *arena;
};

#define NA_CHUNKS      16384 /* that can be known: of 1 MiB, metadata of 4 TiB in blocks */
#define NA_CHUNK_KEY   ((uintptr_t)0xc5a3965aa53c3ac5)
#define NA_CHUNK_FIRST 64 /* bytes of a chunk before its first block */

/* The chunks of all arenas, each word the chunk's start and, in its low bits, its size in units of 64 KiB; and again, XORed with a key. 0: none.
 * Written without a lock (fork would have to know of it): claimed by compare-and-swap, relaxed, for readers want no other
 * memory by it. */
struct na_chunks {
	_Atomic uintptr_t word[NA_CHUNKS], not_word[NA_CHUNKS];
	_Atomic uint32_t most; /* entries ever used */
	_Atomic bool full;     /* some chunk had no room here */
};
extern struct na_chunks na_chunks;

static inline uintptr_t na_chunk_start(uintptr_t word)
{
	return word & ~(uintptr_t)4095;
}

static inline size_t na_chunk_size(uintptr_t word)
{
	return (word & 4095) << 16;
}

/* Entry i, 0 where its two halves disagree. */
static inline uintptr_t na_chunk_word(uint32_t i)
{
	uintptr_t word = atomic_load_explicit(&na_chunks.word[i], memory_order_relaxed);

	return word && atomic_load_explicit(&na_chunks.not_word[i], memory_order_relaxed) == (word ^ NA_CHUNK_KEY)
		       ? word
		       : 0;
}

/* The chunk that a block of `size` bytes at `at` lies in, whole and after its first bytes; 0 if in none. *hint makes the next look-up near
 * this one fast; it begins as 0. */
uintptr_t na_meta_chunk(uintptr_t at, size_t size, uint32_t *hint);

/* Unmaps everything; nobody may use the arena or its blocks any more. */
void na_arena_release(struct na_arena *arena);

#endif
