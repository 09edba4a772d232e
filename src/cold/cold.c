/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold/cold.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>

#include "cold/kept.h"
#include "cold/movables.h"
#include "compression/raw.h"
#include "heap/heap.h"
#include "heap/hooks.h"
#include "movable/movable.h"
#include "os/lock.h"
#include "os/os.h"

#define TICK_MS	    100
#define SLICE_NS    5000000 /* of a tick */
#define EPOCHS	    8	    /* an age */
#define GRACE	    ((uint64_t)2 << 20)
#define ROOM_NS	    (UINT64_C(10) * 1000000000)
#define PATIENCE_NS UINT64_C(1000000000)
#define MOST_ROOM   ((uint64_t)32 << 20) /* that is compacted for one request */

static struct na_lock lock; /* starting and stopping */
_Atomic bool na_cold_begun;
static _Atomic bool on;		       /* release once everything is there; acquire */
static _Atomic int refused = -EAGAIN;  /* relaxed */
static _Atomic uint32_t age_ms;	       /* relaxed */
static _Atomic uint32_t phases;	       /* relaxed: an age of movable blocks; 0: EPOCHS */
static _Atomic uint32_t ended;	       /* relaxed: phases, since it was last looked at */
static struct na_lock aging;	       /* for some stores; innermost */
static uint32_t aged, aged_before;     /* under it: epochs in this round over all blocks, and in the one before */
static uint64_t next_epoch, next_tick; /* ns; the maintenance thread's, as all that follows */
static uint32_t last_age;

bool na_cold_runs(void)
{
	return atomic_load_explicit(&on, memory_order_acquire);
}

int na_cold_raw_refused(void)
{
	return atomic_load_explicit(&refused, memory_order_relaxed);
}

static int start(const struct na_cold_settings *s)
{
	struct na_raw_settings raw = { s->effort, s->min_size, s->age_ms, s->cache };
	int rc = na_lz4_load();

	if (rc < 0)
		return rc;
	rc = na_workspace_start();
	if (rc < 0)
		return rc;
	na_cold_movables_start(s);
	rc = na_raw_start(&raw);
	atomic_store_explicit(&refused, rc, memory_order_relaxed);
	if (rc == -ENOMEM)
		return rc;
	atomic_store_explicit(&age_ms, s->age_ms, memory_order_relaxed);
	atomic_store_explicit(&phases, s->phases, memory_order_relaxed);
	if (!s->cache)
		na_kept_drop_all();
	na_heap_hooks.compress = na_cold_make_room;
	atomic_store_explicit(&on, true, memory_order_release);
	return 0;
}

int na_cold_start(const struct na_cold_settings *settings)
{
	int rc;

	atomic_store_explicit(&na_cold_begun, true, memory_order_relaxed);
	na_lock(&lock);
	rc = start(settings);
	na_unlock(&lock);
	if (rc == 0) {
		na_maintenance_start(); /* or there is none to be had, and only pressure and requests compress */
		na_maintenance_poke();
	}
	return rc;
}

/* Images of movable blocks stay, and with them what restores them. */
int na_cold_stop(void)
{
	int rc;

	na_lock(&lock);
	atomic_store_explicit(&on, false, memory_order_release);
	na_kept_drop_all();
	rc = na_raw_stop();
	na_unlock(&lock);
	return rc;
}

void na_cold_phase_ended(void)
{
	if (na_cold_runs() && atomic_load_explicit(&phases, memory_order_relaxed))
		atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
}

/* Of movable blocks, in epochs. */
static uint8_t age_of_movables(void)
{
	uint32_t n = atomic_load_explicit(&phases, memory_order_relaxed);

	return (uint8_t)(n ? n : EPOCHS);
}

/* Phases that have ended are epochs, but no more between two looks at a block than its age, a byte, can tell from none: what is cut off makes a block
 * look younger, never older. */
static void age_by_phases(void)
{
	uint32_t n = atomic_load_explicit(&phases, memory_order_relaxed), more, room;

	if (!n)
		return;
	na_lock(&aging);
	more = atomic_exchange_explicit(&ended, 0, memory_order_relaxed);
	room = 256 - n > aged + aged_before ? 256 - n - aged - aged_before : 0;
	if (more > room)
		more = room;
	aged += more;
	na_movable_add_epochs((uint8_t)more);
	na_unlock(&aging);
}

/* A part of the table; as na_cold_movables_slice(). */
static uint64_t look(uint8_t age, uint64_t deadline, bool breath, bool *round)
{
	uint64_t bytes = na_cold_movables_slice(age, deadline, breath, round);

	if (*round) {
		na_lock(&aging);
		aged_before = aged;
		aged = 0;
		na_unlock(&aging);
	}
	return bytes;
}

uint32_t na_cold_tick(uint64_t now_ns)
{
	uint32_t age = atomic_load_explicit(&age_ms, memory_order_relaxed);
	uint64_t half = now_ns + SLICE_NS / 2;
	bool round;

	if (!na_cold_runs())
		return UINT32_MAX;
	if (age != last_age) /* it was set anew */
		next_epoch = next_tick = now_ns;
	last_age = age;
	if (now_ns < next_tick)
		return (uint32_t)((next_tick - now_ns) / 1000000) + 1;
	next_tick = now_ns + (age / EPOCHS < TICK_MS ? age / EPOCHS + 1 : TICK_MS) * UINT64_C(1000000);
	if (now_ns >= next_epoch) {
		if (!atomic_load_explicit(&phases, memory_order_relaxed))
			na_movable_add_epochs(1);
		next_epoch = now_ns + (uint64_t)age * 1000000 / EPOCHS;
	}
	age_by_phases();
	look(age_of_movables(), half, true, &round);
	na_raw_slice(na_os_now_ns(), half + SLICE_NS / 2);
	return (uint32_t)((next_tick - now_ns) / 1000000) + 1;
}

/* Another thread moves blocks, or has lost the processor while it does. Not for ever: it may wait for what this thread holds (a fork does, for the stripe of a block that is restored). */
static bool wait_for_mover(uint64_t *until)
{
	uint64_t now = na_os_now_ns();

	*until = *until ? *until : now + PATIENCE_NS;
	sched_yield();
	return now < *until && !na_movable_in_order();
}

/* Blocks that became images, or came back from them, leave chunks half empty, and only whole ones are memory to others: so what compaction wins, moving no more than twice as
 * much, is won first. It costs less than an image, and nothing later. In slices, between which others may move, and with room for the chunk that blocks come to, which images
 * cannot have taken. */
static uint64_t compact(uint64_t bytes)
{
	uint64_t most = 2 * (bytes < MOST_ROOM ? bytes : MOST_ROOM), until = 0, won = 0;
	struct na_move_budget budget = { most, most };
	struct na_movable_slice s = { 0 };

	if (na_movable_winnable() < NA_MOVABLE_CHUNK)
		return 0;
	na_pool_grace += GRACE;
	do {
		na_movable_compact(&budget, na_os_now_ns() + SLICE_NS, NA_FULL_LEAST, false, &s);
		won += s.won;
	} while (won < bytes && budget.left && (s.ns ? s.more && s.bytes : wait_for_mover(&until)));
	na_pool_grace -= GRACE;
	if (won)
		na_named_purge(true);
	return won;
}

/* Kept images first: they are copies. Then what is older than an age, then all that nobody has pinned since the last look. */
static uint64_t make_room(uint64_t bytes)
{
	const uint8_t ages[] = { age_of_movables(), 1, 0, 0 };
	uint64_t freed = na_kept_drop_all(), deadline = na_os_now_ns() + ROOM_NS, until = 0;

	if (freed < bytes)
		freed += compact(bytes);
	age_by_phases();
	for (int i = 0; i < 4 && freed < bytes; i++) {
		bool round = false;
		uint64_t before = freed;

		while (!round && freed < bytes && na_os_now_ns() < deadline) {
			uint64_t got = look(ages[i], na_os_now_ns() + SLICE_NS, false, &round);

			freed += got;
			if (got) { /* what was kept for reuse stands against the next image */
				na_named_purge(true);
				until = 0;
			} else if (!round && !wait_for_mover(&until)) {
				break;
			}
		}
		if (freed == before && i == 0 && freed < bytes)
			freed += na_raw_make_room(bytes - freed);
	}
	if (freed < bytes)
		freed += na_raw_make_room(bytes - freed);
	return freed;
}

/* Images need a little room before there is any. */
uint64_t na_cold_make_room(uint64_t bytes)
{
	uint64_t freed;

	if (!na_cold_runs())
		return 0;
	na_pool_grace += GRACE;
	freed = make_room(bytes);
	freed += compact(bytes); /* of what has become images, chunks are left */
	na_pool_grace -= GRACE;
	return freed;
}

size_t na_cold_check(void (*tell)(const char *text, void *closure), void *closure)
{
	if (!atomic_load_explicit(&na_cold_begun, memory_order_relaxed))
		return 0;
	return na_kept_check(tell, closure) + na_raw_check(tell, closure);
}

void na_cold_before_fork(void)
{
	na_lock(&lock);
	na_raw_before_fork();
}

void na_cold_before_fork_inner(void)
{
	na_kept_before_fork();
	na_workspace_before_fork();
	na_lock(&aging);
}

void na_cold_after_fork_inner(bool child)
{
	if (child)
		na_lock_reset(&aging);
	else
		na_unlock(&aging);
	na_workspace_after_fork(child);
	na_kept_after_fork(child);
}

void na_cold_after_fork(bool child)
{
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
	na_raw_after_fork(child);
}
