/* SPDX-License-Identifier: BSD-3-Clause */
/* Movable blocks from within: the table and its check, taking and images, kernels without a barrier, failing system calls. */
#include "support/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "movable/parts.h"
#include "os/os.h"

static memory_handle_t make(size_t size, int byte)
{
	memory_handle_t h = allocate_movable(size);

	assert_true(h);
	memset(pin_memory(h), byte, size);
	assert_int_equal(unpin_memory(h), 0);
	return h;
}

static void expect(memory_handle_t h, size_t size, int byte)
{
	unsigned char *p = pin_memory(h);

	assert_non_null(p);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(p[i], byte);
	assert_int_equal(unpin_memory(h), 0);
}

/* ---- the check ---- */

static void the_check_finds_every_bit_of_an_entry(void **unused)
{
	memory_handle_t small = make(100, 1), solo = make(100000, 2);
	memory_handle_t handles[] = { small, solo };

	(void)unused;
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	for (int k = 0; k < 2; k++) {
		struct na_movable_entry *e = na_movable_entry(handles[k]);

		for (int bit = 0; bit < 64; bit++) {
			e->where ^= UINT64_C(1) << bit;
			if (!na_movable_check(NULL, NULL))
				fail_msg("bit %d of `where` is not missed", bit);
			e->where ^= UINT64_C(1) << bit;
			*na_about_of(e) ^= UINT64_C(1) << bit;
			if (!na_movable_check(NULL, NULL))
				fail_msg("bit %d of `about` is not missed", bit);
			*na_about_of(e) ^= UINT64_C(1) << bit;
		}
	}
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	na_movable_release(small);
	na_movable_release(solo);
}

static void the_check_finds_headers_and_sums(void **unused)
{
	memory_handle_t h = make(100, 1);
	uintptr_t at = na_where_payload(na_movable_entry(h)->where);
	struct na_movable_chunk *c = na_movable_chunk_of(at, 100);
	uint64_t *head = (uint64_t *)c->base;

	(void)unused;
	for (int bit = 0; bit < 64; bit++) {
		*na_header_of(at) ^= UINT64_C(1) << bit;
		if (!na_movable_check(NULL, NULL))
			fail_msg("bit %d of a header is not missed", bit);
		*na_header_of(at) ^= UINT64_C(1) << bit;
		head[0] ^= UINT64_C(1) << bit;
		assert_true(na_movable_check(NULL, NULL));
		head[0] ^= UINT64_C(1) << bit;
		head[1] ^= UINT64_C(1) << bit;
		assert_true(na_movable_check(NULL, NULL));
		head[1] ^= UINT64_C(1) << bit;
	}
	c->live += 16;
	assert_true(na_movable_check(NULL, NULL));
	c->live -= 16;
	c->blocks++;
	assert_true(na_movable_check(NULL, NULL));
	c->blocks--;
	c->space->chunks++;
	assert_true(na_movable_check(NULL, NULL));
	c->space->chunks--;
	c->first[0]++; /* where the look ahead begins */
	assert_true(na_movable_check(NULL, NULL));
	c->first[0]--;
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	na_movable_release(h);
}

/* A page of the table that goes back remembers its entries' last generations too: what is worn out then is used no more, and nothing stale is taken. */
static void entries_of_a_page_that_went_back_wear_out(void **unused)
{
	enum { COUNT = 4 * NA_TABLE_PAGE };
	static memory_handle_t old[COUNT], last[COUNT];
	int of_last = 0;

	(void)unused;
	for (int i = 0; i < COUNT; i++)
		old[i] = make(32, i);
	for (int i = 0; i < COUNT; i++) { /* as if one in seven had been used 2^18 - 3 times */
		struct na_movable_entry *e = na_movable_entry(old[i]);
		uint64_t index = na_movable_index(old[i]), at = na_where_payload(e->where);

		if (i % 7 == 0) {
			old[i] = na_handle(NA_GENERATION_LAST - 1, index);
			e->where = na_where(NA_GENERATION_LAST - 1, at, NA_MOVABLE_HERE);
			na_movable_settle_header(at, 32, old[i]);
		}
	}
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(release_movable(old[i]), MEMORY_ERROR_NONE);
	assert_true(na_movable_trim_table() >= 3 * NA_PAGE);
	for (int i = 0; i < COUNT; i++) {
		last[i] = make(32, i % 100);
		of_last += na_handle_generation(last[i]) == NA_GENERATION_LAST;
	}
	assert_true(of_last >= 3 * (int)NA_TABLE_PAGE);
	for (int i = 0; i < COUNT; i++) {
		assert_null(pin_memory(old[i]));
		expect(last[i], 32, i % 100);
		assert_int_equal(release_movable(last[i]), MEMORY_ERROR_NONE);
	}
	na_movable_trim_table();
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	for (int i = 0; i < COUNT; i++) {
		memory_handle_t h = make(32, 1);

		for (int k = 0; k < 2; k++) {
			memory_handle_t stale = k ? old[i] : last[i];

			if (na_handle_generation(last[i]) == NA_GENERATION_LAST)
				assert_true(na_movable_index(h) != na_movable_index(last[i]));
			assert_null(pin_memory(stale));
			assert_int_equal(release_movable(stale), MEMORY_ERROR_CORRUPTION);
		}
		assert_int_equal(release_movable(h), MEMORY_ERROR_NONE);
	}
	assert_int_equal(na_movable_check(NULL, NULL), 0);
}

/* ---- orders that renew handles, again and again ---- */

static memory_handle_t *in_turn(void *array)
{
	return next_handle_in_array(array);
}

/* A table that takes in what orders leave free does not grow by what they renew. */
static void many_orders_do_not_use_the_table_up(void **unused)
{
	enum { COUNT = 5000, ORDERS = 200 };
	static memory_handle_t blocks[COUNT], first[COUNT];
	uint64_t top;

	(void)unused;
	for (int i = 0; i < COUNT; i++)
		blocks[i] = first[i] = make(32, i % 100);
	top = na_movable_top();
	for (int k = 0; k < ORDERS; k++) {
		memory_handle_array_t array = { .handle = blocks, .count = COUNT };
		compaction_order_t order = { .next = in_turn, .closure = &array, .renew_handles = true };
		compaction_result_t done;

		assert_int_equal(compact_in_order(&order, &done), MEMORY_ERROR_NONE);
		assert_int_equal(done.blocks, COUNT);
	}
	assert_true(na_movable_top() < top + 6 * COUNT); /* of 200 times COUNT that were renewed */
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	for (int i = 0; i < COUNT; i++) {
		assert_null(pin_memory(first[i]));
		expect(blocks[i], 32, i % 100);
		assert_int_equal(release_movable(blocks[i]), MEMORY_ERROR_NONE);
	}
	assert_int_equal(na_movable_check(NULL, NULL), 0);
}

/* ---- what slices move ---- */

/* No more than they may, but for a block that is larger by itself. */
static void budgets_are_kept_to(void **unused)
{
	static const struct {
		size_t size;
		uint64_t most;
	} how[] = { { 3000, 4096 }, { 3000, 10000 }, { 40000, 50000 }, { 40000, 4096 }, { 2000, 65536 } };
	static memory_handle_t blocks[8000];

	(void)unused;
	for (size_t k = 0; k < sizeof(how) / sizeof(how[0]); k++) {
		size_t n = ((size_t)16 << 20) / how[k].size;
		struct na_movable_slice slice = { .more = true };
		uint64_t won = 0, slices = 0;

		n = n < sizeof(blocks) / sizeof(blocks[0]) ? n : sizeof(blocks) / sizeof(blocks[0]);
		for (size_t i = 0; i < n; i++)
			blocks[i] = make(how[k].size, (int)i % 100);
		for (size_t i = 0; i < n; i++)
			if (i % 4)
				assert_int_equal(release_movable(blocks[i]), MEMORY_ERROR_NONE);
		for (; slice.more && slices < 100000; slices++) {
			struct na_move_budget budget = { how[k].most, how[k].most };

			na_movable_compact(&budget, na_os_now_ns() + 1000 * 1000, NA_FULL_LEAST, true, &slice);
			assert_true(slice.bytes <= how[k].most || slice.moves == 1);
			won += slice.won;
		}
		assert_false(slice.more);
		assert_true(won >= (uint64_t)n * how[k].size / 2);
		for (size_t i = 0; i < n; i += 4) {
			expect(blocks[i], how[k].size, (int)i % 100);
			assert_int_equal(release_movable(blocks[i]), MEMORY_ERROR_NONE);
		}
	}
	assert_int_equal(na_movable_check(NULL, NULL), 0);
}

/* ---- what slices leave to the pools ---- */

/* What the program takes of chunks is kept for it while it goes on, up to an eighth of what lives and a chunk, and goes back when it does not. */
static void chunks_that_are_wanted_again_are_kept(void **unused)
{
	static memory_handle_t blocks[20000];
	struct na_movable_space *space = na_movable_here();
	struct na_movable_slice slice;
	uint64_t reserve;
	int passes = 0;

	(void)unused;
	na_movable_purge(UINT64_MAX);
	for (int i = 0; i < 20000; i++)
		blocks[i] = make(2000, i);
	assert_true(na_movable_is_busy());
	for (int i = 0; i < 20000; i++)
		if (i % 3)
			assert_int_equal(na_movable_release(blocks[i]), 0);
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	na_movable_compact(NULL, 0, NA_FULL_LEAST, true, &slice);
	assert_true(slice.won >= 20 << 20);
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	assert_true(na_movable_reckon());
	reserve = space->live / 8 + NA_MOVABLE_CHUNK;
	assert_int_equal(atomic_load(&space->reserve), reserve); /* 38 MiB were taken */
	assert_true(na_movable_is_busy());
	na_movable_purge(UINT64_MAX);
	assert_true(na_movable_kept() + NA_SLICE > reserve && na_movable_kept() < reserve + NA_SLICE);
	while (na_movable_reckon()) {
		na_movable_purge(UINT64_MAX);
		assert_true(na_movable_kept() + NA_SLICE <= reserve);
		assert_true(++passes < 20);
	}
	assert_true(passes > 0);
	assert_false(na_movable_is_busy());
	na_movable_purge(UINT64_MAX);
	assert_int_equal(na_movable_kept(), 0);
	for (int i = 0; i < 20000; i += 3) {
		expect(blocks[i], 2000, i & 255);
		assert_int_equal(na_movable_release(blocks[i]), 0);
	}
}

/* ---- images, by a codec that keeps copies ---- */

static struct image {
	char *bytes;
	size_t size;
} images[16] __attribute__((aligned(16)));
static int restored, discarded, forgotten, broken;

static int restore(memory_handle_t handle, uint64_t image, void *to, size_t size)
{
	struct image *i = (struct image *)image;

	(void)handle;
	assert_int_equal(i->size, size);
	if (broken)
		return broken;
	memcpy(to, i->bytes, size);
	restored++;
	return 0;
}

static void discard(memory_handle_t handle, uint64_t image, size_t size)
{
	(void)handle;
	assert_int_equal(((struct image *)image)->size, size);
	discarded++;
}

static void forget(memory_handle_t handle)
{
	(void)handle;
	forgotten++;
}

static int compress(memory_handle_t h, int k, bool note)
{
	struct na_movable_block b;
	int rc;

	na_movable_hooks.restore = restore;
	na_movable_hooks.discard = discard;
	na_movable_hooks.forget = forget;
	na_movable_lock();
	rc = na_movable_look(h, &b);
	if (rc == 0)
		rc = na_movable_take(&b, 1) == 1 ? 0 : -EBUSY;
	if (rc == 0) {
		images[k].bytes = realloc(images[k].bytes, b.size);
		images[k].size = b.size;
		memcpy(images[k].bytes, b.at, b.size);
		rc = na_movable_publish_image(&b, (uint64_t)(uintptr_t)&images[k], note);
	}
	na_movable_unlock();
	return rc;
}

static void an_image_comes_back_by_a_pin(void **unused)
{
	memory_handle_t a = make(5000, 3), b = make(200000, 4);
	movable_stats_t before, stats;

	(void)unused;
	get_movable_statistics(&before);
	restored = discarded = forgotten = 0;
	assert_int_equal(compress(a, 0, false), 0);
	assert_int_equal(compress(b, 1, true), 0);
	assert_int_equal(compress(a, 2, false), -EALREADY);
	get_movable_statistics(&stats);
	assert_int_equal(stats.image_blocks, 2);
	assert_int_equal(stats.blocks, before.blocks);
	assert_int_equal(stats.bytes, before.bytes);
	assert_true(stats.held_bytes + 200000 <= before.held_bytes);
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	assert_int_equal(movable_size(a), 5000);
	assert_int_equal(movable_node(a), -1);
	expect(a, 5000, 3);
	expect(a, 5000, 3);
	assert_int_equal(restored, 1);
	assert_int_equal(resize_movable(b, 100), 0); /* comes back first */
	assert_int_equal(restored, 2);
	assert_int_equal(forgotten, 1);
	expect(b, 100, 4);
	assert_int_equal(compress(a, 0, false), 0);
	assert_int_equal(release_movable(a), 0);
	assert_int_equal(discarded, 1);
	assert_int_equal(release_movable(b), 0);
	assert_int_equal(na_movable_check(NULL, NULL), 0);
}

static void a_damaged_image_is_an_error_and_stays(void **unused)
{
	memory_handle_t a = make(5000, 3);

	(void)unused;
	assert_int_equal(compress(a, 0, false), 0);
	broken = -EBADMSG;
	assert_null(pin_memory(a));
	assert_int_equal(last_memory_error(), MEMORY_ERROR_CORRUPTION);
	broken = -ENOMEM;
	assert_null(pin_memory(a));
	assert_int_equal(last_memory_error(), MEMORY_ERROR_ALLOCATION);
	broken = 0;
	expect(a, 5000, 3);
	assert_int_equal(release_movable(a), 0);
	assert_int_equal(na_movable_check(NULL, NULL), 0);
}

static void a_pin_makes_taking_fail_without_waiting(void **unused)
{
	memory_handle_t a = make(500, 5);
	struct na_movable_block b;
	char *p;

	(void)unused;
	p = pin_memory(a);
	assert_int_equal(compress(a, 0, false), -EBUSY);
	assert_int_equal(unpin_memory(a), 0);
	assert_non_null(pin_memory_shared(a));
	assert_int_equal(compress(a, 0, false), -EBUSY);
	assert_int_equal(unpin_memory(a), 0);
	/* Between taking and publishing. */
	na_movable_lock();
	assert_int_equal(na_movable_look(a, &b), 0);
	assert_int_equal(na_movable_take(&b, 1), 1);
	assert_ptr_equal(pin_memory(a), p);
	assert_int_equal(na_movable_publish_image(&b, 16, false), -EAGAIN);
	na_movable_unlock();
	assert_int_equal(unpin_memory(a), 0);
	/* And released between the two. */
	na_movable_lock();
	assert_int_equal(na_movable_look(a, &b), 0);
	assert_int_equal(na_movable_take(&b, 1), 1);
	assert_int_equal(release_movable(a), 0);
	assert_int_equal(na_movable_publish_image(&b, 16, false), -EAGAIN);
	na_movable_give_back(&b);
	na_movable_unlock();
	assert_null(pin_memory(a));
	assert_int_equal(na_movable_check(NULL, NULL), 0);
}

static void cold_blocks_are_those_that_nobody_pins(void **unused)
{
	memory_handle_t cold = make(9000, 1), warm = make(9000, 2), small = make(10, 3);
	struct na_movable_block b;
	uint64_t cursor;
	int found = 0, rc;

	(void)unused;
	for (int epoch = 0; epoch < 3; epoch++) {
		na_movable_add_epochs(1);
		expect(warm, 9000, 2);
		found = 0;
		cursor = 0;
		na_movable_lock();
		while ((rc = na_movable_next_cold(&cursor, 1000, 1, 4096, &b)) >= 0)
			if (rc == 1) {
				assert_int_equal(b.handle, cold);
				assert_true(b.age >= 1);
				found++;
			}
		na_movable_unlock();
		assert_int_equal(rc, -ENOENT);
		assert_int_equal(found, epoch > 0);
	}
	release_movable(cold);
	release_movable(warm);
	release_movable(small);
}

/* ---- handles ---- */

static void an_entry_wears_out_and_no_stale_handle_is_ever_taken(void **unused)
{
	memory_handle_t h = make(16, 0);
	struct na_movable_entry *e = na_movable_entry(h);
	uint64_t index = na_movable_index(h);

	(void)unused;
	/* As if it had been used 2^18 - 2 times. */
	e->where = na_where(NA_GENERATION_LAST, na_where_payload(e->where), NA_MOVABLE_HERE);
	na_movable_settle_header(na_where_payload(e->where), 16, na_handle(NA_GENERATION_LAST, index));
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	assert_null(pin_memory(h));
	assert_int_equal(release_movable(na_handle(NA_GENERATION_LAST, index)), 0);
	assert_int_equal(release_movable(na_handle(NA_GENERATION_LAST, index)), MEMORY_ERROR_CORRUPTION);
	for (int i = 0; i < 2000; i++) {
		memory_handle_t other = make(16, 0);

		assert_true(na_movable_index(other) != index);
	}
	assert_int_equal(na_movable_check(NULL, NULL), 0);
}

static void handles_of_all_sorts_are_refused(void **unused)
{
	memory_handle_t h = make(16, 0), bad[] = { 0,	       1,	  8,	      16,	  ~UINT64_C(0), h ^ 8 << 15,
						   h ^ 1,      h ^ 4,	  h | 1UL << 44, h ^ 1UL << 46, h ^ 1UL << 63 };

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (pin_memory(bad[i]))
			fail_msg("%zu: %llx was taken", i, (unsigned long long)bad[i]);
		assert_int_equal(last_memory_error(), MEMORY_ERROR_CORRUPTION);
		assert_null(pin_memory_shared(bad[i]));
		assert_int_equal(unpin_memory(bad[i]), bad[i] ? MEMORY_ERROR_INVALID_ARGUMENT : MEMORY_ERROR_NONE);
		assert_int_equal(release_movable(bad[i]), MEMORY_ERROR_CORRUPTION);
		assert_int_equal(resize_movable(bad[i], 5), MEMORY_ERROR_CORRUPTION);
		assert_int_equal(movable_size(bad[i]), 0);
		assert_int_equal(movable_node(bad[i]), -1);
	}
	assert_int_equal(na_movable_slots_used(), 0);
	assert_int_equal(release_movable(h), 0);
}

/* Pages of the table of which nothing lives go back, and come again with generations that no handle of before has. */
static void free_pages_of_the_table_go_back(void **unused)
{
	enum { COUNT = 6 * NA_TABLE_PAGE };
	static memory_handle_t before[COUNT], again[COUNT];
	uint64_t top, bytes;
	movable_stats_t stats;

	(void)unused;
	for (int i = 0; i < COUNT; i++)
		before[i] = make(32, i % 100);
	assert_int_equal(na_movable_trim_table(), 0);
	top = na_movable_top();
	for (int i = 0; i < COUNT; i++) /* but one, in the middle */
		if (i != COUNT / 2)
			assert_int_equal(release_movable(before[i]), 0);
	get_movable_statistics(&stats);
	bytes = na_movable_trim_table();
	assert_true(bytes >= 4 * NA_PAGE);
	assert_int_equal(na_movable_trim_table(), 0);
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	bytes = stats.table_bytes - bytes;
	get_movable_statistics(&stats);
	assert_int_equal(stats.table_bytes, bytes);
	expect(before[COUNT / 2], 32, COUNT / 2 % 100);
	for (int i = 0; i < COUNT; i++) {
		if (i == COUNT / 2)
			continue;
		assert_null(pin_memory(before[i]));
		assert_int_equal(last_memory_error(), MEMORY_ERROR_CORRUPTION);
		assert_int_equal(release_movable(before[i]), MEMORY_ERROR_CORRUPTION);
		again[i] = make(32, i % 50);
	}
	assert_true(na_movable_top() <= top + NA_TABLE_PAGE); /* those were used again */
	assert_int_equal(na_movable_check(NULL, NULL), 0);
	for (int i = 0; i < COUNT; i++) {
		if (i == COUNT / 2)
			continue;
		assert_null(pin_memory(before[i]));
		expect(again[i], 32, i % 50);
		assert_int_equal(release_movable(again[i]), 0);
	}
	assert_int_equal(release_movable(before[COUNT / 2]), 0);
	assert_int_equal(na_movable_check(NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_check_finds_every_bit_of_an_entry),
		cmocka_unit_test(the_check_finds_headers_and_sums),
		cmocka_unit_test(an_image_comes_back_by_a_pin),
		cmocka_unit_test(a_damaged_image_is_an_error_and_stays),
		cmocka_unit_test(a_pin_makes_taking_fail_without_waiting),
		cmocka_unit_test(cold_blocks_are_those_that_nobody_pins),
		cmocka_unit_test(an_entry_wears_out_and_no_stale_handle_is_ever_taken),
		cmocka_unit_test(handles_of_all_sorts_are_refused),
		cmocka_unit_test(free_pages_of_the_table_go_back),
		cmocka_unit_test(entries_of_a_page_that_went_back_wear_out),
		cmocka_unit_test(many_orders_do_not_use_the_table_up),
		cmocka_unit_test(budgets_are_kept_to),
		cmocka_unit_test(chunks_that_are_wanted_again_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
