/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process's memory as the kernel counts it, from /proc, with plain read(2) into the stack: no stdio and no
 * malloc, because the record's tick calls it. Bytes; NA_UNKNOWN where the kernel or a container does not tell.
 *
 * Cost: status 15 us; smaps_rollup walks all page tables (1 ms for some GiB) under the lock that page
 * faults need, so callers ration it.
 */
#ifndef NA_REPORT_PROCFS_H
#define NA_REPORT_PROCFS_H

#include <stdbool.h>
#include <stdint.h>

struct na_procfs {
	uint64_t rss;
	uint64_t peak_rss;
	uint64_t swapped;
};

void na_procfs_memory(struct na_procfs *out); /* /proc/self/status */
uint64_t na_procfs_pss(void);		      /* /proc/self/smaps_rollup */

/* The value of "Key:   123 kB" in such a text, in bytes; for tests. */
uint64_t na_procfs_find(const char *text, const char *key);

/* How many CPUs of a NUMA node are among those that `mine` says yes to; UINT32_MAX where /sys does not tell. */
uint32_t na_procfs_node_cpus(int32_t node, bool (*mine)(uint32_t cpu));

#endif
