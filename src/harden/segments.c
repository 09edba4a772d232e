/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which segments there are: what the pools' tables and lists say, and what the map says; and the map itself. See survey.h.
 *
 * A segment that only one of them knows, and whose seal is whole, tells that the other is damaged; one without a whole seal that
 * only one knows is no segment.
 */
#include <string.h>

#include "harden/survey.h"
#include "os/os.h"

static bool whole(const void *segment)
{
	return ((const struct na_segment *)segment)->seal == na_segment_sealing(segment);
}

static bool may_be(struct na_survey *v, const struct na_segment *s)
{
	return na_survey_meta(v, s, sizeof(*s), alignof(struct na_span));
}

static void add(struct na_survey *v, struct na_segment *s, struct na_pool *pool, uint8_t from)
{
	if (v->known_count == v->known_room)
		v->cramped = true;
	else
		v->known[v->known_count++] = (struct na_known){ s, pool, from };
}

static void merge(struct na_survey *v)
{
	uint32_t n = 0;

	na_survey_sort(v->known, v->known_count, sizeof(*v->known));
	for (uint32_t i = 0; i < v->known_count; i++) {
		if (n && v->known[n - 1].segment == v->known[i].segment) {
			v->known[n - 1].from |= v->known[i].from;
			if (v->known[n - 1].from == NA_FROM_MAP)
				v->known[n - 1].pool = v->known[i].pool;
			else if (v->known[i].from != NA_FROM_MAP)
				v->known[n - 1].pool = v->known[i].pool;
		} else {
			v->known[n++] = v->known[i];
		}
	}
	v->known_count = n;
}

/* ---- what pools say ---- */

static struct na_segment_ref *block_of(struct na_survey *v, struct na_pool *pool, uint32_t block)
{
	struct na_segment_ref *refs = pool->table[block];

	return na_survey_meta(v, refs, sizeof(*refs) << NA_TABLE_SHIFT, 64) ? refs : NULL;
}

static void collect_table(struct na_survey *v, struct na_pool *pool)
{
	for (uint32_t block = 0; block < 64; block++) {
		struct na_segment_ref *refs = block_of(v, pool, block);

		for (uint32_t i = 0; refs && i < 1u << NA_TABLE_SHIFT; i++)
			if (refs[i].segment && may_be(v, refs[i].segment))
				add(v, refs[i].segment, pool, NA_FROM_TABLE);
	}
}

static void collect_list(struct na_survey *v, struct na_pool *pool, struct na_segment *s, uint8_t from)
{
	for (uint32_t n = 0; s && may_be(v, s) && n < v->known_room && !v->cramped; s = s->next, n++)
		add(v, s, pool, from);
}

/* ---- what the map says ---- */

static struct na_segment *decode(uintptr_t entry, size_t i)
{
	uint32_t low = (uint32_t)((uintptr_t)i << NA_SEGMENT_SHIFT);

	return (struct na_segment *)((uintptr_t)&na_map + entry + (low >> NA_SLICE_SHIFT) * sizeof(uint32_t) -
				     offsetof(struct na_segment, id));
}

/* The next entry that is not 0, of those that were ever written; NA_MAP_ENTRIES: none. */
static size_t next_entry(const struct na_survey *v, size_t i)
{
	size_t shift = ((uintptr_t)na_map.entry & (NA_PAGE - 1)) / sizeof(uintptr_t);

	for (; i < NA_MAP_ENTRIES; i++) {
		size_t page = (i + shift) / 512;

		if (page < NA_MAP_ENTRIES / 512 && !(v->map_pages[page / 64] >> (page % 64) & 1)) {
			i = (page + 1) * 512 - shift - 1;
			continue;
		}
		if (page >= NA_MAP_ENTRIES / 512 && !na_map_covers((uintptr_t)i << NA_SEGMENT_SHIFT, 1))
			return NA_MAP_ENTRIES;
		if (atomic_load_explicit(&na_map.entry[i], memory_order_relaxed))
			return i;
	}
	return NA_MAP_ENTRIES;
}

static void collect_map(struct na_survey *v)
{
	uint32_t told = v->known_count;
	struct na_segment *last = NULL;

	for (size_t i = next_entry(v, 0); i < NA_MAP_ENTRIES; i = next_entry(v, i + 1)) {
		struct na_segment *s = decode(atomic_load_explicit(&na_map.entry[i], memory_order_relaxed), i);
		uint32_t all = v->known_count;
		struct na_known *k;

		if (s == last || !may_be(v, s))
			continue;
		last = s;
		v->known_count = told; /* the part that is sorted */
		k = na_survey_segment(v, s);
		v->known_count = all;
		if (k)
			k->from |= NA_FROM_MAP;
		else if (whole(s) && s->pool)
			add(v, s, s->pool, NA_FROM_MAP);
	}
	merge(v);
}

/* What nobody can be sure of goes: it is in a table, but neither in the map, nor whole. */
static void drop_strangers(struct na_survey *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->known_count; i++) {
		struct na_known *k = &v->known[i];

		if ((k->from & NA_FROM_MAP) || whole(k->segment))
			v->known[n++] = *k;
	}
	v->known_count = n;
}

/* ---- segments' own fields ---- */

/* What the table and the map say of where a segment is. */
static void ask_others(struct na_survey *v, struct na_pool *pool, const struct na_segment *s, struct na_segment *copy)
{
	for (uint32_t i = 0; i < 64u << NA_TABLE_SHIFT; i++) {
		struct na_segment_ref *ref = na_survey_ref(v, pool, i);

		if (ref && ref->segment == s) {
			copy->index = i;
			break;
		}
		if (!ref)
			i |= (1u << NA_TABLE_SHIFT) - 1;
	}
	for (size_t e = next_entry(v, 0); e < NA_MAP_ENTRIES; e = next_entry(v, e + 1))
		if (decode(atomic_load_explicit(&na_map.entry[e], memory_order_relaxed), e) == s) {
			copy->base = (uintptr_t)e << NA_SEGMENT_SHIFT;
			break;
		}
}

/* What the pool's sums leave for one segment: right if the seal says so. */
static bool ask_sums(struct na_survey *v, const struct na_known *k, struct na_segment *copy)
{
	uint64_t length = k->pool->reserved,
		 committed = k->from & NA_FROM_KEPT ? k->pool->huge_kept_bytes : k->pool->huge_bytes;
	size_t was = copy->length;

	for (uint32_t i = 0; i < v->known_count; i++) {
		const struct na_known *other = &v->known[i];

		if (other == k || other->pool != k->pool)
			continue;
		length -= other->segment->length;
		if (other->segment->huge && !((other->from ^ k->from) & (NA_FROM_KEPT | NA_FROM_LIVE)))
			committed -= other->segment->committed;
	}
	copy->length = length;
	if (whole(copy))
		return true;
	copy->length = was;
	was = copy->committed;
	copy->committed = committed;
	if (whole(copy))
		return true;
	copy->committed = was;
	return false;
}

static void mend_segment(struct na_survey *v, struct na_known *k)
{
	struct na_segment *s = k->segment, *copy = v->spare;
	const size_t from = offsetof(struct na_segment, pool);
	static const struct {
		size_t at, size;
	} fields[] = {
#define FIELD(f) { offsetof(struct na_segment, f), sizeof(((struct na_segment *)0)->f) }
		FIELD(base),	FIELD(length), FIELD(committed), FIELD(huge),
		FIELD(hugetlb), FIELD(index),  FIELD(placement), FIELD(pool)
	};
	bool mended = false;

	memcpy((char *)copy + from, (char *)s + from, sizeof(*s) - from);
	copy->pool = k->pool;
	mended = whole(copy);
	if (!mended && na_survey_near(copy->seal, na_segment_sealing(copy))) {
		na_segment_seal(copy);
		s->seal = copy->seal;
		mended = true;
	}
	if (!mended) {
		uint32_t index = copy->index;
		uintptr_t base = copy->base;

		ask_others(v, k->pool, s, copy);
		mended = whole(copy) || ask_sums(v, k, copy);
		if (!mended && copy->length == 0)
			copy->base = base;
		if (!mended && s->huge)
			copy->index = index;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && !mended; i++)
		mended = na_survey_mend(copy, fields[i].at, fields[i].at + fields[i].size, whole);
	if (mended) {
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			memcpy((char *)s + fields[i].at, (char *)copy + fields[i].at, fields[i].size);
	} else {
		/* A whole field is gone. Its place is in the map, the rest where it is known from. */
		s->pool = k->pool;
		s->huge = !(k->from & (NA_FROM_TABLE | NA_FROM_VACANT));
		ask_others(v, k->pool, s, s);
		if (!s->huge && (s->length % NA_SLICE || s->length > NA_SEGMENT))
			s->length = NA_SEGMENT;
		/* Of a block's mapping whose length is gone no more is certain than what its block has. */
		if (s->huge && (s->length % NA_PAGE || s->length >> (NA_ADDRESS_BITS - 1) || !s->length)) {
			s->length = s->committed && s->committed >> (NA_ADDRESS_BITS - 1) == 0 &&
						    s->committed % NA_PAGE == 0
					    ? s->committed
					    : NA_PAGE;
			if (s->length < s->span[0].length && s->span[0].length >> (NA_ADDRESS_BITS - 1) == 0)
				s->length = s->span[0].length;
		}
		na_segment_seal(s);
	}
	v->rebuilt++;
}

static void check_segment(struct na_survey *v, struct na_known *k)
{
	struct na_segment *s = k->segment;

	if (!whole(s) && na_fault(v, "segment %p: its place, length or kind has changed", (void *)s->base))
		mend_segment(v, k);
	if (s->pool != k->pool &&
	    na_fault(v, "segment %p names another pool than the one that has it", (void *)s->base)) {
		s->pool = k->pool;
		na_segment_seal(s);
		v->rebuilt++;
	}
	if (s->busy && s->busy != NA_BUSY && na_fault(v, "segment %p: it is neither busy nor not", (void *)s->base)) {
		s->busy = 0;
		v->rebuilt++;
	}
}

/* ---- tables and lists ---- */

static bool knows(struct na_survey *v, const struct na_segment *s, const struct na_pool *pool)
{
	struct na_known *k = na_survey_segment(v, s);

	return k && k->pool == pool;
}

/* The segment of a pool that shall have that place in its table. */
static struct na_segment *by_index(struct na_survey *v, const struct na_pool *pool, uint32_t index)
{
	for (uint32_t i = 0; i < v->known_count; i++) {
		struct na_segment *s = v->known[i].segment;

		if (v->known[i].pool == pool && s->index == index && !s->huge && whole(s))
			return s;
	}
	return NULL;
}

/* A block of the table whose pointer is damaged: a byte of it is wrong, or it is lost. */
static bool block_whole(struct na_survey *v, const struct na_pool *pool, struct na_segment_ref *refs, uint32_t first)
{
	return na_survey_meta(v, refs, sizeof(*refs) << NA_TABLE_SHIFT, 64) && refs[0].segment &&
	       refs[0].segment == by_index(v, pool, first);
}

static void mend_block(struct na_survey *v, struct na_pool *pool, uint32_t block)
{
	uintptr_t was = (uintptr_t)pool->table[block];

	for (uint32_t byte = 0; byte < sizeof(was); byte++)
		for (uintptr_t other = 1; other < 256; other++) {
			struct na_segment_ref *refs = (struct na_segment_ref *)(was ^ other << (byte * 8));

			if (!block_whole(v, pool, refs, block << NA_TABLE_SHIFT))
				continue;
			pool->table[block] = refs;
			v->rebuilt++;
			return;
		}
	/* By what it must hold: the chunks are searched for the address of its first segment. */
	for (uint32_t i = 0; i < atomic_load_explicit(&na_chunks.most, memory_order_relaxed) && i < NA_CHUNKS; i++) {
		uintptr_t word = na_chunk_word(i), at = na_chunk_start(word) + NA_CHUNK_FIRST;

		for (; word && at + (sizeof(struct na_segment_ref) << NA_TABLE_SHIFT) <=
				       na_chunk_start(word) + na_chunk_size(word);
		     at += 64)
			if (block_whole(v, pool, (struct na_segment_ref *)at, block << NA_TABLE_SHIFT)) {
				pool->table[block] = (struct na_segment_ref *)at;
				v->rebuilt++;
				return;
			}
	}
}

static void check_ref(struct na_survey *v, struct na_pool *pool, struct na_segment_ref *ref, uint32_t index)
{
	bool stranger = !knows(v, ref->segment, pool) || (whole(ref->segment) && ref->segment->index != index);

	if (stranger && na_fault(v, "entry %u of a pool's table leads to no segment of it", index)) {
		struct na_segment *s = by_index(v, pool, index);

		if (s) {
			ref->segment = s;
			v->rebuilt++;
		}
	}
	if ((ref->max_free > NA_SLICES || ref->max_dirty > NA_SLICES) &&
	    na_fault(v, "entry %u of a pool's table has a bound above %u", index, (unsigned int)NA_SLICES)) {
		ref->max_free = ref->max_dirty = NA_SLICES;
		v->rebuilt++;
	}
}

static void check_table(struct na_survey *v, struct na_pool *pool)
{
	uint32_t used = 0;

	/* Their number is what is in the table: the rest of it was never written. */
	for (uint32_t block = 0; block < 64; block++) {
		struct na_segment_ref *refs = block_of(v, pool, block);

		if (!refs && (pool->table[block] || by_index(v, pool, block << NA_TABLE_SHIFT)) &&
		    na_fault(v, "block %u of a pool's table is not there", block)) {
			if (by_index(v, pool, block << NA_TABLE_SHIFT))
				mend_block(v, pool, block);
			else
				pool->table[block] = NULL;
			refs = block_of(v, pool, block);
		} else if (refs && refs[0].segment != by_index(v, pool, block << NA_TABLE_SHIFT) &&
			   by_index(v, pool, block << NA_TABLE_SHIFT) && !knows(v, refs[0].segment, pool) &&
			   na_fault(v, "block %u of a pool's table is another's", block)) {
			struct na_segment_ref *before = pool->table[block];

			mend_block(v, pool, block);
			if (pool->table[block] == before) /* it is the right one; its first entry is damaged */
				refs[0].segment = by_index(v, pool, block << NA_TABLE_SHIFT);
			refs = block_of(v, pool, block);
		}
		for (uint32_t i = 0; refs && i < 1u << NA_TABLE_SHIFT; i++)
			if (refs[i].segment || by_index(v, pool, (block << NA_TABLE_SHIFT) + i))
				used = (block << NA_TABLE_SHIFT) + i + 1;
			else if (i >= pool->segments)
				break;
	}
	if (pool->segments != used && na_fault(v, "a pool has %u segments, and says %u", used, pool->segments)) {
		pool->segments = used;
		v->rebuilt++;
	}
	for (uint32_t i = 0; i < used; i++) {
		struct na_segment_ref *refs = block_of(v, pool, i >> NA_TABLE_SHIFT);

		if (refs)
			check_ref(v, pool, &refs[i & ((1u << NA_TABLE_SHIFT) - 1)], i);
		if (refs && (i & ((1u << NA_TABLE_SHIFT) - 1)) == 0)
			na_survey_range(v, refs, sizeof(*refs) << NA_TABLE_SHIFT);
	}
}

/* Walks a list of segments; whether it is what it should be. */
static bool list_whole(struct na_survey *v, struct na_pool *pool, struct na_segment *head, bool doubly, uint32_t most,
		       uint32_t *count)
{
	const struct na_segment *before = NULL;

	*count = 0;
	for (struct na_segment *s = head; s; before = s, s = s->next) {
		if (!knows(v, s, pool) || (doubly && s->prev != before) || *count == most)
			return false;
		++*count;
	}
	return true;
}

/* Huge segments of the pool into the two lists: live is what has a block, or was in that list. */
static void relist_huge(struct na_survey *v, struct na_pool *pool)
{
	uint32_t count = 0;

	pool->huge_live = pool->huge_kept = NULL;
	for (uint32_t i = 0; i < v->known_count; i++) {
		struct na_known *k = &v->known[i];
		struct na_segment *s = k->segment, **head = &pool->huge_kept;

		if (k->pool != pool || !s->huge)
			continue;
		if (na_span_kind(&s->span[0]) == NA_SPAN_HUGE || (k->from & NA_FROM_LIVE))
			head = &pool->huge_live;
		s->prev = NULL;
		s->next = *head;
		if (*head)
			(*head)->prev = s;
		*head = s;
		k->from = (uint8_t)(NA_FROM_MAP | (head == &pool->huge_live ? NA_FROM_LIVE : NA_FROM_KEPT));
		count++;
	}
	atomic_store_explicit(&pool->huge_count, count, memory_order_relaxed);
	v->rebuilt++;
}

static void check_huge(struct na_survey *v, struct na_pool *pool)
{
	uint32_t live, kept, huge = 0, said = atomic_load_explicit(&pool->huge_count, memory_order_relaxed);
	bool ok;

	for (uint32_t i = 0; i < v->known_count; i++)
		huge += v->known[i].pool == pool && v->known[i].segment->huge;
	ok = list_whole(v, pool, pool->huge_live, true, v->known_room, &live);
	ok = list_whole(v, pool, pool->huge_kept, true, v->known_room, &kept) && ok;
	if ((!ok || live + kept != huge) &&
	    na_fault(v, "a pool's lists of huge blocks are broken: %u of %u are in them", live + kept, huge))
		relist_huge(v, pool);
	else if (said != huge && na_fault(v, "a pool has %u huge blocks, and says %u", huge, said)) {
		atomic_store_explicit(&pool->huge_count, huge, memory_order_relaxed);
		v->rebuilt++;
	}
}

static void check_vacant(struct na_survey *v, struct na_pool *pool)
{
	uint32_t count, vacant = 0;

	for (uint32_t i = 0; i < v->known_count; i++)
		vacant += v->known[i].pool == pool && !v->known[i].segment->huge && v->known[i].segment->length == 0;
	if ((!list_whole(v, pool, pool->vacant, false, vacant, &count) || count != vacant) &&
	    na_fault(v, "a pool's list of vacant segments is broken after %u of %u", count, vacant)) {
		pool->vacant = NULL;
		for (uint32_t i = 0; i < v->known_count; i++) {
			struct na_segment *s = v->known[i].segment;

			if (v->known[i].pool != pool || s->huge || s->length)
				continue;
			s->next = pool->vacant;
			pool->vacant = s;
		}
		v->rebuilt++;
	}
}

/* ---- the map ---- */

static uintptr_t entry_for(const struct na_segment *s, size_t i)
{
	return (uintptr_t)s->id - (uintptr_t)&na_map -
	       ((uint32_t)((uintptr_t)i << NA_SEGMENT_SHIFT) >> NA_SLICE_SHIFT) * sizeof(uint32_t);
}

static void check_map(struct na_survey *v)
{
	for (uint32_t k = 0; k < v->known_count; k++) {
		struct na_segment *s = v->known[k].segment;
		uintptr_t end = s->base + s->length;

		if (end < s->base || end >> NA_ADDRESS_BITS)
			continue;
		for (uintptr_t a = s->base; a < end; a += NA_SEGMENT) {
			size_t i = a >> NA_SEGMENT_SHIFT;

			if (atomic_load_explicit(&na_map.entry[i], memory_order_relaxed) != entry_for(s, i) &&
			    na_fault(v, "the map's entry for %p leads elsewhere", (void *)a)) {
				atomic_store_explicit(&na_map.entry[i], entry_for(s, i), memory_order_release);
				v->rebuilt++;
			}
		}
	}
	for (size_t i = next_entry(v, 0); i < NA_MAP_ENTRIES; i = next_entry(v, i + 1)) {
		struct na_segment *s = decode(atomic_load_explicit(&na_map.entry[i], memory_order_relaxed), i);
		uintptr_t a = (uintptr_t)i << NA_SEGMENT_SHIFT;

		if (na_survey_segment(v, s) && a + NA_SEGMENT > s->base && a < s->base + s->length)
			continue;
		if (na_fault(v, "the map has an entry for %p, where no segment is", (void *)a)) {
			atomic_store_explicit(&na_map.entry[i], 0, memory_order_release);
			v->rebuilt++;
		}
	}
	for (size_t i = 0; i < NA_LOW_SLICES; i++) {
		uintptr_t first = ((uintptr_t)na_map.nowhere + NA_PAGE - 1) & ~(NA_PAGE - 1),
			  at = (uintptr_t)&na_map.nowhere[i];

		if (at >= first && (at - first) / NA_PAGE < 63 && !(v->nowhere_pages >> ((at - first) / NA_PAGE) & 1)) {
			i += NA_PAGE / sizeof(uint32_t) - 1;
			continue;
		}
		if (na_map.nowhere[i] && na_fault(v, "the id of what is not ours is %u, not 0", na_map.nowhere[i])) {
			na_map.nowhere[i] = 0;
			v->rebuilt++;
		}
	}
}

void na_survey_segments(struct na_survey *v)
{
	for (uint32_t i = 0; i < v->pool_count; i++) {
		collect_table(v, v->pools[i]);
		collect_list(v, v->pools[i], v->pools[i]->huge_live, NA_FROM_LIVE);
		collect_list(v, v->pools[i], v->pools[i]->huge_kept, NA_FROM_KEPT);
		collect_list(v, v->pools[i], v->pools[i]->vacant, NA_FROM_VACANT);
	}
	merge(v);
	collect_map(v);
	drop_strangers(v);
	for (uint32_t i = 0; i < v->known_count; i++) {
		if (!na_survey_pool(v, v->known[i].pool))
			v->known[i].pool = v->known[i].segment->pool;
		check_segment(v, &v->known[i]);
		na_survey_range(v, v->known[i].segment, sizeof(struct na_segment));
	}
	for (uint32_t i = 0; i < v->pool_count; i++) {
		check_table(v, v->pools[i]);
		check_huge(v, v->pools[i]);
		check_vacant(v, v->pools[i]);
	}
	check_map(v);
	memset(v->place, 0, (size_t)v->known_count * NA_SLICES);
}
