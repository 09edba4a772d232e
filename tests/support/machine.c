/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes a made-up /sys and /proc; see machine.h. */
#include "machine.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "test machine: %s: %s\n", what, strerror(errno));
	exit(99); /* automake's hard error */
}

/* Writes a file and the folders that lead to it; `path` and `text` are one format each. */
static void put(const char *root, const char *text, const char *format, ...)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s", root);
	va_list args;
	FILE *file;

	va_start(args, format);
	vsnprintf(path + n, sizeof(path) - (size_t)n, format, args);
	va_end(args);
	for (char *slash = path + n + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			fail(path);
		*slash = '/';
	}
	file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file) != 0)
		fail(path);
}

/* CPUs first..first+count-1 as the kernel's comma-separated words of 32 bits, highest first. */
static void cpu_map(char *out, size_t capacity, int first, int count)
{
	int words = (first + count + 31) / 32, n = 0;

	*out = '\0';
	for (int w = words > 0 ? words - 1 : 0; w >= 0; w--) {
		uint32_t bits = 0;

		for (int b = 0; b < 32; b++)
			if (w * 32 + b >= first && w * 32 + b < first + count)
				bits |= UINT32_C(1) << b;
		n += snprintf(out + n, capacity - (size_t)n, "%08x%s", bits, w ? "," : "\n");
	}
}

static void put_cache(const char *root, int cpu, int index, int level, const char *type, const char *size,
		      const char *map)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", level);
	put(root, text, "/sys/devices/system/cpu/cpu%d/cache/index%d/level", cpu, index);
	put(root, type, "/sys/devices/system/cpu/cpu%d/cache/index%d/type", cpu, index);
	put(root, size, "/sys/devices/system/cpu/cpu%d/cache/index%d/size", cpu, index);
	put(root, "128\n", "/sys/devices/system/cpu/cpu%d/cache/index%d/coherency_line_size", cpu, index);
	put(root, "64\n", "/sys/devices/system/cpu/cpu%d/cache/index%d/number_of_sets", cpu, index);
	put(root, "1\n", "/sys/devices/system/cpu/cpu%d/cache/index%d/physical_line_partition", cpu, index);
	put(root, map, "/sys/devices/system/cpu/cpu%d/cache/index%d/shared_cpu_map", cpu, index);
}

static void put_cpu(const char *root, const struct test_node *node, int cpu)
{
	char own[4096], package[4096], text[32];

	cpu_map(own, sizeof(own), cpu, 1);
	cpu_map(package, sizeof(package), node->first_cpu, node->cpus);
	put(root, own, "/sys/devices/system/cpu/cpu%d/topology/core_cpus", cpu);
	put(root, own, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings", cpu);
	put(root, package, "/sys/devices/system/cpu/cpu%d/topology/package_cpus", cpu);
	put(root, package, "/sys/devices/system/cpu/cpu%d/topology/core_siblings", cpu);
	snprintf(text, sizeof(text), "%d\n", node->os_index);
	put(root, text, "/sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
	snprintf(text, sizeof(text), "%d\n", cpu);
	put(root, text, "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
	put_cache(root, cpu, 0, 1, "Data\n", "48K\n", own);
	put_cache(root, cpu, 1, 1, "Instruction\n", "32K\n", own);
	put_cache(root, cpu, 2, 2, "Unified\n", "2048K\n", own);
	put_cache(root, cpu, 3, 3, "Unified\n", "16384K\n", package);
}

static void put_node(const char *root, const struct test_machine *m, int at)
{
	const struct test_node *node = &m->nodes[at];
	char text[4096];
	int n = 0;

	cpu_map(text, sizeof(text), node->first_cpu, node->cpus);
	put(root, text, "/sys/devices/system/node/node%d/cpumap", node->os_index);
	snprintf(text, sizeof(text), "Node %d MemTotal:       %d kB\n", node->os_index, node->megabytes * 1024);
	put(root, text, "/sys/devices/system/node/node%d/meminfo", node->os_index);
	snprintf(text, sizeof(text), "%d\n", node->huge_pages);
	put(root, text, "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages", node->os_index);
	for (int to = 0; m->distances && to < m->node_count; to++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%d%s", m->distances[at * m->node_count + to],
			      to + 1 < m->node_count ? " " : "\n");
	if (m->distances)
		put(root, text, "/sys/devices/system/node/node%d/distance", node->os_index);
	if (!node->bandwidth)
		return;
	snprintf(text, sizeof(text), "%d\n", node->bandwidth);
	put(root, text, "/sys/devices/system/node/node%d/access0/initiators/read_bandwidth", node->os_index);
	put(root, text, "/sys/devices/system/node/node%d/access0/initiators/write_bandwidth", node->os_index);
	snprintf(text, sizeof(text), "%d\n", node->latency);
	put(root, text, "/sys/devices/system/node/node%d/access0/initiators/read_latency", node->os_index);
	put(root, text, "/sys/devices/system/node/node%d/access0/initiators/write_latency", node->os_index);
	/* The kernel has a link here; its name is what counts. */
	put(root, "", "/sys/devices/system/node/node%d/access0/initiators/node%d/here", node->os_index,
	    node->initiator);
}

static void put_lists(const char *root, const struct test_machine *m)
{
	char online[4096] = "", has_cpu[4096] = "", cpus[4096] = "", one[32];

	for (int i = 0; i < m->node_count; i++) {
		const struct test_node *node = &m->nodes[i];

		snprintf(one, sizeof(one), "%s%d", *online ? "," : "", node->os_index);
		strcat(online, one);
		if (!node->cpus)
			continue;
		snprintf(one, sizeof(one), "%s%d", *has_cpu ? "," : "", node->os_index);
		strcat(has_cpu, one);
		snprintf(one, sizeof(one), "%s%d-%d", *cpus ? "," : "", node->first_cpu,
			 node->first_cpu + node->cpus - 1);
		strcat(cpus, one);
	}
	put(root, strcat(online, "\n"), "/sys/devices/system/node/online");
	put(root, strcat(has_cpu, "\n"), "/sys/devices/system/node/has_cpu");
	strcat(cpus, "\n");
	put(root, cpus, "/sys/devices/system/cpu/online");
	put(root, cpus, "/sys/devices/system/cpu/possible");
	put(root, cpus, "/sys/devices/system/cpu/present");
	if (m->possible)
		put(root, m->possible, "/sys/devices/system/node/possible");
}

void test_machine_make(const struct test_machine *m, char root[PATH_MAX])
{
	char status[512] = "Name:\ttest\n";
	size_t n = strlen(status);

	test_folder_make(root);
	put_lists(root, m);
	for (int i = 0; i < m->node_count; i++) {
		put_node(root, m, i);
		for (int c = 0; c < m->nodes[i].cpus; c++)
			put_cpu(root, &m->nodes[i], m->nodes[i].first_cpu + c);
	}
	if (m->cpus_allowed)
		n += (size_t)snprintf(status + n, sizeof(status) - n, "Cpus_allowed_list:\t%s\n", m->cpus_allowed);
	if (m->mems_allowed)
		snprintf(status + n, sizeof(status) - n, "Mems_allowed_list:\t%s\n", m->mems_allowed);
	put(root, status, "/proc/self/status");
	put(root, m->boot ? m->boot : "test-boot\n", "/proc/sys/kernel/random/boot_id");
	put(root, "2097152\n", "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
	put(root, "[always] madvise never\n", "/sys/kernel/mm/transparent_hugepage/enabled");
}

#define MOST_FOLDERS 64

static char made[MOST_FOLDERS][PATH_MAX];
static int made_count;
static pid_t maker; /* children end by _exit(), and must not clean up after their parent anyway */

/* A test that fails jumps over its own clean-up. */
static void remove_all(void)
{
	for (int i = 0; getpid() == maker && i < made_count; i++)
		test_folder_remove(made[i]);
}

static void remember(const char *path)
{
	if (made_count == 0) {
		maker = getpid();
		atexit(remove_all);
	}
	if (made_count < MOST_FOLDERS)
		snprintf(made[made_count++], PATH_MAX, "%s", path);
}

void test_folder_make(char path[PATH_MAX])
{
	const char *parent = getenv("TMPDIR");

	snprintf(path, PATH_MAX, "%s/numarena-test-XXXXXX", parent && *parent ? parent : "/tmp");
	if (!mkdtemp(path))
		fail(path);
	remember(path);
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *where)
{
	(void)s;
	(void)kind;
	(void)where;
	return remove(path);
}

void test_folder_remove(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
		fail(path);
}

static int files; /* nftw() has no argument for its caller */

static int count_one(const char *path, const struct stat *s, int kind, struct FTW *where)
{
	(void)path;
	(void)s;
	(void)where;
	files += kind != FTW_D && kind != FTW_DP;
	return 0;
}

int test_folder_count(const char *path)
{
	files = 0;
	if (nftw(path, count_one, 16, FTW_PHYS) < 0)
		return errno == ENOENT ? 0 : -1;
	return files;
}
