/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Movable blocks: memory by handle. Between pins numarena may lay a block elsewhere (compaction, in an order of yours) or keep it
 * compressed; while it is pinned its address stands still.
 *
 *     memory_handle_t h = allocate_movable(n * sizeof(double));
 *     double *x = pin_memory(h);      // stable until unpin_memory(h)
 *     ...
 *     unpin_memory(h);
 *     release_movable(h);
 *
 * A pin costs about a nanosecond: a store into a slot of the thread's own, and no atomic operation. Pins nest, and any number of
 * threads may pin a block at once; numarena keeps a block from moving, not threads from each other.
 * All calls are thread-safe; none may be made from a signal handler.
 */
#ifndef NUMARENA_MOVABLE_H
#define NUMARENA_MOVABLE_H

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

/* Names a block as long as it lives; 0 is no block. A handle of a block that was released is an error wherever it is used,
 * never another block. Plain data: copy it, store it in blocks, compare it. */
typedef uint64_t memory_handle_t;

/* A block of `size` bytes (up to 2^40 - 1; 0 gives a block of 1), not zeroed, 16-byte aligned, from 4096 bytes on 64-byte, of the
 * node that the thread runs on. 0 without memory, with errno ENOMEM and MEMORY_ERROR_ALLOCATION. */
memory_handle_t allocate_movable(size_t size) NUMARENA_CALL(allocate_movable);

/* Ends a block. MEMORY_ERROR_CORRUPTION: no block has this handle (released twice, say). MEMORY_ERROR_BUSY: this thread has it
 * pinned, or a shared pin is held; nothing was done. That another thread has pinned it is not looked for, as with free(). */
memory_error_t release_movable(memory_handle_t handle) NUMARENA_CALL(release_movable);

/* Gives the block another size, with the contents as far as both reach; the handle stays. MEMORY_ERROR_BUSY: it is pinned, by
 * any thread. MEMORY_ERROR_ALLOCATION: the block is as it was. */
memory_error_t resize_movable(memory_handle_t handle, size_t size) NUMARENA_CALL(resize_movable);

/* The size asked for; 0 if no block has this handle. */
size_t movable_size(memory_handle_t handle) NUMARENA_CALL(movable_size);

/* The kernel's number of the node whose pool the block lies in; -1 if no block has this handle, or it lies nowhere (compressed). */
int movable_node(memory_handle_t handle) NUMARENA_CALL(movable_node);

/* ---- pins ---- */

/* The pins of a thread, and the table of blocks: only for the two functions below, and no promise beyond them. */
#define NUMARENA_PIN_SLOTS 32
struct numarena_pins {
	uint64_t slot[NUMARENA_PIN_SLOTS]; /* handles; 0: free. Written by the thread itself, read by who moves blocks */
};
struct numarena_movable_table {
	const char *entries; /* 8 bytes each: generation and state, inverted; address / 16 */
	uint64_t mask;       /* of offsets in it, whose number is a power of two; 0: every pin takes the long way, for no block is entry 0 */
};
extern struct numarena_movable_table numarena_movable_table NUMARENA_DATA(movable_table);
extern __thread struct numarena_pins *numarena_pins_here NUMARENA_DATA(pins_here)
	__attribute__((tls_model("initial-exec")));

/* The low half of a handle is eight times its place in the table. */
#define NUMARENA_PIN_SLOT(handle)                                                                                      \
	((uint64_t *)(void *)((char *)numarena_pins_here->slot + ((handle) & (8 * NUMARENA_PIN_SLOTS - 8))))

/* The same two as functions: for other languages, and the long way of the inline ones. */
void *pin_movable(memory_handle_t handle) NUMARENA_CALL(pin_movable);
memory_error_t unpin_movable(memory_handle_t handle) NUMARENA_CALL(unpin_movable);

/* The block's address, which stands still until this thread has unpinned it as often as it has pinned it. NULL with
 * MEMORY_ERROR_CORRUPTION if no block has this handle (or its compressed image is damaged), with MEMORY_ERROR_ALLOCATION if a
 * compressed block finds no memory. A pin is its thread's: what a thread has pinned when it ends becomes a shared pin. */
static inline void *pin_memory(memory_handle_t handle)
{
	uint64_t *slot = NUMARENA_PIN_SLOT(handle);
	uint64_t where;

	if (__builtin_expect(*slot == 0, 1)) {
		/* Who moves blocks says so in the entry (or makes `mask` 0), has every processor pass a barrier, and then reads the
		 * slots: so a plain store, and loads that the compiler keeps behind it. */
		__atomic_store_n(slot, handle, __ATOMIC_RELEASE);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		where = __atomic_load_n(
			(const uint64_t *)(const void *)(numarena_movable_table.entries +
							 (handle & __atomic_load_n(&numarena_movable_table.mask, __ATOMIC_ACQUIRE))),
			__ATOMIC_ACQUIRE);
		if (__builtin_expect((where ^ handle) >= ~UINT64_C(0) << 43, 1)) /* of this generation, and here */
			return (void *)(uintptr_t)(where << 21 >> 17);
		__atomic_store_n(slot, 0, __ATOMIC_RELEASE);
	}
	return pin_movable(handle);
}

/* Nothing if handle is 0. MEMORY_ERROR_INVALID_ARGUMENT: neither has this thread pinned it, nor is a shared pin held. */
static inline memory_error_t unpin_memory(memory_handle_t handle)
{
	uint64_t *slot = NUMARENA_PIN_SLOT(handle);

	if (__builtin_expect(*slot == handle, 1)) {
		__atomic_store_n(slot, 0, __ATOMIC_RELEASE);
		return MEMORY_ERROR_NONE;
	}
	return unpin_movable(handle);
}

/* As pin_memory(), but any thread may unpin it: for a transfer that another thread completes. About 20 ns. At most 1023 of a block
 * at a time (NULL with MEMORY_ERROR_BUSY). unpin_memory() takes the thread's own pin first. */
void *pin_memory_shared(memory_handle_t handle) NUMARENA_CALL(pin_memory_shared);

/* ---- the order of blocks in memory ---- */

typedef struct compaction_order {
	/* Where the program keeps the next handle of its order; NULL: there is none. Called on the calling thread, between moves;
	 * it may pin and unpin, and read what it has pinned, but must not allocate, release, resize or compress movable blocks,
	 * begin another order or a pass, validate, repair (MEMORY_ERROR_BUSY), or fork. A block must not be pinned when its own turn
	 * comes. */
	memory_handle_t *(*next)(void *closure);
	void *closure;
	/* Blocks get new handles as well, in the same order, and what *next() points at is replaced: so that the table that every
	 * pin reads is walked in order too. For blocks with one handle in the program: all copies of the old one are stale. */
	bool renew_handles;
} compaction_order_t;

/* For order->next: the handles of an array, one after the other; its closure is a memory_handle_array_t. */
typedef struct memory_handle_array {
	memory_handle_t *handle;
	size_t count;
	size_t at; /* where it goes on */
} memory_handle_array_t;

memory_handle_t *next_handle_in_array(void *array) NUMARENA_CALL(next_handle_in_array);

typedef struct compaction_result {
	size_t blocks;  /* laid out */
	size_t bytes;   /* of those */
	size_t left;    /* that stay where they were: pinned, compressed, or larger than 64 KiB, which are dense by themselves */
} compaction_result_t;

/* Lays the blocks that order->next() names one after the other into fresh memory, each on its node. Walking them in this
 * order afterwards reads memory from front to back. Takes as much memory again until the old places are empty. result may be NULL.
 * MEMORY_ERROR_INVALID_ARGUMENT: order or its next is NULL. MEMORY_ERROR_CORRUPTION: no block has the handle; MEMORY_ERROR_ALLOCATION:
 * no memory for more; those before are in order, and everything is valid. */
memory_error_t compact_in_order(const compaction_order_t *order, compaction_result_t *result)
	NUMARENA_CALL(compact_in_order);

/* ---- figures ---- */

typedef struct movable_stats {
	size_t blocks;          /* live */
	size_t bytes;           /* live, as asked for */
	size_t held_bytes;      /* memory that movable blocks hold: live, dead and not yet used, without the table */
	size_t winnable_bytes;  /* of those, what a perfect packing would free */
	size_t image_blocks;    /* of `blocks`, compressed now */
	size_t table_bytes;     /* of the table of handles, in use */
	size_t pinned_slots;    /* pins held in threads' slots now */
	size_t moves;           /* since the start, as all that follow */
	size_t moved_bytes;
	size_t moves_refused;   /* blocks that were pinned when their turn came */
	size_t won_bytes;       /* that compaction gave back to the pools */
	size_t slow_pins;       /* that took the long way */
	size_t move_time;       /* microseconds */
} movable_stats_t;

/* MEMORY_ERROR_INVALID_ARGUMENT if stats is NULL. Looks at each thread's slots, and at nothing else. */
memory_error_t get_movable_statistics(movable_stats_t *stats) NUMARENA_CALL(get_movable_statistics);

NUMARENA_END
#endif
