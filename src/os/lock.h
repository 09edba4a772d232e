/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small mutex on a futex: 0 free, 1 taken, 2 taken with sleepers. Not pthread's, because ours
 * must work before the loader is done, be reset in a forked child, and lie in zeroed memory.
 * Held for short, bounded work only: never across a system call that maps or unmaps (an MPI
 * library's hook may run there and call back into the heap). The one exception is na_merging_lock of heap/merging.h,
 * which orders such calls: it is outside of all other locks of the heap, and no hook waits for it (na_os_inside).
 *
 * Orders: the acquiring exchange pairs with the releasing one of na_unlock().
 */
#ifndef NA_OS_LOCK_H
#define NA_OS_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct na_lock {
	_Atomic uint32_t word;
};

void na_lock_slow(struct na_lock *lock);
void na_lock_wake(struct na_lock *lock);

static inline bool na_trylock(struct na_lock *lock)
{
	uint32_t expected = 0;

	return atomic_compare_exchange_strong_explicit(&lock->word, &expected, 1, memory_order_acquire,
						       memory_order_relaxed);
}

static inline void na_lock(struct na_lock *lock)
{
	if (!na_trylock(lock))
		na_lock_slow(lock);
}

static inline void na_unlock(struct na_lock *lock)
{
	if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
		na_lock_wake(lock);
}

/* In a forked child only, where no other thread is left to hold it. */
static inline void na_lock_reset(struct na_lock *lock)
{
	atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
}

/* Sleep until *word is no longer `value`, somebody wakes us, or the time is over. */
void na_futex_wait(_Atomic uint32_t *word, uint32_t value, uint32_t milliseconds);
void na_futex_wake(_Atomic uint32_t *word);

#endif
