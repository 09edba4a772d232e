/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What numarena sees of this machine, and the settings in force: the first thing to ask for in a report of a problem.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "tools/usage.h"
#include "topology/topology.h"

#define TOOL "numarena-info"

static void help(void)
{
	puts("usage: numarena-info [--settings | --topology] [--help] [--version]\n"
	     "\n"
	     "Prints what numarena sees of this machine, its NUMA nodes, caches and page sizes, and the settings\n"
	     "in force. --settings and --topology print the one part alone.\n"
	     "\n"
	     "Exit status: 0; 1 if the topology cannot be found out; 2 for a wrong option or setting.\n");
	na_usage_settings(stdout);
}

static void print_settings(void)
{
	puts("settings");
#define NA_PRINT_SIZE(v)   printf("%" PRIu64, (v))
#define NA_PRINT_COUNT(v)  printf("%" PRIu64, (v))
#define NA_PRINT_RATIO(v)  printf("%g", (double)(v) / 1000)
#define NA_PRINT_SWITCH(v) printf("%" PRIu64, (v))
#define NA_PRINT_PATH(v)   fputs(*(v) ? (v) : "-", stdout)
#define NA_OPTION(id, env, kind, def, least, most, text)                                                               \
	printf("  %-28s ", env);                                                                                       \
	NA_PRINT_##kind(na_options.id);                                                                                \
	puts(na_option_from_environment(NA_OPTION_##id) ? "  (environment)" : "");
#include "base/options.def"
#undef NA_OPTION
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
	static const struct option options[] = { { "settings", no_argument, NULL, 's' },
						 { "topology", no_argument, NULL, 't' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'v' },
						 { NULL, 0, NULL, 0 } };
	int c, settings = 1, topology = 1, rc = 0;
	char complaint[512];

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (c) {
		case 's':
			topology = 0;
			break;
		case 't':
			settings = 0;
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
	if (!settings && !topology)
		return na_usage_error(TOOL, "--settings and --topology exclude each other");
	if (na_options_load(complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return NA_EXIT_USAGE;
	}
	if (topology)
		rc = print_topology();
	if (settings)
		print_settings();
	return rc ? rc : na_usage_flush(TOOL);
}
