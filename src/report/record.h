/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The record: all that one process knows of itself for the job's report, as plain data of a fixed size.
 *
 * On disk it is a file of two slots in DIR/.numarena/JOB/, mapped by its process and updated in place by the
 * maintenance tick. An update writes the older slot whole, with a checksum; the other stays as it was. So a
 * process killed at any instruction leaves at least one good slot, and the reader takes the good one with the
 * higher sequence number. The page cache outlives the process; no fsync (a crash of the machine is not covered).
 *
 * File names: pid-HOST-PID.rec for any process, renamed rank-N.rec once MPI_Init makes it a rank.
 *
 * The layout belongs to NA_RECORD_VERSION: any change of a struct in it raises the version, and readers refuse
 * other versions by name rather than guess. Counters that could not be measured are NA_UNKNOWN.
 */
#ifndef NA_REPORT_RECORD_H
#define NA_REPORT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/snapshot.h"
#include "report/breakdown.h"
#include "report/pauses.h"
#include "report/series.h"

#define NA_RECORD_MAGIC	  UINT64_C(0x64726f636572614e) /* "Narecord" on disk */
#define NA_RECORD_VERSION 4
#define NA_RECORD_NAME	  64
#define NA_RECORD_FOLDER  ".numarena"
#define NA_RECORD_SUFFIX  ".rec"

enum na_record_state {
	NA_RECORD_RUNNING = 1,
	NA_RECORD_FINALIZING, /* the last figures are in: the reduction has begun */
	NA_RECORD_COMPLETE,
	NA_RECORD_ABORTED, /* MPI_Abort, or a fatal error that we saw */
	NA_RECORD_EXITED, /* ended, but not as it should to be complete: a rank without MPI_Finalize, a shell by _exit() */
	NA_RECORD_LOST	  /* never on disk: a reader's word for RUNNING whose process, on this host, is gone */
};

enum na_record_role {
	NA_RECORD_PROCESS = 0, /* a child or helper of the run */
	NA_RECORD_ROOT,	       /* the process that numarena-run became, or one started with no numarena-run */
	NA_RECORD_RANK	       /* called MPI_Init */
};

/* Who says how much memory the job asked for on a host; the larger, the more certain. */
enum na_request_source {
	NA_REQUESTED_BY_NONE,
	NA_REQUESTED_BY_CGROUP,
	NA_REQUESTED_BY_SLURM_CPU,
	NA_REQUESTED_BY_SLURM_NODE
};

#define NA_HUGE_KNOWN	 1 /* the kernel's mode could be read */
#define NA_HUGE_POSSIBLE 2 /* it gives transparent huge pages */
#define NA_HUGE_ASKED	 4 /* a setting asks for huge pages */

struct na_record {
	uint64_t magic;
	uint32_t version;
	uint32_t bytes;	   /* sizeof(struct na_record) */
	uint64_t sequence; /* of the update; 0: never written */
	uint64_t checksum; /* of everything else */

	char job[NA_RECORD_NAME];
	char host[NA_RECORD_NAME];
	char program[NA_RECORD_NAME];
	int32_t rank; /* -1: none */
	int32_t size; /* ranks of the job; 0: unknown */
	int32_t local_rank;
	int32_t pid;
	int32_t parent;
	uint32_t state; /* enum na_record_state */
	uint32_t role;	/* enum na_record_role */
	uint32_t unused;

	uint64_t start_ms;  /* since 1970 */
	uint64_t update_ms; /* since 1970: when these figures were taken */
	uint64_t wall_ns;   /* from start to update, monotonic clock */

	struct na_snapshot heap; /* resident and misplaced bytes: as of residency_ms */
	uint64_t residency_ms;	 /* since 1970; 0: never asked */

	/* The nodes at the update with the most live bytes among those that asked for residency: at the end of a
	 * program most has been freed. */
	struct na_node_figures peak_nodes[NA_MAX_NODES];
	uint32_t peak_node_count;
	uint32_t unused_peak;
	uint64_t peak_nodes_ms;	  /* since 1970; 0: never */
	uint64_t peak_nodes_live; /* bytes, all nodes */
	uint64_t peak_requested;  /* of these, asked for: an estimate from samples */

	/* of the process as a whole, in bytes */
	uint64_t rss;
	uint64_t peak_rss;	/* VmHWM */
	uint64_t pss;		/* smaps_rollup: physical memory, shared pages by share */
	uint64_t physical;	/* now: Pss, or Rss less the share that Pss last took off */
	uint64_t peak_physical; /* maximum that updates saw */
	uint64_t swapped;
	uint64_t requested;  /* bytes that live blocks were asked for with, estimated from samples */
	uint64_t compressed; /* bytes, images of compressed blocks */
	uint64_t stalled; /* most that an update saw: millionths of ten seconds in which some task waited for memory */

	/* of the machine it runs on */
	uint64_t host_memory;
	uint64_t cgroup_limit;		    /* NA_UNKNOWN: no limit, or not readable */
	uint64_t node_memory[NA_MAX_NODES]; /* in the order of heap.nodes */
	uint32_t node_cpus[NA_MAX_NODES];   /* of this process; UINT32_MAX: unknown */
	uint32_t huge_pages;		    /* NA_HUGE_... */
	uint32_t request_source;	    /* enum na_request_source */
	uint64_t request_bytes; /* memory that the job asked the batch system for on this host; NA_UNKNOWN */

	/* what our own layer cost this process */
	uint64_t topology_ns;
	uint32_t topology_shared; /* 1: read another process's export instead of discovering */
	uint32_t updates;
	uint64_t record_ns;   /* all updates of this record */
	uint64_t finalize_ns; /* measuring for the last time; the reduction is the job's */

	struct na_series series;
	struct na_breakdown breakdown;
	struct na_pauses pauses;
};

_Static_assert(sizeof(struct na_record) % 8 == 0, "checksummed by words");
_Static_assert(sizeof(((struct na_where *)0)->host) == NA_RECORD_NAME, "hosts have one length");

/* Fills magic, version, size; everything else zero, counters unknown, rank -1. */
void na_record_init(struct na_record *r);

/* Checksums and copies into the older of two slots, of which it writes the pages that differ: a process without phases or samples
 * has most of its record as it was, and what is not written need not go to the file system again. The caller serialises;
 * slots are those of a file. */
void na_record_store(struct na_record slots[2], struct na_record *r);

/* Why a record was refused, as a sentence without the file's name; "" when na_record_load() returned 0. */
struct na_record_flaw {
	char text[160];
};

/* Takes the better of two slots (or one, of a truncated file), aligned as records are. `length` bytes are there. 0, or -EINVAL (not a
 * record, or damaged), -EPROTO (another version), -ENODATA (opened but never written). */
int na_record_load(const void *slots, size_t length, struct na_record *out, struct na_record_flaw *flaw);

/* The same of a file; also -errno of opening it. Allocates. Retries if the process is just writing. */
int na_record_read(const char *path, struct na_record *out, struct na_record_flaw *flaw);

/* The host that a record is of, by its first bytes: how others' records are told from this host's without reading them. `folder` as for openat(2).
 * 0, -ENODATA (not written yet, or no record of this version), or -errno of opening it. No allocation. */
int na_record_host(int folder, const char *name, char host[NA_RECORD_NAME]);

/* Whether either of its slots has this state, by first bytes as well: a look that may be wrong about a slot that is just being written. */
bool na_record_has_state(int folder, const char *name, uint32_t state);

/* Of a record of this host: whether it says that its process runs, and there is none of that number any more. */
int na_record_is_lost(const struct na_record *r);

/* Whether the figures are the last ones that there could be. Shells and their like end by _exit(): they count, ranks
 * that do not. */
int na_record_is_whole(uint32_t state, uint32_t role);

const char *na_record_state_name(uint32_t state);

/* Allocations of sizes that thread caches serve, and 1 - refills / those in millionths, or NA_UNKNOWN. */
uint64_t na_record_cached_allocations(const struct na_record *r);
uint64_t na_record_hit_rate(const struct na_record *r);

/* Large blocks that were served from memory kept for reuse, in millionths of all, or NA_UNKNOWN. */
uint64_t na_record_reuse_rate(const struct na_record *r);

/* Sums over the NUMA nodes, at the end and at the fullest sample; NA_UNKNOWN if any is. */
uint64_t na_record_resident(const struct na_record *r);
uint64_t na_record_misplaced(const struct na_record *r);
uint64_t na_record_peak_resident(const struct na_record *r);
uint64_t na_record_huge(const struct na_record *r);
uint64_t na_record_peak_huge(const struct na_record *r);
uint64_t na_record_peak_misplaced(const struct na_record *r);
uint64_t na_record_fullest_held(const struct na_record *r);

uint64_t na_record_fullest_live(const struct na_record *r);
uint64_t na_record_fullest_requested(const struct na_record *r);

/* By how much the lows of live bytes rose over the parts of its time, if they did in each; NA_UNKNOWN of too short a time to tell. */
uint64_t na_record_growth(const struct na_record *r);

/* ns in the phase that took longest; NA_UNKNOWN without phases. */
uint64_t na_record_longest_phase(const struct na_record *r);

#endif
