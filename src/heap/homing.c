/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/homing.h"

#include <string.h>

#include "heap/heap.h"
#include "os/os.h"

#define CHUNK  512 /* pages a call: a unit of 2 MiB, aligned, so that a huge page is asked about, and moved, as one */
#define UNIT   (CHUNK * NA_PAGE)
#define RANGES 8 /* huge blocks copied at a time */

struct range {
	uintptr_t base;
	size_t length;
	struct na_placement placement;
};

struct work {
	struct na_homing out;
	int rc; /* of the first call that the kernel refused: then no more are made */
};

/* Moves the pages that `wanted` has a node for, from those that are elsewhere: status is where they are. */
static void move_chunk(struct work *w, void **pages, int *wanted, int *status, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (status[i] < 0 || wanted[i] < 0 || status[i] == wanted[i])
			continue;
		pages[n] = pages[i];
		wanted[n++] = wanted[i];
	}
	if (!n)
		return;
	w->rc = na_os.move(pages, wanted, status, n);
	/* What the call says of a page is not where it lies now: that is asked again. */
	if (w->rc == 0 && na_os.locate(pages, status, n) < 0)
		return;
	for (size_t i = 0; w->rc == 0 && i < n; i++)
		*(status[i] == wanted[i] ? &w->out.moved : &w->out.refused) += NA_PAGE;
}

/* A range may be unmapped while we are at it: then the kernel finds no pages. */
static void bring_home(struct work *w, const struct range *r, int node)
{
	void *pages[CHUNK];
	int wanted[CHUNK], status[CHUNK];

	for (size_t done = 0; done < r->length && w->rc == 0;) {
		size_t n = 0;

		for (; n < CHUNK && done < r->length && (!n || (r->base + done) % UNIT); n++, done += NA_PAGE) {
			pages[n] = (void *)(r->base + done);
			wanted[n] =
				r->placement.kind ? na_placement_node(&r->placement, r->placement.length, done) : node;
		}
		w->rc = na_os.locate(pages, status, n);
		if (w->rc == 0)
			move_chunk(w, pages, wanted, status, n);
	}
}

/* Up to RANGES live huge blocks from the `skip`th on. */
static size_t copy_huge(struct na_pool *pool, size_t skip, struct range *out)
{
	size_t n = 0;

	na_lock(&pool->lock);
	for (struct na_segment *s = pool->huge_live; s && n < RANGES; s = s->next) {
		if (skip) {
			skip--;
			continue;
		}
		out[n++] = (struct range){ s->base, s->committed, s->placement };
	}
	na_unlock(&pool->lock);
	return n;
}

/* The pool's ith segment; of no length if it was given back; false past the last. */
static bool copy_segment(struct na_pool *pool, uint32_t i, struct range *out)
{
	bool is;

	na_lock(&pool->lock);
	is = i < pool->segments;
	if (is) {
		const struct na_segment *s = pool->table[i >> NA_TABLE_SHIFT][i & ((1u << NA_TABLE_SHIFT) - 1)].segment;

		*out = (struct range){ .base = s->base, .length = s->length };
	}
	na_unlock(&pool->lock);
	return is;
}

static uint64_t home_pool(struct na_pool *pool, void *work)
{
	struct range ranges[RANGES];
	struct work *w = work;

	for (uint32_t i = 0; copy_segment(pool, i, ranges); i++)
		bring_home(w, &ranges[0], pool->node);
	for (size_t skip = 0, n = RANGES; n == RANGES; skip += n) {
		n = copy_huge(pool, skip, ranges);
		for (size_t i = 0; i < n; i++)
			bring_home(w, &ranges[i], pool->node);
	}
	return 0;
}

int na_homing_run(struct na_homing *out)
{
	struct work w = { .rc = 0 };

	if (na_pool_count > 1) {
		for (uint32_t i = 0; i < na_pool_count; i++)
			home_pool(&na_pools[i], &w);
		na_named_each(home_pool, &w);
	}
	*out = w.out;
	return w.rc;
}
