/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sampling of allocations, by bytes, at no cost to the fast paths (doc/design/sampling.md).
 *
 * A sampling cache is split: malloc's stack `out` only gets shorter between two visits of the slow path, so it is known
 * beforehand which of its entries each allocation will get. When `out` has been filled, the class's countdown of bytes says
 * whether a sample falls among its entries; there a *trap* is set: the entry is NULL, the block that was there is put by in
 * the trap. The fast path pops NULL, which is what an empty stack looks like, and goes to the slow path; a stack that has
 * top > floor there has sprung its trap: this very allocation is the sample. The block put by returns to its place, and
 * the sample gets a block of the pool's *sampled cache*, whose slices have id 0, so that its free takes the slow path.
 *
 * Each class counts down its own bytes, and each thread those of blocks that take the slow path anyway: independent
 * Poisson processes, whose sum is one. A block of `size` bytes is sampled with 1 - exp(-size / mean), whatever came before.
 *
 * Invariants: at most one trap a class, in `out`, at floor < at <= top; its entry is NULL and `displaced` is not.
 * The trap's block counts as one of the stack (top - floor has it). Traps are set and lifted by the owner or whoever
 * holds the cache off the idle list, under the cache's lock; `displaced` is read by the search for double frees without.
 * The sampled caches are made before sampling starts and never end; they are NA_CACHE_NAMED: frees take their lock.
 */
#ifndef NA_CACHE_TRAPS_H
#define NA_CACHE_TRAPS_H

#include "cache/cache.h"

/* What upper layers hear. All are set, once, before the first sample. */
struct na_sample_hooks {
	/* A sample, just allocated; no lock is held. `ns`: what it took, or would have taken unsampled. */
	void (*taken)(void *p, size_t size, uint64_t mean, uint64_t ns);
	/* A block that may be one is about to be freed. */
	void (*released)(const void *p);
	/* All blocks of a pool are about to be. */
	void (*emptied)(const struct na_pool *pool);
};
extern struct na_sample_hooks na_sample_hooks;
extern _Atomic bool na_sample_hooked; /* release: they are set; acquire */

/* Bytes a sample; 0: off. Stored with release; the acquire is na_trap_adopt()'s. */
extern _Atomic uint64_t na_sample_mean;
/* Where threads' random numbers start; a test's fixed seed, before any cache exists. */
extern _Atomic uint64_t na_sample_seed;

/* Makes the pools' sampled caches; 0 or -ENOMEM. */
int na_traps_prepare(void);
struct na_cache *na_sampled_cache(uint32_t pool);

/* Returns empty spans of theirs. */
void na_traps_trim(void);
/* fork's handlers: their locks. */
void na_traps_before_fork(void);
void na_traps_after_fork(bool child);

/* By the owner, on its slow path: takes up a new mean; splits its stacks the first time. */
void na_trap_adopt(struct na_cache *c);
static inline void na_trap_follow(struct na_cache *c)
{
	if (__builtin_expect(c->mean != atomic_load_explicit(&na_sample_mean, memory_order_relaxed), 0))
		na_trap_adopt(c);
}

/* Under the lock. Counts down what is in `out`, and sets the trap if the sample is there. */
void na_trap_set(struct na_cache *c, unsigned int cls);
/* Under the lock. The block is back in its place, and the countdown what it would be had nothing been counted: blocks that leave
 * the stack otherwise than by allocation must not count, trap or no trap. */
void na_trap_lift(struct na_cache *c, unsigned int cls);

/* The allocation that met a trap; `began`: when its refill did, 0 if there was none. NULL if there is no block at all, which
 * cannot be while the stack had the trap's. */
void *na_trap_spring(struct na_cache *c, unsigned int cls, uint64_t began);

/* Counts a block that did not come from a stack, and takes it as a sample if its turn has come. `began`: na_sample_clock()
 * before it was allocated. No lock is held. */
void na_sample_consider(void *p, size_t size, uint64_t began);
uint64_t na_sample_clock(void);

static inline void na_sample_release(const void *p)
{
	if (__builtin_expect(atomic_load_explicit(&na_sample_hooked, memory_order_acquire), 0))
		na_sample_hooks.released(p);
}

#endif
