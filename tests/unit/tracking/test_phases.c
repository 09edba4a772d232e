/* SPDX-License-Identifier: BSD-3-Clause */
#include "tracking/phases.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "heap/figures.h"
#include "heap/heap.h"
#include "support/unit.h"

static struct na_phase all[NA_PHASES];

static const struct na_phase *phase(const char *name)
{
	size_t n = na_phases_copy(all, NA_PHASES);

	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	fail_msg("no phase %s", name);
	return NULL;
}

static void a_phase_counts_what_happens_within(void **state)
{
	void *kept = na_heap_allocate(1000), *p[100];
	const struct na_phase *f;

	(void)state;
	assert_int_equal(na_phase_begin("assemble"), 0);
	for (int i = 0; i < 100; i++)
		p[i] = na_heap_allocate(2048);
	for (int i = 0; i < 90; i++)
		na_heap_release(p[i]);
	assert_true(phase("assemble")->running);
	assert_int_equal(phase("assemble")->allocations, 100);
	assert_int_equal(na_phase_end(), 0);
	for (int i = 90; i < 100; i++)
		na_heap_release(p[i]);
	na_heap_release(kept);
	f = phase("assemble");
	assert_false(f->running);
	assert_int_equal(f->entered, 1);
	assert_int_equal(f->allocations, 100);
	assert_int_equal(f->releases, 90);
	assert_int_equal(f->allocated_bytes, 100 * 2048);
	assert_int_equal(f->released_bytes, 90 * 2048);
	assert_int_equal(f->live_at_end - f->live_at_start, 10 * 2048);
	assert_true(f->peak >= f->live_at_end && f->ns > 0);
}

static void ends(const char *name, int times, size_t left)
{
	for (int i = 0; i < times; i++) {
		assert_int_equal(na_phase_begin(name), 0);
		if (left)
			(void)na_heap_allocate(left);
		assert_int_equal(na_phase_end(), 0);
	}
}

/* Whatever their number, the ends make 8 to 16 stretches, of which the lowest counts; the phase that grew most is told. */
static void what_phases_leave_behind_is_a_series(void **state)
{
	uint64_t low[NA_PHASE_STRETCHES];
	char name[NA_PHASE_NAME] = "untouched";
	const struct na_phase *f;

	(void)state;
	ends("few", 7, 64 << 10);
	ends("steady", 100, 0);
	assert_int_equal(na_phases_growth(low, name), 0); /* too few, or nothing left */
	assert_string_equal(name, "untouched");
	ends("leaks", 16, 64 << 10);
	assert_int_equal(na_phases_growth(low, name), 16);
	assert_string_equal(name, "leaks");
	for (int i = 1; i < 16; i++)
		assert_int_equal(low[i] - low[i - 1], 64 << 10);
	ends("leaks", 1, 64 << 10); /* 8 stretches of 2, and one end of the next, which is not told yet */
	assert_int_equal(na_phases_growth(low, name), 8);
	assert_int_equal(low[1] - low[0], 2 * (64 << 10));
	ends("leaks", 983, 64 << 10); /* 1000 in all: 15 of 64, and 40 */
	assert_int_equal(na_phases_growth(low, name), 15);
	assert_int_equal(low[14] - low[13], 64 * (64 << 10));
	f = phase("leaks");
	assert_int_equal(f->stretch, 64);
	assert_int_equal(f->in_last, 40);
	assert_int_equal(f->live_at_end - low[0], 999 * (64 << 10));
}

static void large_blocks_and_named_pools_count(void **state)
{
	struct na_named *named;
	const struct na_phase *f;
	void *p;

	(void)state;
	assert_int_equal(na_named_create("pool", -1, 0, 16, &named), 0);
	na_phase_begin("large");
	p = na_heap_allocate_aligned(4096, 1 << 20, false);
	p = na_heap_resize(p, 3 << 20);
	na_heap_release(p);
	for (int i = 0; i < 10; i++)
		na_named_allocate(named, 100);
	na_named_reset(named);
	na_phase_end();
	na_named_destroy(named);
	f = phase("large");
	assert_int_equal(f->allocations, 11);
	assert_int_equal(f->releases, 11);
	assert_in_range(f->allocated_bytes, (3 << 20) + 10 * 112,
			(3 << 20) + 4096 + 10 * 112); /* where it begins in its page */
	assert_int_equal(f->released_bytes, f->allocated_bytes);
	assert_int_equal(f->live_at_end, f->live_at_start);
	assert_true(f->peak >= f->live_at_start + (3 << 20));
}

static void the_peak_within_is_its_own(void **state)
{
	void *p = na_heap_allocate_aligned(4096, 50 << 20, false);

	(void)state;
	na_heap_release(p); /* the process's peak */
	na_phase_begin("outer");
	p = na_heap_allocate_aligned(4096, 10 << 20, false);
	na_phase_begin("inner");
	na_heap_release(na_heap_allocate_aligned(4096, 20 << 20, false));
	na_phase_end();
	na_heap_release(p);
	na_phase_begin("later");
	na_heap_release(na_heap_allocate_aligned(4096, 5 << 20, false));
	na_phase_end();
	assert_int_equal(phase("outer")->peak - phase("outer")->live_at_start, 30 << 20); /* it runs */
	na_phase_end();
	assert_int_equal(phase("outer")->peak - phase("outer")->live_at_start, 30 << 20);
	assert_int_equal(phase("inner")->peak - phase("inner")->live_at_start, 20 << 20);
	assert_int_equal(phase("later")->peak - phase("later")->live_at_start, 5 << 20);
	assert_int_equal(phase("outer")->allocations, 3);
	assert_int_equal(phase("inner")->allocations, 1);
}

static void a_phase_within_itself_counts_once(void **state)
{
	(void)state;
	na_phase_begin("solve");
	na_heap_release(na_heap_allocate(10));
	na_phase_begin("solve");
	na_heap_release(na_heap_allocate(10));
	na_phase_end();
	na_heap_release(na_heap_allocate(10));
	na_phase_end();
	assert_int_equal(phase("solve")->entered, 2);
	assert_int_equal(phase("solve")->allocations, 3);
}

/* An inner phase that frees what it takes sees the outer one's leak at its ends, and is not blamed for it. */
static void growth_is_of_the_phase_that_leaves_it_behind(void **state)
{
	const struct na_phase *inner, *outer;

	(void)state;
	assert_int_equal(na_phases_innermost(), NA_PHASES);
	for (int i = 0; i < 20; i++) {
		size_t at;

		na_phase_begin("around");
		at = na_phases_innermost();
		assert_string_equal(phase("around")->name, all[at].name);
		na_phase_begin("within");
		assert_true(na_phases_innermost() != at);
		na_heap_release(na_heap_allocate(64 << 10));
		na_phase_end();
		assert_int_equal(na_phases_innermost(), at);
		(void)na_heap_allocate(64 << 10);
		na_phase_end();
	}
	assert_int_equal(na_phases_innermost(), NA_PHASES);
	outer = phase("around");
	inner = phase("within");
	assert_int_equal(na_phase_stretches(outer), 10);
	assert_int_equal(na_phase_stretches(inner), 10);
	assert_true(inner->lows[9] - inner->lows[0] >= 9 * (128 << 10)); /* it rose */
	assert_int_equal(na_phase_growth(inner), 0);
	assert_int_equal(na_phase_growth(outer), 9 * (128 << 10));
}

static void limits(void **state)
{
	char name[20];

	(void)state;
	assert_int_equal(na_phase_end(), -ENOENT);
	for (int i = 0; i < NA_PHASES_DEEP; i++)
		assert_int_equal(na_phase_begin("deep"), 0);
	assert_int_equal(na_phase_begin("deep"), -EOVERFLOW);
	for (int i = 0; i < NA_PHASES_DEEP; i++)
		assert_int_equal(na_phase_end(), 0);
	assert_int_equal(na_phase_end(), -ENOENT);
	for (size_t i = na_phases_copy(NULL, 0); i < NA_PHASES; i++) {
		snprintf(name, sizeof(name), "phase %zu", i);
		assert_int_equal(na_phase_begin(name), 0);
		assert_int_equal(na_phase_end(), 0);
	}
	assert_int_equal(na_phase_begin("one more"), -ENOSPC);
	assert_int_equal(na_phase_end(), -ENOENT);
	assert_int_equal(na_phase_begin("deep"), 0);
	assert_int_equal(na_phase_end(), 0);
	assert_int_equal(na_phases_copy(all, 3), NA_PHASES);
}

static void *work(void *arg)
{
	for (int i = 0; i < 1000; i++)
		na_heap_release(na_heap_allocate(100));
	return arg;
}

static void other_threads_count_and_threads_are_told_apart(void **state)
{
	static struct na_thread_figures before[100], after[100];
	struct na_totals totals, sum = { 0 };
	size_t n, m;
	pthread_t t;

	(void)state;
	na_heap_release(na_heap_allocate(10));
	n = na_heap_threads(before, 100);
	na_phase_begin("deep");
	pthread_create(&t, NULL, work, NULL);
	pthread_join(t, NULL);
	assert_true(phase("deep")->allocations >= 1000);
	na_phase_end();
	m = na_heap_threads(after, 100);
	assert_int_equal(m, n);
	assert_int_equal(after[m - 1].thread, 0);
	assert_in_range(after[m - 1].totals.allocations - before[n - 1].totals.allocations, 1000, 1010);
	for (size_t i = 0; i < m; i++)
		sum.allocations += after[i].totals.allocations;
	na_heap_totals(&totals);
	assert_int_equal(totals.allocations, sum.allocations);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_phase_counts_what_happens_within),
		cmocka_unit_test(what_phases_leave_behind_is_a_series),
		cmocka_unit_test(large_blocks_and_named_pools_count),
		cmocka_unit_test(the_peak_within_is_its_own),
		cmocka_unit_test(a_phase_within_itself_counts_once),
		cmocka_unit_test(growth_is_of_the_phase_that_leaves_it_behind),
		cmocka_unit_test(limits),
		cmocka_unit_test(other_threads_count_and_threads_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
