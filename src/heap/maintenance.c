/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The maintenance thread: the safe point at which memory is unmapped and purged, because doing that inside
 * malloc or free could re-enter an MPI library's hooks under its own locks.
 *
 * It exists only in processes that need it: once they hold 16 MiB, or when tracking or a report
 * asks for ticks. It is created from the slow path of an allocation (never of a free: the C
 * library frees thread blocks while it holds the lock that creation needs), with no lock of ours held and all
 * signals blocked. It wakes eight times a decay time while there is something to decay.
 *
 * Memory kept for reuse must not raise the peak. When the pools hold a quarter more than was ever live, and 2 MiB, free pages of
 * half-empty spans go back; from twice on, what is kept is of shapes that the program does not ask for any more, and
 * goes back at once. A program whose steps
 * ask for the same again never comes there.
 *
 * run_lock is held while it works; pausing takes and drops it after raising `paused`, which is how
 * MPI_Init, MPI_Finalize and fork get a quiet process.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "base/log.h"
#include "base/options.h"
#include "cache/traps.h"
#include "heap/heap.h"
#include "heap/hooks.h"
#include "heap/parting.h"
#include "heap/pressure.h"
#include "os/os.h"

#define START_BYTES (16u << 20)
#define STACK_BYTES (256u << 10)
#define EXCESS	    (2u << 20) /* over a share of the peak of live bytes */
#define EXCESS_STEP (1u << 20) /* more than after the last look */
#define ARMED_MS    100	       /* how often the threshold is looked at while it is armed */
#define SHORT_MS    100	       /* epoch under pressure */
#define PRESSURE_MS 1000       /* how often limits and pressure are looked at */

enum { OFF, STARTING, ON };

struct na_heap_hooks na_heap_hooks;

static _Atomic int state;
static _Atomic bool allowed;  /* the library is initialised */
static _Atomic uint32_t wake; /* futex: changed to wake the thread */
static _Atomic bool stopping;
static _Atomic int paused;
static struct na_lock run_lock;
static _Atomic uint64_t work_ns;
static pthread_t thread;	       /* valid while state is ON */
static _Atomic uint64_t not_before_ms; /* a child of fork that is about to exec shall not get a thread first */

uint64_t na_maintenance_ns(void)
{
	return atomic_load_explicit(&work_ns, memory_order_relaxed);
}

static uint32_t epoch_ms(void)
{
	uint64_t ms = na_pressure_decay_ms() / NA_EPOCHS_KEPT,
		 least = __atomic_load_n(&na_options.decay_ms, __ATOMIC_RELAXED) / NA_EPOCHS_KEPT;

	/* Pressure shortens it, but not so far that a time step loses its temporaries several times over. */
	if (least > SHORT_MS)
		least = SHORT_MS;
	ms = ms < least ? least : ms;
	return ms < 10 ? 10 : (uint32_t)ms;
}

/* Whether fragmentation is above the armed threshold; uses what the pools hold, which asks nothing
 * of the kernel. */
static bool too_fragmented(void)
{
	int64_t live = atomic_load_explicit(&na_live, memory_order_relaxed);
	uint64_t held = atomic_load_explicit(&na_pool_held, memory_order_relaxed);

	if (!na_options.defragmentation || held == 0 || live < 0)
		return false;
	return (uint64_t)live < held && (held - (uint64_t)live) * 1000 / held > na_options.defrag_threshold;
}

static void purge(void)
{
	bool all =
		__atomic_load_n(&na_options.decay_ms, __ATOMIC_RELAXED) == 0 || na_pressure_high() || too_fragmented();

	na_cache_settle_lost();
	na_cache_tend();
	na_cache_purge_sleepers();
	for (uint32_t i = 0; i < na_pool_count; i++)
		na_pool_purge(&na_pools[i], all);
	na_named_purge(all);
}

/* Held bytes past which memory of unused shapes is given back. It moves up when there is nothing to give. */
static _Atomic uint64_t excess_over; /* relaxed: a hint */
static _Atomic bool excess;	     /* relaxed: the slow path asks, the maintenance thread clears */

/* The peak of live bytes and a quarter of it; twice the peak. */
static uint64_t over_peak(unsigned int quarters)
{
	int64_t peak = atomic_load_explicit(&na_live_peak, memory_order_relaxed);

	return (uint64_t)(peak > 0 ? peak + peak / 4 * quarters : 0) + EXCESS;
}

static void purge_excess(void)
{
	uint64_t held = atomic_load_explicit(&na_pool_held, memory_order_relaxed), most = over_peak(4);

	for (uint32_t i = 0; i < na_pool_count && held > most; i++)
		held -= na_pool_purge_some(&na_pools[i], held - most);
	/* What named pools and groups keep serves nobody else. */
	if (held > most)
		na_named_purge(true);
	na_cache_purge_pages();
	held = atomic_load_explicit(&na_pool_held, memory_order_relaxed);
	atomic_store_explicit(&excess_over, held + EXCESS_STEP, memory_order_relaxed);
	atomic_store_explicit(&excess, false, memory_order_relaxed);
}

static void *loop(void *unused)
{
	uint64_t next_epoch = 0, next_tick = 0;
	uint32_t poked = atomic_load_explicit(&wake, memory_order_relaxed);

	(void)unused;
	while (!atomic_load_explicit(&stopping, memory_order_acquire)) {
		uint32_t seen = atomic_load_explicit(&wake, memory_order_acquire), sleep;
		uint64_t start = na_os_now_ns() / 1000000, now;

		if (atomic_load_explicit(&paused, memory_order_seq_cst) == 0) {
			uint64_t begin = na_os_now_ns();

			na_lock(&run_lock);
			if (atomic_load_explicit(&paused, memory_order_seq_cst) == 0)
				na_pressure_tick(start);
			if (atomic_load_explicit(&paused, memory_order_seq_cst) == 0 && start >= next_epoch) {
				atomic_fetch_add_explicit(&na_pool_epoch, 1, memory_order_relaxed);
				purge();
				next_epoch = start + epoch_ms();
			} else if (too_fragmented()) {
				purge();
			}
			if (atomic_load_explicit(&paused, memory_order_seq_cst) == 0 &&
			    atomic_load_explicit(&excess, memory_order_relaxed))
				purge_excess();
			if (atomic_load_explicit(&paused, memory_order_seq_cst) == 0 && na_heap_hooks.tick &&
			    (start >= next_tick || seen != poked)) {
				uint32_t again = na_heap_hooks.tick(na_os_now_ns());

				next_tick = again == UINT32_MAX ? UINT64_MAX : start + again;
			}
			na_unlock(&run_lock);
			poked = seen;
			atomic_fetch_add_explicit(&work_ns, na_os_now_ns() - begin, memory_order_relaxed);
		}
		now = na_os_now_ns() / 1000000;
		sleep = next_epoch > now ? (uint32_t)(next_epoch - now) : 1;
		if (sleep > ARMED_MS && __atomic_load_n(&na_options.defragmentation, __ATOMIC_RELAXED))
			sleep = ARMED_MS;
		if (sleep > PRESSURE_MS)
			sleep = PRESSURE_MS;
		if (next_tick <= now)
			sleep = 1;
		else if (next_tick - now < sleep)
			sleep = (uint32_t)(next_tick - now);
		if (atomic_load_explicit(&paused, memory_order_relaxed))
			sleep = 10;
		na_futex_wait(&wake, seen, sleep);
	}
	na_cache_leave();
	return NULL;
}

int na_maintenance_start(void)
{
	sigset_t every, before;
	pthread_attr_t attributes;
	int expected = OFF, rc, saved = errno;

	if (!na_options.background)
		return -EPERM;
	if (!atomic_compare_exchange_strong_explicit(&state, &expected, STARTING, memory_order_acquire,
						     memory_order_relaxed))
		return 0;
	atomic_store_explicit(&stopping, false, memory_order_relaxed);
	sigfillset(&every);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_sigmask(SIG_BLOCK, &every, &before);
	rc = pthread_create(&thread, &attributes, loop, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (rc) {
		na_log(NA_LOG_WARNING,
		       "no maintenance thread (error %d): freed memory is kept until flush_memory_pools()", rc);
		/* stays STARTING: not tried again, for the same would come of it each time */
	} else {
		pthread_setname_np(thread, "numarena");
		atomic_store_explicit(&state, ON, memory_order_release);
	}
	errno = saved;
	return -rc;
}

/* Whether the pools hold too much; says so to the thread, once. */
static bool look_for_excess(uint64_t held)
{
	if (na_likely(held <= atomic_load_explicit(&excess_over, memory_order_relaxed)) || held <= over_peak(1) ||
	    atomic_exchange_explicit(&excess, true, memory_order_relaxed))
		return false;
	na_maintenance_poke();
	return true;
}

void na_maintenance_consider(void)
{
	uint64_t held = atomic_load_explicit(&na_pool_held, memory_order_relaxed);
	bool wanted = look_for_excess(held);

	if (na_likely(atomic_load_explicit(&state, memory_order_relaxed) != OFF))
		return;
	if ((held < START_BYTES && !wanted) || !atomic_load_explicit(&allowed, memory_order_relaxed) ||
	    !na_options.background)
		return;
	if (na_os_coarse_ms() < atomic_load_explicit(&not_before_ms, memory_order_relaxed))
		return;
	na_maintenance_start();
}

void na_maintenance_stop(void)
{
	int expected = ON;

	if (!atomic_compare_exchange_strong_explicit(&state, &expected, STARTING, memory_order_acquire,
						     memory_order_relaxed))
		return;
	atomic_store_explicit(&stopping, true, memory_order_release);
	na_maintenance_poke();
	pthread_join(thread, NULL);
	atomic_store_explicit(&state, OFF, memory_order_release);
}

void na_maintenance_pause(void)
{
	atomic_fetch_add_explicit(&paused, 1, memory_order_seq_cst);
	na_lock(&run_lock);
	na_unlock(&run_lock);
}

void na_maintenance_resume(void)
{
	if (atomic_fetch_sub_explicit(&paused, 1, memory_order_seq_cst) == 1)
		na_maintenance_poke();
}

void na_maintenance_poke(void)
{
	atomic_fetch_add_explicit(&wake, 1, memory_order_release);
	na_futex_wake(&wake);
}

static struct na_cache
	*fork_caches; /* those that fork_prepare() has locked: threads may come with new ones meanwhile */

static void fork_prepare(void)
{
	na_parting_before_fork();
	na_maintenance_pause();
	na_named_before_fork();
	fork_caches = na_cache_first();
	for (struct na_cache *c = fork_caches; c; c = c->next_all)
		na_lock(&c->lock);
	na_traps_before_fork();
	for (uint32_t i = 0; i < na_pool_count; i++) {
		na_lock(&na_pools[i].lock);
		na_lock(&na_pools[i].arena.lock);
	}
}

static void fork_parent(void)
{
	for (uint32_t i = 0; i < na_pool_count; i++) {
		na_unlock(&na_pools[i].arena.lock);
		na_unlock(&na_pools[i].lock);
	}
	na_traps_after_fork(false);
	for (struct na_cache *c = fork_caches; c; c = c->next_all)
		na_unlock(&c->lock);
	na_named_after_fork(false);
	na_parting_after_fork(false);
	na_maintenance_resume();
}

static void fork_child(void)
{
	for (uint32_t i = 0; i < na_pool_count; i++) {
		na_lock_reset(&na_pools[i].arena.lock);
		na_lock_reset(&na_pools[i].lock);
	}
	na_traps_after_fork(true);
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all)
		na_lock_reset(&c->lock);
	na_named_after_fork(true);
	na_lock_reset(&run_lock);
	atomic_store_explicit(&paused, 0, memory_order_relaxed);
	atomic_store_explicit(&state, OFF, memory_order_relaxed); /* the thread is not in the child */
	atomic_store_explicit(&not_before_ms, na_os_coarse_ms() + 1000, memory_order_relaxed);
	na_cache_after_fork();
	na_parting_after_fork(true);
}

void na_heap_start(void)
{
	static _Atomic bool started;

	if (atomic_exchange_explicit(&started, true, memory_order_relaxed))
		return;
	na_pools_boot();
	na_os_at_fork(fork_prepare, fork_parent, fork_child);
	atomic_store_explicit(&allowed, true, memory_order_relaxed);
	na_maintenance_consider();
}
