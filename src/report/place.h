/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where records lie: DIR/.numarena/JOB/NAME.rec. Making that folder, opening a record's file so that writing through
 * the mapping cannot fail, naming, listing and removing. No allocation but for the listing.
 */
#ifndef NA_REPORT_PLACE_H
#define NA_REPORT_PLACE_H

#include <limits.h>

#include "report/record.h"

/* Creates a folder and its parents; 0 if it is there. */
int na_place_make(const char *path);

/* "DIR/.numarena/JOB"; -ENAMETOOLONG. */
int na_place_job(const char *folder, const char *job, char *out, size_t capacity);

/* "JOBFOLDER/pid-HOST-PID.rec" or "JOBFOLDER/rank-N.rec". */
int na_place_of_process(const char *job_folder, const char *host, int32_t pid, char *out, size_t capacity);
int na_place_of_rank(const char *job_folder, int32_t rank, char *out, size_t capacity);

/* Creates the file, with its blocks allocated (else a full file system is a SIGBUS at some tick), and maps two
 * slots. Not inherited by fork. */
int na_place_map(const char *path, struct na_record **slots);
void na_place_unmap(struct na_record *slots);

/* Removes all records of the job's folder, the folder, and DIR/.numarena if that was the last. */
void na_place_discard(const char *job_folder);

/* A job launched from within another has made a report: the launcher itself (mpirun) then makes none. The mark lies
 * among the records of the launcher's job; setting it does nothing where there are none. */
void na_place_mark(const char *job_folder);
int na_place_is_marked(const char *job_folder);

/* What a run launches: rank 0 of an MPI job notes the job's name in the folder of the run that started its launcher. Of jobs that were killed, that run
 * finds the records so: how many of the jobs that are noted have left records of ranks. The visitor, which may be NULL, gets their folders. */
void na_place_note_launch(const char *job_folder, const char *launched);
int na_place_launches(const char *folder, const char *job_folder, void (*visit)(const char *launched, void *with),
		      void *with);

/* How many records of ranks there are (rank-N.rec). -errno. */
int na_place_count_ranks(const char *job_folder);

/* 1 if a name is that of a record of a process of this host, which no rank's name tells. */
int na_place_is_of_process(const char *name, const char *host);

/* 1 if a name is that of a record. */
int na_place_is_record(const char *name);

#endif
