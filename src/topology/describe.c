/* SPDX-License-Identifier: BSD-3-Clause */
/* The topology as text for a person; see topology.h. */
#include <errno.h>
#include <inttypes.h>

#include "topology/topology.h"

static void print_bytes(FILE *out, uint64_t bytes)
{
	static const char units[] = " KMGT";
	int unit = 0;

	while (unit < 4 && bytes >= 10240) {
		bytes /= 1024;
		unit++;
	}
	if (unit)
		fprintf(out, "%" PRIu64 " %ciB", bytes, units[unit]);
	else
		fprintf(out, "%" PRIu64 " B", bytes);
}

static void print_mask(FILE *out, const unsigned long *mask, uint32_t slots)
{
	const char *comma = "";

	for (uint32_t first = 0; first < slots; first++) {
		uint32_t last = first;

		if (!na_bitset_has(mask, slots, first))
			continue;
		while (na_bitset_has(mask, slots, last + 1))
			last++;
		fprintf(out, last > first ? "%s%u-%u" : "%s%u", comma, first, last);
		comma = ",";
		first = last;
	}
	if (!*comma)
		fputs("none", out);
}

static void print_known(FILE *out, const char *name, uint32_t value, const char *unit)
{
	if (value == NA_TOPOLOGY_UNKNOWN)
		fprintf(out, ", %s unknown", name);
	else
		fprintf(out, ", %s %u %s", name, value, unit);
}

static void print_node(const struct na_topology *t, uint32_t at, FILE *out)
{
	const struct na_topology_node *node = &t->nodes[at];

	fprintf(out, "  node %d: memory ", node->os_index);
	if (node->memory)
		print_bytes(out, node->memory);
	else
		fputs("none", out);
	fputs(", CPUs ", out);
	print_mask(out, node->cpus, t->cpu_slots);
	if (!node->cpu_count) {
		fputs(" (near ", out);
		print_mask(out, node->near, t->cpu_slots);
		fputs(")", out);
	}
	print_known(out, "bandwidth", node->bandwidth, "MiB/s");
	print_known(out, "latency", node->latency, "ns");
	fputs(node->allowed ? "\n" : ", not for this process\n", out);
	fputs("    nearest first:", out);
	for (uint32_t i = 0; i < t->node_count; i++) {
		uint32_t to = t->nearest[(size_t)at * t->node_count + i];

		fprintf(out, " %d(%u)", t->nodes[to].os_index, t->distance[(size_t)at * t->node_count + to]);
	}
	fputs("\n", out);
}

static void print_caches(const struct na_topology *t, FILE *out)
{
	for (uint32_t i = 0; i < t->cache_count; i++) {
		const struct na_topology_cache *c = &t->caches[i];

		fprintf(out, "  L%u%s: %u of ", c->level, c->kind == NA_TOPOLOGY_CACHE_DATA ? "d" : "", c->count);
		print_bytes(out, c->least);
		if (c->most != c->least) {
			fputs(" to ", out);
			print_bytes(out, c->most);
		}
		fprintf(out, ", shared by %u CPU%s\n", c->sharing, c->sharing == 1 ? "" : "s");
	}
	fprintf(out, "  cache line: %u bytes%s\n", t->line_size, t->line_known ? "" : " (assumed)");
}

static void print_pages(const struct na_topology *t, FILE *out)
{
	static const char *const modes[] = { "absent", "never", "madvise", "always" };

	fputs("  pages:", out);
	for (uint32_t i = 0; i < t->page_size_count; i++) {
		fputs(i ? ", " : " ", out);
		print_bytes(out, t->page_sizes[i].size);
		if (i)
			fprintf(out, " (%" PRIu64 " reserved)", t->page_sizes[i].reserved);
	}
	fprintf(out, "; transparent huge pages: %s", modes[t->thp]);
	if (t->thp_size) {
		fputs(", ", out);
		print_bytes(out, t->thp_size);
	}
	fputs("\n", out);
}

static void print_cost(const struct na_topology_cost *c, FILE *out)
{
	fprintf(out, "  %s%s in %.2f ms (hwloc's start %.2f, %s %.2f, waiting %.2f, writing %.2f)\n",
		c->origin == NA_TOPOLOGY_READ ? "read" : "discovered", c->shared ? ", shared with the job," : "",
		(double)c->total_ns / 1e6, (double)c->init_ns / 1e6,
		c->origin == NA_TOPOLOGY_READ ? "parsing" : "discovery", (double)c->load_ns / 1e6,
		(double)c->wait_ns / 1e6, (double)c->write_ns / 1e6);
}

int na_topology_describe(const struct na_topology *t, const struct na_topology_cost *cost, FILE *out)
{
	fprintf(out, "topology%s: %u node%s, %u CPU%s\n", t->real ? "" : " (not this machine's)", t->node_count,
		t->node_count == 1 ? "" : "s", t->cpu_count, t->cpu_count == 1 ? "" : "s");
	fputs("  for this process: nodes ", out);
	print_mask(out, t->allowed_nodes, t->node_slots);
	fputs(", CPUs ", out);
	print_mask(out, t->allowed_cpus, t->cpu_slots);
	fputs(t->distances_known ? "\n" : "; distances unknown: all alike\n", out);
	for (uint32_t i = 0; i < t->node_count; i++)
		print_node(t, i, out);
	print_caches(t, out);
	print_pages(t, out);
	if (cost && cost->origin != NA_TOPOLOGY_NONE)
		print_cost(cost, out);
	return ferror(out) ? -EIO : 0;
}
