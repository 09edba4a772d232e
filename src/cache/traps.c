/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/traps.h"

#include <errno.h>
#include <string.h>

#include "base/chance.h"
#include "base/options.h"
#include "cache/check.h"
#include "cache/fast.h"
#include "os/os.h"

struct na_sample_hooks na_sample_hooks;
_Atomic bool na_sample_hooked;
_Atomic uint64_t na_sample_mean;
_Atomic uint64_t na_sample_seed;

static struct na_cache *_Atomic sampled[NA_MAX_POOLS]; /* release: once each; acquire: any */

int na_traps_prepare(void)
{
	na_pools_boot();
	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_cache *c, *none = NULL;
		int fresh;

		if (na_sampled_cache(i))
			continue;
		c = na_arena_take(&na_pools[i].arena, sizeof(*c), &fresh);
		if (!c)
			return -ENOMEM;
		if (!fresh)
			memset(c, 0, sizeof(*c));
		na_cache_init(c, &na_pools[i], NA_CACHE_NAMED);
		if (!atomic_compare_exchange_strong_explicit(&sampled[i], &none, c, memory_order_acq_rel,
							     memory_order_acquire))
			na_arena_give(&na_pools[i].arena, c, sizeof(*c)); /* another thread was first */
	}
	return 0;
}

struct na_cache *na_sampled_cache(uint32_t pool)
{
	return atomic_load_explicit(&sampled[pool], memory_order_acquire);
}

void na_traps_trim(void)
{
	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_cache *c = na_sampled_cache(i);

		if (!c)
			continue;
		na_lock(&c->lock);
		na_cache_trim_spans(c);
		na_unlock(&c->lock);
	}
}

void na_traps_before_fork(void)
{
	for (uint32_t i = 0; i < na_pool_count; i++)
		if (na_sampled_cache(i))
			na_lock(&na_sampled_cache(i)->lock);
}

void na_traps_after_fork(bool child)
{
	for (uint32_t i = 0; i < na_pool_count; i++)
		if (na_sampled_cache(i))
			(child ? na_lock_reset : na_unlock)(&na_sampled_cache(i)->lock);
}

void na_trap_lift(struct na_cache *c, unsigned int cls)
{
	struct na_trap *t = &c->trap[cls];
	struct na_bin *bin = &c->out[cls];

	if (!t->counted)
		return;
	t->counted = false;
	if (!t->displaced) {
		t->left += (int64_t)((uint64_t)(bin->top - bin->floor) * na_class_size(cls));
		return;
	}
	*na_bin_at(bin, t->at) = t->displaced;
	t->left = (int64_t)((uint64_t)(bin->top - t->at + 1) * na_class_size(cls));
	__atomic_store_n(&t->displaced, NULL, __ATOMIC_RELAXED);
}

void na_trap_set(struct na_cache *c, unsigned int cls)
{
	struct na_trap *t = &c->trap[cls];
	struct na_bin *bin = &c->out[cls];
	int64_t size = (int64_t)na_class_size(cls), depth = bin->top - bin->floor;

	if (!c->mean || t->displaced)
		return;
	t->counted = true;
	if (t->left > depth * size) {
		t->left -= depth * size;
		return;
	}
	t->at = (uint16_t)(bin->top - (t->left - 1) / size);
	__atomic_store_n(&t->displaced, *na_bin_at(bin, t->at), __ATOMIC_RELAXED);
	*na_bin_at(bin, t->at) = NULL;
}

/* Under the lock. */
static void draw(struct na_cache *c, unsigned int cls)
{
	c->trap[cls].left = na_chance_gap(&c->chance, c->mean);
}

void na_trap_adopt(struct na_cache *c)
{
	/* acquire: pairs with the release of whoever set it, so that the hooks and sampled caches are seen. */
	uint64_t mean = atomic_load_explicit(&na_sample_mean, memory_order_acquire);

	if (!c->chance)
		c->chance = atomic_load_explicit(&na_sample_seed, memory_order_relaxed) + c->number;
	na_lock(&c->lock);
	for (unsigned int i = 0; i < NA_CLASSES; i++)
		na_trap_lift(c, i);
	if (!c->split && !na_options.harden) /* then there are no stacks at all */
		na_cache_split(c);
	c->mean = mean;
	for (unsigned int i = 0; mean && i < NA_CLASSES; i++) {
		draw(c, i);
		na_trap_set(c, i);
	}
	if (mean)
		c->other_left = na_chance_gap(&c->chance, mean);
	na_cache_enforce(c, "adopt");
	na_unlock(&c->lock);
}

/* What the allocation would have taken had it not been sampled: the same block, popped and put back. */
static uint64_t time_of_pop(struct na_bin *bin, uint64_t began)
{
	uint64_t word = bin->word, from = began ? began : na_os_now_ns(), to;
	void *p = na_bin_pop(bin);

	to = na_os_now_ns();
	if (p) {
		*na_mark_of(p) = NA_FREED_MARK;
		__atomic_store_n(&bin->word, word, __ATOMIC_RELAXED);
	}
	return to - from;
}

static void tell(struct na_cache *c, void *p, size_t size, uint64_t mean, uint64_t ns)
{
	c->within = true; /* a hook that allocates is not sampled in turn */
	na_sample_hooks.taken(p, size, mean, ns);
	c->within = false;
}

void *na_trap_spring(struct na_cache *c, unsigned int cls, uint64_t began)
{
	struct na_cache *from = na_sampled_cache((uint32_t)(c->pool - na_pools));
	size_t size = na_class_size(cls);
	struct na_bin *bin = &c->out[cls];
	uint64_t mean = c->mean, ns;
	void *p;

	na_lock(&c->lock);
	na_trap_lift(c, cls);
	na_unlock(&c->lock);
	if (mean != atomic_load_explicit(&na_sample_mean, memory_order_relaxed) || c->within)
		return na_bin_pop(bin); /* sampling has stopped, or is under way */
	ns = time_of_pop(bin, began);
	p = na_cache_take_one(from, cls);
	na_lock(&c->lock);
	draw(c, cls);
	if (p) /* else it takes the ordinary block, before the next trap can be there */
		na_trap_set(c, cls);
	na_unlock(&c->lock);
	if (!p)
		return na_bin_pop(bin);
	na_live_add((int64_t)size);
	na_cache_count_taken(1, size);
	tell(c, p, size, mean, ns);
	return p;
}

uint64_t na_sample_clock(void)
{
	return atomic_load_explicit(&na_sample_mean, memory_order_relaxed) ? na_os_now_ns() : 0;
}

void na_sample_consider(void *p, size_t size, uint64_t began)
{
	struct na_cache *c;
	uint64_t ns;

	if (!began)
		return;
	ns = na_os_now_ns() - began;
	c = na_cache_here();
	if (!c || c->within)
		return;
	na_trap_follow(c);
	if (!c->mean)
		return;
	c->other_left -= (int64_t)size;
	if (c->other_left > 0)
		return;
	c->other_left = na_chance_gap(&c->chance, c->mean);
	tell(c, p, size, c->mean, ns);
}
