/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What numarena sees of this machine, and the settings in force: the first thing to ask for in a report of a problem.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "metrics/counters.h"
#include "metrics/latency.h"
#include "os/hugepages.h"
#include "os/limit.h"
#include "tools/usage.h"
#include "topology/topology.h"

#define TOOL "numarena-info"

static void help(void)
{
	puts("usage: numarena-info [--settings | --topology | --limits | --counters | --latency] [--help] [--version]\n"
	     "\n"
	     "Prints what numarena sees of this machine, its NUMA nodes, caches and page sizes, the limits on this\n"
	     "process's memory and its pressure, the processor's counters, and the settings in force. --settings,\n"
	     "--topology, --limits and --counters print the one part alone. --latency measures how long a load takes\n"
	     "from the CPUs of each node to the memory of each.\n"
	     "\n"
	     "Exit status: 0; 1 if the topology cannot be found out, or nothing can be measured; 2 for a wrong option\n"
	     "or setting.\n");
	na_usage_settings(stdout);
}

static void print_settings(void)
{
	puts("settings");
#define NA_PRINT_SIZE(v)   printf("%" PRIu64, (v))
#define NA_PRINT_COUNT(v)  printf("%" PRIu64, (v))
#define NA_PRINT_RATIO(v)  printf("%g", (double)(v) / 1000)
#define NA_PRINT_SWITCH(v) printf("%" PRIu64, (v))
#define NA_PRINT_PAGES(v)  fputs(na_pages_name(v), stdout)
#define NA_PRINT_PATH(v)   fputs(*(v) ? (v) : "-", stdout)
#define NA_OPTION(id, env, kind, def, least, most, text)                                                               \
	printf("  %-28s ", env);                                                                                       \
	NA_PRINT_##kind(na_options.id);                                                                                \
	puts(na_option_from_environment(NA_OPTION_##id) ? "  (environment)" : "");
#include "base/options.def"
#undef NA_OPTION
}

static void print_figure(const char *name, uint64_t value, const char *without)
{
	if (value == NA_LIMIT_NONE)
		printf("  %-28s %s\n", name, without);
	else
		printf("  %-28s %" PRIu64 "\n", name, value);
}

/* "memory pressure, some". */
static void print_pressure(const char *name, uint64_t avg10, uint64_t us)
{
	if (avg10 == NA_LIMIT_NONE || us == NA_LIMIT_NONE)
		printf("  %-28s unavailable\n", name);
	else
		printf("  %-28s %" PRIu64 ".%02" PRIu64 " %% of the last 10 s, %" PRIu64 " ms in all\n", name,
		       avg10 / 100, avg10 % 100, us / 1000);
}

static void print_limits(void)
{
	struct na_limits_memory m;
	struct na_limits_pressure p;
	uint64_t bound, room = na_limits_address_room(&bound);

	na_limits_memory(&m);
	na_limits_pressure(&p);
	puts("limits, in bytes");
	print_figure("physical memory", m.physical, "unavailable");
	print_figure("cgroup's memory limit", m.group, "none");
	print_figure("cgroup's memory in use", m.used, "unavailable");
	print_figure(m.in_group ? "room (in a cgroup)" : "room (on the machine)", m.room, "unavailable");
	print_figure("address space (ulimit -v, -d)", bound, "no limit");
	if (bound != NA_LIMIT_NONE)
		print_figure("of that, free", room, "unavailable");
	print_figure("mappings (vm.max_map_count)", na_limits_most_maps(), "unavailable");
	printf("  %-28s %s\n", "tasks waited for memory (PSI)", p.of_group ? "in the cgroup" : "on the machine");
	print_pressure("  some of them", p.some_avg10, p.some_us);
	print_pressure("  all at once", p.full_avg10, p.full_us);
	printf("  %-28s %s\n", "transparent huge pages", na_hugepages_mode());
	print_figure("free hugetlb pages, 2 MiB", na_hugepages_free((size_t)2 << 20), "unavailable");
	print_figure("free hugetlb pages, 1 GiB", na_hugepages_free((size_t)1 << 30), "unavailable");
}

/* They are tried: what the kernel says of them in its files is not what it then does. */
static void print_counters(void)
{
	uint64_t paranoid = na_limits_number("/proc/sys/kernel/perf_event_paranoid");
	struct na_counters_sum sum;
	int rc = na_counters_figures(&sum);

	puts("counters");
	if (rc < 0)
		printf("  %-28s unavailable: %s\n", "processor's last cache", na_counters_why(rc));
	else if (sum.enabled_ns && sum.running_ns == 0)
		printf("  %-28s unavailable: others have the processor's counters\n", "processor's last cache");
	else
		printf("  %-28s available\n", "processor's last cache");
	print_figure("kernel.perf_event_paranoid", paranoid, "below 0, or unavailable");
	na_counters_stop();
}

static void print_cell(const struct na_latency_matrix *m, uint32_t from, uint32_t to)
{
	uint64_t ps = m->ps[from][to];

	if (ps == NA_LATENCY_FAILED)
		printf(" %8s", "-");
	else
		printf(" %6" PRIu64 ".%" PRIu64, ps / 1000, ps / 100 % 10);
}

/* Each reason once. */
static void print_reasons(const struct na_latency_matrix *m)
{
	const char *told[3] = { NULL };
	size_t count = 0;

	for (uint32_t i = 0; i < m->from_count * m->to_count; i++) {
		int error = m->error[i / m->to_count][i % m->to_count];
		const char *why = error < 0 ? na_latency_why(error) : NULL;
		size_t k = 0;

		while (k < count && told[k] != why)
			k++;
		if (!why || k < count || count == 3)
			continue;
		told[count++] = why;
		printf("  -: %s\n", why);
	}
}

static int print_latency(void)
{
	static struct na_latency_matrix m; /* 50 KiB */
	int rc = na_latency_measure_all(&m), measured = 0;

	if (rc < 0) {
		fprintf(stderr, TOOL ": no thread to measure with: %s\n", strerror(-rc));
		return 1;
	}
	puts("access latency in ns, of dependent loads, pages as the pools have them");
	printf("  %-12s", "from CPUs of");
	for (uint32_t to = 0; to < m.to_count; to++)
		printf("  node %-2" PRId32, m.to[to]);
	puts("");
	for (uint32_t from = 0; from < m.from_count; from++) {
		if (m.from[from] < 0)
			printf("  %-12s", "anywhere");
		else
			printf("  node %-7" PRId32, m.from[from]);
		for (uint32_t to = 0; to < m.to_count; to++) {
			print_cell(&m, from, to);
			measured |= m.ps[from][to] != NA_LATENCY_FAILED;
		}
		puts("");
	}
	print_reasons(&m);
	return !measured;
}

static int print_topology(void)
{
	const struct na_topology *t;
	int rc = na_topology_get(&t);

	if (rc < 0) {
		fprintf(stderr, TOOL ": the topology cannot be found out: %s\n", strerror(-rc));
		return 1;
	}
	na_topology_describe(t, na_topology_cost(), stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "settings", no_argument, NULL, 's' }, { "topology", no_argument, NULL, 't' },
		{ "limits", no_argument, NULL, 'l' },	{ "counters", no_argument, NULL, 'c' },
		{ "latency", no_argument, NULL, 'a' },	{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },	{ NULL, 0, NULL, 0 }
	};
	int c, part = 0, rc = 0;
	char complaint[512];

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (c) {
		case 's':
		case 't':
		case 'l':
		case 'c':
		case 'a':
			if (part && part != c)
				return na_usage_error(TOOL,
						      "--settings, --topology, --limits, --counters and --latency "
						      "exclude each other");
			part = c;
			break;
		case 'h':
			help();
			return na_usage_flush(TOOL);
		case 'v':
			na_usage_version(TOOL);
			return na_usage_flush(TOOL);
		default:
			return na_usage_error(TOOL, "no such option: %s", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return na_usage_error(TOOL, "unexpected argument: %s", argv[optind]);
	if (na_options_load(complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return NA_EXIT_USAGE;
	}
	if (!part || part == 't')
		rc = print_topology();
	if (!part || part == 'l')
		print_limits();
	if (!part || part == 'c')
		print_counters();
	if (part == 'a')
		rc = print_latency();
	if (!part || part == 's')
		print_settings();
	return rc ? rc : na_usage_flush(TOOL);
}
