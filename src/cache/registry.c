/* SPDX-License-Identifier: BSD-3-Clause */
/* Making caches, and which thread has which; idle ones; publishing of counts. See cache.h. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/options.h"
#include "cache/check.h"
#include "cache/fast.h"
#include "cache/merge.h"
#include "cache/traps.h"

struct na_cache_without na_cache_without;
__thread struct na_cache *na_cache_current = &na_cache_none;

_Atomic int64_t na_live, na_live_peak, na_live_window;
_Atomic bool na_publish_often;

static _Atomic uint32_t made;	       /* caches; relaxed */
static _Atomic(struct na_cache *) all; /* pushed with release, walked with acquire; never shrinks */

static pthread_key_t thread_key;
static _Atomic int key_state; /* 0 none, 1 being made, 2 there */

_Atomic(struct na_cache *) na_cache_table[NA_CACHE_TABLE];
bool na_cache_forked;
struct na_misuse na_misuse;

uint32_t na_cache_made(void)
{
	return atomic_load_explicit(&made, memory_order_relaxed);
}

void na_cache_set_first(struct na_cache *c)
{
	atomic_store_explicit(&all, c, memory_order_release);
}

uint64_t na_cache_sealing(const struct na_cache *c)
{
	unsigned char split;

	memcpy(&split, &c->split, 1);
	return na_seal_add(na_seal_add(na_seal_add((uintptr_t)c->pool, (uint64_t)c->number << 8 | split),
				       (uintptr_t)c->grown_first),
			   (uintptr_t)c->middle_first);
}

struct na_cache *na_cache_first(void)
{
	return atomic_load_explicit(&all, memory_order_acquire);
}

static void raise_to(_Atomic int64_t *peak, int64_t live)
{
	int64_t now = atomic_load_explicit(peak, memory_order_relaxed);

	while (live > now &&
	       !atomic_compare_exchange_weak_explicit(peak, &now, live, memory_order_relaxed, memory_order_relaxed))
		;
}

void na_live_add(int64_t bytes)
{
	int64_t live = atomic_fetch_add_explicit(&na_live, bytes, memory_order_relaxed) + bytes;

	raise_to(&na_live_peak, live);
	raise_to(&na_live_window, live);
}

static void count(uint64_t *counter, uint64_t n, bool shared)
{
	if (shared)
		__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
	else
		__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

void na_cache_count_taken(uint64_t blocks, uint64_t bytes)
{
	struct na_cache *c = na_cache_current;

	count(&c->other.taken, blocks, c == &na_cache_none);
	count(&c->other.taken_bytes, bytes, c == &na_cache_none);
}

void na_cache_count_given(uint64_t blocks, uint64_t bytes)
{
	struct na_cache *c = na_cache_current;

	count(&c->other.given, blocks, c == &na_cache_none);
	count(&c->other.given_bytes, bytes, c == &na_cache_none);
}

void na_cache_totals(struct na_cache *c, struct na_other *out)
{
	out->taken = __atomic_load_n(&c->other.taken, __ATOMIC_RELAXED);
	out->given = __atomic_load_n(&c->other.given, __ATOMIC_RELAXED);
	out->taken_bytes = __atomic_load_n(&c->other.taken_bytes, __ATOMIC_RELAXED);
	out->given_bytes = __atomic_load_n(&c->other.given_bytes, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		uint64_t taken = __atomic_load_n(&na_cache_out(c, i)->word, __ATOMIC_RELAXED) >> 16;
		int64_t live = __atomic_load_n(&c->kind[i].held, __ATOMIC_RELAXED) - na_cache_depth(c, i);

		out->taken += taken;
		out->given += taken - (uint64_t)live;
		out->taken_bytes += taken * na_class_size(i);
		out->given_bytes += (taken - (uint64_t)live) * na_class_size(i);
	}
}

/* Bytes that a cache may take or give before it counts again: a 64th of what is live, so that the sum over some threads is right to
 * a few percent. */
static uint64_t publish_after(void)
{
	int64_t share = atomic_load_explicit(&na_live, memory_order_relaxed) / 64;

	return share < 65536 ? 65536 : share < (1 << 20) ? (uint64_t)share : 1 << 20;
}

void na_cache_publish(struct na_cache *c)
{
	int64_t own = 0, before;

	for (unsigned int i = 0; i < NA_CLASSES; i++)
		if (c->kind[i].held || i < NA_LINE_CLASSES)
			own += (c->kind[i].held - na_cache_depth(c, i)) * (int64_t)na_class_size(i);
	c->since_published = 0;
	c->publish_after = publish_after();
	before = atomic_load_explicit(&c->published, memory_order_relaxed);
	atomic_store_explicit(&c->published, own, memory_order_relaxed);
	if (own != before)
		na_live_add(own - before);
}

/* Caches are to sample from the start on: then there is room for two stacks that are as large as one would be. Constant after boot. */
static bool samples_early(void)
{
	return na_options.sample_bytes || na_options.profile[0];
}

/* Blocks of a full-grown stack: 64 KiB of them, 32 KiB above 512 bytes, but at least 4 and at most 1024. Of split stacks on several
 * nodes at most 64, for there a thread must notice that it has moved; on one node, where they are split for
 * sampling, half as many if they must fit where one was. */
static uint32_t stack_most(unsigned int cls, bool split)
{
	size_t size = na_class_size(cls), most = (size <= 512 ? 65536 : 32768) / size;

	if (split && na_pool_count == 1) {
		if (!samples_early() && size <= 512)
			most = most / 2 < 256 ? most / 2 : 256;
		return most < 8 ? 8 : most > 1024 ? 1024 : (uint32_t)most;
	}
	if (most > (split ? 64 : 1024))
		most = split ? 64 : 1024;
	return most < 4 ? 4 : (uint32_t)most;
}

#define HOME_MOST	    15 /* blocks below a line that wait to go home, for each set of owners */
#define FIRST_PLACES(split) ((NA_CLASSES * ((split) ? 2 : 1) + NA_OWNERS * NA_LINE_CLASSES) * (NA_STACK_FIRST + 1))

/* Entries of a stack's second place, and of its third; none if it never outgrows the one before. */
static uint32_t middle_place(unsigned int cls, bool split)
{
	uint32_t most = stack_most(cls, split);

	return most > NA_STACK_FIRST ? NA_STACK_MIDDLE + 1 : 0;
}

static uint32_t grown_place(unsigned int cls, bool split)
{
	uint32_t most = stack_most(cls, split);

	return most > NA_STACK_MIDDLE ? most + 1 : 0;
}

static size_t stacks_bytes(bool split)
{
	size_t entries = 0;

	for (unsigned int i = 0; i < NA_CLASSES; i++)
		entries += middle_place(i, split) + grown_place(i, split);
	return (entries * (split ? 2 : 1) + FIRST_PLACES(split)) * sizeof(void *);
}

size_t na_cache_bytes(void)
{
	size_t one = stacks_bytes(false), two = stacks_bytes(true);

	/* On one node they may be split later. */
	return sizeof(struct na_cache) + na_pool_count * NA_REGION_BYTES + (na_pool_count > 1 || two > one ? two : one);
}

/* Starts small: an eighth of what it may become, but at least 4. */
static void init_bin(struct na_bin *bin, unsigned int cls, uint32_t most, na_entry **next)
{
	uint32_t first = most / 8 < 4 ? 4 : most / 8;

	bin->floor = bin->top = (uint16_t)(*next - (na_entry *)bin);
	bin->limit = (uint16_t)(bin->floor + (first < NA_STACK_FIRST ? first : NA_STACK_FIRST));
	bin->most = (uint16_t)most;
	bin->cls = (uint8_t)cls;
	*next += NA_STACK_FIRST + 1;
}

static void init_direct(struct na_cache *c)
{
	for (size_t size = 0; size <= NA_DIRECT_MAX; size++)
		c->direct[size] = (uint16_t)((char *)na_cache_out(c, na_class_of(size)) - (char *)c);
}

/* Empty stacks, all in their first places; bins are zero, but for malloc's counts. */
static void lay_out(struct na_cache *c)
{
	na_entry *next = (na_entry *)((char *)(c + 1) + na_pool_count * NA_REGION_BYTES);

	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		init_bin(na_cache_bin(c, na_cache_id(c, i)), i, stack_most(i, c->split), &next);
		if (c->split)
			init_bin(&c->out[i], i, stack_most(i, true), &next);
	}
	for (uint32_t i = 0; i < NA_OWNERS * NA_LINE_CLASSES; i++) {
		struct na_bin *bin = na_cache_region(c) + NA_CLASSES + i;

		if (bin->most) /* our own */
			continue;
		init_bin(bin, i % NA_LINE_CLASSES, HOME_MOST, &next);
		bin->limit = (uint16_t)(bin->floor + HOME_MOST);
	}
	c->middle_first = c->middle_next = next;
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		next += middle_place(i, c->split) * (c->split ? 2 : 1);
	c->grown_first = c->grown_next = next;
	init_direct(c);
	for (uint32_t i = 0; i < NA_REGION_BINS; i++)
		c->shape[i] = na_bin_shape(na_cache_region(c) + i);
	for (unsigned int i = 0; c->split && i < NA_CLASSES; i++)
		c->shape[NA_REGION_BINS + i] = na_bin_shape(&c->out[i]);
	c->seal = na_cache_sealing(c);
}

void na_cache_init(struct na_cache *c, struct na_pool *pool, enum na_cache_state state)
{
	c->pool = pool;
	atomic_store_explicit(&c->state, state, memory_order_relaxed);
	c->seal = na_cache_sealing(c);
	if (state == NA_CACHE_NAMED)
		return;
	if (na_options.harden) { /* no stacks: all that comes and goes takes the slow paths */
		init_direct(c);
		return;
	}
	/* If it shall sample from the start on, it must come to the slow path, where it finds out that sampling has begun. */
	c->split = na_pool_count > 1 || samples_early() || atomic_load_explicit(&na_sample_mean, memory_order_relaxed);
	lay_out(c);
}

static void empty_stack(struct na_cache *c, struct na_bin *bin)
{
	if (bin->top != bin->floor)
		na_cache_give(c, bin, (uint32_t)bin->top - bin->floor);
}

void na_cache_split(struct na_cache *c)
{
	uint64_t counts[NA_CLASSES];

	for (unsigned int i = 0; i < NA_REGION_BINS; i++)
		empty_stack(c, na_cache_region(c) + i);
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		counts[i] = na_cache_out(c, i)->word & ~UINT64_C(0xffff);
	memset(na_cache_region(c), 0, NA_REGION_BYTES);
	memset(c->seen, 0, sizeof(c->seen));
	c->grown_bytes = 0;
	__atomic_store_n(&c->split, true, __ATOMIC_RELAXED); /* read without the lock by na_cache_holds() */
	lay_out(c);
	/* The bottom of a stack may have been the inside of another one. */
	for (unsigned int i = 0; i < NA_REGION_BINS; i++)
		if (na_cache_region(c)[i].most)
			*na_bin_at(na_cache_region(c) + i, na_cache_region(c)[i].floor) = NULL;
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		*na_bin_at(&c->out[i], c->out[i].floor) = NULL;
		c->out[i].word |= counts[i];
	}
}

static void register_cache(struct na_cache *c)
{
	if (c->number < NA_CACHE_TABLE)
		atomic_store_explicit(&na_cache_table[c->number], c, memory_order_release);
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
	if (c) {
		atomic_store_explicit(&pool->idle, c->next_idle, memory_order_relaxed);
		atomic_store_explicit(&c->state, NA_CACHE_HELD, memory_order_relaxed);
	}
	na_unlock(&pool->lock);
	return c;
}

static void push_idle(struct na_cache *c)
{
	struct na_pool *pool = c->pool;

	na_lock(&pool->lock);
	c->next_idle = atomic_load_explicit(&pool->idle, memory_order_relaxed);
	atomic_store_explicit(&c->state, NA_CACHE_IDLE, memory_order_relaxed);
	atomic_store_explicit(&pool->idle, c, memory_order_relaxed);
	na_unlock(&pool->lock);
}

#define LOOK 16 /* spans of an idle cache's ring that are looked at */

static char gone; /* the key's value of a thread that is ending: it gets no cache for what it still frees */

static void thread_exit(void *cache)
{
	(void)cache;
	na_cache_leave();
	pthread_setspecific(thread_key, &gone);
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
		int fresh;

		/* Caches are never given back, but metadata of segments are. Fresh memory is left as it is: regions of
		 * other pools stay untouched. */
		c = na_arena_take(&pool->arena, na_cache_bytes(), &fresh);
		if (!c)
			return NULL;
		if (!fresh)
			memset(c, 0, na_cache_bytes());
		c->number = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
		na_cache_init(c, pool, NA_CACHE_RUNNING);
		register_cache(c);
	} else {
		na_lock(&c->lock);
		na_cache_totals(c, &c->before);
		na_unlock(&c->lock);
	}
	atomic_store_explicit(&c->thread, (int32_t)gettid(), memory_order_relaxed);
	/* A thread that has ended had its own errors. */
	c->error = 0;
	c->error_text[0] = '\0';
	memset(&c->failure, 0, sizeof(c->failure));
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
	if (c == &na_cache_none) {
		fresh->failure.corrupted =
			__atomic_exchange_n(&na_cache_none.failure.corrupted, false, __ATOMIC_RELAXED);
	} else { /* the thread has moved to another node */
		fresh->error = c->error;
		memcpy(fresh->error_text, c->error_text, sizeof(fresh->error_text));
		fresh->failure = c->failure;
		na_cache_leave();
	}
	na_cache_current = fresh;
	watch_thread(fresh);
	return fresh;
}

bool na_cache_begin_to_free(void)
{
	return atomic_load_explicit(&key_state, memory_order_acquire) == 2 && !pthread_getspecific(thread_key) &&
	       na_cache_here();
}

/* A current span that is empty, of a class that is not in use. */
static void drop_current(struct na_cache *c, struct na_kind *kind)
{
	struct na_span *span = kind->span;

	if (!span || span->used != 0)
		return;
	kind->span = NULL;
	if (!na_cache_release_if_empty(c, span))
		na_cache_list(c, span);
}

void na_cache_tidy(struct na_cache *c)
{
	c->untidy = 0;
	na_lock(&c->lock);
	for (unsigned int i = 0; i < NA_REGION_BINS; i++) {
		struct na_bin *bin = na_cache_region(c) + i;

		if (bin->most && bin->word == c->seen[i]) {
			empty_stack(c, bin);
			drop_current(c, &c->kind[bin->cls]);
		}
		c->seen[i] = bin->word;
	}
	na_cache_enforce(c, "tidy");
	na_unlock(&c->lock);
}

/* Under the lock. The current span may be empty now, and goes. */
static void trim_class(struct na_cache *c, unsigned int cls)
{
	struct na_kind *kind = &c->kind[cls];
	struct na_span *span = kind->span, *next;
	uint32_t count = 0;

	if (span) {
		na_cache_collect(span);
		kind->span = NULL;
		if (!na_cache_release_if_empty(c, span))
			na_cache_list(c, span);
	}
	na_cache_each (kind, span, next, count) {
		na_cache_collect(span);
		na_cache_release_if_empty(c, span);
	}
}

void na_cache_trim_spans(struct na_cache *c)
{
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		if (c->kind[i].span || c->kind[i].partial)
			trim_class(c, i);
}

void na_cache_trim(struct na_cache *c)
{
	na_lock(&c->lock);
	for (unsigned int i = 0; i < NA_REGION_BINS; i++)
		empty_stack(c, na_cache_region(c) + i);
	for (unsigned int i = 0; c->split && i < NA_CLASSES; i++) {
		na_trap_lift(c, i);
		empty_stack(c, &c->out[i]);
	}
	na_cache_flush_pending(c);
	na_cache_drain(c);
	na_cache_trim_spans(c);
	na_cache_enforce(c, "trim");
	na_unlock(&c->lock);
	na_cache_publish(c);
}

void na_cache_tidy_shared(struct na_cache *c, bool any)
{
	na_lock(&c->lock);
	if (any || c->refills == c->tended)
		for (unsigned int i = 0; i < NA_CLASSES; i++)
			drop_current(c, &c->kind[i]); /* others go when they empty, in put_slot() */
	c->tended = c->refills;
	na_cache_enforce(c, "tidy_shared");
	na_unlock(&c->lock);
}

/* Of an idle cache nobody looks at the partial spans: frees into them must be told. */
static void silence(struct na_cache *c)
{
	na_lock(&c->lock);
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		struct na_span *span, *next;
		uint32_t count;

		na_cache_each (&c->kind[i], span, next, count) {
			uint32_t watched = NA_WATCHED;

			atomic_compare_exchange_strong_explicit(&span->flag, &watched, NA_SILENT, memory_order_seq_cst,
								memory_order_relaxed);
			na_cache_collect(span); /* after the flag, as in park() */
			na_cache_release_if_empty(c, span);
		}
	}
	na_unlock(&c->lock);
}

/* In constant time: the stacks stay as they are, for the next thread. If none comes, na_cache_tend() empties them. */
void na_cache_leave(void)
{
	struct na_cache *c = na_cache_current;

	if (c == &na_cache_none)
		return;
	na_cache_current = &na_cache_none;
	na_cache_flush_pending(c);
	na_cache_publish(c);
	c->settled = false;
	push_idle(c);
}

static struct na_span *first_private(const struct na_kind *kind)
{
	struct na_span *span = kind->partial;

	for (int i = 0; span && i < LOOK; i++, span = span->next)
		if (!na_span_merge(span))
			return span;
	return NULL;
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
	/* The first only: one that is QUEUED again will be drained, and found, next time. Merged ones stay with their cache. */
	span = first_private(&idle->kind[cls]);
	if (span) {
		uint32_t silent = NA_SILENT;

		if (!atomic_compare_exchange_strong_explicit(&span->flag, &silent, NA_WATCHED, memory_order_acquire,
							     memory_order_relaxed) &&
		    silent == NA_QUEUED)
			span = NULL;
	}
	if (span) {
		na_cache_unlist(idle, span);
		span->moving = NA_MOVING;
	}
	na_unlock(&idle->lock);
	push_idle(idle);
	return span;
}

/* Partial spans of a thread that has done nothing since we last looked: others may have emptied them. From
 * now on they say so. */
static void tend_sleeper(struct na_cache *c)
{
	struct na_span *span, *next;
	uint32_t count;

	for (unsigned int i = 0; i < NA_CLASSES; i++)
		na_cache_each (&c->kind[i], span, next, count) {
			uint32_t watched = NA_WATCHED;

			atomic_compare_exchange_strong_explicit(&span->flag, &watched, NA_SILENT, memory_order_seq_cst,
								memory_order_relaxed);
			na_cache_collect(span);
			na_cache_release_if_empty(c, span);
		}
}

/* Spans of a running thread that others have emptied or made partial, which it may not notice for long. What
 * is listed stays SILENT until the owner takes it, so the next free into it is told as well. */
static void tend(struct na_cache *c)
{
	uint64_t done = __atomic_load_n(&c->refills, __ATOMIC_RELAXED) + __atomic_load_n(&c->spills, __ATOMIC_RELAXED);
	struct na_span *span, *next;
	uint32_t asleep;

	if (!na_trylock(&c->lock))
		return;
	span = atomic_exchange_explicit(&c->queue, NULL, memory_order_acquire);
	for (; span; span = next) {
		next = span->next_queued;
		atomic_store_explicit(&span->flag, NA_SILENT, memory_order_seq_cst); /* before the look: as in park() */
		na_cache_collect(span);
		if (!na_cache_release_if_empty(c, span) && !span->listed && c->kind[span->cls].span != span &&
		    span->used < span->slots)
			na_cache_list(c, span);
	}
	asleep = done == c->tended ? atomic_load_explicit(&c->asleep, memory_order_relaxed) + 1 : 0;
	atomic_store_explicit(&c->asleep, asleep, memory_order_relaxed);
	if (asleep)
		tend_sleeper(c);
	c->tended = done;
	na_unlock(&c->lock);
}

/* An idle cache, held off the list. */
static void settle(struct na_cache *c)
{
	if (!c->settled) {
		na_cache_trim(c);
		silence(c);
		c->settled = true;
		return;
	}
	na_lock(&c->lock);
	na_cache_drain(c);
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
			settle(c);
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
	if (na_cache_current != &na_cache_none)
		atomic_store_explicit(&na_cache_current->thread, (int32_t)gettid(), memory_order_relaxed);
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all) {
		uint32_t state = atomic_load_explicit(&c->state, memory_order_relaxed);

		if (c == na_cache_current || (state != NA_CACHE_RUNNING && state != NA_CACHE_HELD))
			continue;
		na_cache_forked = true;
		c->within = false;
		c->pending_used = 0; /* its entries may have been half written; those blocks are lost to the child */
		c->settled = false;
		push_idle(c);
	}
}

void na_cache_note_corruption(void)
{
	/* Threads without a cache share the flag: any of them may be the one to tell. */
	__atomic_store_n(&na_cache_current->failure.corrupted, true, __ATOMIC_RELAXED);
}

void na_cache_complain(const void *p, const char *what, const void *caller)
{
	bool twice = strncmp(what, "freed twice", 11) == 0 || strncmp(what, "returned", 8) == 0;

	na_cache_note_corruption();
	atomic_fetch_add_explicit(twice ? &na_misuse.double_frees : &na_misuse.invalid_frees, 1, memory_order_relaxed);
	if (caller)
		na_log(NA_LOG_ERROR, "pointer %p was %s; nothing was done (called from %p)", p, what, caller);
	else
		na_log(NA_LOG_ERROR, "pointer %p was %s; nothing was done", p, what);
}
