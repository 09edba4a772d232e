/* SPDX-License-Identifier: BSD-3-Clause */
#include "harden/guard.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "cache/traps.h"
#include "harden/fences.h"
#include "harden/survey.h"
#include "heap/guard.h"
#include "heap/pressure.h"
#include "heap/request.h"
#include "os/os.h"
#include "pool/lost.h"
#include "tracking/stack.h"

#define TRAILER	   16	      /* bytes behind every block: its size and its canary */
#define RING	   4096	      /* freed blocks that wait, */
#define RING_BYTES (4u << 20) /* and together at most */
#define RECENT	   4096	      /* frees that are remembered */
#define DEEP	   64	      /* one free in so many is remembered with its stack, the others by who called */

#define PAD   UINT8_C(0xc7)		   /* between a block's end and its trailer */
#define FREED UINT64_C(0xdfdfdfdfdfdfdfdf) /* in a freed block */
/* A canary says in which state its block is, and differs by one of these from a live one's. A block is busy between two states, while pattern and
 * size are written: whoever looks at all blocks meanwhile leaves it out. A large one stays busy while it goes back. */
#define AS_FREE UINT64_C(0x5a5a5a5a5a5a5a5a)
#define AS_BUSY UINT64_C(0xa5a5a5a5a5a5a5a5)

struct trailer {
	uint64_t size;
	_Atomic uint64_t canary;
};

struct waiting {
	void *block;
	size_t capacity;
};

struct recent {
	const void *block;
	struct na_trace trace;
};

static uint64_t secrets[4];
static _Atomic int secrets_state;			  /* 0, 1 being made, 2; release and acquire */
static struct na_named *_Atomic node_pools[NA_MAX_POOLS]; /* release: once each; acquire: any thread */
static _Atomic uint32_t frees;				  /* relaxed: whose turn it is to be remembered with a stack */

static struct na_lock lock;
static struct waiting ring[RING]; /* under the lock, as all that follows */
static uint32_t ring_next, ring_count;
static size_t ring_bytes;
static struct recent recent[RECENT];

uint64_t na_guard_secret(unsigned int i)
{
	int none = 0;

	if (na_likely(atomic_load_explicit(&secrets_state, memory_order_acquire) == 2))
		return secrets[i];
	if (atomic_compare_exchange_strong_explicit(&secrets_state, &none, 1, memory_order_acquire,
						    memory_order_relaxed)) {
		/* Early at boot there may be no entropy: then addresses and the clock have to do. */
		if (getrandom(secrets, sizeof(secrets), GRND_NONBLOCK) != (ssize_t)sizeof(secrets))
			for (unsigned int k = 0; k < 4; k++)
				secrets[k] = na_seal_add(na_os_now_ns() + k, (uintptr_t)&none ^ (uintptr_t)&lock);
		atomic_store_explicit(&secrets_state, 2, memory_order_release);
	}
	while (atomic_load_explicit(&secrets_state, memory_order_acquire) != 2)
		;
	return secrets[i];
}

/* ---- blocks ---- */

static struct na_named *pool_here(void)
{
	size_t i = (size_t)(na_pool_here() - na_pools);
	struct na_named *n = atomic_load_explicit(&node_pools[i], memory_order_acquire), *none = NULL;

	if (na_likely(n != NULL))
		return n;
	if (na_named_create("hardened", na_pools[i].node, 0, 16, &n) < 0)
		return NULL;
	n->guarded = true;
	if (!atomic_compare_exchange_strong_explicit(&node_pools[i], &none, n, memory_order_acq_rel,
						     memory_order_acquire)) {
		na_named_destroy(n); /* another thread was first */
		n = none;
	}
	return n;
}

static struct trailer *trailer_of(void *p, size_t capacity)
{
	return (struct trailer *)(void *)((char *)p + capacity - TRAILER);
}

static uint64_t live_canary(const void *p)
{
	return na_guard_secret(1) ^ (uintptr_t)p;
}

static uint64_t encode_size(const void *p, size_t size)
{
	return size ^ na_guard_secret(0) ^ (uintptr_t)p * NA_SEAL_FACTOR;
}

static size_t size_of(void *p, size_t capacity)
{
	return trailer_of(p, capacity)->size ^ na_guard_secret(0) ^ (uintptr_t)p * NA_SEAL_FACTOR;
}

static uint64_t canary_of(void *p, size_t capacity)
{
	return atomic_load_explicit(&trailer_of(p, capacity)->canary, memory_order_relaxed);
}

/* release: what comes before is seen by whoever finds this state; acquire in survey_block() */
static void set_canary(void *p, size_t capacity, uint64_t value)
{
	atomic_store_explicit(&trailer_of(p, capacity)->canary, value, memory_order_release);
}

/* Of a busy block, which is live then. */
static void dress(void *p, size_t size, size_t capacity)
{
	struct trailer *t = trailer_of(p, capacity);

	memset((char *)p + size, PAD, capacity - TRAILER - size);
	t->size = encode_size(p, size);
	set_canary(p, capacity, live_canary(p));
}

static void taken(void *p, size_t capacity)
{
	set_canary(p, capacity, live_canary(p) ^ AS_BUSY);
	atomic_thread_fence(memory_order_seq_cst); /* before what is written next; pairs with survey_block()'s */
}

/* Where the pattern behind a live block was written over; its capacity if it was not. */
static size_t damage(const void *p, size_t size, size_t capacity)
{
	for (size_t i = size; i < capacity - TRAILER; i++)
		if (((const uint8_t *)p)[i] != PAD)
			return i;
	return capacity;
}

/* A guarded block's place; false if p is in none. The segment's data are right as long as the block is live. */
static bool locate(const void *p, uintptr_t *start, size_t *capacity, struct na_span **out)
{
	struct na_segment *segment = na_address_valid(p) && na_map_covers((uintptr_t)p, 1) ? na_segment_of(p) : NULL;
	struct na_named *n = segment && segment->pool ? na_named_of(segment->pool) : NULL;
	struct na_span *span;
	uint8_t kind;

	if (!n || !n->guarded)
		return false;
	*out = span = na_span_of(p);
	kind = na_span_kind(span);
	*start = *capacity = 0;
	if (kind == NA_SPAN_SMALL) {
		uint32_t slot = na_slot_of(span, p);

		if (slot < na_span_carved(span) && (na_span_taken(span, slot / 64) >> (slot % 64) & 1)) {
			*start = span->base + (uintptr_t)slot * span->size;
			*capacity = span->size;
		}
	} else if ((kind == NA_SPAN_LARGE || kind == NA_SPAN_HUGE) && (uintptr_t)p - span->base < span->length) {
		*start = span->base;
		*capacity = span->length;
	}
	return true;
}

static void *attempt(size_t size, size_t alignment, bool zero)
{
	struct na_named *pool;
	struct na_span *span;
	size_t capacity;
	uintptr_t start;
	void *p;

	if (size > PTRDIFF_MAX - TRAILER)
		return NULL;
	p = na_fences_take(size, alignment);
	if (p)
		return p;
	pool = pool_here();
	p = pool ? na_named_try(pool, alignment, size + TRAILER) : NULL;
	if (!p)
		return NULL;
	locate(p, &start, &capacity, &span);
	if (zero)
		memset(p, 0, size);
	dress(p, size, capacity);
	return p;
}

static void *allocate(size_t size, size_t alignment, bool zero)
{
	struct na_request r = na_request_plain(size, alignment, zero);
	void *p;

	na_pools_boot();
	na_pressure_check(size);
	p = attempt(size, alignment, zero);
	if (!p)
		return na_request_recover(&r);
	na_maintenance_consider();
	na_failure_tell();
	return p;
}

/* ---- frees that are remembered ---- */

static struct recent *recent_of(const void *p)
{
	return &recent[((uintptr_t)p >> 4) * NA_SEAL_FACTOR >> 52];
}

static void remember(const void *p, const void *caller)
{
	struct recent *r = recent_of(p);
	struct na_trace trace;

	if (atomic_fetch_add_explicit(&frees, 1, memory_order_relaxed) % DEEP == 0)
		na_trace_take(&trace);
	else
		na_trace_caller(&trace, caller);
	na_lock(&lock);
	r->block = p;
	r->trace = trace;
	na_unlock(&lock);
}

bool na_guard_freed(const void *p, struct na_trace *out)
{
	struct recent *r = recent_of(p);
	bool found;

	na_lock(&lock);
	found = r->block == p;
	if (found)
		*out = r->trace;
	na_unlock(&lock);
	return found;
}

static void tell_frees(const void *p)
{
	struct na_trace now, before;

	na_trace_take(&now);
	na_trace_print("now", &now);
	if (na_guard_freed(p, &before))
		na_trace_print("freed before", &before);
}

static int freed_twice(const void *p, const void *caller)
{
	na_log(NA_LOG_ERROR, "pointer %p was freed twice; nothing was done (called from %p)", p, caller);
	tell_frees(p);
	if (!caller)
		return -EINVAL;
	na_cache_note_corruption();
	atomic_fetch_add_explicit(&na_misuse.double_frees, 1, memory_order_relaxed);
	return 0;
}

static int never_given(const void *p, const void *caller)
{
	struct na_trace before;

	if (na_guard_freed(p, &before))
		return freed_twice(p, caller);
	na_log(NA_LOG_ERROR, "pointer %p was freed, and is not the start of a block; nothing was done (called from %p)",
	       p, caller);
	tell_frees(p);
	if (!caller)
		return -EINVAL;
	na_cache_note_corruption();
	atomic_fetch_add_explicit(&na_misuse.invalid_frees, 1, memory_order_relaxed);
	return 0;
}

/* Something was written behind a block. It stays as it is, and is never used again: what it was is not known any more. */
static int overrun(const void *p, size_t size, size_t at, size_t capacity)
{
	if (size <= capacity - TRAILER)
		na_log(NA_LOG_ERROR,
		       "block %p of %zu bytes was written to behind its end, at byte %zu; it is not used again", p,
		       size, at);
	else
		na_log(NA_LOG_ERROR, "block %p was written to behind its end, over its canary; it is not used again",
		       p);
	tell_frees(p);
	na_cache_note_corruption();
	atomic_fetch_add_explicit(&na_misuse.canary_faults, 1, memory_order_relaxed);
	return 0;
}

/* ---- the ring ---- */

/* Whether nobody wrote into a freed block; the offset if somebody did. */
static bool untouched(void *p, size_t capacity, size_t *at)
{
	const uint64_t *word = p;

	for (size_t i = 0; i < (capacity - TRAILER) / 8; i++)
		if (word[i] != FREED) {
			*at = i * 8;
			return false;
		}
	*at = capacity - TRAILER;
	return canary_of(p, capacity) == (live_canary(p) ^ AS_FREE);
}

static void let_go(struct waiting w)
{
	struct na_trace before;
	size_t at;

	if (untouched(w.block, w.capacity, &at)) {
		na_cache_free_slow(na_cache_current, na_span_of(w.block), w.block);
		return;
	}
	na_log(NA_LOG_ERROR,
	       "block %p (a slot of %zu bytes) was written to after it was freed, at byte %zu; it is not used again",
	       w.block, w.capacity, at);
	if (na_guard_freed(w.block, &before))
		na_trace_print("freed before", &before);
	na_cache_note_corruption();
	atomic_fetch_add_explicit(&na_misuse.writes_after_free, 1, memory_order_relaxed);
}

static void wait_in_ring(void *p, size_t capacity)
{
	struct waiting out[8];
	uint32_t n = 0;

	na_lock(&lock);
	while (ring_count && n < 8 && (ring_count == RING || ring_bytes + capacity > RING_BYTES)) {
		struct waiting *oldest = &ring[(ring_next + RING - ring_count) % RING];

		out[n++] = *oldest;
		ring_bytes -= oldest->capacity;
		ring_count--;
	}
	if (ring_count < RING) {
		ring[ring_next] = (struct waiting){ p, capacity };
		ring_next = (ring_next + 1) % RING;
		ring_count++;
		ring_bytes += capacity;
	}
	na_unlock(&lock);
	for (uint32_t i = 0; i < n; i++)
		let_go(out[i]);
}

static int release(void *p, const void *caller)
{
	struct na_span *span;
	struct trailer *t;
	size_t capacity, size, at;
	uintptr_t start;
	uint64_t live;

	if (na_fences_own(p))
		return na_fences_give(p, caller);
	if (!locate(p, &start, &capacity, &span))
		return -ENOENT;
	if (start != (uintptr_t)p)
		return never_given(p, caller);
	if (na_lost_in(start, capacity)) /* to look is to meet the page: as usual */
		return -ENOENT;
	t = trailer_of(p, capacity);
	live = live_canary(p);
	size = size_of(p, capacity);
	if (canary_of(p, capacity) == live && size <= capacity - TRAILER) {
		at = damage(p, size, capacity);
		if (at < capacity)
			return overrun(p, size, at, capacity);
	}
	/* acq_rel: of two threads that free it at once one comes here. */
	if (size > capacity - TRAILER ||
	    !atomic_compare_exchange_strong_explicit(&t->canary, &live, live ^ AS_BUSY, memory_order_acq_rel,
						     memory_order_acquire)) {
		uint64_t now = canary_of(p, capacity);

		if (now == (live_canary(p) ^ AS_FREE) || now == (live_canary(p) ^ AS_BUSY))
			return freed_twice(p, caller);
		return overrun(p, size, size, capacity);
	}
	atomic_thread_fence(memory_order_seq_cst); /* as in taken() */
	remember(p, caller);
	na_sample_release(p); /* before another thread may get the address */
	na_cache_count_given(1, capacity);
	if (na_span_kind(span) != NA_SPAN_SMALL) {
		int64_t length = (int64_t)span->length;

		if (na_large_give(span, p) == 0)
			na_live_add(-length);
		return 0;
	}
	for (size_t i = 0; i < (capacity - TRAILER) / 8; i++)
		((uint64_t *)p)[i] = FREED;
	set_canary(p, capacity, live_canary(p) ^ AS_FREE);
	wait_in_ring(p, capacity);
	return 0;
}

static bool find(const void *p, struct na_block *out)
{
	uintptr_t start;
	size_t capacity;

	*out = (struct na_block){ .span = &na_span_none, .pool = &na_pools[0] };
	if (na_fences_own(p)) {
		out->start = na_fences_find(p, &out->size);
		out->live = out->start != 0;
		return true;
	}
	if (!locate(p, &start, &capacity, &out->span))
		return false;
	out->pool = na_segment_of(p)->pool;
	out->start = start;
	if (!start)
		return true;
	out->size = size_of((void *)start, capacity);
	out->live = canary_of((void *)start, capacity) == live_canary((void *)start) && out->size <= capacity - TRAILER;
	return true;
}

static size_t alignment_of(const void *p)
{
	uintptr_t lowest = (uintptr_t)p & (0 - (uintptr_t)p);

	return lowest < 16 ? 16 : lowest > 64 ? 64 : lowest;
}

static void *resize(void *p, size_t size, const void *caller)
{
	struct na_block block;
	struct na_span *span;
	uintptr_t start;
	size_t capacity;
	void *fresh;

	if (!find(p, &block) || !block.live || block.start != (uintptr_t)p) {
		never_given(p, caller);
		errno = EINVAL;
		return NULL;
	}
	if (!na_fences_own(p) && locate(p, &start, &capacity, &span) && size <= PTRDIFF_MAX &&
	    size + TRAILER <= capacity && (size + TRAILER >= capacity / 2 || capacity <= 64) &&
	    damage(p, block.size, capacity) == capacity) {
		taken(p, capacity);
		dress(p, size, capacity);
		return p;
	}
	fresh = allocate(size, alignment_of(p), false);
	if (!fresh)
		return NULL;
	memcpy(fresh, p, block.size < size ? block.size : size);
	release(p, caller);
	return fresh;
}

const struct na_guard na_guard = {
	.allocate = allocate, .attempt = attempt, .taken = taken, .resize = resize, .release = release, .find = find
};

void na_guard_start(void)
{
	na_stack_prepare();
	na_fences_start();
}

/* ---- within a survey ---- */

/* What a block has, at one moment: false if it changed its state meanwhile, or is about to. */
static bool look(void *p, size_t capacity, uint64_t *canary, size_t *size, size_t *at, bool *good)
{
	uint64_t live = live_canary(p), again;

	*canary = atomic_load_explicit(&trailer_of(p, capacity)->canary, memory_order_acquire);
	if (*canary == (live ^ AS_BUSY))
		return false;
	*size = size_of(p, capacity);
	if (*canary == (live ^ AS_FREE))
		*good = untouched(p, capacity, at);
	else
		*good = *canary == live && *size <= capacity - TRAILER &&
			(*at = damage(p, *size, capacity)) == capacity;
	/* A fault that was seen in what somebody wrote who had made the block busy before is none: pairs with the fences of taken()
	 * and release(). */
	atomic_thread_fence(memory_order_seq_cst);
	again = canary_of(p, capacity);
	return again == *canary && size_of(p, capacity) == *size;
}

static void survey_block(struct na_survey *v, void *p, size_t capacity)
{
	uint64_t canary;
	size_t size, at;
	bool good;

	if (na_lost_in((uintptr_t)p, capacity)) /* to look is to meet the page */
		return;
	if (!look(p, capacity, &canary, &size, &at, &good) || good)
		return;
	if (canary == (live_canary(p) ^ AS_FREE)) {
		if (na_fault(v, "block %p was written to after it was freed, at byte %zu", p, at)) {
			for (size_t i = 0; i < (capacity - TRAILER) / 8; i++)
				((uint64_t *)p)[i] = FREED; /* nobody's: it waits for reuse */
			v->rebuilt++;
		}
		return;
	}
	if (!na_fault(v, "block %p of %zu bytes was written to behind its end", p,
		      size <= capacity ? size : capacity - TRAILER))
		return;
	/* What is in the block is not touched; that something may be wrong with it has been said. */
	v->lost++;
	if (size > capacity - TRAILER)
		size = capacity - TRAILER;
	v->lost_bytes += size;
	dress(p, size, capacity);
	v->rebuilt++;
}

void na_guard_survey(struct na_survey *v)
{
	for (uint32_t i = 0; i < v->known_count && na_options.harden; i++) {
		struct na_segment *s = v->known[i].segment;
		struct na_named *n = na_survey_pool(v, v->known[i].pool) ? na_named_of(v->known[i].pool) : NULL;

		for (uint32_t at = 0; n && n->guarded && at < NA_SLICES; at++) {
			struct na_span *span = &s->span[at];
			uint8_t kind = na_span_kind(span);

			if ((kind != NA_SPAN_SMALL && kind != NA_SPAN_LARGE && kind != NA_SPAN_HUGE) ||
			    span->seal != na_span_sealing(span))
				continue;
			if (kind != NA_SPAN_SMALL)
				survey_block(v, (void *)span->base, span->length);
			for (uint32_t slot = 0; kind == NA_SPAN_SMALL && slot < na_span_carved(span); slot++)
				if (na_span_taken(span, slot / 64) >> (slot % 64) & 1)
					survey_block(v, (void *)(span->base + (uintptr_t)slot * span->size),
						     span->size);
		}
	}
}

void na_guard_before_fork(void)
{
	na_lock(&lock);
	na_fences_before_fork();
}

void na_guard_after_fork(bool child)
{
	na_fences_after_fork(child);
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
}
