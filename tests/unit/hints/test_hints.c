/* SPDX-License-Identifier: BSD-3-Clause */
/* Hints: their packing, groups, prefaulting, and every system call on the way that fails. */
#include "hints/hints.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/options.h"
#include "cache/check.h"
#include "heap/heap.h"
#include "heap/named.h"
#include "heap/snapshot.h"
#include "support/faulty_os.h"
#include "support/unit.h"

static struct na_os real;
static int answer;
static size_t asked;

static int populate(void *at, size_t size)
{
	(void)at;
	asked += size;
	return answer;
}

static void every_kind_packs_to_a_number_of_its_own(void **state)
{
	bool seen[NA_HINT_KINDS] = { false };

	(void)state;
	for (int i = 0; i < 4 * 3 * 5 * 2; i++) {
		struct na_hint h = { (enum na_access)(i / 24), (enum na_lifetime)(i % 4), (enum na_priority)(i / 4 % 3),
				     i / 12 % 2 };
		uint32_t packed = na_hint_pack(h);
		struct na_hint back = na_hint_unpack(packed);

		assert_true(packed < NA_HINT_KINDS);
		assert_false(seen[packed]);
		seen[packed] = true;
		assert_int_equal(back.access, h.access);
		assert_int_equal(back.lifetime, h.lifetime);
		assert_int_equal(back.priority, h.priority);
		assert_int_equal(back.no_move, h.no_move);
	}
	assert_true(seen[0]);
}

static void *take(struct na_hints h, size_t size)
{
	char why[200] = "";
	void *p = NULL;
	int rc = na_hints_allocate(size, &h, &p, why);

	if (rc < 0) {
		assert_int_equal(rc, -ENOMEM);
		assert_true(strlen(why) > 5);
		return NULL;
	}
	memset(p, 3, size);
	return p;
}

static uint64_t live(void)
{
	static struct na_snapshot s;

	na_heap_snapshot(&s);
	return s.live_bytes;
}

static void prefaulting_asks_once_and_touches_where_that_is_unknown(void **state)
{
	struct na_hints high = { .hint.priority = NA_PRIORITY_HIGH };
	char *p;

	(void)state;
	real = na_os;
	na_os.populate = populate;
	answer = 0;
	asked = 0;
	p = take(high, 100000);
	assert_non_null(p);
	assert_true(asked >= 100000 && asked < 100000 + 2 * NA_PAGE);
	na_heap_release(p);
	asked = 0;
	p = take(high, 300); /* a write is cheaper */
	assert_int_equal(asked, 0);
	na_heap_release(p);
	answer = -EINVAL; /* a kernel that does not know the call */
	p = take(high, 10 << 20);
	assert_non_null(p);
	na_heap_release(p);
	na_os = real;
}

static void without_memory_for_every_page_there_is_no_block(void **state)
{
	struct na_hints high = { .hint.priority = NA_PRIORITY_HIGH, .hint.lifetime = NA_LIFETIME_LONG };
	static const int answers[] = { -ENOMEM, -EHWPOISON, -EFAULT };
	uint64_t before = live();

	(void)state;
	real = na_os;
	na_os.populate = populate;
	for (size_t i = 0; i < 3; i++) {
		answer = answers[i];
		assert_null(take(high, 1 << 20));
		assert_null(take(high, 40 << 20));
	}
	na_os = real;
	assert_int_equal(live(), before);
}

/* A scenario that makes its groups, caches, spans, runs and mappings anew: hints that nothing here used before. */
static void scenario(uint32_t kind)
{
	static const size_t sizes[] = { 40, 3000, 30000, 200000, 3 << 20, 9 << 20, 40 << 20 };
	struct na_hints h = { .hint = na_hint_unpack(kind), .alignment = 256 };
	void *p[7];

	for (int i = 0; i < 7; i++) {
		p[i] = take(h, sizes[i]);
		if (!p[i])
			continue;
		for (size_t size = sizes[i] / 3; size < 5 * sizes[i]; size += size / 2 + 1) {
			void *q = na_heap_resize(p[i], size);
			struct na_hints found;

			if (!q)
				break;
			p[i] = q;
			assert_int_equal(((char *)q)[0], 3);
			assert_int_equal(na_hints_of(q, &found), 0);
			assert_int_equal(na_hint_pack(found.hint), kind);
		}
	}
	for (int i = 0; i < 7; i++)
		if (p[i])
			assert_int_equal(na_heap_release_checked(p[i]), 0);
}

static uint32_t kinds[120];
static uint32_t kind_count, next_kind;

/* Each Nth call fails, and all after it, for each N that the scenario reaches; afterwards all is as before. */
static void every_system_call_may_fail(void **state)
{
	uint64_t before;
	long calls = LONG_MAX, n;

	(void)state;
	for (uint32_t i = 1; i < NA_HINT_KINDS; i++) {
		struct na_hint h = na_hint_unpack(i);

		if (h.access <= NA_ACCESS_READ_MOSTLY && h.priority <= NA_PRIORITY_HIGH)
			kinds[kind_count++] = i;
	}
	before = live();
	for (n = 1; n <= calls; n++) {
		uint32_t kind = kinds[next_kind++ % kind_count];

		na_faulty_os_install(n);
		scenario(kind);
		calls = na_faulty_os_remove();
		assert_int_equal(live(), before);
		scenario(kind); /* and with memory again it works */
		assert_int_equal(live(), before);
	}
	assert_true(n > 10);
	na_heap_flush();
}

static void caches_of_groups_give_their_last_spans_back(void **state)
{
	struct na_hints h = { .hint.lifetime = NA_LIFETIME_SHORT, .hint.no_move = true };
	struct na_named *group;
	struct na_named_figures f;
	void *p[500];

	(void)state;
	for (int i = 0; i < 500; i++)
		p[i] = take(h, (size_t)i * 20);
	group = na_group_of(&na_pools[0], na_hint_pack(h.hint));
	for (uint32_t i = 0; i < NA_GROUP_CACHES; i++)
		if (na_named_cache(group, i))
			assert_null(na_cache_check(na_named_cache(group, i)));
	for (int i = 0; i < 500; i++)
		na_heap_release(p[i]);
	na_named_figures(group, &f);
	assert_true(f.held > 0);
	assert_int_equal(f.live, 0);
	assert_int_equal(f.allocations, 500);
	assert_int_equal(f.releases, 500);
	assert_string_equal(f.name, "short fixed");
	na_named_purge(true);
	na_named_figures(group, &f);
	assert_int_equal(f.held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_packs_to_a_number_of_its_own),
		cmocka_unit_test(caches_of_groups_give_their_last_spans_back),
		cmocka_unit_test(prefaulting_asks_once_and_touches_where_that_is_unknown),
		cmocka_unit_test(without_memory_for_every_page_there_is_no_block),
		cmocka_unit_test(every_system_call_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
