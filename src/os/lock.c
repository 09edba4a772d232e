/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Spinning pays only if the holder runs on another core; our critical sections are well below
 * a microsecond, so a few tries come first and then sleep. */
void na_lock_slow(struct na_lock *lock)
{
	int saved = errno;

	for (int i = 0; i < 40; i++) {
		if (na_trylock(lock)) {
			errno = saved;
			return;
		}
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
	}
	while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
		syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
	errno = saved;
}

void na_lock_wake(struct na_lock *lock)
{
	int saved = errno;

	syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
}

void na_futex_wait(_Atomic uint32_t *word, uint32_t value, uint32_t milliseconds)
{
	struct timespec t = { .tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000 };

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, milliseconds == UINT32_MAX ? NULL : &t, NULL, 0);
}

void na_futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
