/* SPDX-License-Identifier: BSD-3-Clause */
/* Placements as far as a machine of one node can show them; tests/guest/placements.c has five. */
#include "api.h"

#include <stdint.h>

static const memory_placement_t all[] = { PLACEMENT_LOCAL,	 PLACEMENT_NODE,      PLACEMENT_INTERLEAVE,
					  PLACEMENT_PARTITIONED, PLACEMENT_BANDWIDTH, PLACEMENT_CAPACITY };

static int a_node(void)
{
	memory_node_stats_t nodes[64];

	REQUIRE(get_memory_node_statistics(nodes, 64) >= 1);
	return nodes[0].node;
}

static void every_placement_gives_memory(void)
{
	static const size_t sizes[] = { 0, 1, 100, 5000, 65535, 65536, 1000000, 20000000 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
			for (int flags = 0; flags < 4; flags++) {
				memory_placement_config_t c = { .placement = all[i],
								.node = a_node(),
								.parts = s,
								.huge_pages = flags & 1,
								.alignment = flags & 2 ? 4096 : 0 };
				char *p = allocate_placed(sizes[s], &c);

				REQUIRE(p);
				CHECK((uintptr_t)p % (flags & 2 ? 4096 : 16) == 0);
				CHECK(allocation_size(p) >= sizes[s]);
				memset(p, 3, sizes[s]);
				p = resize_memory(p, sizes[s] + 70000);
				REQUIRE(p);
				for (size_t b = 0; b < sizes[s]; b += 97)
					CHECK_EQ(p[b], 3);
				memset(p, 4, sizes[s] + 70000);
				release_memory(p);
			}
}

static void the_report_says_where_pages_lie(void)
{
	memory_placement_config_t c = { .placement = PLACEMENT_INTERLEAVE };
	memory_placement_report_t r;
	size_t sum = 0;
	char *p = allocate_placed(1 << 20, &c);

	REQUIRE(p);
	memset(p, 1, 1 << 19);
	if (get_memory_placement(p, &r) == MEMORY_ERROR_PERMISSION) {
		release_memory(p);
		return; /* a container that forbids the question */
	}
	CHECK_EQ(r.resident_bytes, 1 << 19);
	CHECK_EQ(r.misplaced_bytes, 0);
	for (size_t i = 0; i < 64; i++)
		sum += r.node_bytes[i];
	CHECK_EQ(sum + r.other_bytes, r.resident_bytes);
	release_memory(p);
	ERROR(get_memory_placement(p, &r), MEMORY_ERROR_INVALID_ARGUMENT, "live block", "numarena");
	ERROR(get_memory_placement(NULL, &r), MEMORY_ERROR_INVALID_ARGUMENT, "live block", "numarena");
	ERROR(get_memory_placement(&r, NULL), MEMORY_ERROR_INVALID_ARGUMENT, "report", "NULL");
}

static void refuse(memory_placement_config_t c, size_t size, int number, memory_error_t error, const char *word)
{
	errno = 0;
	CHECK(allocate_placed(size, &c) == NULL);
	CHECK_EQ(errno, number);
	CHECK_EQ(last_memory_error(), error);
	CHECK_MSG(strstr(last_memory_error_message(), word), "says: %s", last_memory_error_message());
}

static void what_cannot_be_is_refused(void)
{
	refuse((memory_placement_config_t){ .placement = (memory_placement_t)6 }, 1, EINVAL,
	       MEMORY_ERROR_INVALID_ARGUMENT, "placement");
	refuse((memory_placement_config_t){ .placement = PLACEMENT_NODE, .node = -1 }, 1, EINVAL,
	       MEMORY_ERROR_INVALID_ARGUMENT, "node");
	refuse((memory_placement_config_t){ .placement = PLACEMENT_NODE, .node = 1000 }, 1, EINVAL,
	       MEMORY_ERROR_INVALID_ARGUMENT, "node 1000");
	refuse((memory_placement_config_t){ .alignment = 48 }, 1, EINVAL, MEMORY_ERROR_INVALID_ARGUMENT, "alignment");
	refuse((memory_placement_config_t){ .parts = 65537 }, 1, EINVAL, MEMORY_ERROR_INVALID_ARGUMENT, "parts");
	refuse((memory_placement_config_t){ .placement = PLACEMENT_INTERLEAVE }, SIZE_MAX, ENOMEM,
	       MEMORY_ERROR_ALLOCATION, "addresses");
	refuse((memory_placement_config_t){ .placement = PLACEMENT_NODE, .node = a_node(), .strict = true },
	       (size_t)1 << 44, ENOMEM, MEMORY_ERROR_ALLOCATION, "");
}

/* Parts in order, nothing left out, on lines where elements begin there; in memory of any kind. */
static void an_array_is_cut_for_threads(void)
{
	static const size_t sizes[] = { 1, 4, 8, 12, 24, 64, 100, 5000 };
	static const size_t parts[] = { 1, 2, 3, 7, 64, 1000 };
	static char plain[100000] __attribute__((aligned(64)));
	memory_placement_config_t c = { .placement = PLACEMENT_PARTITIONED, .parts = 4 };
	char *placed = allocate_placed(1 << 20, &c);
	memory_range_t r;

	CHECK(placed != NULL);
	for (size_t a = 0; a < 3; a++) {
		const char *array = a == 0 ? placed : a == 1 ? plain : plain + 3;
		size_t bytes = a == 0 ? 1 << 20 : sizeof(plain) - 3;

		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
			for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
				size_t n = bytes / sizes[s], next = 0;

				for (size_t i = 0; i < parts[p]; i++) {
					GOOD(partition_range(array, n, sizes[s], i, parts[p], &r));
					CHECK_EQ(r.first, next);
					next += r.count;
					if (a < 2 && sizes[s] <= 100 && r.first < n)
						CHECK_MSG((uintptr_t)(array + r.first * sizes[s]) % 64 == 0,
							  "size %zu, part %zu of %zu begins within a line", sizes[s], i,
							  parts[p]);
				}
				CHECK_EQ(next, n);
			}
	}
	/* The block's own parts, and half of them. */
	for (size_t i = 0; i < 4; i++) {
		GOOD(partition_range(placed, (1 << 20) / 8, 8, i, 4, &r));
		CHECK_EQ(r.first, i * (1 << 18) / 8);
		CHECK_EQ(r.count, (1 << 18) / 8);
		CHECK_EQ(r.node, allocation_node(placed + r.first * 8));
	}
	GOOD(partition_range(plain, 0, 8, 3, 4, &r));
	CHECK_EQ(r.count, 0);
	CHECK_EQ(r.node, -1);
	GOOD(partition_range(NULL, 0, 8, 0, 1, &r));
	ERROR(partition_range(NULL, 1, 8, 0, 1, &r), MEMORY_ERROR_INVALID_ARGUMENT, "array");
	ERROR(partition_range(plain, 1, 8, 1, 1, &r), MEMORY_ERROR_INVALID_ARGUMENT, "part is 1", "below");
	ERROR(partition_range(plain, 1, 8, 0, 0, &r), MEMORY_ERROR_INVALID_ARGUMENT, "parts is 0", "65536");
	ERROR(partition_range(plain, 1, 0, 0, 1, &r), MEMORY_ERROR_INVALID_ARGUMENT, "size is 0");
	ERROR(partition_range(plain, SIZE_MAX / 4, 8, 0, 1, &r), MEMORY_ERROR_INVALID_ARGUMENT, "count");
	ERROR(partition_range(plain, 1, 8, 0, 1, NULL), MEMORY_ERROR_INVALID_ARGUMENT, "range");
	release_memory(placed);
}

static void nothing_is_left(void)
{
	memory_stats_t before = api_stats(), after;

	every_placement_gives_memory();
	after = api_stats();
	CHECK_EQ(after.total_allocated, before.total_allocated);
}

int main(void)
{
	check_watchdog(120);
	RUN(every_placement_gives_memory);
	RUN(the_report_says_where_pages_lie);
	RUN(what_cannot_be_is_refused);
	RUN(an_array_is_cut_for_threads);
	RUN(nothing_is_left);
	return check_result();
}
