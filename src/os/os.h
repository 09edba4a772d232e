/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operating system, as far as the heap needs it: one table of operations, so that a test can
 * make the Nth call fail, and a port is one file. All go through libc's functions, never raw
 * system calls, because MPI libraries patch libc's mmap family to keep their registration caches
 * true (but mbind and its like, for which libc has none and nobody a patch). None may be called with one of our
 * locks held: such a patch may call malloc.
 *
 * All return 0 or -errno, keep errno, and may be called from any thread.
 */
#ifndef NA_OS_OS_H
#define NA_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_PAGE ((size_t)4096)

struct na_os {
	/* New zeroed memory, not committed; at `at` and nowhere else if that is not NULL
	 * (-EEXIST if something is there). */
	int (*map)(void *at, size_t size, void **out);
	int (*unmap)(void *at, size_t size);
	/* Whether anybody may touch the pages. */
	int (*protect)(void *at, size_t size, bool open);
	/* Gives the pages back; they read as zero afterwards. */
	int (*purge)(void *at, size_t size);
	int (*advise_huge)(void *at, size_t size);
	/* As map, in hugetlb pages of `page` bytes (2 MiB, 1 GiB), which are the caller's from now on: so that touching
	 * them is never a SIGBUS. -ENOMEM if not so many are reserved on this machine. */
	int (*map_hugetlb)(void *at, size_t size, size_t page, void **out);
	/* Pages touched from now on come from the node while it has any, then from others. */
	int (*bind)(void *at, size_t size, int node);
	/* Pages go to the nodes in turn. */
	int (*interleave)(void *at, size_t size, const int16_t *nodes, size_t count);
	/* No page larger than the base size, whatever the system's default is. */
	int (*advise_ordinary)(void *at, size_t size);
	/* Grows a mapping: in place if `to` is NULL, else its pages move to `to`, which is a
	 * mapping of ours that nobody has seen yet. */
	int (*remap)(void *at, size_t size, size_t grown, void *to);
	/* The node of each page, or a negative errno (not resident, say), in status. */
	int (*locate)(void **pages, int *status, size_t count);
	/* One byte a page, bit 0: resident. */
	int (*resident)(void *at, size_t size, unsigned char *map);
	/* The calling thread's node, the kernel's number. */
	int (*current_node)(void);
	/* The CPUs that the calling thread may run on, into a mask of zeros; how many, 0 if unknown. */
	size_t (*cpus)(unsigned long *mask, size_t bytes);
	/* Nodes that have memory which this process may use, kernel's numbers, ascending; at least one. */
	size_t (*nodes)(int *nodes, size_t capacity);
	/* All nodes there are, with memory or not, ascending. */
	size_t (*online)(int *nodes, size_t capacity);
	/* The nodes by their distance from one, itself first, ties ascending; 0 if that is unknown. */
	size_t (*nearest)(int from, int *nodes, size_t capacity);
};

extern struct na_os na_os;

/* The smaller of physical memory and the cgroup's limit, in bytes. */
uint64_t na_os_memory_limit(void);

/* A node's physical memory in bytes; 0 if unknown. */
uint64_t na_os_node_memory(int node);

/* A node's free memory in bytes, page cache that can be dropped included; 0 if unknown. */
uint64_t na_os_node_free(int node);

uint64_t na_os_now_ns(void);	/* CLOCK_MONOTONIC */
uint64_t na_os_coarse_ms(void); /* CLOCK_MONOTONIC_COARSE: a few ns, good to a few ms */

/* pthread_atfork(): 0, or an error number. */
int na_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

/* How many of the table's mapping calls were made; relaxed. */
uint64_t na_os_calls(void);

/* New memory aligned to `alignment` (a power of two, at least a page). */
int na_os_map_aligned(size_t size, size_t alignment, void **out);
int na_os_map_hugetlb(size_t size, size_t alignment, size_t page, void **out);

#endif
