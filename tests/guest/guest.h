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
#define NODES 64

/* Adds the pages of a block that are resident to counts[node]. */
static inline void guest_count(const void *block, size_t size, uint64_t counts[NODES])
{
	uintptr_t from = (uintptr_t)block & ~(PAGE - 1), to = (uintptr_t)block + size;

	for (uintptr_t a = from; a < to; a += PAGE) {
		void *page = (void *)a;
		int status = -1;

		if (syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0) == 0 && status >= 0 && status < NODES)
			counts[status]++;
	}
}

static inline int guest_node_of(const void *p)
{
	void *page = (void *)((uintptr_t)p & ~(PAGE - 1));
	int status = -1;

	return syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0) == 0 ? status : -errno;
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
