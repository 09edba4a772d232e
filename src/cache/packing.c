/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which units go together: they are packed like goods into bins, the fullest first, each into the first bin none of whose slots it needs. Pairs that are
 * merged in rounds, as Mesh does, copy each block once a round, and at an eighth alive leave half as much again (benchmarks/merged-pages).
 * Memory that pairing.c has mapped; no lock, for what is packed can only become less.
 *
 * Cost: a unit is tried against up to PROBES bins, half a nanosecond each for units of 64 slots, whose bits are one word.
 */
#include <string.h>

#include "cache/pairing.h"
#include "os/os.h"

#define PROBES 16384
#define FEW    8 /* units of a frame that are mapped anew so that two frames become one */

void na_pack_order(const struct na_pack *w, uint32_t *order, uint32_t *place)
{
	uint32_t at = 0;

	memset(place, 0, (w->per + 1) * sizeof(*place));
	for (uint32_t i = 0; i < w->item_count; i++)
		place[w->items[i].live]++;
	for (uint32_t live = w->per + 1; live-- > 0;) {
		uint32_t n = place[live];

		place[live] = at;
		at += n;
	}
	for (uint32_t i = 0; i < w->item_count; i++)
		order[place[w->items[i].live]++] = i;
}

/* Of two frames the one with few units can be given up. */
static bool may_join(const struct na_pack *w, const struct na_pack_bin *bin, const struct na_pack_item *item)
{
	const struct na_frame *there = w->items[bin->target].frame;

	if (w->limits->hold && item->frame && there) /* pages of the file are never held */
		return false;
	return !item->frame || !there || item->frame->count <= FEW;
}

static bool fits(const uint64_t *a, const uint64_t *b, uint32_t words)
{
	for (uint32_t i = 0; i < words; i++)
		if (a[i] & b[i])
			return false;
	return true;
}

/* The next open bin from `from` on that has the item's places free; open_count: none. */
static uint32_t next_fit(const struct na_pack *w, uint32_t from, const uint64_t *bits)
{
	uint32_t end = w->open_count < PROBES ? w->open_count : PROBES, k = from;

	if (w->words == 1)
		while (k < end && (w->open_bits[k] & *bits))
			k++;
	else
		while (k < end && !fits(w->open_bits + (size_t)k * w->words, bits, w->words))
			k++;
	return k < end ? k : w->open_count;
}

static void close_bins(struct na_pack *w, uint32_t at, uint32_t n)
{
	uint32_t behind = w->open_count - at - n;

	memmove(w->open + at, w->open + at + n, behind * sizeof(*w->open));
	memmove(w->open_bits + (size_t)at * w->words, w->open_bits + (size_t)(at + n) * w->words,
		(size_t)behind * w->words * sizeof(uint64_t));
	w->open_count -= n;
}

static void put_into(struct na_pack *w, uint32_t k, uint32_t i)
{
	struct na_pack_bin *bin = &w->bins[w->open[k]];

	w->items[bin->last].next = i;
	w->items[i].bin = w->open[k];
	bin->last = i;
	if (w->items[i].frame && !w->items[bin->target].frame)
		bin->target = i;
	for (uint32_t word = 0; word < w->words; word++)
		w->open_bits[(size_t)k * w->words + word] |= w->bits[(size_t)i * w->words + word];
}

static void pack_item(struct na_pack *w, uint32_t i)
{
	const uint64_t *bits = w->bits + (size_t)i * w->words;
	uint32_t k = next_fit(w, 0, bits);

	while (k < w->open_count && !may_join(w, &w->bins[w->open[k]], &w->items[i]))
		k = next_fit(w, k + 1, bits);
	if (k < w->open_count) {
		put_into(w, k, i);
		return;
	}
	/* Many have stood against it: the oldest are as full as they get. */
	if (w->open_count >= 2 * PROBES)
		close_bins(w, 0, PROBES / 2);
	w->bins[w->bin_count] = (struct na_pack_bin){ .first = i, .last = i, .target = i };
	memcpy(w->open_bits + (size_t)w->open_count * w->words, bits, w->words * sizeof(*bits));
	w->open[w->open_count++] = w->bin_count;
	w->items[i].bin = w->bin_count++;
}

int na_pack(struct na_pack *w)
{
	size_t bytes = ((size_t)w->item_count + w->per + 1) * sizeof(uint32_t);
	void *order;
	int rc;

	bytes = (bytes + NA_PAGE - 1) & ~(NA_PAGE - 1);
	rc = na_os.map(NULL, bytes, &order);
	if (rc < 0)
		return rc;
	na_pack_order(w, order, (uint32_t *)order + w->item_count);
	for (uint32_t i = 0; i < w->item_count; i++)
		pack_item(w, ((uint32_t *)order)[i]);
	na_os.unmap(order, bytes);
	return 0;
}
