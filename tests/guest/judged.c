/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Metrics and analysis on a machine of several nodes, by its real kernel: one node that is used alone, pages that did not fit on a full
 * node, a cgroup that is nearly full.
 *
 *     judged nodes | cgroup MIB
 */
#include <math.h>
#include <numarena/numarena.h>

#include "guest.h"

#define MIB ((size_t)1 << 20)

static analysis_result_t result;
static memory_metrics_t metrics;
static int bad;

static void expect(int condition, const char *what)
{
	if (condition)
		return;
	printf("not ok judged: %s; bottlenecks: %s\n", what, result.bottlenecks);
	bad = 1;
}

static const memory_finding_t *finding(memory_finding_kind_t kind)
{
	if (analyze_memory_system(&result) || get_memory_metrics(&metrics)) {
		printf("not ok judged: %s\n", last_memory_error_message());
		exit(1);
	}
	for (size_t i = 0; i < result.finding_count; i++)
		if (result.findings[i].kind == kind)
			return &result.findings[i];
	return NULL;
}

static char *touched(size_t bytes)
{
	char *p = allocate_from_pool(bytes);

	if (!p) {
		printf("not ok judged: no block of %zu bytes\n", bytes);
		exit(1);
	}
	memset(p, 1, bytes);
	return p;
}

static size_t sum_of_misplaced(void)
{
	memory_node_stats_t nodes[8];
	size_t n = get_memory_node_statistics(nodes, 8), sum = 0;

	for (size_t i = 0; i < n && i < 8; i++)
		sum += nodes[i].misplaced_bytes;
	return sum;
}

static void nodes(void)
{
	char *p[4], *large;
	size_t room;

	guest_run_on(1);
	p[1] = touched(80 * MIB);
	expect(finding(MEMORY_FINDING_IMBALANCE) != NULL, "all on one node was not found");
	expect(strstr(result.bottlenecks, "Node 1 holds") != NULL, "node 1 is not named");
	expect(finding(MEMORY_FINDING_MISPLACED) == NULL, "misplaced pages were found that are none");
	expect(metrics.misplaced_bytes == 0 && metrics.resident_bytes >= 80 * MIB, "wrong sums");
	expect(metrics.avg_access_latency > 0.0, "no access latency");
	expect(isnan(metrics.cache_hit_rate), "a hit rate where there are no counters");
	for (int node = 0; node < 4; node++) {
		guest_run_on(node);
		if (node != 1)
			p[node] = touched(60 * MIB);
	}
	expect(finding(MEMORY_FINDING_IMBALANCE) == NULL, "an imbalance was found that is none");
	guest_run_on(2);
	room = (size_t)guest_meminfo(2, "MemFree");
	large = touched(room + 80 * MIB); /* most of that spills to other nodes: the kernel makes some room */
	expect(finding(MEMORY_FINDING_MISPLACED) != NULL, "spilled pages were not found");
	expect(strstr(result.bottlenecks, "of node 2") != NULL, "node 2 is not named");
	expect(metrics.misplaced_bytes >= 30 * MIB && metrics.misplaced_bytes == sum_of_misplaced(), "wrong misplaced bytes");
	printf("%s judged: %zu MiB misplaced; latency %.1f ns %s; %s\n", bad ? "not ok" : "ok", metrics.misplaced_bytes / MIB,
	       metrics.avg_access_latency, memory_metric_unavailable_reason("avg_access_latency"), result.bottlenecks);
	return_to_pool(large);
	for (int node = 0; node < 4; node++)
		return_to_pool(p[node]);
}

static void cgroup(size_t mib)
{
	char *p;

	expect(finding(MEMORY_FINDING_LIMIT) == NULL, "an empty cgroup was found full");
	expect(metrics.cgroup_limit == mib * MIB, "not the cgroup's limit");
	p = touched(mib * MIB / 100 * 93);
	expect(finding(MEMORY_FINDING_LIMIT) != NULL, "a full cgroup was not found");
	expect(metrics.cgroup_usage >= mib * MIB / 100 * 90 && metrics.cgroup_usage <= mib * MIB, "not the cgroup's usage");
	expect(metrics.memory_room <= mib * MIB / 10, "not the cgroup's room");
	expect(metrics.minor_faults > 0 && metrics.minor_faults != MEMORY_METRIC_UNAVAILABLE, "no page faults");
	printf("%s judged: %zu of %zu MiB charged, some waited %.2f%% (%s); %s\n", bad ? "not ok" : "ok", metrics.cgroup_usage / MIB,
	       metrics.cgroup_limit / MIB, metrics.pressure_some * 100, memory_metric_unavailable_reason("pressure_some"),
	       result.bottlenecks);
	return_to_pool(p);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "nodes") == 0)
		nodes();
	else if (argc == 3 && strcmp(argv[1], "cgroup") == 0)
		cgroup(strtoul(argv[2], NULL, 10));
	else
		bad = 2;
	return bad;
}
