/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compaction: the emptiest chunks of a node are evacuated into the mover's chunk, batch after batch, node after node, until nothing can
 * be won or the slice is over.
 *
 * What a batch will take is known from a running mean, in nanoseconds a unit of work (a barrier and a look at the slots, blocks, bytes), so a batch is cut to
 * what is left of the slice, and not begun where even a few blocks would not fit.
 */
#include <errno.h>
#include <string.h>

#include "movable/parts.h"
#include "os/os.h"

/* Work in units of a line copied: a batch costs 50 by itself, a block 4. */
#define BATCH_UNITS 50
#define BLOCK_UNITS 4
#define FIRST_MEAN  (20u << 8) /* nanoseconds a unit, times 256, before anything was measured */
#define FEW_BLOCKS  8
#define STREAMS	    8
#define SMALL	    256 /* bytes a block: the processor itself reads on from header to header */
#define BATCH_BYTES ((size_t)128 << 10)
#define NA_CAPACITY (NA_MOVABLE_CHUNK - NA_CHUNK_HEAD)

static uint64_t mean = FIRST_MEAN; /* the mover's lock */
static uint32_t pass = 1;	   /* the mover's lock */
static uint32_t turn;		   /* the mover's lock: whose space goes on */

struct run {
	struct na_move_budget *budget;
	uint64_t deadline;
	unsigned int buckets; /* chunks of these are evacuated */
	bool whole;	      /* the program's own chunk as well */
	uint64_t steps;	      /* that were begun */
	struct na_movable_slice *out;
};

/* Units that fit before the deadline. */
static uint64_t units_left(const struct run *r)
{
	uint64_t now;

	if (!r->deadline)
		return UINT64_MAX;
	now = na_os_now_ns();
	return now >= r->deadline ? 0 : ((r->deadline - now) << 8) / mean;
}

static void learn(uint64_t units, uint64_t ns)
{
	uint64_t sample = (ns << 8) / units;

	/* A thread that lost the processor in a batch says nothing of the next. */
	if (sample > 4 * mean)
		sample = 4 * mean;
	/* Up at once, down slowly: a slice that is too short costs nothing. */
	mean = sample > mean ? (mean + sample) / 2 : mean - (mean - sample) / 8;
	if (mean < 64)
		mean = 64;
}

/* Chunks that a perfect packing would free. Under the lock. */
static uint64_t spare_chunks(const struct na_movable_space *space)
{
	uint64_t needed = (space->live + NA_CAPACITY - 1) / NA_CAPACITY;

	return space->chunks > needed ? space->chunks - needed : 0;
}

uint64_t na_movable_winnable(void)
{
	uint64_t chunks = 0;

	if (!na_movable_has_begun())
		return 0;
	for (uint32_t i = 0; i < na_pool_count; i++) {
		na_lock(&na_movable_spaces[i].lock);
		chunks += spare_chunks(&na_movable_spaces[i]);
		na_unlock(&na_movable_spaces[i].lock);
	}
	return chunks * NA_MOVABLE_CHUNK;
}

void na_movable_held(size_t *held, uint64_t *live)
{
	*held = *live = 0;
	if (!na_movable_has_begun())
		return;
	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_movable_space *space = &na_movable_spaces[i];

		na_lock(&space->lock);
		*held += space->held + space->solo_bytes;
		*live += space->live + space->solo_bytes;
		na_unlock(&space->lock);
	}
}

/* The emptiest chunk that pins have not already kept in this pass. */
static struct na_movable_chunk *choose(struct na_movable_space *space, const struct run *r)
{
	struct na_movable_chunk *c = NULL;

	na_lock(&space->lock);
	for (unsigned int b = 0; b < r->buckets && !c && spare_chunks(space); b++)
		for (c = space->bucket[b]; c && c->pass == pass; c = c->next)
			;
	/* Two that are half full: the program's and the mover's. */
	if (!c && r->whole && spare_chunks(space) && space->open && space->open->blocks && space->closed != pass) {
		c = space->open;
		space->open = NULL;
		space->closed = pass;
		na_movable_bucket_in(c);
	}
	if (c) {
		na_movable_bucket_out(c);
		c->state = NA_CHUNK_VICTIM;
		space->victim = c;
		space->walked = NA_CHUNK_HEAD - 8;
		space->scouted = c->blocks && c->live / c->blocks < SMALL ? c->length : space->walked;
	}
	na_unlock(&space->lock);
	return c;
}

/* The victim is evacuated as far as can be. */
static void leave(struct na_movable_space *space, struct run *r, bool whole)
{
	struct na_movable_chunk *c = space->victim;

	na_lock(&space->lock);
	space->victim = NULL;
	if (whole)
		c->pass = pass;
	if (c->blocks) {
		na_movable_bucket_in(c);
	} else {
		na_movable_emptied(c);
		r->out->won += c->length;
	}
	na_unlock(&space->lock);
}

/* Reads the headers of the next windows, several at a time, and asks for what the walk wants next. The walk by itself would wait for one line of memory
 * after another, for each header leads to the next. */
static void scout(struct na_movable_space *space)
{
	const struct na_movable_chunk *c = space->victim;
	size_t at[STREAMS], end[STREAMS], w = space->scouted / NA_WINDOW, n = 0, busy;

	for (; w < NA_WINDOWS && n < STREAMS; w++) {
		if (!c->first[w])
			continue;
		at[n] = w * NA_WINDOW + (size_t)(c->first[w] - 1) * 8;
		end[n] = (w + 1) * NA_WINDOW < c->used ? (w + 1) * NA_WINDOW : c->used;
		n++;
	}
	space->scouted = w * NA_WINDOW;
	do {
		busy = 0;
		for (size_t i = 0; i < n; i++) {
			uint64_t header;

			if (at[i] >= end[i])
				continue;
			header = atomic_load_explicit(na_header_of(c->base + at[i] + 8), memory_order_relaxed);
			if (na_header_lives(header)) {
				__builtin_prefetch(na_movable_at(header & NA_HEADER_TRANSIT));
				__builtin_prefetch((void *)na_about_of(na_movable_at(header & NA_HEADER_TRANSIT)));
			}
			/* 0: the program has written over it */
			at[i] = na_header_stride(header) ? at[i] + na_header_stride(header) : end[i];
			__builtin_prefetch((void *)(c->base + at[i]));
			busy++;
		}
	} while (busy);
}

/* Blocks of the victim from where the walk is, up to a batch and so many units and bytes; one at least, but for the budget. */
static size_t gather(struct na_movable_space *space, uint64_t units, const struct na_move_budget *budget,
		     struct na_movable_block *out)
{
	struct na_movable_chunk *c = space->victim;
	uint64_t bytes = budget->left < BATCH_BYTES ? budget->left : BATCH_BYTES;
	uint64_t spent = BATCH_UNITS, gathered = 0;
	size_t n = 0;

	while (space->walked < c->used && n < NA_MOVABLE_BATCH) {
		uintptr_t at = c->base + space->walked + 8;
		uint64_t header;
		size_t stride;
		memory_handle_t handle;

		if (space->walked >= space->scouted)
			scout(space);
		header = atomic_load_explicit(na_header_of(at), memory_order_relaxed);
		stride = na_header_stride(header);
		handle = na_header_handle(header);
		if (stride == 0 || stride > c->used - space->walked) { /* the program has written over it */
			space->walked = c->used;
			break;
		}
		if (na_header_lives(header) && na_movable_look(handle, &out[n]) == 0 && (uintptr_t)out[n].at == at) {
			spent += BLOCK_UNITS + stride / 64;
			gathered += stride;
			if (n ? spent > units || gathered > bytes : !na_budget_has(budget, stride))
				break;
			n++;
		}
		space->walked += stride;
	}
	return n;
}

/* One batch of the space's victim. False: nothing more fits into the slice. */
static bool step(struct na_movable_space *space, struct run *r)
{
	struct na_movable_block blocks[NA_MOVABLE_BATCH];
	uint64_t units = units_left(r), begin, bytes = 0;
	size_t n;
	int rc = 0;

	if (units < BATCH_UNITS + FEW_BLOCKS * BLOCK_UNITS || r->budget->left == 0) {
		if (!r->steps) /* not even at the start of a slice: or it would never be tried again */
			mean -= mean / 4;
		return false;
	}
	r->steps++;
	begin = na_os_now_ns();
	n = gather(space, units, r->budget, blocks);
	if (!n && space->walked < space->victim->used) /* in another slice */
		return false;
	if (n)
		rc = na_movable_move(blocks, n, &bytes, &r->out->refused);
	if (rc > 0)
		r->out->moves += (uint64_t)rc;
	r->out->bytes += bytes;
	na_budget_spend(r->budget, bytes);
	if (n)
		learn(BATCH_UNITS + n * BLOCK_UNITS + bytes / 64, na_os_now_ns() - begin);
	if (rc < 0)
		r->out->rc = rc;
	if (rc < 0 || space->walked >= space->victim->used)
		leave(space, r, true);
	return rc >= 0;
}

/* True: this node has no more to win. */
static bool compact_space(struct na_movable_space *space, struct run *r)
{
	while (space->victim || choose(space, r))
		if (!step(space, r))
			return false;
	na_lock(&space->lock);
	if (!space->open && space->dest) { /* the program goes on where the mover was */
		space->open = space->dest;
		space->open->state = NA_CHUNK_OPEN;
		space->dest = NULL;
	}
	na_unlock(&space->lock);
	return true;
}

void na_movable_compact(struct na_move_budget *budget, uint64_t deadline_ns, unsigned int least, bool wait,
			struct na_movable_slice *out)
{
	struct na_move_budget all = { UINT64_MAX, UINT64_MAX };
	struct run r = { .budget = budget ? budget : &all,
			 .deadline = deadline_ns,
			 .whole = least <= NA_FULL_LEAST,
			 .buckets = NA_BUCKETS - least,
			 .out = out };
	uint64_t begin;

	memset(out, 0, sizeof(*out));
	if (na_movable_in_order())
		return;
	if (wait)
		na_movable_lock();
	else if (!na_movable_trylock())
		return;
	begin = na_os_now_ns();
	for (uint32_t i = 0; i < na_pool_count && !out->more && out->rc == 0; i++) {
		out->more = !compact_space(&na_movable_spaces[turn % na_pool_count], &r);
		if (!out->more)
			turn++;
	}
	if (!out->more)
		pass++;
	out->ns = na_os_now_ns() - begin;
	na_movable_count(&na_movable_counters.won, out->won);
	na_movable_count(&na_movable_counters.ns, out->ns);
	na_movable_unlock();
}

void na_movable_figures(movable_stats_t *out)
{
	struct na_movable_counters *c = &na_movable_counters;
	uint64_t live;

	memset(out, 0, sizeof(*out));
	if (!na_movable_has_begun())
		return;
	/* What becomes an image, or comes back from one, does so under its space's lock: with all of them no block is counted twice. In the order in which fork takes them. */
	for (uint32_t i = 0; i < na_pool_count; i++)
		na_lock(&na_movable_spaces[i].lock);
	for (uint32_t i = 0; i < na_pool_count; i++) {
		out->blocks += na_movable_spaces[i].blocks;
		out->bytes += na_movable_spaces[i].bytes;
	}
	out->image_blocks = atomic_load_explicit(&c->images, memory_order_relaxed);
	out->blocks += out->image_blocks;
	out->bytes += atomic_load_explicit(&c->image_bytes, memory_order_relaxed);
	for (uint32_t i = na_pool_count; i-- > 0;)
		na_unlock(&na_movable_spaces[i].lock);
	na_movable_held(&out->held_bytes, &live);
	out->winnable_bytes = na_movable_winnable();
	out->table_bytes =
		(na_movable_top() - na_movable_pages_purged() * NA_TABLE_PAGE) * sizeof(struct na_movable_entry);
	out->pinned_slots = na_movable_slots_used();
	out->moves = atomic_load_explicit(&c->moves, memory_order_relaxed);
	out->moved_bytes = atomic_load_explicit(&c->moved_bytes, memory_order_relaxed);
	out->moves_refused = atomic_load_explicit(&c->refused, memory_order_relaxed);
	out->won_bytes = atomic_load_explicit(&c->won, memory_order_relaxed);
	out->slow_pins = atomic_load_explicit(&c->slow_pins, memory_order_relaxed);
	out->move_time = atomic_load_explicit(&c->ns, memory_order_relaxed) / 1000;
}
