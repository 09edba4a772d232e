/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every field of the metadata is damaged once, one at a time, in each state that its structure can be in: each is found. Then again, and
 * repaired: afterwards nothing is wrong any more, every live block has its contents, and the heap gives and takes.
 */
#include "harden/integrity.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/options.h"
#include "everything.h"
#include "harden/survey.h"
#include "support/unit.h"

struct target {
	char what[80];
	unsigned char *at;
	size_t size;
	unsigned char mask[8]; /* of what may be flipped of it; all, where zero */
};

static struct target targets[4000];
static size_t target_count;
static struct na_survey survey;
static const char *doing;
static bool damaged_before; /* repairs leave other states behind: then not each is there to aim at */

static void aim(const char *structure, const char *state, const char *field, volatile void *at, size_t size,
		uint64_t mask)
{
	struct target *t = &targets[target_count++];

	assert_true(target_count < sizeof(targets) / sizeof(targets[0]));
	snprintf(t->what, sizeof(t->what), "%s (%s): %s", structure, state, field);
	t->at = (unsigned char *)(uintptr_t)at;
	t->size = size;
	memset(t->mask, 0, sizeof(t->mask));
	if (mask)
		memcpy(t->mask, &mask, sizeof(mask));
}

#define AIM(structure, state, object, field) aim(structure, state, #field, &(object)->field, sizeof((object)->field), 0)
#define AIM_BITS(structure, state, object, field, m)                                                                   \
	aim(structure, state, #field, &(object)->field, sizeof((object)->field), m)

/* ---- where to aim ---- */

static void aim_at_small(struct na_span *s, const char *state, bool listed, bool queued)
{
	uint32_t groups = (s->slots + 63u) / 64;

	AIM("span", state, s, base);
	AIM("span", state, s, taken);
	AIM("span", state, s, remote);
	AIM("span", state, s, cache);
	AIM("span", state, s, reciprocal);
	AIM("span", state, s, used);
	AIM("span", state, s, size);
	AIM("span", state, s, slices);
	AIM("span", state, s, flag);
	AIM("span", state, s, slots);
	AIM("span", state, s, carved);
	AIM("span", state, s, not_carved);
	AIM("span", state, s, cls);
	AIM("span", state, s, kind);
	AIM("span", state, s, seal);
	AIM("span", state, s, parity);
	AIM("span", state, s, moving);
	aim("span", state, "listed", &s->listed, 1, 0);
	AIM_BITS("span", state, s, left_at, 0x8000);
	if (listed) {
		AIM("span", state, s, next);
		AIM("span", state, s, prev);
	}
	if (queued)
		AIM("span", state, s, next_queued);
	for (uint32_t i = 0; i<groups; i += groups> 8 ? groups / 4 : 1) {
		uint32_t left = s->slots - i * 64;

		aim("span", state, "a word of taken", &s->taken[i], 8, left >= 64 ? 0 : (UINT64_C(1) << left) - 1);
		if (!atomic_load(&s->cache) || atomic_load(&atomic_load(&s->cache)->state) != NA_CACHE_NAMED)
			/* A bit of a slot that is free in its span is a program's that freed twice: those that are taken. */
			aim("span", state, "a word of remote", &s->remote[i], 8, na_span_taken(s, i));
	}
}

static void aim_at_spans(void)
{
	static const char *const names[] = { "current", "listed", "parked",	      "queued",
					     "idle",	"named",  "queued and listed" };
	bool done[7] = { false };

	for (uint32_t i = 0; i < survey.known_count; i++)
		for (uint32_t at = 0; at < NA_SLICES; at++) {
			struct na_span *s = &survey.known[i].segment->span[at];
			uint8_t place = survey.place[(size_t)i * NA_SLICES + at];
			struct na_cache *c;
			int state;

			if (survey.known[i].segment->huge || na_span_kind(s) != NA_SPAN_SMALL)
				continue;
			c = atomic_load(&s->cache);
			if (atomic_load(&c->state) == NA_CACHE_NAMED)
				state = 5;
			else if (place & NA_PLACE_QUEUE)
				state = s->listed ? 6 : 3;
			else if (atomic_load(&c->state) == NA_CACHE_IDLE && s->listed)
				state = 4;
			else
				state = place & NA_PLACE_CURRENT ? 0 : s->listed ? 1 : 2;
			if (done[state])
				continue;
			done[state] = true;
			aim_at_small(s, names[state], s->listed, place & NA_PLACE_QUEUE);
			if (s->slices > 1 || state == 0) {
				AIM("segment", names[state], survey.known[i].segment, id[at]);
			}
		}
}

static void aim_at_slices(void)
{
	bool large = false, tail = false, none = false, dirty = false, many = false;

	for (uint32_t i = 0; i < survey.known_count; i++) {
		struct na_segment *g = survey.known[i].segment;

		for (uint32_t at = 0; at < NA_SLICES && !g->huge; at++) {
			struct na_span *s = &g->span[at];
			uint64_t bit = UINT64_C(1) << (at % 64);

			if (na_span_kind(s) == NA_SPAN_LARGE && !large) {
				large = true;
				AIM("span", "large", s, base);
				AIM("span", "large", s, length);
				AIM("span", "large", s, slices);
				AIM("span", "large", s, kind);
				AIM("span", "large", s, seal);
				aim("segment", "of a large block", "id", &g->id[at], 4, 0);
				aim("segment", "of a large block", "bit of free", &g->free[at / 64], 8, bit);
				aim("segment", "of a large block", "bit of dirty", &g->dirty[at / 64], 8, bit);
			} else if (na_span_kind(s) == NA_SPAN_TAIL && !tail) {
				tail = true;
				AIM("span", "tail", s, slices);
				AIM("span", "tail", s, kind);
				aim("segment", "of a tail", "bit of free", &g->free[at / 64], 8, bit);
			} else if ((g->dirty[at / 64] & bit) && !dirty) {
				dirty = true;
				aim("segment", "kept", "bit of free", &g->free[at / 64], 8, bit);
				aim("segment", "kept", "bit of dirty", &g->dirty[at / 64], 8, bit);
				AIM("span", "kept", s, kind);
			} else if ((g->free[at / 64] & bit) && !(g->dirty[at / 64] & bit) && !none) {
				none = true;
				aim("segment", "free", "bit of free", &g->free[at / 64], 8, bit);
				aim("segment", "free", "bit of dirty", &g->dirty[at / 64], 8, bit);
				aim("segment", "free", "id", &g->id[at], 4, 0);
				AIM("span", "free", s, kind);
			} else if (na_span_kind(s) == NA_SPAN_SMALL && s->slices > 1 && !many) {
				many = true;
				AIM("span", "of several slices", s, slices);
				AIM("span", "second slice", &s[1], kind);
				AIM("span", "second slice", &s[1], slices);
				aim("segment", "second slice", "id", &g->id[at + 1], 4, 0);
			}
		}
	}
	assert_true(damaged_before || (large && tail && none && dirty && many));
}

static void aim_at_segment(struct na_segment *g, const char *state)
{
	AIM("segment", state, g, pool);
	AIM("segment", state, g, base);
	AIM("segment", state, g, length);
	AIM("segment", state, g, committed);
	AIM("segment", state, g, index);
	AIM("segment", state, g, busy);
	AIM("segment", state, g, seal);
	aim("segment", state, "huge", &g->huge, 1, 0);
	aim("segment", state, "hugetlb", &g->hugetlb, 1, 0);
	aim("map", state, "entry", &na_map.entry[g->base >> NA_SEGMENT_SHIFT], 8, 0);
	if (g->huge) {
		AIM("segment", state, g, next);
		AIM("segment", state, g, prev);
		aim("segment", state, "placement.kind", &g->placement.kind, 1, 0);
	}
}

static void aim_at_segments(void)
{
	bool usual = false, live = false, kept = false;

	for (uint32_t i = 0; i < survey.known_count; i++) {
		struct na_segment *g = survey.known[i].segment;

		if (!g->huge && !usual) {
			usual = true;
			aim_at_segment(g, "of slices");
		} else if (g->huge && na_span_kind(&g->span[0]) == NA_SPAN_HUGE && !live) {
			live = true;
			aim_at_segment(g, "huge");
			AIM("span", "huge", &g->span[0], base);
			AIM("span", "huge", &g->span[0], length);
			AIM("span", "huge", &g->span[0], kind);
			AIM("span", "huge", &g->span[0], seal);
		} else if (g->huge && (survey.known[i].from & NA_FROM_KEPT) && !kept) {
			kept = true;
			aim_at_segment(g, "kept");
			AIM("span", "kept huge", &g->span[0], kind);
		}
	}
	assert_true(damaged_before || (usual && live && kept));
	aim("map", "of nothing", "entry", &na_map.entry[5], 8, 0);
	aim("map", "of nothing", "id", &na_map.nowhere[77], 4, 0);
}

static void aim_at_arena(struct na_arena *a, const char *state)
{
	AIM("arena", state, a, lock);
	AIM("arena", state, a, next);
	AIM("arena", state, a, end);
	AIM("arena", state, a, not_next);
	AIM("arena", state, a, chunks);
	AIM("arena", state, a, mapped);
	for (int i = 0; i < NA_ARENA_LISTS; i++) {
		AIM("arena", state, a, count[i]);
		AIM("arena", state, a, free[i]);
		if (a->free[i])
			aim("arena", state, "a link of a free list", a->free[i], 8, 0);
	}
	aim("chunk", state, "next", &((struct na_chunk *)a->chunks)->next, 8, 0);
	aim("chunk", state, "size", &((struct na_chunk *)a->chunks)->size, 8, 0);
	aim("chunk", state, "arena", &((struct na_chunk *)a->chunks)->arena, 8, 0);
}

static void aim_at_pool(struct na_pool *p, const char *state)
{
	AIM("pool", state, p, lock);
	AIM("pool", state, p, node);
	aim("pool", state, "bound", &p->bound, 1, 0);
	aim("pool", state, "named", &p->named, 1, 0);
	aim("pool", state, "beyond", &p->beyond, 1, 0);
	AIM("pool", state, p, limit);
	aim("pool", state, "arena.node", &p->arena.node, sizeof(int), 0);
	AIM("pool", state, p, table[0]);
	AIM("pool", state, p, table[1]);
	AIM("pool", state, p, segments);
	AIM("pool", state, p, table[0][0].segment);
	AIM_BITS("pool", state, p, table[0][0].max_free, 0xf000);
	AIM_BITS("pool", state, p, table[0][0].max_dirty, 0xf000);
	AIM("pool", state, p, huge_live);
	AIM("pool", state, p, huge_kept);
	AIM("pool", state, p, vacant);
	if (!p->named)
		AIM("pool", state, p, idle);
	AIM("pool", state, p, dirty_slices);
	AIM("pool", state, p, used_slices);
	AIM("pool", state, p, out_slices);
	AIM("pool", state, p, reserved);
	AIM("pool", state, p, huge_bytes);
	AIM("pool", state, p, huge_kept_bytes);
	AIM("pool", state, p, huge_count);
	AIM("pool", state, p, large_live);
	AIM("pool", state, p, large_count);
	AIM("pool", state, p, large_freed);
	AIM("pool", state, p, seal);
	aim("pool", state, "name", &p->name[2], 1, 0);
	aim_at_arena(&p->arena, state);
}

static void aim_at_bin(struct na_cache *c, struct na_bin *bin, const char *state)
{
	AIM("bin", state, bin, limit);
	AIM("bin", state, bin, floor);
	AIM("bin", state, bin, most);
	AIM("bin", state, bin, cls);
	/* Where the top is between two slow paths nobody else knows: that it is outside of the stack is found. */
	if (c == na_cache_current)
		aim("bin", state, "top", &bin->top, 2, 0x8000);
	aim("bin", state, "the NULL below", na_bin_at(bin, bin->floor), 8, 0);
	if (bin->top > bin->floor) {
		aim("bin", state, "an entry, high", na_bin_at(bin, bin->top), 8, UINT64_C(0x7fffff) << 40);
		aim("bin", state, "an entry, low", na_bin_at(bin, bin->top), 8, 15);
	}
	aim("cache", state, "shape",
	    &c->shape[bin >= c->out && bin < c->out + NA_CLASSES ? NA_REGION_BINS + (bin - c->out)
								  : bin - na_cache_region(c)],
	    8, (UINT64_C(1) << 56) - 1);
}

static void aim_at_cache(struct na_cache *c, const char *state, bool named)
{
	bool span = false, ring = false;

	AIM("cache", state, c, lock);
	AIM("cache", state, c, pool);
	AIM("cache", state, c, state);
	AIM("cache", state, c, number);
	aim("cache", state, "split", &c->split, 1, 0);
	AIM("cache", state, c, grown_first);
	AIM("cache", state, c, seal);
	AIM("cache", state, c, never.word);
	AIM("cache", state, c, queue);
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		if (c->kind[i].span && !span) {
			span = true;
			AIM("kind", state, c, kind[i].span);
		}
		if (c->kind[i].partial && !ring) {
			ring = true;
			AIM("kind", state, c, kind[i].partial);
		}
	}
	AIM("kind", state, c, kind[4].held);
	AIM("kind", state, c, kind[4].not_held);
	AIM("kind", state, c, kind[70].span);
	AIM("kind", state, c, kind[70].partial);
	if (named)
		return;
	AIM("cache", state, c, grown_next);
	AIM("cache", state, c, middle_next);
	AIM("cache", state, c, middle_first);
	AIM("cache", state, c, next_all);
	AIM("cache", state, c, direct[0]);
	AIM("cache", state, c, direct[500]);
	aim("cache", state, "its entry of the table", &na_cache_table[c->number], 8, 0);
	if (c->state == NA_CACHE_IDLE)
		AIM("cache", state, c, next_idle);
	aim_at_bin(c, na_cache_out(c, 1), state);
	aim_at_bin(c, na_cache_out(c, 3), state);
	aim_at_bin(c, na_cache_out(c, 40), state);
	AIM("bin", state, na_cache_region(c), limit);
	for (unsigned int i = 0; c == na_cache_current && i < NA_CLASSES; i++)
		if (c->trap[i].displaced) {
			/* As of any entry: see aim_at_bin(). */
			AIM_BITS("trap", state, c, trap[i].displaced, UINT64_C(0x7fffff) << 40);
			AIM_BITS("trap", state, c, trap[i].displaced, 15);
			AIM("trap", state, c, trap[i].at);
			aim("trap", state, "the NULL in its place", na_bin_at(&c->out[i], c->trap[i].at), 8, 0);
			break;
		}
	if (c == na_cache_current) {
		AIM_BITS("cache", state, c, pending_used, 0xffffff00);
		for (int i = 0; i < NA_PENDING; i++)
			if (c->pending_used >> i & 1) {
				AIM("pending", state, c, pending[i].span);
				AIM("pending", state, c, pending[i].bits);
				/* Another word of the same span may be right as well. */
				AIM_BITS("pending", state, c, pending[i].word, 0xffffffe0);
				break;
			}
	}
}

static void aim_at_all(void)
{
	bool idle = false, sleeping = false;

	target_count = 0;
	aim_at_spans();
	aim_at_slices();
	aim_at_segments();
	aim_at_pool(&na_pools[0], "node's");
	aim_at_pool(&everything_named[1]->pool, "named");
	aim_at_arena(&na_named_list.arena, "of named pools");
	aim_at_cache(na_cache_current, "own", false);
	aim_at_cache(&everything_named[0]->cache, "named", true);
	for (uint32_t i = 1; i < NA_GROUP_CACHES; i++)
		if (na_named_cache(everything_group, i)) {
			aim_at_cache(na_named_cache(everything_group, i), "of a group", true);
			AIM("group", "live", everything_group, more[i]);
			AIM("group", "live", everything_group, not_more[i]);
			break;
		}
	AIM("group", "live", everything_group, caches);
	AIM("group", "live", everything_group, hint);
	AIM("group", "live", everything_group, more[0]);
	AIM("named pool", "live", everything_named[0], caches);
	AIM("named pool", "live", everything_named[0], hint);
	AIM("named pool", "live", everything_named[0], not_more[0]);
	if (na_sampled_cache(0))
		aim_at_cache(na_sampled_cache(0), "for samples", true);
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all) {
		if (c->state == NA_CACHE_IDLE && !idle) {
			idle = true;
			aim_at_cache(c, "idle", false);
		} else if (c->state == NA_CACHE_RUNNING && c != na_cache_current && !sleeping) {
			sleeping = true;
			aim_at_cache(c, "another thread's", false);
		}
	}
	assert_true(damaged_before || (idle && sleeping));
	AIM("named pool", "live", everything_named[0], lock);
	AIM("named pool", "live", everything_named[0], magic);
	AIM("named pool", "live", everything_named[0], next);
	AIM("named pool", "live", everything_named[1], next);
	AIM("named pool", "live", everything_named[0], alignment);
	AIM_BITS("named pool", "live", everything_named[0], users, 0xffffff00);
	AIM("list of named pools", "", &na_named_list, first);
	AIM("list of named pools", "", &na_named_list, count);
	AIM("list of named pools", "", &na_named_list, lock);
	AIM("table of chunks", "", &na_chunks, word[0]);
	AIM("table of chunks", "", &na_chunks, not_word[0]);
	AIM("table of chunks", "", &na_chunks, word[9]);
	aim("held bytes", "", "na_pool_held", &na_pool_held, 8, 0);
}

/* ---- damage ---- */

enum { ALL_BITS, ONE_BIT, OTHER_BITS = 5 }; /* from ONE_BIT to OTHER_BITS - 1: one bit, another each */

static void flip(struct target *t, int how, unsigned char *saved)
{
	memcpy(saved, t->at, t->size);
	for (size_t tries = 0, bit = (size_t)(t - targets) * 13 + (size_t)how * 17;
	     how != ALL_BITS && tries < 8 * t->size; tries++, bit++) {
		size_t byte = bit / 8 % t->size;
		unsigned char mask = (unsigned char)(1 << bit % 8);

		if (!memcmp(t->mask, "\0\0\0\0\0\0\0", 8) || (t->mask[byte] & mask)) {
			t->at[byte] ^= mask;
			/* 1 and 2 are states of a lock, and who holds it is not to be asked: see survey.c. */
			if (!strstr(t->what, "lock") || t->at[byte] > 2 || byte)
				return;
			t->at[byte] ^= mask;
		}
	}
	if (how != ALL_BITS)
		return;
	for (size_t i = 0; i < t->size; i++)
		t->at[i] ^= memcmp(t->mask, "\0\0\0\0\0\0\0", 8) ? t->mask[i] : 0xff;
}

static int quiet_begin(void)
{
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

	dup2(null, STDERR_FILENO);
	close(null);
	return saved;
}

static void quiet_end(int saved)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static size_t faults(void)
{
	na_survey_run(&survey, false);
	return survey.faults;
}

static void show(void)
{
	for (size_t i = 0; i < survey.faults && i < NA_SURVEY_TEXTS; i++)
		fprintf(stderr, "  %s\n", survey.text[i]);
}

static void a_sound_heap_has_no_faults(void **state)
{
	(void)state;
	if (faults())
		show();
	assert_int_equal(survey.faults, 0);
	assert_null(damaged_block());
}

static void every_flipped_field_is_found(void **state)
{
	size_t missed = 0, all = 0;

	(void)state;
	assert_int_equal(faults(), 0);
	aim_at_all();
	for (size_t i = 0; i < target_count; i++)
		for (int how = ALL_BITS; how < OTHER_BITS; how++) {
			unsigned char saved[8];
			size_t found;

			flip(&targets[i], how, saved);
			doing = targets[i].what;
			if (!memcmp(saved, targets[i].at, targets[i].size))
				continue; /* nothing of it may be flipped now */
			found = faults();
			memcpy(targets[i].at, saved, targets[i].size);
			all++;
			if (found)
				continue;
			missed++;
			fprintf(stderr, "not found: %s, %s\n", targets[i].what,
				how == ALL_BITS ? "all bits" : "one bit");
		}
	printf("%zu flips of %zu fields, %zu not found\n", all, target_count, missed);
	assert_int_equal(missed, 0);
	assert_int_equal(faults(), 0);
}

/* Small blocks come and go without laying hands on those that live. */
static bool gives_and_takes(void)
{
	static const size_t sizes[] = { 16, 64, 100, 192, 1024, 4096, 32768, 100000 };
	void *mine[8][10];

	for (size_t s = 0; s < 8; s++)
		for (size_t i = 0; i < 10; i++) {
			mine[s][i] = na_heap_allocate(sizes[s]);
			if (!mine[s][i])
				return false;
			memset(mine[s][i], 0xcc, sizes[s]);
		}
	if (damaged_block())
		return false;
	for (size_t s = 0; s < 8; s++)
		for (size_t i = 0; i < 10; i++)
			na_heap_release(mine[s][i]);
	return true;
}

/* A field of a stack that a running thread has in hand cannot be mended by another: it is told, and stays. */
static bool another_threads_stack(const struct target *t)
{
	return strstr(t->what, "(another thread's)") && (!strncmp(t->what, "bin", 3)) &&
	       (strstr(t->what, "entry") || strstr(t->what, "NULL"));
}

static void what_is_damaged_is_repaired_and_nothing_live_is_touched(void **state)
{
	size_t failed = 0, all = 0, barred = 0;

	(void)state;
	damaged_before = true;
	for (size_t i = 0; i < (aim_at_all(), target_count); i++)
		for (int how = ALL_BITS; how <= ONE_BIT; how++) {
			unsigned char saved[8];
			size_t left, first;
			int rounds = 0;

			aim_at_all();
			if (i >= target_count || another_threads_stack(&targets[i]))
				continue;
			flip(&targets[i], how, saved);
			doing = targets[i].what;
			first = left = faults();
			if (!first)
				continue;
			for (; left && rounds < 6; rounds++) {
				na_survey_run(&survey, true);
				barred += survey.barred;
				left = faults();
			}
			all++;
			if (left || damaged_block() || !gives_and_takes()) {
				failed++;
				fprintf(stderr, "not repaired: %s, %s: %zu faults, then %zu%s\n", targets[i].what,
					how == ALL_BITS ? "all bits" : "one bit", first, left,
					damaged_block() ? ", a live block is damaged" : "");
				show();
				if (left) {
					memcpy(targets[i].at, saved, targets[i].size);
					for (rounds = 0; faults() && rounds < 6; rounds++)
						na_survey_run(&survey, true);
				}
			}
			if (faults())
				show();
			assert_int_equal(survey.faults, 0);
		}
	printf("%zu repairs, %zu failed, %zu blocks withdrawn from use\n", all, failed, barred);
	assert_int_equal(failed, 0);
}

static void the_public_calls_find_and_repair(void **state)
{
	struct na_integrity done;
	size_t found = 99;
	char first[160];
	int saved;

	(void)state;
	assert_int_equal(na_integrity_validate(&found, first), 0);
	assert_int_equal(found, 0);
	assert_string_equal(first, "");
	na_pools[0].used_slices += 5;
	saved = quiet_begin();
	assert_int_equal(na_integrity_validate(&found, first), 0);
	assert_int_equal(na_integrity_repair(&done), 0);
	quiet_end(saved);
	assert_true(found > 0 && strstr(first, "slices in use"));
	assert_true(done.found > 0 && done.rebuilt > 0);
	assert_int_equal(done.left, 0);
	assert_int_equal(done.lost, 0);
	assert_int_equal(na_integrity_validate(&found, first), 0);
	assert_int_equal(found, 0);
	na_integrity_last(&done);
	assert_true(done.found > 0);
}

static void live_blocks_can_be_freed_after_all_that(void **state)
{
	(void)state;
	assert_int_equal(end_everything(), 0);
	if (faults())
		show();
	assert_int_equal(survey.faults, 0);
}

static int set_up(void **state)
{
	(void)state;
	setenv("NUMARENA_BACKGROUND", "0", 1);
	make_everything();
	return na_survey_open(&survey, 1);
}

static int tear_down(void **state)
{
	(void)state;
	na_survey_close(&survey);
	return 0;
}

/* A survey that crashes shall say of what. */
static void crashed(int signal)
{
	(void)signal;
	fprintf(stderr, "crashed: %s\n", doing);
	_exit(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_heap_has_no_faults),
		cmocka_unit_test(every_flipped_field_is_found),
		cmocka_unit_test(what_is_damaged_is_repaired_and_nothing_live_is_touched),
		cmocka_unit_test(the_public_calls_find_and_repair),
		cmocka_unit_test(live_blocks_can_be_freed_after_all_that),
	};

	setenv("CMOCKA_TEST_ABORT", "1", 1);
	signal(SIGSEGV, crashed);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
