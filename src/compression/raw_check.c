/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the images of raw blocks are whole: for the validation of the heap, beside use. Blocks are taken by address, one at a time, for the table
 * changes when the lock is free; under it a block's pieces stay, and payloads with them. A page that is asked for meanwhile waits for at most a block.
 */
#include "base/log.h"
#include "compression/raw.h"
#include "compression/raw_parts.h"
#include "heap/heap.h"

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

/* Under the lock. */
static void check_block(const struct na_raw_block *b, struct telling *t)
{
	char text[160];

	for (uint32_t i = 0; i < b->pieces; i++) {
		if (!b->piece[i].payload || is_whole(b, i))
			continue;
		t->faults++;
		na_format(text, sizeof(text), "compressed image of the block at %p, bytes %zu to %zu: damaged",
			  b->block, (size_t)i * NA_RAW_PIECE, (size_t)(i + 1) * NA_RAW_PIECE - 1);
		if (t->tell)
			t->tell(text, t->closure);
	}
}

/* The first block that ends behind `at`; NULL: none. Under the lock. */
static struct na_raw_block *next(uintptr_t at)
{
	for (size_t n = 0; n < na_raw.count; n++)
		if ((uintptr_t)na_raw.blocks[n]->base + na_raw.blocks[n]->size > at)
			return na_raw.blocks[n];
	return NULL;
}

size_t na_raw_check(void (*tell)(const char *text, void *closure), void *closure)
{
	struct telling t = { tell, closure, 0 };
	struct na_raw_block *b;
	uintptr_t at = 0;

	do {
		na_raw_lock();
		b = next(at);
		if (b) {
			check_block(b, &t);
			at = (uintptr_t)b->base + b->size;
		}
		na_raw_unlock();
	} while (b);
	return t.faults;
}
