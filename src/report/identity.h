/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who a process is before MPI_Init can tell: from the launcher's environment, and from one variable
 * of our own that a run hands to its children.
 *
 * The job's name is the launcher's (a PMIx namespace, a Slurm job and step, ...), so that all ranks compute the
 * same with no word between them. Without a launcher the root makes one up, HOST.PID.SECONDS, and children inherit
 * it in _NUMARENA_ROOT=PID:JOB. A process that has a launcher's job other than the inherited one is
 * the root of a job of its own (numarena-run mpirun ./simulation). The underscore keeps that variable out of the
 * settings; nobody need set it.
 *
 * No allocation; reads environ and uname. Names are cleaned for use in file names.
 */
#ifndef NA_REPORT_IDENTITY_H
#define NA_REPORT_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#include "report/record.h"

#define NA_IDENTITY_VARIABLE "_NUMARENA_ROOT"

struct na_identity {
	char job[NA_RECORD_NAME];
	char parent[NA_RECORD_NAME]; /* the job of the run that started this one (numarena-run mpirun ...); "": none */
	char host[NA_RECORD_NAME];
	char program[NA_RECORD_NAME];
	int32_t pid;
	int32_t rank;	    /* by the launcher's word; -1: not launched, or a child of a rank's root */
	int32_t size;	    /* 0: unknown */
	int32_t local_rank; /* -1: unknown */
	int32_t local_size; /* ranks on this host; -1: unknown */
	int launched;	    /* under a parallel launcher */
	int root;
};

/* start_ms (since 1970) goes into a name made up. */
void na_identity_find(struct na_identity *id, uint64_t start_ms);

/* "PID:JOB", the value for children to inherit. */
void na_identity_inherit(const struct na_identity *id, char *out, size_t capacity);

/* Whether a launcher's environment is there, and the job's name by it ("" if not). */
int na_identity_launcher(char *job, size_t capacity);

/* A whole number in a variable of the environment; UINT64_MAX: there is none. */
uint64_t na_identity_number(const char *name);

#endif
