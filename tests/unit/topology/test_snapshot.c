/* SPDX-License-Identifier: BSD-3-Clause */
/* src/topology/{load,flatten,distance,allowed,describe}.c on made-up machines and on this one. */
#include "support/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/machine.h"
#include "topology/source.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Node 1 has no memory, node 2 no CPUs, there is no 3 or 4, and the way back is not as long as the way there. */
static const struct test_node odd_nodes[] = {
	{ .os_index = 0,
	  .first_cpu = 0,
	  .cpus = 4,
	  .megabytes = 1024,
	  .initiator = 0,
	  .bandwidth = 200000,
	  .latency = 90,
	  .huge_pages = 3 },
	{ .os_index = 1, .first_cpu = 4, .cpus = 4 },
	{ .os_index = 2, .megabytes = 4096, .initiator = 0, .bandwidth = 80000, .latency = 250 },
	{ .os_index = 5,
	  .first_cpu = 8,
	  .cpus = 4,
	  .megabytes = 2048,
	  .initiator = 5,
	  .bandwidth = 190000,
	  .latency = 95,
	  .huge_pages = 1 },
};
static const int odd_distances[] = {
	10, 20, 17, 21, /* from 0 */
	20, 10, 28, 19, /* from 1 */
	17, 28, 10, 30, /* from 2 */
	31, 21, 29, 10, /* from 5 */
};
static const struct test_machine odd = {
	.nodes = odd_nodes,
	.node_count = COUNT(odd_nodes),
	.distances = odd_distances,
	.possible = "0-127\n",
	.mems_allowed = "0,2,9",
	.cpus_allowed = "2-5,77",
};

static struct na_topology *build(const struct na_topology_source *source)
{
	struct na_topology_cost cost = { 0 };
	struct na_topology *t = NULL;

	assert_int_equal(na_topology_build(source, &t, &cost), 0);
	assert_non_null(t);
	assert_true(cost.load_ns > 0);
	return t;
}

/* Of the machine in `root`, by way of hwloc's reading of /sys. */
static struct na_topology *build_machine(const char *root, bool real)
{
	struct na_topology_source source = { .root = root, .real = real };
	struct na_topology *t;

	assert_int_equal(setenv("HWLOC_FSROOT", root, 1), 0);
	t = build(&source);
	unsetenv("HWLOC_FSROOT");
	return t;
}

static struct na_topology *build_synthetic(const char *text)
{
	struct na_topology_source source = { .synthetic = text };

	return build(&source);
}

static uint32_t distance(const struct na_topology *t, int from, int to)
{
	return t->distance[(uint32_t)t->node_position[from] * t->node_count + (uint32_t)t->node_position[to]];
}

/* The invariants of every snapshot. */
static void check(const struct na_topology *t)
{
	uint32_t owned = 0, with_memory = 0, usable = 0;

	assert_true(t->node_count >= 1 && t->node_slots >= t->node_count);
	for (uint32_t i = 0; i < t->node_count; i++) {
		const struct na_topology_node *node = &t->nodes[i];
		uint64_t seen = 0;

		assert_ptr_equal(na_topology_node(t, node->os_index), node);
		assert_true(i == 0 || node->os_index > t->nodes[i - 1].os_index);
		assert_int_equal(na_bitset_count(node->cpus, t->cpu_slots), node->cpu_count);
		for (uint32_t cpu = 0; cpu < t->cpu_slots; cpu++)
			assert_int_equal(na_bitset_has(node->cpus, t->cpu_slots, cpu),
					 na_topology_node_of_cpu(t, cpu) == node->os_index);
		assert_int_equal(node->allowed, na_bitset_has(t->allowed_nodes, t->node_slots, (size_t)node->os_index));
		owned += node->cpu_count;
		with_memory += node->memory > 0;
		usable += node->allowed;
		for (uint32_t k = 0; k < t->node_count; k++) {
			uint32_t to = t->nearest[i * t->node_count + k];

			assert_true(to < t->node_count);
			seen += to;
			assert_int_equal(k<t->memory_nodes, t->nodes[to].memory> 0);
		}
		assert_true(seen == (uint64_t)t->node_count * (t->node_count - 1) / 2);
	}
	assert_int_equal(owned, t->cpu_count);
	assert_int_equal(with_memory, t->memory_nodes);
	assert_int_equal(usable, na_bitset_count(t->allowed_nodes, t->node_slots));
	assert_true(usable > 0 && na_bitset_count(t->allowed_cpus, t->cpu_slots) > 0);
	assert_null(na_topology_node(t, -1));
	assert_null(na_topology_node(t, (int32_t)t->node_slots));
	assert_int_equal(na_topology_node_of_cpu(t, t->cpu_slots), -1);
	for (uint32_t i = 1; i < t->page_size_count; i++)
		assert_true(t->page_sizes[i].size > t->page_sizes[i - 1].size);
}

static void this_machine_is_found_as_the_kernel_shows_it(void **state)
{
	static const struct na_topology_source source;
	struct na_topology *t = build(&source);

	(void)state;
	check(t);
	assert_true(t->real);
	assert_int_equal(t->cpu_count, sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(t->base_page, sysconf(_SC_PAGESIZE));
	assert_true(t->memory_nodes >= 1);
	assert_true(t->line_size >= 16 && (t->line_size & (t->line_size - 1)) == 0);
	free(t);
}

static void a_node_without_cpus_owns_none_and_knows_its_neighbours(void **state)
{
	const struct na_topology_node *node;
	struct na_topology *t = build_machine(*state, true);

	check(t);
	node = na_topology_node(t, 2);
	assert_non_null(node);
	assert_int_equal(node->cpu_count, 0);
	assert_true(node->memory == 4096ull << 20);
	assert_int_equal(na_bitset_count(node->near, t->cpu_slots), 4);
	assert_true(na_bitset_has(node->near, t->cpu_slots, 0));
	assert_int_equal(na_topology_node_of_cpu(t, 0), 0);
	free(t);
}

static void a_node_without_memory_comes_last_even_for_itself(void **state)
{
	struct na_topology *t = build_machine(*state, true);
	uint32_t at = (uint32_t)t->node_position[1];
	const uint32_t *nearest = t->nearest + at * t->node_count;

	check(t);
	assert_true(t->nodes[at].memory == 0);
	assert_int_equal(t->nodes[at].cpu_count, 4);
	assert_int_equal(t->memory_nodes, 3);
	assert_int_equal(t->nodes[nearest[0]].os_index, 5);
	assert_int_equal(t->nodes[nearest[1]].os_index, 0);
	assert_int_equal(t->nodes[nearest[3]].os_index, 1);
	free(t);
}

static void distances_need_not_be_symmetric(void **state)
{
	struct na_topology *t = build_machine(*state, true);
	const uint32_t *from_5 = t->nearest + (uint32_t)t->node_position[5] * t->node_count;

	assert_true(t->distances_known);
	for (int i = 0; i < odd.node_count; i++)
		for (int j = 0; j < odd.node_count; j++)
			assert_int_equal(distance(t, odd_nodes[i].os_index, odd_nodes[j].os_index),
					 odd_distances[i * odd.node_count + j]);
	assert_int_equal(t->nodes[from_5[0]].os_index, 5);
	assert_int_equal(t->nodes[from_5[1]].os_index, 2);
	assert_int_equal(t->nodes[from_5[2]].os_index, 0);
	free(t);
}

static void bandwidth_and_latency_are_known_only_where_the_firmware_tells(void **state)
{
	struct na_topology *t = build_machine(*state, true);
	uint32_t zero = (uint32_t)t->node_position[0], hbm = (uint32_t)t->node_position[2];

	assert_int_equal(na_topology_node(t, 0)->bandwidth, 200000);
	assert_int_equal(na_topology_node(t, 0)->latency, 90);
	assert_int_equal(na_topology_node(t, 2)->bandwidth, 80000);
	assert_int_equal(na_topology_node(t, 1)->bandwidth, NA_TOPOLOGY_UNKNOWN);
	assert_int_equal(na_topology_node(t, 1)->latency, NA_TOPOLOGY_UNKNOWN);
	assert_non_null(t->bandwidth);
	assert_int_equal(t->bandwidth[zero * t->node_count + hbm], 80000);
	assert_int_equal(t->latency[zero * t->node_count + hbm], 250);
	assert_int_equal(t->bandwidth[hbm * t->node_count + zero], NA_TOPOLOGY_UNKNOWN);
	free(t);
}

static void caches_lines_and_pages_are_the_machines(void **state)
{
	struct na_topology *t = build_machine(*state, true);

	assert_int_equal(t->line_size, 128);
	assert_true(t->line_known);
	assert_int_equal(t->cache_count, 3);
	assert_int_equal(t->caches[0].kind, NA_TOPOLOGY_CACHE_DATA);
	assert_true(t->caches[0].most == 48 << 10 && t->caches[0].count == 12);
	assert_true(t->caches[2].level == 3 && t->caches[2].sharing == 4 && t->caches[2].least == 16384 << 10);
	assert_int_equal(t->page_size_count, 2);
	assert_true(t->page_sizes[1].size == 2 << 20 && t->page_sizes[1].reserved == 4);
	assert_true(t->thp == NA_THP_ALWAYS && t->thp_size == 2 << 20);
	free(t);
}

static void sets_are_as_wide_as_the_possible_nodes(void **state)
{
	struct na_topology *t = build_machine(*state, true);

	assert_int_equal(t->node_slots, 128);
	assert_int_equal(t->node_count, 4);
	assert_int_equal(t->node_position[3], -1);
	assert_int_equal(t->node_position[127], -1);
	free(t);
}

static void what_the_process_may_use_is_what_exists_and_is_allowed(void **state)
{
	struct na_topology *t = build_machine(*state, true);

	/* Allowed are nodes 0, 2, 9 and CPUs 2-5, 77: neither a node 9 nor a CPU 77 exists. */
	assert_int_equal(na_bitset_count(t->allowed_nodes, t->node_slots), 2);
	assert_true(na_topology_node(t, 0)->allowed && na_topology_node(t, 2)->allowed);
	assert_false(na_topology_node(t, 5)->allowed);
	assert_int_equal(na_bitset_count(t->allowed_cpus, t->cpu_slots), 4);
	assert_true(na_bitset_has(t->allowed_cpus, t->cpu_slots, 5));
	free(t);
}

static void a_foreign_machine_is_not_restricted_by_our_cpuset(void **state)
{
	struct na_topology *t = build_machine(*state, false);

	check(t);
	assert_false(t->real);
	assert_int_equal(na_bitset_count(t->allowed_nodes, t->node_slots), 4);
	assert_int_equal(na_bitset_count(t->allowed_cpus, t->cpu_slots), 12);
	free(t);
}

static void the_xml_carries_all_that_the_machine_has(void **state)
{
	struct na_topology *t = build_machine(*state, true), *copy;
	struct na_topology_source source = { .root = *state, .real = true };
	struct na_topology_cost cost = { 0 };
	struct hwloc_topology *tree;
	char *text[2] = { NULL, NULL }, *xml;
	size_t size[2], length;
	FILE *out;

	setenv("HWLOC_FSROOT", *state, 1);
	assert_int_equal(na_topology_load(&source, &tree, &cost), 0);
	unsetenv("HWLOC_FSROOT");
	assert_int_equal(na_topology_export(tree, &xml, &length), 0);
	source.xml = xml;
	source.xml_length = length;
	copy = build(&source);
	check(copy);
	out = open_memstream(&text[0], &size[0]);
	assert_int_equal(na_topology_describe(t, NULL, out), 0);
	fclose(out);
	out = open_memstream(&text[1], &size[1]);
	assert_int_equal(na_topology_describe(copy, NULL, out), 0);
	fclose(out);
	assert_string_equal(text[0], text[1]);
	assert_non_null(strstr(text[0], "bandwidth 80000 MiB/s"));
	assert_non_null(strstr(text[0], "bandwidth unknown"));
	free(text[0]);
	free(text[1]);
	na_topology_free_xml(tree, xml);
	na_topology_unload(tree);
	free(copy);
	free(t);
}

static void hidden_files_leave_guesses_that_say_so(void **state)
{
	struct test_machine bare = { .nodes = odd_nodes, .node_count = 2, .distances = NULL };
	char root[PATH_MAX];
	struct na_topology *t;

	(void)state;
	test_machine_make(&bare, root);
	t = build_machine(root, true);
	check(t);
	assert_false(t->distances_known);
	assert_int_equal(distance(t, 0, 0), 10);
	assert_int_equal(distance(t, 0, 1), 20);
	assert_int_equal(t->node_slots, 2);
	/* No lists in status: everything is allowed. */
	assert_int_equal(na_bitset_count(t->allowed_nodes, t->node_slots), 2);
	free(t);
	test_folder_remove(root);
}

static void a_status_that_allows_nothing_we_know_is_not_believed(void **state)
{
	struct test_machine m = odd;
	char root[PATH_MAX];
	struct na_topology *t;

	(void)state;
	m.mems_allowed = "77";
	test_machine_make(&m, root);
	t = build_machine(root, true);
	check(t);
	assert_int_equal(na_bitset_count(t->allowed_nodes, t->node_slots), 4);
	free(t);
	test_folder_remove(root);
}

static void a_machine_may_have_128_nodes(void **state)
{
	struct na_topology *t = build_synthetic("pack:128 [numa(memory=1GB)] pu:2");
	const struct na_topology_node *last;

	(void)state;
	check(t);
	assert_false(t->real);
	assert_int_equal(t->node_count, 128);
	assert_int_equal(t->node_slots, 128);
	last = na_topology_node(t, 127);
	assert_non_null(last);
	assert_int_equal(last->cpu_count, 2);
	assert_int_equal(na_topology_node_of_cpu(t, 255), 127);
	assert_true(na_bitset_has(t->allowed_nodes, t->node_slots, 127));
	/* All alike: the ring decides, so that the overflow of 127 goes to 0 and that of 0 to 1. */
	assert_int_equal(t->nearest[127 * 128 + 1], 0);
	assert_int_equal(t->nearest[0 * 128 + 1], 1);
	free(t);
}

static void nodes_past_64_may_be_restricted_too(void **state)
{
	static struct test_node nodes[70];
	struct test_machine m = { .nodes = nodes,
				  .node_count = 70,
				  .possible = "0-1023\n",
				  .mems_allowed = "0-1,63-66",
				  .cpus_allowed = "65,69" };
	char root[PATH_MAX];
	struct na_topology *t;

	(void)state;
	for (int i = 0; i < 70; i++)
		nodes[i] = (struct test_node){ .os_index = i, .first_cpu = i, .cpus = 1, .megabytes = 64 };
	test_machine_make(&m, root);
	t = build_machine(root, true);
	check(t);
	assert_int_equal(t->node_count, 70);
	assert_int_equal(t->node_slots, 1024);
	assert_int_equal(na_bitset_count(t->allowed_nodes, t->node_slots), 6);
	assert_true(na_topology_node(t, 66)->allowed);
	assert_false(na_topology_node(t, 67)->allowed);
	assert_int_equal(na_bitset_count(t->allowed_cpus, t->cpu_slots), 2);
	free(t);
	test_folder_remove(root);
}

static void two_memories_of_a_package_share_its_cpus_with_the_first(void **state)
{
	struct na_topology *t = build_synthetic("pack:2 [numa(memory=1GB)] [numa(memory=4GB)] core:2 pu:2");

	(void)state;
	check(t);
	assert_int_equal(t->node_count, 4);
	assert_int_equal(na_topology_node(t, 0)->cpu_count, 4);
	assert_int_equal(na_topology_node(t, 1)->cpu_count, 0);
	assert_int_equal(na_bitset_count(na_topology_node(t, 1)->near, t->cpu_slots), 4);
	free(t);
}

static void wrong_descriptions_are_errors(void **state)
{
	static const char *const synthetic[] = { "pack:2 [numa(", "nonsense", "pu:0", "pack:2 pu:2 numa:2 foo:1" };
	static const char *const xml[] = {
		"", "<", "<?xml version=\"1.0\"?><topology version=\"2.0\"></topology>",
		"<?xml version=\"1.0\"?><topology version=\"2.0\"><object type=\"Machine\"/></topology>",
		"no xml at all"
	};
	struct na_topology_source source = { 0 };
	struct na_topology_cost cost = { 0 };
	struct na_topology *t = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(synthetic) / sizeof(synthetic[0]); i++) {
		source.synthetic = synthetic[i];
		assert_int_equal(na_topology_build(&source, &t, &cost), -EINVAL);
	}
	source.synthetic = NULL;
	for (size_t i = 0; i < sizeof(xml) / sizeof(xml[0]); i++) {
		source.xml = xml[i];
		source.xml_length = strlen(xml[i]) + 1;
		assert_int_equal(na_topology_build(&source, &t, &cost), -EINVAL);
	}
	assert_null(t);
}

static int make_odd(void **state)
{
	char *root = malloc(PATH_MAX);

	test_machine_make(&odd, root);
	*state = root;
	return 0;
}

static int remove_odd(void **state)
{
	test_folder_remove(*state);
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_machine_is_found_as_the_kernel_shows_it),
		cmocka_unit_test(a_node_without_cpus_owns_none_and_knows_its_neighbours),
		cmocka_unit_test(a_node_without_memory_comes_last_even_for_itself),
		cmocka_unit_test(distances_need_not_be_symmetric),
		cmocka_unit_test(bandwidth_and_latency_are_known_only_where_the_firmware_tells),
		cmocka_unit_test(caches_lines_and_pages_are_the_machines),
		cmocka_unit_test(sets_are_as_wide_as_the_possible_nodes),
		cmocka_unit_test(what_the_process_may_use_is_what_exists_and_is_allowed),
		cmocka_unit_test(a_foreign_machine_is_not_restricted_by_our_cpuset),
		cmocka_unit_test(the_xml_carries_all_that_the_machine_has),
		cmocka_unit_test(hidden_files_leave_guesses_that_say_so),
		cmocka_unit_test(a_status_that_allows_nothing_we_know_is_not_believed),
		cmocka_unit_test(a_machine_may_have_128_nodes),
		cmocka_unit_test(nodes_past_64_may_be_restricted_too),
		cmocka_unit_test(two_memories_of_a_package_share_its_cpus_with_the_first),
		cmocka_unit_test(wrong_descriptions_are_errors),
	};

	unsetenv("HWLOC_SYNTHETIC");
	unsetenv("HWLOC_XMLFILE");
	unsetenv("HWLOC_FSROOT");
	return cmocka_run_group_tests_name("topology/snapshot", tests, make_odd, remove_odd);
}
