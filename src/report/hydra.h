/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The name of a job that MPICH's Hydra has started. Its processes find a rank and a size in their environment, but nothing
 * that tells their job from another. The proxy that started them knows: its arguments name the port on which mpiexec listens and the
 * number of the process group, of which mpiexec makes another with every MPI_Comm_spawn. They are the same on all nodes.
 *
 * Reads /proc of a few ancestors, since a shell may be between. No allocation.
 */
#ifndef NA_REPORT_HYDRA_H
#define NA_REPORT_HYDRA_H

#include <stddef.h>

/* "hydra.PORT.GROUP.HOST" into `job`: 1; 0 if no proxy of Hydra's is among the ancestors. */
int na_hydra_job(char *job, size_t capacity);

/* The same of a proxy's arguments as /proc shows them, each ended by NUL. */
int na_hydra_parse(const char *arguments, size_t length, char *job, size_t capacity);

#endif
