/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Movable blocks: handles, pins, and who may move what. doc/design/movable.md says why; here is the contract.
 *
 * An entry of the table is a word, `where`: generation (18 bits), state (3 bits), address / 16 or image (43 bits). A handle is the generation
 * and the entry's offset. What else there is to say of a block is in a second table, `about`, see NA_ABOUT_*: 0 as long as there is nothing, so that its
 * pages are not there, as for small blocks nobody shares and nobody ages.
 *
 * States of a live block:
 *	HERE     at the address; pins take the short way
 *	WATCHED  the same, and not pinned anew since it was marked so; the next pin takes the long way and makes it HERE
 *	TAKEN    the same, and the holder of the mover's lock reads it; any pin makes it HERE, without waiting, whereupon the
 *	         mover's publishing fails
 *	IMAGE    its bytes are elsewhere: the 43 bits are a token of whoever took them. A pin calls restore() and makes it HERE
 *
 * Who may change `where`, always by compare-and-swap:
 *	HERE, WATCHED -> TAKEN		the holder of the mover's lock
 *	HERE -> WATCHED			the same
 *	TAKEN -> HERE (elsewhere), WATCHED, IMAGE	the same, after no slot and no count had a pin
 *	TAKEN, WATCHED -> HERE		any pin; the mover that finds a pin
 *	IMAGE -> HERE			a pin, under the entry's stripe lock
 *	any -> free, next generation	release; of an IMAGE under the stripe lock
 *
 * Locks, outermost first: mover, stripe, space; under a stripe's (a block is being restored) the mover's is only tried. The mover's lock is held for a slice (200 us by default), and calls the heap for memory
 * by na_named_try() only; whoever cannot wait tries it. The space's lock is held for some stores. None of them is taken by malloc and free, but
 * the recovery of a failing allocation tries the mover's.
 */
#ifndef NA_MOVABLE_MOVABLE_H
#define NA_MOVABLE_MOVABLE_H

#include <numarena/movable.h>
#include <stdatomic.h>

#include "base/budget.h"
#include "heap/heap.h"
#include "meta/arena.h"
#include "os/lock.h"

#define NA_MOVABLE_CHUNK ((size_t)2 << 20) /* what small blocks lie in, and goes back as a whole */

enum na_movable_state {
	NA_MOVABLE_HERE = 0,
	NA_MOVABLE_WATCHED = 3,
	NA_MOVABLE_TAKEN = 5,
	NA_MOVABLE_IMAGE = 6,
	NA_MOVABLE_FREE = 7
};

struct na_movable_entry {
	_Atomic uint64_t where; /* release on each change, acquire by pins: the block's bytes are seen */
};

/* The second table; constant once started. Counts of pins: seq_cst with `where`, see pins.c */
extern _Atomic uint64_t *na_movable_abouts;

#define NA_GENERATION_SHIFT 46
#define NA_STATE_SHIFT	    43
#define NA_GENERATION_MASK  ((UINT64_C(1) << 18) - 1)
#define NA_GENERATION_LAST  (NA_GENERATION_MASK - 1) /* an entry that has come to it is not used again */
/* Generation and state are stored inverted: zeros, which an entry is before its first use, are a free one of a generation that no handle has. */
#define NA_WHERE_FLIP (~UINT64_C(0) << NA_STATE_SHIFT)

/* about: bytes asked for, from NA_ABOUT_SIZE_FROM on and of images (else the block's header tells); shared pins; when it was marked WATCHED; a note of an upper layer's; and a fold of all that. */
#define NA_ABOUT_SIZE	     ((UINT64_C(1) << 40) - 1)
#define NA_ABOUT_SIZE_FROM   1024
#define NA_ABOUT_COUNT_SHIFT 40
#define NA_ABOUT_COUNT_MOST  UINT64_C(1023)
#define NA_ABOUT_STAMP_SHIFT 50
#define NA_ABOUT_NOTED	     (UINT64_C(1) << 58)
#define NA_ABOUT_FOLD_SHIFT  59

#define NA_MOVABLE_SOLO_FROM                                                                                           \
	65537 /* blocks from this size on have a run or a mapping of their own, and are not moved */

static inline uint64_t na_where(uint64_t generation, uint64_t payload, enum na_movable_state state)
{
	return (generation << NA_GENERATION_SHIFT | (uint64_t)state << NA_STATE_SHIFT | payload >> 4) ^ NA_WHERE_FLIP;
}

static inline enum na_movable_state na_where_state(uint64_t where)
{
	return (enum na_movable_state)(~where >> NA_STATE_SHIFT & 7);
}

static inline uint64_t na_where_with(uint64_t where, enum na_movable_state state)
{
	return (where | UINT64_C(7) << NA_STATE_SHIFT) ^ (uint64_t)state << NA_STATE_SHIFT;
}

/* The address, or the image: a multiple of 16 below 2^47. */
static inline uint64_t na_where_payload(uint64_t where)
{
	return (where & ((UINT64_C(1) << NA_STATE_SHIFT) - 1)) << 4;
}

static inline uint64_t na_where_generation(uint64_t where)
{
	return ~where >> NA_GENERATION_SHIFT;
}

/* A handle: the generation in the same bits, and eight times the entry's index in the low half. */
static inline memory_handle_t na_handle(uint64_t generation, uint64_t index)
{
	return generation << NA_GENERATION_SHIFT | index << 3;
}

static inline uint64_t na_handle_generation(memory_handle_t handle)
{
	return handle >> NA_GENERATION_SHIFT;
}

static inline _Atomic uint64_t *na_about_of(const struct na_movable_entry *entry)
{
	return na_movable_abouts + (entry - (const struct na_movable_entry *)(uintptr_t)numarena_movable_table.entries);
}

/* The entry of a handle, whatever its generation; NULL if the table has no such. */
struct na_movable_entry *na_movable_entry(memory_handle_t handle);

/* ---- for who keeps blocks elsewhere (compression) ---- */

struct na_movable_hooks {
	/* Writes the `size` bytes of the image to `to`. 0; -EBADMSG: it is damaged; -ENOMEM. After 0 the image belongs to
	 * the hook's owner again, who may keep it (a note on the block tells when that dies) or drop it. On the pinning thread, under the stripe
	 * lock, so one at a time for a block; may allocate from the heap, must not pin or release movable blocks. */
	int (*restore)(memory_handle_t handle, uint64_t image, void *to, size_t size);
	/* Whether restore() would succeed but for memory: the image is looked at, and nothing said. Under the stripe lock. NULL: it is not asked. */
	bool (*whole)(memory_handle_t handle, uint64_t image, size_t size);
	/* The block was released while it was an image. No lock but the stripe's. */
	void (*discard)(memory_handle_t handle, uint64_t image, size_t size);
	/* A block with a note was released or resized; the note is gone. No lock. */
	void (*forget)(memory_handle_t handle);
};
extern struct na_movable_hooks na_movable_hooks; /* installed by api/ before the first image */

struct na_movable_block {
	memory_handle_t handle;
	void *at; /* NULL: not taken */
	size_t size;
	uint8_t age; /* epochs since it was marked WATCHED */
	bool noted;
	uint64_t word; /* `where` as it was, or as TAKEN */
};

/* The mover's lock. While it is held no memory of movable blocks is given back, so what was taken may be read, though a pin may
 * write to it meanwhile (then publishing fails). Not recursive. try: false if another has it. */
void na_movable_lock(void);
bool na_movable_trylock(void);
/* Whether this thread is within the program's next() of an order: what moves blocks must not be begun (-EDEADLK). */
bool na_movable_in_order(void);
void na_movable_unlock(void);

/* Epochs are counted by whoever ages blocks. */
void na_movable_add_epochs(uint8_t n);

/* The next block of at least `least` bytes that was not pinned for `age` epochs or more and is in memory, from *cursor on (0: the first), of at most
 * `most` entries that are looked at. Those that were pinned since the last look are marked, and so are fresh ones: they are found
 * the next time. 1 and *out; 0: none among those, go on; -ENOENT: the table's end, *cursor is 0. Under the mover's lock. 2 ns an entry. */
int na_movable_next_cold(uint64_t *cursor, uint64_t most, uint8_t age, size_t least, struct na_movable_block *out);

/* A block by its handle, for compressing it on request: 0, -EINVAL: no such block, -EALREADY: an image. Under the mover's lock. */
int na_movable_look(memory_handle_t handle, struct na_movable_block *out);

/* Takes those of the n blocks (at most NA_MOVABLE_BATCH) that nobody has pinned, nor taken and rests (na_movable_breathe()); the others' `at` becomes NULL. How many were taken; -errno:
 * the kernel's barrier failed, none. One barrier for all: 1 us and 10 ns for each thread. Under the mover's lock. */
#define NA_MOVABLE_BATCH 128
int na_movable_take(struct na_movable_block *blocks, size_t n);

/* If somebody waits for the mover's lock, lets go of it, so that he need not wait for a large block, and takes it again. Not under a stripe's lock. Whether the block is
 * still as it was taken: else it was pinned or released, and must not be read any more; nobody else takes it meanwhile. Others that the caller has taken are asked for by
 * na_movable_is_taken() before they are read. Under the mover's lock. */
bool na_movable_breathe(struct na_movable_block *block);
bool na_movable_is_taken(struct na_movable_block *block);
/* Whether somebody rests who has taken it. */
bool na_movable_is_at_rest(memory_handle_t handle);
/* After so many bytes: at most a quarter of a millisecond's work. */
#define NA_MOVABLE_BREATH ((size_t)256 << 10)

/* The bytes are in the image now, and their memory is given back. -EAGAIN: the block was pinned or released since it was taken, and
 * is as it was: the image stays the caller's. `note`: forget() is to be called when the block ends. Under the mover's lock. */
int na_movable_publish_image(const struct na_movable_block *block, uint64_t image, bool note);

/* Not compressed after all; it stays WATCHED, with its age, or is HERE if somebody wants it. Under the mover's lock. */
void na_movable_give_back(const struct na_movable_block *block);

/* Sets or takes away the note. -EINVAL: no such block. */
int na_movable_note(memory_handle_t handle, bool note);

/* ---- for the layers above ---- */

int na_movable_allocate(size_t size, memory_handle_t *out);	     /* -ENOMEM */
int na_movable_release(memory_handle_t handle);			     /* -EINVAL, -EBUSY */
int na_movable_resize(memory_handle_t handle, size_t size);	     /* -EINVAL, -EBUSY, -ENOMEM, -EDEADLK */
int na_movable_pin(memory_handle_t handle, bool shared, void **out); /* -EINVAL, -ENOMEM, -EBADMSG, -EBUSY */
int na_movable_unpin(memory_handle_t handle);			     /* -EINVAL */
/* Of memory that a block takes where there is none: a chunk at least; of one that is there, or is to come back. */
static inline size_t na_movable_room(size_t size)
{
	return size < NA_MOVABLE_CHUNK ? NA_MOVABLE_CHUNK : size;
}
size_t na_movable_room_of(memory_handle_t handle);
int na_movable_node_of(memory_handle_t handle);
size_t na_movable_size_of(memory_handle_t handle);

/* Compacts as far as the budget goes (NULL: all there is) and until `deadline_ns` (0: no end), and says what it came to; a step that is expected to take longer than
 * what is left is not begun. `least`: chunks with less than so many 64ths dead are left alone. */
#define NA_FULL_LEAST 2 /* of a full pass */
struct na_movable_slice {
	uint64_t moves, bytes, refused, won;
	uint64_t ns;
	bool more; /* there was more to do */
	int rc;	   /* of the kernel's barrier */
};
void na_movable_compact(struct na_move_budget *budget, uint64_t deadline_ns, unsigned int least, bool wait,
			struct na_movable_slice *out);

/* Bytes that a perfect packing would free. Any thread. */
uint64_t na_movable_winnable(void);
/* What the pools of movable blocks keep for reuse; and gives back of it until it is `most` bytes, or a run more, but for the reserve: what is about to be
 * wanted again would be given back and faulted in anew. No lock held. */
uint64_t na_movable_kept(void);
uint64_t na_movable_purge(uint64_t most);
/* Reckons the reserve anew, at the end of each pass: as many bytes of chunks as the program took since the last time, and else a quarter less than before; at
 * most an eighth of what lives, and a chunk. Whether there is one, or was one until now: the pass that it bound is not the last. */
bool na_movable_reckon(void);
/* Before the first of a row of passes: what was taken until now says nothing of what is about to be wanted. */
void na_movable_forget_wanted(void);
/* Whether the program has taken chunks of late, so that what is half dead may soon be dead by itself. */
bool na_movable_is_busy(void);
/* Gives back the pages of the table of which all entries are free: bytes. For whole passes: it walks all that are free, 10 ns each. No lock held. */
uint64_t na_movable_trim_table(void);
/* What movable blocks hold, and what of it is dead or not used yet. */
void na_movable_held(size_t *held, uint64_t *live);

/* Called before a space takes another chunk for the program, with no lock held; NULL: nobody wants to know. Set before the first block. */
extern void (*na_movable_wanted)(void);

/* *wrong: the handle that was none (-EINVAL). */
int na_movable_order(const compaction_order_t *order, compaction_result_t *out, memory_handle_t *wrong);

void na_movable_figures(movable_stats_t *out);

/* Whether the pool is one of movable blocks: nobody but this layer has business with it. */
bool na_movable_owns(const struct na_named *named);

/* Walks entries, chunks and headers, and has images looked at. The number of faults; `tell` (may be NULL) gets a sentence for each. No lock held. */
size_t na_movable_check(void (*tell)(const char *text, void *closure), void *closure);

/* Bytes of bookkeeping: the table as far as it is open, and what follows. */
uint64_t na_movable_metadata(void);

/* Of chunks' structs and threads' slots. */
extern struct na_arena na_movable_arena;

/* Whether there ever was a movable block, so that a process without them does not pay at a fork. Set before any lock of this layer is taken;
 * relaxed: what comes to be while another thread forks is set right in the child. */
extern _Atomic bool na_movable_begun;
/* Before a lock is taken by whoever only looks, or moves what there may be: fork does not know of the locks yet. seq_cst: with the store of who begins. */
static inline bool na_movable_has_begun(void)
{
	return atomic_load_explicit(&na_movable_begun, memory_order_seq_cst);
}

void na_movable_before_fork(void);
void na_movable_after_fork(bool child);

#endif
