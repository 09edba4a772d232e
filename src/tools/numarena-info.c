/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What numarena sees of this machine, and the settings in force: the first thing to ask for in a report of a problem.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/settings.h"
#include "hints/prefetch.h"
#include "metrics/counters.h"
#include "metrics/latency.h"
#include "os/chase.h"
#include "os/hugepages.h"
#include "os/limit.h"
#include "tools/tune_curves.h"
#include "tools/usage.h"
#include "topology/topology.h"

#define TOOL "numarena-info"

static void help(void)
{
	puts("usage: numarena-info [--settings | --levels | --topology | --limits | --counters | --latency |\n"
	     "                      --tune[=svg] [--svg FILE]] [--help] [--version]\n"
	     "\n"
	     "Prints what numarena sees of this machine, its NUMA nodes, caches and page sizes, the limits on this\n"
	     "process's memory and its pressure, the processor's counters, and the settings in force with where each "
	     "comes\n"
	     "from. --settings, --topology, --limits and --counters print the one part alone; --levels prints what "
	     "the\n"
	     "optimization levels set. --latency measures how long a load takes from the CPUs of each node to the "
	     "memory\n"
	     "of each. --tune measures, in some seconds, what prefetching gains loops over indexed data, by how far "
	     "ahead\n"
	     "they prefetch: as numbers, as a picture (--tune=svg), or both, the picture into FILE.\n"
	     "\n"
	     "Exit status: 0; 1 if the topology cannot be found out, or nothing can be measured; 2 for a wrong option\n"
	     "or setting.\n");
	na_usage_settings(stdout);
}

/* Nothing is measured in other modes: a run of --limits says nothing of latencies. */
static void print_prefetching(void)
{
	bool measured;

	na_prefetch_follow(true);
	printf("  %-30s %zu\n", "cache line in force, bytes", na_cache_line);
	printf("  %-30s %zu elements of 8 bytes\n", "prefetch distance in force", na_prefetch_distance);
	printf("  %-30s %" PRIu32 " ns%s\n", "memory latency", na_chase_latency(&measured),
	       measured ? "" : " (assumed, not measured)");
}

static void print_settings(void)
{
	puts("settings");
	for (int i = 0; i < NA_OPTION_COUNT_; i++) {
		char value[4096], origin[32];

		na_setting_text((enum na_option_id)i, value, sizeof(value));
		na_setting_origin((enum na_option_id)i, origin, sizeof(origin));
		printf("  %-30s %s  (%s)\n", na_option_table[i].env, *value ? value : "-", origin);
	}
	print_prefetching();
}

static void print_level(enum na_option_id family, enum na_level level)
{
	bool any = false;

	printf("  %s=%s:", na_option_table[family].env, na_level_name(level));
	for (size_t i = 0; i < na_level_setting_count; i++) {
		const struct na_level_setting *s = &na_level_settings[i];

		if (s->family != family || s->level != level)
			continue;
		printf(" %s=%s", na_option_table[s->setting].env, s->value);
		any = true;
	}
	puts(any ? "" : " nothing");
}

static void print_levels(void)
{
	puts("optimization levels, and what each sets");
	for (int level = 0; level < NA_LEVEL_COUNT_; level++)
		print_level(NA_OPTION_optimization, (enum na_level)level);
	for (int level = 0; level < NA_LEVEL_COUNT_; level++)
		print_level(NA_OPTION_cache_optimization, (enum na_level)level);
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

/* The picture on standard output, or into a file beside the numbers. */
static int print_tuning(bool picture, const char *file)
{
	struct na_curves curves;
	FILE *out = NULL;
	int rc = 0;

	if (file && !(out = fopen(file, "w"))) {
		fprintf(stderr, TOOL ": --svg %s: %s\n", file, strerror(errno));
		return 1;
	}
	if (na_curves_measure(&curves) < 0) {
		fprintf(stderr, TOOL ": --tune: no memory for %zu MiB of data to measure with\n", curves.bytes >> 19);
		rc = 1;
	} else {
		if (picture)
			na_curves_svg(&curves, stdout);
		else
			na_curves_print(&curves, stdout);
		if (out)
			na_curves_svg(&curves, out);
	}
	if (out && (ferror(out) | fclose(out))) {
		fprintf(stderr, TOOL ": --svg %s: %s\n", file, strerror(errno));
		rc = 1;
	}
	return rc;
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
						 { "levels", no_argument, NULL, 'o' },
						 { "limits", no_argument, NULL, 'l' },
						 { "counters", no_argument, NULL, 'c' },
						 { "latency", no_argument, NULL, 'a' },
						 { "tune", optional_argument, NULL, 'u' },
						 { "svg", required_argument, NULL, 'g' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'v' },
						 { NULL, 0, NULL, 0 } };
	const char *file = NULL;
	bool picture = false;
	int c, part = 0, rc = 0;
	char complaint[512];

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (c) {
		case 'o':
		case 's':
		case 't':
		case 'l':
		case 'c':
		case 'a':
		case 'u':
			if (part && part != c)
				return na_usage_error(
					TOOL,
					"--settings, --levels, --topology, --limits, --counters, --latency and --tune "
					"exclude each other");
			if (optarg && strcmp(optarg, "svg") != 0)
				return na_usage_error(TOOL, "--tune=%s: must be --tune, or --tune=svg", optarg);
			picture |= optarg != NULL;
			part = c;
			break;
		case 'g':
			file = optarg;
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
	if (file && part != 'u')
		return na_usage_error(TOOL, "--svg is for --tune alone");
	if (na_options_load(complaint, sizeof(complaint)) < 0) {
		fprintf(stderr, TOOL ": %s\n", complaint);
		return NA_EXIT_USAGE;
	}
	na_settings_follow_levels();
	if (part == 'o')
		print_levels();
	if (!part || part == 't')
		rc = print_topology();
	if (!part || part == 'l')
		print_limits();
	if (!part || part == 'c')
		print_counters();
	if (part == 'a')
		rc = print_latency();
	if (part == 'u')
		rc = print_tuning(picture, file);
	if (!part || part == 's')
		print_settings();
	return rc ? rc : na_usage_flush(TOOL);
}
