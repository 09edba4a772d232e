/* SPDX-License-Identifier: BSD-3-Clause */
#include "recovery/defragment.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/options.h"
#include "heap/concurrent.h"
#include "heap/heap.h"
#include "heap/homing.h"
#include "heap/merging.h"
#include "movable/movable.h"
#include "os/lock.h"
#include "os/os.h"

#define LEAST_WIN   ((uint64_t)2 << 20) /* less is not worth a pass */
#define LEAST_DEAD  16			/* 64ths of a chunk: what slices evacuate where the program is at rest */
#define LEAST_BUSY  32	/* ... and where it allocates: what is half dead dies on, so copying it is mostly in vain */
#define BUSY_MS	    2	/* between two slices of a pass */
#define IDLE_MS	    100 /* between two looks */
#define PURGE_PIECE ((uint64_t)256 << 10)
#define FIRST_PURGE (40u * 1000) /* nanoseconds that a piece takes, before one was measured */

/* What a slice may do, and what the pass has come to. */
struct pass {
	uint64_t deadline; /* 0: none */
	struct na_move_budget move;
	bool whole;
	bool left_out; /* there was something to purge, of which no piece was expected to fit, or that is kept for now: that is not in vain */
	bool asked;	/* may wait for whoever moves blocks: a slice may not, for its thread may be restoring one */
	bool quiescent; /* no thread writes to blocks, nor does a transfer: for steps that need it */
	/* of the pass */
	uint64_t purged, moved_blocks, moved_bytes, refused, won, merged, homed, ns, slices;
	int rc;
};

struct na_lock na_defrag_lock;
static struct pass current;  /* under lock */
static unsigned int step_at; /* under lock: where the pass under way goes on; 0: none is */
static bool under_way;	     /* under lock */
static _Atomic bool stopped; /* by the program, and not started since; relaxed */
static _Atomic int mode;     /* enum na_defrag_mode; relaxed */
_Atomic bool na_defrag_background;
void (*na_defrag_paused)(uint64_t ns, uint64_t won);
static _Atomic bool logging;		/* relaxed */
static _Atomic uint64_t futile;		/* winnable bytes when a pass last won nothing; relaxed: a hint */
static uint64_t purge_ns = FIRST_PURGE; /* under lock: running mean of a piece */
static _Atomic uint64_t passes, slices, purged, moved_blocks, moved_bytes, refused, won, merged, homed, total_ns,
	longest_ns, late; /* relaxed: statistics */

static uint64_t setting(const uint64_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* ---- when ---- */

static uint64_t kept(void)
{
	uint64_t bytes = na_movable_kept();

	for (uint32_t i = 0; i < na_pool_count; i++)
		bytes += atomic_load_explicit(&na_pools[i].dirty_slices, memory_order_relaxed) * NA_SLICE;
	return bytes;
}

uint64_t na_defrag_winnable(void)
{
	bool merges = atomic_load_explicit(&mode, memory_order_relaxed) == NA_DEFRAG_COORDINATED;

	return na_movable_winnable() + kept() + (merges ? na_merging_winnable() : 0) + na_concurrent_winnable();
}

/* Fragmentation in thousandths, chunks of movable blocks counted by what lives in them. */
static uint64_t fragmentation(void)
{
	int64_t all = atomic_load_explicit(&na_live, memory_order_relaxed);
	uint64_t held = atomic_load_explicit(&na_pool_held, memory_order_relaxed), alive,
		 live = all > 0 ? (uint64_t)all : 0;
	size_t chunks;

	na_movable_held(&chunks, &alive);
	live = live + alive > chunks ? live + alive - chunks : 0;
	return held && live < held ? (held - live) * 1000 / held : 0;
}

uint64_t na_defrag_due(bool near)
{
	uint64_t winnable = na_defrag_winnable();
	/* The pool's own switch is no less a program's word than start_defragmentation(). */
	bool off = atomic_load_explicit(&stopped, memory_order_relaxed) && !setting(&na_options.defragmentation);

	if (off || winnable < LEAST_WIN || winnable < atomic_load_explicit(&futile, memory_order_relaxed) + LEAST_WIN ||
	    (!near && fragmentation() <= setting(&na_options.defrag_threshold)))
		return 0;
	return winnable;
}

/* ---- the steps: true if there is more of this one to do ---- */

static bool compact(struct pass *p)
{
	struct na_movable_slice s;
	unsigned int least = na_movable_is_busy() ? LEAST_BUSY : LEAST_DEAD;

	na_movable_compact(p->whole ? NULL : &p->move, p->deadline, p->whole ? NA_FULL_LEAST : least, p->asked, &s);
	p->moved_blocks += s.moves;
	p->moved_bytes += s.bytes;
	p->refused += s.refused;
	p->won += s.won;
	if (s.rc < 0 && s.rc != -ENOMEM)
		p->rc = s.rc;
	return s.more && s.rc == 0;
}

/* A piece of what the pools keep; 0: none has any. */
static uint64_t purge_piece(void)
{
	uint64_t bytes = na_movable_purge(PURGE_PIECE);

	for (uint32_t i = 0; i < na_pool_count && !bytes; i++)
		bytes = na_pool_purge_some(&na_pools[i], PURGE_PIECE);
	return bytes;
}

/* As long as another is expected to fit. */
static bool purge_slice(struct pass *p)
{
	uint64_t whole = setting(&na_options.defrag_slice) * 1000;

	if (purge_ns >
	    whole) { /* a piece fits into no slice: what ages is purged anyway. Perhaps the next pass is luckier */
		purge_ns -= purge_ns / 8;
		p->left_out = true;
		return false;
	}
	for (;;) {
		uint64_t begin = na_os_now_ns(), bytes, ns;

		if (begin + purge_ns > p->deadline)
			return true;
		bytes = purge_piece();
		if (!bytes)
			return false;
		ns = na_os_now_ns() - begin;
		if (ns > 4 * purge_ns) /* a thread that lost the processor says nothing of the next */
			ns = 4 * purge_ns;
		purge_ns = ns > purge_ns ? (ns + purge_ns) / 2 : purge_ns - (purge_ns - ns) / 8;
		p->purged += bytes;
	}
}

static bool purge(struct pass *p)
{
	if (!p->whole)
		return purge_slice(p);
	p->purged += na_heap_flush();
	p->purged += na_cache_purge_all_pages();
	p->purged += na_movable_trim_table();
	return false;
}

/* A question to the kernel for each page: for whole passes. */
static bool bring_home(struct pass *p)
{
	struct na_homing h;
	int rc;

	if (!p->whole)
		return false;
	rc = na_homing_run(&h);
	p->homed += h.moved;
	if (rc < 0)
		p->rc = rc;
	return false;
}

/* Only when the program has said that nobody writes. */
static bool merge(struct pass *p)
{
	if (!p->quiescent)
		return false;
	if (!p->whole)
		return na_merging_slice(p->deadline, &p->move, &p->merged);
	p->merged += na_merging_run();
	return false;
}

/* Blocks of malloc, at any time, if that is asked for. */
static bool merge_meanwhile(struct pass *p)
{
	bool more = false;

	p->merged += na_concurrent_run(p->whole ? 0 : p->deadline, &p->move, p->whole && p->asked, &more);
	return more;
}

/* In this order: what compaction empties is purged after it, and what merging can do without need not be moved home. */
static bool (*const steps[])(struct pass *) = { compact, merge, merge_meanwhile, purge, bring_home };
#define STEPS (sizeof(steps) / sizeof(*steps))

/* ---- passes ---- */

static void log_merging(const struct pass *p)
{
	struct na_merging m;

	if (!p->quiescent)
		return;
	na_merging_figures(&m);
	if (m.off != NA_MERGING_ON)
		na_log(NA_LOG_WARNING, "defragmentation: no pages merged, or no more: %s", m.why);
	else
		na_log(NA_LOG_WARNING,
		       "defragmentation: %llu bytes won by merging: %llu bytes of addresses on %llu of memory, by %llu "
		       "mappings "
		       "of %llu allowed (units of %u, %llu left apart); %llu us in all passes",
		       (unsigned long long)p->merged, (unsigned long long)m.mapped_bytes,
		       (unsigned long long)m.frame_bytes, (unsigned long long)m.mappings,
		       (unsigned long long)m.most_mappings, m.grain, (unsigned long long)m.bound,
		       (unsigned long long)m.ns / 1000);
}

static void end(struct pass *p)
{
	p->left_out |= na_movable_reckon();
	count(&passes, 1);
	count(&purged, p->purged);
	count(&moved_blocks, p->moved_blocks);
	count(&moved_bytes, p->moved_bytes);
	count(&refused, p->refused);
	count(&won, p->won);
	count(&merged, p->merged);
	count(&homed, p->homed);
	atomic_store_explicit(&futile, p->won || p->purged || p->merged || p->left_out ? 0 : na_defrag_winnable(),
			      memory_order_relaxed);
	if (atomic_load_explicit(&logging, memory_order_relaxed)) {
		na_log(NA_LOG_WARNING,
		       "defragmentation: pass %llu: %llu bytes purged, %llu blocks of %llu bytes moved (%llu pinned), "
		       "%llu bytes "
		       "won, %llu moved to their node; %llu us in %llu slices",
		       (unsigned long long)atomic_load_explicit(&passes, memory_order_relaxed),
		       (unsigned long long)p->purged, (unsigned long long)p->moved_blocks,
		       (unsigned long long)p->moved_bytes, (unsigned long long)p->refused, (unsigned long long)p->won,
		       (unsigned long long)p->homed, (unsigned long long)p->ns / 1000, (unsigned long long)p->slices);
		log_merging(p);
	}
}

static void time_slice(struct pass *p, uint64_t ns, uint64_t most)
{
	uint64_t longest = atomic_load_explicit(&longest_ns, memory_order_relaxed);

	p->ns += ns;
	p->slices++;
	count(&slices, 1);
	count(&total_ns, ns);
	if (most && ns > 2 * most)
		count(&late, 1);
	while (most && ns > longest &&
	       !atomic_compare_exchange_weak_explicit(&longest_ns, &longest, ns, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

/* Under the lock. True: it is not at its end. */
static bool run(struct pass *p, unsigned int *at, uint64_t most)
{
	uint64_t begin = na_os_now_ns();
	bool more = false;

	p->deadline = most ? begin + most : 0;
	while (*at < STEPS && !more) {
		more = steps[*at](p);
		*at += !more;
		if (most && *at < STEPS && na_os_now_ns() >= p->deadline)
			more = true;
	}
	time_slice(p, na_os_now_ns() - begin, most);
	return more;
}

static void tell_pause(uint64_t begin, uint64_t bytes)
{
	if (na_defrag_paused)
		na_defrag_paused(na_os_now_ns() - begin, bytes);
}

/* A whole one. */
static void pass_now(struct pass *p)
{
	unsigned int at = 0;

	na_lock(&na_defrag_lock);
	while (run(p, &at, 0))
		;
	end(p);
	under_way = false;
	na_unlock(&na_defrag_lock);
}

int na_defrag_pass(void)
{
	struct pass p = { .whole = true,
			  .asked = true,
			  .quiescent = atomic_load_explicit(&mode, memory_order_relaxed) == NA_DEFRAG_COORDINATED };
	uint64_t begin = na_os_now_ns();

	if (na_movable_in_order()) /* others wait with our lock in their hands for the mover's, which this thread has */
		return -EDEADLK;
	pass_now(&p);
	tell_pause(begin, p.won + p.purged + p.merged);
	return p.rc;
}

/* Of at most `most` nanoseconds; 0: without a bound. Adds what it won. */
static bool slice_locked(uint64_t most, bool near, bool quiescent, uint64_t *bytes)
{
	uint64_t before;
	bool more;

	if (!under_way) {
		if (!na_defrag_due(near))
			return false;
		memset(&current, 0, sizeof(current));
		step_at = 0;
		under_way = true;
	}
	before = current.won + current.purged + current.merged;
	current.whole = most == 0;
	current.quiescent = quiescent;
	current.move.most = current.move.left = setting(&na_options.defrag_move_size);
	more = run(&current, &step_at, most);
	*bytes += current.won + current.purged + current.merged - before;
	if (!more) {
		under_way = false;
		end(&current);
	}
	return more;
}

static bool armed(void)
{
	int m = atomic_load_explicit(&mode, memory_order_relaxed);

	return m == NA_DEFRAG_INCREMENTAL || m == NA_DEFRAG_FULL ||
	       (m == NA_DEFRAG_OFF && setting(&na_options.defragmentation));
}

/* `asked`: the program asked for this one, which under NA_DEFRAG_COORDINATED is its word that nobody writes. */
static bool own_slice(bool pause, bool asked)
{
	bool quiescent = asked && atomic_load_explicit(&mode, memory_order_relaxed) == NA_DEFRAG_COORDINATED;
	bool whole = atomic_load_explicit(&mode, memory_order_relaxed) == NA_DEFRAG_FULL, more;
	uint64_t begin, bytes = 0;

	if ((!armed() && !quiescent) || na_os_inside || na_movable_in_order() || !na_trylock(&na_defrag_lock))
		return false;
	begin = na_os_now_ns();
	more = slice_locked(whole ? 0 : setting(&na_options.defrag_slice) * 1000, false, quiescent, &bytes);
	na_unlock(&na_defrag_lock);
	if (pause && (more || bytes)) /* else it found nothing to do */
		tell_pause(begin, bytes);
	return more;
}

bool na_defrag_slice(void)
{
	return own_slice(true, true);
}

static void quiescent_window(struct na_defrag_window *w, uint64_t begin)
{
	struct pass p = { .whole = true, .asked = true, .quiescent = true };

	pass_now(&p);
	w->won = p.won + p.purged + p.merged;
	w->more = false;
	w->ns = na_os_now_ns() - begin;
}

void na_defrag_window(struct na_defrag_window *w)
{
	uint64_t slice = setting(&na_options.defrag_slice) * 1000, begin = na_os_now_ns(), now = begin;

	if (w->slice && w->slice < slice)
		slice = w->slice;
	w->ns = w->won = 0;
	w->more = true;
	if (na_os_inside || na_movable_in_order())
		return;
	if (w->quiescent) {
		quiescent_window(w, begin);
		return;
	}
	while (w->more && now < w->deadline && !(w->over && w->over(w->closure)) && na_trylock(&na_defrag_lock)) {
		uint64_t left = w->deadline - now;

		w->more = slice_locked(left < slice ? left : slice, w->near, false, &w->won);
		na_unlock(&na_defrag_lock);
		now = na_os_now_ns();
	}
	if (w->won || w->more)
		w->ns = now - begin;
}

uint32_t na_defrag_tick(void)
{
	/* The pool's switch asks for the maintenance thread as it always did. */
	if (!armed() || !na_defrag_wants_ticks())
		return UINT32_MAX;
	return own_slice(false, false) ? BUSY_MS : IDLE_MS;
}

void na_defrag_wanted(void)
{
	if (armed() && !atomic_load_explicit(&na_defrag_background, memory_order_relaxed))
		own_slice(true, false);
}

uint64_t na_defrag_make_room(void)
{
	struct na_movable_slice s;

	na_movable_compact(NULL, 0, NA_FULL_LEAST, false, &s);
	return s.won;
}

void na_defrag_start(enum na_defrag_mode m, bool log, bool in_background)
{
	atomic_store_explicit(&logging, log, memory_order_relaxed);
	atomic_store_explicit(&na_defrag_background, in_background, memory_order_relaxed);
	atomic_store_explicit(&futile, 0, memory_order_relaxed);
	atomic_store_explicit(&mode, m, memory_order_relaxed);
	na_merging_arm(m == NA_DEFRAG_COORDINATED);
	atomic_store_explicit(&stopped, m == NA_DEFRAG_OFF, memory_order_relaxed);
}

void na_defrag_stop(void)
{
	na_defrag_start(NA_DEFRAG_OFF, false, false);
	na_lock(&na_defrag_lock);
	under_way = false;
	na_unlock(&na_defrag_lock);
}

void na_defrag_figures(struct na_defrag_figures *out)
{
	*out = (struct na_defrag_figures){
		.running = atomic_load_explicit(&mode, memory_order_relaxed) != NA_DEFRAG_OFF,
		.passes = atomic_load_explicit(&passes, memory_order_relaxed),
		.slices = atomic_load_explicit(&slices, memory_order_relaxed),
		.purged = atomic_load_explicit(&purged, memory_order_relaxed),
		.moved_blocks = atomic_load_explicit(&moved_blocks, memory_order_relaxed),
		.moved_bytes = atomic_load_explicit(&moved_bytes, memory_order_relaxed),
		.refused = atomic_load_explicit(&refused, memory_order_relaxed),
		.won = atomic_load_explicit(&won, memory_order_relaxed),
		.merged = atomic_load_explicit(&merged, memory_order_relaxed),
		.homed = atomic_load_explicit(&homed, memory_order_relaxed),
		.ns = atomic_load_explicit(&total_ns, memory_order_relaxed),
		.longest_ns = atomic_load_explicit(&longest_ns, memory_order_relaxed),
		.late = atomic_load_explicit(&late, memory_order_relaxed),
	};
}
