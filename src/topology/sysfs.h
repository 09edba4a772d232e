/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel says in /proc and /sys, beside hwloc: possible nodes, nodes with CPUs, what this
 * process may use, transparent huge pages, and what identifies the machine. `root` is a prefix for
 * tests ("" otherwise). A missing file is -ENOENT and never fatal: containers hide some.
 * Private to topology/. Any thread; na_sysfs_read() allocates.
 */
#ifndef NA_TOPOLOGY_SYSFS_H
#define NA_TOPOLOGY_SYSFS_H

#include "topology/topology.h"

/* The whole file, NUL-terminated, for free(). At most 1 MiB. */
int na_sysfs_read(const char *root, const char *path, char **text);

/* A file that holds one list, as na_bitset_read_list() reads it. */
int na_sysfs_read_list(const char *root, const char *path, unsigned long *mask, size_t slots, int *highest);

/* The list in a line "name:\tlist" of the text of /proc/self/status. */
int na_sysfs_find_list(const char *status, const char *name, unsigned long *mask, size_t slots);

/* Size and mode of transparent huge pages. */
void na_sysfs_read_thp(const char *root, uint64_t *size, enum na_topology_thp *mode);

/* A number that is the same for all processes that see this machine as we do: its online CPUs and
 * nodes, and the HWLOC_* variables. */
uint64_t na_sysfs_fingerprint(const char *root);

#endif
