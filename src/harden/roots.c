/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where all else is found from: the table of chunks, the lists of named pools and of caches, what is constant in pools, and at last
 * the arenas, once it is known which of their blocks are in use. See survey.h.
 */
#include <string.h>

#include "cache/traps.h"
#include "harden/survey.h"
#include "heap/beyond.h"
#include "os/os.h"
#include "movable/movable.h"
#include "tracking/sample.h"

/* ---- the table of chunks ---- */

/* Whether a chunk of that size begins there: it is mapped, and says so itself. */
static bool is_chunk(uintptr_t word)
{
	unsigned char resident[256];
	uintptr_t start = na_chunk_start(word);
	size_t size = na_chunk_size(word);
	const struct na_chunk *chunk = (const struct na_chunk *)start;

	return start && size && size <= sizeof(resident) * NA_PAGE && start >> NA_ADDRESS_BITS == 0 &&
	       na_os.resident((void *)start, size, resident) == 0 && chunk->size == size;
}

void na_survey_chunks(struct na_survey *v)
{
	uint32_t used = 0, most = atomic_load_explicit(&na_chunks.most, memory_order_relaxed);

	for (uint32_t i = 0; i < NA_CHUNKS; i++) {
		uintptr_t word = atomic_load_explicit(&na_chunks.word[i], memory_order_relaxed);
		uintptr_t other = atomic_load_explicit(&na_chunks.not_word[i], memory_order_relaxed);

		/* Past the end a page that was never written stays so: one look each 4 KiB would do, but 128 KiB are soon read. */
		if (word || other)
			used = i + 1;
		if (word == (other ? other ^ NA_CHUNK_KEY : 0))
			continue;
		if (!na_fault(v, "entry %u of the table of chunks disagrees with its copy", i))
			continue;
		if (!is_chunk(word))
			word = other && is_chunk(other ^ NA_CHUNK_KEY) ? other ^ NA_CHUNK_KEY : 0;
		atomic_store_explicit(&na_chunks.word[i], word, memory_order_relaxed);
		atomic_store_explicit(&na_chunks.not_word[i], word ? word ^ NA_CHUNK_KEY : 0, memory_order_relaxed);
		v->rebuilt++;
	}
	/* Entries that were given back may make it larger than need be. */
	if ((most < used || most > NA_CHUNKS) &&
	    na_fault(v, "the table of chunks has %u entries, and says %u", used, most)) {
		atomic_store_explicit(&na_chunks.most, used, memory_order_relaxed);
		v->rebuilt++;
	}
}

/* ---- named pools ---- */

static bool is_named(struct na_survey *v, const struct na_named *n)
{
	return na_survey_meta(v, n, sizeof(*n), alignof(struct na_named)) && n->magic == NA_NAMED_MAGIC;
}

static void add_named(struct na_survey *v, struct na_named *n)
{
	if (v->pool_count == v->pool_room)
		v->cramped = true;
	else
		v->pools[v->pool_count++] = &n->pool;
}

static void add_shared(struct na_survey *v, struct na_cache *c, struct na_named *home)
{
	if (v->cache_count == v->cache_room) {
		v->cramped = true;
		return;
	}
	v->homes[v->cache_count] = home;
	v->caches[v->cache_count++] = c;
}

/* A cache of an arena's, beside those that lie in a structure of their own. */
static bool is_shared(struct na_survey *v, const struct na_cache *c, const struct na_arena *arena)
{
	uintptr_t word = (uintptr_t)c % 64 ? 0 : na_meta_chunk((uintptr_t)c, sizeof(*c), &v->hint);

	return word && ((struct na_chunk *)na_chunk_start(word))->arena == arena;
}

/* All chunks of the named pools' arena are filled from the start with structures of one size: those that are alive. */
static void relist_named(struct na_survey *v)
{
	const size_t unit = (size_t)64 << (64 - __builtin_clzl((sizeof(struct na_named) - 1) >> 6));

	na_named_list.first = NULL;
	na_named_list.count = 0;
	v->pool_count = na_pool_count;
	for (uint32_t i = 0; i < atomic_load_explicit(&na_chunks.most, memory_order_relaxed) && i < NA_CHUNKS; i++) {
		uintptr_t word = na_chunk_word(i);
		uintptr_t start = na_chunk_start(word), end = start + na_chunk_size(word);

		if (!word || ((struct na_chunk *)start)->arena != &na_named_list.arena)
			continue;
		for (uintptr_t at = (start + NA_CHUNK_FIRST + 127) & ~(uintptr_t)127; at + unit <= end; at += unit) {
			struct na_named *n = (struct na_named *)at;

			if (n->magic != NA_NAMED_MAGIC &&
			    (!n->pool.seal || n->pool.seal != na_pool_sealing(&n->pool) || n->cache.pool != &n->pool))
				continue;
			n->magic = NA_NAMED_MAGIC;
			n->next = na_named_list.first;
			na_named_list.first = n;
			na_named_list.count++;
			add_named(v, n);
		}
	}
	v->rebuilt++;
}

static bool power_of_two(size_t x)
{
	return x && (x & (x - 1)) == 0;
}

/* A group that has just been made is not in the table yet. */
static void check_group(struct na_survey *v, struct na_named *n)
{
	uint32_t hint = 0, caches;
	bool known;

	if (n->caches == 1 && n->hint == 0 && !na_named_cache(n, 1))
		return;
	known = na_group_known(n, &hint);
	caches = known || n->caches == NA_GROUP_CACHES ? NA_GROUP_CACHES : 1;
	if (!known)
		hint = caches == 1 ? 0 : n->hint;
	if ((n->caches != caches || n->hint != hint) &&
	    na_fault(v, "named pool \"%s\": how many caches it has, or of which hints its blocks are, has changed",
		     n->pool.name)) {
		n->caches = caches;
		n->hint = hint;
		v->rebuilt++;
	}
}

static bool is_cache_of(struct na_survey *v, struct na_named *n, uint32_t i, const struct na_cache *c)
{
	return i == 0 ? c == &n->cache : !c || is_shared(v, c, &n->pool.arena);
}

static bool is_sealed_cache_of(struct na_survey *v, struct na_named *n, uint32_t i, const struct na_cache *c)
{
	return c && is_cache_of(v, n, i, c) && c->pool == &n->pool && c->seal == na_cache_sealing(c);
}

/* Each is there twice: of two that disagree the one that is a cache. */
static void add_caches(struct na_survey *v, struct na_named *n)
{
	for (uint32_t i = 0; i < (n->caches == 1 ? 1 : NA_GROUP_CACHES); i++) {
		struct na_cache *c = na_named_cache(n, i);
		struct na_cache *other = n->not_more[i] ? (struct na_cache *)~n->not_more[i] : NULL;

		if ((c != other || !is_cache_of(v, n, i, c)) &&
		    na_fault(v, "named pool \"%s\": its cache %u is in doubt", n->pool.name, i)) {
			if (!is_sealed_cache_of(v, n, i, c))
				c = i == 0 ? &n->cache : is_sealed_cache_of(v, n, i, other) ? other : NULL;
			n->not_more[i] = c ? ~(uintptr_t)c : 0;
			atomic_store_explicit(&n->more[i], c, memory_order_release);
			v->rebuilt++;
		}
		if (c && is_cache_of(v, n, i, c))
			add_shared(v, c, n);
	}
}

void na_survey_caches_of(struct na_survey *v, struct na_named *n)
{
	add_caches(v, n);
}

static void check_named(struct na_survey *v, struct na_named *n)
{
	if ((!power_of_two(n->alignment) || n->alignment < 16 || n->alignment > NA_PAGE) &&
	    na_fault(v, "named pool \"%s\": its alignment is %zu", n->pool.name, n->alignment)) {
		n->alignment = NA_PAGE; /* serves whatever it was */
		v->rebuilt++;
	}
	check_group(v, n);
	if (n->users > 64 && na_fault(v, "named pool \"%s\": %u threads purge it", n->pool.name, n->users)) {
		n->users = 0;
		v->rebuilt++;
	}
}

void na_survey_named(struct na_survey *v)
{
	uint32_t count = 0;
	struct na_named *n;

	for (v->pool_count = 0; v->pool_count < na_pool_count; v->pool_count++)
		v->pools[v->pool_count] = &na_pools[v->pool_count];
	for (n = na_named_list.first; n && is_named(v, n) && count <= na_named_list.count; n = n->next, count++)
		add_named(v, n);
	if ((n || count != na_named_list.count) &&
	    na_fault(v, "the list of named pools is broken after %u of %u", count, na_named_list.count))
		relist_named(v);
	for (uint32_t i = na_pool_count; i < v->pool_count; i++)
		check_named(v, (struct na_named *)((char *)v->pools[i] - offsetof(struct na_named, pool)));
}

/* ---- caches ---- */

void na_survey_sampled(struct na_survey *v)
{
	v->cache_count = 0;
	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_cache *c = na_sampled_cache(i);

		if (c && is_shared(v, c, &na_pools[i].arena))
			add_shared(v, c, NULL);
		else if (c)
			na_fault(v, "pool %u: its cache for samples is none", i);
	}
	v->sampled_count = v->cache_count;
}

static bool is_cache(struct na_survey *v, const struct na_cache *c)
{
	return na_survey_meta(v, c, na_cache_bytes(), 64);
}

static void add_cache(struct na_survey *v, struct na_cache *c)
{
	if (v->cache_count == v->cache_room)
		v->cramped = true;
	else
		v->caches[v->cache_count++] = c;
}

/* From the table by number, which has the newest last. */
static void relist_caches(struct na_survey *v)
{
	struct na_cache *first = NULL;

	v->cache_count = v->named_count;
	for (uint32_t i = 0; i < NA_CACHE_TABLE; i++) {
		struct na_cache *c = atomic_load_explicit(&na_cache_table[i], memory_order_acquire);

		if (!c || !is_cache(v, c))
			continue;
		c->next_all = first;
		first = c;
		add_cache(v, c);
	}
	na_cache_set_first(first);
	v->rebuilt++;
}

void na_survey_caches(struct na_survey *v)
{
	uint32_t made = na_cache_made(), listed = 0;
	bool broken = false;
	struct na_cache *c;

	for (c = na_cache_first(); c && is_cache(v, c) && listed < v->cache_room; c = c->next_all, listed++)
		add_cache(v, c);
	broken = c != NULL;
	/* Each that the table has is in the list, and its number is its place. */
	for (uint32_t i = 0; i < NA_CACHE_TABLE; i++) {
		bool found = false;

		c = atomic_load_explicit(&na_cache_table[i], memory_order_acquire);
		for (uint32_t k = v->named_count; c && k < v->cache_count && !found; k++)
			found = v->caches[k] == c;
		if (!c || (found && c->number == i))
			continue;
		if (!found && is_cache(v, c) && c->number == i && c->seal == na_cache_sealing(c))
			broken = true; /* it is one, and the list does not have it */
		else if (!found && na_fault(v, "entry %u of the table of caches leads to none", i)) {
			atomic_store_explicit(&na_cache_table[i], NULL, memory_order_release);
			v->rebuilt++;
		} else if (found) { /* its seal tells which of the two is right; see stacks.c */
			continue;
		}
	}
	/* Where the list is broken it may have led to a cache that is no thread's. */
	for (uint32_t k = v->named_count; k < v->cache_count && !broken; k++) {
		uint32_t number = v->caches[k]->number;

		if (v->caches[k]->seal != na_cache_sealing(v->caches[k]) || number >= NA_CACHE_TABLE ||
		    atomic_load_explicit(&na_cache_table[number], memory_order_acquire) == v->caches[k])
			continue;
		if (na_fault(v, "cache %u is not in the table of caches", number)) {
			atomic_store_explicit(&na_cache_table[number], v->caches[k], memory_order_release);
			v->rebuilt++;
		}
	}
	if (broken && na_fault(v, "the list of caches is broken after %u of %u", listed, made) &&
	    made <= NA_CACHE_TABLE)
		relist_caches(v);
}

/* ---- pools ---- */

static bool pool_whole(const void *pool)
{
	return ((const struct na_pool *)pool)->seal == na_pool_sealing(pool);
}

static void mend_pool(struct na_survey *v, struct na_pool *pool)
{
	static struct na_pool copy; /* under the pools' locks */
	uint64_t seal = na_pool_sealing(pool);

	v->rebuilt++;
	if (na_survey_near(pool->seal, seal)) {
		pool->seal = seal;
		return;
	}
	memcpy(&copy, pool, sizeof(copy));
	if (na_survey_mend(&copy, offsetof(struct na_pool, node), offsetof(struct na_pool, limit) + sizeof(pool->limit),
			   pool_whole) ||
	    na_survey_mend(&copy, offsetof(struct na_pool, arena) + offsetof(struct na_arena, node),
			   offsetof(struct na_pool, arena) + offsetof(struct na_arena, node) + sizeof(int),
			   pool_whole) ||
	    na_survey_mend(&copy, offsetof(struct na_pool, name), offsetof(struct na_pool, name) + sizeof(pool->name),
			   pool_whole)) {
		pool->node = copy.node;
		memcpy(&pool->bound, &copy.bound, 1);
		memcpy(&pool->named, &copy.named, 1);
		memcpy(&pool->beyond, &copy.beyond, 1);
		pool->limit = copy.limit;
		pool->arena.node = copy.arena.node;
		memcpy(pool->name, copy.name, sizeof(copy.name));
	} else { /* more than a byte: what can be known otherwise, and the seal of the rest */
		pool->named = !(pool >= na_pools && pool < na_pools + NA_MAX_POOLS);
		pool->bound = na_pool_count > 1;
		pool->beyond = pool->named && na_beyond_owns(na_named_of(pool));
		if (pool->bound && pool->arena.node != pool->node && na_pool_of_node(pool->arena.node))
			pool->node = pool->arena.node;
		pool->arena.node = pool->bound ? pool->node : -1;
		if (!pool->named)
			pool->limit = 0;
		pool->name[sizeof(pool->name) - 1] = '\0';
		if (seal == na_pool_sealing(pool)) /* nothing of these */
			pool->limit = 0;
		pool->seal = na_pool_sealing(pool);
	}
}

void na_survey_pools(struct na_survey *v)
{
	for (uint32_t i = 0; i < v->pool_count; i++)
		if (v->pools[i]->seal != na_pool_sealing(v->pools[i]) &&
		    na_fault(v, "pool %u: its node, limit or name has changed", i))
			mend_pool(v, v->pools[i]);
}

/* ---- arenas ---- */

static struct na_range *range_at(struct na_survey *v, uintptr_t at)
{
	uint32_t low = 0, high = v->range_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (v->ranges[middle].from <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low && v->ranges[low - 1].to > at ? &v->ranges[low - 1] : NULL;
}

/* A free list ends, is of blocks of this arena that nobody uses, and has as many as it says. */
static void check_list(struct na_survey *v, struct na_arena *arena, unsigned int list)
{
	size_t size = (size_t)64 << list;
	uint32_t n = 0;
	void **link = &arena->free[list];

	for (; *link && n < arena->count[list]; link = *link, n++) {
		uintptr_t word = 0;

		if ((uintptr_t)*link % (size < 128 ? 64 : 128) == 0)
			word = na_meta_chunk((uintptr_t)*link, size, &v->hint);
		if (!word || ((struct na_chunk *)na_chunk_start(word))->arena != arena || range_at(v, (uintptr_t)*link))
			break;
	}
	if (!*link && n == arena->count[list])
		return;
	if (!na_fault(v, "a free list of metadata of %zu bytes is broken after %u of %u", size, n, arena->count[list]))
		return;
	if (*link && arena->count[list] > n && arena->count[list] - n < 65536) {
		v->barred += arena->count[list] - n;
		v->barred_bytes += (arena->count[list] - n) * size;
	}
	*link = NULL; /* what was behind it is never used again */
	arena->count[list] = n;
	v->rebuilt++;
}

static void relist_chunks(struct na_survey *v, struct na_arena *arena)
{
	arena->chunks = NULL;
	for (uint32_t i = 0; i < atomic_load_explicit(&na_chunks.most, memory_order_relaxed) && i < NA_CHUNKS; i++) {
		uintptr_t word = na_chunk_word(i);
		struct na_chunk *chunk = (struct na_chunk *)na_chunk_start(word);

		if (!chunk || chunk->arena != arena)
			continue;
		chunk->next = arena->chunks;
		chunk->size = na_chunk_size(word);
		arena->chunks = chunk;
	}
	v->rebuilt++;
}

/* One that is no pool's. */
static bool is_apart(const struct na_arena *arena)
{
	return arena == &na_named_list.arena || arena == na_sample_arena() || arena == &na_movable_arena;
}

/* Whether the arena that a chunk names has it in its list: then it is the link that leads here which is wrong. */
static bool is_anothers(struct na_survey *v, const struct na_chunk *chunk)
{
	const struct na_arena *arena = NULL;
	const struct na_chunk *c;

	if (is_apart(chunk->arena))
		arena = chunk->arena;
	for (uint32_t i = 0; i < v->pool_count && !arena; i++)
		if (chunk->arena == &v->pools[i]->arena)
			arena = chunk->arena;
	c = arena ? arena->chunks : NULL;
	for (uint32_t n = 0; c && c != chunk && n < NA_CHUNKS; n++)
		c = na_meta_chunk((uintptr_t)c + NA_CHUNK_FIRST, 64, &v->hint) ? c->next : NULL;
	return c != NULL;
}

/* Of all chunks: those of an arena must be in its list, of the right size. */
static void check_chunks(struct na_survey *v, struct na_arena *arena)
{
	uint64_t bytes = 0, listed = 0;
	uint32_t count = 0, n = 0;
	struct na_chunk *chunk;

	for (uint32_t i = 0; i < atomic_load_explicit(&na_chunks.most, memory_order_relaxed) && i < NA_CHUNKS; i++) {
		uintptr_t word = na_chunk_word(i);
		struct na_chunk *c = (struct na_chunk *)na_chunk_start(word);

		if (!c || c->arena != arena)
			continue;
		count++;
		bytes += na_chunk_size(word);
	}
	for (chunk = arena->chunks; chunk && n <= count; chunk = chunk->next, n++) {
		uintptr_t word =
			(uintptr_t)chunk % NA_PAGE ? 0 : na_meta_chunk((uintptr_t)chunk + NA_CHUNK_FIRST, 64, &v->hint);

		if (!word || na_chunk_start(word) != (uintptr_t)chunk ||
		    (chunk->arena != arena && is_anothers(v, chunk)))
			break;
		if (chunk->arena != arena &&
		    na_fault(v, "a chunk of metadata names another arena than the one that has it")) {
			chunk->arena = arena;
			count++;
			bytes += na_chunk_size(word);
			v->rebuilt++;
		}
		if (chunk->size != na_chunk_size(word) &&
		    na_fault(v, "a chunk of metadata says %zu bytes, not %zu", chunk->size, na_chunk_size(word))) {
			chunk->size = na_chunk_size(word);
			v->rebuilt++;
		}
		listed += na_chunk_size(word);
	}
	if ((chunk || n != count) && !atomic_load_explicit(&na_chunks.full, memory_order_relaxed) &&
	    na_fault(v, "a list of chunks of metadata is broken after %u of %u", n, count)) {
		relist_chunks(v, arena);
		listed = bytes;
	}
	bytes = atomic_load_explicit(&arena->mapped, memory_order_relaxed);
	if (bytes != listed && !chunk &&
	    na_fault(v, "an arena says that it has %llu bytes, and has %llu", (unsigned long long)bytes,
		     (unsigned long long)listed)) {
		atomic_store_explicit(&arena->mapped, listed, memory_order_relaxed);
		v->rebuilt++;
	}
}

/* Where the arena has yet given out nothing: in one of its chunks, to whose end it goes on, and past all that is in use there. */
static void check_rest(struct na_survey *v, struct na_arena *arena)
{
	uintptr_t next = (uintptr_t)arena->next, other = ~arena->not_next, end = (uintptr_t)arena->end, last = 0, word;

	if (!arena->next && !arena->end && !arena->not_next)
		return;
	word = end ? na_meta_chunk(end - 64, 64, &v->hint) : 0;
	if ((!word || na_chunk_start(word) + na_chunk_size(word) != end) &&
	    na_fault(v, "an arena's end is that of none of its chunks")) {
		/* Before the first block of a chunk is there as well: an arena that has just got one. */
		word = na_meta_chunk(next == other && next ? next - (next % NA_PAGE ? 64 : 0)
							   : other - (other % NA_PAGE ? 64 : 0),
				     1, &v->hint);
		arena->end = word ? (char *)(na_chunk_start(word) + na_chunk_size(word)) : NULL;
		v->rebuilt++;
	}
	for (uint32_t i = 0; word && i < v->range_count; i++)
		if (v->ranges[i].to <= (uintptr_t)arena->end && v->ranges[i].from >= na_chunk_start(word) &&
		    v->ranges[i].to > last)
			last = v->ranges[i].to;
	if (next == other && next >= last && next <= (uintptr_t)arena->end)
		return;
	if (!na_fault(v, "an arena's next free byte is in doubt"))
		return;
	/* Of two that disagree the one that may be; if both may, the later one, which leaves more alone. */
	if (!word) {
		next = (uintptr_t)arena->end;
	} else {
		uintptr_t start = na_chunk_start(word), stop = (uintptr_t)arena->end;
		bool a = next > start && next <= stop && next % 64 == 0 && next >= last;
		bool b = other > start && other <= stop && other % 64 == 0 && other >= last;

		next = a && (!b || next > other) ? next : b ? other : stop;
	}
	arena->next = (char *)next;
	arena->not_next = next ? ~next : 0;
	v->rebuilt++;
}

static void check_arena(struct na_survey *v, struct na_arena *arena)
{
	check_chunks(v, arena);
	check_rest(v, arena);
	for (unsigned int list = 0; list < NA_ARENA_LISTS; list++)
		check_list(v, arena, list);
}

void na_survey_arenas(struct na_survey *v)
{
	for (uint32_t i = 0; i < v->cache_count; i++)
		if (i >= v->named_count)
			na_survey_range(v, v->caches[i], na_cache_bytes());
		else if (v->homes[i] && v->caches[i] == &v->homes[i]->cache)
			na_survey_range(v, v->homes[i], sizeof(struct na_named));
		else
			na_survey_range(v, v->caches[i], sizeof(struct na_cache));
	na_survey_sort(v->ranges, v->range_count, sizeof(*v->ranges));
	for (uint32_t i = 1; i < v->range_count; i++)
		if (v->ranges[i].from < v->ranges[i - 1].to)
			na_fault(v, "two pieces of metadata overlap at %p", (void *)v->ranges[i].from);
	check_arena(v, &na_named_list.arena);
	for (uint32_t i = 0; i < v->pool_count; i++)
		check_arena(v, &v->pools[i]->arena);
	if (na_pool_count == 0)
		return;
	/* One that names an arena which does not have it is none's. */
	for (uint32_t i = 0; i < atomic_load_explicit(&na_chunks.most, memory_order_relaxed) && i < NA_CHUNKS; i++) {
		uintptr_t word = na_chunk_word(i);
		const struct na_chunk *c = (const struct na_chunk *)na_chunk_start(word);
		bool known = !c || is_apart(c->arena);

		for (uint32_t k = 0; k < v->pool_count && !known; k++)
			known = c->arena == &v->pools[k]->arena;
		if (!known && na_chunk_size(word) == c->size)
			na_fault(v, "a chunk of metadata is of no arena");
	}
}
