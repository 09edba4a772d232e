/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap/figures.h"

#include <string.h>

#include "cache/traps.h"
#include "heap/heap.h"
#include "heap/snapshot.h"

static void add(struct na_totals *t, const struct na_other *o)
{
	t->allocations += o->taken;
	t->releases += o->given;
	t->allocated_bytes += o->taken_bytes;
	t->released_bytes += o->given_bytes;
}

static void subtract(struct na_other *from, const struct na_other *o)
{
	from->taken -= o->taken;
	from->given -= o->given;
	from->taken_bytes -= o->taken_bytes;
	from->given_bytes -= o->given_bytes;
}

/* All that was counted on a cache, and of that what its present thread did; whether there is one. */
static bool read_cache(struct na_cache *c, struct na_other *all, struct na_other *own, struct na_thread_figures *who)
{
	bool running;

	if (!c->pool) { /* of threads without a cache: nobody's lock, and fork does not know it */
		na_cache_totals(c, all);
		return false;
	}
	na_lock(&c->lock);
	na_cache_totals(c, all);
	*own = *all;
	subtract(own, &c->before);
	who->thread = atomic_load_explicit(&c->thread, memory_order_relaxed);
	running = atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_RUNNING;
	na_unlock(&c->lock);
	who->node = c->pool->node;
	return running;
}

void na_heap_totals(struct na_totals *out)
{
	struct na_thread_figures ignored;
	struct na_other all, own;

	na_pools_boot();
	memset(out, 0, sizeof(*out));
	read_cache(&na_cache_none, &all, &own, &ignored);
	add(out, &all);
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all) {
		read_cache(c, &all, &own, &ignored);
		add(out, &all);
	}
}

void na_heap_each_thread(void (*visit)(const struct na_thread_figures *, void *), void *closure)
{
	struct na_thread_figures rest = { .node = -1 }, who;
	struct na_other all, own;

	na_pools_boot();
	read_cache(&na_cache_none, &all, &own, &who);
	add(&rest.totals, &all);
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all) {
		if (!read_cache(c, &all, &own, &who)) {
			add(&rest.totals, &all);
			continue;
		}
		subtract(&all, &own);
		add(&rest.totals, &all);
		memset(&who.totals, 0, sizeof(who.totals));
		add(&who.totals, &own);
		visit(&who, closure);
	}
	visit(&rest, closure);
}

struct thread_list {
	struct na_thread_figures *out;
	size_t capacity, count;
};

static void list_thread(const struct na_thread_figures *who, void *closure)
{
	struct thread_list *l = closure;

	if (l->count < l->capacity)
		l->out[l->count] = *who;
	l->count++;
}

size_t na_heap_threads(struct na_thread_figures *out, size_t capacity)
{
	struct thread_list l = { out, capacity, 0 };

	na_heap_each_thread(list_thread, &l);
	return l.count;
}

void na_heap_classes_of(const struct na_snapshot *s, struct na_class_figures out[NA_CLASSES + 1])
{
	memset(out, 0, (NA_CLASSES + 1) * sizeof(*out));
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		out[i] = (struct na_class_figures){ .size = s->class_size[i],
						    .allocations = s->class_allocations[i],
						    .live_blocks = s->class_live_blocks[i],
						    .live_bytes = s->class_live_blocks[i] * s->class_size[i] };
	out[NA_CLASSES].allocations = s->large_allocations;
	out[NA_CLASSES].live_bytes = s->large_live_bytes;
	for (uint32_t i = 0; i < na_pool_count; i++) {
		na_lock(&na_pools[i].lock);
		out[NA_CLASSES].live_blocks += na_pools[i].large_count - na_pools[i].large_freed;
		na_unlock(&na_pools[i].lock);
	}
	na_named_classes(out);
}

void na_heap_classes(struct na_class_figures out[NA_CLASSES + 1])
{
	struct na_snapshot s;

	na_heap_snapshot(&s);
	na_heap_classes_of(&s, out);
}

/* What was taken from the stacks of one cache, or counted in one that has none. */
static uint64_t given_by(struct na_cache *c, bool counts)
{
	uint64_t given = 0;

	na_lock(&c->lock);
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		given += __atomic_load_n(&(counts ? &c->out[i] : na_cache_out(c, i))->word, __ATOMIC_RELAXED) >> 16;
	na_unlock(&c->lock);
	return given;
}

void na_heap_nodes(uint64_t out[NA_MAX_POOLS])
{
	na_pools_boot();
	for (uint32_t i = 0; i < na_pool_count; i++) {
		na_lock(&na_pools[i].lock);
		out[i] = na_pools[i].large_count;
		na_unlock(&na_pools[i].lock);
		if (na_sampled_cache(i))
			out[i] += given_by(na_sampled_cache(i), true);
	}
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all)
		out[c->pool - na_pools] += given_by(c, false);
	na_named_nodes(out);
}
