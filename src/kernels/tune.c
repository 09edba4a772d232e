/* SPDX-License-Identifier: BSD-3-Clause */
/* The cells and what moves them on; see tune.h. */
#include "kernels/tune.h"

#include <string.h>

#include "base/hash.h"
#include "base/options.h"
#include "kernels/tune_file.h"
#include "os/chase.h"
#include "os/os.h"

#define PLAIN_CHUNKS 3
#define CHUNK_LEAST  4096 /* elements: some microseconds, to which a reading of the clock is little */
#define CHUNK_MOST   16384
#define GROUP_LEAST  128 /* lists */
#define GROUP_MOST   2048
#define SHARE	     16	 /* a chunk is so much of a run, within these bounds */
#define WINS	     4	 /* of NA_TUNE_ROUNDS */
#define LARGE_GAIN   125 /* percent */
#define MOVES	     3
#define DRIFT	     30 /* percent */
#define STRIKES	     6
#define DUEL_EVERY   16 /* runs */
#define DUELS	     5
#define BRIEFS	     8
#define SMALL	     18 /* log2: what a second-level cache has */
#define SMALL_GROUP  16 /* beyond a first-level cache */
#define GROUP_USUAL  8	/* of few lists, and without tuning */
#define NO_TICKET    UINT32_MAX

/* A ticket: which slot of which epoch a chunk is for. In SETTLED the slot says what is compared. */
#define SLOTS (NA_TUNE_VARIANTS * NA_TUNE_ROUNDS)
enum { SLOT_USUAL = SLOTS, SLOT_DUEL_PLAIN, SLOT_DUEL_RIVAL };

uint64_t (*na_tune_clock)(void) = na_os_now_ns;
_Atomic bool na_tune_begun;

static uint32_t ticket_of(const struct na_cell *cell, uint32_t slot)
{
	return (cell->epoch & 0xffffff) << 8 | slot;
}

/* ---- choosing ---- */

static uint32_t median(const uint32_t *values, int n)
{
	uint32_t sorted[NA_TUNE_ROUNDS];

	for (int i = 0; i < n; i++) {
		int k = i;

		for (; k > 0 && sorted[k - 1] > values[i]; k--)
			sorted[k] = sorted[k - 1];
		sorted[k] = values[i];
	}
	return sorted[n / 2];
}

static void start_plain(struct na_cell *cell)
{
	cell->epoch++;
	cell->next = 0;
	cell->moved = 0;
	memset(cell->ps, 0, sizeof(cell->ps));
	memset(cell->value, 0, sizeof(cell->value));
	cell->phase = NA_TUNE_PLAIN;
	cell->value[0] = cell->kind == NA_TUNE_GROUP;
	atomic_store_explicit(&cell->settled, 0, memory_order_relaxed);
}

/* Half, one, two and four times `base`, none but the first twice. */
static void start_try(struct na_cell *cell, uint32_t base)
{
	static const uint32_t widths[NA_TUNE_VARIANTS] = { 1, 4, 8, 16, NA_TUNE_WIDEST };

	cell->epoch++;
	cell->next = 0;
	cell->phase = NA_TUNE_TRY;
	memset(cell->ps, 0, sizeof(cell->ps));
	if (cell->kind == NA_TUNE_GROUP) {
		memcpy(cell->value, widths, sizeof(widths));
		return;
	}
	if (base < 2)
		base = 2;
	if (base > NA_TUNE_FARTHEST / 4)
		base = NA_TUNE_FARTHEST / 4;
	cell->value[0] = 0;
	for (uint32_t v = 1; v < NA_TUNE_VARIANTS; v++)
		cell->value[v] = (base << (v - 1)) / 2;
}

static void finish_plain(struct na_cell *cell)
{
	uint64_t reach = __atomic_load_n(&na_options.prefetch_reach, __ATOMIC_RELAXED);
	uint64_t element = median(cell->ps[0], PLAIN_CHUNKS);
	bool measured;
	uint64_t base = na_chase_latency(&measured) * reach * 10 / (element ? element : 1);

	start_try(cell, base > UINT32_MAX ? UINT32_MAX : (uint32_t)base);
}

static int wins(const struct na_cell *cell, uint32_t variant)
{
	int n = 0;

	for (int r = 0; r < NA_TUNE_ROUNDS; r++)
		n += cell->ps[variant][r] < cell->ps[0][r];
	return n;
}

static void settle(struct na_cell *cell, uint32_t variant, uint32_t rival, uint32_t ps, uint32_t gain)
{
	cell->epoch++;
	cell->phase = NA_TUNE_SETTLED;
	cell->chosen_ps = ps;
	cell->gain = gain;
	cell->usual_ps = cell->runs = cell->strikes = cell->duels = cell->lost = cell->duel_plain_ps = 0;
	cell->stored = false;
	cell->rival = cell->value[rival];
	atomic_store_explicit(&cell->settled, cell->value[variant] + 1, memory_order_relaxed);
	if (cell->retuned == 0) /* what has drifted may be this process's own data */
		na_tune_shared_publish(cell, cell->value[variant]);
	na_tune_file_changed();
}

static void finish_try(struct na_cell *cell)
{
	uint32_t middle[NA_TUNE_VARIANTS], best = 0;
	int need;

	for (uint32_t v = 0; v < NA_TUNE_VARIANTS; v++) {
		middle[v] = median(cell->ps[v], NA_TUNE_ROUNDS);
		if (v && (best == 0 || middle[v] < middle[best]))
			best = v;
	}
	if (cell->kind == NA_TUNE_DISTANCE && best == NA_TUNE_VARIANTS - 1 && cell->moved < MOVES &&
	    cell->value[best] < NA_TUNE_FARTHEST && (uint64_t)middle[best] * NA_TUNE_GAIN < (uint64_t)middle[0] * 100) {
		cell->moved++;
		start_try(cell, cell->value[best]);
		return;
	}
	/* A small gain must win nearly always; of a large one it is enough that it does mostly, for chunks are held up at times. */
	need = (uint64_t)middle[best] * LARGE_GAIN < (uint64_t)middle[0] * 100 ? WINS - 1 : WINS;
	if ((uint64_t)middle[best] * NA_TUNE_GAIN < (uint64_t)middle[0] * 100 && wins(cell, best) >= need)
		settle(cell, best, best, middle[best], (uint32_t)((uint64_t)middle[0] * 100 / middle[best]));
	else
		settle(cell, 0, best, middle[0], 100);
}

/* ---- after that ---- */

/* Whether a value is more than the plain loop. */
static bool is_ahead(const struct na_cell *cell, uint32_t value)
{
	return value > (cell->kind == NA_TUNE_GROUP);
}

static bool off(uint64_t ps, uint64_t usual)
{
	return ps * 100 > usual * (100 + DRIFT) || ps * (100 + DRIFT) < usual * 100;
}

static void watch(struct na_cell *cell, uint32_t ps)
{
	if (cell->usual_ps == 0) {
		cell->usual_ps = ps;
		return;
	}
	if (!off(ps, cell->usual_ps)) {
		cell->strikes = 0;
		cell->usual_ps = (uint32_t)(((uint64_t)cell->usual_ps * 7 + ps) / 8);
		return;
	}
	/* Each time it takes longer until it may happen again: what never comes to rest is not to cost ever more. */
	if (++cell->strikes < STRIKES || cell->runs < (uint32_t)8 << (cell->retuned < 16 ? cell->retuned : 16))
		return;
	cell->retuned++;
	start_plain(cell);
}

/* `ps` is the rival's: of the chosen one if that prefetches, else of what was nearest to being chosen. */
static void end_duel(struct na_cell *cell, uint32_t ps)
{
	uint64_t plain = cell->duel_plain_ps, rival = ps;
	bool chosen = is_ahead(cell, atomic_load_explicit(&cell->settled, memory_order_relaxed) - 1);

	if (plain == 0)
		return;
	cell->lost += chosen ? rival * 100 > plain * NA_TUNE_GAIN : plain * 100 > rival * NA_TUNE_GAIN;
	cell->duel_plain_ps = 0;
	if (++cell->duels < DUELS)
		return;
	if (cell->lost >= WINS) {
		cell->retuned++;
		start_plain(cell);
	}
	cell->duels = cell->lost = 0;
}

static void record(struct na_cell *cell, uint32_t ticket, uint32_t ps)
{
	uint32_t slot = ticket & 0xff;

	if (ticket != ticket_of(cell, slot))
		return;
	if (cell->phase == NA_TUNE_PLAIN && slot < PLAIN_CHUNKS) {
		cell->ps[0][slot] = ps;
		if (cell->ps[0][0] && cell->ps[0][1] && cell->ps[0][2])
			finish_plain(cell);
	} else if (cell->phase == NA_TUNE_TRY && slot < SLOTS) {
		bool whole = true;

		cell->ps[slot % NA_TUNE_VARIANTS][slot / NA_TUNE_VARIANTS] = ps;
		for (uint32_t i = 0; i < SLOTS && whole; i++)
			whole = cell->ps[i % NA_TUNE_VARIANTS][i / NA_TUNE_VARIANTS] != 0;
		if (whole)
			finish_try(cell);
	} else if (cell->phase == NA_TUNE_SETTLED && slot == SLOT_USUAL) {
		watch(cell, ps);
	} else if (cell->phase == NA_TUNE_SETTLED && slot == SLOT_DUEL_PLAIN) {
		cell->duel_plain_ps = ps;
	} else if (cell->phase == NA_TUNE_SETTLED && slot == SLOT_DUEL_RIVAL) {
		end_duel(cell, ps);
	}
}

/* ---- what a chunk is to run with ---- */

/* The next slot of TRY without a figure. In each round the variants begin at another, so that none is always the first. */
static uint32_t draw_try(struct na_cell *cell)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		uint32_t at = (cell->next + i) % SLOTS, round = at / NA_TUNE_VARIANTS;
		uint32_t variant = (at + round) % NA_TUNE_VARIANTS;

		if (cell->ps[variant][round] == 0) {
			cell->next = at + 1;
			return round * NA_TUNE_VARIANTS + variant;
		}
	}
	return 0;
}

static uint32_t draw_plain(struct na_cell *cell)
{
	for (uint32_t i = 0; i < PLAIN_CHUNKS; i++) {
		uint32_t slot = (cell->next + i) % PLAIN_CHUNKS;

		if (cell->ps[0][slot] == 0) {
			cell->next = slot + 1;
			return slot;
		}
	}
	return 0;
}

/* A chunk, of which a run that is too short for three is one; the last takes what would be less than half of one. */
static void cut(kernel_run_t *run)
{
	size_t rest = run->count - run->from;

	run->until = rest < run->chunk + run->chunk / 2 ? run->count : run->from + run->chunk;
}

static bool is_brief(const kernel_run_t *run)
{
	return run->count - run->from < 3 * run->chunk;
}

static void duel(struct na_cell *cell, kernel_run_t *run, bool rival)
{
	run->ticket = ticket_of(cell, rival ? SLOT_DUEL_RIVAL : SLOT_DUEL_PLAIN);
	if (!rival)
		run->distance = cell->kind == NA_TUNE_GROUP;
	else if (!is_ahead(cell, (uint32_t)run->distance))
		run->distance = cell->rival;
}

/* Settled: a chunk that warms up, one that is timed (or two, to compare), and the rest at one go. What is too short for that is timed
 * as a whole, or compared with the next. */
static void draw_settled(struct na_cell *cell, kernel_run_t *run, uint32_t value)
{
	uint32_t stage = run->stage++;
	bool may_duel = is_ahead(cell, value - 1) || cell->rival;

	run->distance = value - 1;
	if (stage == 0)
		cell->runs++;
	if (stage == 0 && is_brief(run)) {
		run->ticket = ticket_of(cell, SLOT_USUAL);
		run->until = run->count;
		if (may_duel && cell->runs % 4 > 1)
			duel(cell, run, cell->runs % 4 == 3);
	} else if (stage == 1 && may_duel && cell->runs % DUEL_EVERY == 0) {
		duel(cell, run, false);
	} else if (stage == 1) {
		run->ticket = ticket_of(cell, SLOT_USUAL);
		run->stage++;
	} else if (stage == 2) {
		duel(cell, run, true);
	} else if (stage > 2) {
		run->until = run->count;
		run->cell = NULL;
	}
}

static void draw(struct na_cell *cell, kernel_run_t *run)
{
	uint32_t value = atomic_load_explicit(&cell->settled, memory_order_relaxed), slot;

	run->ticket = NO_TICKET;
	run->distance = value ? value - 1 : 0; /* whoever does not get the lock knows no more of the cell than this */
	cut(run);
	if (!na_trylock(&cell->lock))
		return;
	if (cell->phase == NA_TUNE_SETTLED) {
		draw_settled(cell, run, atomic_load_explicit(&cell->settled, memory_order_relaxed));
	} else {
		slot = cell->phase == NA_TUNE_PLAIN ? draw_plain(cell) : draw_try(cell);
		run->ticket = ticket_of(cell, slot);
		run->distance = cell->phase == NA_TUNE_PLAIN ? cell->value[0] : cell->value[slot % NA_TUNE_VARIANTS];
	}
	na_unlock(&cell->lock);
}

void na_tune_next(kernel_run_t *run, size_t position)
{
	struct na_cell *cell = run->cell;
	size_t done = position - run->from;

	if (run->ticket != NO_TICKET && position > run->from && done >= run->chunk / 2 && done <= 4 * run->chunk) {
		uint64_t ps = (na_tune_clock() - run->began) * 1000 / done;

		if (ps && ps <= UINT32_MAX && na_trylock(&cell->lock)) {
			record(cell, run->ticket, (uint32_t)ps);
			na_unlock(&cell->lock);
		}
	}
	run->from = position;
	/* relaxed: a reset has taken the cell away, and it may become another loop's */
	if (position >= run->count || atomic_load_explicit(&cell->key, memory_order_relaxed) == 0) {
		run->until = run->count;
		run->cell = NULL;
		return;
	}
	draw(cell, run);
	if (run->ticket != NO_TICKET)
		run->began = na_tune_clock();
}

/* ---- the beginning of a run ---- */

/* Of brief runs that are settled one in eight is timed: a clock and a lock would be some percent of the others. */
static bool pass(struct na_cell *cell, kernel_run_t *run)
{
	uint32_t value = atomic_load_explicit(&cell->settled, memory_order_relaxed);
	uint32_t briefs = atomic_load_explicit(&cell->briefs, memory_order_relaxed);

	if (value == 0)
		return false;
	/* relaxed, and not one operation: a count that may be lost */
	atomic_store_explicit(&cell->briefs, briefs + 1, memory_order_relaxed);
	if (briefs % BRIEFS == BRIEFS - 1)
		return false;
	run->distance = value - 1;
	run->cell = NULL;
	return true;
}

static uint64_t key_of(kernel_site_t *site, const struct na_tune_judged *what)
{
	/* relaxed: whoever comes first stores what everybody would */
	uint64_t mark = __atomic_load_n(&site->mark, __ATOMIC_RELAXED);
	uint32_t kind[3] = { what->footprint, what->spread, what->pages };

	if (mark == 0) {
		const char *name = strrchr(site->name, '/');

		name = name ? name + 1 : site->name;
		mark = na_hash_text(NA_HASH_START, name) | 1;
		__atomic_store_n(&site->mark, mark, __ATOMIC_RELAXED);
	}
	return na_hash(mark, kind, sizeof(kind)) | 1;
}

/* Whether another process of the node is finding this out; what it has found is taken over. */
static bool is_others(struct na_cell *cell)
{
	enum na_tune_turn turn = NA_TUNE_OURS;
	struct na_tune_stored found;

	if (atomic_load_explicit(&cell->settled, memory_order_relaxed) || !na_tune_board() || !na_trylock(&cell->lock))
		return false;
	if (cell->phase != NA_TUNE_SETTLED && cell->retuned == 0)
		turn = na_tune_shared_turn(cell, &found);
	if (turn == NA_TUNE_FOUND) {
		cell->epoch++; /* chunks of ours that are under way do not count */
		na_tune_take(cell, &found);
	}
	na_unlock(&cell->lock);
	return turn == NA_TUNE_THEIRS;
}

void na_tune_begin(kernel_run_t *run, kernel_site_t *site, const void *const *probe, enum na_tune_kind kind)
{
	uint64_t fixed = __atomic_load_n(&na_options.prefetch_distance, __ATOMIC_RELAXED), key;
	size_t least = kind == NA_TUNE_GROUP ? GROUP_LEAST : CHUNK_LEAST,
	       most = kind == NA_TUNE_GROUP ? GROUP_MOST : CHUNK_MOST;
	struct na_tune_judged what;
	struct na_cell *cell;

	if (kind == NA_TUNE_GROUP)
		run->distance = 1;
	if (!__atomic_load_n(&na_options.prefetch, __ATOMIC_RELAXED))
		return;
	na_tune_judge(probe, &what);
	if (what.sequential)
		return;
	if (fixed && kind == NA_TUNE_DISTANCE) {
		run->distance = fixed;
		return;
	}
	if (what.footprint < (kind == NA_TUNE_GROUP ? SMALL_GROUP : SMALL))
		return;
	if (kind == NA_TUNE_GROUP)
		run->distance = GROUP_USUAL;
	if (run->count - run->from < least || !__atomic_load_n(&na_options.tuning, __ATOMIC_RELAXED))
		return;
	key = key_of(site, &what);
	if (!na_tune_known(key)) {
		atomic_store_explicit(&na_tune_begun, true, memory_order_relaxed);
		na_tune_file_look();
	}
	cell = na_tune_find(key, site->name, &what, kind);
	if (!cell || is_others(cell))
		return;
	run->cell = cell;
	run->stage = 0;
	run->chunk = (run->count - run->from) / SHARE;
	run->chunk = run->chunk < least ? least : run->chunk > most ? most : run->chunk;
	if (is_brief(run) && pass(cell, run))
		return;
	draw(cell, run);
	if (run->ticket != NO_TICKET)
		run->began = na_tune_clock();
}
