/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The job's runtime folder on this machine: where it is, who may have made it, how it goes away.
 *
 * Its parent is what the caller or NUMARENA_RUNTIME_DIR names, and then only that; else the first of
 * XDG_RUNTIME_DIR, /dev/shm and /tmp that works. Its name carries the user, the job and the boot, so that jobs,
 * users, and machines with one parent on a common file system keep apart. It is created 0700, and used only
 * if it is a folder, not a link to one, that belongs to us and is open to nobody else; another user who was
 * faster with the name can make us discover by ourselves, no more. Who makes a job's folder removes those of ours beside it that are
 * an hour old: jobs that were killed while they started leave theirs.
 * Private to topology/ and its tests. No state.
 */
#ifndef NA_TOPOLOGY_RUNDIR_H
#define NA_TOPOLOGY_RUNDIR_H

#include <limits.h>
#include <stdbool.h>

#include "topology/topology.h"

#define NA_RUNDIR_LIFE_S 3600

struct na_rundir {
	int fd;
	char path[PATH_MAX];
};

/* The job's identifier: the caller's, else the launcher's from the environment. 0, or -ENOENT: no job. */
int na_rundir_job_id(const struct na_topology_job *job, char *out, size_t capacity);

/* Opens the folder, made anew if `create` and it is not there. -ENOENT: no job, or no folder.
 * Others: no parent can be used; a parent that was named is complained about. */
int na_rundir_open(const struct na_topology_job *job, bool create, struct na_rundir *out);

/* Removes our files from it, and the folder if it is then empty. Never fails: others do the same. */
void na_rundir_remove(const struct na_rundir *folder);

void na_rundir_close(struct na_rundir *folder);

/* Every file of ours in the folder begins like this. */
#define NA_RUNDIR_PREFIX "topology-"

#endif
