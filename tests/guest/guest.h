/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest's programs share: where pages really lie, asked of the kernel and of nobody else. */
#ifndef NA_TESTS_GUEST_H
#define NA_TESTS_GUEST_H

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE  ((size_t)4096)
#define NODES 128

#define ASK_NODE 3 /* MPOL_F_NODE | MPOL_F_ADDR */

/* The node of a resident page, by the one call or, where that is refused, by the other; -1 if neither tells. */
static inline int guest_node_of(const void *p)
{
	void *page = (void *)((uintptr_t)p & ~(PAGE - 1));
	int status = -1;

	if (syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0) == 0)
		return status < 0 ? -1 : status;
	return syscall(SYS_get_mempolicy, &status, NULL, 0ul, page, ASK_NODE) == 0 ? status : -1;
}

/* Adds the pages of a block, all of which are resident, to counts[node]. */
static inline void guest_count(const void *block, size_t size, uint64_t counts[NODES])
{
	uintptr_t from = (uintptr_t)block & ~(PAGE - 1), to = (uintptr_t)block + size;
	enum { CHUNK = 256 };

	while (from < to) {
		void *pages[CHUNK];
		int status[CHUNK];
		unsigned long n = 0;

		for (; n < CHUNK && from < to; n++, from += PAGE)
			pages[n] = (void *)from;
		if (syscall(SYS_move_pages, 0, n, pages, NULL, status, 0))
			for (unsigned long i = 0; i < n; i++)
				status[i] = guest_node_of(pages[i]);
		for (unsigned long i = 0; i < n; i++)
			if (status[i] >= 0 && status[i] < NODES)
				counts[status[i]]++;
	}
}

/* All pages of this process in mappings that are bound to a node ("prefer:3" of the kernel's list), and how many of those lie
 * elsewhere: the whole pools, free slots and slices included, whatever the library says. */
static inline uint64_t guest_bound_pages(uint64_t *elsewhere)
{
	FILE *f = fopen("/proc/self/numa_maps", "r");
	static char line[8192];
	uint64_t all = 0;

	*elsewhere = 0;
	while (f && fgets(line, sizeof(line), f)) {
		char *s = strstr(line, " prefer:");
		int bound = s ? atoi(s + 8) : -1, node;
		unsigned long pages;

		for (s = bound < 0 ? NULL : strstr(line, " N"); s; s = strstr(s + 1, " N")) {
			if (sscanf(s, " N%d=%lu", &node, &pages) != 2)
				continue;
			all += pages;
			*elsewhere += node == bound ? 0 : pages;
		}
	}
	if (f)
		fclose(f);
	return all;
}

static inline void guest_run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		printf("not ok: cannot run on CPU %d: %s\n", cpu, strerror(errno));
		exit(1);
	}
}

static inline int guest_node_here(void)
{
	unsigned int cpu, node;

	return syscall(SYS_getcpu, &cpu, &node, NULL) == 0 ? (int)node : -1;
}

/* One figure of a node's meminfo, in bytes. */
static inline uint64_t guest_meminfo(int node, const char *what)
{
	char path[80], line[160];
	unsigned long long kilobytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, what);

		if (at && sscanf(at + strlen(what), ": %llu", &kilobytes) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kilobytes * 1024;
}

#endif
