/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "cache/check.h"
#include "heap/heap.h"
#include "heap/snapshot.h"
#include "support/unit.h"

#define MANY 20000

static void *blocks[MANY];

static void sound(struct na_cache *c)
{
	const char *wrong;

	na_lock(&c->lock);
	wrong = na_cache_check(c);
	na_unlock(&c->lock);
	assert_string_equal(wrong ? wrong : "", "");
}

static uint64_t live(void)
{
	struct na_snapshot s;

	na_heap_snapshot(&s);
	return s.live_bytes;
}

static void in_thread(void *(*body)(void *), void *argument)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, body, argument), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
}

static void neighbours_in_time_are_neighbours_in_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < 64; i++)
		blocks[i] = na_heap_allocate(48);
	for (size_t i = 1; i < 64; i++)
		assert_int_equal((char *)blocks[i] - (char *)blocks[i - 1], 48);
	for (size_t i = 0; i < 64; i++)
		na_heap_release(blocks[i]);
	sound(na_cache_current);
}

static void every_order_of_frees_leaves_a_sound_cache_and_nothing_live(void **state)
{
	const size_t sizes[] = { 1, 16, 64, 100, 1000, 5000, 20000, 32768 };
	uint64_t before = live();
	unsigned int seed = 5;

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size_t n = 2000000 / (sizes[s] + 100);

		if (n > MANY)
			n = MANY;
		for (int order = 0; order < 3; order++) {
			for (size_t i = 0; i < n; i++) {
				blocks[i] = na_heap_allocate(sizes[s]);
				assert_non_null(blocks[i]);
				memset(blocks[i], (int)i, sizes[s]);
			}
			for (size_t i = n; order == 2 && i > 1; i--) {
				size_t k = (size_t)rand_r(&seed) % i;
				void *t = blocks[k];

				blocks[k] = blocks[i - 1];
				blocks[i - 1] = t;
			}
			sound(na_cache_current);
			for (size_t i = 0; i < n; i++)
				na_heap_release(blocks[order == 1 ? n - 1 - i : i]);
			sound(na_cache_current);
			assert_int_equal(live(), before);
		}
	}
}

static void *free_all(void *count)
{
	for (size_t i = 0; i < (size_t)count; i++)
		assert_int_equal(na_heap_release_checked(blocks[i]), 0);
	return NULL;
}

static void blocks_freed_by_another_thread_go_home_and_are_used_again(void **state)
{
	uint64_t before = live();
	uintptr_t least = UINTPTR_MAX, most = 0;

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < MANY; i++) {
			uintptr_t a = (uintptr_t)(blocks[i] = na_heap_allocate(128));

			if (round == 0) {
				least = a < least ? a : least;
				most = a > most ? a : most;
			} else {
				assert_in_range(a, least - NA_SLICE * 4, most + NA_SLICE * 4);
			}
		}
		in_thread(free_all, (void *)(size_t)MANY);
		assert_int_equal(live(), before);
	}
	sound(na_cache_current);
}

static void *allocate_all(void *count)
{
	for (size_t i = 0; i < (size_t)count; i++)
		blocks[i] = na_heap_allocate(200);
	return NULL;
}

static size_t caches(void)
{
	size_t n = 0;

	for (struct na_cache *c = na_cache_first(); c; c = c->next_all)
		n++;
	return n;
}

static void a_new_thread_takes_over_the_cache_of_one_that_ended(void **state)
{
	uint64_t before = live();
	size_t made = 0;

	(void)state;
	in_thread(allocate_all, (void *)1000);
	free_all((void *)1000);
	made = caches();
	for (int i = 0; i < 50; i++) {
		in_thread(allocate_all, (void *)1000);
		free_all((void *)1000);
	}
	assert_int_equal(caches(), made);
	na_heap_flush();
	assert_int_equal(live(), before);
}

static void idle_spans_empty_themselves_into_the_pool(void **state)
{
	struct na_snapshot s;
	uint64_t held;

	(void)state;
	na_heap_flush();
	na_heap_snapshot(&s);
	held = s.held_bytes;
	in_thread(allocate_all, (void *)(size_t)MANY);
	free_all((void *)(size_t)MANY);
	na_heap_flush(); /* ours, the pending frees; and tends to the idle */
	na_heap_snapshot(&s);
	assert_true(s.held_bytes <= held + 2 * NA_SLICE);
}

static void a_double_free_is_told_wherever_the_block_is(void **state)
{
	char *local = na_heap_allocate(64), *full, *remote;

	(void)state;
	assert_int_equal(na_heap_release_checked(local), 0);
	assert_int_equal(na_heap_release_checked(local), -EINVAL);
	assert_int_equal(na_heap_release_checked(local + 8), -EINVAL);

	for (size_t i = 0; i < 3000; i++) /* many full, parked spans */
		blocks[i] = na_heap_allocate(1000);
	full = blocks[0];
	assert_int_equal(na_heap_release_checked(full), 0);
	assert_int_equal(na_heap_release_checked(full), -EINVAL);
	for (size_t i = 1; i < 3000; i++)
		na_heap_release(blocks[i]);

	in_thread(allocate_all, (void *)10);
	remote = blocks[3];
	assert_int_equal(na_heap_release_checked(remote), 0);
	assert_int_equal(na_heap_release_checked(remote), -EINVAL); /* still pending */
	na_cache_flush_pending(na_cache_current);
	for (size_t i = 0; i < 10; i++)
		if (blocks[i] != remote)
			assert_int_equal(na_heap_release_checked(blocks[i]), 0);
	sound(na_cache_current);
}

static pthread_key_t last_key;
static int caches_of_freeing_threads;

static void free_last(void *block)
{
	na_heap_release(block);
}

/* Frees, and leaves one block to a destructor of its own, which may run before or after the cache's. */
static void *only_free(void *unused)
{
	(void)unused;
	for (size_t i = 1; i < 64; i++)
		na_heap_release(blocks[i]);
	caches_of_freeing_threads += na_cache_current != &na_cache_none;
	pthread_setspecific(last_key, blocks[0]);
	return NULL;
}

static void a_thread_that_only_frees_has_a_cache_while_it_lives(void **state)
{
	uint64_t before = live();
	size_t made = 0;

	(void)state;
	assert_int_equal(pthread_key_create(&last_key, free_last), 0);
	for (int round = 0; round < 100; round++) {
		if (round == 1) /* an idle cache there may be before, or not */
			made = caches();
		for (size_t i = 0; i < 64; i++)
			blocks[i] = na_heap_allocate(200);
		in_thread(only_free, NULL);
	}
	assert_int_equal(caches(), made);
	assert_int_equal(caches_of_freeing_threads, 100);
	pthread_key_delete(last_key);
	assert_int_equal(live(), before);
}

/* As programs do that work in bundles: what a stack gives away when it is full it would fetch again at once. */
static void a_stack_grows_to_the_bundles_that_a_program_takes_and_frees(void **state)
{
	uint64_t spills;

	(void)state;
	for (int round = 0; round < 20; round++) {
		spills = na_cache_current->spills;
		for (size_t i = 0; i < 700; i++)
			blocks[i] = na_heap_allocate(32);
		for (size_t i = 0; i < 700; i++)
			na_heap_release(blocks[i]);
	}
	assert_int_equal(na_cache_current->spills, spills);
	sound(na_cache_current);
}

static void foreign_pointers_are_told(void **state)
{
	int on_stack;
	static int in_data;
	void *of_libc = malloc(100);

	(void)state;
	assert_int_equal(na_heap_release_checked(&on_stack), -EINVAL);
	assert_int_equal(na_heap_release_checked(&in_data), -EINVAL);
	assert_int_equal(na_heap_release_checked(of_libc), -EINVAL);
	assert_int_equal(na_heap_release_checked((void *)8), -EINVAL);
	assert_int_equal(na_heap_release_checked((void *)UINTPTR_MAX), -EINVAL);
	free(of_libc);
}

static int quiet(void **state)
{
	(void)state;
	na_pools_boot();
	na_options.verbose = 0;
	na_options.background = 0;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_in_time_are_neighbours_in_memory),
		cmocka_unit_test(every_order_of_frees_leaves_a_sound_cache_and_nothing_live),
		cmocka_unit_test(blocks_freed_by_another_thread_go_home_and_are_used_again),
		cmocka_unit_test(a_new_thread_takes_over_the_cache_of_one_that_ended),
		cmocka_unit_test(idle_spans_empty_themselves_into_the_pool),
		cmocka_unit_test(a_double_free_is_told_wherever_the_block_is),
		cmocka_unit_test(a_thread_that_only_frees_has_a_cache_while_it_lives),
		cmocka_unit_test(a_stack_grows_to_the_bundles_that_a_program_takes_and_frees),
		cmocka_unit_test(foreign_pointers_are_told),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
