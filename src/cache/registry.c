/* SPDX-License-Identifier: BSD-3-Clause */
/* Making caches, and which thread has which; idle ones; publishing of counts. See cache.h. */
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "cache/check.h"
#include "cache/fast.h"

struct na_cache na_cache_none = { .direct = { [0 ... NA_DIRECT - 1] = &na_cache_none.bins[0] } };
__thread struct na_cache *na_cache_current __attribute__((tls_model("initial-exec"))) = &na_cache_none;

_Atomic int64_t na_live, na_live_peak;
_Atomic bool na_publish_often;

static _Atomic(struct na_cache *) all; /* pushed with release, walked with acquire; never shrinks */

static pthread_key_t thread_key;
static _Atomic int key_state; /* 0 none, 1 being made, 2 there */

struct na_cache *na_cache_first(void)
{
	return atomic_load_explicit(&all, memory_order_acquire);
}

void na_live_add(int64_t bytes)
{
	int64_t live = atomic_fetch_add_explicit(&na_live, bytes, memory_order_relaxed) + bytes;
	int64_t peak = atomic_load_explicit(&na_live_peak, memory_order_relaxed);

	while (live > peak && !atomic_compare_exchange_weak_explicit(&na_live_peak, &peak, live, memory_order_relaxed,
								     memory_order_relaxed))
		;
}

void na_cache_publish(struct na_cache *c)
{
	int64_t own = 0, before;

	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		const struct na_bin *bin = &c->bins[i];
		int64_t out = (int64_t)(bin->taken - bin->freed);

		if (bin->bits)
			out -= na_popcount(bin->bits);
		own += out * (int64_t)bin->size;
	}
	c->since_published = 0;
	before = atomic_load_explicit(&c->published, memory_order_relaxed);
	atomic_store_explicit(&c->published, own, memory_order_relaxed);
	if (own != before)
		na_live_add(own - before);
}

void na_cache_init(struct na_cache *c, struct na_pool *pool, enum na_cache_state state)
{
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		c->bins[i].size = na_class_size(i);
	}
	for (unsigned int i = 0; i < NA_DIRECT; i++)
		c->direct[i] = &c->bins[na_class_of(i * 16)];
	c->pool = pool;
	atomic_store_explicit(&c->state, state, memory_order_relaxed);
}

static void register_cache(struct na_cache *c)
{
	c->next_all = atomic_load_explicit(&all, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&all, &c->next_all, c, memory_order_release,
						      memory_order_relaxed))
		;
}

static struct na_cache *pop_idle(struct na_pool *pool)
{
	struct na_cache *c;

	if (!atomic_load_explicit(&pool->idle, memory_order_relaxed))
		return NULL;
	na_lock(&pool->lock);
	c = atomic_load_explicit(&pool->idle, memory_order_relaxed);
	if (c)
		atomic_store_explicit(&pool->idle, c->next_idle, memory_order_relaxed);
	na_unlock(&pool->lock);
	return c;
}

static void push_idle(struct na_cache *c)
{
	struct na_pool *pool = c->pool;

	na_lock(&pool->lock);
	c->next_idle = atomic_load_explicit(&pool->idle, memory_order_relaxed);
	atomic_store_explicit(&pool->idle, c, memory_order_relaxed);
	na_unlock(&pool->lock);
}

static void thread_exit(void *cache)
{
	(void)cache;
	na_cache_leave();
}

/* Asks to hear of this thread's end. Keys made early lie in the thread's own block: setting them
 * does not allocate. Without a key (all taken) caches of ended threads stay with nobody, which
 * leaks what they hold; it is said once. */
static void watch_thread(struct na_cache *c)
{
	int expected = 0;

	if (atomic_compare_exchange_strong_explicit(&key_state, &expected, 1, memory_order_acquire,
						    memory_order_relaxed)) {
		if (pthread_key_create(&thread_key, thread_exit) == 0)
			atomic_store_explicit(&key_state, 2, memory_order_release);
		else
			na_log(NA_LOG_WARNING, "no thread key left: caches of ended threads will not be reused");
	}
	if (atomic_load_explicit(&key_state, memory_order_acquire) == 2)
		pthread_setspecific(thread_key, c);
}

static struct na_cache *acquire(struct na_pool *pool)
{
	struct na_cache *c = pop_idle(pool);

	if (!c) {
		c = na_arena_take(&pool->arena, sizeof(*c), NULL); /* caches are never given back, so it is zero */
		if (!c)
			return NULL;
		memset(c, 0, sizeof(*c));
		na_cache_init(c, pool, NA_CACHE_RUNNING);
		register_cache(c);
	}
	atomic_store_explicit(&c->state, NA_CACHE_RUNNING, memory_order_relaxed);
	return c;
}

struct na_cache *na_cache_here(void)
{
	struct na_cache *c = na_cache_current, *fresh;
	struct na_pool *pool;

	if (c != &na_cache_none && !c->pool->bound)
		return c;
	na_pools_boot();
	pool = na_pool_here();
	if (c->pool == pool)
		return c;
	fresh = acquire(pool);
	if (!fresh)
		return c == &na_cache_none ? NULL : c;
	if (c != &na_cache_none) { /* the thread has moved to another node */
		fresh->error = c->error;
		memcpy(fresh->error_text, c->error_text, sizeof(fresh->error_text));
		na_cache_leave();
	}
	na_cache_current = fresh;
	watch_thread(fresh);
	return fresh;
}

/* Puts the bundle's slots back. Under the lock. */
static void return_bundle(struct na_cache *c, struct na_bin *bin)
{
	struct na_span *span = bin->span;

	if (!bin->bits)
		return;
	span->used -= na_popcount(bin->bits);
	bin->taken -= na_popcount(bin->bits);
	for (uint64_t bits = bin->bits; bits; bits &= bits - 1)
		bin->state[__builtin_ctzll(bits)] = NA_SLOT_FREE;
	bin->bits = 0;
}

static void trim_bin(struct na_cache *c, struct na_bin *bin)
{
	struct na_span *span = bin->span, *next;
	uint32_t count = 0;

	if (span) {
		return_bundle(c, bin);
		na_cache_collect(span);
		bin->span = NULL;
		if (!na_cache_release_if_empty(c, span))
			na_cache_list(c, span);
	}
	na_cache_each (bin, span, next, count) {
		na_cache_collect(span);
		na_cache_release_if_empty(c, span);
	}
}

void na_cache_trim(struct na_cache *c)
{
	na_cache_flush_pending(c);
	na_lock(&c->lock);
	na_cache_drain(c);
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		if (c->bins[i].span || c->bins[i].partial)
			trim_bin(c, &c->bins[i]);
	na_cache_enforce(c, "trim");
	na_unlock(&c->lock);
	na_cache_publish(c);
}

/* Of an idle cache nobody looks at the partial spans: frees into them must be told. */
static void silence(struct na_cache *c)
{
	na_lock(&c->lock);
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		struct na_span *span, *next;
		uint32_t count;

		na_cache_each (&c->bins[i], span, next, count) {
			uint32_t watched = NA_WATCHED;

			atomic_compare_exchange_strong_explicit(&span->flag, &watched, NA_SILENT, memory_order_seq_cst,
								memory_order_relaxed);
			na_cache_collect(span); /* after the flag, as in park() */
			na_cache_release_if_empty(c, span);
		}
	}
	na_unlock(&c->lock);
}

void na_cache_leave(void)
{
	struct na_cache *c = na_cache_current;

	if (c == &na_cache_none)
		return;
	na_cache_current = &na_cache_none;
	na_cache_trim(c);
	atomic_store_explicit(&c->state, NA_CACHE_IDLE, memory_order_relaxed);
	silence(c);
	push_idle(c);
}

struct na_span *na_cache_steal(struct na_cache *c, unsigned int cls)
{
	struct na_cache *idle = NULL;
	struct na_span *span = NULL;

	if (atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_NAMED)
		return NULL;
	idle = pop_idle(c->pool);
	if (!idle)
		return NULL;
	na_lock(&idle->lock);
	if (atomic_load_explicit(&idle->queue, memory_order_relaxed))
		na_cache_drain(idle);
	/* The head only: one that is QUEUED again will be drained, and found, next time. */
	span = idle->bins[cls].partial;
	if (span) {
		uint32_t silent = NA_SILENT;

		if (!atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_WATCHED, memory_order_acquire,
							     memory_order_relaxed) &&
		    silent == NA_QUEUED)
			span = NULL;
	}
	if (span)
		na_cache_unlist(span);
	na_unlock(&idle->lock);
	push_idle(idle);
	return span;
}

/* Spans of sleeping threads that others have emptied. Only parked ones: their `used` changes under
 * the lock alone. The rest goes back on the queue for the owner. */
static void tend(struct na_cache *c)
{
	struct na_span *span, *next;

	if (!atomic_load_explicit(&c->queue, memory_order_relaxed) || !na_trylock(&c->lock))
		return;
	span = atomic_exchange_explicit(&c->queue, NULL, memory_order_acquire);
	for (; span; span = next) {
		next = span->next_queued;
		if (atomic_load_explicit(&span->fast, memory_order_relaxed)) {
			span->next_queued = atomic_load_explicit(&c->queue, memory_order_relaxed);
			while (!atomic_compare_exchange_weak_explicit(&c->queue, &span->next_queued, span,
								      memory_order_release, memory_order_relaxed))
				;
			continue;
		}
		atomic_store_explicit(&span->flag, NA_SILENT, memory_order_seq_cst);
		na_cache_collect(span);
		if (!na_cache_release_if_empty(c, span) && !span->listed && span->used < span->slots) {
			uint32_t silent = NA_SILENT;

			if (atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_WATCHED,
								    memory_order_acquire, memory_order_relaxed))
				na_cache_list(c, span);
		}
	}
	na_unlock(&c->lock);
}

void na_cache_tend(void)
{
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all)
		if (atomic_load_explicit(&c->state, memory_order_relaxed) == NA_CACHE_RUNNING)
			tend(c);
	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_cache *kept = NULL, *c;

		while ((c = pop_idle(&na_pools[i]))) {
			na_lock(&c->lock);
			na_cache_drain(c);
			na_unlock(&c->lock);
			c->next_idle = kept;
			kept = c;
		}
		while ((c = kept)) {
			kept = c->next_idle;
			push_idle(c);
		}
	}
}

void na_cache_after_fork(void)
{
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all) {
		if (c == na_cache_current || atomic_load_explicit(&c->state, memory_order_relaxed) != NA_CACHE_RUNNING)
			continue;
		c->pending_used = 0; /* its entries may have been half written; those blocks are lost to the child */
		atomic_store_explicit(&c->state, NA_CACHE_IDLE, memory_order_relaxed);
		silence(c);
		push_idle(c);
	}
}

void na_cache_complain(const void *p, const char *what, const void *caller)
{
	if (caller)
		na_log(NA_LOG_ERROR, "pointer %p was %s; nothing was done (called from %p)", p, what, caller);
	else
		na_log(NA_LOG_ERROR, "pointer %p was %s; nothing was done", p, what);
}
