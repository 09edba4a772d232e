/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One process of a job discovers, the others on the machine read its XML.
 *
 * Files in the job's runtime folder (rundir.h), HASH standing for the identity of xmlfile.h, so that
 * processes that differ in it do not get in each other's way:
 *
 *     topology-HASH.lock    flock()ed by the process that discovers; freed by the kernel if it dies
 *     topology-HASH.PID     being written
 *     topology-HASH         complete: renamed into place
 *     topology-seen         one byte from each process that has its topology
 *     topology-board.shared mapped by each before it is counted there, see board.h
 *
 * A process reads the file if it is there and whole; else it tries the lock. Whoever gets it looks
 * once more, discovers and renames its file into place; the others sleep and look again, 0.1 ms at
 * first and 0.5 ms later, until their patience ends: then they discover by themselves. There is no
 * fsync: a file is for processes of this boot. The process that adds the last of local_size bytes to
 * topology-seen removes everything, so that the folder lives for the milliseconds of the job's start;
 * na_topology_unshare() is for jobs of which a process died in them.
 *
 * Rejected: an election by local rank (a rank that has its topology already, or is late, or never comes, would be
 * waited for), O_EXCL files as locks (they outlive their owner), shared memory (a name in /dev/shm is a file
 * all the same, without rename). Sharing our flat snapshot instead of the XML would spare the readers hwloc
 * altogether, and is possible later behind this same interface; the XML has hwloc's own compatibility.
 *
 * Private to topology/, its tests and its benchmark. Calls hwloc, allocates.
 */
#ifndef NA_TOPOLOGY_SHARE_H
#define NA_TOPOLOGY_SHARE_H

#include "topology/source.h"

/*
 * The topology, read from or shared with the job's other processes; by own discovery if job is NULL,
 * is alone, or sharing fails. `source` is what a discovery would use.
 */
int na_topology_obtain(const struct na_topology_job *job, const struct na_topology_source *source,
		       struct na_topology **out, struct na_topology_cost *cost);

/* Tells the others not to count on a process that has its topology already. */
void na_topology_check_in(const struct na_topology_job *job);

#endif
