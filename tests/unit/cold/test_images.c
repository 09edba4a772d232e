/* SPDX-License-Identifier: BSD-3-Clause */
/* The validation of the heap finds a damaged image before its block is wanted, and names the block: of movable blocks, of what is kept of
 * blocks in memory, of raw blocks. */
#include <numarena/numarena.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cold/cold.h"
#include "compression/raw_parts.h"
#include "harden/integrity.h"
#include "movable/movable.h"
#include "support/contents.h"
#include "support/unit.h"

#define SIZE ((size_t)200000)

static const struct na_cold_settings settings = {
	.effort = { .speed = 1, .filters = 0x1f }, .min_size = 4096, .age_ms = 3600000, .cache = true
};

static int begin(void **unused)
{
	(void)unused;
	return na_cold_start(&settings);
}

static int end(void **unused)
{
	(void)unused;
	return na_cold_stop();
}

/* What the validation finds: one fault whose sentence has the word, or none if it is NULL. */
static void expect_fault(const char *word)
{
	size_t found = 99;
	char first[160] = "";

	assert_int_equal(na_integrity_validate(&found, first), 0);
	assert_int_equal(found, word ? 1 : 0);
	if (word && !strstr(first, word))
		fail_msg("\"%s\" does not name %s", first, word);
}

static memory_handle_t compressed_block(struct na_image **image)
{
	memory_handle_t h = allocate_movable(SIZE);

	assert_int_not_equal(h, 0);
	contents_fill(pin_memory(h), SIZE, CONTENTS_FLOATS, 3);
	unpin_memory(h);
	assert_int_equal(compress_movable(h), MEMORY_ERROR_NONE);
	*image = (struct na_image *)na_where_payload(na_movable_entry(h)->where);
	return h;
}

static void expect_contents(memory_handle_t h)
{
	uint8_t *wanted = malloc(SIZE);

	contents_fill(wanted, SIZE, CONTENTS_FLOATS, 3);
	assert_memory_equal(pin_memory(h), wanted, SIZE);
	unpin_memory(h);
	free(wanted);
}

static void images_of_movable_blocks(void **unused)
{
	struct na_image *image;
	memory_handle_t h = compressed_block(&image);
	char name[32];

	(void)unused;
	snprintf(name, sizeof(name), "%llx", (unsigned long long)h);
	expect_fault(NULL);
	for (uint32_t i = 0; i < image->pieces; i++) {
		uint8_t *at = (uint8_t *)image->piece[i].payload + image->piece[i].code.length - 1 - i;

		*at ^= 4;
		expect_fault(name);
		*at ^= 4;
	}
	image->piece[1].code.length++;
	expect_fault(name);
	image->piece[1].code.length--;
	expect_fault(NULL);
	expect_contents(h);
	assert_int_equal(release_movable(h), MEMORY_ERROR_NONE);
}

/* The block is in memory, so nothing is lost: the damaged image is not used again. */
static void images_that_are_kept(void **unused)
{
	struct na_image *image;
	memory_handle_t h = compressed_block(&image);
	char name[32];

	(void)unused;
	snprintf(name, sizeof(name), "%llx", (unsigned long long)h);
	expect_contents(h);
	expect_fault(NULL);
	((uint8_t *)image->piece[2].payload)[17] ^= 0x80;
	expect_fault(name);
	assert_int_equal(compress_movable(h), MEMORY_ERROR_NONE);
	expect_fault(NULL);
	expect_contents(h);
	assert_int_equal(release_movable(h), MEMORY_ERROR_NONE);
}

static void images_of_raw_blocks(void **unused)
{
	memory_hints_t cold = { .lifetime = LIFETIME_LONG, .priority = PRIORITY_LOW };
	uint8_t *p = optimized_allocate(SIZE, &cold), *at;
	char name[32];

	(void)unused;
	if (na_cold_raw_refused() < 0)
		skip(); /* the kernel does not let us answer page faults */
	contents_fill(p, SIZE, CONTENTS_FLOATS, 3);
	assert_int_equal(compress_memory(p), MEMORY_ERROR_NONE);
	snprintf(name, sizeof(name), "%p", (void *)p);
	expect_fault(NULL);
	for (uint32_t i = 0; i < 3; i++) {
		at = (uint8_t *)na_raw.blocks[0]->piece[i].payload + 5 * i;
		*at ^= 1;
		expect_fault(name);
		*at ^= 1;
	}
	expect_fault(NULL);
	assert_int_equal(touch_memory(p), MEMORY_ERROR_NONE);
	return_to_pool(p);
}

#define MANY	  ((size_t)4 << 20) /* many times the pieces between which the lock is let go */
#define ATTEMPTS 50

static struct meeting {
	const uint8_t *page; /* away, between two damaged pieces */
	_Atomic bool go;
	uint64_t answered; /* faults, when the first of them was told of */
	int told;
	bool between;
} meeting;

static void *ask(void *unused)
{
	(void)unused;
	while (!meeting.go)
		sched_yield();
	return (void *)(uintptr_t)(*(const volatile uint8_t *)meeting.page + 1);
}

/* With the lock of raw blocks held: at the first damaged piece a page is asked for, and is not answered before the lock is free; the second
 * finds it answered or not. */
static void meet(const char *text, void *closure)
{
	uint64_t answered = na_raw.faults_answered;

	(void)text;
	(void)closure;
	if (meeting.told++ == 0) {
		meeting.answered = answered;
		meeting.go = true;
		while (na_raw.lock.word != 2)
			sched_yield();
	} else {
		meeting.between = answered > meeting.answered;
	}
}

/* Whether who asked was answered while the validation was at it: whoever is woken must also get a processor, so not each time. */
static bool answered_between(uint8_t *p)
{
	struct na_raw_block *b;
	pthread_t thread;

	assert_int_equal(compress_memory(p), MEMORY_ERROR_NONE);
	b = na_raw.blocks[0];
	assert_ptr_equal(b->block, p);
	for (uint32_t i = 0; i < b->pieces; i++)
		assert_int_equal(b->piece[i].state, NA_RAW_AWAY);
	meeting = (struct meeting){ .page = p + MANY / 2 };
	assert_int_equal(pthread_create(&thread, NULL, ask, NULL), 0);
	*(uint8_t *)b->piece[1].payload ^= 1;
	*(uint8_t *)b->piece[b->pieces - 2].payload ^= 1;
	assert_int_equal(na_raw_check(meet, NULL), 2);
	*(uint8_t *)b->piece[1].payload ^= 1;
	*(uint8_t *)b->piece[b->pieces - 2].payload ^= 1;
	pthread_join(thread, NULL);
	return meeting.between;
}

static void raw_blocks_are_answered_for_meanwhile(void **unused)
{
	memory_hints_t cold = { .lifetime = LIFETIME_LONG, .priority = PRIORITY_LOW };
	uint8_t *p;
	int attempts = 0;

	(void)unused;
	if (na_cold_raw_refused() < 0)
		skip();
	p = optimized_allocate(MANY, &cold);
	contents_fill(p, MANY, CONTENTS_FLOATS, 3);
	while (!answered_between(p))
		assert_true(++attempts < ATTEMPTS);
	assert_int_equal(touch_memory(p), MEMORY_ERROR_NONE);
	expect_fault(NULL);
	return_to_pool(p);
}

#define LARGE  ((size_t)5 << 20)
#define ROUNDS 12

static _Atomic bool stop;

static void *validate(void *unused)
{
	size_t *faults = unused;

	while (!stop)
		*faults += na_movable_check(NULL, NULL);
	return NULL;
}

/* Contents that tell where they are, whatever the block's size. */
static bool is_pattern(const uint32_t *p, size_t bytes)
{
	for (size_t i = 0; i < bytes / 4; i++)
		if (p[i] != i * 3)
			return false;
	return true;
}

static void *use(void *block)
{
	while (!stop) {
		const uint32_t *p = pin_memory((memory_handle_t)(uintptr_t)block);

		if (!p || !is_pattern(p, 1 << 20))
			return block;
		unpin_memory((memory_handle_t)(uintptr_t)block);
		usleep(2000);
	}
	return NULL;
}

/* The mover's lock is let go of between the parts of a large block: others take it, and pins, at any moment. */
static void large_blocks_with_breath(void **unused)
{
	memory_handle_t h = allocate_movable(LARGE);
	uint32_t *p = pin_memory(h);
	pthread_t threads[2];
	size_t faults = 0;
	void *wrong;

	(void)unused;
	stop = false;
	for (size_t i = 0; i < LARGE / 4; i++)
		p[i] = (uint32_t)i * 3;
	unpin_memory(h);
	assert_int_equal(pthread_create(&threads[0], NULL, validate, &faults), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, use, (void *)(uintptr_t)h), 0);
	for (int i = 0; i < ROUNDS; i++) {
		size_t size = i % 2 ? LARGE : LARGE - ((size_t)1 << 20);

		compress_movable(h); /* or it is busy */
		if (resize_movable(h, size) != MEMORY_ERROR_NONE)
			size = movable_size(h);
		p = pin_memory(h);
		assert_non_null(p);
		assert_true(is_pattern(p, LARGE - ((size_t)1 << 20)));
		for (size_t k = 0; k < size / 4; k++) /* what a larger one has more */
			p[k] = (uint32_t)k * 3;
		unpin_memory(h);
	}
	stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], &wrong);
	assert_null(wrong);
	assert_int_equal(faults, 0);
	assert_int_equal(compress_movable(h), MEMORY_ERROR_NONE);
	assert_int_equal(release_movable(h), MEMORY_ERROR_NONE);
	expect_fault(NULL);
}

static void *compress_on(void *block)
{
	while (!stop)
		compress_movable((memory_handle_t)(uintptr_t)block);
	return NULL;
}

/* Who writes between two parts of a compression, and then takes the block as well: the image is of what was before, and must not be published. */
static void what_is_written_meanwhile_stays(void **unused)
{
	size_t large = (size_t)16 << 20, words = large / 4;
	memory_handle_t h = allocate_movable(large);
	pthread_t thread;

	(void)unused;
	stop = false;
	contents_fill(pin_memory(h), large, CONTENTS_FLOATS, 3);
	unpin_memory(h);
	assert_int_equal(pthread_create(&thread, NULL, compress_on, (void *)(uintptr_t)h), 0);
	for (uint32_t round = 1; round <= 24; round++) {
		uint32_t *p;

		usleep(1000 + round % 8 * 1000); /* the other one is somewhere in it */
		p = pin_memory(h);
		assert_non_null(p);
		for (size_t k = 0; k < words / 2; k += 256)
			p[k] = round;
		unpin_memory(h);
		assert_int_equal(resize_movable(h, round % 2 ? large : large / 4 * 3), MEMORY_ERROR_NONE); /* nobody has it pinned */
		p = pin_memory(h);
		assert_non_null(p);
		for (size_t k = 0; k < words / 2; k += 256)
			assert_int_equal(p[k], round);
		unpin_memory(h);
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(release_movable(h), MEMORY_ERROR_NONE);
	expect_fault(NULL);
}

/* Ages are bytes: as many phases as make one come round, between two looks, must not make a block look fresh. */
static void many_phases_at_once_are_not_none(void **unused)
{
	struct na_cold_settings by_phases = settings;
	memory_handle_t h = allocate_movable(SIZE);
	struct na_movable_entry *e = na_movable_entry(h);

	(void)unused;
	by_phases.phases = 3;
	assert_int_equal(na_cold_start(&by_phases), 0);
	contents_fill(pin_memory(h), SIZE, CONTENTS_FLOATS, 3);
	unpin_memory(h);
	while (na_where_state(atomic_load(&e->where)) == NA_MOVABLE_HERE)
		usleep(1000); /* until it was looked at once */
	assert_int_equal(na_where_state(atomic_load(&e->where)), NA_MOVABLE_WATCHED);
	for (int i = 0; i < 256; i++)
		na_cold_phase_ended();
	for (int i = 0; i < 10000 && movable_node(h) != -1; i++)
		usleep(2000);
	assert_int_equal(movable_node(h), -1);
	expect_contents(h);
	assert_int_equal(release_movable(h), MEMORY_ERROR_NONE);
	assert_int_equal(na_cold_start(&settings), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_of_movable_blocks),
		cmocka_unit_test(images_that_are_kept),
		cmocka_unit_test(what_is_written_meanwhile_stays),
		cmocka_unit_test(images_of_raw_blocks),
		cmocka_unit_test(raw_blocks_are_answered_for_meanwhile),
		cmocka_unit_test(large_blocks_with_breath),
		cmocka_unit_test(many_phases_at_once_are_not_none),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
