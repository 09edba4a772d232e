/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which folder a report's name stands for. Jobs of a batch system that are started in one folder, by one script, must not overwrite each
 * other's reports, so:
 *   - %j is the batch job's id, %A the job array's, %a the index in it, %s the step (srun), %% a per cent sign; 0 where there is none;
 *   - a name without such signs is taken as it is, but in a job array, where each task has a folder ARRAY_INDEX in it;
 *   - no name stands for numarena-report, in a batch job for numarena-report/JOB, or /JOB.STEP within srun.
 * Slurm, PBS, LSF, Grid Engine, Flux, by their environment: all processes of a job come to the same.
 *
 * numarena-run does this once and says so in NA_FOLDER_VARIABLE: NUMARENA_REPORT is then a path like any other, for the program to use as well.
 * No allocation.
 */
#ifndef NA_REPORT_FOLDER_H
#define NA_REPORT_FOLDER_H

#include <stddef.h>

#define NA_FOLDER_VARIABLE "_NUMARENA_FOLDER"

/* `name` NULL: none was given. 0; -EINVAL: another letter behind a %; -ENAMETOOLONG. The complaint names the folder. */
int na_folder_find(const char *name, char *out, size_t capacity, char *complaint, size_t room);

#endif
