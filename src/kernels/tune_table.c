/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of cells, and by what a loop finds its own; see tune.h. */
#include <string.h>

#include "base/options.h"
#include "heap/groups.h"
#include "heap/heap.h"
#include "kernels/tune.h"
#include "os/chase.h"
#include "os/os.h"

#define SPREADS 6

static struct na_cell cells[NA_TUNE_CELLS];
static struct na_lock making; /* of cells; only tried, but by reset */
static uint32_t stored_cells; /* under making */

/* ---- judging ---- */

static uint32_t log2_up(uint64_t bytes)
{
	return bytes > 1 ? 64 - (uint32_t)__builtin_clzll(bytes - 1) : 0;
}

static void judge_block(const void *p, struct na_tune_judged *out)
{
	uint64_t pages = __atomic_load_n(&na_options.hugepages, __ATOMIC_RELAXED);
	struct na_block block;
	uint32_t hint;

	if (!na_heap_find(p, &block) || !block.pool)
		return;
	hint = na_group_hint(block.pool);
	out->sequential = na_hint_unpack(hint).access == NA_ACCESS_SEQUENTIAL;
	out->pages = 1 + ((block.size >= NA_HINT_HUGE && na_hint_huge(hint)) || pages == NA_PAGES_TRANSPARENT ||
			  (pages != NA_PAGES_ORDINARY && block.size > NA_RUN_MAX));
}

/* Of neighbours: within a line, a page, 256 KiB, 2 MiB, 16 MiB, or farther apart. */
static uint32_t spread_of(uint64_t bytes)
{
	static const uint64_t ends[SPREADS - 1] = { 64, NA_PAGE, 256 << 10, 2 << 20, 16 << 20 };
	uint32_t i = 0;

	while (i < SPREADS - 1 && bytes >= ends[i])
		i++;
	return i;
}

void na_tune_judge(const void *const *probe, struct na_tune_judged *out)
{
	uintptr_t least = UINTPTR_MAX, most = 0;
	uint32_t count[SPREADS] = { 0 }, seen = 0, pairs = 0;

	memset(out, 0, sizeof(*out));
	for (int i = 0; i < KERNEL_PROBES; i += 2) {
		uintptr_t a = (uintptr_t)probe[i], b = (uintptr_t)probe[i + 1], low = a < b ? a : b,
			  high = a < b ? b : a;

		if (low == 0) /* a path that is empty */
			continue;
		least = low < least ? low : least;
		most = high > most ? high : most;
		pairs++;
		count[spread_of(high - low)]++;
	}
	if (most == 0)
		return;
	out->footprint = log2_up(most - least + 1);
	while (out->spread < SPREADS - 1 && (seen += count[out->spread]) * 2 < pairs)
		out->spread++;
	judge_block((const void *)least, out);
}

/* ---- the table ---- */

struct na_cell *na_tune_cell(size_t i)
{
	return i < NA_TUNE_CELLS && atomic_load_explicit(&cells[i].key, memory_order_acquire) ? &cells[i] : NULL;
}

/* The key's cell, or the free one where it belongs; NULL: neither. The acquire pairs with make()'s release. */
static struct na_cell *search(uint64_t key, bool *there)
{
	for (size_t i = 0; i < NA_TUNE_CELLS; i++) {
		struct na_cell *cell = &cells[(key / 2 + i) % NA_TUNE_CELLS];
		uint64_t found = atomic_load_explicit(&cell->key, memory_order_acquire);

		*there = found == key;
		if (*there || found == 0)
			return cell;
	}
	return NULL;
}

bool na_tune_known(uint64_t key)
{
	bool there = false;

	return search(key, &there) && there;
}

/* Cut from the left: FILE:LINE tells by its end. */
static void set_name(struct na_cell *cell, const char *name)
{
	size_t length = strlen(name), skip = length < NA_TUNE_NAME ? 0 : length - NA_TUNE_NAME + 1;

	memcpy(cell->name, name + skip, length - skip + 1);
}

/* Runs that a reset has overtaken may still hold the cell: its epoch goes on, so that what they bring in does not count. */
static void clear(struct na_cell *cell)
{
	uint32_t epoch = cell->epoch + 1;

	memset((char *)cell + offsetof(struct na_cell, kind), 0, sizeof(*cell) - offsetof(struct na_cell, kind));
	cell->epoch = epoch;
	atomic_store_explicit(&cell->settled, 0, memory_order_relaxed);
}

void na_tune_take(struct na_cell *cell, const struct na_tune_stored *stored)
{
	cell->phase = NA_TUNE_SETTLED;
	cell->stored = true;
	cell->gain = stored->gain;
	atomic_store_explicit(&cell->settled, stored->value + 1, memory_order_relaxed);
}

/* Under `making`; `value` is in force if it was found before. The key is stored last, with release: who finds it finds the rest. */
static struct na_cell *make(uint64_t key, const char *name, enum na_tune_kind kind, uint32_t footprint,
			    const struct na_tune_stored *stored)
{
	bool there = false;
	struct na_cell *cell = search(key, &there);

	if (!cell || there)
		return stored ? NULL : cell;
	na_lock(&cell->lock);
	clear(cell);
	cell->kind = kind;
	cell->value[0] = kind == NA_TUNE_GROUP;
	cell->footprint = footprint;
	set_name(cell, name);
	if (stored)
		na_tune_take(cell, stored);
	na_unlock(&cell->lock);
	atomic_store_explicit(&cell->key, key, memory_order_release);
	return cell;
}

struct na_cell *na_tune_find(uint64_t key, const char *name, const struct na_tune_judged *what, enum na_tune_kind kind)
{
	bool there = false;
	struct na_cell *cell = search(key, &there);

	if (there || !cell)
		return cell;
	na_chase_measure(); /* maps: not under the lock */
	if (!na_trylock(&making))
		return NULL;
	cell = make(key, name, kind, what->footprint, NULL);
	na_unlock(&making);
	return cell;
}

bool na_tune_adopt(const struct na_tune_stored *stored, const char *name)
{
	bool new;

	if (na_tune_known(stored->key) || !na_trylock(&making))
		return false;
	new = stored_cells < NA_TUNE_STORED &&make(stored->key, name, stored->kind, stored->footprint, stored) != NULL;
	stored_cells += new;
	na_unlock(&making);
	return new;
}

void na_tune_reset(void)
{
	na_lock(&making);
	stored_cells = 0;
	for (size_t i = 0; i < NA_TUNE_CELLS; i++) {
		atomic_store_explicit(&cells[i].key, 0, memory_order_relaxed);
		na_lock(&cells[i].lock);
		clear(&cells[i]);
		na_unlock(&cells[i].lock);
	}
	na_unlock(&making);
}

void na_tune_after_fork(void)
{
	na_lock_reset(&making);
	atomic_store_explicit(&na_tune_process, 0, memory_order_relaxed);
	for (size_t i = 0; i < NA_TUNE_CELLS; i++)
		na_lock_reset(&cells[i].lock);
}
