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
	RUN(nothing_is_left);
	return check_result();
}
