/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/lost.h"

#include "os/os.h"
#include "pool/bits.h"
#include "pool/pool.h"

struct na_lost na_lost;

static uint32_t count(void)
{
	uint32_t n = atomic_load_explicit(&na_lost.count, memory_order_acquire);

	return n < NA_LOST_MOST ? n : NA_LOST_MOST;
}

bool na_lost_note(uintptr_t page, size_t bytes)
{
	uint32_t i;

	if (na_lost_in(page, 1))
		return false;
	i = atomic_load_explicit(&na_lost.count, memory_order_relaxed);
	do {
		if (i >= NA_LOST_MOST)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&na_lost.count, &i, i + 1, memory_order_release,
							memory_order_relaxed));
	atomic_store_explicit(&na_lost.bytes[i], bytes, memory_order_relaxed);
	atomic_store_explicit(&na_lost.page[i], page, memory_order_release);
	atomic_fetch_add_explicit(&na_lost.unsettled, 1, memory_order_release);
	return true;
}

static bool overlaps(uint32_t i, uintptr_t from, size_t size)
{
	uintptr_t page = atomic_load_explicit(&na_lost.page[i], memory_order_acquire);
	size_t bytes = atomic_load_explicit(&na_lost.bytes[i], memory_order_relaxed);

	return page && page < from + size && from < page + bytes;
}

bool na_lost_look(uintptr_t from, size_t size)
{
	for (uint32_t i = 0; i < count(); i++)
		if (overlaps(i, from, size))
			return true;
	return false;
}

void na_lost_replace(uintptr_t from, size_t size)
{
	for (uint32_t i = 0; i < count(); i++)
		if (overlaps(i, from, size) &&
		    na_os.purge((void *)atomic_load_explicit(&na_lost.page[i], memory_order_relaxed),
				atomic_load_explicit(&na_lost.bytes[i], memory_order_relaxed)) == 0)
			atomic_store_explicit(&na_lost.page[i], 0, memory_order_release);
}

bool na_lost_replace_slice(struct na_segment *segment, uint32_t at)
{
	struct na_pool *pool = segment->pool;
	bool free, dirty = false;

	na_lock(&pool->lock);
	free = segment->free[at / 64] >> (at % 64) & 1;
	if (free) {
		dirty = segment->dirty[at / 64] >> (at % 64) & 1;
		na_bits_put(segment->free, at, 1, false);
		na_bits_put(segment->dirty, at, 1, false);
		pool->dirty_slices -= dirty;
		pool->out_slices++;
	}
	na_unlock(&pool->lock);
	if (!free)
		return false;
	na_lost_replace(segment->base + (uintptr_t)at * NA_SLICE, NA_SLICE);
	na_lock(&pool->lock);
	na_bits_put(segment->free, at, 1, true);
	if (dirty) /* the other pages of it may hold data */
		na_bits_put(segment->dirty, at, 1, true);
	pool->dirty_slices += dirty;
	pool->out_slices--;
	na_unlock(&pool->lock);
	return true;
}
