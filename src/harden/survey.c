/* SPDX-License-Identifier: BSD-3-Clause */
/* Scratch memory, locks, look-ups and the order of a survey; see survey.h. */
#include "harden/survey.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "cache/traps.h"
#include "harden/guard.h"
#include "heap/merging.h"
#include "os/os.h"

#define SPARE	     64	   /* segments, caches and pools that may come while we map */
#define STACKED_MOST 24576 /* blocks in the stacks of one cache, more than stack_most() allows in all */
#define LOCK_MS	     2000  /* a lock that is not to be had for so long is stuck */

bool na_fault(struct na_survey *v, const char *format, ...)
{
	va_list args;

	if (v->faults < NA_SURVEY_TEXTS) {
		va_start(args, format);
		na_vformat(v->text[v->faults], NA_SURVEY_TEXT, format, args);
		va_end(args);
	}
	v->faults++;
	return v->fix;
}

/* ---- scratch ---- */

static void *carve(char **next, size_t bytes)
{
	void *p = *next;

	*next += (bytes + 63) & ~(size_t)63;
	return p;
}

int na_survey_open(struct na_survey *v, uint32_t scale)
{
	uint32_t pools = na_pool_count + na_named_list.count + SPARE, threads = na_cache_made() + SPARE, caches;
	uint64_t segments = SPARE;
	char *next;
	size_t bytes;

	memset(v, 0, sizeof(*v));
	for (uint32_t i = 0; i < na_pool_count; i++)
		segments += na_pools[i].segments + atomic_load_explicit(&na_pools[i].huge_count, memory_order_relaxed);
	/* Of named pools it is not known without their locks: as many as there are chunks to have them in. */
	segments += (uint64_t)atomic_load_explicit(&na_chunks.most, memory_order_relaxed) % (NA_CHUNKS + 1) * 16;
	caches = threads + pools + atomic_load_explicit(&na_named_list.caches, memory_order_relaxed);
	if (segments > (1u << 20) || pools > (1u << 20) || caches > (1u << 20)) { /* one of the counts is damaged */
		segments = segments > (1u << 16) ? 1u << 16 : segments;
		pools = pools > (1u << 12) ? 1u << 12 : pools;
		caches = caches > (1u << 14) ? 1u << 14 : caches;
		threads = threads > (1u << 14) ? 1u << 14 : threads;
	}
	segments *= scale;
	pools *= scale;
	caches *= scale;
	threads *= scale;
	v->known_room = (uint32_t)segments;
	v->range_room = (uint32_t)segments * (NA_SLICES + 1) + caches * 2 + pools * 70;
	v->stacked_room = threads * STACKED_MOST;
	v->lock_room = caches + pools * 4;
	bytes = (pools + caches * 2) * sizeof(void *) + segments * (sizeof(struct na_known) + NA_SLICES) +
		v->stacked_room * sizeof(struct na_stacked) + v->range_room * sizeof(struct na_range) +
		v->lock_room * sizeof(void *) + sizeof(struct na_segment) + caches * NA_CLASSES * sizeof(int64_t) +
		16 * 64;
	v->memory_bytes = (bytes + NA_PAGE - 1) & ~(NA_PAGE - 1);
	if (na_os.map(NULL, v->memory_bytes, &v->memory) < 0)
		return -ENOMEM;
	next = v->memory;
	v->spare = carve(&next, sizeof(struct na_segment));
	v->pools = carve(&next, pools * sizeof(void *));
	v->caches = carve(&next, caches * sizeof(void *));
	v->homes = carve(&next, caches * sizeof(void *));
	v->known = carve(&next, segments * sizeof(struct na_known));
	v->place = carve(&next, segments * NA_SLICES);
	v->stacked = carve(&next, v->stacked_room * sizeof(struct na_stacked));
	v->ranges = carve(&next, v->range_room * sizeof(struct na_range));
	v->locks = carve(&next, v->lock_room * sizeof(void *));
	v->named_out = carve(&next, caches * NA_CLASSES * sizeof(int64_t));
	v->pool_room = pools;
	v->cache_room = caches;
	return 0;
}

void na_survey_close(struct na_survey *v)
{
	if (v->memory)
		na_os.unmap(v->memory, v->memory_bytes);
	v->memory = NULL;
}

/* ---- look-ups ---- */

bool na_survey_meta(struct na_survey *v, const void *p, size_t size, size_t alignment)
{
	return (uintptr_t)p % alignment == 0 && na_meta_chunk((uintptr_t)p, size, &v->hint) != 0;
}

static struct na_known *last_at_or_before(struct na_survey *v, uintptr_t at)
{
	uint32_t low = 0, high = v->known_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if ((uintptr_t)v->known[middle].segment <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &v->known[low - 1] : NULL;
}

struct na_known *na_survey_segment(struct na_survey *v, const struct na_segment *segment)
{
	struct na_known *k = last_at_or_before(v, (uintptr_t)segment);

	return k && k->segment == segment ? k : NULL;
}

struct na_known *na_survey_span(struct na_survey *v, const struct na_span *span)
{
	struct na_known *k = last_at_or_before(v, (uintptr_t)span);

	if (!k || (uintptr_t)span % sizeof(*span) || (uintptr_t)span >= (uintptr_t)&k->segment->span[NA_SLICES])
		return NULL;
	return k;
}

uint8_t *na_survey_place(struct na_survey *v, const struct na_known *k, const struct na_span *span)
{
	return &v->place[(size_t)(k - v->known) * NA_SLICES + (size_t)(span - k->segment->span)];
}

bool na_survey_cache(struct na_survey *v, const struct na_cache *c)
{
	for (uint32_t i = 0; i < v->cache_count; i++)
		if (v->caches[i] == c)
			return true;
	return false;
}

bool na_survey_pool(struct na_survey *v, const struct na_pool *pool)
{
	for (uint32_t i = 0; i < v->pool_count; i++)
		if (v->pools[i] == pool)
			return true;
	return false;
}

struct na_segment_ref *na_survey_ref(struct na_survey *v, struct na_pool *pool, uint32_t index)
{
	struct na_segment_ref *block = index >> NA_TABLE_SHIFT < 64 ? pool->table[index >> NA_TABLE_SHIFT] : NULL;

	return na_survey_meta(v, block, sizeof(*block) << NA_TABLE_SHIFT, 64)
		       ? &block[index & ((1u << NA_TABLE_SHIFT) - 1)]
		       : NULL;
}

void na_survey_range(struct na_survey *v, const void *p, size_t size)
{
	if (v->range_count == v->range_room)
		v->cramped = true;
	else
		v->ranges[v->range_count++] = (struct na_range){ (uintptr_t)p, (uintptr_t)p + size };
}

static uintptr_t key(const char *base, size_t i, size_t size)
{
	uintptr_t k;

	memcpy(&k, base + i * size, sizeof(k));
	return k;
}

static void swap(char *base, size_t i, size_t k, size_t size)
{
	char t[64];

	memcpy(t, base + i * size, size);
	memcpy(base + i * size, base + k * size, size);
	memcpy(base + k * size, t, size);
}

static void sift(char *base, size_t i, size_t count, size_t size)
{
	for (size_t child; (child = 2 * i + 1) < count; i = child) {
		if (child + 1 < count && key(base, child + 1, size) > key(base, child, size))
			child++;
		if (key(base, i, size) >= key(base, child, size))
			return;
		swap(base, i, child, size);
	}
}

/* Not the C library's: that may allocate. */
void na_survey_sort(void *base, size_t count, size_t size)
{
	for (size_t i = count / 2; i-- > 0;)
		sift(base, i, count, size);
	for (size_t i = count; i-- > 1;) {
		swap(base, 0, i, size);
		sift(base, 0, i, size);
	}
}

bool na_survey_mend(void *object, size_t from, size_t to, bool (*whole)(const void *))
{
	unsigned char *bytes = object;

	for (size_t i = from; i < to; i++) {
		unsigned char was = bytes[i];

		for (unsigned int other = 1; other < 256; other++) {
			bytes[i] = (unsigned char)(was ^ other);
			if (whole(object))
				return true;
		}
		bytes[i] = was;
	}
	return false;
}

/* ---- locks ---- */

/* False if it is not to be had. A word that is none of a lock's is nobody's, and a repair frees it. */
static bool lock_or_tell(struct na_survey *v, struct na_lock *lock, const char *whose)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

	if (word > 2 && na_fault(v, "the lock of %s says %u, which is no state of a lock", whose, word)) {
		na_lock_reset(lock);
		v->rebuilt++;
	}
	for (int i = 0; i < LOCK_MS + 200; i++) {
		if (v->lock_count < v->lock_room && na_trylock(lock)) {
			v->locks[v->lock_count++] = lock;
			return true;
		}
		if (word > 2)
			return false;
		if (i < 200)
			sched_yield();
		else
			nanosleep(&pause, NULL);
	}
	na_fault(v, "the lock of %s is held for %d s", whose, LOCK_MS / 1000);
	return false;
}

/* Lock order as fork's: named pools, caches, pools, arenas. */
static void lock_all(struct na_survey *v)
{
	na_survey_sampled(v);
	lock_or_tell(v, &na_named_list.lock, "the list of named pools");
	na_survey_named(v);
	for (uint32_t i = na_pool_count; i < v->pool_count; i++) {
		struct na_named *n = (struct na_named *)((char *)v->pools[i] - offsetof(struct na_named, pool));

		uint32_t first = v->cache_count;

		lock_or_tell(v, &n->lock, "a named pool");
		na_survey_caches_of(v, n);
		for (uint32_t k = first; k < v->cache_count; k++)
			lock_or_tell(v, &v->caches[k]->lock, "a named pool's cache");
		lock_or_tell(v, &n->pool.lock, "a named pool's pool");
		lock_or_tell(v, &n->pool.arena.lock, "a named pool's arena");
	}
	lock_or_tell(v, &na_named_list.arena.lock, "the named pools' arena");
	v->named_count = v->cache_count;
	na_survey_caches(v);
	for (uint32_t i = v->named_count; i < v->cache_count; i++)
		lock_or_tell(v, &v->caches[i]->lock, "a thread's cache");
	for (uint32_t i = 0; i < v->sampled_count; i++)
		lock_or_tell(v, &v->caches[i]->lock, "a pool's cache for samples");
	for (uint32_t i = 0; i < na_pool_count; i++) {
		lock_or_tell(v, &na_pools[i].lock, "a pool");
		lock_or_tell(v, &na_pools[i].arena.lock, "a pool's arena");
	}
	for (uint32_t i = 0, known = 0; i < na_pool_count; i++) /* made meanwhile: what is theirs is not known */
		if (na_sampled_cache(i) && ++known > v->sampled_count)
			v->cramped = true;
}

static void unlock_all(struct na_survey *v)
{
	while (v->lock_count)
		na_unlock(v->locks[--v->lock_count]);
}

/* Pages of the map that were ever written: the rest reads as zero, and need not be looked at. */
static void find_map_pages(struct na_survey *v)
{
	unsigned char resident[64];
	uintptr_t start = (uintptr_t)na_map.entry & ~(NA_PAGE - 1);

	/* Bit i: the page of memory that begins at or before entry i * 512. */
	for (size_t i = 0; i < NA_MAP_ENTRIES / 512; i += 64) {
		uintptr_t from = start + i * NA_PAGE;

		v->map_pages[i / 64] = 0;
		for (size_t k = 0; k < 64; k++)
			if (!na_map_covers((uintptr_t)(i + k) * 512 << NA_SEGMENT_SHIFT, 1) ||
			    !na_map_covers((((uintptr_t)(i + k) * 512 + 511) << NA_SEGMENT_SHIFT), 1))
				goto next; /* a tight address limit: some of it is gone; what is left is hardly touched */
		if (na_os.resident((void *)from, 64 * NA_PAGE, resident) < 0)
			memset(resident, 1, sizeof(resident));
		for (size_t k = 0; k < 64; k++)
			v->map_pages[i / 64] |= (uint64_t)(resident[k] & 1) << k;
	next:;
	}
	if (na_os.resident((void *)(((uintptr_t)na_map.nowhere + NA_PAGE - 1) & ~(NA_PAGE - 1)), 63 * NA_PAGE,
			   resident) < 0)
		memset(resident, 1, sizeof(resident));
	v->nowhere_pages = 0;
	for (size_t k = 0; k < 63; k++)
		v->nowhere_pages |= (uint64_t)(resident[k] & 1) << k;
}

void na_survey_run(struct na_survey *v, bool fix)
{
	v->fix = fix;
	v->faults = v->rebuilt = v->barred = v->barred_bytes = v->lost = v->lost_bytes = 0;
	v->known_count = v->stacked_count = v->range_count = 0;
	v->cramped = false;
	find_map_pages(v);
	na_lock(&na_merging_lock); /* spans that are being merged are in no list */
	na_maintenance_pause();
	na_survey_chunks(v);
	lock_all(v);
	na_survey_pools(v);
	na_survey_segments(v);
	na_survey_slices(v);
	na_survey_stacks(v);
	na_survey_lists(v);
	na_survey_places(v);
	na_survey_held(v);
	na_survey_arenas(v);
	na_guard_survey(v);
	unlock_all(v);
	na_maintenance_resume();
	na_unlock(&na_merging_lock);
}
