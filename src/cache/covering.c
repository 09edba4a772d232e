/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which units of private memory go onto which frames so that a mapping, of which there is a bounded number, covers as many of them as it can. What counts is not
 * how many units share a frame but how many of them follow each other both in memory and in the file: those are one mapping, and one call.
 *
 * Units that follow each other are looked at in blocks, the fullest first. A block either becomes frames as it is, one behind the other at the end of
 * the file, which is one mapping; or it is covered by runs: of all places in the file the one where most of what comes next fits, then on from there. It is
 * covered if each run saves enough units, and enough is what is left to save divided by the mappings that are left: so none are wasted where they are few, and
 * where there are plenty a single unit will do. With more frames than are looked at (WINDOW) another block of frames gives no more choice: then less is enough,
 * little by little, lest a large heap merge nothing at all.
 *
 * Where there are mappings for every unit, and units have many slots, units are packed one by one, like goods into bins: the fullest first, each onto the first frame none of whose slots it
 * needs. That leaves the least memory; runs come of it where they come.
 *
 * What nobody lives in fits anywhere, and continues a run. Memory that pairing.c has mapped; no lock, for what is placed can only become less. Cost: a run is
 * tried at up to WINDOW places, half a nanosecond each for units of 64 slots.
 */
#include <string.h>

#include "cache/pairing.h"
#include "os/os.h"

#define NONE   NA_PACK_NONE
#define WINDOW 16384 /* frames, the newest, that are looked at */
#define BLOCK  256   /* units, at most */
#define LEAST  8     /* units, of a small heap */
#define BLOCKS 64    /* so many at least, or a small heap is one block and has nothing to put on it */
#define ONE    64    /* savings of a run are counted in parts */
#define FEW                                                                                                            \
	16 /* slots: with no more in a unit runs leave hardly more memory than one by one, for a third of the time */
#define DENSE 7 /* eighths: so full a block is neither a frame worth having nor can it be placed */

struct block {
	uint32_t first, count; /* items */
	uint32_t live;	       /* slots */
};

struct cover {
	struct na_pack *w;
	struct block *blocks;
	uint32_t *order; /* by how full they are */
	uint32_t block_count, block_most;
	uint64_t left_units; /* of blocks still to come */
	int64_t left_edges;
	uint64_t
		enough; /* units, in parts of ONE, that a run must save at most: falls where nothing is found in a full window */
	uint32_t at[BLOCK], length[BLOCK], runs; /* of the block in hand */
};

static const uint64_t *bits_of(const struct na_pack *w, uint32_t i)
{
	return w->bits + (size_t)i * w->words;
}

static bool fits(const struct na_pack *w, uint32_t bin, uint32_t item)
{
	const uint64_t *a = w->open_bits + (size_t)bin * w->words, *b = bits_of(w, item);
	uint64_t both = a[0] & b[0];

	for (uint32_t i = 1; i < w->words; i++)
		both |= a[i] & b[i];
	return !both;
}

/* How many of `most` items from `item` on fit onto the bins from `bin` on. */
static uint32_t match(const struct na_pack *w, uint32_t bin, uint32_t item, uint32_t most)
{
	uint32_t n = 0;

	while (n < most && bin + n < w->bin_count && !(n && w->bins[bin + n].apart) && fits(w, bin + n, item + n))
		n++;
	return n;
}

/* The place where most fit; 0: there is none. */
static uint32_t longest(const struct na_pack *w, uint32_t item, uint32_t most, uint32_t *at)
{
	uint32_t best = 0, k = w->bin_count > WINDOW ? w->bin_count - WINDOW : 0;

	for (; k < w->bin_count && best < most; k++) {
		uint32_t n;

		if (best && k + best < w->bin_count && !fits(w, k + best, item + best)) /* it would not be longer */
			continue;
		n = match(w, k, item, most);
		if (n > best) {
			best = n;
			*at = k;
		}
	}
	return best;
}

/* ---- blocks ---- */

static uintptr_t address_of(const struct na_pack *w, uint32_t i)
{
	return w->items[i].span->base + (uintptr_t)w->items[i].index * w->unit_bytes;
}

static void add_block(struct cover *v, uint32_t first, uint32_t end)
{
	struct block *b = &v->blocks[v->block_count];

	/* Units in which nothing lives are worth a place only between others. */
	while (first < end && !v->w->items[first].live)
		first++;
	while (end > first && !v->w->items[end - 1].live)
		end--;
	if (first == end)
		return;
	*b = (struct block){ .first = first, .count = end - first };
	for (uint32_t i = first; i < end; i++) {
		b->live += v->w->items[i].live;
		v->left_units += v->w->items[i].live != 0;
	}
	v->block_count++;
}

static void find_blocks(struct cover *v)
{
	const struct na_pack *w = v->w;
	uint32_t first = 0;

	for (uint32_t i = 1; i <= w->item_count; i++)
		if (i == w->item_count || i - first == v->block_most ||
		    address_of(w, i) != address_of(w, i - 1) + w->unit_bytes) {
			add_block(v, first, i);
			first = i;
		}
}

/* In 64ths of a unit. */
static uint32_t fill(const struct cover *v, uint32_t block)
{
	return (uint32_t)((uint64_t)v->blocks[block].live * 64 / v->blocks[block].count / v->w->per);
}

/* The fullest first, of equals by address. */
static void order_blocks(struct cover *v)
{
	uint32_t at[66] = { 0 }, sum = 0;

	for (uint32_t i = 0; i < v->block_count; i++)
		at[fill(v, i)]++;
	for (uint32_t k = 66; k-- > 0;) {
		uint32_t n = at[k];

		at[k] = sum;
		sum += n;
	}
	for (uint32_t i = 0; i < v->block_count; i++)
		v->order[at[fill(v, i)]++] = i;
}

/* ---- placing ---- */

/* Again: it is taken off. */
static void use(struct na_pack *w, uint32_t bin, uint32_t item)
{
	const uint64_t *bits = bits_of(w, item);

	w->items[item].bin = bin;
	for (uint32_t i = 0; i < w->words; i++)
		w->open_bits[(size_t)bin * w->words + i] ^= bits[i];
}

static void new_bin(struct na_pack *w, uint32_t item, uint32_t group)
{
	w->bins[w->bin_count] = (struct na_pack_bin){ .first = item, .last = item, .target = item, .group = group };
	memset(w->open_bits + (size_t)w->bin_count * w->words, 0, w->words * sizeof(uint64_t));
	/* What is written behind frames that were there lies somewhere else. */
	w->bins[w->bin_count].apart = w->bin_count && w->bins[w->bin_count - 1].first == NONE;
	use(w, w->bin_count++, item);
}

/* Frames as they are, one behind the other. */
static void become_frames(struct cover *v, const struct block *b)
{
	uint32_t group = v->w->bin_count;

	for (uint32_t i = 0; i < b->count; i++)
		new_bin(v->w, b->first + i, group);
	v->left_edges -= 1;
}

/* The block stays where its runs have been placed. */
static void keep_runs(struct cover *v, const struct block *b)
{
	struct na_pack *w = v->w;
	uint32_t item = b->first;

	for (uint32_t r = 0; r < v->runs; item += v->length[r++]) {
		for (uint32_t i = 0; v->at[r] != NONE && i < v->length[r]; i++)
			w->bins[v->at[r] + i].used = true;
		if (v->at[r] == NONE && w->items[item].live < w->per)
			new_bin(w, item, w->bin_count);
	}
	v->left_edges -= v->runs;
}

static void undo_runs(struct cover *v, const struct block *b)
{
	uint32_t item = b->first;

	for (uint32_t r = 0; r < v->runs; item += v->length[r++])
		for (uint32_t i = 0; v->at[r] != NONE && i < v->length[r]; i++) {
			use(v->w, v->at[r] + i, item + i);
			v->w->items[item + i].bin = NONE;
		}
	v->runs = 0;
}

/* What a run must save, in parts of ONE. */
static uint64_t wanted(const struct cover *v)
{
	uint64_t fair = v->left_edges > 0 ? v->left_units * ONE / (uint64_t)v->left_edges : UINT64_MAX;

	if (fair < ONE)
		fair = ONE;
	return fair < v->enough ? fair : v->enough;
}

/* Runs over a block; false if they save too little. */
static bool find_runs(struct cover *v, const struct block *b, uint64_t want)
{
	struct na_pack *w = v->w;
	uint64_t saved = 0, left;
	uint32_t i = 0;

	v->runs = 0;
	while (i < b->count) {
		uint32_t at = NONE, n = longest(w, b->first + i, b->count - i, &at);

		v->at[v->runs] = n ? at : NONE;
		v->length[v->runs++] = n ? n : 1;
		for (uint32_t k = 0; k < n; k++) {
			use(w, at + k, b->first + i + k);
			saved += w->items[b->first + i + k].live != 0;
		}
		i += n ? n : 1;
		left = b->count - i;
		if ((saved + left) * ONE < want * v->runs) /* not even if all the rest were one run */
			return false;
	}
	return saved * ONE >= want * v->runs;
}

static void cover_block(struct cover *v, const struct block *b)
{
	bool full = v->w->bin_count >= WINDOW;
	uint64_t want = wanted(v);

	if ((uint64_t)b->live * 8 > (uint64_t)b->count * v->w->per * DENSE)
		; /* it stays as it is */
	else if (v->left_edges > 0 && find_runs(v, b, want)) {
		keep_runs(v, b);
		if (full && v->enough < UINT64_MAX / 2)
			v->enough += v->enough / 32;
	} else {
		undo_runs(v, b);
		become_frames(v, b);
		if (full && v->left_edges > 0)
			v->enough = want > ONE + ONE / 4 ? want - want / 32 : ONE;
	}
	for (uint32_t i = 0; i < b->count; i++)
		v->left_units -= v->w->items[b->first + i].live != 0;
}

/* Frames of a block that gets nothing are not made: its memory stays where it is. */
static void want_groups(struct na_pack *w)
{
	for (uint32_t i = 0, end; i < w->bin_count; i = end) {
		bool used = false;

		for (end = i; end < w->bin_count && (w->bins[end].first == NONE) == (w->bins[i].first == NONE) &&
			      w->bins[end].group == w->bins[i].group;
		     end++)
			used |= w->bins[end].used;
		for (uint32_t k = i; k < end; k++)
			w->bins[k].used = used;
	}
}

/* ---- where mappings are plenty ---- */

/* Each unit onto the first frame where it fits. */
static void pack_units(struct na_pack *w, const uint32_t *order)
{
	for (uint32_t k = 0; k < w->item_count; k++) {
		uint32_t i = order[k], bin = w->bin_count > WINDOW ? w->bin_count - WINDOW : 0;

		if (!w->items[i].live || w->items[i].live == w->per)
			continue;
		while (bin < w->bin_count && !fits(w, bin, i))
			bin++;
		if (bin < w->bin_count) {
			w->bins[bin].used = true;
			use(w, bin, i);
		} else {
			new_bin(w, i, w->bin_count);
		}
	}
}

/* In which order frames are made: neighbours one after the other, in memory or by plan. */
static void order_frames(struct na_pack *w, bool by_address)
{
	w->open_count = 0;
	for (uint32_t i = 0; by_address && i < w->item_count; i++) {
		uint32_t bin = w->items[i].bin;

		if (bin != NONE && w->bins[bin].first == i && w->bins[bin].used)
			w->open[w->open_count++] = bin;
	}
	for (uint32_t bin = 0; !by_address && bin < w->bin_count; bin++)
		if (w->bins[bin].first != NONE && w->bins[bin].used)
			w->open[w->open_count++] = bin;
}

int na_cover(struct na_pack *w)
{
	struct cover v = { .w = w, .enough = UINT64_MAX, .runs = 0 };
	size_t bytes = (size_t)w->item_count * (sizeof(*v.blocks) + sizeof(*v.order)) + (w->per + 1) * sizeof(uint32_t);
	void *memory;
	int rc;

	bytes = (bytes + NA_PAGE - 1) & ~(NA_PAGE - 1);
	rc = na_os.map(NULL, bytes, &memory);
	if (rc < 0)
		return rc;
	v.blocks = memory;
	v.order = (uint32_t *)(v.blocks + w->item_count);
	v.block_most = w->item_count / BLOCKS < BLOCK ? w->item_count / BLOCKS : BLOCK;
	v.block_most = v.block_most > LEAST ? v.block_most : LEAST;
	v.left_edges = (int64_t)w->limits->edges - (int64_t)__atomic_load_n(&na_merge_figures.edges, __ATOMIC_RELAXED);
	find_blocks(&v);
	w->plenty = w->per > FEW && v.left_edges > 0 && v.left_units <= (uint64_t)v.left_edges;
	if (w->plenty) {
		na_pack_order(w, v.order, v.order + w->item_count);
		pack_units(w, v.order);
	} else {
		order_blocks(&v);
		for (uint32_t i = 0; i < v.block_count; i++)
			cover_block(&v, &v.blocks[v.order[i]]);
		want_groups(w);
	}
	order_frames(w, w->plenty);
	na_os.unmap(memory, bytes);
	return 0;
}
