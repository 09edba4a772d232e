/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/pool.h"

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "pool/bits.h"
#include "support/faulty_os.h"
#include "support/unit.h"

static struct na_pool *new_pool(void)
{
	static struct na_pool pools[96];
	static size_t next;

	na_pool_init(&pools[next], 0, false);
	return &pools[next++];
}

static void *page_of(const void *p)
{
	return (void *)((uintptr_t)p & ~(NA_PAGE - 1));
}

/* Invariant 5 of doc/design/heap.md for one pool. */
static void check(struct na_pool *pool)
{
	uint64_t dirty = 0, used = 0;

	for (uint32_t i = 0; i < pool->segments; i++) {
		struct na_segment *s = pool->table[i >> NA_TABLE_SHIFT][i & ((1u << NA_TABLE_SHIFT) - 1)].segment;
		uint32_t slices = (uint32_t)(s->length / NA_SLICE), freed = na_bits_count(s->free, 0, slices);

		dirty += na_bits_count(s->dirty, 0, slices);
		used += slices - freed;
		for (uint32_t w = 0; w < NA_SLICE_WORDS; w++)
			assert_int_equal(s->dirty[w] & ~s->free[w], 0);
	}
	assert_int_equal(pool->dirty_slices, dirty);
	assert_int_equal(pool->used_slices, used);
}

static void spans_start_empty_and_come_back(void **state)
{
	struct na_pool *pool = new_pool();

	(void)state;
	for (unsigned int cls = 0; cls < NA_CLASSES; cls++) {
		struct na_span *span = na_pool_take_span(pool, cls);

		assert_non_null(span);
		assert_ptr_equal(na_span_of((void *)span->base), span);
		assert_int_equal(span->slices, na_class_slices(cls));
		assert_ptr_equal(na_span_of((void *)(span->base + span->slices * NA_SLICE - 1)), span);
		assert_int_equal(span->slots, span->slices * NA_SLICE / na_class_size(cls));
		for (uint32_t slot = 0; slot < (span->slots + 63u) / 64 * 64; slot++)
			assert_int_equal(na_span_taken(span, slot / 64) >> (slot % 64) & 1, 1);
		assert_int_equal(na_span_carved(span), 0);
		na_pool_set_id(span, 77);
		assert_int_equal(na_id_of((void *)span->base), 77);
		assert_int_equal(na_id_of((void *)(span->base + span->slices * NA_SLICE - 1)), 77);
		na_span_free(span, 0, 0xff); /* as a user would leave some of it */
		check(pool);
		na_pool_give_span(pool, span);
		assert_int_equal(na_id_of((void *)span->base), 0);
		check(pool);
	}
	assert_int_equal(pool->used_slices, 0);
}

static void a_large_block_is_reused_while_dirty_and_zero_when_asked(void **state)
{
	struct na_pool *pool = new_pool();
	size_t sizes[] = { 40000, 65536, 1 << 20, NA_RUN_MAX, NA_RUN_MAX + 1, 50 << 20 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *p = na_large_take(pool, sizes[i], 16, false), *q;

		assert_non_null(p);
		memset(p, 7, sizes[i]);
		assert_int_equal(na_large_give(na_span_of(p), p), 0);
		assert_int_equal(na_large_give(na_span_of(p), p), -EINVAL); /* twice */
		q = na_large_take(pool, sizes[i], 16, true);
		assert_ptr_equal(q, p);
		for (size_t b = 0; b < sizes[i]; b += 511)
			assert_int_equal(q[b], 0);
		na_large_give(na_span_of(q), q);
		check(pool);
	}
	assert_true(pool->large_reused >= 6);
	assert_int_equal(pool->large_live, 0);
}

/* Fields of a simulation: as many as one likes, and no more than a few begin at the same line of a page. */
static void large_blocks_begin_at_lines_of_their_own(void **state)
{
	const size_t sizes[] = { (size_t)520 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20, 64 << 20 };
	struct na_pool *pool = new_pool();
	char *p[32];

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		unsigned int begins[64] = { 0 };

		for (int i = 0; i < 32; i++) {
			p[i] = na_large_take(pool, sizes[s], 64, false);
			assert_non_null(p[i]);
			assert_int_equal((uintptr_t)p[i] % 64, 0);
			assert_true(na_span_of(p[i])->length >= sizes[s]);
			assert_true(++begins[(uintptr_t)p[i] / 64 % 64] <= 4);
			p[i][0] = p[i][sizes[s] - 1] = 1;
		}
		for (int i = 0; i < 32; i++) {
			char *was = p[i];

			assert_int_equal(na_large_give(na_span_of(p[i]), page_of(p[i] + NA_PAGE)), -EINVAL);
			assert_int_equal(na_large_give(na_span_of(p[i]), p[i]), 0);
			p[i] = na_large_take(pool, sizes[s], 64, true);
			assert_int_equal(p[i][0] | p[i][sizes[s] - 1], 0);
			if (i == 0) /* what comes again lies where it lay, and touches no page besides */
				assert_ptr_equal(p[i], was);
		}
		for (int i = 0; i < 32; i++)
			na_large_give(na_span_of(p[i]), p[i]);
	}
	na_pool_purge(pool, true);
	check(pool);
}

static void alignments_up_to_a_gigabyte_hold(void **state)
{
	struct na_pool *pool = new_pool();

	(void)state;
	for (size_t alignment = 4096; alignment <= (size_t)1 << 30; alignment *= 2) {
		void *p = na_large_take(pool, 100000, alignment, false);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p & (alignment - 1), 0);
		na_large_give(na_span_of(p), p);
	}
	na_pool_purge(pool, true);
}

static void a_huge_block_keeps_its_contents_as_it_grows(void **state)
{
	struct na_pool *pool = new_pool();
	size_t size = 9 << 20;
	unsigned char *p = na_large_take(pool, size, 16, false);

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i < size; i += 4096)
		p[i] = (unsigned char)(i >> 12);
	for (size_t bigger = size * 2; bigger <= (size_t)300 << 20; bigger *= 2) {
		void *blocker = na_large_take(pool, NA_RUN_MAX + 1, 16, false);

		p = na_large_resize(na_span_of(p), p, bigger);
		assert_non_null(p);
		for (size_t i = 0; i < size; i += 4096)
			assert_int_equal(p[i], (unsigned char)(i >> 12));
		p[bigger - 1] = 1;
		na_large_give(na_span_of(blocker), blocker);
	}
	assert_int_equal(na_large_give(na_span_of(p), p), 0);
	assert_true(na_pool_purge(pool, true) > 0);
	assert_int_equal(pool->reserved, 0);
}

/* Of two blocks that grow side by side the shorter one, which stops, does not take what a long one has left; the longer one goes on there when it has
 * outgrown its own, and what it leaves is kept in turn. */
static void a_growing_block_goes_on_in_what_a_long_one_left(void **state)
{
	const size_t mib = 1 << 20, size = NA_RUN_MAX + 2 * mib;
	struct na_pool *pool = new_pool();
	unsigned char *past = na_large_take(pool, 60 * mib, 16, false), *shorter = na_large_take(pool, size, 16, false),
		      *longer = na_large_take(pool, size, 16, false), *grown;
	uint64_t held = pool->huge_bytes, own = na_segment_of(longer)->committed;

	(void)state;
	na_large_give(na_span_of(past), past);
	memset(shorter, 1, size);
	memset(longer, 2, size);
	grown = na_large_resize(na_span_of(shorter), shorter, size + mib);
	assert_ptr_not_equal(grown, past); /* that is more than four times as long */
	shorter = grown;
	grown = na_large_resize(na_span_of(longer), longer, 2 * size);
	assert_ptr_equal(grown, past);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(grown[i], 2);
	assert_true(pool->huge_bytes + pool->huge_kept_bytes <= held + 2 * mib); /* nothing fresh but the rounding */
	assert_int_equal(pool->huge_kept_bytes, own);
	na_large_give(na_span_of(grown), grown);
	na_large_give(na_span_of(shorter), shorter);
	na_pool_purge(pool, true);
	assert_int_equal(pool->reserved, 0);
}

/* A mapping need not end with a whole unit of growth. */
static void a_block_grows_past_the_end_of_its_mapping(void **state)
{
	const size_t mib = 1 << 20;

	(void)state;
	for (int round = 0; round < 64; round++) { /* each with another colour */
		struct na_pool *pool = new_pool();
		size_t size = 12 * mib;
		char *p = na_large_take(pool, size, 16, false);

		for (; size <= 13 * mib; size += NA_PAGE) {
			struct na_segment *s;

			p = na_large_resize(na_span_of(p), p, size);
			s = na_segment_of(p);
			assert_true((uintptr_t)p + na_span_of(p)->length <= s->base + s->committed);
			assert_true(s->committed <= s->length);
			p[size - 1] = 1;
		}
		na_large_give(na_span_of(p), p);
		na_pool_purge(pool, true);
		assert_int_equal(pool->reserved, 0);
	}
}

static void purging_returns_pages_that_then_read_zero(void **state)
{
	struct na_pool *pool = new_pool();
	size_t size = 4 << 20;
	char *p = na_large_take(pool, size, 16, false);
	unsigned char resident[1024];

	(void)state;
	memset(p, 1, size);
	na_large_give(na_span_of(p), p);
	assert_int_equal(na_pool_purge(pool, false), 0); /* not old enough */
	atomic_fetch_add(&na_pool_epoch, NA_EPOCHS_KEPT);
	assert_in_range(na_pool_purge(pool, false), size, size + NA_SLICE);
	assert_int_equal(na_os.resident(page_of(p), size, resident), 0);
	for (size_t i = 0; i < 1024; i++)
		assert_int_equal(resident[i] & 1, 0);
	check(pool);
}

static void the_limit_holds_and_memory_kept_for_reuse_gives_way(void **state)
{
	struct na_pool *pool = new_pool();
	void *p, *q;

	(void)state;
	atomic_store(&na_pool_limit, atomic_load(&na_pool_held) + (12 << 20));
	p = na_large_take(pool, 8 << 20, 16, false);
	assert_non_null(p);
	assert_null(na_large_take(pool, 6 << 20, 16, false));
	na_large_give(na_span_of(p), p);
	q = na_large_take(pool, 10 << 20, 16, false); /* huge: needs the run's memory purged */
	assert_non_null(q);
	na_large_give(na_span_of(q), q);
	na_pool_purge(pool, true);
	atomic_store(&na_pool_limit, UINT64_MAX);
	check(pool);
}

/* Each scenario is repeated with the first, second, ... system call failing, until none fails. */
static void every_failing_system_call_is_survived(void **state)
{
	long nth = 0, calls;

	(void)state;
	do {
		struct na_pool pool;
		struct na_span *span;
		void *run, *huge, *grown;

		memset(&pool, 0, sizeof(pool));
		na_pool_init(&pool, 0, true);
		na_faulty_os_install(++nth);
		span = na_pool_take_span(&pool, 3);
		run = na_large_take(&pool, 1 << 20, 16, false);
		huge = na_large_take(&pool, 20 << 20, 16, false);
		grown = huge ? na_large_resize(na_span_of(huge), huge, 90 << 20) : NULL;
		if (grown)
			huge = grown;
		if (huge)
			assert_int_equal(na_large_give(na_span_of(huge), huge), 0);
		if (run)
			assert_int_equal(na_large_give(na_span_of(run), run), 0);
		if (span)
			na_pool_give_span(&pool, span);
		na_pool_purge(&pool, true);
		calls = na_faulty_os_remove();
		check(&pool);
		assert_int_equal(pool.large_live, 0);
		assert_int_equal(pool.used_slices, 0);
		na_pool_purge(&pool, true); /* what a failing purge had left */
		assert_int_equal(pool.dirty_slices, 0);
	} while (nth <= calls);
	assert_true(nth > 5);
}

static int refuse_unmap(void *at, size_t size)
{
	(void)at;
	(void)size;
	return -ENOMEM;
}

/* At vm.max_map_count munmap() itself may fail: the pages go back, and the addresses are kept. */
static void addresses_that_cannot_be_unmapped_are_kept(void **state)
{
	struct na_pool *pool = new_pool();
	struct na_os real = na_os;
	size_t size = 20 << 20;
	char *p = na_large_take(pool, size, 16, false), *q;
	unsigned char resident[16];

	(void)state;
	memset(p, 1, size);
	assert_int_equal(na_large_give(na_span_of(p), p), 0);
	na_os.unmap = refuse_unmap;
	na_pool_purge(pool, true);
	assert_true(pool->reserved >= size);
	assert_int_equal(pool->huge_kept_bytes, 0);
	assert_int_equal(na_os.resident(page_of(p), 16 * NA_PAGE, resident), 0);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(resident[i] & 1, 0);
	q = na_large_take(pool, size, 16, true);
	assert_ptr_equal(q, p);
	na_large_give(na_span_of(q), q);
	q = na_large_take(pool, 1 << 20, 16, false);
	assert_int_equal(na_large_give(na_span_of(q), q), 0);
	na_pool_purge(pool, true);
	assert_int_equal(na_pool_release(pool), 0);
	na_os = real;
	q = na_large_take(pool, 1 << 20, 16, false); /* the segment is as it was */
	assert_non_null(q);
	assert_int_equal(na_large_give(na_span_of(q), q), 0);
	na_pool_purge(pool, true);
	assert_int_equal(pool->huge_kept_bytes, 0);
	assert_true(na_pool_release(pool) >= NA_SEGMENT);
	assert_int_equal(pool->reserved, 0);
	check(pool);
}

static void empty_segments_give_their_addresses_back_and_come_again(void **state)
{
	struct na_pool *pool = new_pool();
	void *p[20];

	(void)state;
	for (int round = 0; round < 3; round++) {
		uint32_t segments = pool->segments;

		for (int i = 0; i < 20; i++) {
			p[i] = na_large_take(pool, NA_RUN_MAX, 16, false);
			assert_non_null(p[i]);
			memset(p[i], round + 1, 4096);
		}
		if (round)
			assert_int_equal(pool->segments, segments);
		for (int i = 1; i < 20; i++)
			assert_int_equal(na_large_give(na_span_of(p[i]), p[i]), 0);
		na_pool_purge(pool, true);
		assert_true(na_pool_release(pool) >= 4 * NA_SEGMENT);
		assert_int_equal(pool->reserved, NA_SEGMENT); /* the one in which p[0] lives */
		assert_int_equal(((char *)p[0])[4095], round + 1);
		check(pool);
		assert_int_equal(na_large_give(na_span_of(p[0]), p[0]), 0);
	}
}

/* A block that grew has as much again to grow into: addresses that serve others when they are short. */
static void addresses_to_spare_are_cut_off_and_come_back(void **state)
{
	struct na_pool *pool = new_pool();
	unsigned char *p = na_large_take(pool, 1 << 20, 16, false), *q;
	uint64_t before;

	(void)state;
	memset(p, 7, 1 << 20);
	q = na_large_take(pool, 1 << 20, 16, false); /* so that p cannot grow where it lies */
	p = na_large_resize(na_span_of(p), p, 3 << 20);
	assert_non_null(p);
	memset(p, 7, 3 << 20);
	before = pool->reserved;
	assert_true(na_pool_release(pool) > 0);
	assert_true(pool->reserved < before);
	p = na_large_resize(na_span_of(p), p, 40 << 20);
	assert_non_null(p);
	for (size_t i = 0; i < 3 << 20; i += 511)
		assert_int_equal(p[i], 7);
	p[(40 << 20) - 1] = 1;
	na_pool_release(pool);
	assert_ptr_equal(na_span_of(p + (40 << 20) - 1), na_span_of(p));
	assert_int_equal(na_large_give(na_span_of(p), p), 0);
	assert_int_equal(na_large_give(na_span_of(q), q), 0);
	na_pool_purge(pool, true);
	na_pool_release(pool);
	assert_int_equal(pool->reserved, 0);
}

/* Room for a little more than the block itself. */
static size_t room;
static int (*real_map)(void *at, size_t size, void **out);

static int map_within(void *at, size_t size, void **out)
{
	return size > room ? -ENOMEM : real_map(at, size, out);
}

static void an_aligned_place_needs_no_more_than_its_size(void **state)
{
	void *p = NULL;

	(void)state;
	real_map = na_os.map;
	na_os.map = map_within;
	for (room = 1 << 20; room <= (size_t)256 << 20; room *= 4) {
		assert_int_equal(na_os_map_aligned(room, NA_SEGMENT, &p), 0);
		assert_int_equal((uintptr_t)p % NA_SEGMENT, 0);
		memset(p, 1, NA_PAGE);
		((char *)p)[room - 1] = 1;
		na_os.unmap(p, room);
	}
	na_os.map = real_map;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_start_empty_and_come_back),
		cmocka_unit_test(a_large_block_is_reused_while_dirty_and_zero_when_asked),
		cmocka_unit_test(large_blocks_begin_at_lines_of_their_own),
		cmocka_unit_test(alignments_up_to_a_gigabyte_hold),
		cmocka_unit_test(a_huge_block_keeps_its_contents_as_it_grows),
		cmocka_unit_test(a_growing_block_goes_on_in_what_a_long_one_left),
		cmocka_unit_test(a_block_grows_past_the_end_of_its_mapping),
		cmocka_unit_test(purging_returns_pages_that_then_read_zero),
		cmocka_unit_test(the_limit_holds_and_memory_kept_for_reuse_gives_way),
		cmocka_unit_test(every_failing_system_call_is_survived),
		cmocka_unit_test(addresses_that_cannot_be_unmapped_are_kept),
		cmocka_unit_test(empty_segments_give_their_addresses_back_and_come_again),
		cmocka_unit_test(addresses_to_spare_are_cut_off_and_come_back),
		cmocka_unit_test(an_aligned_place_needs_no_more_than_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
