/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the images of raw blocks are whole: for the validation of the heap, beside use. It goes on by address, for the table changes when the lock
 * is free; under it a block's pieces stay, and payloads with them. The lock is let go every 64 pieces, to whoever waits for it: a page that is asked for
 * meanwhile waits for about 0.1 ms. Of a block that took another's place meanwhile only the rest is looked at; what it has was made just now.
 */
#include "base/log.h"
#include "compression/raw.h"
#include "compression/raw_parts.h"
#include "heap/heap.h"

#define AT_ONCE 64 /* pieces */

struct telling {
	void (*tell)(const char *text, void *closure);
	void *closure;
	size_t faults;
};

static bool is_whole(const struct na_raw_block *b, uint32_t i)
{
	const struct na_raw_piece *piece = &b->piece[i];
	struct na_block payload;
	size_t size;
	char *at;

	na_raw_piece_range(b, i, &at, &size);
	return na_code_is_whole(&piece->code) && piece->code.original == size &&
	       na_heap_find(piece->payload, &payload) && piece->code.length <= payload.size &&
	       na_piece_check(&piece->code, piece->payload) == 0;
}

/* Some pieces from one on; returns where it is to go on. Under the lock. */
static uintptr_t check_some(const struct na_raw_block *b, uint32_t i, struct telling *t)
{
	uint32_t end = b->pieces - i < AT_ONCE ? b->pieces : i + AT_ONCE;
	char text[160];

	for (; i < end; i++) {
		if (!b->piece[i].payload || is_whole(b, i))
			continue;
		t->faults++;
		na_format(text, sizeof(text), "compressed image of the block at %p, bytes %zu to %zu: damaged",
			  b->block, (size_t)i * NA_RAW_PIECE, (size_t)(i + 1) * NA_RAW_PIECE - 1);
		if (t->tell)
			t->tell(text, t->closure);
	}
	return (uintptr_t)b->base + (i < b->pieces ? (size_t)i * NA_RAW_PIECE : b->size);
}

size_t na_raw_check(void (*tell)(const char *text, void *closure), void *closure)
{
	struct telling t = { tell, closure, 0 };
	const struct na_raw_block *b;
	uintptr_t at = 0, base;
	size_t place;

	do {
		na_raw_lock();
		place = na_raw_place(at);
		b = place < na_raw.count ? na_raw.blocks[place] : NULL;
		if (b) {
			base = (uintptr_t)b->base;
			at = check_some(b, at > base ? (uint32_t)((at - base) / NA_RAW_PIECE) : 0, &t);
		}
		na_raw_let_go();
	} while (b);
	return t.faults;
}
