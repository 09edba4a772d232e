/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/pressure.h"

#include "base/log.h"
#include "base/options.h"
#include "heap/heap.h"
#include "heap/hooks.h"
#include "os/limit.h"
#include "os/os.h"

#define FIRST_MARK   ((uint64_t)16 << 20) /* smaller processes never ask */
#define LEAST_STEP   ((uint64_t)4 << 20)
#define LEAST_SLACK  ((uint64_t)2 << 20)
#define MOST_RESERVE ((uint64_t)2 << 30)
#define ASK_MS	     1000
#define STALL_SHARE  10	   /* a tenth of the time stalled is pressure */
#define STALL_MS     10000 /* and stays so for as long */

_Atomic uint64_t na_pressure_mark = FIRST_MARK;

static _Atomic bool asking;	       /* somebody is at it; others go on */
static _Atomic bool near;	       /* less than the reserve is left */
static _Atomic uint64_t stalled_until; /* ms; relaxed */
static _Atomic uint64_t room = NA_LIMIT_NONE, ceiling = NA_LIMIT_NONE, purges;
static _Atomic bool fixed_limit;

/* The maintenance thread's own. */
static uint64_t next_ms, last_ms, last_stalled = NA_LIMIT_NONE;

static uint64_t take(_Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void put(_Atomic uint64_t *v, uint64_t value)
{
	atomic_store_explicit(v, value, memory_order_relaxed);
}

void na_pressure_follow(bool follow)
{
	atomic_store_explicit(&fixed_limit, !follow, memory_order_relaxed);
}

bool na_pressure_follows(void)
{
	return !na_options.total_size && !atomic_load_explicit(&fixed_limit, memory_order_relaxed);
}

static void purge_all(void)
{
	na_cache_tend();
	for (uint32_t i = 0; i < na_pool_count; i++)
		na_pool_purge(&na_pools[i], true);
	na_named_purge(true);
	atomic_fetch_add_explicit(&purges, 1, memory_order_relaxed);
}

/* What shall stay free: a tenth, and on large machines no more than keeps a burst between two looks from harm. */
static uint64_t reserve_of(uint64_t all)
{
	return all / 10 < MOST_RESERVE ? all / 10 : MOST_RESERVE;
}

/* Of a cgroup's limit, what the pools may hold: past it comes not ENOMEM but the OOM killer, at the touch. Off goes what others of
 * the group use for certain (this process's own code and stacks among them), and a little for page tables. */
static uint64_t share_of(const struct na_limits_memory *m, uint64_t limit)
{
	uint64_t used = m->ceiling - m->room, held = take(&na_pool_held);
	uint64_t others = used > held ? used - held : 0, slack = limit / 64 > LEAST_SLACK ? limit / 64 : LEAST_SLACK;

	if (na_heap_hooks.compress) /* na_pool_grace, and buffers that are no pool's */
		slack += 2 * LEAST_SLACK;

	return limit > others + slack ? limit - others - slack : 0;
}

/* Asks, and sets the limit, the mark and `near` by the answer. */
static void look(uint64_t more)
{
	struct na_limits_memory m;
	uint64_t reserve, left, limit;

	na_limits_memory(&m);
	limit = m.group < m.physical ? m.group : m.physical;
	if (m.in_group && m.room != NA_LIMIT_NONE && m.ceiling == m.group)
		limit = share_of(&m, limit);
	if (limit != NA_LIMIT_NONE && na_pressure_follows())
		put(&na_pool_limit, limit);
	put(&room, m.room);
	put(&ceiling, m.ceiling);
	if (m.room == NA_LIMIT_NONE || m.ceiling == NA_LIMIT_NONE) {
		put(&na_pressure_mark, NA_LIMIT_NONE);
		return;
	}
	reserve = reserve_of(m.ceiling);
	left = m.room > reserve && m.room - reserve > more ? m.room - reserve - more : 0;
	atomic_store_explicit(&near, left == 0, memory_order_relaxed);
	put(&na_pressure_mark, take(&na_pool_held) + more + (left / 2 > LEAST_STEP ? left / 2 : LEAST_STEP));
}

static void say_near(void)
{
	static _Atomic bool said;

	if (atomic_exchange_explicit(&said, true, memory_order_relaxed))
		return;
	na_log(NA_LOG_INFO, "%llu MiB are left of %llu MiB (cgroup or machine): free memory goes back at once",
	       (unsigned long long)(take(&room) >> 20), (unsigned long long)(take(&ceiling) >> 20));
}

/* What is cold makes room for the reserve and what comes, and with it for a step of the mark. Not within a system call of ours, where an MPI library's hook may
 * hold what others wait for. */
static void compress(uint64_t more)
{
	uint64_t left = take(&room), wanted = reserve_of(take(&ceiling)) + more + LEAST_STEP;

	if (!na_heap_hooks.compress || na_os_inside || left >= wanted)
		return;
	na_heap_hooks.compress(wanted - left);
	look(more);
}

void na_pressure_ask(uint64_t more)
{
	if (take(&na_pressure_mark) == NA_LIMIT_NONE || atomic_exchange_explicit(&asking, true, memory_order_acquire))
		return;
	na_pools_boot();
	look(more);
	if (atomic_load_explicit(&near, memory_order_relaxed)) {
		say_near();
		purge_all();
		compress(more);
	}
	atomic_store_explicit(&asking, false, memory_order_release);
}

/* Time that tasks waited since the last look, against the time that went by. */
static void look_at_stalls(uint64_t now_ms)
{
	static bool said;
	uint64_t stalled = na_limits_stalled(), ms;

	if (stalled != NA_LIMIT_NONE && last_stalled != NA_LIMIT_NONE && now_ms > last_ms && stalled > last_stalled) {
		ms = (stalled - last_stalled) / 1000;
		if (ms * STALL_SHARE >= now_ms - last_ms) {
			put(&stalled_until, now_ms + STALL_MS);
			if (!said)
				na_log(NA_LOG_INFO,
				       "tasks waited %llu of the last %llu ms for memory: free memory goes back at "
				       "once",
				       (unsigned long long)ms, (unsigned long long)(now_ms - last_ms));
			said = true;
		}
	}
	last_stalled = stalled;
	last_ms = now_ms;
}

void na_pressure_tick(uint64_t now_ms)
{
	if (now_ms < next_ms)
		return;
	next_ms = now_ms + ASK_MS;
	look_at_stalls(now_ms);
	if (now_ms >= take(&stalled_until))
		put(&stalled_until, 0);
	if (!atomic_exchange_explicit(&asking, true, memory_order_acquire)) {
		look(0);
		atomic_store_explicit(&asking, false, memory_order_release);
	}
	if (!na_pressure_high())
		return;
	if (atomic_load_explicit(&near, memory_order_relaxed))
		say_near();
	purge_all();
	na_cache_purge_pages();
}

bool na_pressure_high(void)
{
	return atomic_load_explicit(&near, memory_order_relaxed) || take(&stalled_until) != 0;
}

/* All of it down to five times the reserve, then less with the room, to nothing at the reserve. */
uint64_t na_pressure_decay_ms(void)
{
	uint64_t decay = __atomic_load_n(&na_options.decay_ms, __ATOMIC_RELAXED), left = take(&room),
		 reserve = reserve_of(take(&ceiling));

	if (left == NA_LIMIT_NONE || reserve < 100 || left >= 5 * reserve)
		return decay;
	return left <= reserve ? 0 : decay * ((left - reserve) / (reserve / 100)) / 400;
}

void na_pressure_figures(struct na_pressure_figures *out)
{
	*out = (struct na_pressure_figures){ take(&room), take(&ceiling), take(&purges) };
}
