/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that writes to a page while it is read-only comes here, waits until that is over, and tries again. A fault may also be told of when
 * it is over already: so any refused access to a page that was held lately is tried again, a few times, before it is taken for the program's own.
 *
 * The program's own faults go to the handler that was there before. One that the program installs later takes ours away: na_hold_catch(), which every pass
 * calls, puts ours before it again. If that one calls ours in turn, as one that chains does, we are called from within, and the fault ends the process
 * as it would have.
 *
 * Asynchronous-signal-safe: words, a futex, sigaction().
 */
#include "os/hold_signal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "os/lock.h"
#include "os/os.h"

#define AGAIN	 1000 /* times that an access is tried again for nothing */
#define PATIENCE 100  /* milliseconds of one wait, in case nobody wakes us */

static _Atomic uintptr_t held_at;	  /* relaxed; published by `moment` */
static _Atomic size_t held_size;	  /* 0: nothing is held; release: na_hold_announce(), acquire: the handler */
static _Atomic uint32_t moment;		  /* futex: changes when a range is let go; release, acquire */
static _Atomic uintptr_t lowest, highest; /* of all that was ever held; relaxed, only a hint */
static struct sigaction before;		  /* written while ours is not installed */
static __thread uintptr_t last __attribute__((tls_model("initial-exec")));
static __thread uint32_t again, within __attribute__((tls_model("initial-exec")));

static bool was_held(uintptr_t p)
{
	return p >= atomic_load_explicit(&lowest, memory_order_relaxed) &&
	       p < atomic_load_explicit(&highest, memory_order_relaxed);
}

/* True: it is to be tried again. */
static bool wait_for_it(uintptr_t p)
{
	uintptr_t page = p & ~(uintptr_t)(NA_PAGE - 1);
	/* acquire: a range that is announced later than this is none that we must wait for. */
	uint32_t seen = atomic_load_explicit(&moment, memory_order_acquire);
	size_t size = atomic_load_explicit(&held_size, memory_order_acquire);

	if (size && p - atomic_load_explicit(&held_at, memory_order_relaxed) < size) {
		na_futex_wait(&moment, seen, PATIENCE);
		again = 0;
		return true;
	}
	if (!was_held(p))
		return false;
	again = page == last ? again + 1 : 0;
	last = page;
	return again < AGAIN;
}

static void chain(int number, siginfo_t *info, void *context)
{
	if (within || before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
		struct sigaction action = { .sa_handler = SIG_DFL };

		sigaction(number, &action, NULL); /* the access is tried again, and ends the process */
		return;
	}
	within++;
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else
		before.sa_handler(number);
	within--;
}

static void handler(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	if (info->si_code != SEGV_ACCERR || !wait_for_it((uintptr_t)info->si_addr))
		chain(number, info, context);
	errno = saved;
}

int na_hold_catch(void)
{
	struct sigaction ours = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER }, now;

	if (sigaction(SIGSEGV, NULL, &now) < 0)
		return -errno;
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == handler)
		return 0;
	before = now;
	sigemptyset(&ours.sa_mask);
	return sigaction(SIGSEGV, &ours, NULL) < 0 ? -errno : 0;
}

void na_hold_announce(uintptr_t at, size_t size)
{
	if (!atomic_load_explicit(&lowest, memory_order_relaxed) ||
	    at < atomic_load_explicit(&lowest, memory_order_relaxed))
		atomic_store_explicit(&lowest, at, memory_order_relaxed);
	if (at + size > atomic_load_explicit(&highest, memory_order_relaxed))
		atomic_store_explicit(&highest, at + size, memory_order_relaxed);
	atomic_store_explicit(&held_at, at, memory_order_relaxed);
	atomic_store_explicit(&held_size, size, memory_order_release);
}

void na_hold_over(void)
{
	atomic_store_explicit(&held_size, 0, memory_order_release);
	atomic_fetch_add_explicit(&moment, 1, memory_order_release);
	na_futex_wake(&moment);
}
