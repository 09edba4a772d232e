/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the table, the chunks and the headers agree. Under the mover's lock and, chunk by chunk, the space's, so the program runs on; what
 * it does meanwhile changes entries and headers together but not in one step, so a disagreement is looked at again before it counts.
 *
 * What is redundant: a block's header names entry, generation and length, the entry's address leads to the header, `about` carries a fold of
 * itself; a chunk's sums are of its headers, a space's of its chunks; states differ in two bits. So any one field that is changed disagrees
 * with another.
 */
#include <sched.h>
#include <stdarg.h>

#include "base/log.h"
#include "movable/parts.h"

#define LOOKS 100 /* at one place, yielding between */

struct check {
	size_t faults;
	void (*tell)(const char *text, void *closure);
	void *closure;
};

static __attribute__((format(printf, 2, 3))) void fault(struct check *k, const char *format, ...)
{
	char text[160];
	va_list args;

	k->faults++;
	if (!k->tell)
		return;
	va_start(args, format);
	na_vformat(text, sizeof(text), format, args);
	va_end(args);
	k->tell(text, k->closure);
}

/* NULL: the entry is whole; else what is wrong with it. */
static const char *entry_fault(uint64_t index)
{
	struct na_movable_entry *e = na_movable_at(index);
	uint64_t where = atomic_load_explicit(&e->where, memory_order_acquire), header;
	uint64_t about = atomic_load_explicit(na_about_of(e), memory_order_relaxed);
	size_t size = about & NA_ABOUT_SIZE;
	enum na_movable_state state = na_where_state(where);
	uintptr_t at = na_where_payload(where);
	struct na_block found;

	if (where == 0)
		return about ? "an entry that was never used says something" : NULL;
	if (state == NA_MOVABLE_FREE)
		return at >> 4 >= na_movable_opened() ? "a free entry leads out of the table"
		       : about			      ? "a free entry has a block"
						      : NULL;
	if (about && about != na_about_folded(about))
		return "what an entry says of its block is damaged";
	if (na_where_generation(where) == 0)
		return "an entry has a generation of 0";
	if (state == NA_MOVABLE_IMAGE)
		return size ? NULL : "an entry has a size of 0";
	if (state != NA_MOVABLE_HERE && state != NA_MOVABLE_WATCHED &&
	    !(state == NA_MOVABLE_TAKEN && na_movable_somebody_breathes()))
		return "an entry's state is none, or taken by nobody";
	if (!na_heap_find((void *)at, &found) || !found.live || !na_named_of(found.pool) ||
	    !na_movable_owns(na_named_of(found.pool)))
		return "an entry's address is not in memory of movable blocks";
	header = atomic_load_explicit(na_header_of(at), memory_order_relaxed);
	if (header != na_header(na_handle(na_where_generation(where), index), size ? size : na_header_size(header)))
		return "an entry and the header of its block disagree";
	return NULL;
}

static void check_entries(struct check *k)
{
	uint64_t end = na_movable_top();

	for (uint64_t i = 1; i < end; i++) {
		const char *what = NULL;

		for (int look = 0; look < LOOKS; look++) {
			what = entry_fault(i);
			if (!what)
				break;
			sched_yield();
		}
		if (what)
			fault(k, "movable blocks: entry %llu: %s", (unsigned long long)i, what);
	}
}

/* What the images themselves say; under their stripe's lock nobody restores or drops one, so one look is enough. */
static void check_images(struct check *k)
{
	uint64_t end = na_movable_hooks.whole ? na_movable_top() : 0;

	for (uint64_t i = 1; i < end; i++) {
		struct na_movable_entry *e = na_movable_at(i);
		uint64_t where = atomic_load_explicit(&e->where, memory_order_relaxed);
		memory_handle_t handle = na_handle(na_where_generation(where), i);
		size_t size;

		if (na_where_state(where) != NA_MOVABLE_IMAGE)
			continue;
		na_lock(na_movable_stripe(handle));
		size = atomic_load_explicit(na_about_of(e), memory_order_relaxed) & NA_ABOUT_SIZE;
		if (atomic_load_explicit(&e->where, memory_order_acquire) == where &&
		    !na_movable_hooks.whole(handle, na_where_payload(where), size))
			fault(k, "compressed image of the movable block %llx of %zu bytes: damaged",
			      (unsigned long long)handle, size);
		na_unlock(na_movable_stripe(handle));
	}
}

/* Free entries of a space: each once, none in use. Under its lock. */
static void check_free(struct check *k, struct na_movable_space *s)
{
	uint64_t most = na_movable_opened(), n = 0;

	for (uint64_t i = s->free_entry; i && n <= most; n++) {
		uint64_t where = i < most ? atomic_load_explicit(&na_movable_at(i)->where, memory_order_relaxed) : 0;

		if (na_where_state(where) != NA_MOVABLE_FREE || na_where_generation(where) == 0) {
			fault(k, "movable blocks: the list of free entries has entry %llu, which is not free",
			      (unsigned long long)i);
			return;
		}
		i = na_where_payload(where) >> 4;
	}
	if (n > most)
		fault(k, "movable blocks: the list of free entries does not end");
}

/* A chunk's sums, against its headers. Under the space's lock. */
static void check_chunk(struct check *k, struct na_movable_chunk *c)
{
	size_t live = 0, at = NA_CHUNK_HEAD - 8, last = NA_WINDOWS;
	uint32_t blocks = 0;
	uint64_t *head = (uint64_t *)c->base;

	if (head[0] != NA_CHUNK_MAGIC || head[1] != (uint64_t)(uintptr_t)c) {
		fault(k, "movable blocks: the head of the chunk at %p is damaged", (void *)c->base);
		return;
	}
	if (c->state == NA_CHUNK_SOLO)
		return;
	while (at < c->used) {
		uint64_t header = atomic_load_explicit(na_header_of(c->base + at + 8), memory_order_relaxed);
		size_t stride = na_header_stride(header), window = at / NA_WINDOW;

		if (window != last && c->first[window] != at % NA_WINDOW / 8 + 1) {
			fault(k, "movable blocks: the chunk at %p is wrong about its headers", (void *)c->base);
			return;
		}
		last = window;
		if (stride == 0 || stride > c->used - at) {
			fault(k, "movable blocks: the header at %p is damaged", (void *)(c->base + at));
			return;
		}
		if (header & NA_HEADER_TRANSIT) {
			live += stride;
			blocks++;
		}
		at += stride;
	}
	if (live != c->live || blocks != c->blocks)
		fault(k, "movable blocks: the chunk at %p says %u blocks of %zu bytes, and has %u of %zu",
		      (void *)c->base, c->blocks, c->live, blocks, live);
}

static void check_space(struct check *k, struct na_movable_space *s)
{
	uint64_t chunks = 0, live = 0, held = 0;
	struct na_movable_chunk *three[3];

	na_lock(&s->lock);
	three[0] = s->open;
	three[1] = s->dest;
	three[2] = s->victim;
	for (int i = 0; i < 3; i++)
		if (three[i]) {
			check_chunk(k, three[i]);
			chunks++;
			live += three[i]->live;
			held += three[i]->length;
		}
	for (unsigned int b = 0; b < NA_BUCKETS; b++)
		for (struct na_movable_chunk *c = s->bucket[b]; c; c = c->next) {
			check_chunk(k, c);
			chunks++;
			live += c->live;
			held += c->length;
			if (c->state != NA_CHUNK_CLOSED || c->bucket != b)
				fault(k, "movable blocks: the chunk at %p is in a wrong list", (void *)c->base);
		}
	for (struct na_movable_chunk *c = s->solo; c; c = c->next)
		check_chunk(k, c);
	if (chunks != s->chunks || live != s->live || held != s->held)
		fault(k, "movable blocks: a node says %llu chunks with %llu bytes live, and has %llu with %llu",
		      (unsigned long long)s->chunks, (unsigned long long)s->live, (unsigned long long)chunks,
		      (unsigned long long)live);
	check_free(k, s);
	na_unlock(&s->lock);
}

size_t na_movable_check(void (*tell)(const char *text, void *closure), void *closure)
{
	struct check k = { .tell = tell, .closure = closure };

	if (!na_movable_opened())
		return 0;
	na_movable_lock();
	for (uint32_t i = 0; i < na_pool_count; i++)
		check_space(&k, &na_movable_spaces[i]);
	check_entries(&k);
	na_movable_unlock();
	check_images(&k);
	return k.faults;
}
