/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The machine as numarena sees it: NUMA nodes, CPUs, caches, page sizes, and which of them this
 * process may use, as one flat block of memory that never changes after it was published.
 *
 * Who may call: any thread, but with no lock of the heap held. hwloc allocates, and malloc may be
 * ours, so a discovery inside the heap's lock would deadlock. The heap does not need this: the node
 * of a running thread is a getcpu(2) away.
 *
 * Discovery is lazy. The first na_topology_get() pays for it (milliseconds); later calls are one load
 * with acquire order, which pairs with the release store that publishes the snapshot. Threads that
 * ask meanwhile wait for that one discovery. A snapshot is never freed and never replaced, so readers
 * need no lock and no reference. A discovery that failed for a reason that will not go away (a wrong
 * HWLOC_SYNTHETIC) is not tried again: later calls return the same error.
 *
 * fork: a child inherits the snapshot. A fork while another thread discovers waits for the end of it,
 * because hwloc's own locks could not be used in the child otherwise.
 *
 * Numbers are the kernel's ("OS index" of hwloc), except where a field says "position": an index into
 * nodes[].
 *
 * Jobs: the processes of an MPI job on one machine would all discover the same. na_topology_share()
 * lets one do it and the others read its result; see share.h for how. What a process may use is
 * never shared: each applies its own afterwards.
 */
#ifndef NA_TOPOLOGY_TOPOLOGY_H
#define NA_TOPOLOGY_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "topology/bitset.h"

#define NA_TOPOLOGY_UNKNOWN UINT32_MAX

struct na_topology_node {
	int32_t os_index;
	uint32_t cpu_count;	   /* CPUs whose node this is; 0: a node without CPUs (HBM, CXL) */
	uint64_t memory;	   /* bytes; 0: a node without memory */
	uint32_t bandwidth;	   /* MiB/s from the CPUs that are best placed, or NA_TOPOLOGY_UNKNOWN */
	uint32_t latency;	   /* ns from there, or NA_TOPOLOGY_UNKNOWN */
	bool allowed;		   /* this process may take memory here */
	const unsigned long *cpus; /* whose node this is; cpu_slots bits */
	const unsigned long *near; /* CPUs that hwloc calls local: those of another node, for a node without */
};

enum na_topology_cache_kind { NA_TOPOLOGY_CACHE_UNIFIED, NA_TOPOLOGY_CACHE_DATA };

/* All data and unified caches of one level; sizes differ where cores do. */
struct na_topology_cache {
	uint8_t level;
	uint8_t kind;	  /* enum na_topology_cache_kind */
	uint32_t count;	  /* caches of this level in the machine */
	uint32_t sharing; /* CPUs that share one: the most */
	uint32_t line;	  /* bytes; 0: unknown */
	uint64_t least;	  /* bytes, of the smallest */
	uint64_t most;	  /* bytes, of the largest */
};

struct na_topology_page_size {
	uint64_t size;	   /* bytes */
	uint64_t reserved; /* pages set aside in hugetlb pools on all nodes at discovery; 0 for the base size */
};

enum na_topology_thp { NA_THP_ABSENT, NA_THP_NEVER, NA_THP_MADVISE, NA_THP_ALWAYS };

struct na_topology {
	bool real;	      /* this machine; false: HWLOC_SYNTHETIC, HWLOC_XMLFILE or another's /sys: no
				 * binding by these numbers may be tried */
	bool distances_known; /* false: distance[] is the kernel's default, 10 and 20 */
	bool line_known;      /* false: line_size is a guess */
	uint32_t node_count;
	uint32_t memory_nodes; /* of those, with memory */
	uint32_t node_slots;   /* bits of a node mask: highest possible node + 1. mbind's maxnode is one more */
	uint32_t cpu_count;    /* online */
	uint32_t cpu_slots;    /* bits of a CPU mask: highest CPU + 1 */
	uint32_t cache_count;
	uint32_t page_size_count;
	uint32_t line_size; /* bytes, of the first data cache */
	uint32_t base_page; /* bytes */
	uint64_t thp_size;  /* bytes of a transparent huge page; 0: none */
	enum na_topology_thp thp;

	const struct na_topology_node *nodes;		/* node_count, by rising os_index */
	const int32_t *cpu_node;			/* cpu_slots: OS index of the CPU's node, -1: no such CPU */
	const int32_t *node_position;			/* node_slots: OS index to position, -1: no such node */
	const uint32_t *distance;			/* node_count x node_count, [from][to], positions */
	const uint32_t *nearest;			/* node_count x node_count: for each position, all
							  * positions nearest first; those without memory last */
	const uint32_t *bandwidth;			/* MiB/s, [from CPUs of][to memory of], positions;
							  * NULL: none known */
	const uint32_t *latency;			/* ns, likewise */
	const unsigned long *allowed_nodes;		/* this process's Mems_allowed, of the nodes that exist */
	const unsigned long *allowed_cpus;		/* its main thread's affinity at discovery */
	const struct na_topology_cache *caches;		/* cache_count, first level first */
	const struct na_topology_page_size *page_sizes; /* page_size_count, smallest first: base and hugetlb */
};

/* What getting the topology cost this process. Zero before the first call. */
enum na_topology_origin { NA_TOPOLOGY_NONE, NA_TOPOLOGY_DISCOVERED, NA_TOPOLOGY_READ };

struct na_topology_cost {
	enum na_topology_origin origin;
	bool shared;	    /* written for others, or read from one */
	uint64_t total_ns;  /* all of it */
	uint64_t init_ns;   /* hwloc's start: it loads its plugins, unless the process has done so already */
	uint64_t load_ns;   /* discovery, or parsing of the XML */
	uint64_t wait_ns;   /* for the process that discovers */
	uint64_t write_ns;  /* exporting and writing for the others */
	uint64_t xml_bytes; /* written or read */
};

struct na_topology_job {
	const char *folder; /* parent of the job's runtime folder; NULL or "": NUMARENA_RUNTIME_DIR, else
			     * the first of XDG_RUNTIME_DIR, /dev/shm and /tmp that works */
	const char *id;	    /* unique to the job; NULL: from the launcher's environment */
	int local_rank;	    /* on this machine; 0 also cleans up */
	int local_size;	    /* processes of the job on this machine; 1 or less: nothing is shared */
	uint32_t wait_ms;   /* patience with the process that discovers; 0: 5000 */
};

/*
 * The topology, discovered now if it is the first call. 0 or -errno: -EINVAL if an HWLOC_* variable
 * is wrong, -ENOENT without hwloc (messages on standard error name either), -ENOMEM, -EDEADLK from inside the discovery itself.
 */
int na_topology_get(const struct na_topology **out);

/*
 * As na_topology_get(), together with the job's other processes on this machine, each of which calls
 * it once: soon after MPI_Init. Never fails because sharing did: then it discovers. If the topology is
 * there already this only tells the others not to count on this process. cost may be NULL.
 */
int na_topology_share(const struct na_topology_job *job, struct na_topology_cost *cost);

/*
 * Removes what na_topology_share() left, which is nothing unless a process of the job died before
 * all had read. For local rank 0, at the end of the job; on other ranks it does nothing. Repeat it freely.
 */
void na_topology_unshare(const struct na_topology_job *job);

/* Pages that the job's processes on this machine share, zero at first, for atomics only; NULL: there are no others, none has called
 * na_topology_share(), or it could not be had. */
void *na_topology_board(void);
#define NA_TOPOLOGY_BOARD 8192

/* What it cost; valid once na_topology_get() or na_topology_share() returned 0. */
const struct na_topology_cost *na_topology_cost(void);

/* Writes it as text for a person, with the cost if it is not NULL. 0 or -errno of the stream. */
int na_topology_describe(const struct na_topology *topology, const struct na_topology_cost *cost, FILE *out);

/* The OS index of a CPU's node; -1 if the CPU is not known. */
static inline int32_t na_topology_node_of_cpu(const struct na_topology *t, uint32_t cpu)
{
	return cpu < t->cpu_slots ? t->cpu_node[cpu] : -1;
}

/* The node with that OS index, or NULL. */
static inline const struct na_topology_node *na_topology_node(const struct na_topology *t, int32_t os_index)
{
	if (os_index < 0 || (uint32_t)os_index >= t->node_slots || t->node_position[os_index] < 0)
		return NULL;
	return &t->nodes[t->node_position[os_index]];
}

#endif
