/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of movable/ share: chunks, spaces, the slots of threads. Nobody else includes this.
 *
 * A space is a node's movable memory: chunks of 2 MiB from a named pool of its own, filled from the front. Each block has a header of
 * 8 bytes before it that names its entry, so a chunk can be walked. What is released is dead until its chunk is evacuated (the
 * live blocks copied elsewhere) or empties by itself. Blocks above 64 KiB have a chunk each, of their size.
 *
 * A chunk's struct is found from a block by the pointer in the chunk's first bytes, which the program could overwrite: the check
 * walks from the spaces instead, and finds that.
 */
#ifndef NA_MOVABLE_PARTS_H
#define NA_MOVABLE_PARTS_H

#include "movable/movable.h"

#define NA_CHUNK_HEAD	 128 /* bytes before the first block */
#define NA_CHUNK_MAGIC	 UINT64_C(0x6d6f7661626c6521)
#define NA_BUCKETS	 64
#define NA_WINDOW	 ((size_t)32 << 10) /* of a chunk: the first header in it is known */
#define NA_WINDOWS	 (NA_MOVABLE_CHUNK / NA_WINDOW)
#define NA_STRIPES	 64
#define NA_BLOCK_ALIGNED 4096 /* from this size on blocks begin on a line */

/* OPEN: the program allocates from it. DEST: the mover copies into it. CLOSED: in a bucket. VICTIM: being evacuated. */
enum na_chunk_state {
	NA_CHUNK_OPEN = 1,
	NA_CHUNK_DEST,
	NA_CHUNK_CLOSED,
	NA_CHUNK_VICTIM,
	NA_CHUNK_SOLO,
	NA_CHUNK_EMPTY
};

struct na_movable_chunk { /* all under the space's lock but what is constant */
	struct na_movable_chunk *next, *prev;
	struct na_movable_space *space; /* constant */
	uintptr_t base;			/* constant */
	size_t length;			/* constant: bytes held */
	size_t used;			/* offset of the next header; solo: of the block's end */
	size_t live;			/* bytes of strides of live blocks */
	uint32_t blocks;
	uint32_t pass; /* the mover's: in which it was evacuated as far as pins let it */
	uint8_t bucket;
	uint8_t state;
	uint16_t first[NA_WINDOWS]; /* in eights from the window's front, and 1 more; 0: there is none */
};

struct na_movable_space {
	struct na_lock lock;
	_Atomic(struct na_named *) named; /* release once, acquire */
	/* under the lock, as all that follows */
	struct na_movable_chunk *open, *dest, *victim, *solo, *empty;
	struct na_movable_chunk *bucket[NA_BUCKETS];
	size_t walked,
		scouted; /* offset in the victim up to which it was evacuated, and headers were read ahead; the mover's lock */
	uint64_t chunks, held, live; /* packed chunks; bytes of all chunks; bytes of strides in packed ones */
	uint64_t solo_bytes;	     /* bytes held by solo chunks */
	uint64_t blocks, bytes;	     /* live, as asked for; images apart */
	uint64_t free_entry;	     /* index; 0: none */
	uint64_t fresh, fresh_end;   /* indices never used */
	uint32_t closed;	     /* pass in which the mover took the open chunk */
	uint64_t wanted;	     /* bytes of chunks that the program took since the last reckoning */
	_Atomic uint64_t reserve;    /* bytes that slices do not purge; relaxed: a hint */
	uint32_t futile, skip;	     /* cleaning that won nothing; allocations of chunks that do without */
};

extern struct na_movable_space na_movable_spaces[NA_MAX_POOLS];

/* A thread's slots; on a list for ever, taken over by the next thread. */
struct na_pins {
	struct numarena_pins slots;
	struct na_pins *next; /* constant once it is on the list */
	_Atomic bool taken;   /* by a thread; acquire, release: it has nothing in its slots when it is not */
	bool astray;	      /* thread: a handle may be in another slot than its own */
};

extern struct na_lock na_movable_stripes[NA_STRIPES];

struct na_movable_counters { /* relaxed, all */
	_Atomic uint64_t images, image_bytes, moves, moved_bytes, refused, won, slow_pins, ns;
};
extern struct na_movable_counters na_movable_counters;

static inline void na_movable_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t na_movable_index(memory_handle_t handle)
{
	return (uint32_t)handle >> 3;
}

static inline struct na_lock *na_movable_stripe(memory_handle_t handle)
{
	return &na_movable_stripes[na_movable_index(handle) % NA_STRIPES];
}

/* ---- table.c ---- */

int na_movable_start(void);	  /* maps the table once; -ENOMEM */
uint64_t na_movable_opened(void); /* entries that may be touched: a power of two, or 0 */
uint64_t na_movable_top(void);	  /* the first that nobody has had */
struct na_movable_entry *na_movable_at(uint64_t index);
/* Entries for a space that has none left. No lock. -ENOMEM */
int na_movable_more(struct na_movable_space *space);
/* Under the space's lock: an index, or 0. */
uint64_t na_movable_take_entry(struct na_movable_space *space);
/* After its `where` was made free. Under the space's lock. */
void na_movable_give_entry(struct na_movable_space *space, uint64_t index);
/* So many entries one after the other, never used; the first's index, 0: none. */
uint64_t na_movable_fresh(uint64_t count);
/* Entries of a page of the table, which goes back when all of them are free: what its next handles' generation is, is kept apart. */
#define NA_TABLE_PAGE (NA_PAGE / sizeof(struct na_movable_entry))
/* The page's memory has gone. No lock. */
void na_movable_page_purged(uint64_t page, uint64_t generation);
uint64_t na_movable_pages_purged(void);
/* The first entry of such a page, all of which is the caller's now, and the generation of its next handles; 0: there is none. */
uint64_t na_movable_take_purged(uint64_t *generation);
void na_movable_table_before_fork(void);
void na_movable_table_after_fork(bool child);

/* From now on, until it is undone as often, pins take the long way, with a fence of their own. 0, or -errno of the barrier. */
int na_movable_fence_pins(void);
void na_movable_unfence_pins(void);
/* All stores to slots that come before loads of `where` that did not see our stores are visible after this. -errno. */
int na_movable_barrier(void);

/* `about`, folded; and by compare-and-swap: seq_cst. */
uint64_t na_about_folded(uint64_t about);
uint64_t na_about_make(size_t size); /* of a new block */
void na_about_put(struct na_movable_entry *entry, uint64_t clear, uint64_t set);

/* ---- pins.c ---- */

/* Cancels what was taken and is pinned in some slot: of n blocks, whose handles are looked for in all slots. */
void na_movable_scan(const struct na_movable_block *blocks, size_t n);
bool na_movable_pinned_here(memory_handle_t handle);
uint64_t na_movable_slots_used(void);
void na_pins_after_fork(void);

/* ---- space.c ---- */

struct na_movable_space *na_movable_here(void);
static inline size_t na_movable_stride(size_t size)
{
	return (size + 8 + 15) & ~(size_t)15;
}
/* Memory for a block, its header set to "in transit". 0 or -ENOMEM. `mover`: the mover's lock is held, into its chunk, without recovery. */
int na_movable_place(struct na_movable_space *space, size_t size, bool mover, uintptr_t *at);
/* The place is the block's: what its header says from now on. */
void na_movable_settle_header(uintptr_t at, size_t size, memory_handle_t handle);
/* The block's memory is dead. No lock; returns its space. */
struct na_movable_space *na_movable_retire(uintptr_t at, size_t size);
void na_movable_drain(void); /* under the mover's lock: empty chunks go back to the pool */
bool na_movable_has_empty(void);
void na_movable_space_before_fork(void);
void na_movable_space_after_fork(bool child);
/* CLOSED chunks into their bucket, and out of it. Under the space's lock. */
void na_movable_bucket_in(struct na_movable_chunk *chunk);
void na_movable_bucket_out(struct na_movable_chunk *chunk);
void na_movable_close(struct na_movable_space *space, struct na_movable_chunk **chunk);
void na_movable_emptied(struct na_movable_chunk *chunk); /* no blocks and in no list: to be given back */

/* ---- move.c ---- */

/* Whether somebody has let go of the mover's lock with blocks taken. Under it. (A fork in that moment leaves it so in the child.) */
bool na_movable_somebody_breathes(void);
void na_movable_lock_after_fork(bool child);
void na_movable_set_in_order(bool on);
/* Takes the blocks, copies those that nobody has pinned to the mover's chunks and publishes them. How many; *refused grows by the
 * others, *bytes by what was copied. -errno of the barrier; -ENOMEM. Under the mover's lock. */
int na_movable_move(struct na_movable_block *blocks, size_t n, uint64_t *bytes, uint64_t *refused);

/* A header: entry 29 bits, generation's lower 14, length in units of 16 bytes 13, by how many bytes the block is shorter 4, and 4 of
 * these and the rest of the generation. Entry 0: dead; all ones: in transit. Relaxed: what it says is confirmed by the entry. */
#define NA_HEADER_TRANSIT    ((UINT64_C(1) << 29) - 1)
#define NA_HEADER_GENERATION 29
#define NA_HEADER_STRIDE     43
#define NA_HEADER_SLACK	     56

static inline _Atomic uint64_t *na_header_of(uintptr_t at)
{
	return (_Atomic uint64_t *)(at - 8);
}

static inline uint64_t na_header_dead(size_t stride)
{
	return (uint64_t)(stride / 16) << NA_HEADER_STRIDE;
}

/* Of a block; one that has a chunk by itself has neither length nor neighbours. */
static inline uint64_t na_header(memory_handle_t handle, size_t size)
{
	uint64_t generation = na_handle_generation(handle), rest = generation >> 14, slack;
	uint64_t who = na_movable_index(handle) | (generation & 0x3fff) << NA_HEADER_GENERATION;
	size_t stride = na_movable_stride(size);

	if (size >= NA_MOVABLE_SOLO_FROM)
		return who | rest << 4 << NA_HEADER_SLACK;
	slack = stride - 8 - size;
	return who | na_header_dead(stride) | (slack | ((~slack ^ rest) & 15) << 4) << NA_HEADER_SLACK;
}

static inline size_t na_header_stride(uint64_t header)
{
	return (size_t)(header >> NA_HEADER_STRIDE & 0x1fff) * 16;
}

/* Not of a block that has a chunk by itself. */
static inline size_t na_header_size(uint64_t header)
{
	return na_header_stride(header) - 8 - (size_t)(header >> NA_HEADER_SLACK & 15);
}

/* Of a live one: who it says it is, as far as the entry agrees; else 0. */
static inline memory_handle_t na_header_handle(uint64_t header)
{
	uint64_t index = header & NA_HEADER_TRANSIT, generation;

	if (index == 0 || index >= na_movable_top())
		return 0;
	generation = na_where_generation(atomic_load_explicit(&na_movable_at(index)->where, memory_order_relaxed));
	return ((generation ^ header >> NA_HEADER_GENERATION) & 0x3fff) == 0 ? na_handle(generation, index) : 0;
}

/* Whether it is a block's. */
static inline bool na_header_lives(uint64_t header)
{
	return (header & NA_HEADER_TRANSIT) != 0 && (header & NA_HEADER_TRANSIT) != NA_HEADER_TRANSIT;
}

/* The size of a block at an address whose memory the caller knows to stay, by what its entry says about it. */
static inline size_t na_movable_size(uint64_t about, uintptr_t at)
{
	return about & NA_ABOUT_SIZE ? about & NA_ABOUT_SIZE
				     : na_header_size(atomic_load_explicit(na_header_of(at), memory_order_relaxed));
}

static inline struct na_movable_chunk *na_movable_chunk_of(uintptr_t at, size_t size)
{
	uintptr_t base = size >= NA_MOVABLE_SOLO_FROM ? at - NA_CHUNK_HEAD : at & ~(NA_MOVABLE_CHUNK - 1);

	return ((struct na_movable_chunk **)base)[1];
}

/* The program may write to `from` meanwhile, in which case the copy is not used: a race that no tool need tell of. */
static inline void na_movable_copy(void *to, const void *from, size_t n)
{
#if defined(__SANITIZE_THREAD__) && defined(__x86_64__)
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
#else
	__builtin_memcpy(to, from, n);
#endif
}

#endif
