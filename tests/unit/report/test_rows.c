/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed rows: what goes in comes out, the longest fits, and nothing that is cut or made up is believed or read past its end. */
#include "support/unit.h"

#include <errno.h>
#include <stdlib.h>

#include "records.h"
#include "report/rows.h"

static struct na_record r;
static struct na_row row, got;

static void same(const struct na_row *a, const struct na_row *b)
{
	assert_string_equal(a->host, b->host);
	assert_string_equal(a->program, b->program);
	assert_string_equal(a->phase, b->phase);
	assert_int_equal(a->rank, b->rank);
	assert_int_equal(a->pid, b->pid);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->role, b->role);
	assert_int_equal(a->update_ms, b->update_ms);
	assert_memory_equal(a->value, b->value, sizeof(a->value));
	assert_int_equal(a->cell_count, b->cell_count);
	for (uint32_t i = 0; i < a->cell_count; i++) {
		assert_int_equal(a->cells[i].node, b->cells[i].node);
		assert_int_equal(a->cells[i].resident, b->cells[i].resident);
		assert_int_equal(a->cells[i].misplaced, b->cells[i].misplaced);
	}
	assert_memory_equal(a->live, b->live, sizeof(a->live));
	assert_int_equal(a->pause_count, b->pause_count);
	for (uint64_t i = 0; i < a->pause_count; i++) {
		assert_int_equal(a->pauses[i].moment_ns / 1000000, b->pauses[i].moment_ns / 1000000);
		assert_int_equal(a->pauses[i].ns, b->pauses[i].ns);
		assert_int_equal(a->pauses[i].bytes, b->pauses[i].bytes);
		assert_int_equal(a->pauses[i].kind, b->pauses[i].kind);
	}
}

static void fill(int32_t rank)
{
	struct na_axis axis;
	struct na_row_axis rows;

	record_make(&r, rank < 0 ? 0 : rank, 8, "alpha");
	r.rank = rank;
	for (unsigned int i = 0; i < 20; i++)
		na_pauses_add(&r.pauses, &(struct na_pause){ .moment_ns = (START_MS + i * 10) * UINT64_C(1000000), .ns = 1000 * i, .kind = i % 4 });
	axis = na_axis_of(&r.series);
	rows = na_row_axis(&axis);
	na_row_fill(&row, &r, &rows);
}

/* As nothing is, and as much as there can be. */
static void extreme(struct na_row *x, int ones)
{
	memset(x, ones ? 0xff : 0, sizeof(*x));
	memset(x->host, 'h', sizeof(x->host));
	memset(x->program, 'p', sizeof(x->program));
	memset(x->phase, 'q', sizeof(x->phase));
	x->host[sizeof(x->host) - 1] = x->program[sizeof(x->program) - 1] = x->phase[sizeof(x->phase) - 1] = '\0';
	x->rank = x->pid = ones ? INT32_MIN : INT32_MAX;
	x->state = NA_RECORD_LOST;
	x->role = NA_RECORD_RANK;
	x->cell_count = NA_ROW_CELLS;
	x->pause_count = NA_ROW_PAUSES;
	for (int i = 0; i < NA_METRIC_COUNT_; i++)
		x->value[i] = ones ? UINT64_MAX - 1 : UINT64_MAX;
	for (int i = 0; i < NA_ROW_BINS; i++)
		x->live[i] = i % 2 ? 0x8000 : 0;
	for (int i = 0; i < NA_ROW_PAUSES; i++)
		x->pauses[i] = (struct na_pause){ i % 2 ? 0 : UINT64_MAX, UINT64_MAX, UINT64_MAX, NA_PAUSE_ALONE };
}

static void what_goes_in_comes_out(void **state)
{
	struct na_rows rows = { 0 };
	struct na_row wide[2];
	size_t at = 0;

	(void)state;
	extreme(&wide[0], 0);
	extreme(&wide[1], 1);
	for (int i = -1; i < 100; i++) {
		fill(i);
		assert_int_equal(na_rows_add(&rows, &row), 0);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(na_rows_add(&rows, &wide[i]), 0);
	assert_int_equal(rows.count, 103);
	assert_int_equal(na_rows_check(&rows), 0);
	for (int i = -1; i < 100; i++) {
		fill(i);
		assert_int_equal(na_rows_next(&rows, &at, &got), 1);
		same(&got, &row);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(na_rows_next(&rows, &at, &got), 1);
		same(&got, &wide[i]);
	}
	assert_int_equal(na_rows_next(&rows, &at, &got), 0);
	free(rows.bytes);
}

static void a_usual_row_is_small(void **state)
{
	unsigned char bytes[NA_ROW_PACKED];

	(void)state;
	fill(3);
	assert_in_range(na_row_pack(&row, bytes), 100, 500);
}

static void what_is_cut_or_made_up_is_refused(void **state)
{
	unsigned char bytes[NA_ROW_PACKED];
	struct na_rows rows = { .count = 1 };
	size_t length, at;
	unsigned int seed = 1;

	(void)state;
	fill(3);
	length = na_row_pack(&row, bytes);
	for (size_t cut = 1; cut < length; cut++) {
		rows.bytes = malloc(cut); /* of just that size: a read past it is seen by sanitizers and Valgrind */
		assert_non_null(rows.bytes);
		memcpy(rows.bytes, bytes, cut);
		rows.length = cut;
		assert_int_equal(na_rows_check(&rows), -EINVAL);
		free(rows.bytes);
	}
	rows.bytes = bytes;
	rows.length = length;
	assert_int_equal(na_rows_check(&rows), 0);
	rows.count = 2;
	assert_int_equal(na_rows_check(&rows), -EINVAL);
	for (int turn = 0; turn < 20000; turn++) { /* never more than there is room for, whatever it says */
		size_t place = (size_t)rand_r(&seed) % length;
		unsigned char before = bytes[place];

		bytes[place] = (unsigned char)rand_r(&seed);
		at = 0;
		if (na_rows_next(&rows, &at, &got) > 0) {
			assert_in_range(got.cell_count, 0, NA_ROW_CELLS);
			assert_in_range(got.pause_count, 0, NA_ROW_PAUSES);
			assert_in_range(at, 1, length);
			assert_non_null(memchr(got.host, 0, sizeof(got.host)));
		}
		bytes[place] = before;
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(a_usual_row_is_small),
		cmocka_unit_test(what_is_cut_or_made_up_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
