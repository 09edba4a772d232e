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

#include "base/options.h"

#define NA_PAGE ((size_t)4096)

/* What a counter of the kernel's perf interface has come to, its thread's descendants included. With more counters than the processor
 * has, it was counting for running_ns of the enabled_ns only. */
struct na_counter_value {
	uint64_t value;
	uint64_t enabled_ns;
	uint64_t running_ns;
};

struct na_faults;
struct na_fault;
struct na_memfile;
struct na_hold;

struct na_os {
	/* New zeroed memory, not committed; at `at` and nowhere else if that is not NULL
	 * (-EEXIST if something is there). */
	int (*map)(void *at, size_t size, void **out);
	int (*unmap)(void *at, size_t size);
	/* Addresses that nobody may touch until protect() opens them. */
	int (*reserve)(size_t size, void **out);
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
	/* Gives every page of the range memory now. -ENOMEM if there is not enough; -EINVAL where the kernel has no call for it
	 * (before 5.14). */
	int (*populate)(void *at, size_t size);
	/* Grows a mapping: in place if `to` is NULL, else its pages move to `to`, which is a
	 * mapping of ours that nobody has seen yet. */
	int (*remap)(void *at, size_t size, size_t grown, void *to);
	/* The node of each page, or a negative errno (not resident, say), in status. */
	int (*locate)(void **pages, int *status, size_t count);
	/* Moves each page to its node; status: the node where it lies now, or a negative errno. */
	int (*move)(void **pages, const int *nodes, int *status, size_t count);
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

	/* Counters, see perf.h. One of a thread's user code, and of that of threads which it starts from now on; on the processor together
	 * with the counter `group` of the same thread, unless that is -1. What it gives is a file descriptor. */
	int (*counter_open)(uint32_t type, uint64_t config, int thread, int group, int *out);
	int (*counter_read)(int counter, struct na_counter_value *out);
	int (*counter_close)(int counter);
	/* The ids of this process's threads; *count may exceed the capacity. */
	int (*threads)(int *ids, size_t capacity, size_t *count);
	/* Page faults of this process, without and with reading from a disk. */
	int (*page_faults)(uint64_t *minor, uint64_t *major);
	/* The calling thread runs on these CPUs only. */
	int (*run_on)(const unsigned long *mask, size_t bytes);

	/* Page faults that we answer ourselves, see fault.h: of missing pages, and of writes to protected ones, in a range that is watched.
	 * -EPERM, -ENOSYS and the like where the kernel does not grant it in full. */
	int (*fault_open)(struct na_faults *out);
	int (*fault_watch)(const struct na_faults *faults, void *at, size_t size);
	int (*fault_unwatch)(const struct na_faults *faults, void *at,
			     size_t size); /* who waits is woken, and finds what is there */
	int (*fault_protect)(const struct na_faults *faults, void *at, size_t size,
			     bool on); /* against writes; off wakes */
	/* Gives missing pages these contents, or zeros, and wakes who waits. A copy passes by pages that are there; zero is -EEXIST. */
	int (*fault_copy)(const struct na_faults *faults, void *to, const void *from, size_t size);
	int (*fault_zero)(const struct na_faults *faults, void *at, size_t size);
	int (*fault_wake)(const struct na_faults *faults, void *at, size_t size);
	/* Waits for faults: how many, at most capacity and 16; -ECANCELED once it was told to stop. */
	int (*fault_read)(const struct na_faults *faults, struct na_fault *out, size_t capacity);
	/* Every thread of this process passes a full memory barrier before it returns. */
	int (*barrier)(void);

	/* Memory files, see memfile.h. */
	int (*file_make)(const char *name, struct na_memfile *out);
	int (*file_close)(const struct na_memfile *file);
	int (*file_write)(const struct na_memfile *file, const void *from, size_t size, uint64_t at);
	int (*file_read)(const struct na_memfile *file, void *to, size_t size, uint64_t at);
	int (*file_punch)(const struct na_memfile *file, uint64_t at, size_t size);
	int (*file_map)(const struct na_memfile *file, uint64_t at, size_t size, void **to);
	int (*file_unmap)(void *at, size_t size);
	/* A pipe: two ends, closed by file_close. */
	int (*pipe_make)(struct na_memfile *ends);

	/* Pages that nobody may write to for a moment, see hold.h; and what takes their place. */
	int (*hold_open)(enum na_concurrent way, struct na_hold *out);
	int (*hold_begin)(struct na_hold *hold, void *at, size_t size, const void **contents);
	void (*hold_end)(struct na_hold *hold, size_t replaced);
	void (*hold_drop)(struct na_hold *hold);
	void (*hold_close)(struct na_hold *hold);
	int (*file_switch)(const struct na_memfile *file, uint64_t at, size_t size, void *to);
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

/* The processor's own clock: no call that a library could replace by one that allocates, so it may be read inside malloc. Its unit is
 * what na_ticks_to_ps() of metrics/ makes of it. */
static inline uint64_t na_os_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return na_os_now_ns();
#endif
}
/* Above 0 while the calling thread is in one of libc's mapping functions on our behalf. An MPI library's hook may run there, under
 * locks of its own, and call malloc: what waits or calls the program back must not do so then. */
extern __thread uint32_t na_os_inside __attribute__((tls_model("initial-exec")));

/* How many of the table's mapping calls were made; relaxed. */
uint64_t na_os_calls(void);
void na_os_count_call(void);

/* New memory aligned to `alignment` (a power of two, at least a page). */
int na_os_map_aligned(size_t size, size_t alignment, void **out);
int na_os_map_hugetlb(size_t size, size_t alignment, size_t page, void **out);

#endif
