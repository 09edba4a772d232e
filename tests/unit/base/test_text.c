/* SPDX-License-Identifier: BSD-3-Clause */
/* src/base/text.h, and the small printf of src/base/log.h on top of it. */
#include "support/unit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

static void text_is_added_piece_by_piece(void **state)
{
	char out[64];
	struct na_text t = na_text_init(out, sizeof(out));

	(void)state;
	assert_string_equal(out, "");
	na_text_add(&t, "node ");
	na_text_add_number(&t, 0);
	na_text_add(&t, "");
	na_text_add(&t, ", ");
	na_text_add_base(&t, 0xdeadbeef, 16);
	na_text_add(&t, ", ");
	na_text_add_pointer(&t, (void *)(uintptr_t)0x7f00);
	assert_string_equal(out, "node 0, deadbeef, 0x7f00");
	assert_int_equal(t.length, strlen(out));
}

static void the_largest_number_fits_in_any_base(void **state)
{
	char out[64];
	struct na_text t = na_text_init(out, sizeof(out));

	(void)state;
	na_text_add_number(&t, UINT64_MAX);
	na_text_add(&t, " ");
	na_text_add_base(&t, UINT64_MAX, 16);
	assert_string_equal(out, "18446744073709551615 ffffffffffffffff");
}

static void too_long_a_text_is_cut_and_stays_terminated(void **state)
{
	char out[16];

	(void)state;
	for (size_t capacity = 1; capacity < sizeof(out); capacity++) {
		struct na_text t;

		memset(out, '#', sizeof(out));
		t = na_text_init(out, capacity);
		na_text_add(&t, "0123456789");
		na_text_add(&t, "abcdefghij");
		na_text_add_number(&t, 12345);
		assert_int_equal(strlen(out), capacity - 1);
		assert_int_equal(t.length, capacity - 1);
		assert_memory_equal(out, "0123456789abcde", capacity - 1);
		for (size_t i = capacity; i < sizeof(out); i++)
			assert_int_equal(out[i], '#');
	}
}

static void no_room_at_all_is_left_alone(void **state)
{
	char out[4] = "##";
	struct na_text t = na_text_init(out, 0);

	(void)state;
	na_text_add(&t, "text");
	na_text_add_number(&t, 7);
	assert_int_equal(t.length, 0);
	assert_string_equal(out, "##");
	assert_int_equal(na_format(out, 0, "%d", 7), 0);
	assert_string_equal(out, "##");
}

/* What ours gives must be what libc's gives. */
#define SAME(format, ...)                                                                                              \
	do {                                                                                                           \
		char ours[128], theirs[128];                                                                           \
		size_t n = na_format(ours, sizeof(ours), format, __VA_ARGS__);                                         \
                                                                                                                       \
		assert_int_equal(n, snprintf(theirs, sizeof(theirs), format, __VA_ARGS__));                            \
		assert_string_equal(ours, theirs);                                                                     \
	} while (0)

static void every_format_gives_what_libc_gives(void **state)
{
	(void)state;
	SAME("%s and %s", "one", "");
	SAME("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
	SAME("%ld %ld", LONG_MAX, LONG_MIN);
	SAME("%lld %lld", LLONG_MAX, LLONG_MIN);
	SAME("%zd", (ssize_t)-5);
	SAME("%u %u", 0u, UINT_MAX);
	SAME("%lu %llu %zu", ULONG_MAX, ULLONG_MAX, (size_t)SIZE_MAX);
	SAME("%x %lx %llx %zx", UINT_MAX, ULONG_MAX, 0x123456789abcdefull, (size_t)255);
	SAME("%p", (void *)(uintptr_t)0x7fff12345678);
	SAME("%d%% of %s", 50, "it");
	SAME("%s%s%d%u%x%lu", "a", "b", -3, 4u, 0xabcu, 6ul);
}

static void a_missing_string_is_named(void **state)
{
	const char *volatile none = NULL;
	char out[32];

	(void)state;
	na_format(out, sizeof(out), "[%s]", none);
	assert_string_equal(out, "[(null)]");
}

static void an_unknown_conversion_ends_the_text_and_shows(void **state)
{
	/* In variables, as the compiler would refuse them. */
	static const char *const wrong[] = { "a%qb", "a%5d", "a%.2f", "a%c", "a%-d", "a%l", "a%" };
	char out[32];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *volatile format = wrong[i];

		assert_int_equal(na_format(out, sizeof(out), format, 7), 3);
		assert_string_equal(out, "a%?");
	}
}

static void a_long_format_is_cut_at_every_length(void **state)
{
	char out[64], whole[64];
	size_t n = na_format(whole, sizeof(whole), "%s %d %x", "twelve bytes", -123456, 0xabcdefu);

	(void)state;
	for (size_t capacity = 1; capacity <= n; capacity++) {
		memset(out, '#', sizeof(out));
		na_format(out, capacity, "%s %d %x", "twelve bytes", -123456, 0xabcdefu);
		assert_int_equal(strlen(out), capacity - 1);
		assert_memory_equal(out, whole, capacity - 1);
		assert_int_equal(out[capacity], '#');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_added_piece_by_piece),
		cmocka_unit_test(the_largest_number_fits_in_any_base),
		cmocka_unit_test(too_long_a_text_is_cut_and_stays_terminated),
		cmocka_unit_test(no_room_at_all_is_left_alone),
		cmocka_unit_test(every_format_gives_what_libc_gives),
		cmocka_unit_test(a_missing_string_is_named),
		cmocka_unit_test(an_unknown_conversion_ends_the_text_and_shows),
		cmocka_unit_test(a_long_format_is_cut_at_every_length),
	};

	return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
