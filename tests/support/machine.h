/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Machines that we do not have: a /sys and /proc of made-up nodes and CPUs in a temporary folder, in the
 * kernel's own format, for hwloc (HWLOC_FSROOT) and for our reading. hwloc's synthetic descriptions
 * know neither nodes without memory, nor distances, nor a cpuset; this does.
 *
 * Each CPU is a core of its own with L1d, L2, and an L3 for each node; a node with CPUs is a package.
 * Functions end the program with a message when the file system fails them.
 */
#ifndef NA_TEST_MACHINE_H
#define NA_TEST_MACHINE_H

#include <limits.h>
#include <stdint.h>

struct test_node {
	int os_index;
	int first_cpu;
	int cpus;           /* 0: a node without CPUs */
	int megabytes;      /* 0: a node without memory */
	int initiator;      /* with bandwidth: the node whose CPUs see these figures; -1: none known */
	int bandwidth;      /* MiB/s */
	int latency;        /* ns */
	int huge_pages;     /* of 2 MiB, reserved */
};

struct test_machine {
	const struct test_node *nodes; /* by rising os_index */
	int node_count;
	const int *distances;          /* node_count x node_count; NULL: no distance files */
	const char *possible;          /* the list in node/possible; NULL: no file */
	const char *mems_allowed;      /* lists in /proc/self/status; NULL: no such line */
	const char *cpus_allowed;
	const char *boot;              /* boot_id; NULL: "test-boot" */
};

/* Makes it and returns its root folder in `root`. */
void test_machine_make(const struct test_machine *machine, char root[PATH_MAX]);

/* A new empty temporary folder, gone at the latest when the program ends. */
void test_folder_make(char path[PATH_MAX]);

/* Removes a folder and all in it. */
void test_folder_remove(const char *path);

/* Files below a folder, folders not counted. */
int test_folder_count(const char *path);

#endif
