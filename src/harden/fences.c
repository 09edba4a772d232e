/* SPDX-License-Identifier: BSD-3-Clause */
#include "harden/fences.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/options.h"
#include "cache/fast.h"
#include "harden/guard.h"
#include "os/os.h"

#define PLACES 256 /* pages for blocks, each between two that are closed */
#define REGION ((2 * PLACES + 1) * NA_PAGE)
#define PAD    UINT8_C(0xc7)

enum { UNUSED, TAKEN, LIVE, GIVEN };

struct place {
	_Atomic int state; /* changed under the lock; read by the handler, relaxed */
	uintptr_t block;
	size_t size;
	struct na_trace taken, given;
	uint32_t next; /* in the line of those that are free: index + 1 */
};

static struct na_lock lock;
static struct place places[PLACES];
static uint32_t first, last;	   /* under the lock: the line, oldest first; index + 1 */
static _Atomic uintptr_t region;   /* 0: none; release, acquire */
static _Atomic int region_state;   /* 0, 1 being made, 2, 3: not to be had */
static _Atomic uint64_t countdown; /* relaxed: blocks until the next sample */

static uintptr_t page_of(uint32_t i)
{
	return atomic_load_explicit(&region, memory_order_acquire) + (2 * (uintptr_t)i + 1) * NA_PAGE;
}

bool na_fences_own(const void *p)
{
	uintptr_t from = atomic_load_explicit(&region, memory_order_acquire);

	return from && (uintptr_t)p - from < REGION;
}

/* The first to come maps it; others go without meanwhile. */
static bool have_region(void)
{
	int none = 0;
	void *at;

	if (na_likely(atomic_load_explicit(&region_state, memory_order_acquire) == 2))
		return true;
	if (!atomic_compare_exchange_strong_explicit(&region_state, &none, 1, memory_order_acquire,
						     memory_order_relaxed))
		return false;
	if (na_os.map(NULL, REGION, &at) < 0 || na_os.protect(at, REGION, false) < 0) {
		atomic_store_explicit(&region_state, 3, memory_order_release);
		return false;
	}
	for (uint32_t i = 0; i < PLACES; i++)
		places[i].next = i + 1 < PLACES ? i + 2 : 0;
	first = 1;
	last = PLACES;
	atomic_store_explicit(&region, (uintptr_t)at, memory_order_release);
	atomic_store_explicit(&region_state, 2, memory_order_release);
	return true;
}

static bool turn(void)
{
	uint64_t every = na_options.harden_sample, n;

	if (!every)
		return false;
	n = atomic_fetch_add_explicit(&countdown, 1, memory_order_relaxed);
	/* Not every thousandth exactly, which a program's own period might meet: each with that chance. */
	return (na_seal_add(na_guard_secret(3), n) >> 16) % every == 0;
}

static uint32_t leave_line(void)
{
	uint32_t i;

	na_lock(&lock);
	i = first;
	if (i) {
		first = places[i - 1].next;
		if (!first)
			last = 0;
		atomic_store_explicit(&places[i - 1].state, TAKEN, memory_order_relaxed);
	}
	na_unlock(&lock);
	return i;
}

static void join_line(uint32_t i, int state)
{
	na_lock(&lock);
	atomic_store_explicit(&places[i].state, state, memory_order_relaxed);
	places[i].next = 0;
	if (last)
		places[last - 1].next = i + 1;
	else
		first = i + 1;
	last = i + 1;
	na_unlock(&lock);
}

void *na_fences_take(size_t size, size_t alignment)
{
	size_t rounded = (size + alignment - 1) & ~(alignment - 1);
	struct place *place;
	uintptr_t page;
	uint32_t i;

	if (rounded > NA_PAGE || rounded == 0 || !turn() || !have_region())
		return NULL;
	i = leave_line();
	if (!i--)
		return NULL;
	place = &places[i];
	page = page_of(i);
	if (na_os.protect((void *)page, NA_PAGE, true) < 0) { /* too many mappings, say */
		join_line(i, UNUSED);
		return NULL;
	}
	memset((void *)page, 0, NA_PAGE);
	place->block = page + NA_PAGE - rounded;
	place->size = size;
	memset((void *)(place->block + size), PAD, rounded - size);
	na_trace_take(&place->taken);
	place->given.thread = 0;
	atomic_store_explicit(&place->state, LIVE, memory_order_release);
	na_live_add((int64_t)NA_PAGE);
	return (void *)place->block;
}

static struct place *place_at(const void *p)
{
	uintptr_t offset = (uintptr_t)p - atomic_load_explicit(&region, memory_order_acquire);
	size_t page = offset / NA_PAGE;

	return page % 2 ? &places[page / 2] : NULL;
}

uintptr_t na_fences_find(const void *p, size_t *size)
{
	struct place *place = place_at(p);

	if (!place || atomic_load_explicit(&place->state, memory_order_acquire) != LIVE || (uintptr_t)p < place->block)
		return 0;
	*size = place->size;
	return place->block;
}

static void print_stacks(const struct place *place)
{
	na_trace_print("allocated", &place->taken);
	if (place->given.thread)
		na_trace_print("freed", &place->given);
}

static int refuse(void *p, struct place *place, const void *caller)
{
	bool twice = place && place->block == (uintptr_t)p &&
		     atomic_load_explicit(&place->state, memory_order_relaxed) != LIVE;
	struct na_trace now;

	na_log(NA_LOG_ERROR, "pointer %p was %s; nothing was done (called from %p)", p,
	       twice ? "freed twice" : "freed, and is not the start of a block", caller);
	na_trace_take(&now);
	na_trace_print("now", &now);
	if (place && place->block)
		print_stacks(place);
	if (!caller)
		return -EINVAL;
	na_cache_note_corruption();
	atomic_fetch_add_explicit(twice ? &na_misuse.double_frees : &na_misuse.invalid_frees, 1, memory_order_relaxed);
	return 0;
}

int na_fences_give(void *p, const void *caller)
{
	struct place *place = place_at(p);
	int live = LIVE;
	size_t pad;

	if (!place || place->block != (uintptr_t)p ||
	    !atomic_compare_exchange_strong_explicit(&place->state, &live, TAKEN, memory_order_acq_rel,
						     memory_order_acquire))
		return refuse(p, place, caller);
	na_trace_take(&place->given);
	pad = NA_PAGE - place->block % NA_PAGE - place->size;
	for (size_t i = 0; i < pad; i++)
		if (((const uint8_t *)p)[place->size + i] != PAD) {
			na_log(NA_LOG_ERROR, "block %p of %zu bytes was written to behind its end, at byte %zu", p,
			       place->size, place->size + i);
			print_stacks(place);
			na_cache_note_corruption();
			atomic_fetch_add_explicit(&na_misuse.canary_faults, 1, memory_order_relaxed);
			break;
		}
	na_live_add(-(int64_t)NA_PAGE);
	na_os.protect((void *)page_of((uint32_t)(place - places)), NA_PAGE, false);
	join_line((uint32_t)(place - places), GIVEN);
	return 0;
}

/* ---- faults ---- */

static struct sigaction before;

/* The block that a closed page's address is nearest to. */
static void tell_fault(uintptr_t at)
{
	uintptr_t offset = at - atomic_load_explicit(&region, memory_order_acquire);
	size_t page = offset / NA_PAGE;
	struct place *place = page % 2 ? &places[page / 2] : NULL;
	struct na_trace now;

	na_cache_note_corruption(); /* told if the program goes on */
	if (place) {
		na_log(NA_LOG_ERROR, "access to %p, byte %zu of the block %p of %zu bytes, which was freed", (void *)at,
		       (size_t)(at - place->block), (void *)place->block, place->size);
		atomic_fetch_add_explicit(&na_misuse.writes_after_free, 1, memory_order_relaxed);
	} else {
		/* Between two: behind the one, which ends here, rather than before the other, which begins somewhere in its page. */
		uint32_t left = page >= 2 ? (uint32_t)(page / 2 - 1) : 0;

		place = &places[left];
		if (page == 0 ||
		    (atomic_load_explicit(&place->state, memory_order_relaxed) != LIVE && page / 2 < PLACES &&
		     atomic_load_explicit(&places[page / 2].state, memory_order_relaxed) == LIVE))
			place = &places[page / 2];
		if (at >= place->block + place->size)
			na_log(NA_LOG_ERROR, "access to %p, %zu bytes behind the end of the block %p of %zu bytes",
			       (void *)at, (size_t)(at - place->block - place->size), (void *)place->block,
			       place->size);
		else
			na_log(NA_LOG_ERROR, "access to %p, %zu bytes before the block %p of %zu bytes", (void *)at,
			       (size_t)(place->block - at), (void *)place->block, place->size);
		atomic_fetch_add_explicit(&na_misuse.canary_faults, 1, memory_order_relaxed);
	}
	na_trace_take(&now);
	na_trace_print("accessed", &now);
	print_stacks(place);
}

/* Tells, and puts back who was before us: the access is made again, and then is theirs, or ends the process. */
static void handler(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	if (na_fences_own(info->si_addr)) {
		tell_fault((uintptr_t)info->si_addr);
		sigaction(number, &before, NULL);
	} else if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(number, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(number);
	} else {
		sigaction(number, &before, NULL);
	}
	errno = saved;
}

void na_fences_start(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	if (!na_options.harden_sample)
		return;
	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, &before);
}

void na_fences_before_fork(void)
{
	na_lock(&lock);
}

void na_fences_after_fork(bool child)
{
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
}
