/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What numarena sees of this machine, and the settings in force: the first thing to ask for in a report of a problem.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "os/hugepages.h"
#include "os/limit.h"
#include "tools/usage.h"
#include "topology/topology.h"

#define TOOL "numarena-info"

static void help(void)
{
	puts("usage: numarena-info [--settings | --topology | --limits] [--help] [--version]\n"
	     "\n"
	     "Prints what numarena sees of this machine, its NUMA nodes, caches and page sizes, the limits on this\n"
	     "process's memory, and the settings in force. --settings, --topology and --limits print the one part "
	     "alone.\n"
	     "\n"
	     "Exit status: 0; 1 if the topology cannot be found out; 2 for a wrong option or setting.\n");
	na_usage_settings(stdout);
}

static void print_settings(void)
{
	puts("settings");
#define NA_PRINT_SIZE(v)     printf("%" PRIu64, (v))
#define NA_PRINT_COUNT(v)    printf("%" PRIu64, (v))
#define NA_PRINT_RATIO(v)    printf("%g", (double)(v) / 1000)
#define NA_PRINT_SWITCH(v)   printf("%" PRIu64, (v))
#define NA_PRINT_PAGES(v)    fputs(na_pages_name(v), stdout)
#define NA_PRINT_FALLBACK(v) fputs(na_fallback_name(v), stdout)
#define NA_PRINT_PATH(v)     fputs(*(v) ? (v) : "-", stdout)
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

static void print_limits(void)
{
	struct na_limits_memory m;
	uint64_t stalled = na_limits_stalled(), bound, room = na_limits_address_room(&bound);

	na_limits_memory(&m);
	puts("limits, in bytes");
	print_figure("physical memory", m.physical, "unavailable");
	print_figure("cgroup's memory limit", m.group, "none");
	print_figure(m.in_group ? "room (in a cgroup)" : "room (on the machine)", m.room, "unavailable");
	print_figure("address space (ulimit -v, -d)", bound, "no limit");
	if (bound != NA_LIMIT_NONE)
		print_figure("of that, free", room, "unavailable");
	print_figure("mappings (vm.max_map_count)", na_limits_most_maps(), "unavailable");
	if (stalled == NA_LIMIT_NONE)
		printf("  %-28s %s\n", "memory pressure (PSI)", "unavailable");
	else
		printf("  %-28s tasks have waited %" PRIu64 " ms\n", "memory pressure (PSI)", stalled / 1000);
	printf("  %-28s %s\n", "transparent huge pages", na_hugepages_mode());
	print_figure("free hugetlb pages, 2 MiB", na_hugepages_free((size_t)2 << 20), "unavailable");
	print_figure("free hugetlb pages, 1 GiB", na_hugepages_free((size_t)1 << 30), "unavailable");
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
		{ "limits", no_argument, NULL, 'l' },	{ "help", no_argument, NULL, 'h' },
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
			if (part && part != c)
				return na_usage_error(TOOL, "--settings, --topology and --limits exclude each other");
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
	if (!part || part == 's')
		print_settings();
	return rc ? rc : na_usage_flush(TOOL);
}
