/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Movable blocks when the system refuses: each call of the os table in turn (support/nth.h), and kernels that have no barrier for us. Blocks keep
 * their contents whatever fails.
 */
#include <numarena/numarena.h>

#include "movable/parts.h"
#include "support/nth.h"

#define COUNT 700

static memory_handle_t blocks[COUNT];

static size_t size_of(int i)
{
	return i % 100 == 0 ? 100000 : (size_t)(50 + i % 7 * 300);
}

static int failing_barrier(void)
{
	return nth_fails() ? -EPERM : nth_real.barrier();
}

static int failing_reserve(size_t size, void **out)
{
	return nth_fails() ? -ENOMEM : nth_real.reserve(size, out);
}

static int failing_protect(void *at, size_t size, bool open)
{
	return nth_fails() ? -ENOMEM : nth_real.protect(at, size, open);
}

static void check_all(void)
{
	for (int i = 0; i < COUNT; i++) {
		unsigned char *p = blocks[i] ? pin_memory(blocks[i]) : NULL;

		if (!p)
			continue;
		CHECK_MSG(check_filled(p, 0, size_of(i), (uint64_t)i) == size_of(i), "block %d has changed", i);
		CHECK_EQ(unpin_memory(blocks[i]), MEMORY_ERROR_NONE);
	}
}

static int at;

static memory_handle_t *next(void *unused)
{
	(void)unused;
	while (at < COUNT && !blocks[at])
		at++;
	return at < COUNT ? &blocks[at++] : NULL;
}

/* Allocates, releases two of three, compacts, orders, resizes, with the calls failing that the driver wants. */
static void life(void)
{
	compaction_order_t order = { .next = next, .renew_handles = true };
	compaction_result_t done;

	na_os.barrier = failing_barrier;
	na_os.reserve = failing_reserve;
	na_os.protect = failing_protect;
	for (int i = 0; i < COUNT; i++) {
		unsigned char *p;

		blocks[i] = allocate_movable(size_of(i));
		if (!blocks[i]) {
			CHECK_EQ(errno, ENOMEM);
			continue;
		}
		p = pin_memory(blocks[i]);
		REQUIRE(p);
		check_fill(p, 0, size_of(i), (uint64_t)i);
		CHECK_EQ(unpin_memory(blocks[i]), MEMORY_ERROR_NONE);
	}
	for (int i = 0; i < COUNT; i++)
		if (i % 3 && blocks[i]) {
			CHECK_EQ(release_movable(blocks[i]), MEMORY_ERROR_NONE);
			blocks[i] = 0;
		}
	trigger_defragmentation();
	check_all();
	at = 0;
	compact_in_order(&order, &done);
	check_all();
	for (int i = 0; i < COUNT; i += 9) {
		memory_error_t error = blocks[i] ? resize_movable(blocks[i], size_of(i) * 2) : MEMORY_ERROR_NONE;

		CHECK(error == MEMORY_ERROR_NONE || error == MEMORY_ERROR_ALLOCATION || error == MEMORY_ERROR_PERMISSION);
	}
	check_all();
	CHECK_EQ(na_movable_check(NULL, NULL), 0);
}

static void end(void)
{
	for (int i = 0; i < COUNT; i++)
		if (blocks[i]) {
			CHECK_EQ(release_movable(blocks[i]), MEMORY_ERROR_NONE);
			blocks[i] = 0;
		}
	/* The program's and the mover's chunk stay; what they are depends on what failed before. */
	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_movable_space *s = &na_movable_spaces[i];

		na_movable_lock();
		na_lock(&s->lock);
		na_movable_close(s, &s->dest);
		na_movable_close(s, &s->open);
		na_unlock(&s->lock);
		na_movable_unlock();
		CHECK_EQ(s->chunks, 0);
		CHECK_EQ(s->live, 0);
		CHECK_EQ(s->blocks, 0);
		CHECK_EQ(s->bytes, 0);
		CHECK_EQ(s->solo_bytes, 0);
	}
	CHECK_EQ(na_movable_check(NULL, NULL), 0);
}

static int no_barrier(void)
{
	return -EPERM;
}

/* From the start: pins are fenced, and all works. */
static int without_barrier(void *unused)
{
	movable_stats_t stats;

	(void)unused;
	na_os.barrier = no_barrier;
	nth_begin(LONG_MAX, NTH_ONE);
	nth_real.barrier = no_barrier;
	life();
	nth_end();
	CHECK_EQ(numarena_movable_table.mask, 0);
	get_movable_statistics(&stats);
	CHECK(stats.moves > 200);
	end();
	return check_failures != 0;
}

/* It was there, and is refused: nothing may move any more, and nothing is lost. */
static int barrier_lost(void *unused)
{
	movable_stats_t before, after;
	compaction_order_t order = { .next = next };

	(void)unused;
	nth_begin(LONG_MAX, NTH_ONE);
	life();
	nth_end();
	na_os.barrier = no_barrier;
	get_movable_statistics(&before);
	for (int i = 0; i < COUNT; i += 2)
		if (blocks[i]) {
			release_movable(blocks[i]);
			blocks[i] = 0;
		}
	at = 0;
	CHECK_EQ(compact_in_order(&order, NULL), MEMORY_ERROR_PERMISSION);
	get_movable_statistics(&after);
	CHECK_EQ(after.moves, before.moves);
	CHECK_EQ(na_movable_check(NULL, NULL), 0);
	end();
	return check_failures != 0;
}

int main(void)
{
	struct child c;

	check_watchdog(900);
	na_options.background = 0;
	child_run(without_barrier, NULL, &c);
	CHILD_GOOD(&c, "a kernel without the barrier");
	child_run(barrier_lost, NULL, &c);
	CHILD_GOOD(&c, "a barrier that is refused later");
	nth_scenario("movable blocks", life, end);
	return check_result();
}
