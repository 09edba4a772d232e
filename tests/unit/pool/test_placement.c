/* SPDX-License-Identifier: BSD-3-Clause */
/* The arithmetic of placements, against a slow and plain one, and what is asked of the kernel for them. */
#include "pool/placement.h"

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "pool/nodes.h"
#include "support/unit.h"

static struct {
	uintptr_t from, to;
	int node;
} bound[80];
static size_t bound_count, huge_count, ordinary_count;
static int answer;

static int note_bind(void *at, size_t size, int node)
{
	assert_true(bound_count < 80);
	bound[bound_count].from = (uintptr_t)at;
	bound[bound_count].to = (uintptr_t)at + size;
	bound[bound_count++].node = node;
	return node == 7 ? answer : 0;
}

static int note_huge(void *at, size_t size)
{
	(void)at;
	huge_count += size;
	return 0;
}

static int note_ordinary(void *at, size_t size)
{
	(void)at;
	ordinary_count += size;
	return 0;
}

/* The node of part i by the documented rule: that of CPU number i * C / parts, counted node by node. */
static int node_by_rule(const struct na_placement *p, const uint32_t *cpus, uint32_t part)
{
	uint64_t all = 0, cpu;
	uint32_t k = 0;

	for (uint32_t i = 0; i < p->count; i++)
		all += cpus[i];
	for (cpu = (uint64_t)part * all / p->parts; cpu >= cpus[k]; k++)
		cpu -= cpus[k];
	return p->nodes[k];
}

static const uint32_t machines[][4] = { { 1, 1, 1, 1 }, { 8, 8, 8, 8 }, { 3, 1, 2, 5 }, { 64, 1, 64, 1 } };
static const uint32_t some_parts[] = { 1, 2, 3, 4, 5, 8, 11, 63, 130, 1000, 65536 };

static void parts_lie_on_the_nodes_of_their_cpus(void **state)
{
	static const size_t lengths[] = { 1, 4096, 65536, 1000000, (12 << 20) + 5 };

	(void)state;
	for (size_t m = 0; m < 4; m++)
		for (size_t i = 0; i < 11; i++)
			for (size_t l = 0; l < 10; l++) {
				struct na_placement p = { .kind = NA_PLACED_PARTITIONED,
							  .huge = l % 2,
							  .count = 4,
							  .nodes = { 2, 3, 7, 100 } };
				size_t unit = p.huge ? (size_t)2 << 20 : 4096, length = lengths[l / 2], before = 0;

				na_placement_divide(&p, machines[m], some_parts[i]);
				for (uint32_t part = 0; part < p.parts; part++) {
					size_t from = na_placement_cut(&p, length, part),
					       to = na_placement_cut(&p, length, part + 1);

					assert_int_equal(from, before);
					assert_true(from % unit == 0 || from == length);
					before = to;
					if (from == to)
						continue;
					assert_int_equal(na_placement_node(&p, length, from),
							 node_by_rule(&p, machines[m], part));
					assert_int_equal(na_placement_node(&p, length, to - 1),
							 node_by_rule(&p, machines[m], part));
				}
				assert_int_equal(before, length);
			}
}

/* Every page of a mapping gets the policy of its node, in one call a node at most. */
static void a_partition_is_one_call_a_node(void **state)
{
	const size_t length = 4096 * 1001;
	char *base = (char *)((uintptr_t)1 << 30);

	(void)state;
	na_pool_count = 4;
	for (size_t m = 0; m < 4; m++)
		for (size_t i = 0; i < 11; i++) {
			struct na_placement p = { .kind = NA_PLACED_PARTITIONED,
						  .count = 4,
						  .nodes = { 2, 3, 7, 100 } };

			bound_count = ordinary_count = huge_count = 0;
			na_placement_divide(&p, machines[m], some_parts[i]);
			assert_int_equal(na_placement_apply(&p, base, length), 0);
			assert_true(bound_count <= 4);
			assert_int_equal(ordinary_count, length);
			assert_int_equal(huge_count, 0);
			for (size_t at = 0; at < length; at += 4096) {
				int node = -1;

				for (size_t b = 0; b < bound_count; b++)
					if ((uintptr_t)base + at >= bound[b].from && (uintptr_t)base + at < bound[b].to)
						node = bound[b].node;
				assert_int_equal(node, na_placement_node(&p, length, at));
			}
		}
}

static void a_refusal_is_told_and_the_rest_is_placed(void **state)
{
	struct na_placement p = { .kind = NA_PLACED_PARTITIONED, .count = 4, .nodes = { 2, 3, 7, 100 } };

	(void)state;
	bound_count = 0;
	answer = -EPERM;
	na_placement_divide(&p, machines[0], 4);
	assert_int_equal(na_placement_apply(&p, (void *)4096, 4096 * 64), -EPERM);
	assert_int_equal(bound_count, 4);
	answer = 0;
}

static void where_there_is_one_node_nothing_is_asked(void **state)
{
	struct na_placement p = { .kind = NA_PLACED_PARTITIONED, .huge = true, .count = 1, .nodes = { 7 } };

	(void)state;
	bound_count = huge_count = 0;
	answer = -EPERM;
	na_pool_count = 1;
	na_placement_divide(&p, machines[0], 4);
	assert_int_equal(na_placement_apply(&p, (void *)4096, 4096 * 64), 0);
	assert_int_equal(bound_count, 0);
	assert_int_equal(huge_count, 4096 * 64);
	answer = 0;
}

static void the_same_is_the_same_in_all_that_matters(void **state)
{
	struct na_placement a = { .kind = NA_PLACED_PARTITIONED, .count = 4, .nodes = { 2, 3, 7, 100 } }, b;

	(void)state;
	na_placement_divide(&a, machines[0], 8);
	b = a;
	b.length = 5;
	assert_true(na_placement_same(&a, &b));
	na_placement_divide(&b, machines[2], 8);
	assert_false(na_placement_same(&a, &b));
	na_placement_divide(&b, machines[0], 12);
	assert_false(na_placement_same(&a, &b));
	b = a;
	b.nodes[3] = 101;
	assert_false(na_placement_same(&a, &b));
	b = a;
	b.count = 3;
	assert_false(na_placement_same(&a, &b));
	b = a;
	b.huge = true;
	assert_false(na_placement_same(&a, &b));
	b = a;
	b.kind = NA_PLACED_INTERLEAVED;
	assert_false(na_placement_same(&a, &b));
	b = a;
	b.refused = -EPERM;
	assert_false(na_placement_same(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_lie_on_the_nodes_of_their_cpus),
		cmocka_unit_test(a_partition_is_one_call_a_node),
		cmocka_unit_test(a_refusal_is_told_and_the_rest_is_placed),
		cmocka_unit_test(where_there_is_one_node_nothing_is_asked),
		cmocka_unit_test(the_same_is_the_same_in_all_that_matters),
	};

	na_os.bind = note_bind;
	na_os.advise_huge = note_huge;
	na_os.advise_ordinary = note_ordinary;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
