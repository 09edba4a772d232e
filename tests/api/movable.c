/* SPDX-License-Identifier: BSD-3-Clause */
/* Movable blocks as a program uses them: pins of all kinds, threads that end, fork, order, memory that comes back. */
#include "api.h"

#include <unistd.h>

static memory_handle_t make(size_t size, uint64_t seed)
{
	memory_handle_t h = allocate_movable(size);
	unsigned char *p;

	REQUIRE(h);
	p = pin_memory(h);
	REQUIRE(p);
	check_fill(p, 0, size, seed);
	GOOD(unpin_memory(h));
	return h;
}

static void expect(memory_handle_t h, size_t size, uint64_t seed)
{
	unsigned char *p = pin_memory(h);

	REQUIRE(p);
	CHECK(check_filled(p, 0, size, seed) == size);
	GOOD(unpin_memory(h));
}

static movable_stats_t stats(void)
{
	movable_stats_t s;

	GOOD(get_movable_statistics(&s));
	return s;
}

static void sizes_and_alignment(void)
{
	static const size_t sizes[] = { 0, 1, 8, 15, 16, 100, 4095, 4096, 5000, 65536, 65537, 3 * MIB, 40 * MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t size = sizes[i] ? sizes[i] : 1;
		memory_handle_t h = make(size, i);
		void *p = pin_memory(h);

		CHECK_EQ(movable_size(h), size);
		CHECK(movable_node(h) >= 0);
		CHECK(api_aligned(p, size >= 4096 ? 64 : 16));
		CHECK(!allocation_pool(p)); /* ours, and no pool that a program could destroy */
		GOOD(unpin_memory(h));
		GOOD(release_movable(h));
	}
	CHECK(!allocate_movable((size_t)1 << 40));
	ERROR(last_memory_error(), MEMORY_ERROR_ALLOCATION, "1099511627776");
}

static void stale_handles(void)
{
	memory_handle_t h = make(100, 1);

	GOOD(release_movable(h));
	CHECK(!pin_memory(h));
	ERROR(last_memory_error(), MEMORY_ERROR_CORRUPTION, "handle");
	ERROR(release_movable(h), MEMORY_ERROR_CORRUPTION, "handle");
	ERROR(resize_movable(h, 5), MEMORY_ERROR_CORRUPTION, "handle");
	ERROR(unpin_memory(h), MEMORY_ERROR_INVALID_ARGUMENT, "pinned");
	CHECK_EQ(movable_size(h), 0);
	for (int i = 0; i < 1000; i++) { /* another block takes the entry, and the old handle still is nobody's */
		memory_handle_t other = make(100, 2);

		CHECK(other != h && !pin_memory(h));
		GOOD(release_movable(other));
	}
}

/* More pins than a thread has slots, of one block and of many. */
static void many_pins(void)
{
	memory_handle_t h[100];
	void *at[100];

	for (int i = 0; i < 100; i++)
		h[i] = make(64, (uint64_t)i);
	for (int i = 0; i < 100; i++)
		at[i] = pin_memory(h[i]);
	for (int i = 0; i < 50; i++)
		CHECK(pin_memory(h[7]) == at[7]);
	GOOD(trigger_defragmentation());
	for (int i = 0; i < 100; i++) {
		CHECK(check_filled(at[i], 0, 64, (uint64_t)i) == 64);
		ERROR(release_movable(h[i]), MEMORY_ERROR_BUSY, "pinned");
		ERROR(resize_movable(h[i], 100), MEMORY_ERROR_BUSY, "pinned");
	}
	for (int i = 0; i < 50; i++)
		GOOD(unpin_memory(h[7]));
	for (int i = 0; i < 100; i++)
		GOOD(unpin_memory(h[i]));
	ERROR(unpin_memory(h[7]), MEMORY_ERROR_INVALID_ARGUMENT, "pinned");
	CHECK_EQ(stats().pinned_slots, 0);
	for (int i = 0; i < 100; i++)
		GOOD(release_movable(h[i]));
}

static void shared_pins(void)
{
	memory_handle_t h = make(64, 1);
	int n = 0;

	while (pin_memory_shared(h))
		n++;
	CHECK_EQ(n, 1023);
	ERROR(last_memory_error(), MEMORY_ERROR_BUSY, "1023");
	ERROR(release_movable(h), MEMORY_ERROR_BUSY, "pinned");
	while (n--)
		GOOD(unpin_memory(h));
	GOOD(release_movable(h));
}

static void *pin_and_end(void *handle)
{
	return pin_memory(*(memory_handle_t *)handle);
}

static void *unpin_only(void *handle)
{
	return unpin_memory(*(memory_handle_t *)handle) ? handle : NULL;
}

/* A pin outlives its thread, and another thread may take it off. */
static void a_thread_ends_with_a_pin(void)
{
	memory_handle_t h = make(64, 1);
	pthread_t thread;
	void *at, *error;

	REQUIRE(pthread_create(&thread, NULL, pin_and_end, &h) == 0);
	pthread_join(thread, &at);
	GOOD(trigger_defragmentation());
	CHECK(pin_memory(h) == at);
	GOOD(unpin_memory(h));
	ERROR(release_movable(h), MEMORY_ERROR_BUSY, "pinned");
	GOOD(unpin_memory(h));
	GOOD(release_movable(h));
	h = make(64, 1);
	CHECK(pin_memory(h) != NULL);
	REQUIRE(pthread_create(&thread, NULL, unpin_only, &h) == 0); /* not its own, and not shared */
	pthread_join(thread, &error);
	CHECK(error != NULL);
	GOOD(unpin_memory(h));
	GOOD(release_movable(h));
}

static memory_handle_t forked[3];
static void *forked_at[3];

static int in_child(void *unused)
{
	(void)unused;
	CHECK(check_filled(forked_at[0], 0, 500, 0) == 500);
	GOOD(trigger_defragmentation());
	CHECK(pin_memory(forked[1]) == forked_at[1]); /* of a thread that is not here */
	GOOD(unpin_memory(forked[1]));
	GOOD(unpin_memory(forked[1]));
	GOOD(unpin_memory(forked[0]));
	expect(forked[2], 500, 2);
	for (int i = 0; i < 3; i++)
		GOOD(release_movable(forked[i]));
	for (int i = 0; i < 20000; i++)
		GOOD(release_movable(make(300, 5)));
	CHECK_EQ(validate_memory_blocks(), 0);
	return 0;
}

static _Atomic int ready, go;

static void *pin_and_wait(void *unused)
{
	forked_at[1] = pin_memory(forked[1]);
	ready = 1;
	while (!go)
		usleep(1000);
	unpin_memory(forked[1]);
	return unused;
}

static void forks(void)
{
	struct child c;
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		forked[i] = make(500, (uint64_t)i);
	forked_at[0] = pin_memory(forked[0]);
	REQUIRE(pthread_create(&thread, NULL, pin_and_wait, NULL) == 0);
	while (!ready)
		usleep(1000);
	child_run(in_child, NULL, &c);
	CHILD_GOOD(&c, "movable blocks in a child");
	go = 1;
	pthread_join(thread, NULL);
	GOOD(unpin_memory(forked[0]));
	for (int i = 0; i < 3; i++) {
		expect(forked[i], 500, (uint64_t)i);
		GOOD(release_movable(forked[i]));
	}
}

#define COUNT 20000

static memory_handle_t blocks[COUNT];
static size_t at;

static memory_handle_t *next(void *step)
{
	at += *(size_t *)step;
	return at < COUNT ? &blocks[at] : NULL;
}

/* Every third, then each lies behind the one before it. */
static memory_handle_t other;

static memory_handle_t *next_that_goes_too_far(void *array)
{
	compaction_order_t again = { .next = next_handle_in_array, .closure = &(memory_handle_array_t){ 0 } };
	void *p;

	ERROR(compact_in_order(&again, NULL), MEMORY_ERROR_BUSY, "next()");
	ERROR(resize_movable(other, 3000), MEMORY_ERROR_BUSY, "next()");
	if (initialize_memory_compression(NULL) == MEMORY_ERROR_NONE)
		ERROR(compress_movable(other), MEMORY_ERROR_BUSY, "next()");
	ERROR(trigger_defragmentation(), MEMORY_ERROR_BUSY, "next()");
	ERROR(repair_corruption(), MEMORY_ERROR_BUSY, "next()");
	CHECK_EQ(validate_memory_blocks(), MEMORY_METRIC_UNAVAILABLE);
	p = pin_memory(other);
	CHECK(p != NULL);
	unpin_memory(other);
	return next_handle_in_array(array);
}

/* It says so, rather than to wait for itself. */
static void what_next_must_not_do(void)
{
	memory_handle_t handles[10];
	memory_handle_array_t array = { .handle = handles, .count = 10 };
	compaction_order_t order = { .next = next_that_goes_too_far, .closure = &array };
	compaction_result_t done;

	other = allocate_movable(2000);
	for (int i = 0; i < 10; i++)
		handles[i] = allocate_movable(100);
	GOOD(compact_in_order(&order, &done));
	CHECK_EQ(done.blocks, 10);
	GOOD(resize_movable(other, 3000)); /* and afterwards as ever */
	GOOD(release_movable(other));
	for (int i = 0; i < 10; i++)
		GOOD(release_movable(handles[i]));
}

static void order(bool renew)
{
	size_t step = 3;
	compaction_order_t o = { .next = next, .closure = &step, .renew_handles = renew };
	compaction_result_t done;
	memory_handle_t first;
	char *before = NULL;
	size_t far = 0;

	for (size_t i = 0; i < COUNT; i++)
		blocks[i] = make(100, i);
	first = blocks[3];
	at = 0;
	GOOD(compact_in_order(&o, &done));
	CHECK_EQ(done.blocks, (COUNT - 1) / 3);
	CHECK_EQ(done.bytes, (COUNT - 1) / 3 * 100);
	CHECK_EQ(done.left, 0);
	CHECK((first != blocks[3]) == renew);
	if (renew)
		CHECK(!pin_memory(first));
	for (size_t i = 3; i < COUNT; i += 3) {
		char *p = pin_memory(blocks[i]);

		far += before && p != before + 112;
		before = p;
		GOOD(unpin_memory(blocks[i]));
	}
	CHECK(far <= COUNT / 3 * 112 / (2 * MIB) + 1); /* where a chunk ends */
	for (size_t i = 0; i < COUNT; i++) {
		expect(blocks[i], 100, i);
		GOOD(release_movable(blocks[i]));
	}
	at = 0; /* now all are stale */
	ERROR(compact_in_order(&o, &done), MEMORY_ERROR_CORRUPTION, "handle");
	ERROR(compact_in_order(NULL, NULL), MEMORY_ERROR_INVALID_ARGUMENT, "order");
	ERROR(compact_in_order(&(compaction_order_t){ 0 }, NULL), MEMORY_ERROR_INVALID_ARGUMENT, "next");
}

/* By the library's own function for arrays. */
static void order_of_an_array(void)
{
	memory_handle_array_t array = { .handle = blocks, .count = 1000 };
	compaction_order_t o = { .next = next_handle_in_array, .closure = &array };
	compaction_result_t done;

	for (size_t i = 0; i < 1000; i++)
		blocks[i] = make(64, i);
	GOOD(compact_in_order(&o, &done));
	CHECK_EQ(done.blocks, 1000);
	CHECK_EQ(array.at, 1000);
	for (size_t i = 0; i < 1000; i++) {
		expect(blocks[i], 64, i);
		GOOD(release_movable(blocks[i]));
	}
}

/* A twentieth is left of what there was, here and there; a pass brings the rest back. */
static void memory_comes_back(void)
{
	movable_stats_t before, after;
	size_t live = 0;

	for (size_t i = 0; i < COUNT; i++)
		blocks[i] = make(2000, i);
	for (size_t i = 0; i < COUNT; i++)
		if (i % 20) {
			GOOD(release_movable(blocks[i]));
			blocks[i] = 0;
		} else {
			live += 2000;
		}
	before = stats();
	CHECK(before.winnable_bytes > 30 * MIB);
	GOOD(trigger_defragmentation());
	after = stats();
	CHECK(after.held_bytes <= live + live / 20 + 4 * MIB);
	CHECK(after.won_bytes - before.won_bytes > 30 * MIB);
	CHECK_EQ(after.bytes, before.bytes);
	for (size_t i = 0; i < COUNT; i += 20) {
		expect(blocks[i], 2000, i);
		GOOD(release_movable(blocks[i]));
	}
}

/* A program that releases and allocates without end, and never asks for a pass, does not grow. */
static void churn_does_not_grow(void)
{
	uint64_t random = 1;
	int rounds = api_brief() ? 100000 : 400000;

	for (size_t i = 0; i < 4000; i++)
		blocks[i] = make(1000, i);
	for (int i = 0; i < rounds; i++) {
		size_t k = check_random(&random) % 4000;

		GOOD(release_movable(blocks[k]));
		blocks[k] = allocate_movable(1000);
	}
	CHECK_MSG(stats().held_bytes < 4000 * 1000 * 2 + 14 * MIB, "%zu bytes held", stats().held_bytes);
	for (size_t i = 0; i < 4000; i++)
		GOOD(release_movable(blocks[i]));
}

/* Cleaning up in any order leaves live blocks as they are. */
static void clean_up(void)
{
	memory_handle_t h = make(5000, 1), pinned = make(100, 2);
	void *p = pin_memory(pinned);

	GOOD(cleanup_memory_resources());
	GOOD(stop_defragmentation());
	flush_memory_pools();
	GOOD(cleanup_memory_resources());
	CHECK(pin_memory(pinned) == p);
	GOOD(unpin_memory(pinned));
	expect(h, 5000, 1);
	expect(pinned, 100, 2);
	CHECK_EQ(validate_memory_blocks(), 0);
	GOOD(unpin_memory(pinned));
	GOOD(release_movable(pinned));
	GOOD(release_movable(h));
}

static void resizes(void)
{
	static const size_t sizes[] = { 10, 100, 1, 70000, 300000, 200, 65536, 65537, 3 * MIB, 50 };
	memory_handle_t h = make(10, 9);
	size_t size = 10;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t same = size < sizes[i] ? size : sizes[i];
		unsigned char *p;

		GOOD(resize_movable(h, sizes[i]));
		CHECK_EQ(movable_size(h), sizes[i]);
		p = pin_memory(h);
		CHECK(check_filled(p, 0, same, 9) == same);
		check_fill(p, 0, sizes[i], 9);
		GOOD(unpin_memory(h));
		size = sizes[i];
	}
	CHECK(resize_movable(h, (size_t)1 << 41) == MEMORY_ERROR_ALLOCATION);
	expect(h, 50, 9);
	GOOD(release_movable(h));
}

int main(void)
{
	check_watchdog(300);
	sizes_and_alignment();
	stale_handles();
	many_pins();
	shared_pins();
	a_thread_ends_with_a_pin();
	forks();
	order(false);
	order(true);
	order_of_an_array();
	memory_comes_back();
	churn_does_not_grow();
	resizes();
	clean_up();
	ERROR(get_movable_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "stats");
	CHECK_EQ(stats().blocks, 0);
	CHECK_EQ(validate_memory_blocks(), 0);
	RUN(what_next_must_not_do); /* turns compression on */
	return check_result();
}
